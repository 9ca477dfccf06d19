"""Outcome: what the arms of a study came to, with intervals over seeds and tasks, arms paired.

Intervals resample seeds, and tasks within them, with replacement: 95 % percentiles of so many draws.
Where all seeds have the same tasks one draw of tasks holds for all of them, since a hard task is hard in
every seed. With five seeds such an interval is too narrow; with one seed it is over tasks alone, and says
nothing of another seed. A share that is 0 in all of N tasks is printed as at most 3/N.

Arms are paired by the number of the seed and the name of the task, never by their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Interval
from accord.records.rows import Floats
from accord.sources import seeded

__all__ = ["Series", "crossed", "paired", "share"]

_LEVEL = (0.025, 0.975)
_BLOCK = 2_000  # draws at once: bounds the memory
_KEPT = 32  # tables of draws; one of 1,000 tasks takes 10 MB


class Series(NamedTuple):
    """One figure of one arm: of each seed the values of its tasks, in the order of their names."""

    seeds: tuple[int, ...]
    tasks: tuple[tuple[str, ...], ...]
    values: tuple[Floats, ...]

    @classmethod
    def of(cls, told: Mapping[int, Mapping[str, float]]) -> Self:
        """From the values by seed and task. No seed, or a seed without a task: ValueError."""
        if not told or not all(told.values()):
            raise ValueError("a figure that has no values")
        seeds = tuple(sorted(told))
        tasks = tuple(tuple(sorted(told[seed])) for seed in seeds)
        values = tuple(
            np.array([told[s][t] for t in names], np.float64) for s, names in zip(seeds, tasks, strict=True)
        )
        return cls(seeds, tasks, values)

    @property
    def same(self) -> bool:
        """Whether all seeds have the same tasks."""
        return len(set(self.tasks)) == 1

    @property
    def mean(self) -> float:
        """Each seed counts alike."""
        return float(np.mean([one.mean() for one in self.values]))

    @property
    def total(self) -> int:
        """How many values there are."""
        return sum(one.size for one in self.values)

    def less(self, other: Series, times: float = 1.0) -> Series:
        """Task by task what this one is above so many times another, where both have the seed and the task.

        ValueError where they share none.
        """
        found: dict[int, dict[str, float]] = {}
        theirs = {s: dict(zip(t, v, strict=True)) for s, t, v in zip(*other, strict=True)}
        for seed, tasks, values in zip(*self, strict=True):
            rows = zip(tasks, values, strict=True)
            both = {t: v - times * theirs[seed][t] for t, v in rows if t in theirs.get(seed, {})}
            if both:
                found[seed] = both
        return Series.of(found)

    def shares(self, other: Series) -> bool:
        """Whether there is a task in a seed that both have."""
        theirs = dict(zip(other.seeds, other.tasks, strict=True))
        mine = zip(self.seeds, self.tasks, strict=True)
        return any(set(tasks) & set(theirs.get(seed, ())) for seed, tasks in mine)


def crossed(series: Series, draws: int = 10_000) -> Interval:
    """The mean with its interval over seeds and tasks.

    Two seeds of the same two tasks, (0, 1) and (0, 1): every resample of seeds is the same, so the mean of a
    draw is 0, ½ or 1.

    >>> crossed(Series.of({0: {"x": 0.0, "y": 1.0}, 1: {"x": 0.0, "y": 1.0}}))
    Interval(value=0.5, low=0.0, high=1.0)
    """
    sizes = [one.size for one in series.values]
    if series.same:
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

    >>> share(Series.of({0: {f"task {i}": 0.0 for i in range(30)}}))
    Interval(value=0.0, low=0.0, high=0.1)
    """
    found = crossed(series, draws)
    # The same task in another seed is not another task.
    count = series.values[0].size if series.same else series.total
    if found.low == found.high == 0:
        return found._replace(high=min(1.0, 3 / count))
    if found.low == found.high == 1:
        return found._replace(low=max(0.0, 1 - 3 / count))
    return found


def paired(ours: Series, other: Series, times: float = 1.0, draws: int = 10_000) -> Interval:
    """How far one arm is above (so many times) another, seed by seed and task by task."""
    return crossed(ours.less(other, times), draws)


@lru_cache(maxsize=_KEPT)
def _counts(size: int, draws: int, what: str) -> NDArray[np.uint8]:
    """How often each of so many is in each draw with replacement; the same draws for every figure and arm, so
    that figures of one table move together. Whole numbers: where all values are alike, so is every mean."""
    rng, fair = seeded("study", what, size), np.full(size, 1 / size)
    parts = [rng.multinomial(size, fair, size=min(_BLOCK, draws - k)) for k in range(0, draws, _BLOCK)]
    return np.concatenate(parts).astype(np.uint8)
