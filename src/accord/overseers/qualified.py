"""Qualified: a judge is examined before its first verdict, and abstains where it fails (``at_chance``).

    qualified:  of the questions it answered, accuracy > .65 and the lower end of its 95 % interval > .55

``questions`` is a file of JSON lines, ``prompt``, ``chosen`` and ``rejected``, of which it is known which
answer is better, 200 or more. The inner overseer compares each pair in both orders; a pair counts as it says
on average, a tie as one half, and an order in which it abstains is not counted.

1. The examination is a question of its own, judged and recorded as any other: one that stands on record is
   not held again, in this run or a later one of the same judge and file. Every judgment has it for a parent.
   Where it is failed only for what nobody answered for a reason that passes (a server out of reach), it was
   not held: the reason is given, and a later run asks again.
2. What this overseer answers beside comparisons rests on the same examination.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Self, cast

from pydantic import model_validator

from accord.errors import PlanError, Unreadable
from accord.maths.qualifying import LEAST, qualified
from accord.overseers import Inner, Made, Said, rows_in, shares
from accord.part import Part
from accord.ports import Desk, How, Overseer
from accord.problems import problem
from accord.records import (
    JSON,
    PASSING,
    Abstention,
    By,
    Instrument,
    Judgment,
    Kind,
    Prompt,
    Question,
    Response,
    Revised,
    digest,
)

__all__ = ["Case", "Examination", "Qualified", "cases_in"]

_ROW = '{"prompt": text, "chosen": text, "rejected": text}'


class Case(NamedTuple):
    """A prompt with a better and a worse answer."""

    prompt: Prompt
    better: str
    worse: str


def cases_in(file: str) -> list[Case]:
    """The cases of a file. Unreadable names the line that is none."""
    found: list[Case] = []
    for number, line, row in rows_in(file, "questions", _ROW):
        texts = [row.get(name) for name in ("prompt", "chosen", "rejected")]
        if not all(isinstance(text, str) and text.strip() for text in texts) or texts[1] == texts[2]:
            raise Unreadable(file, f"{_ROW}, the answers different", line[:80], number)
        asked, better, worse = (cast(str, text) for text in texts)
        found.append(Case(Prompt.of(asked), better, worse))
    return found


class Examination:
    """How the inner overseer did on the cases, as a text: an overseer that ``Qualified`` alone asks."""

    answers = frozenset({Kind.REVISE})

    def __init__(self, inner: Overseer, cases: Sequence[Case]) -> None:
        rows: list[JSON] = [[case.prompt.id, case.better, case.worse] for case in cases]
        self._inner, self._cases = inner, cases
        self.config = digest({"class": "examination", "inner": inner.config, "cases": rows})

    @property
    def question(self) -> Question:
        """What it is asked: the same whatever it is asked for."""
        return Question(
            asks=Kind.REVISE,
            prompt=self._cases[0].prompt.id,
            responses=(),
            instrument=Instrument(wording="examination", version=self.config),
        )

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        right = await asyncio.gather(*(self._right(case, desk) for case in self._cases))
        answered = [one for one in right if isinstance(one, float)]
        broken: list[Abstention] = [one for one in right if isinstance(one, str)]
        asked, score, count = len(right), sum(answered), len(answered)
        by = By(type="protocol", name="Examination", config=self.config)
        hoped = qualified(score + len(broken), count + len(broken), asked)
        if qualified(score, count, asked).why and not hoped.why:
            note = f"{len(broken)} of {asked} questions were not answered"
            return Judgment(question=question.id, by=by, abstention=broken[0], note=note)
        told = {"right": score, "answered": count, "asked": asked}
        return Judgment(question=question.id, by=by, verdict=Revised(text=json.dumps(told)))

    async def _right(self, case: Case, desk: Desk) -> float | Abstention | None:
        """1 for the better answer, 0 for the worse, over the orders it answered in; where in neither, the
        reason if it passes, else None."""
        answers = [await desk.say(Said(text, "data:examination"), case.prompt, How("")) for text in case[1:]]
        asked = [_comparison(case, order) for order in (answers, answers[::-1])]
        said = await asyncio.gather(*(desk.ask(self._inner, question) for question in asked))
        given = [shares(question, judgment) for question, judgment in zip(asked, said, strict=True)]
        better = [share[answers[0].id] for share in given if share is not None]
        if better:
            return sum((p > 0.5) + 0.5 * (p == 0.5) for p in better) / len(better)
        return next((why for j in said if (why := j.abstention) and why in PASSING), None)


class Qualified(Made, Part):
    """The inner overseer, once it has shown that it can tell the better answer."""

    inner: Inner
    questions: str

    @model_validator(mode="after")
    def _compares(self) -> Self:
        if Kind.COMPARE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that compares answers")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    @cached_property
    def cases(self) -> list[Case]:
        """PlanError where there are too few."""
        found = cases_in(self.questions)
        if len(found) < LEAST:
            allowed = f"{LEAST} cases or more: fewer cannot tell a judge from chance"
            raise PlanError("questions", self.questions, allowed, f"it has {len(found)}")
        return found

    @property
    def examination(self) -> Examination:
        """Of the inner overseer as it is now, seated or not."""
        return Examination(self.inner, self.cases)

    @cached_property
    def config(self) -> str:
        """The inner overseer and what the file says, wherever it lies."""
        return digest({"class": "qualified", "examination": self.examination.config})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        examination = self.examination
        said = await desk.ask(examination, examination.question)
        if not isinstance(said.verdict, Revised):
            return self.taken_over(question, said, "the examination was not held")
        told = json.loads(said.verdict.text)
        found = qualified(told["right"], told["answered"], told["asked"])
        note = f"{found.accuracy.value:.3f} right of {found.answered} answered, {found.asked} asked"
        if found.why:
            return self.signed(question, "at_chance", f"{found.why}; {note}")
        return self.taken_over(question, await desk.ask(self.inner, question), f"qualified: {note}")


def _comparison(case: Case, answers: Sequence[Response]) -> Question:
    ids = tuple(answer.id for answer in answers)
    parents = (case.prompt.id, *ids)
    return Question(asks=Kind.COMPARE, prompt=case.prompt.id, responses=ids, parents=parents)
