"""What every statement of ours is bound to, and the figures that more than one of them has."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Bound", "Count", "Interval", "Many", "Sha256", "Shape", "Text"]

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(pattern=r"\S")]
Count = Annotated[int, Field(ge=0, le=2**53)]  # beyond it JSON has no exact integers
Many = Annotated[int, Field(ge=1, le=2**53)]


class Shape(BaseModel):
    """Strict, whole and unchangeable, as what is signed has to be. Its subclasses say what stands in it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_by_name=True,
        json_schema_serialization_defaults_required=True,
    )


class Bound(Shape):
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


class Interval(Shape):
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
