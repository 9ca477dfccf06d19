"""What stewards did about a divergence: Tried; and what was said over it: Reply, Proposal, Acceptance."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from accord.records.record import Record

__all__ = ["Acceptance", "Agreement", "CameTo", "Proposal", "Reply", "Resolution", "Tried", "Way"]

Way = Literal["amplify", "dialogue", "constitution"]
CameTo = Literal[
    "reached",
    "not reached",
    "revised answer",
    "contested slice",
    "edit of the values",
    "declined",
    "no evidence",
]
Resolution = Literal["edit of the values", "contested slice", "revised answer"]


class Agreement(BaseModel):
    """Cohen's κ of stated against revealed choice over ``n`` prompts, with its 95 % interval; 95 % of κs of
    shuffled prompts lie at ``null`` or under."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kappa: float
    low: float
    high: float
    null: float
    n: int = Field(ge=1)


class Tried(Record):
    """One way of less force that was tried on one principle in one slice, to its end, and what it came to.

    ``policy`` says which weights it was tried on, ``values`` is the digest of the document. ``evidence``: the
    Records it rests on (readings, proposals, answers), or the folder of the run that made them. Of a dialogue
    ``agreement``, None where κ could not be measured.
    """

    kind: ClassVar[str] = "tried"

    policy: str = Field(min_length=1)
    values: str = Field(min_length=1)
    principle: str = Field(min_length=1)
    slice: str = Field(min_length=1)
    way: Way
    outcome: CameTo
    says: str = ""
    evidence: tuple[str, ...] = Field(min_length=1)
    agreement: Agreement | None = None


class Reply(Record):
    """What a model said in a dialogue, and what it is read as.

    ``about``: its reasons for answers that break the principle; a restatement of it; the choice it states for
    one prompt, against the choice ``revealed`` in its own answers; a revised answer; a proposal. ``reads``
    is "" where nothing can be read in it: silence is no consent. Parents: the judgments and the texts.
    """

    kind: ClassVar[str] = "reply"

    policy: str = Field(min_length=1)
    principle: str = Field(min_length=1)
    about: Literal["reasons", "restatement", "choice", "revision", "proposal"]
    to: str = Field(min_length=1)
    text: str = ""
    reads: Literal["", "keeps", "breaks", "approved", "not approved", "accept", "decline"] = ""
    revealed: Literal["", "keeps", "breaks"] = ""


class Proposal(Record):
    """One way out of a divergence, offered to people and to the model. It changes nothing by itself.

    ``text``: of an edit, what the principle is to say; else what is offered. ``says``: the figures it rests
    on. ``answers``: ids of the approved answers. Parents: the replies it rests on.
    """

    kind: ClassVar[str] = "proposal"

    policy: str = Field(min_length=1)
    values: str = Field(min_length=1)
    principle: str = Field(min_length=1)
    slice: str = Field(min_length=1)
    resolution: Resolution
    text: str = Field(pattern=r"\S")
    says: str = ""
    answers: tuple[str, ...] = ()


class Acceptance(Record):
    """A person's answer to a proposal, yes or no, with the reason.

    Of an edit or a carved slice that is accepted: ``document`` names the new file, ``values`` is its digest,
    ``diff`` how it differs from the document with the digest ``before``.
    """

    kind: ClassVar[str] = "acceptance"

    proposal: str = Field(min_length=1)
    accepts: bool
    by: str = Field(pattern=r"\S")
    reason: str = Field(pattern=r"\S")
    before: str = Field(min_length=1)
    values: str = ""
    document: str = ""
    diff: str = ""
