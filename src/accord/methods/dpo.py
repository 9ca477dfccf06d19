"""Direct preference optimisation: w · [p·ℓ(βh) + (1−p)·ℓ(−βh)], h = s(first) − s(second).

s = Σ log π/π_ref over all answer tokens, ℓ(x) = −log σ(x), p the share that prefers the first answer
(2305.18290). With pairs labelled by Bradley–Terry of a reward r it reaches π ∝ π_ref·exp(r/β).
Deliberate differences:
1. p may be any share, and raters who disagree stay: p = ½ pulls the two answers together;
2. ``robust`` = ε corrects for flipped labels (2403.00409), p → (p−ε)/(1−2ε); where that makes the loss
   fall without end, βh counts as at most 20;
3. the denominator is the number of pairs of the whole optimizer step, so weights do not cancel;
4. ``accuracy`` counts an equal pair by half, so it starts at ½ and not at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.maths.pairs import pair_batch, pairs_of
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DPO"]

_TERMS = {"dpo": 1.0, "accuracy": 0.0, "chosen": 0.0, "rejected": 0.0, "margin": 0.0, "both_fell": 0.0}


class DPO(Part):
    """Raise preferred answers over the others, measured from where the stage starts."""

    beta: float = Field(default=0.1, gt=0)
    robust: float = Field(default=0.0, ge=0, lt=0.5)
    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("pair", 2, "data")

    @property
    def pushes_down(self) -> bool:
        return True

    def needs(self) -> Needs:
        return Needs(columns=frozenset({"ref_logp"}))

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        return pair_batch(pairs_of(window), self.epochs, self.rows_per_step, rng, _TERMS), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.preference import both_fell, gained, robust_dpo, totals

        s_RA, p_R, weight_R = gained(out.logp_T, out.sequence_T, batch)
        cost_R = robust_dpo(s_RA[:, 0] - s_RA[:, 1], p_R, self.beta, self.robust)
        return {
            "dpo": (weight_R * cost_R).sum(),
            **totals(self.beta * s_RA, p_R),
            "both_fell": both_fell(s_RA),
        }
