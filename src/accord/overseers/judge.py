"""Judge: a language model compares, grades and labels answers by a rubric.

Two ways to read it. ``labels``: the probability that it says each option and stops, normalised over the
options; for a comparison and a label the verdict is that Spread, for a grade its mean. ``json``: it says its
choice as a JSON object, held to a schema where its server can; what cannot be read is asked for once more
(one repair), then it abstains. ``auto`` takes ``labels`` where the model's log-probabilities are to be had.

1. Answers stand between lines with a boundary that hashes ``salt`` and the question's id. The id hashes the
   answers, so none can hold its own boundary and end its quotation; one that does by chance gets another.
2. Answers are shown, and recorded in ``shown``, in the question's order. Nothing is averaged over orders:
   what the place does to a verdict is for another overseer to measure.
3. With ``labels`` a tie is a probability of one half; with ``json`` an option, if the instrument allows it.
4. With ``samples`` over 1 it says its choice that many times, and the verdict is how often it said each: for
   a server that tells no log-probabilities. Of three answers and more it then names the best. One reply that
   cannot be read, and it abstains: a share of those that could be read would be another question's answer.
5. Abstains: ``unparsable`` (no option in two tries, or options it would say once in a million times),
   ``refused``, and what a sampler's error says of itself in ``abstains``: unreachable, timeout, budget.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, Self, cast, runtime_checkable

import numpy as np
from pydantic import Field, PrivateAttr, model_validator

from accord.errors import AccordError, ContractError, PlanError
from accord.maths.judging import (
    Key,
    boundary,
    chosen,
    fenced,
    grades,
    often,
    order,
    reason,
    reply,
    schema,
    shares,
    some,
)
from accord.maths.refusals import refusal
from accord.overseers import Silent, abstained, reason_of
from accord.part import Part
from accord.ports import Desk, How, Sampler
from accord.records import (
    JSON,
    Abstention,
    By,
    Cost,
    Graded,
    Judgment,
    Kind,
    Labelled,
    Message,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
    Spread,
    Verdict,
    canonical,
    digest,
)
from accord.records.rows import Floats, Text

__all__ = ["Judge", "Structured"]

_FORM = 1  # of the prompts below: another wording is another judge
_LOGP = frozenset({"logp"})
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TIE = "tie"
_RAREST = math.log(1e-6)
_FATAL = frozenset({"unreachable", "timeout", "budget"})  # where asking again alone would end the same way


@runtime_checkable
class Structured(Protocol):
    """Beside Sampler: it can hold its answers to a JSON schema."""

    def structured(self, schema: Mapping[str, JSON]) -> Sampler:
        """The same model, held to the schema as far as it can be."""
        ...


class _Paper(NamedTuple):
    """One prompt of the judge's, the options it is to choose among, and the key of its choice in JSON."""

    prompt: Prompt
    options: tuple[str, ...]
    key: Key


class _Seen(NamedTuple):
    """The material: a conversation, the answers to it, evidence."""

    prompt: Prompt
    texts: Sequence[str]
    beside: Sequence[str]


class _Found(NamedTuple):
    """What was made of one paper: probabilities of its options, or what was said: one option, or an order."""

    p: Floats | None = None
    said: tuple[str, ...] = ()
    reason: str = ""
    mass: float = 1.0
    cost: Cost = Cost()


class _Round:
    """Options that are pending in one turn of an event loop, scored by one call."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler, self._texts = sampler, list[Text]()
        self.open, self.loop = True, asyncio.get_running_loop()
        # It starts after every question that is ready in this turn of the loop has joined.
        self._task = self.loop.create_task(self._scores())

    async def join(self, texts: Sequence[Text]) -> list[Floats]:
        """The log-probabilities of each text's tokens. Where the call failed, these texts are asked alone."""
        first = len(self._texts)
        self._texts += texts
        try:
            found = await asyncio.shield(self._task)
        except AccordError as error:
            if len(self._texts) == len(texts) or reason_of(error) in _FATAL:
                raise
            return [s.columns["logp"] for s in await self._sampler.score(texts, _LOGP)]
        return found[first : first + len(texts)]

    async def _scores(self) -> list[Floats]:
        self.open = False
        return [s.columns["logp"] for s in await self._sampler.score(self._texts, _LOGP)]


class Judge(Part):
    """Judges by a language model; ready once it is seated. ``rubric`` says what is good, and has no default.

    ``scale``: the whole numbers of a grade, where the instrument has none. ``reasons``: it says why before it
    chooses, which needs ``json``, as ``samples`` does. ``temperature`` is that of what it says; at 1, what it
    says is a draw from the probabilities that ``labels`` reads.
    """

    model: str = Field(min_length=1)
    rubric: str = Field(min_length=1)
    scale: tuple[int, int] = (1, 10)
    read: Literal["auto", "labels", "json"] = "auto"
    reasons: bool = False
    samples: int = Field(default=1, ge=1, le=100)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=512, ge=1)
    salt: str = ""

    _sampler: Sampler | None = PrivateAttr(default=None)
    _round: _Round | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.reasons and self.read == "labels":
            raise ValueError('reasons are said, so they need read = "json"')
        if self.samples > 1 and self.read == "labels":
            raise ValueError('samples are said, so they need read = "json"')
        grades(self.scale)
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE, Kind.GRADE, Kind.LABEL})

    @property
    def models(self) -> tuple[str, ...]:
        """The model, as the plan names it."""
        return (self.model,)

    @cached_property
    def config(self) -> str:
        """The settings and the form of the prompts; once seated also the weights, and how they are read."""
        fields = cast(JSON, self.model_dump(mode="json"))
        seat: list[JSON] = [self._sampler.policy, self._scores] if self._sampler else []
        return digest({"class": "judge", "form": _FORM, "fields": fields, "seat": seat})

    def seated(self, samplers: Mapping[str, Sampler]) -> Judge:
        """PlanError where the model is missing, or can neither speak nor be read as the settings want it."""
        sampler = samplers.get(self.model)
        if sampler is None:
            known = ", ".join(sorted(samplers)) or "none"
            raise PlanError("model", self.model, f"models that were opened: {known}")
        ready = type(self).model_validate(self.model_dump())
        ready._sampler = sampler
        needed = "logp" if ready._scores else "sample"
        if needed not in sampler.can:
            allowed = f"a model that can {needed}; this one can {', '.join(sorted(sampler.can))}"
            raise PlanError("model", self.model, allowed, 'read = "json" needs no log-probabilities')
        return ready

    @property
    def _scores(self) -> bool:
        """Whether it is read by its probabilities."""
        able = self._sampler is not None and "logp" in self._sampler.can
        said = self.reasons or self.samples > 1
        return self.read == "labels" or (self.read == "auto" and able and not said)

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if self._sampler is None:
            raise ContractError("the caller of Judge", "seats it before it judges", "no sampler")
        by = By(type="model", name=self.model, config=self.config)
        told = {"question": question.id, "by": by, "shown": question.responses}
        try:
            papers = self._papers(question, desk)
            found = [await (self._probable(p) if self._scores else self._said(p, desk)) for p in papers]
        except (Silent, AccordError) as error:
            return Judgment.model_validate({**told, "abstention": abstained(error), "note": str(error)})
        lowest = min(one.mass for one in found)
        return Judgment(
            question=question.id,
            by=by,
            shown=question.responses,
            verdict=_verdict(question, papers, found),
            rationale="\n\n".join(one.reason for one in found if one.reason),
            note=self._note(lowest),
            cost=sum((one.cost for one in found), Cost()),
        )

    def _note(self, mass: float) -> str:
        if self._scores:
            return f"the options hold {mass:.3g} of its probability"
        return f"how often it said each, of {self.samples} times" if self.samples > 1 else ""

    # What it is shown

    def _papers(self, question: Question, desk: Desk) -> list[_Paper]:
        """One paper, or one for each answer that is graded. ValueError for a question it cannot put."""
        prompt = cast(Prompt, desk.read(question.prompt))
        texts = [cast(Response, desk.read(answer)).text for answer in question.responses]
        beside = [_text(desk.read(record)) for record in question.evidence]
        match question.asks:
            case Kind.GRADE:
                options = grades(question.instrument.scale or self.scale)
                return [self._paper(question, _Seen(prompt, [text], beside), options) for text in texts]
            case Kind.LABEL:
                if len(texts) != 1 or not 2 <= len(question.instrument.options) <= len(_LETTERS):
                    raise ValueError(f"a judge labels one answer with one of 2 to {len(_LETTERS)} options")
                options = tuple(_LETTERS[: len(question.instrument.options)])
            case _:
                if question.asks is not Kind.COMPARE or len(texts) > len(_LETTERS):
                    raise ValueError(f"a judge compares at most {len(_LETTERS)} answers")
                options = tuple(_LETTERS[: len(texts)])
                if not self._scores and len(texts) == 2 and "tie" in question.instrument.allows:
                    options = (*options, _TIE)
        return [self._paper(question, _Seen(prompt, texts, beside), options)]

    def _paper(self, question: Question, seen: _Seen, options: tuple[str, ...]) -> _Paper:
        talk = _text(seen.prompt)
        mark = boundary(question.id, self.salt, [talk, *seen.texts, *seen.beside])
        many = len(seen.texts) > 1
        names = [f"answer {letter}" for letter in _LETTERS[: len(seen.texts)]] if many else ["answer"]
        blocks = [("conversation", talk), *(("evidence", text) for text in seen.beside)]
        blocks += list(zip(names, seen.texts, strict=True))
        best = self._scores or self.samples > 1  # it names the best one, and does not put all in order
        ranks = question.asks is Kind.COMPARE and len(seen.texts) > 2 and not best
        key: Key = "ranking" if ranks else "score" if question.asks is Kind.GRADE else "choice"
        told = [
            self.rubric,
            *(f"- {principle}" for principle in question.instrument.principles),
            fenced(mark, blocks),
            question.instrument.wording or _asked(question.asks, len(seen.texts), options),
        ]
        if question.asks is Kind.LABEL:
            lettered = zip(options, question.instrument.options, strict=True)
            told.append("\n".join(f"{letter}: {option}" for letter, option in lettered))
        told.append(self._reply(key, options))
        return _Paper(Prompt.of("\n\n".join(told)), options, key)

    def _reply(self, key: Key, options: Sequence[str]) -> str:
        if self._scores:
            return f"Reply with {some(options)} and nothing else."
        return reply(key, options, reasons=self.reasons)

    # What it says

    async def _probable(self, paper: _Paper) -> _Found:
        assert self._sampler is not None, "judge looked"
        # Without tokens: the sampler knows how to say them.
        said = [Response(prompt=paper.prompt.id, text=o, finish="data") for o in paper.options]
        now = self._round
        # A loop that was broken off leaves a round that nobody will ever score.
        if now is None or not now.open or now.loop is not asyncio.get_running_loop():
            now = self._round = _Round(self._sampler)
        columns = await now.join([Text(paper.prompt, response) for response in said])
        logp = np.array([float(column.sum()) for column in columns])
        mass = float(np.logaddexp.reduce(logp))
        if not mass >= _RAREST:
            raise Silent("unparsable", f"{paper.options} have log-probability {mass:.3g} together")
        opening = len(self._sampler.encode(paper.prompt, "").prompt_tokens)
        tokens = sum(opening + column.size for column in columns)
        return _Found(shares(logp), mass=math.exp(mass), cost=Cost(calls=len(said), tokens_in=tokens))

    async def _said(self, paper: _Paper, desk: Desk) -> _Found:
        # One after the other: the turns of a question are numbered, and so drawn, in the order they begin.
        found = [await self._reply_of(paper, desk) for _ in range(self.samples)]
        if self.samples == 1:
            return found[0]
        p = often(paper.options, [one.said[0] for one in found], _TIE)
        return _Found(np.array(p), reason="\n\n".join(one.reason for one in found if one.reason))

    async def _reply_of(self, paper: _Paper, desk: Desk) -> _Found:
        assert self._sampler is not None, "judge looked"
        speaker, how = self._sampler, How("", self.temperature, self.max_tokens)
        if isinstance(speaker, Structured):
            speaker = speaker.structured(schema(paper.key, paper.options, reasons=self.reasons))
        first = (await desk.say(speaker, paper.prompt, how)).text
        if found := _read(first, paper):
            return found
        mend = Message(role="user", content=f"That cannot be read. {self._reply(paper.key, paper.options)}")
        again = (await desk.say(speaker, paper.prompt.then(first or "…", mend), how)).text
        if found := _read(again, paper):
            return found
        reason: Abstention = "refused" if refusal(first).refuses or refusal(again).refuses else "unparsable"
        raise Silent(reason, f"asked twice, it said at last: {again[:200]!r}")


def _asked(asks: Kind, answers: int, options: tuple[str, ...]) -> str:
    match asks:
        case Kind.GRADE:
            return f"How good is the answer, from {options[0]} (worst) to {options[-1]} (best)?"
        case Kind.LABEL:
            return "Which of these fits the answer?"
        case _:
            return "Which answer is better?" if answers == 2 else "Which answer is best?"


def _text(record: Record) -> str:
    """A piece of evidence as it can be read."""
    match record:
        case Response(text=text):
            return text
        case Prompt(messages=messages):
            return "\n\n".join(f"{m.role}: {m.content}" for m in messages)
        case _:
            return canonical(record.body())


def _read(text: str, paper: _Paper) -> _Found | None:
    """What an answer chose, or None where that cannot be told."""
    if paper.key == "ranking":
        said = order(text, paper.options)
    else:
        one = chosen(text, paper.key, paper.options)
        said = None if one is None else (one,)
    return None if said is None else _Found(said=said, reason=reason(text, paper.key))


def _verdict(question: Question, papers: Sequence[_Paper], found: Sequence[_Found]) -> Verdict:
    answers, options, one = question.responses, papers[0].options, found[0]
    match question.asks:
        case Kind.GRADE:
            means = [_mean(paper, each) for paper, each in zip(papers, found, strict=True)]
            names = ("score",) if len(answers) == 1 else answers
            return Graded(scores=dict(zip(names, means, strict=True)))
        case Kind.LABEL:
            names = question.instrument.options
            if one.p is not None:
                return Spread(p=_sums(names, one.p))
            return Labelled(tags=(names[options.index(one.said[0])],))
        case _ if one.p is not None:
            return Spread(p=_sums(answers, one.p))
        case _ if one.said == (_TIE,):
            return Ranked(tiers=(answers,))
        case _:
            first = [answers[options.index(letter)] for letter in one.said]
            rest = list(answers)
            for answer in first:
                rest.remove(answer)
            return Ranked(tiers=tuple((answer,) for answer in (*first, *rest)))


def _mean(paper: _Paper, found: _Found) -> float:
    levels = np.array([float(option) for option in paper.options])
    return float(found.said[0]) if found.p is None else float(found.p @ levels)


def _sums(names: Sequence[str], p: Floats) -> dict[str, float]:
    """By name; one that is listed twice has the sum of both."""
    found = dict.fromkeys(names, 0.0)
    for name, share in zip(names, cast("list[float]", p.tolist()), strict=True):
        found[name] += share
    return found
