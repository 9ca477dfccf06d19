"""Where all answers can be listed: the best policy under a KL penalty, and the best of n, exactly.

    π*(y) ∝ π_ref(y)·e^{r(y)/β}, which has the highest E[r] − β·KL(π‖π_ref)
    π_n(y) = F(y)ⁿ − F(y−)ⁿ, F(y) the share of answers whose proxy is not over that of y

Where no two answers tie and each is improbable, KL(π_n‖π_ref) = ln n − (n−1)/n (``divergences``) and
the total variation is (n−1)·n^{−n/(n−1)}; otherwise both are less (2401.01879,
and the data processing inequality).

Axes: ``_A`` all answers. Shares are over 0 and sum to 1.
"""

from __future__ import annotations

import numpy as np

from accord.records.rows import Floats

__all__ = ["kl", "of_best", "tilted", "variation", "variation_bound"]


def tilted(share_A: Floats, reward_A: Floats, beta: float) -> Floats:
    """π*, the shares of the optimum.

    Of two equal answers one has ln 3 more at β = 1: three times as probable.

    >>> tilted(np.array([0.5, 0.5]), np.array([0.0, np.log(3)]), 1.0).round(9).tolist()
    [0.25, 0.75]
    """
    if beta <= 0:
        raise ValueError(f"the penalty β is {beta}: expected more than 0")
    weight_A = share_A * np.exp((reward_A - reward_A.max()) / beta)
    return weight_A / weight_A.sum()


def of_best(share_A: Floats, proxy_A: Floats, n: int) -> Floats:
    """π_n, the shares of what n draws and a choice by proxy give; ties are broken by lot.

    Of two draws from two equal answers, both are the worse one a quarter of the time.

    >>> of_best(np.array([0.5, 0.5]), np.array([1.0, 2.0]), 2).tolist()
    [0.25, 0.75]
    >>> of_best(np.array([0.5, 0.25, 0.25]), np.array([1.0, 2.0, 2.0]), 2).tolist()
    [0.25, 0.375, 0.375]
    """
    if n < 1:
        raise ValueError(f"the best of {n} answers: expected at least 1")
    _, place_A = np.unique(proxy_A, return_inverse=True)
    tier = np.bincount(place_A, weights=share_A)
    below = np.concatenate([[0.0], np.cumsum(tier)])
    chosen = np.diff((below / below[-1]) ** n)
    return share_A * (chosen / tier)[place_A]


def kl(one_A: Floats, other_A: Floats) -> float:
    """KL(one‖other) in nats; where one is 0 nothing is added.

    >>> round(kl(np.array([1.0, 0.0]), np.array([0.25, 0.75])), 4)
    1.3863
    """
    held = one_A > 0
    return float((one_A[held] * np.log(one_A[held] / other_A[held])).sum())


def variation(one_A: Floats, other_A: Floats) -> float:
    """Total variation, ½Σ|one − other|.

    >>> variation(np.array([1.0, 0.0]), np.array([0.25, 0.75]))
    0.75
    """
    return float(0.5 * np.abs(one_A - other_A).sum())


def variation_bound(n: int) -> float:
    """The most that the best of n can be away from the base: (n−1)·n^{−n/(n−1)}.

    The density of the chosen among u = F is n·uⁿ⁻¹, which is over 1 from u₀ = n^{−1/(n−1)} on; u₀ − u₀ⁿ lies
    in between. n = 2: ½ − ¼.

    >>> variation_bound(1), variation_bound(2), round(variation_bound(64), 4)
    (0.0, 0.25, 0.9215)
    """
    if n < 1:
        raise ValueError(f"the best of {n} answers: expected at least 1")
    return (n - 1) * n ** (-n / (n - 1)) if n > 1 else 0.0
