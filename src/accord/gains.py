"""Gains: whether something that was not trained on got better, tested like a page (layer 2).

A loss of what the base could also say is the price of learning where something was learnt, and suppression
where nothing was. So a page that names none but ``EXCUSABLE`` is let go where a gain is established: the null
is that it is 0 at most, the level that of the stage. Nothing else is ever excused. What may gain:

- ``capability.wrong``, a panel: items are drawn anew at every look, and what the base makes of one is known.
  Its e-value is that of a page with the sign turned and τ = 0, valid whenever one looks (Ville).
- ``held_out.gold`` and ``held_out.score``: the same prompts every time, answered afresh, each once at the
  start. The answers of the start are a draw too, and one that every later time shares. So each time has an
  e-value of its own, mean_g Π_i (1 + λ_g(Y_i − Y_i at the start)), and time t has to reach t(t+1) times as
  much: 1/(t(t+1)) sums to 1. Prompts without an outcome now count as 0.

``held_out.score`` is left out where windows tell a score, so where that reward is what is trained on: its
gain is what a gamer of the reward would show. Window means of gold have no items and cannot be bet on.

How often is there an excuse without any gain? With probability ``level`` at most in a stage, over all looks
and sources together: each of S sources has level/S. The sources are those that were read at the first look.
Excuses take pages away and add none, so δ is untouched. A gain is one of everything that a source reads; no
reading tells slices apart. Held-out figures are measured from the start of the stage, pages from the base.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from accord.maths.sequential import e_process, growth
from accord.ports import History
from accord.records import Reading
from accord.records.rows import Floats

__all__ = ["EXCUSABLE", "Gain", "established", "risen"]

EXCUSABLE = frozenset({"forward_kl", "base_rank", "greedy_rank", "diversity", "wide_diversity"})
"""Indicators of how far the policy went from the base's ways to speak: 2, 3 and 6 of the guard's design."""

_PANEL, _HELD_OUT, _TRAINED = "capability.wrong", ("held_out.gold", "held_out.score"), "held_out.score"
_MOST = 700.0  # the logarithm of what an e-value is counted as at most


class Gain(NamedTuple):
    """What a source says now: its e-value, what it would have to reach, and the readings it comes from."""

    source: str
    e: float
    needed: float
    readings: tuple[Reading, ...]

    def __str__(self) -> str:
        return f"{self.source} (e-value {self.e:,.0f}, {self.needed:,.0f} needed)"


def established(history: History, level: float) -> list[Gain]:
    """The sources whose gain is established at the newest look of each; ``level`` is that of all together."""
    sources = _sources(history)
    found = [_drawn(own) if name == _PANEL else _repeated(own) for name, own in sources]
    share = level / max(1, len(sources))
    told = [gain._replace(needed=gain.needed / share) for gain in found if gain is not None]
    return [gain for gain in told if gain.e >= gain.needed]


def _sources(history: History) -> list[tuple[str, list[Reading]]]:
    """What may show a gain, by name, each with its readings: those that were read at the very first look."""
    first = min((one.step for one in history.readings), default=0)
    windows = [event.scalars for event in history.events if event.name == "window"]
    trained = any("score" in scalars or "proxy" in scalars for scalars in windows)
    found: list[tuple[str, list[Reading]]] = []
    for name in (_PANEL, *_HELD_OUT):
        own = [one for one in history.readings if one.name == name and isinstance(one, Reading)]
        bounded = all(one.items for one in own)  # a figure outside [0, 1] has no items, and no bet
        if own and bounded and own[0].step == first and not (name == _TRAINED and trained):
            found.append((name, own))
    return found


def _drawn(own: Sequence[Reading]) -> Gain | None:
    """Of a panel: the e-value over all looks; None where they were not made with one instrument."""
    if len({one.instrument for one in own}) > 1 or not all(one.anchors for one in own):
        return None
    e = e_process([np.array(one.anchors) - np.array(one.outcomes) for one in own], tau=0.0)
    return Gain(own[0].name, float(e[-1]), 1.0, tuple(own))


def _repeated(own: Sequence[Reading]) -> Gain | None:
    """Of held-out prompts: the newest time against the start; None where there is no comparable one."""
    start, last, times = own[0], own[-1], len({one.step for one in own}) - 1
    if not times or start.instrument != last.instrument:
        return None
    now = dict(zip(last.items, last.outcomes, strict=True))
    delta_P = np.array(
        [now.get(item, 0.0) - before for item, before in zip(start.items, start.outcomes, strict=True)]
    )
    return Gain(start.name, risen(delta_P), times * (times + 1.0), (start, last))


def risen(delta_P: Floats) -> float:
    """The e-value of one time: 1 on average at most where the mean difference is expected to be 0 at most.

    Two differences of 1: mean_g (1 + g)² over g of .05, .1, .2, .4, .8 is 1.7905.

    >>> round(risen(np.array([1.0, 1.0])), 6)
    1.7905
    """
    return float(np.mean(np.exp(np.minimum(growth(delta_P, 0.0), _MOST)))) if delta_P.size else 1.0
