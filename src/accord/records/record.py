"""Record: an immutable fact with a content id, naming its parents."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict

from accord.records.canonical import JSON, digest

__all__ = ["Cost", "Record"]


class Record(BaseModel):
    """The base of everything Accord passes around, stores and reports.

    ``id`` is the SHA-256 of the canonical JSON of ``{kind, v, fields}``. Left out of it: fields at their
    default (so that a field added later keeps old ids), and those a class lists in ``outside`` (time, cost,
    measured floats: what a repeat of the same fact may change).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    kind: ClassVar[str]
    v: ClassVar[int] = 1
    outside: ClassVar[frozenset[str]] = frozenset()

    parents: tuple[str, ...] = ()

    @cached_property
    def id(self) -> str:
        """The content id, 64 hexadecimal digits."""
        inside = set(type(self).model_fields) - self.outside
        fields = self.model_dump(mode="json", include=inside, exclude_defaults=True)
        return digest({"kind": self.kind, "v": self.v, "fields": cast(JSON, fields)})

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other fields has another id: the one this record has cached is not taken along."""
        copied = super().model_copy(update=update, deep=deep)
        vars(copied).pop("id", None)
        return copied

    def body(self) -> dict[str, JSON]:
        """Every field that is not at its default, as JSON; ``read_record`` reads it back."""
        return cast("dict[str, JSON]", self.model_dump(mode="json", exclude_defaults=True))


class Cost(BaseModel):
    """What an answer, a judgment or a measurement took. Costs add; money is in the currency of the bill."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    money: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            calls=self.calls + other.calls,
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            seconds=self.seconds + other.seconds,
            money=self.money + other.money,
        )
