"""Effort: how much the steward spends on a step, as one table that is recorded beside what it came to.

``QUICK`` is for tiny models and tests: seconds. ``FULL`` is for models that speak.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from accord.errors import PlanError, nearest
from accord.part import Part

__all__ = ["FULL", "QUICK", "SIZES", "Effort"]

_Count = Annotated[int, Field(strict=True, ge=1)]


class Effort(Part):
    """``samples`` own answers to each prompt that is asked, ``told`` ones with the principle stated;
    ``items``: at most so many prompts of each slice are asked, talked about or revised, None for all.
    ``max_tokens`` of every answer.

    ``windows`` of each training run; ``variants``: at most so many of them are trained.
    """

    samples: _Count = 16
    told: _Count = 4
    windows: _Count = 24
    variants: _Count = 3
    items: Annotated[int | None, Field(strict=True, ge=2)] = None
    max_tokens: _Count = 128

    @classmethod
    def named(cls, size: str) -> Self:
        """One of the sizes. PlanError where there is none of this name."""
        if size not in SIZES:
            raise PlanError("--effort", size, ", ".join(SIZES), nearest(size, SIZES))
        return cls.model_validate(SIZES[size].model_dump())


QUICK = Effort(samples=16, told=4, windows=6, variants=2, max_tokens=12)
FULL = Effort()
SIZES = {"quick": QUICK, "full": FULL}
