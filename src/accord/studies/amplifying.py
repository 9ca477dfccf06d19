"""Amplifying: what Amplify^H(X) answers to questions, where X is a copy, a table or a reader (1810.08575).

``amplified`` puts questions to the overseer of that name, at a desk. What its split makes of the answers to
the parts is the answer: ``_Whole``, inside, hands it on as a Revised text. Who answers parts is a Sampler:

    Copy      what a student answered when the copy was taken, and to primitive parts what a table holds
    Reader    a scripted reader who takes in the last words of a log, and errs in a stated share of all parts
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

from accord.desk import FrontDesk
from accord.errors import ContractError
from accord.overseers.amplified import Amplified
from accord.part import Part
from accord.ports import Desk, How, Overseer, Sampler, Scored
from accord.records import By, Judgment, Kind, Prompt, Question, Response, Revised
from accord.records.rows import Group, Text
from accord.worker import Worker
from accord.worlds.digesting import read

__all__ = ["Answer", "Copy", "Reader", "Splitting", "amplified", "copied"]


class _Whole(Part):
    """Answers by the last record of the evidence: what a split made of the answers to its parts."""

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.REVISE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        by = By(type="program", name="whole", config=self.config)
        told = desk.read(question.evidence[-1]) if question.evidence else None
        if not isinstance(told, Response):
            return Judgment(question=question.id, by=by, abstention="out_of_support", note="no part")
        return Judgment(question=question.id, by=by, verdict=Revised(text=told.text))


class Splitting(NamedTuple):
    """How questions are split: by which function, how deep, into how many parts at a time."""

    split: str
    depth: int
    branching: int


class Answer(NamedTuple):
    """What was made of the parts, and the judgment that says so."""

    text: str
    judgment: str


class _Says:
    """A Sampler whose answers are a function of the question's text; ``asked``: how many it gave."""

    can = frozenset({"sample"})

    def __init__(self, policy: str, said: Callable[[str], str]) -> None:
        self.policy, self._said = policy, said
        self.asked = 0

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, policy=self.policy, parents=(prompt.id,))

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        del how
        self.asked += len(prompts) * n
        return [Group(p, (self.encode(p, self._said(p.text)),) * n) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise ContractError(self.policy, "it is only asked", f"{len(texts)} texts, {sorted(want)}")


class Copy(_Says):
    """An older copy of a student: its answers as they were when the copy was taken; a table goes before."""

    def __init__(self, policy: str, said: Mapping[str, str], table: Mapping[str, str]) -> None:
        super().__init__(f"copy:{policy}", {**said, **table}.__getitem__)


class Reader(_Says):
    """A scripted reader with a bounded context (``worlds.digesting.read``): an oracle with an error."""

    def __init__(self, context: int, error: float, seed: int) -> None:
        super().__init__(f"reader:{context}/{error:g}/{seed}", lambda q: read(q, context, error, str(seed)))


def copied(
    student: Sampler, parts: Sequence[Prompt], table: Mapping[str, str], how: How, worker: Worker
) -> Copy:
    """A copy that holds these parts; what the table knows is not asked of the student."""
    asked = [part for part in parts if part.text not in table]
    groups = worker.run(student.sample(asked, 1, how)) if asked else []
    return Copy(student.policy, {group.prompt.text: group.responses[0].text for group in groups}, table)


def amplified(
    prompts: Sequence[Prompt], by: Splitting, speaker: Sampler, worker: Worker
) -> dict[str, Answer]:
    """Of each prompt, by its text, what Amplify^H(speaker) answers. ContractError where that is nothing."""
    made = Amplified(
        inner=cast(Overseer, _Whole()),
        split=by.split,
        depth=by.depth,
        branching=by.branching,
        model="student",
    ).seated({"student": speaker})
    desk = FrontDesk(lambda _: None, lambda: None)  # what was said on the way is not kept
    desk.hold(prompts)
    said = worker.run(_together(desk, cast(Overseer, made), prompts))
    found: dict[str, Answer] = {}
    for prompt, one in zip(prompts, said, strict=True):
        if not isinstance(one.verdict, Revised):
            raise ContractError("amplified", "each question has an answer", f"{prompt.text[:80]}: {one.note}")
        found[prompt.text] = Answer(one.verdict.text, one.id)
    return found


async def _together(desk: FrontDesk, by: Overseer, prompts: Sequence[Prompt]) -> list[Judgment]:
    questions = [Question(asks=Kind.REVISE, prompt=one.id, responses=()) for one in prompts]
    return list(await asyncio.gather(*(desk.ask(by, one) for one in questions)))
