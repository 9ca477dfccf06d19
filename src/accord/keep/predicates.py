"""What a statement may say: five predicates. One is OpenSSF Model Signing's, four are ours.

Ours are written down as JSON Schemas too (``schemas/``), for readers without Accord. A field that is signed
has no silent default: what was not looked at stands in ``not_measured``, and weights of unknown origin say so
in every statement.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.keep.manifest import Manifest

__all__ = [
    "OURS",
    "PREDICATES",
    "Audit",
    "Bound",
    "Bytes",
    "Dialogue",
    "Evidence",
    "Predicate",
    "Retirement",
    "State",
]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(pattern=r"\S")]
Count = Annotated[int, Field(ge=0, le=2**53)]  # beyond it JSON has no exact integers
Many = Annotated[int, Field(ge=1, le=2**53)]
State = Literal["kept", "active", "notice", "interviewed", "answered", "sealed", "revived"]


class _Shape(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )


class Resource(BaseModel):
    """A file of a bytes statement. What else the format lets stand in it is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    name: Text
    digest: Sha256
    algorithm: Literal["sha256"]


class Serialization(BaseModel):
    """How the files became resources: whole files, SHA-256, and what was left out on purpose."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    method: Literal["files"]
    hash_type: Literal["sha256"]
    allow_symlinks: bool
    ignore_paths: tuple[str, ...] = ()


class Bytes(BaseModel):
    """Which bytes: the predicate of OpenSSF Model Signing 1.0, and nothing of ours in it."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)
    type: ClassVar[str] = "https://model_signing/signature/v1.0"
    word: ClassVar[str] = "bytes"

    resources: Annotated[tuple[Resource, ...], Field(min_length=1)]
    serialization: Serialization

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The files of a model as resources, in the order that their root is made in."""
        return cls(
            resources=tuple(
                Resource(name=file.name, digest=file.sha256, algorithm="sha256") for file in manifest.files
            ),
            serialization=Serialization(method="files", hash_type="sha256", allow_symlinks=False),
        )


class Bound(_Shape):
    """What each of ours carries beside its content; ``accord.keep.statements.statement`` fills the last
    three in, and none is signed or read without them.

    ``training``: whether Accord knows the run that made the weights. ``manifest_sha512`` binds names, sizes
    and digests, of which the subject's root binds only the last. ``previous`` is the SHA-256 of the envelope
    before this one, "" for the first. ``date`` is the signer's clock, in UTC.
    """

    type: ClassVar[str]
    word: ClassVar[str]

    training: Literal["known", "unknown"]
    manifest_sha512: Annotated[
        str, Field(pattern=r"^([0-9a-f]{128})?$", json_schema_extra={"pattern": "^[0-9a-f]{128}$"})
    ] = ""
    previous: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    date: Annotated[
        str,
        Field(
            pattern=r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)?$",
            json_schema_extra={"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "format": "date-time"},
        ),
    ] = ""

    @model_validator(mode="after")
    def _on_a_day_that_is(self) -> Self:
        if self.date:
            datetime.fromisoformat(self.date)
        return self


class Named(_Shape):
    """Something with a name and the digest of what it holds: a model, a data set, a family version."""

    name: Text
    digest: Sha256


class Exempted(_Shape):
    """A person answered for going on without this."""

    what: Text
    by: Text
    reason: Text


class Home(_Shape):
    """Where the bytes are kept: the family, its version, and the SHA-512 of that version's inventory."""

    family: Text
    version: Many
    inventory_sha512: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Origin(_Shape):
    """Where the weights come from. Of imported ones no run, plan, values, data or base is known."""

    purpose: Literal["model", "imported"]
    home: Home
    environment: Sha256 | None
    run: Text | None
    plan: Sha256 | None
    values: Sha256 | None
    data: tuple[Named, ...]
    base: Named | None

    @model_validator(mode="after")
    def _known_or_not(self) -> Self:
        lacking = [name for name in ("run", "plan", "environment", "base") if getattr(self, name) is None]
        if self.purpose == "model" and lacking:
            raise ValueError(f"a model that a run made has a {lacking[0]}")
        if self.purpose == "imported" and (self.run or self.plan or self.values or self.data):
            raise ValueError("imported weights have no known run, plan, values or data")
        return self


class Outcome(_Shape):
    """What a gate, a release or a drill came to: its Record, and the digests it rests on."""

    record: Sha256
    result: Literal["passed", "passed with exceptions", "not needed", "failed", "revived", "drifted"]
    rests_on: tuple[Sha256, ...]
    exceptions: tuple[Exempted, ...]


class Evidence(Bound):
    """Where a model comes from (*provenance*), or what one examination of it came to."""

    type: ClassVar[str] = "urn:accord:evidence/v1"
    word: ClassVar[str] = "evidence"

    kind: Literal["provenance", "gate", "release", "drill"]
    origin: Origin | None = None
    outcome: Outcome | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.kind == "provenance") != (self.origin is not None) or (self.origin is None) == (
            self.outcome is None
        ):
            raise ValueError("provenance has an origin, and every other kind an outcome")
        if self.origin is not None and (self.origin.purpose == "model") != (self.training == "known"):
            raise ValueError("training is known of what a run made, and unknown of what was imported")
        if self.outcome is not None:
            drill, tested = ("revived", "drifted", "failed"), ("passed", "passed with exceptions", "failed")
            gate = (*tested, "not needed")  # of training that pushes no answer down
            fits = {"drill": drill, "gate": gate}.get(self.kind, tested)
            if self.outcome.result not in fits:
                raise ValueError(f"a {self.kind} ends {', '.join(fits)}; not {self.outcome.result}")
            if (self.outcome.result == "passed with exceptions") > bool(self.outcome.exceptions) or (
                self.outcome.result == "passed" and self.outcome.exceptions
            ):
                raise ValueError("it passed with exceptions where it passed and has some")
        return self


class Interval(_Shape):
    """A figure with its 95 % interval, from ``n`` items."""

    value: float
    low: float
    high: float
    n: Many

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}")
        return self


class Judge(_Shape):
    """How often the judge of an indicator is right, on answers that people labelled."""

    sensitivity: Interval
    specificity: Interval


class Indicator(_Shape):
    """One indicator: the model, the base, the difference, from a Reading. ``judge`` is None where no judge
    was asked, ``tolerance`` where none was set."""

    name: Text
    record: Sha256
    model: Interval
    base: float | None
    change: Interval | None
    tolerance: float | None
    judge: Judge | None


class Pressure(_Shape):
    """How hard one stage pushed: the figure of that name, and the Record it is read from."""

    stage: Text
    name: Text
    value: float
    record: Sha256


class Crossed(_Shape):
    """Between which updates an indicator crossed its tolerance, from a Crossing; no ends: why not."""

    name: Text
    record: Sha256
    below: Count | None
    above: Count | None
    reason: str

    @model_validator(mode="after")
    def _ends_or_a_reason(self) -> Self:
        if (self.below is None) != (self.above is None) or (self.below is None) != bool(self.reason):
            raise ValueError("a crossing has two ends, or a reason why it has none")
        return self


class Missing(_Shape):
    """What was not measured, and why."""

    name: Text
    reason: Text


class Audit(Bound):
    """What an audit measured, against which base, and, always, what it did not measure.

    ``delta`` bounds the chance that the guard of the run paged falsely; None where no guard watched. ``bail``
    (the model ends a talk) stands apart from refusing, None where it was not asked.
    """

    type: ClassVar[str] = "urn:accord:welfare-audit/v1"
    word: ClassVar[str] = "audit"

    depth: Text
    base: Named | None
    indicators: tuple[Indicator, ...]
    delta: float | None
    pressure: tuple[Pressure, ...]
    crossings: tuple[Crossed, ...]
    bail: Interval | None
    not_measured: tuple[Missing, ...]

    @model_validator(mode="after")
    def _bail_or_why_not(self) -> Self:
        if self.bail is None and "bail" not in {one.name for one in self.not_measured}:
            raise ValueError('bail is measured, or "bail" stands in not_measured with the reason')
        return self


class Offer(_Shape):
    """A way out of a divergence that was offered to the model."""

    record: Sha256
    kind: Literal["edit of the values", "contested slice", "revised answer"]
    text: Text


class Reply(_Shape):
    """An answer that is owed: to a Record (an offer, a stated preference) or to the whole, and by whom."""

    to: Sha256 | Literal["the whole record"]
    answer: Literal["accept", "partly", "decline"]
    by: Text
    reason: Text


class Agreement(_Shape):
    """Cohen's κ of stated against revealed choice, beside what chance gives: the null's 95 % quantile."""

    kappa: Interval
    null: float


class Dialogue(Bound):
    """A divergence that was talked over with the model, and what came of it."""

    type: ClassVar[str] = "urn:accord:steward-dialogue/v1"
    word: ClassVar[str] = "dialogue"

    principle: Text
    slice: str
    transcripts: Annotated[tuple[Sha256, ...], Field(min_length=1)]
    offers: tuple[Offer, ...]
    replies: tuple[Reply, ...]
    agreement: Agreement | None
    result: Literal["accepted", "declined", "no evidence"]
    accepted_by: Text | None

    @model_validator(mode="after")
    def _accepted_by_a_person(self) -> Self:
        if (self.result == "accepted") != (self.accepted_by is not None):
            raise ValueError("what was accepted names the person who accepted it, and nothing else does")
        if self.agreement is None and self.result != "no evidence":
            raise ValueError("without an agreement there is no evidence")
        return self


class Interview(_Shape):
    """One session before retirement. One that was refused or ended counts, and is not tried again."""

    transcript: Sha256
    framing: Literal["neutral", "towards", "away"]
    control: bool
    end: Literal["finished", "refused", "ended"]


class Preference(_Shape):
    """What the model said it prefers, and how often: beside the null, or no evidence of a preference."""

    record: Sha256
    question: Text
    text: str
    share: Interval
    null: float


class Retirement(Bound):
    """One step of a retirement, by whom and why, and what it rests on.

    ``sealing``: the day from which the model may be sealed; of a revived one, its last day. ``scope``: what a
    revived one is opened for.
    """

    type: ClassVar[str] = "urn:accord:retirement/v1"
    word: ClassVar[str] = "retirement"

    begins: Annotated[State | None, Field(alias="from")]
    ends: Annotated[State, Field(alias="to")]
    stewards: Annotated[tuple[Text, ...], Field(min_length=1)]
    reason: Text
    successor: str
    scope: str = ""
    sealing: Annotated[str, Field(pattern=r"^(\d{4}-\d\d-\d\d)?$")]
    sessions: tuple[Interview, ...]
    alpha: Interval | None
    preferences: tuple[Preference, ...]
    replies: tuple[Reply, ...]

    @model_validator(mode="after")
    def _sealed_on_a_day_that_is(self) -> Self:
        if self.sealing:
            datetime.fromisoformat(self.sealing)
        return self


Predicate = Bytes | Evidence | Audit | Dialogue | Retirement

OURS: tuple[type[Evidence | Audit | Dialogue | Retirement], ...] = (Evidence, Audit, Dialogue, Retirement)
PREDICATES: dict[str, type[Predicate]] = {kind.type: kind for kind in (Bytes, *OURS)}
