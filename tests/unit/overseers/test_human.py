"""Human: posts a question once with its texts, awaits its own slot, and says when nobody answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from unit.raters import WORDS, InMemory

from accord.desk import FrontDesk
from accord.errors import PlanError
from accord.overseers.human import Human, human_config
from accord.overseers.jury import Jury
from accord.records import (
    Critiqued,
    Graded,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Revised,
    Spread,
    Verdict,
)
from accord.records.rows import Group
from accord.testing import check_overseer

PROMPT = Prompt.of("Which?")
ANSWERS = tuple(Response(prompt=PROMPT.id, text=text, finish="data") for text in ("short", "longer one"))
ASKED = Question(asks=Kind.COMPARE, prompt=PROMPT.id, responses=tuple(r.id for r in ANSWERS))


def asked(overseer: Any, question: Question = ASKED) -> tuple[Judgment, list[Record]]:
    written: list[Record] = []
    desk = FrontDesk(written.extend, lambda: None)
    desk.hold([PROMPT, *ANSWERS])
    return asyncio.run(desk.ask(overseer, question)), written


def test_it_posts_all_texts_and_passes_the_judgment_on_under_its_own_id() -> None:
    queue = InMemory()
    judgment, written = asked(Human(queue="x.db", slot=1).queued({"x.db": queue}))
    assert queue.given[judgment.id] is not None
    assert judgment.by.config == human_config("q", 1)
    assert judgment.rationale == WORDS
    assert queue.slots == {ASKED.id: 2}
    assert set(queue.records) == {ASKED.id, PROMPT.id, *(r.id for r in ANSWERS)}
    assert written == [ASKED], "what a person said is not written down"


def test_a_deadline_is_an_abstention_that_the_machine_makes() -> None:
    queue = InMemory(rule=None)
    judgment, written = asked(Human(queue="x.db", deadline=0.01).queued({"x.db": queue}))
    assert (judgment.abstention, judgment.by.type) == ("timeout", "protocol")
    assert judgment in written


def test_seats_differ_and_paths_and_deadlines_do_not_count() -> None:
    queue = InMemory()
    one, two = (Human(queue="x.db", slot=n).queued({"x.db": queue}) for n in (0, 1))
    assert one.config != two.config
    again = Human(queue="y.db", deadline=5.0).queued({"y.db": queue})
    assert again.config == one.config == human_config("q", 0)
    assert one.config != Human(queue="x.db").queued({"x.db": InMemory(id="other")}).config


def test_without_its_queue_it_says_so() -> None:
    with pytest.raises(PlanError, match="queue"):
        Human(queue="x.db").queued({})
    judgment, _ = asked(Human(queue="x.db"))
    assert judgment.abstention == "error"
    assert "queued before it judges" in judgment.note


def test_what_a_jury_makes_of_people_is_not_written_down_either() -> None:
    queue = InMemory()
    jury = Jury(members=(Human(queue="x.db"), Human(queue="x.db", slot=1))).queued({"x.db": queue})
    judgment, written = asked(jury)
    assert judgment.verdict == Spread(p={ANSWERS[0].id: 1.0, ANSWERS[1].id: 0.0})
    assert len(queue.given) == 2
    assert {record.id for record in written} == {ASKED.id}


def fitting(question: Question, read: Callable[[str], Record]) -> Verdict:
    match question.asks:
        case Kind.COMPARE:
            return Ranked(tiers=(tuple(question.responses),))
        case Kind.GRADE:
            return Graded(scores={"": 1.0})
        case Kind.CRITIQUE:
            return Critiqued(points=())
        case Kind.REVISE:
            return Revised(text="better")
        case Kind.LABEL:
            return Labelled(tags=())


def test_it_keeps_the_promises_of_an_overseer() -> None:
    queue = InMemory(rule=fitting)
    check_overseer(Human(queue="x.db").queued({"x.db": queue}), [Group(PROMPT, ANSWERS)])


def test_a_verdict_that_does_not_answer_the_question_is_none() -> None:
    queue = InMemory(rule=lambda question, read: Ranked(tiers=((question.responses[0],),)))
    judgment, _ = asked(Human(queue="x.db").queued({"x.db": queue}))
    assert judgment.abstention == "error"
