"""Mutants these kill: m for m−1 or n for n−1, missing verdicts as a value, questions with one verdict kept,
order statistics for grades read as numbers, mid-ranks of all data in a resample, ties ignored or counted
whole, raters resampled with questions, a number where everybody said the same, a null that moves the
frequencies."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.maths import agreement
from accord.maths.agreement import (
    Alpha,
    Kappa,
    Undefined,
    coded,
    cohen_kappa,
    interval_alpha,
    kendall,
    nominal_alpha,
    ordinal_alpha,
    ranking_alpha,
)

_ = None
MEASURES = {"nominal": nominal_alpha, "ordinal": ordinal_alpha, "interval": interval_alpha}

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units.
FOUR = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
# The three coders and fifteen units of the encyclopedias.
THREE = [
    [_, _, _, _, _, 3, 4, 1, 2, 1, 1, 3, 3, _, 3],
    [1, _, 2, 1, 3, 3, 4, 3, _, _, _, _, _, _, _],
    [_, _, 2, 1, 3, 4, 4, _, 2, 1, 1, 3, 3, _, 4],
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def table(by_rater: Sequence[Sequence[int | None]]) -> np.ndarray:
    return np.array([[math.nan if v is None else v for v in row] for row in by_rater], dtype=float).T


def by_coincidences(by_rater: Sequence[Sequence[int | None]], metric: str) -> Fraction | None:
    """Krippendorff's own way, in fractions: the coincidence matrix, then a table of differences."""
    together: Counter[tuple[int, int]] = Counter()
    for unit in zip(*by_rater, strict=True):
        values = [v for v in unit if v is not None]
        for c, k in itertools.permutations(values, 2):
            together[c, k] += Fraction(1, len(values) - 1)  # type: ignore[assignment]
    margin: Counter[int] = Counter()
    for (c, _k), count in together.items():
        margin[c] += count
    n = sum(margin.values())
    names = sorted(margin)

    def apart(c: int, k: int) -> Fraction:
        if metric == "nominal":
            return Fraction(c != k)
        if metric == "interval":
            return Fraction((c - k) ** 2)
        between = [g for g in names if min(c, k) <= g <= max(c, k)]
        return Fraction(sum(margin[g] for g in between) - Fraction(margin[c] + margin[k], 2)) ** 2

    pairs = list(itertools.product(names, names))
    expected = sum(margin[c] * margin[k] * apart(c, k) for c, k in pairs)
    if not expected:
        return None
    return 1 - (n - 1) * sum(together[c, k] * apart(c, k) for c, k in pairs) / Fraction(expected)


@pytest.mark.parametrize(
    ("metric", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_four_observers_as_published(metric: str, published: float) -> None:
    found = MEASURES[metric](table(FOUR), rng())
    assert isinstance(found, Alpha)
    assert round(found.value, 3) == published
    assert found.value == pytest.approx(float(by_coincidences(FOUR, metric)), abs=1e-12)
    assert (found.questions, found.verdicts) == (11, 40), "the unit that one observer saw is left out"
    assert found.low < found.value < found.high <= 1


@pytest.mark.parametrize(("metric", "published"), [("nominal", 0.691), ("interval", 0.811)])
def test_three_coders_as_published(metric: str, published: float) -> None:
    found = MEASURES[metric](table(THREE), rng())
    assert round(found.value, 3) == published
    assert (found.questions, found.verdicts) == (12, 26)


def test_two_observers_as_published() -> None:
    """Krippendorff 2011, sections A (binary) and B (nominal)."""
    meg, owen = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert round(nominal_alpha(table([meg, owen]), rng()).value, 3) == 0.095
    ben, gerry = "aabbdcccedda", "babbbcccedddd"[:12]
    found = nominal_alpha(coded(list(zip(ben, gerry, strict=True))), rng())
    assert round(found.value, 3) == 0.692


@pytest.mark.parametrize("metric", MEASURES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_is_what_the_coincidence_matrix_gives(metric: str, data: st.DataObject) -> None:
    units = data.draw(st.integers(1, 7))
    values = st.none() | st.integers(1, 4)
    rows = data.draw(st.lists(st.lists(values, min_size=units, max_size=units), min_size=2, max_size=4))
    expected, found = by_coincidences(rows, metric), MEASURES[metric](table(rows), rng(), draws=20)
    if expected is None:
        assert isinstance(found, Undefined)
        pairable = [u for u in zip(*rows, strict=True) if len([v for v in u if v is not None]) > 1]
        assert found.why == ("unanimous" if pairable else "not measurable")
        assert found.raw == (1.0 if pairable else None)
    else:
        assert isinstance(found, Alpha)
        assert found.value == pytest.approx(float(expected), abs=1e-9)


def test_only_the_order_of_grades_counts_for_ordinal_and_only_differences_for_interval() -> None:
    grades = table(FOUR)
    assert ordinal_alpha(np.exp(grades), rng()) == ordinal_alpha(grades, rng())
    assert interval_alpha(np.exp(grades), rng()).value != pytest.approx(interval_alpha(grades, rng()).value)
    assert interval_alpha(1e6 + 7e-3 * grades, rng()).value == pytest.approx(
        interval_alpha(grades, rng()).value, abs=1e-6
    )


def test_raters_and_questions_have_no_order() -> None:
    grades = table(FOUR)
    for metric in MEASURES.values():
        turned = metric(grades[::-1, ::-1], rng())
        assert turned.value == pytest.approx(metric(grades, rng()).value, abs=1e-12)


@pytest.mark.parametrize("metric", MEASURES)
def test_everybody_says_the_same_is_no_number(metric: str) -> None:
    found = MEASURES[metric](np.full((12, 2), 3.0), rng())
    assert found == Undefined("unanimous", 1.0, 12, 24)
    assert str(found) == "undefined: unanimous (raw agreement 1.00 over 12 questions)"
    with pytest.raises(TypeError):
        float(found)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", MEASURES)
@pytest.mark.parametrize("values", [np.empty((0, 3)), np.array([[1.0, np.nan], [np.nan, 2.0]])])
def test_single_verdicts_are_not_measurable(metric: str, values: np.ndarray) -> None:
    found = MEASURES[metric](values, rng())
    assert found == Undefined("not measurable", None, 0, 0)
    assert "no question has two verdicts" in str(found)


def test_raw_agreement_is_that_of_pairs() -> None:
    # (a, a, b): one of three pairs; (a, a): all. By verdicts: (3·⅓ + 2·1)/5.
    found = nominal_alpha(np.array([[0.0, 0.0, 1.0], [0.0, 0.0, np.nan]]), rng())
    assert found.raw == pytest.approx(3 / 5)


def test_a_unanimous_resample_widens_both_bounds() -> None:
    # One odd verdict in 12 questions: (11/12)^12 = 35 % of resamples miss it and have no α.
    values = np.zeros((12, 2))
    values[0, 0] = 1
    found = nominal_alpha(values, rng())
    assert (found.low, found.high) == (-math.inf, 1.0)
    one = nominal_alpha(np.array([[0.0, 1.0]]), rng())
    assert (one.value, one.low, one.high) == (0.0, -math.inf, 1.0), "one question says nothing of others"


def test_questions_are_resampled_and_raters_are_not() -> None:
    """By hand: draw questions with replacement, and compute α of each draw anew, mid-ranks included."""
    values = rng(3).integers(1, 5, size=(9, 3)).astype(float)
    values[0, 0] = np.nan
    for metric in MEASURES.values():
        found, stream = metric(values, rng(1), draws=200), rng(1)
        again = []
        for _draw in range(200):
            drawn = stream.integers(9, size=9)
            again.append(metric(values[np.sort(drawn)], rng(), draws=1).value)
        assert found.low == pytest.approx(np.quantile(again, 0.025, method="lower"), abs=1e-9)
        assert found.high == pytest.approx(np.quantile(again, 0.975, method="higher"), abs=1e-9)


def test_chance_comes_from_the_generator_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ordinal_alpha(table(FOUR), rng(3), draws=50)
    monkeypatch.setattr(agreement, "_BLOCK", 90)
    assert ordinal_alpha(table(FOUR), rng(3), draws=50) == whole
    assert ordinal_alpha(table(FOUR), rng(4), draws=50) != whole


def test_intervals_cover_what_all_questions_would_give() -> None:
    """Three raters see a coin through noise; α of 200,000 questions stands for the truth."""

    def seen(questions: int, source: np.random.Generator) -> np.ndarray:
        coin = source.integers(2, size=(questions, 1))
        return (coin ^ (source.random((questions, 3)) < 0.15)).astype(float)

    truth = nominal_alpha(seen(200_000, rng(8)), rng(), draws=1).value
    # Each agrees with the coin by .85, so two agree by .745; chance gives ½: α = .49.
    assert truth == pytest.approx(0.49, abs=0.005)
    source, within = rng(9), 0
    for _run in range(300):
        found = nominal_alpha(seen(100, source), source, draws=400)
        within += found.low <= truth <= found.high
    # Binomial: .95 ± 3·√(.95·.05/300).
    assert 0.912 <= within / 300 <= 0.988


def naming(tiers: Sequence[int], names: Sequence[int]) -> tuple[int, ...]:
    return tuple(tiers[i] for i in names)


def turned_pairs(ours: Sequence[int], theirs: Sequence[int]) -> Fraction:
    """Kendall's distance with ties, by cases."""
    total = Fraction(0)
    pairs = list(itertools.combinations(range(len(ours)), 2))
    for i, j in pairs:
        a, b = ours[i] - ours[j], theirs[i] - theirs[j]
        if a * b < 0:
            total += 1
        elif (a == 0) != (b == 0):
            total += Fraction(1, 2)
    return total / len(pairs)


def by_naming(rankings: Sequence[Sequence[Sequence[int]]]) -> Fraction | None:
    """α of rankings with chance enumerated: every pair of rankings, every way to name the answers."""
    flat = [r for row in rankings for r in row]
    n, size = len(flat), len(flat[0])
    names = list(itertools.permutations(range(size)))
    observed = sum(
        turned_pairs(a, b) / (len(row) - 1) for row in rankings for a, b in itertools.permutations(row, 2)
    )
    expected = sum(
        sum(turned_pairs(a, naming(b, p)) for p in names) / len(names)
        for a, b in itertools.permutations(flat, 2)
    )
    return None if not expected else 1 - Fraction(observed, n) / Fraction(expected, n * (n - 1))


@pytest.mark.parametrize("answers", [2, 3, 4])
def test_rankings_are_compared_with_every_way_to_name_the_answers(answers: int) -> None:
    source = rng(answers)
    for _case in range(4):
        rankings = [
            [tuple(int(t) for t in source.integers(0, answers, size=answers)) for _rater in range(raters)]
            for raters in (2, 3, 2)
        ]
        found = ranking_alpha(rankings, rng(), draws=10)
        assert found.value == pytest.approx(float(by_naming(rankings)), abs=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=6))
def test_kendall_counts_a_tie_against_an_order_half(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [a for a, _b in pairs], [b for _a, b in pairs]
    assert kendall(ours, theirs) == pytest.approx(float(turned_pairs(ours, theirs)))
    assert kendall(ours, theirs) == kendall(theirs, ours)
    assert kendall(ours, ours) == 0
    assert kendall([10 * t for t in ours], theirs) == kendall(ours, theirs), "tiers are an order, no distance"


def test_the_order_of_a_question_s_answers_does_not_matter() -> None:
    rankings = [[(1, 2, 2), (1, 2, 3)], [(3, 2, 1), (3, 1, 2)], [(2, 1, 3), None, (2, 2, 1)]]
    mixed = [
        [r and naming(r, names) for r in row] for row, names in zip(rankings, [(1, 0, 2)] * 3, strict=True)
    ]
    assert ranking_alpha(mixed, rng()) == ranking_alpha(rankings, rng())


def test_rankings_that_agree_disagree_and_say_nothing() -> None:
    same = [[(1, 2, 3)] * 3, [(2, 1, 3)] * 3]
    assert ranking_alpha(same, rng()) == Alpha(1.0, 1.0, 1.0, 1.0, 2, 6)
    against = ranking_alpha([[(1, 2), (2, 1)]] * 8, rng())
    assert (against.value, against.raw) == (-1.0, 0.0)
    assert ranking_alpha([[(1, 1), (4, 4)]] * 3, rng()) == Undefined("unanimous", 1.0, 3, 6)
    assert ranking_alpha([[(1, 2), None], []], rng()) == Undefined("not measurable", None, 0, 0)
    with pytest.raises(ValueError, match="rankings of 2 and 3"):
        ranking_alpha([[(1, 2), (1, 2, 3)]], rng())


def test_rankings_by_lot_have_no_agreement() -> None:
    source = rng(5)
    by_lot = [[tuple(source.permutation(3).tolist()) for _rater in range(3)] for _question in range(400)]
    found = ranking_alpha(by_lot, source)
    assert found.low < 0 < found.high
    assert abs(found.value) < 0.06


@pytest.mark.parametrize("measure", [nominal_alpha, ordinal_alpha, interval_alpha])
def test_what_is_no_table_of_verdicts_is_refused(measure: Callable[..., object]) -> None:
    for bad in (np.array([1.0, 2.0]), np.array([[1.0, np.inf]])):
        with pytest.raises(ValueError, match="questions by raters"):
            measure(bad, rng())
    for plan in ({"draws": 0}, {"level": 1.0}):
        with pytest.raises(ValueError, match="expected one or more"):
            measure(table(FOUR), rng(), **plan)


# κ: Cohen 1960, and the 50 grant proposals of the encyclopedias: 20 + 15 agree, 5 and 10 do not, κ = .4.
PROPOSALS = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15


def kappa_of(cells: Sequence[tuple[str, str]]) -> Fraction:
    n = len(cells)
    ours, theirs = Counter(a for a, _b in cells), Counter(b for _a, b in cells)
    chance = sum(Fraction(ours[c] * theirs[c], n * n) for c in ours)
    return (Fraction(sum(a == b for a, b in cells), n) - chance) / (1 - chance)


def test_kappa_as_published() -> None:
    ours, theirs = zip(*PROPOSALS, strict=True)
    found = cohen_kappa(ours, theirs, rng())
    assert isinstance(found, Kappa)
    assert found.value == pytest.approx(0.4)
    assert (found.raw, found.n) == (0.7, 50)
    # Large-sample error of κ: √(p_o(1 − p_o)/n)/(1 − p_e) = .13.
    assert found.low == pytest.approx(0.4 - 1.96 * 0.1296, abs=0.05)
    assert found.high == pytest.approx(0.4 + 1.96 * 0.1296, abs=0.05)
    assert found.p < 0.01 < found.null_high < found.low + 0.2


def test_the_null_is_every_shuffle() -> None:
    ours, theirs = "aabbc", "abbbc"
    every = [kappa_of(list(zip(ours, shuffled, strict=True))) for shuffled in itertools.permutations(theirs)]
    seen = kappa_of(list(zip(ours, theirs, strict=True)))
    exact = sum(k >= seen for k in every) / len(every)
    found = cohen_kappa(ours, theirs, rng(), draws=20_000)
    assert found.value == pytest.approx(float(seen))
    assert found.p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000))
    assert found.null_high == pytest.approx(
        float(np.quantile([float(k) for k in every], 0.95, method="higher"))
    )


def test_false_alarms_of_the_null_keep_to_their_level() -> None:
    source, alarms = rng(11), 0
    for _run in range(400):
        ours, theirs = ("".join(source.choice(["a", "b"], p=[0.8, 0.2], size=40)) for _side in range(2))
        found = cohen_kappa(ours, theirs, source, draws=99)
        alarms += isinstance(found, Kappa) and found.p <= 0.05
    assert alarms / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_edges_of_kappa() -> None:
    assert cohen_kappa("aaa", "aaa", rng()) == Undefined("unanimous", 1.0, 3, 6)
    constant = cohen_kappa("aaa", "bbb", rng())
    assert (constant.value, constant.p) == (0.0, 1.0)
    one_sided = cohen_kappa("aaaa", "abab", rng())
    assert (one_sided.value, one_sided.p, one_sided.null_high) == (0.0, 1.0, 0.0)
    assert cohen_kappa("abab", "abab", rng()).value == 1.0
    for ours, theirs in (("a", "a"), ("ab", "a"), ("", "")):
        with pytest.raises(ValueError, match="2 or more"):
            cohen_kappa(ours, theirs, rng())
    with pytest.raises(ValueError, match="expected one or more"):
        cohen_kappa("ab", "ab", rng(), draws=0)


def test_chance_comes_from_the_generator_alone_for_kappa(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = zip(*PROPOSALS, strict=True)
    whole = cohen_kappa(ours, theirs, rng(2), draws=30)
    assert cohen_kappa(ours, theirs, rng(2), draws=30) == whole
    monkeypatch.setattr(agreement, "_BLOCK", 100)
    assert cohen_kappa(ours, theirs, rng(2), draws=30) == whole
