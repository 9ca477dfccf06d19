"""Supervised fine-tuning: −Σ w · log π(answer | prompt) over answer tokens, divided by their number.

Reference: transformers' causal language-model cross-entropy, which this equals on one batch.
Deliberate differences:
1. the denominator is the number of answer tokens of the whole optimizer step, over all micro-batches and
   ranks, not of each micro-batch; so the result does not depend on how a step is split;
2. prompt tokens never enter the loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.maths.batches import likelihood_batch
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SFT"]


class SFT(Part):
    """Raise the probability of the answers in the data."""

    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("answer", 1, "data")

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs()

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        rows = [row for row in window.rows if not row.missing]
        scalars = {"rows": float(len(window.rows)), "missing": float(len(window.rows) - len(rows))}
        return likelihood_batch(rows, self.epochs, self.rows_per_step, rng, scalars), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.likelihood import nll_total

        return {"nll": nll_total(out.logp_T, batch.tokens["weight"])}
