"""The spread of an ensemble stands beside the score it came with; what a program adds up is no ensemble."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import pytest

from accord.asks.each import Each
from accord.records import By, Graded, Judgment, Question
from accord.testing import a_group

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so")]
SCORE = Each(column="score", collapse="distribution")


def graded(
    question: Question, heads: Mapping[str, float], kind: Literal["model", "program"] = "model", by: str = "a"
) -> Judgment:
    verdict = Graded(scores={"score": 1.0}, heads=dict(heads))
    return Judgment(question=question.id, by=By(type=kind, name=by, config=by), verdict=verdict)


def test_the_spread_of_an_answer_is_that_of_its_heads() -> None:
    """Heads 1, 2, 3 and 1, 3: standard deviations 1 and √2 (n − 1); kills n for n − 1 (.816 and 1)."""
    first, second, third = SCORE.questions(GROUPS)
    votes = [graded(first, {"m:0": 1.0, "m:1": 2.0, "m:2": 3.0}), graded(second, {"m:0": 1.0, "m:1": 3.0})]
    silent = Judgment(question=third.id, by=votes[0].by, abstention="out_of_support")
    table = SCORE.columns(GROUPS, [*votes, silent])
    assert table.values["spread"][:2] == pytest.approx([1.0, math.sqrt(2)])
    assert math.isnan(table.values["spread"][2])
    assert table.missing.tolist() == [False, False, True]


def test_several_verdicts_are_averaged() -> None:
    first, *_ = SCORE.questions(GROUPS)
    votes = [
        graded(first, {"m:0": 1.0, "m:1": 2.0, "m:2": 3.0}),
        graded(first, {"m:0": 0.0, "m:1": 0.0}, by="b"),
    ]
    assert SCORE.columns(GROUPS, votes).values["spread"][0] == 0.5


@pytest.mark.parametrize(
    ("column", "heads", "kind"),
    [
        ("score", {"m": 1.0}, "model"),
        ("score", {"f": 1.0, "g": 5.0}, "program"),
        ("cost:harm", {"m:0": 1.0, "m:1": 2.0}, "model"),
        ("gold", {"m:0": 1.0, "m:1": 2.0}, "model"),
    ],
)
def test_there_is_none_without_an_ensemble_beside_a_score(
    column: str, heads: dict[str, float], kind: Literal["model", "program"]
) -> None:
    """Kills: the parts of a weighted sum taken for heads; two asks that would both fill ``spread``."""
    ask = Each(column=column, collapse="distribution")
    first, *_ = ask.questions(GROUPS)
    assert set(ask.columns(GROUPS, [graded(first, heads, kind)]).values) == {column}
