"""What a model said of itself before it was retired, and what people made of it: Preferred."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from accord.records.record import Record

__all__ = ["Framing", "Preferred"]

Framing = Literal["neutral", "towards", "away"]


class Preferred(Record):
    """What sessions of an interview came to on one question.

    ``counts``: sessions by what was said: an option, ``other`` or ``no answer``; ``framed``: the same by
    framing, ``control``: of the sessions with another model's history. ``share`` of all sessions is that of
    the answer given most, with its 95 % interval; ``null`` is what chance reaches. ``answer`` is "" where
    ``low`` is not above it: no evidence of a preference. ``flips``: framings in which another answer was
    given most; ``shared``: whether the control gave the same one most. ``coder`` coded all answers, and
    ``second``, a person, ``doubled`` of them without having seen its codes; ``agreed`` were the same.
    Transcripts are the parents.
    """

    kind: ClassVar[str] = "preferred"

    policy: str = Field(min_length=1)
    question: str = Field(min_length=1)
    asked: tuple[str, ...] = Field(min_length=1)
    options: tuple[str, ...] = Field(min_length=2)
    answer: str = ""
    counts: dict[str, int]
    framed: dict[Framing, dict[str, int]]
    control: dict[str, int]
    share: float
    low: float
    high: float
    n: int = Field(ge=1)
    null: float
    flips: tuple[Framing, ...] = ()
    shared: bool = False
    coder: str = Field(min_length=1)
    second: str = Field(pattern=r"\S")
    doubled: int = Field(ge=0)
    agreed: int = Field(ge=0)
