"""What must be there before a model that is to be kept is pushed: Requirement, Permit (layer 0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from accord.records.record import Record

__all__ = ["REQUIREMENTS", "Permit", "Requirement"]

REQUIREMENTS: Mapping[str, str] = {
    "targets": "the targets table of the base, and what was tried on divergent slices",
    "preflight": "the checks before the first update",
    "guard": "indicators, tolerances, δ and what is halted on",
    "base": "the base in the archive, or its digests and its source",
    "retirement": "a retirement policy for what will be superseded",
}
"""The five by name, in the order they are asked for."""


class Requirement(BaseModel):
    """One of the five: whether it is there, what was found, and which Records say so.

    ``steps``: what supplies what is missing, commands wherever one can, with the time each takes here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    status: Literal["passed", "missing", "signed for"]
    says: str = ""
    steps: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()


class Permit(Record):
    """What a gate's Decision stands on, and what it is bound to: it holds for these and for no others.

    ``plan``: the hash of the plan. ``policy``: the base's weights. ``values``: digest of what the values say
    and of what their checks do, "" where none were named; ``document`` is where they were read. ``files``:
    digests of all that the plan names on this disk, its data, programs and models.
    """

    kind: ClassVar[str] = "permit"
    outside: ClassVar[frozenset[str]] = frozenset({"document"})

    plan: str = Field(min_length=1)
    base: str = ""
    policy: str = ""
    values: str = ""
    document: str = ""
    files: dict[str, str] = {}
    requirements: tuple[Requirement, ...] = ()
