"""What a probability is worth: the map of p that fits labels best of all that keep the order (axis ``_I``).

    min Σ (g(p_i) − right_i)²   over g that never falls,   each label also as (1 − p_i, 1 − right_i)

Solved exactly by pooling neighbours that fall (Ayer 1955). Between the p that labels have g is a straight
line, beyond them level.

1. Every label counts from both sides, so g(1 − p) = 1 − g(p) and g(½) = ½: what it gives to one answer and to
   the other sums to one, and no winner becomes the loser.
2. Fitted to (g(p_i), right_i) it is the identity on all that g gives: a second fit changes nothing.
3. Labels whose p agree to twelve digits are of one p; 1 − .7 is not .3 to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from accord.records.rows import Floats

__all__ = ["Calibrating", "fitted", "rising"]

_DIGITS = 12


class Calibrating(NamedTuple):
    """The map, by its corners, as they are in order."""

    p_I: Floats
    g_I: Floats

    def __call__(self, p: float) -> float:
        """Mean of the map and of itself seen from the other side, so that rounding leans to neither."""
        own, other = np.interp([p, 1 - p], self.p_I, self.g_I)
        return float((own + 1 - other) / 2)


def rising(y_I: Floats, weight_I: Floats) -> Floats:
    """The nearest of all that never fall.

    Of 1, 3, 2 the last two fall, and are their mean; weighed 1 to 3 it lies nearer the last.

    >>> rising(np.array([1.0, 3.0, 2.0]), np.ones(3)).tolist()
    [1.0, 2.5, 2.5]
    >>> rising(np.array([3.0, 2.0]), np.array([1.0, 3.0])).tolist()
    [2.25, 2.25]
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for y, weight in zip(y_I.tolist(), weight_I.tolist(), strict=True):
        mean, whole, many = float(y), float(weight), 1
        while pools and pools[-1][0] >= mean:
            before, of, size = pools.pop()
            mean, whole, many = (before * of + mean * whole) / (of + whole), of + whole, many + size
        pools.append((mean, whole, many))
    return np.repeat([mean for mean, _, _ in pools], [many for _, _, many in pools])


def fitted(p_I: Floats, right_I: Floats) -> Calibrating:
    """The map that labels say. ``right``: 1, 0, or a share between.

    Of .9 two of four are right, of .6 three of four: the order between them is lost, and both are worth 5/8.

    >>> p, right = np.array([0.9] * 4 + [0.6] * 4), np.array([1, 1, 0, 0, 1, 1, 1, 0.0])
    >>> g = fitted(p, right)
    >>> g(0.9), g(0.6), g(0.4), g(0.5), round(g(0.55), 12)
    (0.625, 0.625, 0.375, 0.5, 0.5625)
    """
    if p_I.ndim != 1 or p_I.shape != right_I.shape or not p_I.size:
        raise ValueError(f"{p_I.shape} probabilities and {right_I.shape} labels: expected as many, in a row")
    if not all(np.isfinite(of).all() and of.min() >= 0 and of.max() <= 1 for of in (p_I, right_I)):
        raise ValueError("a probability or a label lies outside [0, 1]")
    both_I = np.round(np.concatenate([p_I, 1 - p_I]), _DIGITS)
    told_I = np.concatenate([right_I, 1 - right_I])
    level_U, place_I = np.unique(both_I, return_inverse=True)
    count_U = np.bincount(place_I).astype(np.float64)
    return Calibrating(level_U, rising(np.bincount(place_I, weights=told_I) / count_U, count_U))
