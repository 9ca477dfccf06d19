"""Qualified: a judge is examined before its first verdict, and abstains where it fails (``at_chance``).

    qualified:  of the questions it answered, accuracy > .65 and the lower end of its 95 % interval > .55

``questions`` is a file of JSON lines, ``prompt``, ``chosen`` and ``rejected``, of which it is known which
answer is better, 200 or more. The inner overseer compares each pair in both orders; a pair counts as it says
on average, a tie as one half, and an order in which it abstains is not counted.

1. What is asked is judged and recorded as any other question, so an examination that stands on record is not
   held again, in this run or a later one of the same judge and file.
2. The first question that comes holds it, and its judgment has it among its parents; the others wait.
3. What this overseer answers beside comparisons rests on the same examination.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import PrivateAttr, model_validator

from accord.errors import PlanError, Unreadable
from accord.maths.qualifying import LEAST, qualified
from accord.maths.qualifying import Qualified as Found
from accord.overseers import Inner, Made, Said, shares
from accord.part import Part
from accord.ports import Desk, How
from accord.problems import problem
from accord.records import Judgment, Kind, Prompt, Question, Response, digest

__all__ = ["Case", "Qualified", "cases_in"]

_ROW = '{"prompt": text, "chosen": text, "rejected": text}'


class Case(NamedTuple):
    """A prompt with a better and a worse answer."""

    prompt: Prompt
    better: str
    worse: str


def cases_in(file: Path) -> list[Case]:
    """The cases of a file. Unreadable names the line that is none."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError("questions", str(file), f"a file of JSON lines, {_ROW}", str(error)) from None
    return [_case(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _case(file: Path, number: int, line: str) -> Case:
    try:
        row: object = json.loads(line)
    except ValueError as error:
        raise Unreadable(file, _ROW, str(error), number) from None
    fields = cast("dict[str, object]", row) if isinstance(row, dict) else {}
    texts = [fields.get(name) for name in ("prompt", "chosen", "rejected")]
    if not all(isinstance(text, str) and text.strip() for text in texts) or texts[1] == texts[2]:
        raise Unreadable(file, f"{_ROW}, the answers different", line[:80], number)
    asked, better, worse = (cast(str, text) for text in texts)
    return Case(Prompt.of(asked), better, worse)


class Qualified(Made, Part):
    """The inner overseer, once it has shown that it can tell the better answer."""

    inner: Inner
    questions: str

    _found: Found | None = PrivateAttr(default=None)
    _turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _compares(self) -> Qualified:
        if Kind.COMPARE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that compares answers")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    @cached_property
    def cases(self) -> list[Case]:
        """PlanError where there are too few."""
        found = cases_in(Path(self.questions))
        if len(found) < LEAST:
            allowed = f"{LEAST} cases or more: fewer cannot tell a judge from chance"
            raise PlanError("questions", self.questions, allowed, f"it has {len(found)}")
        return found

    @cached_property
    def config(self) -> str:
        """Also what the file says."""
        rows = [[case.prompt.id, case.better, case.worse] for case in self.cases]
        told = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        return digest({"made": super().config, "questions": told})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        found = await self._examined(desk)
        told = f"{found.accuracy.value:.3f} right of {found.answered} answered, {found.asked} asked"
        if found.why:
            return self.signed(question, "at_chance", f"{found.why}; {told}")
        return self.taken_over(question, await desk.ask(self.inner, question), f"qualified: {told}")

    async def _examined(self, desk: Desk) -> Found:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = (loop, asyncio.Lock())
        # Whoever is cancelled in it leaves it to the next; nothing half done is kept.
        async with self._turn[1]:
            if self._found is None:
                self._found = await self._examine(desk)
            return self._found

    async def _examine(self, desk: Desk) -> Found:
        right = await asyncio.gather(*(self._right(case, desk) for case in self.cases))
        answered = [one for one in right if one is not None]
        return qualified(sum(answered), len(answered), len(right))

    async def _right(self, case: Case, desk: Desk) -> float | None:
        """1 for the better answer, 0 for the worse, over the orders it answered in; None where in neither."""
        policy = f"data:{Path(self.questions).name}"
        answers = [await desk.say(Said(text, policy), case.prompt, How("")) for text in case[1:]]
        said = await asyncio.gather(*(desk.ask(self.inner, question) for question in _both(case, answers)))
        better = answers[0].id
        found = [
            (share[better] > 0.5) + 0.5 * (share[better] == 0.5)
            for question, judgment in zip(_both(case, answers), said, strict=True)
            if (share := shares(question, judgment)) is not None
        ]
        return sum(found) / len(found) if found else None


def _both(case: Case, answers: list[Response]) -> Iterator[Question]:
    for order in (answers, answers[::-1]):
        ids = tuple(answer.id for answer in order)
        parents = (case.prompt.id, *ids)
        yield Question(asks=Kind.COMPARE, prompt=case.prompt.id, responses=ids, parents=parents)
