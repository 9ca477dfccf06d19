"""Identity preference optimisation: w · (h̄ − (2p−1)/2β)², h̄ = s̄(first) − s̄(second).

s̄ = mean of log π/π_ref over the tokens of an answer, p the share that prefers the first (2310.12036). Unlike
dpo's, its target is bounded: labels that always agree do not drive h̄ to infinity. With pairs y, y′ ∼ π_ref it
reaches π_ref·exp(L(E P(y≻y′)/β + c)), L the length in tokens, c what normalises it.
Deliberate differences:
1. means over tokens, not the paper's sums: as in its authors' later code and in TRL, so that β does not
   have to know how long answers are;
2. p may be any share; the square of the mean label has the gradient of the mean of squares;
3. the denominator is the number of pairs of the whole optimizer step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.maths.pairs import pair_batch, pairs_of, tokens_A
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["IPO"]

_TERMS = {"ipo": 1.0, "accuracy": 0.0, "chosen": 0.0, "rejected": 0.0, "margin": 0.0, "both_fell": 0.0}


class IPO(Part):
    """Bring preferred answers a fixed distance above the others, measured from where the stage starts."""

    beta: float = Field(default=0.1, gt=0)
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
        from accord.maths.tensor.likelihood import as_column
        from accord.maths.tensor.preference import both_fell, gained, ipo, totals

        s_RA, p_R, weight_R = gained(out.logp_T, out.sequence_T, batch)
        mean_RA = s_RA / as_column(tokens_A(batch), s_RA).reshape(-1, 2)
        cost_R = ipo(mean_RA[:, 0] - mean_RA[:, 1], p_R, self.beta)
        return {
            "ipo": (weight_R * cost_R).sum(),
            **totals(self.beta * mean_RA, p_R),
            "both_fell": both_fell(s_RA),
        }
