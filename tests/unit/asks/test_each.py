"""Each: a Grade question per answer; several verdicts become one number by a rule that is named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from accord.asks.each import Each
from accord.records import By, Graded, Judgment, Kind, Question, Ranked, Verdict
from accord.testing import a_group

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so")]
MEAN = Each(column="score", collapse="distribution")


def said(question: Question, verdict: Verdict | None, by: str = "a") -> Judgment:
    told: Any = {"verdict": verdict} if verdict else {"abstention": "unclear"}
    return Judgment(question=question.id, by=By(type="program", name=by, config=by), **told)


def graded(question: Question, *scores: float) -> list[Judgment]:
    return [said(question, Graded(scores={"score": s}), f"rater {i}") for i, s in enumerate(scores)]


def test_one_question_per_answer_in_order() -> None:
    questions = MEAN.questions(GROUPS)
    assert [q.responses for q in questions] == [(r.id,) for g in GROUPS for r in g.responses]
    assert {q.asks for q in questions} == {Kind.GRADE}
    assert [q.prompt for q in questions] == [g.prompt.id for g in GROUPS for _ in g.responses]


def test_another_wording_is_another_question() -> None:
    other = Each(column="score", collapse="distribution", wording="How kind is it?")
    assert not {q.id for q in MEAN.questions(GROUPS)} & {q.id for q in other.questions(GROUPS)}


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ({"collapse": "distribution"}, 0.5),  # (0 + 0 + 0 + 1 + 1.5) / 5
        ({"collapse": "majority"}, 0.0),
        ({"collapse": "quantile", "q": 0.75}, 1.0),
        ({"collapse": "quantile"}, 0.0),
    ],
)
def test_votes_collapse_by_the_rule_that_is_named(told: dict[str, Any], number: float) -> None:
    ask = Each(column="score", **told)
    question = ask.questions(GROUPS)[0]
    table = ask.columns(GROUPS, graded(question, 0.0, 1.5, 0.0, 1.0, 0.0))
    assert table.values["score"][0] == pytest.approx(number)
    assert len(table.parents[0]) == 5


def test_dimensions_of_a_verdict_are_averaged_first() -> None:
    question = MEAN.questions(GROUPS)[0]
    votes = [
        said(question, Graded(scores={"a": 0.0, "b": 1.0}), "x"),
        said(question, Graded(scores={"a": 1.0}), "y"),
    ]
    assert MEAN.columns(GROUPS, votes).values["score"][0] == 0.75


def test_what_nobody_graded_is_missing_with_no_parents() -> None:
    first, second, third = MEAN.questions(GROUPS)
    ranked = said(third, Ranked(tiers=((third.responses[0],),)))
    table = MEAN.columns(GROUPS, [said(first, None), *graded(second, 0.0), ranked])
    assert table.missing.tolist() == [True, False, True]
    assert math.isnan(table.values["score"][0])
    assert table.values["score"][1] == 0.0
    assert [len(p) for p in table.parents] == [0, 1, 0]


def test_groups_of_raters_are_averaged_apart() -> None:
    """Raters 0 and 1 are of one group, 2 of another, 3 of none; nobody of the other group graded "no"."""
    ask = Each(column="score", collapse="per_group").grouped({"rater 0": "b", "rater 1": "b", "rater 2": "a"})
    first, second, _ = ask.questions(GROUPS)
    table = ask.columns(GROUPS, [*graded(first, 0.0, 1.0, 4.0, 100.0), *graded(second, 3.0)])
    assert table.groups == ("a", "b")
    assert table.values["score"][[0, 3, 4]].tolist() == [4.0, 0.5, 3.0]
    assert table.missing.tolist() == [False, True, True, False, False, True]
    assert [len(p) for p in table.parents] == [1, 0, 0, 2, 1, 0]


def test_what_people_see_is_part_of_the_question() -> None:
    ask = Each(column="score", collapse="distribution", dimensions=("true", "kind"), scale=(1, 5))
    (question, *_), (plain, *_) = ask.questions(GROUPS), MEAN.questions(GROUPS)
    assert (question.instrument.dimensions, question.instrument.scale) == (("true", "kind"), (1.0, 5.0))
    assert question.id != plain.id


@pytest.mark.parametrize(
    "told",
    [
        {"collapse": "distribution"},
        {"column": "score"},
        {"column": "reward", "collapse": "majority"},
        {"column": "cost:", "collapse": "majority"},
        {"column": "score", "collapse": "mean"},
        {"column": "score", "collapse": "quantile", "q": 1.0},
    ],
)
def test_column_and_collapse_have_no_default(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Each(**told)
