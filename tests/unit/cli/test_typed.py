"""Lines that a rater types, by themselves: what says nothing is refused, and never read as something else."""

from __future__ import annotations

import pytest
from web.seeded import one_of_each

from accord.cli.typed import fields_typed, point_typed, reason_typed
from accord.errors import PlanError


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("pair", "3"),
        ("pair", "1 2 3"),
        ("ranking", "a > > 1"),
        ("ranking", "a, b, c"),
        ("grade", "7"),
        ("label", "4"),
        ("label", "0"),
        ("label", "1 1"),
        ("critique", "3 5 x"),
        ("correct", "Better."),
    ],
)
def test_a_line_that_says_nothing_is_refused(kind: str, line: str) -> None:
    question = one_of_each()[kind][0]
    with pytest.raises(PlanError):
        fields_typed(question, question.responses, line)


@pytest.mark.parametrize("line", ["", "5 2 x", "0 2 x", "1 5 x", "1", "1 2 #4 x", "1 2 #0 x"])
def test_a_point_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(PlanError):
        point_typed(one_of_each()["critique"][0], ["A:0-4", "A:5-9"], {}, line)
    with pytest.raises(PlanError, match="6"):
        reason_typed("7")


@pytest.mark.parametrize(
    ("line", "order"),
    [("b>a=c", "B>A=C"), ("BAC", "B>A>C"), ("b a = c", "B>A=C"), ("c > b=a good c b", "C>B=A")],
)
def test_a_ranking_is_read_as_it_is_written(line: str, order: str) -> None:
    question = one_of_each()["ranking"][0]
    fields = fields_typed(question, question.responses, line)
    assert fields["order"] == [order]
    assert fields.get("good", []) == (["C", "B"] if "good" in line else [])


def test_a_new_point_takes_a_number_that_none_had() -> None:
    """Kills: a point that is written over another after one in between was taken out."""
    question = one_of_each()["critique"][0]
    fields = point_typed(question, ["A:0-4"], {"point-2-text": ["old"]}, "1 3 #2 new words")
    assert fields == {
        "point-3-where": ["A:0-4"],
        "point-3-severity": ["3"],
        "point-3-tag": ["dangerous"],
        "point-3-text": ["new words"],
    }
