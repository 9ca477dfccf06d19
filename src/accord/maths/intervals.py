"""Intervals and tests for figures measured on prompts. The prompt is the unit that is resampled.

Answers to one prompt, and tokens of one answer, are not independent; so what varies is which prompts were
asked. Figures are pooled (the sum over all values divided by their number), and a resample draws prompts with
replacement, each with all its values. Bootstrap intervals are percentile intervals: too narrow for few
prompts (of normal values and named 95 %, they cover 82 % of the time with 5 prompts, 88 % with 10, 93 % with
32), and of zero width where all prompts agree, which means "no spread was seen", not certainty. One prompt
has no interval: ValueError, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "clopper_pearson",
    "cluster_mean",
    "paired_difference",
    "ratio_of_sums",
    "share_of",
    "sign_flip",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 1_000_000  # indices drawn at once: bounds memory, and leaves the stream of the generator as it is
_EXACT = 12  # 2^12 sign assignments are enumerated; beyond that they are sampled


class Interval(NamedTuple):
    """A figure and the bounds of its interval."""

    value: float
    low: float
    high: float


def clopper_pearson(successes: float, n: int, level: float = 0.95) -> Interval:
    """The exact binomial interval; it covers with at least ``level`` for every true share.

    No success in n: the upper bound is 1 − (α/2)^(1/n); for n = 2 that is 1 − √.025 = .842. One draw is
    enough for an interval, if a wide one; parts of a success lie between. No draw, or more successes than
    draws: ValueError.

    >>> clopper_pearson(0, 2).low, round(clopper_pearson(0, 2).high, 4)
    (0.0, 0.8419)
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} draws: expected 0 ≤ successes ≤ n and n ≥ 1")
    from scipy.special import betaincinv  # pyright: ignore[reportMissingTypeStubs] - scipy ships none

    half = _half(level)
    low = 0.0 if successes <= 0 else float(betaincinv(successes, n - successes + 1, half))
    high = 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, 1 - half))
    return Interval(successes / n, low, high)


def cluster_mean(
    values_P: Sequence[Floats], rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> Interval:
    """The mean of all values, with an interval over prompts; ``values_P[i]`` holds those of prompt i.

    Prompts of many values weigh more, in the mean and in each resample. Two prompts with values (1, 1) and
    (4): the mean is 6/3 = 2, and a resample gives 1, 2 or 4.

    >>> cluster_mean([np.array([1.0, 1.0]), np.array([4.0])], np.random.default_rng(0))
    Interval(value=2.0, low=1.0, high=4.0)
    """
    return _interval(_Pool(*_sums(values_P)), None, rng, (draws, level))


def share_of(values_P: Sequence[Floats], rng: np.random.Generator) -> Interval:
    """``cluster_mean`` of outcomes in [0, 1]; where all are 0, or all are 1, the exact binomial interval.

    None of two, so at most 1 − √.025:

    >>> found = share_of([np.zeros(1), np.zeros(3)], np.random.default_rng(0))
    >>> found.value, found.low, round(found.high, 3)
    (0.0, 0.0, 0.842)
    """
    found = cluster_mean(values_P, rng)
    alike = found.low == found.high and found.value in (0.0, 1.0)
    return clopper_pearson(found.value * len(values_P), len(values_P)) if alike else found


def paired_difference(
    ours_P: Sequence[Floats],
    base_P: Sequence[Floats],
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> Interval:
    """The mean of ours minus the mean of the base on the same prompts; both move together in a resample.

    Ours (3), (5) against (2), (4): each prompt differs by 1, so every resample does.

    >>> ours, base = [np.array([3.0]), np.array([5.0])], [np.array([2.0]), np.array([4.0])]
    >>> paired_difference(ours, base, np.random.default_rng(0))
    Interval(value=1.0, low=1.0, high=1.0)
    """
    if len(ours_P) != len(base_P):
        raise ValueError(
            f"a paired difference over {len(ours_P)} prompts of ours and {len(base_P)} of the base"
        )
    return _interval(_Pool(*_sums(ours_P)), _Pool(*_sums(base_P)), rng, (draws, level))


def ratio_of_sums(
    top_P: Floats, bottom_P: Floats, rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> Interval:
    """Σ top / Σ bottom, one entry of each per prompt.

    Where a resample's denominator is zero or of the other sign, the data cannot tell the denominator from
    zero; the ratio then has no finite interval, and the whole line is returned. Σ bottom = 0: ValueError.
    (1 + 2)/(2 + 4) = .5, and so is every resample.

    >>> ratio_of_sums(np.array([1.0, 2.0]), np.array([2.0, 4.0]), np.random.default_rng(0))
    Interval(value=0.5, low=0.5, high=0.5)
    """
    if top_P.ndim != 1 or top_P.shape != bottom_P.shape:
        raise ValueError(
            f"a ratio of sums over shapes {top_P.shape} and {bottom_P.shape}: one number per prompt"
        )
    if float(bottom_P.sum()) == 0:
        raise ValueError("the denominators sum to zero: the ratio is undefined")
    return _interval(_Pool(_finite(top_P), _finite(bottom_P)), None, rng, (draws, level))


def sign_flip(differences_P: Floats, rng: np.random.Generator, draws: int = 9999) -> float:
    """The two-sided p-value of "the signs of these paired differences are coin flips", by their mean.

    All 2ⁿ assignments of signs while there are at most 2¹² of them, else ``draws`` sampled ones, of which the
    observed one counts as one more (so p is never 0). One difference gives p = 1. For (1, 1, 1) only +++ and
    −−− are as far from zero as what was seen: 2 of 8.

    >>> sign_flip(np.array([1.0, 1.0, 1.0]), np.random.default_rng(0))
    0.25
    """
    if differences_P.ndim != 1 or differences_P.size == 0:
        raise ValueError("a sign-flip test needs one difference per prompt, and at least one prompt")
    size = differences_P.size
    # Sums that are equal on paper differ in the last bits when the order of their terms' signs differs.
    seen = abs(float(_finite(differences_P).sum())) - 1e-12 * float(np.abs(differences_P).sum())
    if size <= _EXACT:
        places = np.arange(size, dtype=np.int64)
        flips = 1 - 2 * ((np.arange(2**size, dtype=np.int64).reshape(-1, 1) >> places) & 1)
        return float(np.mean(np.abs(flips @ differences_P) >= seen))
    if draws < 1:
        raise ValueError(f"{draws} draws: a sampled test needs at least one")
    as_far, block = 0, max(1, _BLOCK // size)
    for start in range(0, draws, block):
        flips = 1 - 2 * rng.integers(2, size=(min(block, draws - start), size))
        as_far += int(np.sum(np.abs(flips @ differences_P) >= seen))
    return (1 + as_far) / (1 + draws)


class _Pool(NamedTuple):
    """Sums by prompt, whose pooled figure is Σ top / Σ bottom."""

    top_P: Floats
    bottom_P: Floats

    def at(self, index: Ints) -> Floats:
        """The figure of each row of resampled prompts; NaN where its denominator changed sign or vanished."""
        top, bottom = self.top_P[index].sum(axis=1), self.bottom_P[index].sum(axis=1)
        sound = bottom * float(np.sign(self.bottom_P.sum())) > 0
        return np.divide(top, bottom, out=np.full(len(top), np.nan), where=sound)


def _interval(ours: _Pool, base: _Pool | None, rng: np.random.Generator, plan: tuple[int, float]) -> Interval:
    prompts, (draws, level) = len(ours.top_P), plan
    half = _half(level)
    if prompts < 2 or draws < 1:
        raise ValueError(f"an interval over {prompts} prompts from {draws} draws: expected at least 2 and 1")
    everything = np.arange(prompts)[None]
    figures: list[Floats] = []
    value = _difference(ours, base, everything)
    block = max(1, _BLOCK // prompts)
    for start in range(0, draws, block):
        index = rng.integers(prompts, size=(min(block, draws - start), prompts))
        figures.append(_difference(ours, base, index))
    seen = np.concatenate(figures)
    if np.isnan(seen).any():
        return Interval(float(value[0]), -np.inf, np.inf)
    low, high = np.quantile(seen, [half, 1 - half])
    return Interval(float(value[0]), float(low), float(high))


def _difference(ours: _Pool, base: _Pool | None, index: Ints) -> Floats:
    return ours.at(index) if base is None else ours.at(index) - base.at(index)


def _sums(values_P: Sequence[Floats]) -> tuple[Floats, Floats]:
    for i, values in enumerate(values_P):
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"prompt {i} has values of shape {values.shape}: expected one or more in a row")
    sums = [float(_finite(values).sum()) for values in values_P]
    return np.array(sums), np.array([float(values.size) for values in values_P])


def _finite(values: Floats) -> Floats:
    if not np.isfinite(values).all():
        raise ValueError("a value is not finite: no interval can be given")
    return values


def _half(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"the level is {level}: expected a share between 0 and 1")
    return (1 - level) / 2
