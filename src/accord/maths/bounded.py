"""The mean of numbers between two ends, with an interval that asks nothing of them but these ends.

    low  = the α/2 quantile of     w_0·a + Σ w_i x_i          w ∼ Dirichlet(1, …, 1), n + 1 weights
    high = the 1 − α/2 quantile of w_0·b + Σ w_i x_i

for x_1 … x_n in [a, b] (Gaffke 2005; 1905.06208). Of numbers that all lie at an end it is the exact binomial
interval, and it is never narrower than that of n numbers which all agree: what was not met among n may still
be there. A bootstrap has no such end: of twenty prompts, one of which fails once in sixteen, it is certain.

1. No distribution is known for which it covers less than it says, and it is not proved that there is none.
   What is proved (``bounds.mean_bounds``) is a fifth wider of coins, and two to three times as wide of
   numbers that lie close together.
2. Equal numbers are counted, so the order in which they came changes nothing.
"""

from __future__ import annotations

import numpy as np

from accord.maths.intervals import Interval, clopper_pearson
from accord.records.rows import Floats

__all__ = ["Ends", "bounded_mean"]

Ends = tuple[float, float]

_DRAWS = 5000
_TAIL = 4  # draws, at least, beyond an end


def bounded_mean(
    values_P: Floats,
    rng: np.random.Generator,
    ends: Ends = (0.0, 1.0),
    times: float = 1.0,
    draws: int = _DRAWS,
    level: float = 0.95,
) -> Interval:
    """The mean with its interval; ``times``: as if each value had been seen so often. A level so near to 1
    that ``draws`` cannot tell its quantiles, ValueError.

    None of two, so at most 1 − √.025; twenty prompts that all keep a rule may stand for .83 of them.

    >>> found = bounded_mean(np.zeros(2), np.random.default_rng(0))
    >>> found.low, round(found.high, 3)
    (0.0, 0.842)
    >>> round(bounded_mean(np.ones(20), np.random.default_rng(0)).low, 3), round(0.025 ** (1 / 20), 3)
    (0.832, 0.832)
    """
    a, b = ends
    if values_P.ndim != 1 or not values_P.size or not a < b:
        raise ValueError(f"values of shape {values_P.shape} in [{a}, {b}]: expected one or more in a row")
    if not (np.isfinite(values_P).all() and values_P.min() >= a and values_P.max() <= b):
        raise ValueError(f"a value lies outside [{a}, {b}]: {values_P.min()} to {values_P.max()}")
    tail = (1 - level) / 2
    if not _TAIL <= draws * tail < draws / 2:
        raise ValueError(f"level {level} of {draws} draws: expected {_TAIL} draws beyond either end, or more")
    mean, size = float(np.sort(values_P).mean()), values_P.size * times
    if np.isin(values_P, ends).all():
        exact = clopper_pearson(float((values_P == b).sum()) * times, size, level)  # pyright: ignore[reportArgumentType]
        return Interval(mean, a + (b - a) * exact.low, a + (b - a) * exact.high)
    level_U, count_U = np.unique(values_P, return_counts=True)
    weight_DU = rng.standard_gamma(count_U * times, size=(draws, level_U.size))
    end_D = rng.standard_exponential(draws)
    whole_D, sum_D = weight_DU.sum(axis=1) + end_D, weight_DU @ level_U
    low, high = (sum_D + a * end_D) / whole_D, (sum_D + b * end_D) / whole_D
    return Interval(mean, float(np.quantile(low, tail)), float(np.quantile(high, 1 - tail)))
