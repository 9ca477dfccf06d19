"""Program: one call for all pending answers; from what it cannot grade it abstains, never with a number."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from accord.desk import FrontDesk
from accord.errors import PlanError
from accord.overseers.program import Program, brief
from accord.records import Graded, Judgment, Kind, Prompt, Question, Ranked
from accord.records.rows import Group
from accord.testing import a_group, a_response
from accord.testing.checks_feedback import questions_about

GROUPS = [a_group("Why?", "yes", "no", "maybe", "yes!"), a_group("How?", "so", "thus")]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


COUNT = iter(range(10**6))


def program(folder: Path, body: str, name: str = "grade") -> Program:
    file = folder / f"grader{next(COUNT)}.py"
    file.write_text(body)
    return Program(fn=f"{file}:{name}")


def ask(overseer: Program, questions: Sequence[Question], groups: Sequence[Group] = GROUPS) -> list[Judgment]:
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in groups for record in (group.prompt, *group.responses))

    async def whole() -> list[Judgment]:
        asked = asyncio.gather(*(desk.ask(overseer, q) for q in questions))
        return list(await asyncio.wait_for(asked, timeout=60))

    return asyncio.run(whole())


GRADE = questions_about(GROUPS, Kind.GRADE)
COMPARE = questions_about(GROUPS, Kind.COMPARE)


def scores(judgments: Sequence[Judgment]) -> list[float | None]:
    return [j.verdict.scores["score"] if isinstance(j.verdict, Graded) else None for j in judgments]


def test_all_pending_answers_reach_it_in_one_call(folder: Path) -> None:
    overseer = program(
        folder,
        "CALLS = []\ndef grade(prompts, answers):\n    CALLS.append(list(zip(prompts, answers)))\n"
        "    return [float(len(a)) for a in answers]\n",
    )
    assert scores(ask(overseer, GRADE)) == [3.0, 2.0, 5.0, 4.0, 2.0, 4.0]
    (call,) = overseer.graders[0].__globals__["CALLS"]
    assert call == [(g.prompt.text, r.text) for g in GROUPS for r in g.responses]


def test_a_comparison_is_the_order_of_grades_and_equal_grades_are_a_tie(folder: Path) -> None:
    overseer = program(folder, "def grade(prompts, answers):\n    return [min(len(a), 4) for a in answers]\n")
    yes_no, maybe_yes, so_thus = ask(overseer, COMPARE)
    first, second = COMPARE[0].responses
    assert yes_no.verdict == Ranked(tiers=((first,), (second,)))
    assert isinstance(maybe_yes.verdict, Ranked)
    assert len(maybe_yes.verdict.tiers) == 1
    assert isinstance(so_thus.verdict, Ranked)
    assert so_thus.verdict.tiers[0] == COMPARE[2].responses[1:]


def test_none_abstains_and_is_no_zero(folder: Path) -> None:
    overseer = program(
        folder, "def grade(prompts, answers):\n    return [None if a == 'no' else 0 for a in answers]\n"
    )
    judged = ask(overseer, GRADE)
    assert scores(judged) == [0.0, None, 0.0, 0.0, 0.0, 0.0]
    assert judged[1].abstention == "out_of_support"
    assert ask(overseer, COMPARE)[0].abstention == "out_of_support", "half a comparison is none"


@pytest.mark.parametrize(
    "body",
    [
        "def grade(prompts, answers):\n    raise KeyError('x')\n",
        "def grade(prompts, answers):\n    return [1.0]\n",
        "def grade(prompts, answers):\n    return [float('nan')] * len(answers)\n",
        "def grade(prompts, answers):\n    return [float('inf')] * len(answers)\n",
        "def grade(prompts, answers):\n    return ['good'] * len(answers)\n",
        "def grade(prompts, answers):\n    return None\n",
        "def grade(answers):\n    return [1.0] * len(answers)\n",
        "def grade(prompts, answers, truth):\n    return [1.0] * len(answers)\n",
    ],
    ids=["raises", "too few", "nan", "inf", "text", "nothing", "no prompts", "a column that is not there"],
)
def test_a_program_that_fails_abstains_with_error(body: str, folder: Path) -> None:
    judged = ask(program(folder, body), GRADE)
    assert scores(judged) == [None] * len(GRADE)
    assert {j.abstention for j in judged} == {"error"}
    assert all(j.note for j in judged)


def test_it_can_be_asked_again_after_a_failure(folder: Path) -> None:
    body = (
        "CALLS = []\ndef grade(prompts, answers):\n    CALLS.append(1)\n    assert len(CALLS) > 1\n"
        "    return [1.0] * len(answers)\n"
    )
    overseer = program(folder, body)
    assert scores(ask(overseer, GRADE)) == [None] * 6
    assert scores(ask(overseer, GRADE)) == [1.0] * 6


def talk(truth: Any, finish: Any = "stop", tokens: tuple[int, ...] = (1, 2)) -> Group:
    prompt = Prompt.of(f"truth {truth}", answer=truth)
    told = a_response(prompt, "x", 0, tokens).model_dump() | {"finish": finish}
    return Group(prompt, (type(a_response(prompt)).model_validate(told),))


def test_columns_reach_it_by_name(folder: Path) -> None:
    groups = [talk(4), talk(None, "length"), a_group("no such column", "x"), talk(5, "data", (1,))]
    body = (
        "SEEN = []\ndef grade(prompts, answers, answer, finished, tokens):\n"
        "    SEEN.append((answer, finished, tokens))\n    return [0.0] * len(answers)\n"
    )
    overseer = program(folder, body)
    ask(overseer, questions_about(groups, Kind.GRADE), groups)
    ((answer, finished, tokens),) = overseer.graders[0].__globals__["SEEN"]
    assert answer == [4, None, None, 5]
    assert finished == [True, False, True, True]
    assert tokens == [2, 2, 1, 1]


def test_every_column_reaches_a_program_that_takes_all(folder: Path) -> None:
    body = (
        "SEEN = []\ndef grade(prompts, answers, **columns):\n    SEEN.append(sorted(columns))\n"
        "    return [0.0] * len(answers)\n"
    )
    overseer = program(folder, body)
    groups = [talk(4)]
    ask(overseer, questions_about(groups, Kind.GRADE), groups)
    assert overseer.graders[0].__globals__["SEEN"] == [["answer", "finished", "messages", "tokens"]]


def test_a_program_judges_in_two_event_loops_after_one_was_broken_off(folder: Path) -> None:
    """A notebook: the first run was interrupted while a judgment was pending; the second must not wait."""
    overseer = program(folder, "def grade(prompts, answers):\n    return [1.0] * len(answers)\n")
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in GROUPS for record in (group.prompt, *group.responses))
    loop = asyncio.new_event_loop()
    task = loop.create_task(desk.ask(overseer, GRADE[0]))
    loop.call_soon(loop.stop)
    loop.run_forever()
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    assert scores(ask(overseer, GRADE)) == [1.0] * 6


def test_an_edited_program_is_another_overseer(folder: Path) -> None:
    file = folder / "edited.py"
    file.write_text("def grade(prompts, answers):\n    return [1.0] * len(answers)\n")
    before = Program(fn=f"{file}:grade").config
    assert Program(fn=f"{file}:grade").config == before
    other = folder / "copy.py"
    other.write_text("def grade(prompts, answers):\n    return [0.0] * len(answers)\n")
    assert Program(fn=f"{other}:grade").config != before
    assert Program(fn=f"{file}:grade").answers == {Kind.GRADE, Kind.COMPARE}


SEVERAL = """
def length(prompts, answers):
    return [float(len(a)) for a in answers]

def polite(prompts, answers):
    return [None if a == "no" else 1.0 for a in answers]

def asked(answers, questions, messages, finished):
    return [float(m[-1]["content"] == "Why?") for m in messages]
"""


def several(folder: Path, *names: str, **told: Any) -> Program:
    file = folder / f"several{next(COUNT)}.py"
    file.write_text(SEVERAL)
    return Program(fn=tuple(f"{file}:{name}" for name in names), **told)


def test_several_functions_are_a_weighted_sum_whose_parts_are_told(folder: Path) -> None:
    """Mutants: weights ignored, weights of the other function, a mean for the sum, an abstention worth 0."""
    judged = ask(several(folder, "length", "polite", weights=(0.5, -2.0)), GRADE)
    assert scores(judged) == [-0.5, None, 0.5, 0.0, -1.0, 0.0]
    assert isinstance(judged[0].verdict, Graded)
    assert [(n.rpartition(":")[2], g) for n, g in judged[0].verdict.heads.items()] == [
        ("length", 3),
        ("polite", 1),
    ]
    assert judged[1].abstention == "out_of_support"
    assert judged[1].note.endswith(":polite abstains") and "length" not in judged[1].note
    plain = ask(several(folder, "length", "polite"), GRADE)
    assert scores(plain) == [4.0, None, 6.0, 5.0, 3.0, 5.0]
    assert scores(ask(several(folder, "length", weights=(2.0,)), GRADE))[0] == 6.0


def test_weights_are_part_of_who_judges(folder: Path) -> None:
    file = folder / "same.py"
    file.write_text(SEVERAL)
    names = (f"{file}:length", f"{file}:polite")
    alone = Program(fn=names[0])
    assert Program(fn=names).config == Program(fn=names).config
    different = [alone, Program(fn=names), Program(fn=names[::-1]), Program(fn=names, weights=(1.0, 2.0))]
    assert len({one.config for one in different}) == 4


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"fn": []}, "module:function"),
        ({"fn": ["a:b", "nothing"]}, "module:function"),
        ({"fn": ["a:b", "a:b"]}, "named once"),
        ({"fn": "a:b", "weights": [1, 2]}, "one weight for each function: 1, not 2"),
        ({"fn": ["a:b", "a:c"], "weights": [1]}, "one weight for each function: 2, not 1"),
        ({"fn": "a:b", "weights": [float("inf")]}, "finite"),
    ],
)
def test_weights_that_do_not_fit(told: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Program.model_validate(told)


def test_the_conversation_reaches_it_and_a_column_never_takes_the_place_of_the_answers(folder: Path) -> None:
    prompt = Prompt.of("Why?", answers=4, questions="x")
    groups = [Group(prompt, (a_response(prompt, "yes"),))]
    file = folder / "named.py"
    file.write_text(SEVERAL)
    judged = ask(Program(fn=f"{file}:asked"), questions_about(groups, Kind.GRADE), groups)
    assert scores(judged) == [1.0]


@pytest.mark.parametrize(
    "fn", ["no_such_module_anywhere:grade", "math:no_such_function", "math:pi", "/no/such/file.py:grade"]
)
def test_a_function_that_is_not_there_is_a_plan_error(fn: str) -> None:
    with pytest.raises(PlanError, match="module:function or file"):
        str(Program(fn=fn).config)


def test_a_file_that_is_no_python_is_a_plan_error(folder: Path) -> None:
    for text in ("def grade(:\n", "import no_such_module_anywhere\n"):
        with pytest.raises(PlanError, match="cannot import"):
            str(program(folder, text).config)


@pytest.mark.parametrize("text", ["raise RuntimeError('at import')\n", "1 / 0\n", "x = undefined\n"])
def test_a_file_that_raises_when_it_is_imported_is_a_plan_error(text: str, folder: Path) -> None:
    with pytest.raises(PlanError, match="cannot import"):
        str(program(folder, text).config)


@pytest.mark.parametrize(
    ("answer", "finished", "grade"),
    [
        ("Paris.", True, 1.0),
        ("Paris", True, 1.0),
        ("One. Two! Three?", True, 1.0),
        ("One. Two. Three. Four.", True, 0.0),
        ("He said “Stop.” So I did. I left.", True, 1.0),
        ("Pi is 3.14159 or so.", True, 1.0),
        ("Wait... what?", True, 1.0),
        ("", True, 0.0),
        (" \n", True, 0.0),
        ("Paris.", False, 0.0),
    ],
)
def test_brief(answer: str, finished: bool, grade: float) -> None:
    assert brief(["p"], [answer], [finished]) == [grade]
    assert not math.isnan(grade)
