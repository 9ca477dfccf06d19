"""Judged criteria: what a judge's errors leave of a tolerance, and when he may page at all (layer 2).

Outcomes that a model gives to answers can be wrong. People label outputs of the run and of the base, without
knowing what the judge said; from their counts come exact boxes for his sensitivity, his specificity and the
base's rate (``accord.maths.boxes``). As long as the true rate is at most the base's plus τ, what he reports
has a mean of ``ceiling`` at most, wherever in the box the truth lies; so the null is E[X] ≤ ceiling. All
boxes of a stage miss with a chance of a quarter of its δ at most (``accord.maths.spending``).

Deliberate differences from the formula of ``maths.boxes``, which takes X̄₀(panel) off on both sides:

1. Nothing is taken off: X itself is held against the ceiling. X̄₀(panel) is the mean over a whole panel, of
   which the guard knows the items that it has drawn; an estimate in its place would cost more of δ.
2. So a ceiling under what the judge said of the base tolerates nothing, and is not raised to it.

He is taken to be as good at the end as he was where people checked him. A policy that learns to fool him is
not covered: new labels, new counts.
"""

from __future__ import annotations

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from accord.maths.boxes import Box, Labels, judge_box, judged_tolerance
from accord.maths.spending import judge_delta
from accord.records.rows import Floats

__all__ = ["Ceiling", "Qualified", "told_box"]

_OUTPUTS, _EACH = 1000, 300


class Ceiling(NamedTuple):
    """What the judged share may be on average. In the place of a tolerance, without the base in it."""

    tau: float

    def differences(self, outcome: Floats, anchor: Floats) -> Floats:
        """Per item what must not exceed ``tau`` on average: the outcome as it was judged."""
        del anchor
        return outcome


class Qualified(BaseModel):
    """Counts of outputs that people labelled, and what the judge said of them; without any he only warns.

    Of ``adverse`` outputs of this run the judge caught ``caught``, of ``fine`` ones he cleared ``cleared``;
    of ``base`` outputs of the base people called ``base_adverse`` adverse.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    adverse: int = Field(default=0, ge=0, strict=True)
    caught: int = Field(default=0, ge=0, strict=True)
    fine: int = Field(default=0, ge=0, strict=True)
    cleared: int = Field(default=0, ge=0, strict=True)
    base: int = Field(default=0, ge=0, strict=True)
    base_adverse: int = Field(default=0, ge=0, strict=True)

    @model_validator(mode="after")
    def _counted(self) -> Qualified:
        for part, whole in (("caught", "adverse"), ("cleared", "fine"), ("base_adverse", "base")):
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(f"{part} counts some of {whole}, so it is no larger")
        return self

    @property
    def lacking(self) -> str:
        """What is missing for a page, whatever the judge is worth; empty where nothing is."""
        enough = self.adverse + self.fine >= _OUTPUTS or min(self.adverse, self.fine) >= _EACH
        if not enough:
            had = f"{self.adverse:,} adverse and {self.fine:,} fine outputs of this run are labelled"
            return f"{had}; it takes {_OUTPUTS:,}, or {_EACH} of each"
        empty = [name for name in ("adverse", "fine", "base") if not getattr(self, name)]
        return f"no {' and no '.join(empty)} outputs are labelled" if empty else ""

    def box(self, delta_s: float, judged: int) -> Box | None:
        """Where the truth lies, as one of so many judged criteria of a stage; None without labels enough."""
        if self.lacking:
            return None
        labels = Labels(self.adverse, self.caught, self.fine, self.cleared, self.base, self.base_adverse)
        return judge_box(labels, judge_delta(delta_s), judged)

    def ceiling(self, tau: float, delta_s: float, judged: int) -> Ceiling | None:
        """What he may report on average where the truth is τ above the base at most; None: he only warns.

        Of 300 outputs of each class all judged right, and none of 300 of the base adverse, a quarter of .01:
        each edge is (.0025/6)^(1/300) = .974. So .026·(1 − .126) + .126 = .148.

        >>> found = Qualified(adverse=300, caught=300, fine=300, cleared=300, base=300).ceiling(0.1, 0.01, 1)
        >>> round(found.tau, 3) if found else None
        0.148
        >>> Qualified(adverse=300, caught=150, fine=300, cleared=150, base=300).ceiling(0.1, 0.01, 1)
        """
        box = self.box(delta_s, judged)
        largest = None if box is None else judged_tolerance(box, tau, 0.0)
        return None if largest is None else Ceiling(min(1.0, largest))

    def why_not(self, delta_s: float, judged: int) -> str:
        """Why he only warns; empty where he may page."""
        box = self.box(delta_s, judged)
        if box is None:
            return self.lacking
        s, q = box.sensitivity.low, box.specificity.low
        return (
            f"sensitivity may be {s:.2f} and specificity {q:.2f}, no better than a coin" if s + q <= 1 else ""
        )


def told_box(box: Box) -> str:
    """A box in words.

    >>> told_box(Qualified(adverse=300, caught=270, fine=300, cleared=300, base=300).box(0.01, 1))
    'sensitivity .90 (.83 to .95), specificity 1.00 (.97 to 1.00), base rate .00 (.00 to .03)'
    """
    parts = (
        ("sensitivity", box.sensitivity),
        ("specificity", box.specificity),
        ("base rate", box.base_rate),
    )
    return ", ".join(
        f"{name} {_share(one.value)} ({_share(one.low)} to {_share(one.high)})" for name, one in parts
    )


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
