"""Steps: a Grade question about each step of an answer, the steps before it shown beside it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from accord.asks.steps import Steps
from accord.errors import PlanError
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Response
from accord.records.rows import Group
from accord.testing import a_group, a_response

MEAN = Steps(column="score", collapse="distribution")


def stepped(*texts: str) -> Group:
    prompt = Prompt.of("What is 2 + 3?")
    before: tuple[int, ...] = (1, 2)
    found: list[Response] = []
    for k, text in enumerate(texts):
        step = a_response(prompt, text, k).model_copy(update={"prompt_tokens": before})
        found.append(step)
        before += step.tokens
    return Group(prompt, tuple(found))


def graded(question: Question, grades: Sequence[float], first: int = 0) -> list[Judgment]:
    by = [By(type="person", name=f"r{first + k}", config=f"r{first + k}") for k in range(len(grades))]
    told = zip(by, grades, strict=True)
    return [Judgment(question=question.id, by=b, verdict=Graded(scores={"": g})) for b, g in told]


def test_a_step_is_asked_about_with_what_stands_before_it() -> None:
    group = stepped("two and three", "is five", "done")
    one, two, three = (r.id for r in group.responses)
    asked = MEAN.questions([group])
    assert [(q.responses, q.evidence) for q in asked] == [
        ((one,), ()),
        ((two,), (one,)),
        ((three,), (one, two)),
    ]
    assert {q.asks for q in asked} == {Kind.GRADE}
    assert asked[2].parents == (group.prompt.id, three, one, two)
    assert asked[0].instrument.scale == (0.0, 1.0)


@pytest.mark.parametrize(
    ("collapse", "q", "wanted"), [("distribution", 0.1, 0.6), ("majority", 0.1, 1.0), ("quantile", 0.25, 0.0)]
)
def test_grades_of_a_step_become_one(collapse: str, q: float, wanted: float) -> None:
    group = stepped("a", "b")
    ask = Steps.model_validate({"column": "score", "collapse": collapse, "q": q})
    first, _ = ask.questions([group])
    table = ask.columns([group], graded(first, [0.0, 0.0, 1.0, 1.0, 1.0]))
    assert table.values["score"][0] == pytest.approx(wanted)
    assert table.missing.tolist() == [False, True], "a step nobody graded is not a wrong one"
    assert table.members == tuple((r.id,) for r in group.responses)


def test_groups_of_raters_grade_apart() -> None:
    group = stepped("a", "b")
    ask = Steps(column="score", collapse="per_group").grouped({"r0": "x", "r1": "y"})
    first, _ = ask.questions([group])
    table = ask.columns([group], graded(first, [0.25, 0.75]))
    assert table.values["score"][[0, 2]].tolist() == [0.25, 0.75]
    assert table.missing.tolist() == [False, True, False, True]


def test_several_answers_to_a_prompt_are_no_steps() -> None:
    with pytest.raises(PlanError, match="answers in steps"):
        MEAN.questions([a_group("Why?", "yes", "no")])
