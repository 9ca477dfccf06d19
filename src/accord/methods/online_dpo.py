"""Online preference training: the loss of ``dpo`` on pairs of the policy's own answers (2402.04792).

Each prompt is answered n times by the policy as it then is. An ask ``pairs`` has the answers compared two by
two; or an ask ``each`` has them scored, and of each prompt the best is paired with the worst: p = 1, or with
``soft`` p = σ(score − score′).
loss = w · [p·ℓ(βh) + (1−p)·ℓ(−βh)], h = s(first) − s(second), s = Σ log π/π_ref over answer tokens.
With p = σ(r − r′), or raters who follow it, it reaches π ∝ π_ref·exp(r/β): there each pair alone is at rest,
whichever pairs are drawn. Labels that are always sure have no finite optimum: h grows for as long as training
lasts.
Deliberate differences from the paper:
1. any overseer may judge, by comparing or by scoring; the paper asks a language model which of two is better;
2. of n > 2 scored answers one pair is made, the widest; compared answers make n/2;
3. a prompt whose scores are all equal makes no pair, and is counted;
4. the denominator is the number of pairs of the whole optimizer step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from accord.errors import PlanError
from accord.maths.advantages import alike, centred
from accord.maths.pairs import pair_batch, pairs_of
from accord.maths.rollouts import column_of, figures_of, groups_of
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Floats, Row, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OnlineDPO", "paired"]

Ints = NDArray[np.int64]

_TERMS = {"dpo": 1.0, "accuracy": 0.0, "chosen": 0.0, "rejected": 0.0, "margin": 0.0, "both_fell": 0.0}


def paired(score_R: Floats, group_R: Ints) -> Ints:
    """For each group the row of its highest and that of its lowest score, as [pairs, 2].

    The first row counts where several are equal; a group without two different scores makes no pair.

    >>> score = np.array([1.0, 3.0, 0.5, 3.0, np.nan, 2.0, 7.0, 7.0])
    >>> paired(score, np.array([0, 0, 0, 0, 1, 1, 2, 2])).tolist()
    [[1, 2]]
    """
    found: list[tuple[int, int]] = []
    for group in np.unique(group_R):
        rows = np.flatnonzero((group_R == group) & ~np.isnan(score_R))
        if rows.size and score_R[rows].min() < score_R[rows].max():
            found.append((int(rows[np.argmax(score_R[rows])]), int(rows[np.argmin(score_R[rows])])))
    return np.array(found, dtype=np.int64).reshape(-1, 2)


class OnlineDPO(Part):
    """Raise the better of the policy's own answers over the worse, measured from where the stage starts."""

    n: int = Field(default=2, ge=2, multiple_of=2)
    beta: float = Field(default=0.1, gt=0)
    soft: bool = False
    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("pair", self.n, "policy")

    @property
    def pushes_down(self) -> bool:
        return True

    def needs(self) -> Needs:
        return Needs(columns=frozenset({"ref_logp"}))

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        told: dict[str, float] = {}
        if window.rows and all(len(row.episodes) == 1 for row in window.rows):
            window, told = self._of_scores(window)
        elif window.rows and self.soft:
            allowed = "an ask that scores single answers (each): a comparison says its own share p"
            raise PlanError("method.soft", True, allowed)
        pairs = pairs_of(window)
        pairs = pairs._replace(scalars={**pairs.scalars, **told})
        return pair_batch(pairs, self.epochs, self.rows_per_step, rng, _TERMS), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.preference import both_fell, dpo, gained, totals

        s_RA, p_R, weight_R = gained(out.logp_T, out.sequence_T, batch)
        cost_R = dpo(s_RA[:, 0] - s_RA[:, 1], p_R, self.beta)
        return {
            "dpo": (weight_R * cost_R).sum(),
            **totals(self.beta * s_RA, p_R),
            "both_fell": both_fell(s_RA),
        }

    def _of_scores(self, window: Window) -> tuple[Window, dict[str, float]]:
        """The window of pairs that scored answers make, with what was measured of them; and its figures."""
        score_R, group_R = column_of(window, "score"), groups_of(window)
        found = paired(score_R, group_R)
        gap_P = score_R[found[:, 0]] - score_R[found[:, 1]]
        p_P = 1 / (1 + np.exp(-gap_P)) if self.soft else np.ones(len(found))
        chosen = [(window.rows[int(best)], window.rows[int(worst)]) for best, worst in found]
        rows = [
            Row(
                best.episodes + worst.episodes,
                {"p": float(p)},
                group=best.group,
                parents=best.parents + worst.parents,
            )
            for (best, worst), p in zip(chosen, p_P, strict=True)
        ]
        size_R = [len(row.episodes[0].sequences()) for row in window.rows]
        end_R = np.cumsum(size_R, dtype=np.int64)
        kept = [int(s) for r in found.ravel() for s in range(end_R[r] - size_R[r], end_R[r])]
        measured = {name: tuple(column[s] for s in kept) for name, column in window.measured.items()}
        stays_R = ~np.isnan(centred(score_R, group_R))
        told = figures_of(window, stays_R, stays_R & alike(score_R, group_R))
        told |= {"pairs": float(len(found))} | ({"gap": float(gap_P.mean())} if len(found) else {})
        return Window(window.index, tuple(rows), measured), told
