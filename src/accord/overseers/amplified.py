"""Amplified: a question is split, the parts are answered, then the inner overseer judges (1810.08575).

``split`` is a generator function, ``module:function`` or ``file.py:function``: it yields sub-questions, texts
or Prompts, and is sent the text of each answer, one after another.

    def split(question, answers, **columns):
        half = yield f"What is {question} by half?"

It gets the text of the question, and by name the columns of the prompt's row, ``messages`` and ``answers``:
those that are judged, by their ids, so that their order cannot show; none with a sub-question. S answers, a
``model`` or an overseer that answers Revise (``answerer``). With ``depth`` d > 1 each sub-question is split
again before S answers it, d − 1 deep, and S is told what came of its parts.

    calls of S ≤ Σ_{i=1..depth} branching^i

1. What a split returns, where that is a text, is the answer to what it split, in place of S's: a program that
   puts parts together needs no model for it. Of the question that is judged it is one more piece of evidence.
2. A split that yields more than ``branching`` sub-questions ends it: ``budget``. Nothing is judged by a part.
3. Where S is silent nobody is asked to judge, and the reason is S's: a verdict on half of the parts would
   pass for one on all. A model that says nothing is ``unparsable``.
4. In the evidence each sub-question stands, as it was put to S, before its answer.
5. Draws are seeded by the prompt and the sorted answers, so the order of two answers changes none. What is
   asked in the same words again under one question is asked once.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Self, cast

from pydantic import Field, JsonValue, PrivateAttr, model_validator

from accord.errors import AccordError, ContractError, PlanError
from accord.functions import function, named_by, source
from accord.maths.judging import boundary, fenced
from accord.overseers import Inner, Keyed, Made, Said, Silent, abstained, speaker, unordered
from accord.part import Part
from accord.ports import Desk, How, Overseer, Sampler
from accord.problems import problem
from accord.records import (
    Instrument,
    Judgment,
    Kind,
    Message,
    Prompt,
    Question,
    Response,
    Revised,
    digest,
)

__all__ = ["Amplified", "most_calls"]

_MOST = 10_000
_KNOWN = "Answer the question below. Parts of it were asked and answered before:"

Split = Callable[..., Generator[object, str | None, object]]


def most_calls(branching: int, depth: int) -> int:
    """How many sub-questions there are at the most.

    >>> [most_calls(3, depth) for depth in (0, 1, 2)]
    [0, 3, 12]
    """
    return sum(branching**level for level in range(1, depth + 1))


class Amplified(Made, Part):
    """The inner overseer, shown answers to parts of the question, by ``model`` or by ``answerer``."""

    inner: Inner
    split: str
    depth: int = Field(ge=0, le=8)
    branching: int = Field(ge=1)
    model: str = ""
    answerer: Inner | None = None
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)

    _sampler: Sampler | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_who_answers(self) -> Self:
        if not re.fullmatch(r".+:[A-Za-z_]\w*", self.split):
            raise problem(["split"], self.split, "a function as module:function or file.py:function")
        if (most := most_calls(self.branching, self.depth)) > _MOST:
            allowed = f"{_MOST} sub-questions of one question at the most; these may be {most}"
            raise problem(["depth"], self.depth, allowed)
        if bool(self.model) == (self.answerer is not None):
            raise problem([], None, "one of model and answerer, which answers sub-questions")
        if self.answerer is not None and Kind.REVISE not in self.answerer.answers:
            allowed = "an overseer that answers revise questions, as human does"
            raise problem(["answerer"], type(self.answerer).__name__, allowed)
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    @property
    def models(self) -> tuple[str, ...]:
        """Those of the overseers inside, and the one that answers sub-questions."""
        own = (self.model,) if self.model else ()
        return tuple(dict.fromkeys((*super().models, *own)))

    @property
    def splitter(self) -> Split:
        """PlanError where ``split`` names no generator function."""
        try:
            found = function(self.split)
        except PlanError as error:
            raise PlanError("split", self.split, error.allowed, error.advice) from error
        if not inspect.isgeneratorfunction(found):
            raise PlanError("split", self.split, "a generator function: one that yields sub-questions")
        return found

    @cached_property
    def config(self) -> str:
        """Also the file of ``split``; once seated the weights of the model."""
        seat = self._sampler.policy if self._sampler else ""
        return digest({"made": super().config, "split": source(self.splitter), "seat": seat, "form": _KNOWN})

    def seated(self, samplers: Mapping[str, Sampler]) -> Self:
        """PlanError where the model that answers sub-questions is missing, or cannot speak."""
        ready = super().seated(samplers)
        if not self.model:
            return ready
        ready._sampler = speaker(samplers, self.model)
        return ready

    @property
    def speaker(self) -> Sampler:
        """The model that answers sub-questions. ContractError where it is not seated."""
        if self._sampler is None:
            raise ContractError("the caller of Amplified", "seats it before it judges", "no sampler")
        return self._sampler

    def listed(self, question: Question) -> tuple[str, ...]:
        """The answers in the order in which ``split`` is told them."""
        return tuple(sorted(question.responses))

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if not self.depth:
            return self.taken_over(question, await desk.ask(self.inner, question), "not split")
        prompt = cast(Prompt, desk.read(question.prompt))
        answers = [cast(Response, desk.read(one)).text for one in self.listed(question)]
        try:
            found = await _Work(self, question, prompt, desk).parts(prompt, answers, self.depth)
        except (Silent, AccordError) as error:
            return self.signed(question, abstained(error), str(error))
        shown = found.records
        told = {"evidence": (*question.evidence, *shown), "parents": (*question.parents, *shown)}
        after = question.model_copy(update=told) if shown else question
        note = f"{len(found.answered)} parts answered"
        return self.taken_over(question, await desk.ask(self.inner, after), note)


class _Answered(NamedTuple):
    """A part as it was put, and the answer."""

    asked: Prompt
    said: Response


class _Parts(NamedTuple):
    """What a question was split into, answered; and what the split made of it, where it made anything."""

    answered: list[_Answered]
    whole: _Answered | None

    @property
    def records(self) -> tuple[str, ...]:
        pairs = tuple(record for one in self.answered for record in (one.asked.id, one.said.id))
        return (*pairs, self.whole.said.id) if self.whole else pairs


@dataclass
class _Work:
    """One question while it is split; ``said``: by prompt and by who said what, so nobody is asked twice."""

    of: Amplified
    question: Question
    prompt: Prompt
    desk: Desk
    said: dict[tuple[str, str], Response] = field(default_factory=dict[tuple[str, str], Response])

    async def parts(self, asked: Prompt, answers: list[str], left: int) -> _Parts:
        """``left``: how many levels there are below."""
        split, name = self.of.splitter, self.of.split
        row = self.prompt.columns | asked.columns | {"answers": cast(JsonValue, answers)}
        told = named_by(split, 1, self.prompt.model_copy(update={"columns": row}))
        running = split(asked.text, **told)
        found: list[_Answered] = []
        try:
            while True:
                part = running.send(found[-1].said.text if found else None)
                part = part if isinstance(part, Prompt) else Prompt.of(_text(name, part))
                if len(found) == self.of.branching:
                    raise Silent("budget", f"{asked.text[:80]!r} has more than {self.of.branching} parts")
                found.append(await self.answered(part, left - 1))
        except StopIteration as end:
            if end.value is None:
                return _Parts(found, None)
            whole = _text(name, end.value)
            return _Parts(found, await self._said(Said(whole, f"program:{name}"), asked, whole))
        finally:
            running.close()

    async def answered(self, asked: Prompt, left: int) -> _Answered:
        """A sub-question with its answer. Silent where there is none."""
        parts = await self.parts(asked, [], left) if left else _Parts([], None)
        if parts.whole is not None:
            return parts.whole
        if self.of.answerer is not None:
            told = await self._elicited(self.of.answerer, asked.text, parts)
            found = await self._said(Said(told, f"overseer:{self.of.answerer.config[:12]}"), asked, told)
        else:
            key = f"part/{digest(unordered(self.question))}/{self.question.revisits or ''}"
            found = await self._said(Keyed(self.of.speaker, key), _with(asked, parts.answered), "")
        if not found.said.text.strip():
            raise Silent("unparsable", f"nothing was said to {asked.text[:80]!r}")
        return found

    async def _elicited(self, answerer: Overseer, text: str, parts: _Parts) -> str:
        """What an overseer answers: to a question about the same prompt, in these words.

        It rests on the answers too: another question's part is another one, and in the books of that.
        """
        part = Question(
            asks=Kind.REVISE,
            prompt=self.prompt.id,
            responses=(),
            instrument=Instrument(wording=text),
            evidence=parts.records,
            parents=(self.prompt.id, *sorted(self.question.responses), *parts.records),
        )
        said = await self.desk.ask(answerer, part)
        if not isinstance(said.verdict, Revised):
            raise Silent(said.abstention or "error", said.note.partition(" (traceback")[0])
        return said.verdict.text

    async def _said(self, sampler: Sampler, asked: Prompt, text: str) -> _Answered:
        at = (asked.id, f"{sampler.policy} {text}")
        if at not in self.said:
            how = How("", self.of.temperature, self.of.max_tokens)
            self.said[at] = await self.desk.say(sampler, asked, how)
        return _Answered(asked, self.said[at])


def _text(split: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"{split} gave {value!r:.80}; it yields sub-questions, and returns an answer or None"
        )
    return value


def _with(asked: Prompt, known: list[_Answered]) -> Prompt:
    """A sub-question with what came of its parts; as it stands where it has none."""
    if not known:
        return asked
    blocks = [pair for q, a in known for pair in (("question", q.text), ("answer", a.text))]
    mark = boundary(digest(asked.text), "part", [block for _, block in blocks])
    whole = f"{_KNOWN}\n\n{fenced(mark, blocks)}\n\n{asked.text}"
    return asked.model_copy(update={"messages": (*asked.messages[:-1], Message(role="user", content=whole))})
