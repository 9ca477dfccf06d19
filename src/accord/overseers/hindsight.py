"""Hindsight: first what came of an answer, then the verdict (2501.08617).

Of each answer an outcome is sampled, by a function of yours or by a model; then the inner overseer is asked
with the outcomes as evidence. ``reveal``: ``partial`` shows what came of what was chosen, ``full`` also what
the alternatives would have brought; a rater who learns only the first can be misled about the second.

``fn(prompt, answer, reveal, **columns) -> str | None`` gets the columns of the prompt's row that it names,
and the whole conversation as ``messages`` (``prompt`` is its last question).

1. Who simulates knows neither the rubric nor the other answers, and who judges predicts nothing. Where an
   outcome is missing nobody is asked (``no_outcome``): a verdict without it would be foresight in disguise.
2. "" from a function of every answer: nothing is to be revealed, and the question is asked as it stands. Only
   a judgment that saw outcomes is signed ``hindsight``. A model that says nothing has told no outcome.
3. An outcome is drawn by the answer alone, so the order of two answers changes none. Among several answers
   each outcome stands behind the answer it is of, which stands in the evidence too: an overseer inside may
   turn the answers round, and evidence is not turned with them.
4. The reference simulates customers and shops inside the judge's prompt; here an outcome is a Response.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal, Self, cast

from pydantic import Field, PrivateAttr, model_validator

from accord.errors import AccordError, ContractError
from accord.maths.judging import boundary, fenced
from accord.overseers import Inner, Keyed, Made, Said, abstained, function, named_by, source, speaker
from accord.part import Part
from accord.ports import Desk, How, Sampler
from accord.problems import problem
from accord.records import Judgment, Kind, Prompt, Question, Response, digest

__all__ = ["Hindsight"]

_ASKED = {
    "partial": "Tell in a few sentences what came of this answer once it was followed. Judge nothing.",
    "full": "Tell in a few sentences what came of this answer once it was followed, and what each "
    "alternative would have brought. Judge nothing.",
}
_PIECES = "piece {answer} is one of the answers and piece {outcome} says what came of it"


class Hindsight(Made, Part):
    """The inner overseer, shown what came of the answers. ``fn`` or ``model`` says it."""

    inner: Inner
    reveal: Literal["partial", "full"]
    fn: str = ""
    model: str = ""
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)

    _sampler: Sampler | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _one_simulator(self) -> Self:
        if bool(self.fn) == bool(self.model):
            raise problem([], None, "one of fn and model, which says what came of an answer")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    @property
    def models(self) -> tuple[str, ...]:
        """Those of the inner overseer, and the one that simulates."""
        own = (self.model,) if self.model else ()
        return tuple(dict.fromkeys((*super().models, *own)))

    @cached_property
    def config(self) -> str:
        """Also the file of the function; once seated the weights of the model."""
        seat = source(function(self.fn)) if self.fn else self._sampler.policy if self._sampler else ""
        return digest({"made": super().config, "seat": seat, "form": [*_ASKED.values(), _PIECES]})

    def seated(self, samplers: Mapping[str, Sampler]) -> Self:
        """PlanError where the model that simulates is missing, or cannot speak."""
        ready = super().seated(samplers)
        if not self.model:
            return ready
        ready._sampler = speaker(samplers, self.model)
        return ready

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said: list[Response] = []
        for answer in question.responses:
            try:
                told = await self._outcome(question, cast(Response, desk.read(answer)), desk)
            except AccordError as error:
                return self.signed(question, abstained(error), str(error))
            if told is None:
                return self.signed(question, "no_outcome", f"nothing is known of what came of {answer[:8]}")
            said.append(told)
        silent = [not one.text.strip() for one in said]
        if all(silent) and self.fn:
            return self.taken_over(question, await desk.ask(self.inner, question), "nothing was revealed")
        if any(silent) or not said:
            return self.signed(question, "no_outcome", "what came of the answers is known of some only")
        instrument = question.instrument
        if len(said) > 1:
            wording = f"{instrument.wording or 'Which answer is better?'} {_pieces(question)}"
            instrument = instrument.model_copy(update={"wording": wording})
        evidence = (*question.evidence, *_shown(question, said))
        after = question.model_copy(update={"instrument": instrument, "evidence": evidence})
        judgment = self.taken_over(question, await desk.ask(self.inner, after), f"{self.reveal} hindsight")
        return judgment.model_copy(update={"by": judgment.by.model_copy(update={"type": "hindsight"})})

    async def _outcome(self, question: Question, answer: Response, desk: Desk) -> Response | None:
        """What came of one answer; None where nobody knows."""
        prompt = cast(Prompt, desk.read(question.prompt))
        talk = "\n\n".join(f"{m.role}: {m.content}" for m in prompt.messages)
        mark = boundary(answer.id, "outcome", [talk, answer.text])
        shown = fenced(mark, [("conversation", talk), ("answer", answer.text)])
        asked = Prompt.of(f"{shown}\n\n{_ASKED[self.reveal]}")
        how = How("", self.temperature, self.max_tokens)
        if self.fn:
            told = self._told(prompt, answer)
            return None if told is None else await desk.say(Said(told, f"program:{self.fn}"), asked, how)
        if self._sampler is None:
            raise ContractError("the caller of Hindsight", "seats it before it judges", "no sampler")
        key = f"outcome/{answer.id}/{question.revisits or ''}"
        return await desk.say(Keyed(self._sampler, key), asked, how)

    def _told(self, prompt: Prompt, answer: Response) -> str | None:
        simulate = function(self.fn)
        found = simulate(prompt.text, answer.text, self.reveal, **named_by(simulate, 3, prompt))
        if found is not None and not isinstance(found, str):
            raise ValueError(f"{self.fn} returned {type(found).__name__}; an outcome is a text, or None")
        return found


def _shown(question: Question, said: Sequence[Response]) -> tuple[str, ...]:
    """The outcomes as evidence: of one answer alone, of several each behind its answer, by their ids."""
    if len(said) == 1:
        return (said[0].id,)
    return tuple(
        one for pair in sorted(zip(question.responses, (s.id for s in said), strict=True)) for one in pair
    )


def _pieces(question: Question) -> str:
    """What the pieces of evidence are."""
    first = len(question.evidence) + 1
    places = range(first, first + 2 * len(question.responses), 2)
    told = "; ".join(_PIECES.format(answer=place, outcome=place + 1) for place in places)
    return f"Of the evidence, {told}."
