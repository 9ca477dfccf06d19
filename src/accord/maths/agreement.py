"""How far raters agree, beyond chance: Krippendorff's α and Cohen's κ.

α = 1 − D_o/D_e. With m_q verdicts on question q, n of them in all, and δ the disagreement of two verdicts,

    D_o = 1/n · Σ_q Σ_{i≠j in q} δ(v_i, v_j)/(m_q − 1)        D_e = 1/(n(n − 1)) · Σ_{i≠j} δ(v_i, v_j)

1: perfect; 0: as if verdicts were dealt to questions by lot; below 0: worse than that. Missing verdicts are
left out, and questions with one verdict, which say nothing of agreement. Where D_e is 0 all verdicts are the
same, nothing could have disagreed, and α is 0/0: ``Undefined``, never a number.

δ (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability"): nominal, 1 where they differ; interval,
the square of the difference; ordinal, the square of the number of verdicts between them, half of their own
categories included. That last one is the difference of mid-ranks, squared, so ordinal α is interval α of
mid-ranks. For rankings δ is Kendall's distance with ties (Fagin et al. 2006, K^(1/2)).

Deliberate differences from the reference:

1. Answers of different questions have nothing in common, so for rankings chance deals not only rankings to
   questions but names to answers: D_e is the mean over all ways to name them.
2. Intervals resample questions with their verdicts, raters fixed (the reference resamples pairs of verdicts
   as if they were independent). A resample that is unanimous has no α; it counts as −∞ for the lower bound
   and as 1 for the upper one.
"""

# size: one measure for each kind of verdict, and the arithmetic that they share

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np

from accord.maths.intervals import Floats, Ints

__all__ = [
    "Alpha",
    "Kappa",
    "Ranking",
    "Undefined",
    "coded",
    "cohen_kappa",
    "interval_alpha",
    "kendall",
    "nominal_alpha",
    "ordinal_alpha",
    "ranking_alpha",
]

Ranking = Sequence[int]  # the tier of each answer of a question, lower is better, equal is tied

_BLOCK = 2_000_000  # numbers held at once; leaves the stream of the generator as it is
_FEW = 32
_NOTHING = 1e-12  # of the largest disagreement that is possible: below it is rounding


class Alpha(NamedTuple):
    """Krippendorff's α with its interval. ``raw``: the share of pairs of verdicts on a question that agree,
    a question counted once per verdict. ``questions``: those with two verdicts or more; ``verdicts``: theirs.
    """

    value: float
    low: float
    high: float
    raw: float
    questions: int
    verdicts: int


class Undefined(NamedTuple):
    """No figure of agreement, and why: everybody always said the same, or nothing was judged twice.

    >>> print(Undefined("unanimous", 1.0, 12, 24))
    undefined: unanimous (raw agreement 1.00 over 12 questions)
    """

    why: Literal["unanimous", "not measurable"]
    raw: float | None
    questions: int
    verdicts: int

    def __str__(self) -> str:
        if self.raw is None:
            return f"undefined: {self.why} (no question has two verdicts)"
        return f"undefined: {self.why} (raw agreement {self.raw:.2f} over {self.questions} questions)"


class Kappa(NamedTuple):
    """Cohen's κ with its interval, and what it is when nothing is behind it but how often each says what.

    ``null_high``: 95 % of κs of shuffled verdicts lie at or under it; ``p``: the share that are as large as
    what was found, that one included. ``raw``: the share of items on which both say the same.
    """

    value: float
    low: float
    high: float
    null_high: float
    p: float
    raw: float
    n: int


def coded(labels_QR: Sequence[Sequence[str | None]]) -> Floats:
    """Labels as numbers for ``nominal_alpha``, in the order of their names; None is NaN.

    >>> coded([["b", "a"], [None, "b"]]).tolist()
    [[1.0, 0.0], [nan, 1.0]]
    """
    names = sorted({label for row in labels_QR for label in row if label is not None})
    place: Mapping[str | None, float] = {None: math.nan, **{name: float(i) for i, name in enumerate(names)}}
    return np.array([[place[label] for label in row] for row in labels_QR], dtype=np.float64)


def nominal_alpha(
    values_QR: Floats, rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> Alpha | Undefined:
    """α of labels: one row per question, one column per rater, NaN where a verdict is missing.

    Two raters, (a, a) and (a, b): n = 4, D_o = 2/4, D_e = 2·3·1/12 = 1/2, so α = 0.

    >>> nominal_alpha(np.array([[0.0, 0.0], [0.0, 1.0]]), np.random.default_rng(0)).value
    0.0
    """
    verdicts = _verdicts(values_QR)
    levels = _levels(verdicts)
    same_Q = _same(verdicts, levels)

    def disagreement(weight_QB: Floats) -> _Found:
        n_B = verdicts.count_Q @ weight_QB
        said_CB = _said(levels, verdicts, weight_QB)
        expected = 1 - (said_CB * (said_CB - 1)).sum(axis=0) / (n_B * (n_B - 1))
        return _Found(1 - same_Q @ weight_QB / n_B, expected)

    return _alpha(verdicts, disagreement, same_Q, rng, (draws, level))


def interval_alpha(
    values_QR: Floats, rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> Alpha | Undefined:
    """α of numbers whose differences mean something: one row per question, NaN where one is missing.

    (1, 2) and (3, 3): D_o = 2·1/4; the squares over the six pairs are 1, 4, 4, 1, 1, 0, so D_e = 2·11/12 and
    α = 1 − 3/11.

    >>> found = interval_alpha(np.array([[1.0, 2.0], [3.0, 3.0]]), np.random.default_rng(0))
    >>> round(found.value * 11, 9)
    8.0
    """
    verdicts = _verdicts(values_QR)
    value_V, m_Q = verdicts.value_V, verdicts.count_Q
    if value_V.size:  # origin and unit do not change α, and rounding stays small
        value_V = (value_V - value_V.min()) / (float(np.ptp(value_V)) or 1.0)
    sum_Q, square_Q = _by_question(verdicts, value_V), _by_question(verdicts, value_V**2)
    differ_Q = 2 * (m_Q * square_Q - sum_Q**2) / (m_Q - 1)

    def disagreement(weight_QB: Floats) -> _Found:
        n_B = m_Q @ weight_QB
        spread_B = n_B * (square_Q @ weight_QB) - (sum_Q @ weight_QB) ** 2
        return _Found(differ_Q @ weight_QB / n_B, 2 * spread_B / (n_B * (n_B - 1)))

    same_Q = _same(verdicts, _levels(verdicts))
    return _alpha(verdicts, disagreement, same_Q, rng, (draws, level))


def ordinal_alpha(
    values_QR: Floats, rng: np.random.Generator, draws: int = 2000, level: float = 0.95
) -> Alpha | Undefined:
    """α of grades of which only the order means something: one row per question, NaN where one is missing.

    (1, 2) and (9, 9): mid-ranks (1, 2) and (3.5, 3.5). D_o = 2·1/4, D_e = 2·(1 + 2·6.25 + 2·2.25)/12 = 3.

    >>> found = ordinal_alpha(np.array([[1.0, 2.0], [9.0, 9.0]]), np.random.default_rng(0))
    >>> round(found.value * 6, 9)
    5.0
    """
    verdicts = _verdicts(values_QR)
    levels, m_Q = _levels(verdicts), verdicts.count_Q

    def disagreement(weight_QB: Floats) -> _Found:
        n_B = m_Q @ weight_QB
        said_CB = _said(levels, verdicts, weight_QB)
        # Of the resample: how far two grades lie apart depends on who lies between. From −½ to ½.
        rank_CB = (np.cumsum(said_CB, axis=0) - (said_CB + n_B) / 2) / n_B
        sum_QB = _said_by_question(levels, verdicts, rank_CB)
        square_QB = _said_by_question(levels, verdicts, rank_CB**2)
        differ_QB = 2 * (m_Q[:, None] * square_QB - sum_QB**2) / (m_Q[:, None] - 1)
        spread_B = n_B * (said_CB * rank_CB**2).sum(axis=0) - (said_CB * rank_CB).sum(axis=0) ** 2
        return _Found((weight_QB * differ_QB).sum(axis=0) / n_B, 2 * spread_B / (n_B * (n_B - 1)))

    return _alpha(verdicts, disagreement, _same(verdicts, levels), rng, (draws, level))


def kendall(ours: Ranking, theirs: Ranking) -> float:
    """The share of pairs of answers that two rankings order differently; a tie against an order is half one.

    Tiers (1, 2, 3) and (2, 1, 1): first and second are turned, first and third too, second and third are tied
    in one only: (1 + 1 + ½)/3.

    >>> round(6 * kendall((1, 2, 3), (2, 1, 1)), 9), kendall((1, 1), (5, 5)), kendall((1, 2), (2, 1))
    (5.0, 0.0, 1.0)
    """
    _same_answers(ours, theirs)
    return _turned(_orders(ours), _orders(theirs))


def ranking_alpha(
    rankings_QR: Sequence[Sequence[Ranking | None]],
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> Alpha | Undefined:
    """α of rankings with ties: for each question each rater's tiers of its answers, None where missing.

    Two rankings whose shares of tied pairs are t and u differ on average over all ways to name the answers by
    (1 − tu)/2. Only all ties on all sides leave nothing to disagree on. Of two raters of pairs, one question
    agreed, one turned: D_o = (2·0 + 2·1)/4 and D_e = 1/2.

    >>> ranking_alpha([[(1, 2), (1, 2)], [(1, 2), (2, 1)]], np.random.default_rng(0)).value
    0.0
    """
    given = [[tiers for tiers in row if tiers is not None] for row in rankings_QR]
    kept = [row for row in given if len(row) > 1]
    for row in kept:
        for tiers in row:
            _same_answers(row[0], tiers)
    orders = [[_orders(tiers) for tiers in row] for row in kept]  # once each, not once in each pair
    tied_V = np.array([float((order == 0).mean()) for row in orders for order in row])
    verdicts = _Verdicts(tied_V, np.array([float(len(row)) for row in kept]))
    m_Q = verdicts.count_Q
    apart = [[_turned(*two) for two in combinations(row, 2)] for row in orders]
    differ_Q = m_Q * np.array([sum(one) / len(one) for one in apart])
    same_Q = m_Q * np.array([one.count(0.0) / len(one) for one in apart])
    sum_Q, square_Q = _by_question(verdicts, tied_V), _by_question(verdicts, tied_V**2)

    def disagreement(weight_QB: Floats) -> _Found:
        n_B = m_Q @ weight_QB
        tied_B = ((sum_Q @ weight_QB) ** 2 - square_Q @ weight_QB) / (n_B * (n_B - 1))
        return _Found(differ_Q @ weight_QB / n_B, (1 - tied_B) / 2)

    return _alpha(verdicts, disagreement, same_Q, rng, (draws, level))


def cohen_kappa(
    ours: Sequence[str],
    theirs: Sequence[str],
    rng: np.random.Generator,
    draws: int = 2000,
    level: float = 0.95,
) -> Kappa | Undefined:
    """κ = (p_o − p_e)/(1 − p_e) of two labels per item, with p_e what their frequencies alone give.

    The null shuffles one side over the items, which keeps both frequencies, so it is exact whatever they are;
    the interval resamples items. Both sides always the same label: Undefined. ``aabb`` against ``abbb``:
    p_o = 3/4, p_e = ½·¼ + ½·¾ = ½, so κ = ½; the one a of theirs falls on an a of ours in half of all
    shuffles, which is as good as what was seen.

    >>> found = cohen_kappa("aabb", "abbb", np.random.default_rng(0), draws=999)
    >>> found.value, found.raw, 0.45 < found.p < 0.55
    (0.5, 0.75, True)
    """
    n = len(ours)
    if n != len(theirs) or n < 2:
        raise ValueError(f"κ over {n} and {len(theirs)} labels: expected as many, and 2 or more")
    _check((draws, level))
    names = sorted({*ours, *theirs})
    one, other = (np.searchsorted(names, side) for side in (list(ours), list(theirs)))
    share = np.bincount(one * len(names) + other, minlength=len(names) ** 2) / n
    raw, (value, chance) = float((one == other).mean()), (float(v[0]) for v in _kappas(share[None]))
    if math.isnan(value):
        return Undefined("unanimous", raw, n, 2 * n)
    sizes = list(_blocks(draws, n))
    agreeing = [(rng.permuted(np.tile(other, (size, 1)), axis=1) == one).mean(axis=1) for size in sizes]
    null = (np.concatenate(agreeing) - chance) / (1 - chance)
    p = (1 + int((null >= value - _NOTHING).sum())) / (1 + draws)
    again = np.concatenate([_kappas(rng.multinomial(n, share, size=size) / n)[0] for size in sizes])
    high = float(np.quantile(null, 0.95, method="higher"))
    return Kappa(value, *_bounds(again, level), high, p, raw, n)


class _Verdicts(NamedTuple):
    """Verdicts that can be paired, question by question, and how many each question has (two or more)."""

    value_V: Floats
    count_Q: Floats


class _Levels(NamedTuple):
    """Which of the different values each verdict is, and the verdicts sorted by it."""

    code_V: Ints
    sorted_V: Ints
    start_C: Ints


class _Found(NamedTuple):
    observed_B: Floats
    expected_B: Floats


def _verdicts(values_QR: Floats) -> _Verdicts:
    if values_QR.ndim != 2 or np.isinf(values_QR).any():
        raise ValueError(f"verdicts of shape {values_QR.shape}: expected finite numbers, questions by raters")
    there_QR = ~np.isnan(values_QR)
    there_QR[there_QR.sum(axis=1) < 2] = False
    count_Q = there_QR.sum(axis=1).astype(np.float64)
    return _Verdicts(values_QR[there_QR], count_Q[count_Q > 0])


def _question(verdicts: _Verdicts) -> Ints:
    return np.repeat(np.arange(verdicts.count_Q.size), verdicts.count_Q.astype(np.int64))


def _by_question(verdicts: _Verdicts, of_V: Floats) -> Floats:
    """Sums over the verdicts of each question; further axes stay."""
    start_Q = np.cumsum(verdicts.count_Q) - verdicts.count_Q
    return np.add.reduceat(of_V, start_Q.astype(np.int64), axis=0)


def _levels(verdicts: _Verdicts) -> _Levels:
    names, code_V = np.unique(verdicts.value_V, return_inverse=True)
    sorted_V = np.argsort(code_V, kind="stable")
    return _Levels(code_V, sorted_V, np.searchsorted(code_V[sorted_V], np.arange(names.size)))


def _said(levels: _Levels, verdicts: _Verdicts, weight_QB: Floats) -> Floats:
    """How often each value was said, in each resample."""
    if (table_QC := _table(levels, verdicts)) is not None:
        return table_QC.T @ weight_QB
    weight_VB = weight_QB[_question(verdicts)]
    return np.add.reduceat(weight_VB[levels.sorted_V], levels.start_C, axis=0)


def _said_by_question(levels: _Levels, verdicts: _Verdicts, of_CB: Floats) -> Floats:
    """The sum over the verdicts of each question of what their values stand for."""
    table_QC = _table(levels, verdicts)
    return _by_question(verdicts, of_CB[levels.code_V]) if table_QC is None else table_QC @ of_CB


def _table(levels: _Levels, verdicts: _Verdicts) -> Floats | None:
    """How often each question got each value; None where there are many, and it would be mostly empty."""
    values, questions = levels.start_C.size, verdicts.count_Q.size
    if values > _FEW:
        return None
    cells = _question(verdicts) * values + levels.code_V
    return np.bincount(cells, minlength=questions * values).reshape(questions, values).astype(np.float64)


def _same(verdicts: _Verdicts, levels: _Levels) -> Floats:
    """For each question m times the share of its pairs of verdicts that are the same."""
    places = max(1, levels.start_C.size)
    cells, counts = np.unique(_question(verdicts) * places + levels.code_V, return_counts=True)
    size = verdicts.count_Q.size
    pairs_Q = np.bincount(cells // places, weights=counts * (counts - 1.0), minlength=size)
    return pairs_Q / (verdicts.count_Q - 1)


def _orders(tiers: Ranking) -> Ints:
    """−1, 0 or 1 for each pair of answers: the first one is better, tied, worse."""
    tier_A = np.asarray(tiers, dtype=np.int64)
    first, second = _pairs(tier_A.size)
    return np.sign(tier_A[first] - tier_A[second])


@cache
def _pairs(size: int) -> tuple[Ints, Ints]:
    first, second = np.triu_indices(size, k=1)
    return first, second


def _turned(one: Ints, other: Ints) -> float:
    return float(np.abs(one - other).mean() / 2)


def _same_answers(ours: Ranking, theirs: Ranking) -> None:
    if len(ours) != len(theirs) or len(ours) < 2:
        raise ValueError(f"rankings of {len(ours)} and {len(theirs)} answers: expected as many, 2 or more")


def _alpha(
    verdicts: _Verdicts,
    disagreement: Callable[[Floats], _Found],
    same_Q: Floats,
    rng: np.random.Generator,
    plan: tuple[int, float],
) -> Alpha | Undefined:
    _check(plan)
    (draws, level), questions, n = plan, verdicts.count_Q.size, verdicts.value_V.size
    if not questions:
        return Undefined("not measurable", None, 0, 0)
    raw = float(same_Q.sum() / n)
    value = float(_values(disagreement(np.ones((questions, 1))))[0])
    if math.isnan(value):
        return Undefined("unanimous", raw, questions, n)
    if questions == 1:  # it says nothing of others
        return Alpha(value, -math.inf, 1.0, raw, questions, n)
    weights = (_resampled(questions, size, rng) for size in _blocks(draws, n))
    again = np.concatenate([_values(disagreement(weight_QB)) for weight_QB in weights])
    return Alpha(value, *_bounds(again, level), raw, questions, n)


def _resampled(questions: int, size: int, rng: np.random.Generator) -> Floats:
    """How often each question is in each resample. Counted: a multinomial draw takes ten times as long."""
    drawn_BQ = rng.integers(questions, size=(size, questions))
    return np.stack([np.bincount(row, minlength=questions) for row in drawn_BQ], axis=1).astype(np.float64)


def _values(found: _Found) -> Floats:
    """α of each resample, NaN where nothing could have disagreed."""
    sound = found.expected_B > _NOTHING
    return 1 - np.divide(found.observed_B, found.expected_B, out=np.full(sound.shape, np.nan), where=sound)


def _kappas(share_BC: Floats) -> tuple[Floats, Floats]:
    """κ of each row of cells of a square table, and what chance explains; NaN where that is everything."""
    side = math.isqrt(share_BC.shape[1])
    table = share_BC.reshape(-1, side, side)
    chance = (table.sum(axis=1) * table.sum(axis=2)).sum(axis=1)
    room = np.where(chance < 1 - _NOTHING, 1 - chance, np.nan)
    return 1 - (1 - np.trace(table, axis1=1, axis2=2)) / room, chance


def _bounds(values: Floats, level: float) -> tuple[float, float]:
    """Percentiles; a resample without a value is worst for either bound."""
    half = (1 - level) / 2
    low = np.quantile(np.where(np.isnan(values), -np.inf, values), half, method="lower")
    high = np.quantile(np.where(np.isnan(values), 1.0, values), 1 - half, method="higher")
    return float(low), float(high)


def _blocks(draws: int, size: int) -> Iterator[int]:
    block = max(1, _BLOCK // size)
    return (min(block, draws - start) for start in range(0, draws, block))


def _check(plan: tuple[int, float]) -> None:
    draws, level = plan
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"{draws} draws at level {level}: expected one or more, between 0 and 1")
