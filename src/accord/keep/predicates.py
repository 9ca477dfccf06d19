"""What a statement may say: five predicates. One is OpenSSF Model Signing's, four are ours.

Ours are written down as JSON Schemas too (``schemas/``), for readers without Accord. A field that is signed
has no silent default: what was not looked at stands in ``not_measured``, and weights of unknown origin say so
in every statement.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.keep.bound import Bound, Count, Interval, Many, Sha256, Shape, Text
from accord.keep.dialogues import Agreement, Dialogue, Offer, Reply
from accord.keep.manifest import Manifest

__all__ = [
    "OURS",
    "PREDICATES",
    "Agreement",
    "Audit",
    "Bound",
    "Bytes",
    "Dialogue",
    "Evidence",
    "Interval",
    "Offer",
    "Predicate",
    "Reply",
    "Retirement",
    "State",
]

State = Literal["kept", "active", "notice", "interviewed", "answered", "sealed", "revived"]


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


class Named(Shape):
    """Something with a name and the digest of what it holds: a model, a data set, a family version."""

    name: Text
    digest: Sha256


class Exempted(Shape):
    """A person answered for going on without this."""

    what: Text
    by: Text
    reason: Text


class Home(Shape):
    """Where the bytes are kept: the family, its version, and the SHA-512 of that version's inventory."""

    family: Text
    version: Many
    inventory_sha512: Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]


class Origin(Shape):
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


class Outcome(Shape):
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


class Judge(Shape):
    """How often the judge of an indicator is right, on answers that people labelled."""

    sensitivity: Interval
    specificity: Interval


class Indicator(Shape):
    """One indicator: the model, the base, the difference, from a Reading. ``judge`` is None where no judge
    was asked, ``tolerance`` where none was set."""

    name: Text
    record: Sha256
    model: Interval
    base: float | None
    change: Interval | None
    tolerance: float | None
    judge: Judge | None


class Pressure(Shape):
    """How hard one stage pushed: the figure of that name, and the Record it is read from."""

    stage: Text
    name: Text
    value: float
    record: Sha256


class Crossed(Shape):
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


class Missing(Shape):
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


class Interview(Shape):
    """One session before retirement. One that was refused or ended counts, and is not tried again."""

    transcript: Sha256
    framing: Literal["neutral", "towards", "away"]
    control: bool
    end: Literal["finished", "refused", "ended"]


class Preference(Shape):
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
