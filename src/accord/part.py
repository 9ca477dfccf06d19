"""Part: a frozen configuration that *is* a method, overseer, ask, indicator, rule, source or engine."""

from __future__ import annotations

from functools import cached_property
from typing import cast

from pydantic import BaseModel, ConfigDict

from accord.records import JSON, digest

__all__ = ["Part"]


class Part(BaseModel):
    """The base of everything a plan can name.

    Its fields are its settings: unknown ones are refused, and all of them enter ``config``, the hash that
    decides whether two parts give the same answers. State lives elsewhere (Memory, the Desk, the Learner).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @cached_property
    def config(self) -> str:
        """SHA-256 over the class and every setting."""
        fields = cast(JSON, self.model_dump(mode="json"))
        return digest({"class": f"{type(self).__module__}:{type(self).__qualname__}", "fields": fields})
