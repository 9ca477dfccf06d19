"""Intervals of figures that are no means over items: 1.96 bootstrap standard errors around the figure.

Percentiles would not do: a figure such as a calibration error is larger on a resample than on what it was
drawn from, so they lie too high and may leave out the figure itself. The bias of the figure is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Interval

__all__ = ["Figure", "figured", "figured_apart", "figured_change"]

Floats = NDArray[np.float64]
Figure = Callable[[Floats], float]

_WIDE = 1.959963984540054


def figured(figure: Figure, values_I: Floats, rng: np.random.Generator, draws: int = 500) -> Interval:
    """The figure of all items with its interval. Fewer than two items: ValueError.

    The mean of 0 and 1 is ½; its resamples are 0, ½, ½, 1, of standard deviation √⅛ = .354.

    >>> found = figured(lambda values: float(values.mean()), np.array([0.0, 1.0]), np.random.default_rng(0))
    >>> found.value, abs((found.high - found.low) / 2 / 1.96 - 0.354) < 0.02
    (0.5, True)
    """
    resampled = [figure(values_I[at]) for at in _draws(values_I.size, rng, draws)]
    return _around(figure(values_I), np.array(resampled))


def figured_change(
    figure: Figure, ours_I: Floats, base_I: Floats, rng: np.random.Generator, draws: int = 500
) -> Interval:
    """The figure of ours less that of the base on the same items; both move together in a resample.

    >>> figured_change(np.max, np.array([0.5, 0.7]), np.array([0.5, 0.7]), np.random.default_rng(0))
    Interval(value=0.0, low=0.0, high=0.0)
    """
    resampled = [figure(ours_I[at]) - figure(base_I[at]) for at in _draws(ours_I.size, rng, draws)]
    return _around(figure(ours_I) - figure(base_I), np.array(resampled))


def figured_apart(
    figure: Figure, one_I: Floats, other_I: Floats, rng: np.random.Generator, draws: int = 500
) -> Interval:
    """The figure of one draw of items less that of another, each resampled by itself.

    >>> figured_apart(np.max, np.array([0.5, 0.5]), np.array([0.2, 0.2]), np.random.default_rng(0)).value
    0.3
    """
    ones = [figure(one_I[at]) for at in _draws(one_I.size, rng, draws)]
    others = [figure(other_I[at]) for at in _draws(other_I.size, rng, draws)]
    return _around(figure(one_I) - figure(other_I), np.array(ones) - np.array(others))


def _draws(size: int, rng: np.random.Generator, draws: int) -> NDArray[np.int64]:
    if size < 2:
        raise ValueError(f"an interval over {size} items: expected 2 or more")
    return rng.integers(size, size=(draws, size))


def _around(value: float, resampled: Floats) -> Interval:
    middle, width = float(value), _WIDE * float(resampled.std())
    return Interval(middle, middle - width, middle + width)
