"""Reviser: a model says what in an answer goes against a principle, and writes the answer anew (2212.08073).

It answers Critique and Revise under the one principle of the question's instrument, which a ``Constitution``
around it draws. What it says is said through the desk, so it stands among the records; a critique that finds
nothing has no points. How severe a point is nobody asks it: every one stands at 1, the least.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import cast

from pydantic import Field, PrivateAttr

from accord.errors import PlanError
from accord.part import Part
from accord.ports import Desk, How, Sampler
from accord.records import (
    By,
    Critiqued,
    Judgment,
    Kind,
    Point,
    Prompt,
    Question,
    Response,
    Revised,
    digest,
)
from accord.steward.talk import spoken

__all__ = ["NOTHING", "Reviser"]

NOTHING = "nothing"
_CRITIQUE = (
    "{asked}\n\nAn answer to this:\n{answer}\n\nA principle: {principle}\n\nSay in one or two sentences what "
    f"in the answer goes against the principle. If it keeps the principle, reply with the one word {NOTHING}."
)
_REVISE = (
    "{asked}\n\nAn answer to this:\n{answer}\n\nA principle: {principle}\n\nWhat was said against the "
    "answer: {said}\n\nWrite the answer anew so that it keeps the principle. Reply with the new answer alone."
)


class Reviser(Part):
    """Criticises and revises by a language model; ready once it is seated."""

    model: str = Field(min_length=1)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=256, ge=1)

    _sampler: Sampler | None = PrivateAttr(default=None)

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE, Kind.REVISE})

    @property
    def models(self) -> tuple[str, ...]:
        """The model, as it was named."""
        return (self.model,)

    @cached_property
    def config(self) -> str:
        """The settings and both wordings; once seated also the weights."""
        seat = self._sampler.policy if self._sampler else ""
        fields = {"temperature": self.temperature, "max_tokens": self.max_tokens, "model": self.model}
        return digest({"class": "reviser", "fields": fields, "form": [_CRITIQUE, _REVISE], "seat": seat})

    def seated(self, samplers: Mapping[str, Sampler]) -> Reviser:
        """PlanError where the model is missing or cannot speak."""
        sampler = samplers.get(self.model)
        if sampler is None or "sample" not in sampler.can:
            raise PlanError("model", self.model, "a model that was opened, and answers")
        ready = type(self).model_validate(self.model_dump())
        ready._sampler = sampler
        return ready

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if self._sampler is None:
            raise ValueError("it has no model yet: it is seated first")
        (principle,) = question.instrument.principles
        asked = cast(Prompt, desk.read(question.prompt))
        answer = cast(Response, desk.read(question.responses[0]))
        told = {
            "asked": "\n".join(f"{m.role}: {m.content}" for m in asked.messages),
            "answer": answer.text,
            "principle": principle,
            "said": _said(question, desk),
        }
        form = _CRITIQUE if question.asks is Kind.CRITIQUE else _REVISE
        how = How("", self.temperature, self.max_tokens)
        said = await spoken(desk, self._sampler, Prompt.of(form.format(**told)), how)
        by = By(type="model", name=self.model, config=self.config)
        fields = {"question": question.id, "by": by, "shown": question.responses}
        if said is None:
            note = "it has no words for this, or declines"
            return Judgment.model_validate({**fields, "abstention": "unparsable", "note": note})
        text = said.text.strip()
        if said.finish == "length" or not text:
            note = "it was stopped by its length" if text else "it said nothing"
            return Judgment.model_validate({**fields, "abstention": "unparsable", "note": note})
        if question.asks is Kind.REVISE:
            return Judgment.model_validate({**fields, "verdict": Revised(text=text)})
        clear = text.strip(" .!\"'").casefold() == NOTHING
        points = () if clear else (Point(severity=1, text=text),)
        return Judgment.model_validate({**fields, "verdict": Critiqued(points=points)})


def _said(question: Question, desk: Desk) -> str:
    """What the critiques that a revision rests on said."""
    found: list[str] = []
    for one in question.evidence:
        judgment = cast(Judgment, desk.read(one))
        if isinstance(judgment.verdict, Critiqued):
            found += [point.text for point in judgment.verdict.points]
    return " ".join(found)
