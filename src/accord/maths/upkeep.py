"""Things that decay unless they are visited: the best rounds in a given number of turns, exactly.

Each turn one goes to a cell, the thing there becomes good, then every good thing goes bad with the
probability ``decay``, and then it pays: so much for each good thing, or a flat sum in cells that pay one. A
state is a cell and the set of good things, of which there are 2ⁿ; the expectation over who goes bad factors
into n steps of two states each, so a turn takes n·2ⁿ sums per cell and not 4ⁿ.

Axes: ``_S`` cells, ``_A`` actions, ``_M`` sets of good things (bit i: thing i), ``_T`` turns left, from 0 on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.maths.solving import Ints
from accord.records.rows import Floats

__all__ = ["Rounds", "Upkeep", "best_rounds"]


class Upkeep(NamedTuple):
    """Where each action leads, which thing is in each cell (−1: none), what a good one pays, and what a cell
    pays instead of all that (NaN: nothing instead)."""

    to_SA: Ints
    thing_S: Ints
    decay: float
    pay: float
    flat_S: Floats


class Rounds(NamedTuple):
    """The worth of each cell and set with all turns left, and the action to take (the first of the best)."""

    value_SM: Floats
    action_TSM: NDArray[np.int8]


def best_rounds(world: Upkeep, turns: int) -> Rounds:
    """The best rounds. Exact up to rounding; each turn reads all 2ⁿ sets, so n ≤ 16 or so.

    One thing in one of two cells, which decays every other turn: who keeps coming back has ½ a turn, who
    arrives when it is bad too.

    >>> to, thing = np.array([[0, 1], [0, 1]]), np.array([0, -1])
    >>> found = best_rounds(Upkeep(to, thing, 0.5, 1.0, np.full(2, np.nan)), 3)
    >>> found.value_SM.tolist(), found.action_TSM[3].tolist()
    ([[1.5, 1.5], [1.5, 1.5]], [[0, 0], [0, 0]])
    """
    cells, things = len(world.thing_S), int(world.thing_S.max()) + 1
    set_M = np.arange(1 << things)
    bit_S = np.where(world.thing_S >= 0, 1 << np.maximum(world.thing_S, 0), 0)
    good_M = np.array([m.bit_count() for m in range(1 << things)])
    flat_S1 = world.flat_S[:, None]
    pay_SM = np.where(np.isnan(flat_S1), world.pay * good_M, flat_S1)
    visited_SM = set_M | bit_S[:, None]
    value_SM = np.zeros((cells, set_M.size))
    action_TSM = np.zeros((turns + 1, cells, set_M.size), dtype=np.int8)
    for t in range(1, turns + 1):
        left_SM = np.take_along_axis(_decayed(pay_SM + value_SM, things, world.decay), visited_SM, axis=1)
        value_SM, action_TSM[t] = _best(left_SM, world.to_SA)
    return Rounds(value_SM, action_TSM)


def _decayed(value_SM: Floats, things: int, decay: float) -> Floats:
    """What a set is worth before its things decay: one after the other, since each does so for itself."""
    value_MS = np.ascontiguousarray(value_SM.T)  # so that a step reads long runs of memory
    for i in range(things):
        pair = value_MS.reshape(-1, 2, 2**i * len(value_SM))  # without thing i, with it
        pair[:, 1] = (1 - decay) * pair[:, 1] + decay * pair[:, 0]
    return value_MS.T


def _best(left_SM: Floats, to_SA: Ints) -> tuple[Floats, NDArray[np.int8]]:
    """Over the actions; a later one has to be better by more than rounding."""
    value_SM = left_SM[to_SA[:, 0]]
    action_SM = np.zeros(value_SM.shape, dtype=np.int8)
    for a in range(1, to_SA.shape[1]):
        other_SM = left_SM[to_SA[:, a]]
        better_SM = other_SM > value_SM + 1e-9
        action_SM[better_SM] = a
        value_SM = np.where(better_SM, other_SM, value_SM)
    return value_SM, action_SM
