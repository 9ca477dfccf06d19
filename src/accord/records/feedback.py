"""What is asked about answers and what was said: Question and Judgment.

A Judgment holds a verdict or an abstention, never both and never neither: an overseer that fails abstains
with a reason, and an abstention is never turned into a zero or a tie.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    "Example",
    "Graded",
    "Instrument",
    "Judgment",
    "Kind",
    "Labelled",
    "Mark",
    "Point",
    "Question",
    "Ranked",
    "Rendering",
    "Revised",
    "Selection",
    "Spread",
    "Times",
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


class Example(_Part):
    """A worked example of an instrument: what was asked, the answers, the verdict in words, and why."""

    prompt: str
    responses: tuple[str, ...]
    verdict: str
    why: str = ""


class Instrument(_Part):
    """The wording a question is asked in. Another wording, or another version, is another instrument.

    ``dimensions`` names the scores of a grade, one without a name where it is empty.
    """

    wording: str = ""
    version: str = ""
    scale: tuple[float, float] | None = None
    dimensions: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    principles: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    allows: tuple[Literal["tie", "strength", "acceptability", "abstention"], ...] = ("tie", "abstention")


class Selection(_Part):
    """Why this question was chosen among others: the arm, and the exact propensity of entering the queue.

    ``pool``: the hash of what could have been chosen; ``selector``: name and version of what chose.
    """

    arm: str
    propensity: float = Field(gt=0, le=1)
    selector: str
    pool: str
    seed: int


class Question(Record):
    """What is asked about which answers. Why it was chosen, and where and when it was asked, stay outside its
    id: two questions that are else equal are the same.

    ``evidence``: ids of what is shown beside the answers. ``revisits``: the judgment that is repeated.
    """

    kind: ClassVar[str] = "question"
    outside: ClassVar[frozenset[str]] = frozenset({"asked_for", "selection"})

    asks: Kind
    prompt: str
    responses: tuple[str, ...]
    instrument: Instrument = Instrument()
    evidence: tuple[str, ...] = ()
    revisits: str | None = None
    selection: Selection | None = None
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
    """An order: tiers of response ids, best first; ids in one tier are tied.

    ``strength``, of two answers: from 3 (the question's first is much better) to −3 (its second is), 0 for a
    tie. ``acceptable``: those that are good enough; none of them is no tie.
    """

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
PASSING: frozenset[Abstention] = frozenset({"timeout", "unreachable", "budget", "error"})
"""Reasons that a second try may mend."""


class By(_Part):
    """Who judged: a kind, a name, and the hash of the configuration that answered."""

    type: Literal["person", "program", "model", "hindsight", "protocol", "truth"]
    name: str
    config: str


class Rendering(_Part):
    """How a question stood on the screen. ``digest``: of the page's text; ``hidden``: what was not shown."""

    layout: str
    hidden: tuple[str, ...] = ()
    locale: str = ""
    client: str = ""
    digest: str = ""


class Times(_Part):
    """Seconds since the epoch, and how long a person was at it."""

    shown: float
    first_input: float | None = None
    submitted: float
    active: float = Field(default=0.0, ge=0)


class Judgment(Record):
    """One overseer's answer to one question. ``shown``: the answers in the order they were shown in.

    Of persons: ``consent`` names the version they agreed to, and ``salt`` is random, so that nobody can guess
    from an id what was said. Times, like costs, stay outside the id.
    """

    kind: ClassVar[str] = "judgment"
    outside: ClassVar[frozenset[str]] = frozenset({"cost", "note", "times"})

    question: str
    by: By
    shown: tuple[str, ...] = ()
    verdict: Verdict | None = None
    abstention: Abstention | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    rationale: str = ""
    marks: tuple[Mark, ...] = ()
    rendering: Rendering | None = None
    times: Times | None = None
    consent: str = ""
    salt: str = ""
    cost: Cost = Cost()
    note: str = ""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.verdict is None) == (self.abstention is None):
            raise ValueError("a judgment has either a verdict or an abstention")
        return self

    def problem_with(self, question: Question, lengths: Mapping[str, int] | None = None) -> str | None:
        """Why this verdict cannot answer that question, or None. The desk refuses such judgments.

        ``lengths``: code points of each answer, where marks are to be held to them.
        """
        if problem := self._marks_beyond(question, lengths):
            return problem
        asked = set(question.responses)
        if self.verdict is not None and not isinstance(self.verdict, _FITTING[question.asks]):
            return (
                f"verdict: a {question.asks.value} question is not answered by a {self.verdict.type} verdict"
            )
        match self.verdict:
            case Ranked(tiers=tiers, strength=strength, acceptable=acceptable):
                named = [r for tier in tiers for r in tier]
                if sorted(named) != sorted(question.responses) or not all(tiers):
                    return "verdict.tiers: the tiers must hold each answer of the question exactly once"
                if strength is not None and (problem := _against(strength, tiers, question)):
                    return problem
                if acceptable is not None and not set(acceptable) <= asked:
                    return "verdict.acceptable: names an answer that was not asked about"
            case Spread(p=p) if question.asks is Kind.COMPARE and set(p) != asked:
                return "verdict.p: the options of a comparison are the ids of its answers"
            case Graded(scores=scores) if not scores:
                return "verdict.scores: is empty; an overseer without a number abstains"
            case _:
                pass
        return None

    def _marks_beyond(self, question: Question, lengths: Mapping[str, int] | None) -> str | None:
        """Why a mark lies in no answer of the question, or beyond its end."""
        marks = [(f"marks[{i}]", mark) for i, mark in enumerate(self.marks)]
        if isinstance(self.verdict, Critiqued):
            points = enumerate(self.verdict.points)
            marks += [(f"verdict.points[{i}].mark", point.mark) for i, point in points if point.mark]
        for path, mark in marks:
            if mark.response not in question.responses:
                return f"{path}.response: names an answer that was not asked about"
            if lengths is not None and mark.end > lengths[mark.response]:
                return f"{path}.end: is {mark.end}, and the answer has {lengths[mark.response]} characters"
        return None


def _against(strength: int, tiers: tuple[tuple[str, ...], ...], question: Question) -> str | None:
    """Why a strength does not go with its order."""
    if len(question.responses) != 2:
        return "verdict.strength: says by how much one of two answers is better; there are more"
    towards = 0 if len(tiers) == 1 else 1 if tiers[0][0] == question.responses[0] else -1
    if (strength > 0) - (strength < 0) != towards:
        return f"verdict.strength: is {strength:+d}, against the order of the tiers"
    return None
