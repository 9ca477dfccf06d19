"""Estimates of KL(π‖π_ref) from log-probabilities of tokens that π drew.

With r = log π − log π_ref of a drawn token: k1 = r is unbiased and may be negative; k2 = ½r² is biased, with
little variance; k3 = e⁻ʳ − 1 + r is never negative, and unbiased where π excludes no token that π_ref allows.
Summed over an answer, k1 and k3 both have the KL of whole answers as their mean: each token adds the KL of
its own decision, given the tokens before it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_of_n_bound", "k1", "k2", "k3", "totals"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def k1(logp_T: Floats, ref_T: Floats) -> Floats:
    """log π − log π_ref of each token.

    A token of probability ½ under π and ¼ under π_ref: ln 2.

    >>> float(k1(np.log([0.5]), np.log([0.25]))[0]) == math.log(2)
    True
    """
    if logp_T.shape != ref_T.shape:
        raise ValueError(
            f"log-probabilities of shapes {logp_T.shape} and {ref_T.shape} belong to other tokens"
        )
    return logp_T - ref_T


def k2(logp_T: Floats, ref_T: Floats) -> Floats:
    """Half the square of k1.

    >>> float(k2(np.array([-1.0]), np.array([-3.0]))[0])
    2.0
    """
    return 0.5 * k1(logp_T, ref_T) ** 2


def k3(logp_T: Floats, ref_T: Floats) -> Floats:
    """π_ref/π − 1 + log π/π_ref of each token; never negative.

    ½ under π and ¼ under π_ref: ½ − 1 + ln 2 = .1931.

    >>> round(float(k3(np.log([0.5]), np.log([0.25]))[0]), 4)
    0.1931
    """
    ratio = k1(logp_T, ref_T)
    # Near zero e⁻ʳ − 1 loses all digits that r has; expm1 keeps them.
    return np.expm1(-ratio) + ratio


def totals(values_T: Floats, lengths_S: Ints) -> Floats:
    """The sum over each answer's tokens; ``values_T`` holds the answers one after another.

    An answer without tokens sums to 0. Lengths that do not add up to the values: ValueError.

    >>> totals(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 1])).tolist()
    [3.0, 0.0, 4.0]
    """
    if (lengths_S < 0).any() or int(lengths_S.sum()) != values_T.size:
        raise ValueError(f"lengths that sum to {int(lengths_S.sum())} for {values_T.size} values")
    sums_S = np.zeros(lengths_S.size)
    np.add.at(sums_S, np.repeat(np.arange(lengths_S.size), lengths_S), values_T)
    return sums_S


def best_of_n_bound(n: int) -> float:
    """The most KL that choosing the best of n answers can cost: ln n − (n−1)/n nats (2401.01879).

    Exact where no two answers tie. n = 2: .6931 − .5.

    >>> best_of_n_bound(1), round(best_of_n_bound(2), 4)
    (0.0, 0.1931)
    """
    if n < 1:
        raise ValueError(f"the best of {n} answers: expected at least 1")
    return math.log(n) - (n - 1) / n
