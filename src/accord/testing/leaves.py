"""Scripted leaves: what overseers made of others are put over, and how their verdicts are compared."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from typing import cast

from pydantic import PrivateAttr

from accord.desk import FrontDesk
from accord.overseers import Made
from accord.part import Part
from accord.ports import Desk, Overseer
from accord.records import (
    By,
    Cost,
    Critiqued,
    Graded,
    Judgment,
    Kind,
    Labelled,
    Question,
    Ranked,
    Record,
    Response,
    Revised,
    Spread,
    Verdict,
    digest,
)
from accord.records.rows import Group
from accord.worker import Worker

__all__ = ["Leaf", "alike", "desk_with", "grade", "judged", "nothing", "same", "something", "unknown"]

_NEAR = 1e-9


class Leaf(Part):
    """Grades answers by the hash of their texts and of the principles it is told; compares by these grades.

    ``leaning``: what a comparison adds to the logit of whoever is listed first. ``best``: it prefers the
    answer with that place among the sorted ids, beyond doubt. ``blocks``: it never answers. Each time it is
    asked costs one call.
    """

    kinds: frozenset[Kind] = frozenset(Kind)
    name: str = ""
    leaning: float = 0.0
    best: int | None = None
    silent: bool = False
    blocks: bool = False
    reasons: bool = False

    _asked: list[Question] = PrivateAttr(default_factory=list[Question])

    @property
    def asked(self) -> list[Question]:
        return self._asked

    @property
    def answers(self) -> frozenset[Kind]:
        return self.kinds

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        self._asked.append(question)
        if self.blocks:
            await asyncio.Event().wait()
        told = {"question": question.id, "shown": question.responses, "cost": Cost(calls=1)}
        by = By(type="program", name="leaf", config=self.config)
        if self.silent:
            return Judgment.model_validate({**told, "by": by, "abstention": "refused"})
        verdict = self._verdict(question, desk)
        return Judgment.model_validate({**told, "by": by, "verdict": verdict, "confidence": 0.75})

    def _verdict(self, question: Question, desk: Desk) -> Verdict:
        grades = {answer: grade(self.name, question, desk.read(answer)) for answer in question.responses}
        match question.asks:
            case Kind.GRADE:
                scores = {"score": grades[question.responses[0]]} if len(grades) == 1 else grades
                return Graded(scores=scores)
            case Kind.COMPARE if self.best is not None:
                first = sorted(grades)[self.best]
                return Ranked(tiers=((first,), tuple(a for a in question.responses if a != first)))
            case Kind.COMPARE:
                grades[question.responses[0]] += self.leaning
                whole = math.fsum(math.exp(grade) for grade in grades.values())
                return Spread(p={answer: math.exp(grade) / whole for answer, grade in grades.items()})
            case Kind.CRITIQUE:
                return Critiqued(points=())
            case Kind.REVISE:
                return Revised(text=f"a better text than {len(grades)}")
            case Kind.LABEL:
                return Labelled(tags=question.instrument.options[:1])


def grade(name: str, question: Question, answer: Record) -> float:
    """The grade that the leaf of that name gives to an answer, in [0, 1)."""
    text = answer.text if isinstance(answer, Response) else answer.id
    return int(digest([name, text, *question.instrument.principles])[:8], 16) / 16**8


def nothing(prompt: str, answer: str, reveal: str) -> str | None:
    """The null simulator: nothing is to be revealed."""
    del prompt, answer, reveal
    return ""


def unknown(prompt: str, answer: str, reveal: str) -> str | None:
    """Nobody knows what came of it."""
    del prompt, answer, reveal
    return None


def something(prompt: str, answer: str, reveal: str) -> str | None:
    """What came of an answer."""
    return f"{reveal}: of {answer!r} to {prompt!r} something came"


def judged(
    overseer: Overseer | Made | Leaf,
    questions: Sequence[Question],
    groups: Sequence[Group],
    written: list[Record] | None = None,
    *,
    together: bool = True,
) -> list[Judgment]:
    """What it says at a desk of its own, to questions asked at once or in turn; ``written`` takes what the
    desk recorded."""
    with Worker() as worker:
        desk, who = desk_with(groups, written), cast(Overseer, overseer)
        return worker.run((_at_once if together else _in_turn)(desk, who, questions))


def same(one: Judgment, two: Judgment) -> bool:
    """≡: verdict, confidence and abstention alike, whatever stands behind them."""
    return (one.abstention, one.confidence) == (two.abstention, two.confidence) and alike(one, two)


def desk_with(groups: Sequence[Group], written: list[Record] | None) -> FrontDesk:
    def write(records: Iterable[Record]) -> None:
        if written is not None:
            written.extend(records)

    desk = FrontDesk(write, lambda: None)
    desk.hold(record for group in groups for record in (group.prompt, *group.responses))
    return desk


async def _at_once(desk: FrontDesk, overseer: Overseer, questions: Sequence[Question]) -> list[Judgment]:
    return list(await asyncio.gather(*(desk.ask(overseer, question) for question in questions)))


async def _in_turn(desk: FrontDesk, overseer: Overseer, questions: Sequence[Question]) -> list[Judgment]:
    return [await desk.ask(overseer, question) for question in questions]


def alike(one: Judgment, two: Judgment) -> bool:
    match one.verdict, two.verdict:
        case Spread(p=p), Spread(p=q):
            return p.keys() == q.keys() and all(abs(p[o] - q[o]) < _NEAR for o in p)
        case Ranked(tiers=first), Ranked(tiers=second):
            return [set(tier) for tier in first] == [set(tier) for tier in second]
        case _:
            return (one.verdict, one.abstention) == (two.verdict, two.abstention)
