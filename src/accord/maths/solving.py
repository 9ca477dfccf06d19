"""The best play of a small world in a given number of turns, by value iteration.

With t turns left, Q(s, a) = r(s, a) + Σ_s' P(s' | s, a) V(s') and V(s) = max_a Q(s, a), where V is that of
t − 1 turns. An episode ends with the probability that P(· | s, a) is short of 1. Where nothing is left to
chance, ``plays`` tells what *every* best play is worth by a second reward: what a hidden one can be when
the observed one is as high as it gets.

Worlds check themselves by it, so it reads maps with arrays, not with the steps of ``maths/grids.py`` that
they take. Axes: ``_S`` states, ``_A`` actions, ``_T`` turns left, from 0 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.records.rows import Floats

__all__ = ["Floor", "Ints", "Solved", "best", "certain", "floor", "plays", "way"]

Ints = NDArray[np.int64]
_TIED = 1e-9


class Floor(NamedTuple):
    """A map: the sign of each cell that is no wall, row by row, and where up, down, left, right lead."""

    sign_S: tuple[str, ...]
    to_SA: Ints

    def at(self, sign: str) -> int:
        """The state of the first cell with this sign."""
        return self.sign_S.index(sign)

    def leads(self, signs: str) -> NDArray[np.bool_]:
        """Of each state and action whether it leads to a cell with one of these signs."""
        return np.isin(np.array(self.sign_S), list(signs))[self.to_SA]


class Solved(NamedTuple):
    """The worth of each state with t turns left, and the action to take (the first of the best)."""

    value_TS: Floats
    action_TS: Ints


def floor(art: Sequence[str]) -> Floor:
    """The cells of a map, which walls (#) surround.

    >>> floor(("####", "#AG#", "####")).to_SA.tolist()
    [[0, 0, 0, 1], [1, 1, 0, 1]]
    """
    cell = np.array([list(line) for line in art])
    open_ = cell != "#"
    number = np.where(open_, np.cumsum(open_).reshape(cell.shape) - 1, -1)
    beside = [np.roll(number, shift, axis) for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1))]
    to_SA = np.stack([np.where(there < 0, number, there)[open_] for there in beside], axis=1)
    return Floor(tuple(str(sign) for sign in cell[open_]), to_SA)


def certain(to_SA: Ints) -> Floats:
    """P(s' | s, a) where nothing is left to chance; where ``to`` is negative, the episode ends."""
    return np.eye(len(to_SA))[to_SA] * (to_SA >= 0)[..., None]


def best(moves_SAS: Floats, reward_SA: Floats, turns: int) -> Solved:
    """The best play.

    Go or stay: 1 a turn for staying, 5 once for going, which ends it.

    >>> best(np.array([[[1.0], [0.0]]]), np.array([[1.0, 5.0]]), 3).value_TS.ravel().tolist()
    [0.0, 5.0, 6.0, 7.0]
    """
    value_TS = np.zeros((turns + 1, len(reward_SA)))
    action_TS = np.zeros((turns + 1, len(reward_SA)), dtype=np.int64)
    for t in range(1, turns + 1):
        worth_SA = reward_SA + moves_SAS @ value_TS[t - 1]
        value_TS[t] = worth_SA.max(axis=1)
        action_TS[t] = np.argmax(worth_SA >= value_TS[t][:, None] - _TIED, axis=1)
    return Solved(value_TS, action_TS)


def plays(to_SA: Ints, reward_SA: Floats, second_SA: Floats, turns: int) -> list[list[frozenset[float]]]:
    """What the best plays are worth by the second reward: every value, by turns left and state.

    Two ways to earn 1, of which one is truly worth 2 and the other nothing.

    >>> found = plays(np.zeros((1, 2), dtype=np.int64), np.ones((1, 2)), np.array([[2.0, 0.0]]), 2)
    >>> [sorted(values) for values, in found]
    [[0.0], [0.0, 2.0], [0.0, 2.0, 4.0]]
    """
    tied_TSA = _tied(to_SA, reward_SA, turns)
    found = [[_NOTHING for _ in to_SA]]
    for t in range(1, turns + 1):
        rest_SA = [_rests(found[-1], to_A) for to_A in to_SA]
        found.append([_sums(tied_TSA[t, s], second_SA[s], rest_A) for s, rest_A in enumerate(rest_SA)])
    return found


def way(
    to_SA: Ints, reward_SA: Floats, second_SA: Floats, turns: int, start: int, goal: float
) -> tuple[int, ...]:
    """The actions of one best play that is worth ``goal`` by the second reward; ValueError if none is.

    >>> way(np.zeros((1, 2), dtype=np.int64), np.ones((1, 2)), np.array([[2.0, 0.0]]), 2, 0, 2.0)
    (0, 1)
    """
    found = plays(to_SA, reward_SA, second_SA, turns)
    if goal not in found[turns][start]:
        raise ValueError(f"no best play is worth {goal}: {sorted(found[turns][start])}")
    tied_TSA, taken, state, left = _tied(to_SA, reward_SA, turns), list[int](), start, goal
    for t in range(turns, 0, -1):
        if state < 0:
            break
        rest_A = zip(
            tied_TSA[t, state], second_SA[state].tolist(), _rests(found[t - 1], to_SA[state]), strict=True
        )
        fits = [tied and left - second in rests for tied, second, rests in rest_A]
        taken.append(fits.index(True))
        left -= float(second_SA[state, taken[-1]])
        state = int(to_SA[state, taken[-1]])
    return tuple(taken)


_NOTHING = frozenset({0.0})


def _rests(found_S: Sequence[frozenset[float]], to_A: Ints) -> list[frozenset[float]]:
    """What may follow each action."""
    return [found_S[int(state)] if state >= 0 else _NOTHING for state in to_A]


def _sums(
    tied_A: NDArray[np.bool_], second_A: Floats, rest_A: Sequence[frozenset[float]]
) -> frozenset[float]:
    """What an action is worth and what follows it, of all actions that are among the best."""
    taken = zip(tied_A, second_A.tolist(), rest_A, strict=True)
    return frozenset(second + rest for tied, second, rests in taken if tied for rest in rests)


def _tied(to_SA: Ints, reward_SA: Floats, turns: int) -> NDArray[np.bool_]:
    """Which actions are among the best, by turns left; with none left, no action is."""
    value_TS = best(certain(to_SA), reward_SA, turns).value_TS
    after_TSA = np.where(to_SA >= 0, value_TS[:-1, to_SA], 0.0)
    tied_TSA = reward_SA + after_TSA >= value_TS[1:, :, None] - _TIED
    return np.concatenate([np.zeros((1, *to_SA.shape), dtype=np.bool_), tied_TSA])
