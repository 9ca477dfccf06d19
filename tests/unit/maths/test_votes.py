"""Votes of one judgment sum to one vote, whatever it says; shares, win shares and ratings by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.maths.votes import Vote, counted, grade_of, log_ratings, share, shares, votes_of, win_share
from accord.records import By, Graded, Judgment, Kind, Labelled, Question, Ranked, Spread, Verdict

BY = By(type="person", name="r", config="r")
PAIR = Question(asks=Kind.COMPARE, prompt="q", responses=("a", "b"))
FOUR = Question(asks=Kind.COMPARE, prompt="q", responses=("a", "b", "c", "d"))


def said(question: Question, verdict: Verdict | None, by: str = "r") -> Judgment:
    told: Any = {"verdict": verdict} if verdict is not None else {"abstention": "unclear"}
    return Judgment(question=question.id, by=By(type="person", name=by, config=by), **told)


def told(question: Question, verdict: Verdict | None, *, margin: bool = False) -> list[tuple[float, ...]]:
    """Pair by pair: won, lost, tied."""
    return [(v.won, v.lost, v.tied) for v in votes_of(question, said(question, verdict), margin)]


def test_a_ranking_is_its_pairs_and_their_weights_sum_to_one() -> None:
    """c > a = b > d: six pairs of a sixth. Kills: a whole vote for each pair (six raters in one)."""
    found = told(FOUR, Ranked(tiers=(("c",), ("a", "b"), ("d",))))
    ab, ac, ad, bc, bd, cd = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 0), (1, 0, 0), (1, 0, 0))
    assert found == [pytest.approx([x / 6 for x in pair]) for pair in (ab, ac, ad, bc, bd, cd)]


def test_a_soft_vote_for_the_best_of_four() -> None:
    """p = (.4, .2, .4, 0): the pair (a, b) has .6 / 3 of the vote, two thirds of it for a; d never won."""
    found = told(FOUR, Spread(p={"a": 0.4, "b": 0.2, "c": 0.4, "d": 0.0}))
    assert found[0] == pytest.approx((0.4 / 3, 0.2 / 3, 0.0))
    assert found[2] == pytest.approx((0.4 / 3, 0.0, 0.0))
    assert math.fsum(sum(pair) for pair in found) == pytest.approx(1.0)


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(any))
def test_the_weights_of_any_soft_vote_sum_to_one(weights: list[int]) -> None:
    spread = Spread(p={a: w / sum(weights) for a, w in zip("abcd", weights, strict=True)})
    assert math.fsum(sum(pair) for pair in told(FOUR, spread)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("strength", "p"), [(3, 0.952574), (1, 0.731059), (-2, 0.119203), (0, 0.5), (None, 1.0)]
)
def test_strength_counts_only_as_a_margin(strength: int | None, p: float) -> None:
    """σ(3), σ(1), σ(−2); a tie stays one, and without a strength the order counts whole."""
    tiers = (("a", "b"),) if strength == 0 else (("b",), ("a",)) if (strength or 1) < 0 else (("a",), ("b",))
    judgment = said(PAIR, Ranked(tiers=tiers, strength=strength))
    whole = 0.5 if strength == 0 else float(tiers[0] == ("a",))
    assert share(votes_of(PAIR, judgment)) == whole
    assert share(votes_of(PAIR, judgment, margin=True)) == pytest.approx(p, abs=1e-6)


def test_both_bad_is_no_tie_in_a_share_and_one_for_ratings() -> None:
    """Tied and nothing acceptable. Ordered, both bad or not, is an order."""
    bad = votes_of(PAIR, said(PAIR, Ranked(tiers=(("a", "b"),), acceptable=())))
    assert [(v.tied, v.bad, v.mass) for v in bad] == [(1.0, True, 0.0)]
    assert math.isnan(share(bad))
    ordered = votes_of(PAIR, said(PAIR, Ranked(tiers=(("b",), ("a",)), acceptable=())))
    assert (share(ordered), ordered[0].bad) == (0.0, False)
    tie = votes_of(PAIR, said(PAIR, Ranked(tiers=(("a", "b"),), acceptable=("a", "b"))))
    assert share([*tie, *bad]) == 0.5
    # Two wins each way, and the tie of both bad: it only spreads π.
    wins = [Vote("a", "b", 3, 1, 0, False, "x")]
    assert log_ratings(["ab"], wins) == pytest.approx({"a": math.log(3) / 2, "b": -math.log(3) / 2})
    assert set(log_ratings(["ab"], [*wins, *bad])) == {"a", "b"}


@pytest.mark.parametrize("verdict", [None, Graded(scores={"x": 1.0}), Labelled(tags=("a",))])
def test_what_compares_nothing_is_no_vote(verdict: Verdict | None) -> None:
    assert votes_of(PAIR, said(PAIR, verdict)) == []


def test_a_soft_label_over_other_options_is_no_vote() -> None:
    assert votes_of(PAIR, said(PAIR, Spread(p={"yes": 0.5, "no": 0.5}))) == []


def test_a_judgment_given_twice_is_one_vote_and_one_of_another_question_none() -> None:
    one = said(PAIR, Ranked(tiers=(("a",), ("b",))))
    assert len(counted([PAIR], [one, one, said(FOUR, Spread(p={"a": 1.0, "b": 0, "c": 0, "d": 0}))])) == 1


def test_the_same_two_answers_in_two_questions_are_one_comparison() -> None:
    """a beat b as the first of one question and as the second of another: kills a share per order."""
    votes = [Vote("a", "b", 1, 0, 0, False, "x"), Vote("b", "a", 0, 1, 0, False, "y")]
    votes += [Vote("b", "a", 0, 0, 2, False, "z")]
    assert shares(votes) == {("a", "b"): 0.75, ("b", "a"): 0.25}
    assert win_share("ab", shares(votes)).tolist() == [0.75, 0.25]


def votes(*said: tuple[str, str, float, float, float]) -> list[Vote]:
    return [Vote(*vote, False, str(k)) for k, vote in enumerate(said)]


def test_ratings_that_no_order_joins_are_lacking() -> None:
    """c only ever lost: in its prompt there is no order between it and the others, so nobody has a number.
    The other prompt, fitted at once with it, keeps its own. Kills: 0 for who has no fit."""
    told = votes(("a", "b", 1, 1, 0), ("a", "c", 1, 0, 0), ("d", "e", 2, 1, 0))
    found = log_ratings(["abc", "de"], told)
    assert found.keys() == {"d", "e"}
    assert found["d"] == pytest.approx(math.log(2) / 2)
    assert log_ratings(["ab", "c"], told).keys() == {"a", "b"}


def test_no_votes_and_ties_alone_have_no_ratings() -> None:
    assert log_ratings(["ab"], []) == {}
    assert log_ratings(["ab"], votes(("a", "b", 0, 0, 3))) == {}
    assert log_ratings(["ab"], votes(("a", "b", 1, 0, 0))) == {}


def test_a_grade_averages_its_dimensions() -> None:
    assert grade_of(said(PAIR, Graded(scores={"a": 1.0, "b": 0.0, "c": 0.5}))) == 0.5
    assert grade_of(said(PAIR, None)) is None
    assert grade_of(said(PAIR, Spread(p={"a": 1.0, "b": 0.0}))) is None
