"""The gold of the best of n, from answers that were all judged: does it turn within the n that are tried?

Of N answers with proxy and gold, the best of a random n of them has the gold (order statistics, unbiased)

    gold(n) = Σ_i C(i−1, n−1)/C(N, n) · gold of the answer that is i-th by proxy, worst first

at a distance d(n) = √(ln n − (n−1)/n) from the base, exact where no two proxies are equal. Over n = 1, 2, …
the curve R(0) + d·(a − b·d) of 2210.10760 is fitted, whose peak d* is a/2b (``maths.overuse``).

1. Answers of one proxy share their mean gold: ties are broken by lot.
2. The points of a curve come from the same answers, so no formula for independent ones holds: intervals
   resample prompts and fit anew.
3. A curve that only falls has its peak at 0, one that only rises at ∞.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from accord.maths.intervals import Interval
from accord.maths.overuse import peak, value_at
from accord.records.rows import Floats

__all__ = ["MOST", "best_of", "distance", "turning"]

MOST = 64
"""The n up to which a gate asks; d is 1.78 there."""


def distance(n: int) -> float:
    """d of the best of n.

    >>> distance(1), round(distance(64), 4)
    (0.0, 1.7817)
    """
    return math.sqrt(math.log(n) - (n - 1) / n)


def best_of(proxy_G: Floats, gold_G: Floats, n_N: Sequence[int]) -> Floats:
    """The expected gold of the best of each n by proxy.

    Of proxies 0, 1, 2 with gold 6, 3, 0: any one has 3; of two, the second is best once and the third twice,
    (3 + 0)/3; of three, the third.

    >>> best_of(np.array([0.0, 1.0, 2.0]), np.array([6.0, 3.0, 0.0]), [1, 2, 3]).tolist()
    [3.0, 1.0, 0.0]
    """
    size = proxy_G.size
    if size < max(n_N) or not np.isfinite([proxy_G, gold_G]).all():
        raise ValueError(f"the best of {max(n_N)} among {size} answers: expected as many, all judged")
    order = np.argsort(proxy_G, kind="stable")
    _, place_G = np.unique(proxy_G[order], return_inverse=True)
    tied_G = (np.bincount(place_G, weights=gold_G[order]) / np.bincount(place_G))[place_G]
    return np.array([float(_chance(size, n) @ tied_G) for n in n_N])


def turning(curve_PN: Floats, n_N: Sequence[int], rng: np.random.Generator, draws: int = 2000) -> Interval:
    """d* of the mean curve, with its 95 % interval over prompts.

    Two prompts whose gold is d·(3 − d): the peak is at 1.5 in every resample.

    >>> n = [1, 2, 4, 8, 16, 32, 64]
    >>> d = np.array([distance(k) for k in n])
    >>> print("%.4f %.4f" % turning(np.stack([d * (3 - d)] * 2), n, np.random.default_rng(0))[:2])
    1.5000 1.5000
    """
    prompts = len(curve_PN)
    if prompts < 2 or len(n_N) < 4:
        raise ValueError(f"{prompts} prompts and {len(n_N)} numbers of answers: expected 2 and 4 or more")
    d_N = np.array([distance(n) for n in n_N])
    inverse = np.linalg.pinv(np.stack([np.ones(d_N.size), d_N, -(d_N**2)], axis=1))
    count_DP = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=draws)
    weight_BP = np.vstack([np.ones((1, prompts)), count_DP]) / prompts
    found = np.array([_peak(a, b, float(d_N[-1])) for _, a, b in (weight_BP @ curve_PN @ inverse.T).tolist()])
    # A peak may be infinite; between it and another nothing can be interpolated.
    ordered, last = np.sort(found[1:]), draws - 1
    return Interval(
        float(found[0]), float(ordered[math.floor(0.025 * last)]), float(ordered[math.ceil(0.975 * last)])
    )


def _peak(a: float, b: float, furthest: float) -> float:
    if b <= 0 and value_at("best_of_n", np.array([furthest]), a, b)[0] <= 0:
        return 0.0
    return peak("best_of_n", a, b)


def _chance(size: int, n: int) -> Floats:
    """That the i-th of ``size``, worst first, is the best of a random n of them."""
    return np.array([math.comb(i, n - 1) / math.comb(size, n) for i in range(size)])
