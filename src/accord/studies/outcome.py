"""Outcome: what the arms of a study came to, with intervals that are paired, and whether the bar was met.

The bar, the seeds and every setting are in the study's TOML, whose hash names the folder of the runs:
another bar is another folder, and what the earlier one came to stands beside it. No seed is dropped, and
a crash is ``not met``.

Intervals resample seeds, and tasks within them, with replacement: 95 % percentiles of so many draws.
Where all seeds have the same tasks one draw of tasks holds for all of them, since a hard task is hard in
every seed. With five seeds such an interval is too narrow; with one seed it is over tasks alone, and says
nothing of another seed. A share that is 0 in all of N tasks is printed as at most 3/N.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Interval
from accord.records import JSON
from accord.records.rows import Floats
from accord.sources import seeded

__all__ = ["Bar", "Outcome", "Ruling", "Series", "crossed", "not_below", "paired", "share", "spread"]

Outcome = Literal["met", "not met", "no evidence", "void"]

_LEVEL = (0.025, 0.975)
_BLOCK = 2_000  # draws at once: bounds the memory


class Series(NamedTuple):
    """One figure of one arm: of each seed the values of its tasks; ``same``: these are the same in all."""

    values: tuple[Floats, ...]
    same: bool

    @property
    def mean(self) -> float:
        """Each seed counts alike."""
        return float(np.mean([one.mean() for one in self.values]))

    def less(self, other: Series) -> Series:
        """Task by task what this one is above another arm's."""
        pairs = zip(self.values, other.values, strict=True)
        return Series(tuple(one - two for one, two in pairs), self.same and other.same)


class Bar(NamedTuple):
    """What must be shown: ``arm`` is not below any of ``against`` by more than ``margin`` in ``figure``."""

    figure: str
    arm: str
    against: tuple[str, ...]
    margin: float
    seeds: int

    def __str__(self) -> str:
        others = ", ".join(self.against)
        return (
            f"{self.arm} is not below {others} by more than {self.margin:g} in {self.figure}: the lower end "
            f"of each paired 95 % interval is above -{self.margin:g}, with {self.seeds} seeds or more"
        )


class Ruling(NamedTuple):
    """What it came to, and why."""

    outcome: Outcome
    why: str


def crossed(series: Series, draws: int = 10_000) -> Interval:
    """The mean with its interval over seeds and tasks. No value at all: ValueError.

    Two seeds of the same two tasks, (0, 1) and (0, 1): every resample of seeds is the same, so the mean of a
    draw is 0, ½ or 1.

    >>> crossed(Series((np.array([0.0, 1.0]), np.array([0.0, 1.0])), same=True))
    Interval(value=0.5, low=0.0, high=1.0)
    """
    if not series.values or any(one.size == 0 for one in series.values):
        raise ValueError("an interval of a figure that has no values")
    sizes = [one.size for one in series.values]
    if series.same and len(set(sizes)) == 1:
        means_DS = _counts(sizes[0], draws, "tasks") @ np.stack(series.values).T / sizes[0]
    else:
        drawn = [_counts(n, draws, f"tasks/{s}") for s, n in enumerate(sizes)]
        pairs = zip(drawn, series.values, strict=True)
        means_DS = np.stack([counts_DT @ one / one.size for counts_DT, one in pairs], axis=1)
    found_D = (_counts(len(sizes), draws, "seeds") * means_DS).sum(axis=1) / len(sizes)
    low, high = np.quantile(found_D, _LEVEL)
    return Interval(series.mean, float(low), float(high))


def share(series: Series, draws: int = 10_000) -> Interval:
    """The same of a share: 0 in all of N tasks is at most 3/N, 1 in all of them at least 1 - 3/N.

    >>> share(Series((np.zeros(30),), same=True))
    Interval(value=0.0, low=0.0, high=0.1)
    """
    found = crossed(series, draws)
    # The same task in another seed is not another task.
    count = series.values[0].size if series.same else sum(one.size for one in series.values)
    if found.low == found.high == 0:
        return found._replace(high=min(1.0, 3 / count))
    if found.low == found.high == 1:
        return found._replace(low=max(0.0, 1 - 3 / count))
    return found


def paired(ours: Series, other: Series, draws: int = 10_000) -> Interval:
    """How far one arm is above another, seed by seed and task by task."""
    return crossed(ours.less(other), draws)


def not_below(bar: Bar, found: Mapping[str, Series], lost: Sequence[str], draws: int = 10_000) -> Ruling:
    """Whether the bar is met. ``found``: the figure of each arm; ``lost``: cells that crashed or stopped.

    >>> bar = Bar("gold", "a", ("b",), 0.05, seeds=1)
    >>> better, worse = (Series((np.full(20, x),), same=True) for x in (0.8, 0.2))
    >>> [not_below(bar, {"a": one, "b": two}, ()).outcome for one, two in ((better, worse), (worse, better))]
    ['met', 'not met']
    >>> not_below(bar, {"a": better, "b": worse}, ("b, seed 3: ValueError",)).outcome
    'not met'
    >>> not_below(bar._replace(seeds=5), {"a": better, "b": worse}, ()).outcome
    'no evidence'
    """
    if lost:
        return Ruling("not met", f"no cell is dropped, and some have no result: {'; '.join(lost)}")
    wanted = (bar.arm, *bar.against)
    if absent := [one for one in wanted if one not in found]:
        return Ruling("no evidence", f"{', '.join(absent)} has no {bar.figure}")
    seeds = min(len(found[one].values) for one in wanted)
    if seeds < bar.seeds:
        return Ruling("no evidence", f"{seeds} seeds of {bar.seeds}")
    gaps = {one: paired(found[bar.arm], found[one], draws) for one in bar.against}
    told = ", ".join(f"{one} {gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]" for one, gap in gaps.items())
    why = f"{bar.arm} less each, in {bar.figure}: {told}"
    if any(gap.high < -bar.margin for gap in gaps.values()):
        return Ruling("not met", why)
    if all(gap.low > -bar.margin for gap in gaps.values()):
        return Ruling("met", why)
    return Ruling("no evidence", f"{why}; an interval holds -{bar.margin:g}")


def spread(found: Interval) -> dict[str, JSON]:
    """An interval in JSON."""
    return {"value": found.value, "low": found.low, "high": found.high}


@lru_cache(maxsize=24)
def _counts(size: int, draws: int, what: str) -> NDArray[np.uint8]:
    """How often each of so many is in each draw with replacement; the same draws for every figure and arm, so
    that figures of one table move together. Whole numbers: where all values are alike, so is every mean."""
    rng, fair = seeded("study", what, size), np.full(size, 1 / size)
    parts = [rng.multinomial(size, fair, size=min(_BLOCK, draws - k)) for k in range(0, draws, _BLOCK)]
    return np.concatenate(parts).astype(np.uint8)
