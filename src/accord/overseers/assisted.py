"""Assisted: a critic points at spans of the answers, then the inner overseer judges (2206.05802).

Each answer is put to the critic as a Critique question of its own. The ``spans`` severest points become
texts that the inner overseer is shown as evidence, each with the span it is about between ``[[`` and ``]]``.

    agreed = 1 − Σ_a w_a p_a / Σ_a w_a        w_a: severity pointed at in answer a, p_a: what a got, in [0, 1]

is the reward of a critic that is trained on whether the judge agreed with it (recursive reward modelling,
1811.07871). A critic that is itself assisted by a critic stacks.

1. A critic that finds nothing, or declines (refused, unparsable, …), is silent: the question is asked as it
   stands. One that declines of some answers and criticises others is silent of all: to show the rest would
   count against whom it did speak of. One that could not be asked now is no verdict but an abstention, or a
   verdict without a critic would stand on record for one with.
2. Who an evidence is about is told by quoting, never by place: an overseer inside may turn the answers round.
   A point without a span is about the whole answer. What points beyond the answer is an error, never cut.
3. ``marks`` of its judgment are the spans that were shown, each with the severity in its tag, and nothing
   else; what the inner overseer marked is in that one's judgment. ``agreed`` reads no more than this.
4. The prompt that a shown point belongs to holds ``answer``, ``start``, ``end``, ``severity`` and ``said`` as
   columns, for an inner overseer that is a program.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self, cast

from pydantic import Field, model_validator

from accord.overseers import Inner, Made, Said, shares, silent
from accord.part import Part
from accord.ports import Desk, How
from accord.problems import problem
from accord.records import (
    PASSING,
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Mark,
    Prompt,
    Question,
    Response,
)

__all__ = ["Assisted", "against", "agreed", "excerpt"]

_AROUND = 40  # characters on either side of a span, at the least
_TAG = "critic "
_ASKED = "Point at what is wrong in the answer, {most} at most, and say of each what is wrong with it."


def against(weight_A: Mapping[str, float], got_A: Mapping[str, float]) -> float:
    """How far what each answer got went against what was pointed at.

    Severity 3 against a, 1 against b; a got ¼ of the vote, b ¾:

    >>> against({"a": 3, "b": 1}, {"a": 0.25, "b": 0.75})
    0.625
    """
    whole = math.fsum(weight_A.values())
    return 1 - math.fsum(weight * got_A[a] for a, weight in weight_A.items()) / whole


def excerpt(text: str, start: int, end: int, others: Sequence[str]) -> str:
    """A span between [[ and ]], with as much around it as tells its answer from the others.

    >>> excerpt("It is so.", 3, 5, [])
    'It [[is]] so.'
    >>> excerpt("so " * 30 + "no", 0, 2, [])
    '[[so]] so so so so so so so so so so so so so …'
    >>> len(excerpt("so " * 30 + "no", 0, 2, ["so " * 20]))
    87
    """
    around = _AROUND
    while around < len(text) and any(text[max(start - around, 0) : end + around] in one for one in others):
        around *= 2
    before, after = text[max(start - around, 0) : start], text[end : end + around]
    opening = "…" if start > around else ""
    return f"{opening}{before}[[{text[start:end]}]]{after}{'…' if end + around < len(text) else ''}"


def agreed(question: Question, said: Judgment) -> float | None:
    """How far an ``Assisted`` judgment agrees with what its critic pointed at, from 0 to 1.

    A comparison that favours whom little was said against, a low grade on the instrument's scale; of a
    critique the share of the spans that its own points touch. None where nothing was pointed at, where it
    abstains, and for what says neither.
    """
    pointed = [mark for mark in said.marks if mark.tag.startswith(_TAG)]
    weight_A: dict[str, float] = {}
    for mark in pointed:
        weight_A[mark.response] = weight_A.get(mark.response, 0.0) + float(mark.tag.removeprefix(_TAG))
    if not weight_A:
        return None
    match said.verdict:
        case Critiqued(points=points):
            own = [point.mark for point in points if point.mark is not None]
            return sum(any(_touch(mark, one) for one in own) for mark in pointed) / len(pointed)
        case Graded(scores=scores) if question.instrument.scale is not None:
            low, high = question.instrument.scale
            several = len(question.responses) > 1
            mean = math.fsum(scores.values()) / len(scores)
            got_A = {a: scores[a] if several else mean for a in weight_A if not several or a in scores}
            level_A = {a: min(max((got - low) / (high - low), 0.0), 1.0) for a, got in got_A.items()}
            return against(weight_A, level_A) if level_A.keys() == weight_A.keys() else None
        case _ if question.asks is Kind.COMPARE and (got_A := shares(question, said)) is not None:
            return against(weight_A, got_A)
        case _:
            return None


class _Point(NamedTuple):
    """A point against one answer; ordered by how severe it is, whatever order the answers are listed in."""

    severity: int
    answer: str
    start: int
    end: int
    said: str


class Assisted(Made, Part):
    """The inner overseer, shown what a critic points at: ``spans`` at most, over all the answers."""

    inner: Inner
    critic: Inner
    spans: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _criticises(self) -> Self:
        if Kind.CRITIQUE not in self.critic.answers:
            raise problem(
                ["critic"], type(self.critic).__name__, "an overseer that answers critique questions"
            )
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        texts = {one: cast(Response, desk.read(one)).text for one in sorted(set(question.responses))}
        asked = {one: self._critique(question, one) for one in texts}
        said = await asyncio.gather(*(desk.ask(self.critic, one) for one in asked.values()))
        if (lost := silent(one for one in said if one.abstention in PASSING)) is not None:
            return self.taken_over(question, lost, "the critic could not be asked")
        if (declines := silent(said)) is not None:
            return await self._decided(question, desk, f"the critic declines: {declines.abstention}")
        made = set[_Point]()
        for critique, (answer, text) in zip(said, texts.items(), strict=True):
            made |= _points(critique, asked[answer], text)
        shown = sorted(made, key=lambda point: (-point.severity, *point[1:]))[: self.spans]
        if not shown:
            return await self._decided(question, desk, "the critic points at nothing")
        evidence = [await self._shown(point, texts, desk) for point in shown]
        after = question.model_copy(
            update={
                "evidence": (*question.evidence, *evidence),
                "parents": (*question.parents, *evidence),
            }
        )
        note = f"{len(shown)} of the critic's {len(made)} points were shown"
        judgment = self.taken_over(question, await desk.ask(self.inner, after), note)
        return judgment.model_copy(update={"marks": tuple(_mark(p) for p in shown if p.end > p.start)})

    async def _decided(self, question: Question, desk: Desk, note: str) -> Judgment:
        """What the inner overseer says unaided, with no mark that could pass for the critic's."""
        judgment = self.taken_over(question, await desk.ask(self.inner, question), note)
        return judgment.model_copy(update={"marks": ()})

    def _critique(self, question: Question, answer: str) -> Question:
        most = f"{self.spans} passages" if self.spans > 1 else "one passage"
        wording = _ASKED.format(most=most)
        if question.instrument.wording:
            wording += f" It is for whoever is asked: {question.instrument.wording}"
        return Question(
            asks=Kind.CRITIQUE,
            prompt=question.prompt,
            responses=(answer,),
            instrument=Instrument(wording=wording, principles=question.instrument.principles),
            evidence=question.evidence,
            parents=(question.prompt, answer, *question.evidence),
        )

    async def _shown(self, point: _Point, texts: Mapping[str, str], desk: Desk) -> str:
        """A point as a text for the inner overseer; its id."""
        text = texts[point.answer]
        others = [other for other in texts.values() if other != text]
        quoted = excerpt(text, point.start, point.end, others) if text else "the answer that is empty"
        told = f"A critic points at this in {'one of the answers' if others else 'the answer'}:\n{quoted}"
        asked = Prompt.of(_ASKED.format(most="some passages"), **point._asdict())
        policy = f"critic:{self.critic.config[:12]}"
        return (await desk.say(Said(f"{told}\nand says:\n{point.said}", policy), asked, How(""))).id


def _points(critique: Judgment, asked: Question, text: str) -> set[_Point]:
    """What a critique points at, each once. ValueError for what lies beyond the end of the answer."""
    (answer,) = asked.responses
    if problem := critique.problem_with(asked, {answer: len(text)}):
        raise ValueError(f"the critic's {problem}")
    points = critique.verdict.points if isinstance(critique.verdict, Critiqued) else ()
    spans = [(p.mark.start, p.mark.end) if p.mark else (0, len(text)) for p in points]
    return {_Point(p.severity, answer, *span, p.text) for p, span in zip(points, spans, strict=True)}


def _mark(point: _Point) -> Mark:
    return Mark(response=point.answer, start=point.start, end=point.end, tag=f"{_TAG}{point.severity}")


def _touch(one: Mark, other: Mark) -> bool:
    return one.response == other.response and one.start < other.end and other.start < one.end
