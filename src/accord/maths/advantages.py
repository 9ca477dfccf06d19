"""From rewards to advantages: group baselines, spreads, whitening, generalised advantage estimation (numpy).

Rows without a number (NaN) have no say in any mean and stay NaN. Standard deviations are those of a sample,
divided by n − 1; where they stand under a fraction, the fraction's denominator gets ``EPS``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPS", "Discount", "alike", "centred", "gae", "left_out", "over_spread", "spread", "whitened"]

EPS = 1e-4

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Discount(NamedTuple):
    """γ and λ of generalised advantage estimation (1506.02438)."""

    gamma: float
    lam: float


def centred(value_R: Floats, group_R: Ints) -> Floats:
    """Each value minus the mean of its group; NaN where the group has fewer than two values.

    Of equal values it is exactly 0, whatever their sum would be rounded to.

    >>> centred(np.array([1.0, 3.0, np.nan, 5.0]), np.array([0, 0, 0, 1])).tolist()
    [-1.0, 1.0, nan, nan]
    """
    known_R, home_R = ~np.isnan(value_R), _homes(group_R)
    number_G = np.bincount(home_R[known_R], minlength=home_R.size)
    low_G = np.full(home_R.size, np.inf)
    np.minimum.at(low_G, home_R[known_R], value_R[known_R])
    over_R = value_R - low_G[home_R]
    sum_G = np.bincount(home_R[known_R], weights=over_R[known_R], minlength=home_R.size)
    mean_R = (sum_G / np.maximum(number_G, 1))[home_R]
    return np.where(number_G[home_R] > 1, over_R - mean_R, np.nan)


def left_out(value_R: Floats, group_R: Ints) -> Floats:
    """Each value minus the mean of the *other* values of its group; NaN where there is no other.

    That mean knows nothing of the value it is taken off; v − (Σ − v)/(n − 1) = n/(n − 1) · (v − Σ/n), so of
    equal values it is exactly 0. Of 1, 3 and 5: 1 − 4, 3 − 3, 5 − 2.

    >>> left_out(np.array([1.0, 3.0, np.nan, 5.0, 7.0]), np.array([0, 0, 0, 0, 1])).tolist()
    [-3.0, 0.0, nan, 3.0, nan]
    """
    known_R, home_R = ~np.isnan(value_R), _homes(group_R)
    number_R = np.bincount(home_R[known_R], minlength=home_R.size)[home_R]
    return centred(value_R, group_R) * number_R / np.maximum(number_R - 1, 1)


def spread(value_R: Floats, group_R: Ints) -> Floats:
    """The standard deviation of each row's group; NaN where the group has fewer than two values.

    1 and 3: √((1 + 1) / 1).

    >>> spread(np.array([1.0, 3.0, np.nan]), np.array([0, 0, 0])).round(4).tolist()
    [1.4142, 1.4142, 1.4142]
    """
    known_R, home_R = ~np.isnan(value_R), _homes(group_R)
    number_G = np.bincount(home_R[known_R], minlength=home_R.size)
    square_R = centred(value_R, group_R) ** 2
    sum_G = np.bincount(home_R[known_R], weights=square_R[known_R], minlength=home_R.size)
    return np.where(number_G > 1, np.sqrt(sum_G / np.maximum(number_G - 1, 1)), np.nan)[home_R]


def over_spread(value_R: Floats, group_R: Ints, eps: float = EPS) -> Floats:
    """Each value over the standard deviation of its group, plus ``eps``.

    >>> over_spread(np.array([-1.0, 1.0]), np.array([0, 0]), eps=0.0).round(4).tolist()
    [-0.7071, 0.7071]
    """
    return value_R / (spread(value_R, group_R) + eps)


def alike(value_R: Floats, group_R: Ints) -> Bools:
    """Whether all values of the row's group are *equal*, which is more than a small spread.

    >>> alike(np.array([1.0, 1.0, 2.0, 2.0 + 1e-12]), np.array([0, 0, 1, 1])).tolist()
    [True, True, False, False]
    """
    known_R, home_R = ~np.isnan(value_R), _homes(group_R)
    low_G, high_G = np.full(home_R.size, np.inf), np.full(home_R.size, -np.inf)
    np.minimum.at(low_G, home_R[known_R], value_R[known_R])
    np.maximum.at(high_G, home_R[known_R], value_R[known_R])
    return (low_G == high_G)[home_R]


def whitened(value_T: Floats, eps: float = EPS, *, keep_mean: bool = False) -> Floats:
    """Divided by the standard deviation plus ``eps``, and with mean 0, or with the mean they had.

    >>> whitened(np.array([1.0, 3.0, 5.0]), eps=0.0).tolist()
    [-1.0, 0.0, 1.0]
    >>> whitened(np.array([1.0, 3.0, 5.0]), eps=0.0, keep_mean=True).tolist()
    [2.0, 3.0, 4.0]
    """
    if not value_T.size:
        return value_T
    mean = float(value_T.mean())
    deviation = float(value_T.std(ddof=1)) if value_T.size > 1 else 0.0
    return (value_T - mean) / (deviation + eps) + (mean if keep_mean else 0.0)


def gae(
    reward_T: Floats, value_T: Floats, length_R: Ints, discount: Discount, after_R: Floats | None = None
) -> Floats:
    """A_t = Σ_k (γλ)^k δ_{t+k}, δ_t = r_t + γV_{t+1} − V_t, over the answer tokens of each row.

    The tokens of a row stand one after another, over all its turns: so the first value of a turn bootstraps
    the last token of the turn before. ``after_R`` is the value of what follows a row's last token: 0 (the
    default) where the answer is finished, V of the state it was cut in where it is not.

    Rewards 0, 1 on values ½, ½ with γ = 1, λ = ½: δ = 0, ½, so A = ¼, ½.

    >>> gae(np.array([0.0, 1.0]), np.array([0.5, 0.5]), np.array([2]), Discount(1.0, 0.5)).tolist()
    [0.25, 0.5]
    """
    if (length_R < 0).any() or not int(length_R.sum()) == reward_T.size == value_T.size:
        raise ValueError(f"{reward_T.size} rewards, {value_T.size} values, {int(length_R.sum())} tokens")
    start_R = np.cumsum(length_R) - length_R
    next_R = np.zeros(length_R.size) if after_R is None else np.array(after_R, dtype=np.float64)
    sum_R, found_T = np.zeros(length_R.size), np.zeros(reward_T.size)
    for t in reversed(range(int(length_R.max(initial=0)))):
        live = length_R > t
        at = start_R[live] + t
        delta = reward_T[at] + discount.gamma * next_R[live] - value_T[at]
        sum_R[live] = delta + discount.gamma * discount.lam * sum_R[live]
        found_T[at], next_R[live] = sum_R[live], value_T[at]
    return found_T


def _homes(group_R: Ints) -> Ints:
    """Groups numbered from 0."""
    return np.unique(group_R, return_inverse=True)[1].astype(np.int64)
