"""All pairs: win shares and ratings of the answers of a prompt, from pairs or from one ranking."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.asks.all_pairs import AllPairs
from accord.errors import PlanError
from accord.records import By, Judgment, Kind, Question, Ranked, Spread, Verdict
from accord.testing import a_group

GROUPS = [a_group("Why?", "a", "b", "c"), a_group("One?", "d")]
A, B, C = (r.id for r in GROUPS[0].responses)


def ask(collapse: str = "distribution", **told: Any) -> AllPairs:
    return AllPairs.model_validate({"column": "score", "collapse": collapse, **told})


def said(question: Question, verdict: Verdict, by: str = "r") -> Judgment:
    return Judgment(question=question.id, by=By(type="person", name=by, config=by), verdict=verdict)


def won(question: Question, answer: str, by: str = "r", **more: Any) -> Judgment:
    (other,) = set(question.responses) - {answer}
    return said(question, Ranked(tiers=((answer,), (other,)), **more), by)


def test_every_two_answers_are_asked_about_or_all_at_once() -> None:
    pairs, whole = ask().questions(GROUPS), ask(nway=True).questions(GROUPS)
    assert [q.responses for q in pairs] == [(A, B), (A, C), (B, C)]
    assert [q.responses for q in whole] == [(A, B, C)]
    assert {q.asks for q in (*pairs, *whole)} == {Kind.COMPARE}
    assert whole[0].parents == (GROUPS[0].prompt.id, A, B, C)


@pytest.mark.parametrize(
    ("collapse", "score"),
    [("distribution", [0.75, 0.125, 0.625]), ("majority", [0.75, 0.0, 0.75])],
)
def test_the_share_of_comparisons_won(collapse: str, score: list[float]) -> None:
    """a beats b; a and c are even; c beats b in three of four. The lone d is compared with nobody."""
    ab, ac, bc = ask().questions(GROUPS)
    judged = [won(ab, A), said(ac, Ranked(tiers=((A, C),)))]
    judged += [won(bc, C, str(k)) for k in range(3)] + [won(bc, B, "3")]
    table = ask(collapse).columns(GROUPS, judged)
    assert table.members == ((A,), (B,), (C,), (GROUPS[1].responses[0].id,))
    assert table.values["score"][:3].tolist() == score
    assert table.missing.tolist() == [False, False, False, True]
    assert [len(p) for p in table.parents] == [2, 5, 5, 0]


def test_answers_are_compared_with_those_somebody_compared_them_with() -> None:
    ab, *_ = ask().questions(GROUPS)
    table = ask().columns(GROUPS, [won(ab, A)])
    assert table.values["score"][:2].tolist() == [1.0, 0.0]
    assert table.missing.tolist() == [False, False, True, True]


def test_a_ranking_of_all_and_a_soft_vote_for_the_best() -> None:
    """c > a > b, then p = (½, 0, ½). Against b, a won both; against c it lost ⅓ of a vote and then had ¼ of
    each side, so p = ¼ / (⅓ + ½) = .3."""
    (question,) = ask(nway=True).questions(GROUPS)
    judged = [
        said(question, Ranked(tiers=((C,), (A,), (B,))), "x"),
        said(question, Spread(p={A: 0.5, B: 0.0, C: 0.5}), "y"),
    ]
    table = ask(nway=True).columns(GROUPS, judged)
    assert table.values["score"][:3] == pytest.approx([(1 + 0.3) / 2, 0.0, (1 + 0.7) / 2])
    assert [len(p) for p in table.parents] == [2, 2, 2, 0]


def test_ratings_are_one_fit_over_the_window() -> None:
    """a beats b 3 : 1 and that is all that is fitted of c, who was never compared; log π = ± log 3 / 2."""
    ab, *_ = ask("bt").questions(GROUPS)
    judged = [won(ab, A, str(k)) for k in range(3)] + [won(ab, B, "3")]
    table = ask("bt").columns(GROUPS, judged)
    half = math.log(3) / 2
    assert table.values["score"][:2] == pytest.approx([half, -half], abs=1e-9)
    assert table.missing.tolist() == [False, False, True, True]
    assert [len(p) for p in table.parents] == [4, 4, 0, 0]
    lost = ask("bt").columns(GROUPS, judged[:3])
    assert lost.missing.all(), "who never lost has no finite rating, and is missing, not 0"
    assert np.isnan(lost.values["score"]).all()


def test_each_group_of_raters_has_rows_of_its_own() -> None:
    ab, *_ = ask().questions(GROUPS)
    voted = ask("per_group").grouped({"r1": "town", "r2": "town", "r3": "country"})
    judged = [won(ab, A, "r1"), won(ab, B, "r2"), won(ab, B, "r3"), won(ab, A, "nobody's")]
    table = voted.columns(GROUPS, judged)
    assert table.groups == ("country", "town")
    assert table.values["group"].tolist() == [0.0] * 4 + [1.0] * 4
    assert table.values["score"][[0, 1, 4, 5]].tolist() == [0.0, 1.0, 0.5, 0.5]
    assert table.missing[[2, 3, 6, 7]].all()
    assert [len(p) for p in table.parents] == [1, 1, 0, 0, 2, 2, 0, 0]
    with pytest.raises(PlanError, match="per_group"):
        ask("per_group").columns(GROUPS, judged)


def test_strength_is_asked_for_where_it_counts() -> None:
    ab, *_ = ask(strength="bt_margin").questions(GROUPS)
    assert "strength" in ab.instrument.allows
    assert ab.id != ask().questions(GROUPS)[0].id
    table = ask(strength="bt_margin").columns(GROUPS, [won(ab, A, strength=1)])
    assert table.values["score"][:2] == pytest.approx([0.731059, 0.268941], abs=1e-6)
    with pytest.raises(ValidationError, match="nway"):
        ask(nway=True, strength="bt_margin")


def test_an_answer_that_stands_twice_is_asked_about_once() -> None:
    twice = [GROUPS[0]._replace(responses=(*GROUPS[0].responses, GROUPS[0].responses[0]))]
    assert [q.responses for q in ask().questions(twice)] == [(A, B), (A, C), (B, C)]
    assert ask().columns(twice, []).members == ((A,), (B,), (C,))


def test_an_answer_that_stands_in_several_groups_has_the_mean_over_all_of_them() -> None:
    """As the questions of a labelling database do, which speak of two answers at a time."""
    whole = GROUPS[0]
    groups = [whole._replace(responses=tuple(pair)) for pair in combinations(whole.responses, 2)]
    ab, ac, bc = ask().questions(groups)
    judged = [won(ab, A), won(ac, C), won(bc, C)]
    for order in (groups, groups[::-1]):
        table = ask().columns(order, judged)
        score = {members[0]: x for members, x in zip(table.members, table.values["score"], strict=True)}
        assert score == {A: 0.5, B: 0.0, C: 1.0}
