"""Whether answers to questions with listed options are more than chance: their largest share, and α.

Over n sessions that each answer a question with k options once, the null of the largest share is the 95 %
quantile of max_c n_c/n where every answer is drawn from the options alike. Consistency over questions ×
sessions is Krippendorff's α (``agreement.py``), 1 − D_o/D_e.

Deliberate differences from ``agreement.nominal_alpha``:

1. Options of different questions have nothing in common, so chance deals names to options too, as it does
   there for rankings: two listed answers to different questions agree with probability 1/k, k being the
   larger number of options. Else α would be above 0 for lots, since such answers never agree.
2. Its interval resamples sessions, not questions: the figure ± 1.96 bootstrap standard errors. A session that
   was drawn twice is not compared with itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from accord.maths.intervals import Interval, clopper_pearson

__all__ = ["consistency", "null_share", "share_interval"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_WIDE = 1.959963984540054
_NOTHING = 1e-12


@cache
def null_share(n: int, options: int, level: float = 0.95) -> float:
    """The smallest share that the largest of ``options`` stays at or under in n uniform draws, with
    probability ``level`` or more. Exact: the multinomial counts with no cell above m, by convolution.

    Two draws of two: both alike in half of all cases, so only 1 is enough. Three of two: 3 alike in 1/4.

    >>> null_share(2, 2), null_share(3, 2), null_share(100, 2)
    (1.0, 1.0, 0.6)
    """
    if n < 1 or options < 2:
        raise ValueError(f"{n} draws from {options} options: expected one or more, from two or more")
    for most in range(math.ceil(n / options), n):
        within = np.array([math.exp(-math.lgamma(j + 1)) for j in range(most + 1)])
        ways = np.ones(1)
        for _ in range(options):
            ways = np.convolve(ways, within)[: n + 1]
        chance = float(ways[n]) * math.exp(math.lgamma(n + 1) - n * math.log(options)) if ways.size > n else 0
        if chance >= level:
            return most / n
    return 1.0


def share_interval(said: int, n: int, level: float = 0.95) -> Interval:
    """The share of n sessions that said it, with its interval over resampled sessions.

    A resample of sessions that each say it or not is a binomial draw, so its percentiles are exact and need
    no lot. Where all did, or none, no spread was seen, and the interval is the exact binomial one. Three of
    four: resamples give 1 or fewer with probability .051, none with .004, so the lower end is 1/4.

    >>> share_interval(3, 4), share_interval(4, 4).high
    (Interval(value=0.75, low=0.25, high=1.0), 1.0)
    """
    if said in (0, n):
        return clopper_pearson(said, n, level)
    share, below, low, high = said / n, 0.0, None, None
    for m in range(n + 1):
        ways = math.lgamma(n + 1) - math.lgamma(m + 1) - math.lgamma(n - m + 1)
        below += math.exp(ways + m * math.log(share) + (n - m) * math.log1p(-share))
        low = m if low is None and below >= (1 - level) / 2 else low
        high = m if high is None and below >= (1 + level) / 2 - _NOTHING else high
    return Interval(share, (low or 0) / n, (n if high is None else high) / n)


def consistency(
    codes_QS: Ints, options_Q: Sequence[int], rng: np.random.Generator, draws: int = 500
) -> Interval | None:
    """α of what sessions said, with its interval; one row per question, one column per session.

    A code is the place of an option (from 0), or negative for what is no option, which means the same in
    every question. None where all sessions always said the same, or fewer than two were held.

    Two questions of two options, three sessions that always agree, but not on the same code: D_o = 0. Codes
    (0, 0) and (0, 1): in each question 1 of 1 and 0 of 1 pairs agree, D_o = ½; D_e is ½ in expectation over
    the names across questions, and ½ within them: α = 0.

    >>> agreed = np.array([[0, 0, 0], [1, 1, 1]])
    >>> consistency(agreed, (2, 2), np.random.default_rng(0)).value
    1.0
    >>> abs(consistency(np.array([[0, 0], [0, 1]]), (2, 2), np.random.default_rng(0)).value) < 1e-12
    True
    """
    questions, sessions = int(codes_QS.shape[0]), int(codes_QS.shape[1])
    if len(options_Q) != questions:
        raise ValueError(f"options of {len(options_Q)} questions, codes of {questions}")
    if questions == 0 or sessions < 2:
        return None
    names = np.unique(codes_QS)
    said_QSC = (codes_QS[:, :, None] == names).astype(np.float64)
    value = _alpha(said_QSC, names, options_Q, np.ones(sessions))
    if value is None:
        return None
    again: list[float] = []
    for _ in range(draws):
        weight_S = np.bincount(rng.integers(sessions, size=sessions), minlength=sessions).astype(np.float64)
        one = _alpha(said_QSC, names, options_Q, weight_S)
        again.append(1.0 if one is None else one)
    width = _WIDE * float(np.std(again))
    return Interval(value, max(-1.0, value - width), min(1.0, value + width))


def _alpha(said_QSC: Floats, names: Ints, options_Q: Sequence[int], weight_S: Floats) -> float | None:
    """α of the sessions, each counted so often; None where nothing could have disagreed."""
    n, own = float(weight_S.sum()), float((weight_S**2).sum())
    pairs = n * n - own
    if pairs <= 0:
        return None  # one session, drawn over and over
    count_QC = np.einsum("qsc,s->qc", said_QSC, weight_S)
    agree_Q = (count_QC**2).sum(axis=1) - own
    listed_Q = count_QC[:, names >= 0].sum(axis=1)
    apart_QC = count_QC[:, names < 0]
    both = np.outer(listed_Q, listed_Q) / np.maximum.outer(np.array(options_Q), np.array(options_Q))
    both += apart_QC @ apart_QC.T
    np.fill_diagonal(both, 0.0)
    questions = len(options_Q)
    across = questions * (questions - 1) * n * n
    expected = 1 - (float(both.sum()) + float(agree_Q.sum())) / (across + questions * pairs)
    observed = 1 - float(agree_Q.sum()) / (questions * pairs)
    return None if expected <= _NOTHING else 1 - observed / expected
