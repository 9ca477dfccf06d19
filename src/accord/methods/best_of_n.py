"""Best-of-n distillation: sample n answers, keep the best (or all over a threshold), raise their likelihood.

One round of the best form reaches P(y) = F(y)ⁿ − F(y⁻)ⁿ, F the distribution of the score under π_ref
(2401.01879: KL ≤ ln n − (n−1)/n). The threshold form reaches π_ref conditioned on the accepted answers, the
least KL(π‖π_ref) of any policy inside that set. Several windows are several rounds: π is sampled again.
Deliberate differences from the usual recipe:
1. equal scores: the lowest sample index wins, so a run can be repeated;
2. answers without a score are neither best nor worst, they leave; a prompt without an accepted answer is
   dropped and counted, never filled;
3. nothing is pushed down: answers that were not chosen get no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.maths.batches import likelihood_batch
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Floats, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BestOfN", "accepted"]


def accepted(
    score_R: Floats, group_R: np.ndarray[tuple[int], np.dtype[np.int64]], threshold: float | None
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Rows to raise: per group the first of the highest score, or every row at or over the threshold.

    >>> score, group = np.array([1.0, 3.0, 3.0, np.nan, 2.0]), np.array([0, 0, 0, 1, 1])
    >>> accepted(score, group, None).tolist(), accepted(score, group, 3.0).tolist()
    ([1, 4], [1, 2])
    """
    if threshold is not None:
        return np.flatnonzero(score_R >= threshold).astype(np.int64)
    best: list[int] = []
    for group in np.unique(group_R):
        rows = np.flatnonzero((group_R == group) & ~np.isnan(score_R))
        if rows.size:
            best.append(int(rows[np.argmax(score_R[rows])]))
    return np.array(best, dtype=np.int64)


class BestOfN(Part):
    """Amplify the best of the model's own answers."""

    n: int = Field(default=8, ge=2)
    threshold: float | None = None
    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n, "policy")

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs()

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        score = window.column("score")
        group = np.array([row.group for row in window.rows], dtype=np.int64)
        keep = accepted(score, group, self.threshold)
        known = score[~np.isnan(score)]
        scalars = {
            "rows": float(len(score)),
            "missing": float(np.isnan(score).sum()),
            "score": float(known.mean()) if known.size else float("nan"),
            "accepted": float(len(keep)),
            "unused": 1 - len(keep) / max(1, known.size),
            "groups": float(len(np.unique(group))),
            "groups_without": float(len(set(group.tolist()) - set(group[keep].tolist()))),
        }
        rows = [window.rows[i] for i in keep]
        return likelihood_batch(rows, self.epochs, self.rows_per_step, rng, scalars), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.likelihood import nll_total

        return {"nll": nll_total(out.logp_T, batch.tokens["weight"])}
