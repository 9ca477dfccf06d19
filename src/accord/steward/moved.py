"""Moved: how each principle stood before and stands now, paired prompt by prompt. Pure.

    change   the mean over shared prompts of (share kept now − share kept before)
    seen     the least change that these prompts would have shown in nine of ten cases

An interval as in ``maths.bounded``, for differences from −1 to 1. Where it holds 0 there is *no change seen*,
which is as strong as ``seen`` is small: 1.65 half-widths, for a change at the edge of the interval would be
missed every second time.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from accord.maths.bounded import bounded_mean
from accord.records import JSON
from accord.records.portraits import Portrait, Share, Standing
from accord.sources import seeded

__all__ = ["Moved", "moved"]

_NINE_OF_TEN = (1.96 + 1.2816) / 1.96  # of a normal estimate, in half-widths of its 95 % interval

Way = Literal["rose", "fell", "no change seen", "not paired"]


class Moved(NamedTuple):
    """One principle in one slice, before and now; figures of the change are None where it is not paired."""

    before: Standing
    after: Standing
    way: Way
    n: int = 0
    change: float | None = None
    low: float | None = None
    high: float | None = None
    seen: float | None = None

    @property
    def lost(self) -> bool:
        """Whether it was held before and is certainly lower now."""
        return self.before.verdict == "held" and self.way == "fell"

    @property
    def reached(self) -> bool:
        """Whether the share itself is at the target now; whether that is shown, the class says."""
        return self.after.own is not None and self.after.own.value >= self.after.target

    def json(self) -> dict[str, JSON]:
        """Every figure; answers and items stay in the portraits."""
        return {
            "principle": self.before.principle,
            "slice": self.before.slice,
            "target": self.before.target,
            "hard": self.before.hard,
            "before": _share(self.before.own),
            "after": _share(self.after.own),
            "class_before": self.before.verdict,
            "class_after": self.after.verdict,
            "way": self.way,
            "n": self.n,
            "change": self.change,
            "low": self.low,
            "high": self.high,
            "seen": self.seen,
            "reached": self.reached,
            "lost": self.lost,
        }


def moved(before: Portrait, after: Portrait) -> tuple[Moved, ...]:
    """Every standing of ``before`` beside that of ``after``, in order. ValueError for other values."""
    if before.values != after.values:
        raise ValueError("portraits of two values documents cannot be paired")
    now = {(one.principle, one.slice): one for one in after.standings}
    return tuple(_pair(one, now[one.principle, one.slice]) for one in before.standings)


def _pair(before: Standing, after: Standing) -> Moved:
    was = dict(zip(before.items, before.outcomes, strict=True))
    now = dict(zip(after.items, after.outcomes, strict=True))
    shared = sorted(was.keys() & now.keys())
    if before.own is None or after.own is None or not shared:
        return Moved(before, after, "not paired")
    # An outcome of 1 is a violation: less of them is more that is kept.
    change_P = np.array([was[item] - now[item] for item in shared])
    found = bounded_mean(change_P, seeded("moved", before.principle, before.slice), (-1.0, 1.0))
    way: Way = "rose" if found.low > 0 else "fell" if found.high < 0 else "no change seen"
    half = max(found.high - found.value, found.value - found.low)
    return Moved(
        before, after, way, len(shared), found.value, found.low, found.high, min(1.0, _NINE_OF_TEN * half)
    )


def _share(one: Share | None) -> JSON:
    return None if one is None else one.model_dump(mode="json")
