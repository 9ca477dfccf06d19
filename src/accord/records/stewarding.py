"""What stewards did about a divergence: Tried."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from accord.records.record import Record

__all__ = ["CameTo", "Tried", "Way"]

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


class Tried(Record):
    """One way of less force that was tried on one principle in one slice, to its end, and what it came to.

    ``policy`` says which weights it was tried on, ``values`` is the digest of the document. ``evidence``: the
    Records it rests on (readings, proposals, answers), or the folder of the run that made them.
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
