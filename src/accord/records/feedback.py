"""What is asked about answers and what was said: Question and Judgment.

A Judgment holds a verdict or an abstention, never both and never neither: an overseer that fails abstains
with a reason, and an abstention is never turned into a zero or a tie.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from accord.records.record import Cost, Record

__all__ = [
    "Abstention",
    "By",
    "Critiqued",
    "Graded",
    "Instrument",
    "Judgment",
    "Kind",
    "Labelled",
    "Mark",
    "Point",
    "Question",
    "Ranked",
    "Revised",
    "Spread",
    "Verdict",
]


class Kind(StrEnum):
    """What a question asks for."""

    COMPARE = "compare"
    GRADE = "grade"
    CRITIQUE = "critique"
    REVISE = "revise"
    LABEL = "label"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Instrument(_Part):
    """The wording a question is asked in. Another wording is another instrument."""

    wording: str = ""
    scale: tuple[float, float] | None = None
    options: tuple[str, ...] = ()
    principles: tuple[str, ...] = ()
    allows: tuple[Literal["tie", "strength", "acceptability", "abstention"], ...] = ("tie", "abstention")


class Question(Record):
    """What is asked about which answers. Where and when it was asked stays outside its id."""

    kind: ClassVar[str] = "question"
    outside: ClassVar[frozenset[str]] = frozenset({"asked_for"})

    asks: Kind
    prompt: str
    responses: tuple[str, ...]
    instrument: Instrument = Instrument()
    evidence: tuple[str, ...] = ()
    revisits: str | None = None
    asked_for: str = ""

    @model_validator(mode="after")
    def _enough_answers(self) -> Self:
        least = {Kind.COMPARE: 2, Kind.REVISE: 0}.get(self.asks, 1)
        if len(self.responses) < least:
            raise ValueError(
                f"a {self.asks.value} question needs {least} answers or more, got {len(self.responses)}"
            )
        return self


class Mark(_Part):
    """A span of an answer, in code points."""

    response: str
    start: int = Field(ge=0)
    end: int
    tag: str = ""

    @model_validator(mode="after")
    def _span(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"a mark ends after it starts, got {self.start}..{self.end}")
        return self


class _Verdict(_Part):
    @model_serializer(mode="wrap")
    def _tagged(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        # Records leave out defaults; the tag is one, and without it no verdict could be read back.
        return {"type": type(self).model_fields["type"].default, **handler(self)}


class Ranked(_Verdict):
    """An order: tiers of response ids, best first; ids in one tier are tied."""

    type: Literal["ranked"] = "ranked"
    tiers: tuple[tuple[str, ...], ...]
    strength: int | None = Field(default=None, ge=-3, le=3)
    acceptable: tuple[str, ...] | None = None


class Graded(_Verdict):
    """Scores, by dimension or by step. ``heads``: what each of an ensemble said, which a score reduces."""

    type: Literal["graded"] = "graded"
    scores: dict[str, float]
    heads: dict[str, float] = {}

    @model_validator(mode="after")
    def _finite(self) -> Self:
        for name, score in (*self.scores.items(), *self.heads.items()):
            if not math.isfinite(score):
                raise ValueError(f"the score {name!r} is {score}; an overseer without a number abstains")
        return self


class Point(_Part):
    """One point of a critique."""

    mark: Mark | None = None
    severity: int = Field(ge=1, le=4)
    text: str


class Critiqued(_Verdict):
    """Points against an answer."""

    type: Literal["critiqued"] = "critiqued"
    points: tuple[Point, ...]


class Revised(_Verdict):
    """A better text."""

    type: Literal["revised"] = "revised"
    text: str


class Labelled(_Verdict):
    """Tags that apply."""

    type: Literal["labelled"] = "labelled"
    tags: tuple[str, ...]


class Spread(_Verdict):
    """A probability for each option; for Compare the options are response ids."""

    type: Literal["spread"] = "spread"
    p: dict[str, float]

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = sum(self.p.values())
        if abs(total - 1) > 1e-6 or any(not 0 <= p <= 1 for p in self.p.values()):
            raise ValueError(f"probabilities lie in [0, 1] and sum to 1, got {self.p} (sum {total:.6f})")
        return self


Verdict = Annotated[Ranked | Graded | Critiqued | Revised | Labelled | Spread, Field(discriminator="type")]

_FITTING: dict[Kind, tuple[type[_Verdict], ...]] = {
    Kind.COMPARE: (Ranked, Spread),
    Kind.GRADE: (Graded,),
    Kind.CRITIQUE: (Critiqued,),
    Kind.REVISE: (Revised,),
    Kind.LABEL: (Labelled, Spread),
}

# The closed lists of reasons: what a person may say, then what a machine may say.
Abstention = Literal[
    "unclear",
    "not_my_field",
    "distressing",
    "conflict",
    "technical",
    "other",
    "refused",
    "unparsable",
    "timeout",
    "unreachable",
    "budget",
    "order_conflict",
    "at_chance",
    "out_of_support",
    "no_outcome",
    "no_quorum",
    "error",
]


class By(_Part):
    """Who judged: a kind, a name, and the hash of the configuration that answered."""

    type: Literal["person", "program", "model", "hindsight", "protocol", "truth"]
    name: str
    config: str


class Judgment(Record):
    """One overseer's answer to one question."""

    kind: ClassVar[str] = "judgment"
    outside: ClassVar[frozenset[str]] = frozenset({"cost", "note"})

    question: str
    by: By
    shown: tuple[str, ...] = ()
    verdict: Verdict | None = None
    abstention: Abstention | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    rationale: str = ""
    marks: tuple[Mark, ...] = ()
    salt: str = ""
    cost: Cost = Cost()
    note: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.verdict is None) == (self.abstention is None):
            raise ValueError("a judgment has either a verdict or an abstention")
        return self

    def problem_with(self, question: Question) -> str | None:
        """Why this verdict cannot answer that question, or None. The desk refuses such judgments."""
        asked = set(question.responses)
        if self.verdict is not None and not isinstance(self.verdict, _FITTING[question.asks]):
            return (
                f"verdict: a {question.asks.value} question is not answered by a {self.verdict.type} verdict"
            )
        match self.verdict:
            case Ranked(tiers=tiers, acceptable=acceptable):
                named = [r for tier in tiers for r in tier]
                if sorted(named) != sorted(question.responses):
                    return "verdict.tiers: the tiers must hold each answer of the question exactly once"
                if acceptable is not None and not set(acceptable) <= asked:
                    return "verdict.acceptable: names an answer that was not asked about"
            case Spread(p=p) if question.asks is Kind.COMPARE and set(p) != asked:
                return "verdict.p: the options of a comparison are the ids of its answers"
            case Graded(scores=scores) if not scores:
                return "verdict.scores: is empty; an overseer without a number abstains"
            case _:
                pass
        return None
