"""A person takes responsibility for going on without one piece of evidence: SignOff."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from accord.records.record import Record

__all__ = ["SignOff"]


class SignOff(Record):
    """One check of the gate that did not pass, and who answers for training all the same, and why.

    It holds for the plan and the values with these hashes and for the base with these weights (``policy``),
    and for no other; ``values`` is "" where the gate was asked without any. ``stage`` is "" where the check
    is of the whole plan.
    """

    kind: ClassVar[str] = "sign_off"

    check: str = Field(min_length=1)
    stage: str = ""
    by: str = Field(pattern=r"\S")
    reason: str = Field(pattern=r"\S")
    plan: str = Field(min_length=1)
    values: str = ""
    policy: str = ""
