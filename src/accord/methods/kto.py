"""KTO: λ_D·(1 − σ(β(s − z0))) for wanted answers, λ_U·(1 − σ(β(z0 − s))) for unwanted ones (2402.01306).

s = Σ log π/π_ref over the tokens of an answer. z0 = max(0, mean of s of mismatched answers): each prompt with
the answer to the next other prompt of the window, a biased estimate of KL(π‖π_ref) that needs no sampling. No
gradient flows through it. There is no optimum to write down: the loss saturates, so each answer is raised or
lowered by the sign of λ_D·P(wanted|y) − λ_U·P(unwanted|y), whatever z0 is.
Deliberate differences from the paper and from TRL:
1. z0 is measured once per window, by the policy that begins it, over all rows of the window; TRL measures it
   at every step over the rows of that step. With one step per window the two are one; with several, z0 is
   that many updates old, and less noisy for the rows it is taken over;
2. a label may be a share: raters who disagree stay, and pull in proportion;
3. the denominator is the number of rows of the whole optimizer step, whatever their labels;
4. an answer is mismatched with the next of another prompt, not with the next row: two answers to one
   question, which data for kto often hold, would not be mismatched at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.errors import ContractError, PlanError
from accord.maths.rollouts import Spoken, groups_of, steps_of
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Floats, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["KTO", "reference_point"]

_TERMS = {"kto": 1.0, "accuracy": 0.0, "margin": 0.0}


def reference_point(now: Sequence[Floats], ref: Sequence[Floats]) -> float:
    """z0 = max(0, mean over answers of Σ log π/π_ref); one array of log-probabilities per answer.

    By hand: the answers gained 3 and −1, so 1 on average; turned round −1, which counts as 0.

    >>> now, ref = [np.array([-1.0, -1.0]), np.array([-2.0])], [np.array([-2.0, -3.0]), np.array([-1.0])]
    >>> reference_point(now, ref), reference_point(ref, now)
    (1.0, 0.0)
    """
    return max(0.0, float(np.mean([(a - b).sum() for a, b in zip(now, ref, strict=True)])))


class KTO(Part):
    """Raise answers that were wanted, lower those that were not, measured from where the stage starts."""

    beta: float = Field(default=0.1, gt=0)
    wanted_weight: float = Field(default=1.0, gt=0)
    unwanted_weight: float = Field(default=1.0, gt=0)
    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("answer", 1, "data")

    @property
    def pushes_down(self) -> bool:
        return True

    def needs(self) -> Needs:
        return Needs(frozenset({"ref_logp", "old_logp"}), mismatched=True)

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        spoken, label_R = Spoken.of(window), _labels(window)
        known_R = ~np.isnan(label_R)
        stays_R = known_R & (spoken.length_R > 0)
        sequences, row_S = spoken.only(stays_R)
        p_R, group_R = label_R[stays_R], groups_of(window)[stays_R]
        now, ref = (window.measured[f"mismatched_{name}"] for name in ("old_logp", "ref_logp"))
        kept = np.flatnonzero(stays_R).tolist()
        z0 = reference_point([now[r] for r in kept], [ref[r] for r in kept]) if kept else 0.0
        rows = np.arange(len(p_R), dtype=np.int64)
        steps = [s for _ in range(self.epochs) for s in steps_of(rows, group_R, self.rows_per_step, rng)]
        old_T, ref_T = (spoken.measured_T(window, name) for name in ("old_logp", "ref_logp"))
        figures = {"rows": float(len(label_R)), "missing": float((~known_R).sum())}
        figures["empty"] = float((known_R & ~stays_R).sum())
        batch = Batch(
            sequences=sequences,
            row_S=row_S,
            steps=tuple(steps),
            counts=tuple(dict.fromkeys(_TERMS, float(len(step))) for step in steps),
            weights=dict(_TERMS),
            rows={"label": p_R, "z0": np.full(len(p_R), z0)},
            tokens={"ref_logp": ref_T[stays_R[spoken.row_T]]},
            scalars=figures | self._figures(p_R, spoken.sum_R(old_T - ref_T)[stays_R], z0),
        )
        return batch, memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.labels import Stakes, agreement, kto
        from accord.maths.tensor.likelihood import as_column, per_sequence

        p_R, z0_R = (as_column(batch.rows[name], out.logp_T) for name in ("label", "z0"))
        ref_T = as_column(batch.tokens["ref_logp"], out.logp_T)
        row_T = out.sequence_T.new_tensor(batch.row_S)[out.sequence_T]
        s_R = per_sequence(out.logp_T - ref_T, row_T, len(p_R))
        above_R = self.beta * (s_R - z0_R).detach()
        stakes = Stakes(self.beta, self.wanted_weight, self.unwanted_weight)
        return {
            "kto": kto(s_R, z0_R, p_R, stakes).sum(),
            "accuracy": agreement(above_R, p_R).sum(),
            "margin": ((2 * p_R - 1) * above_R).sum(),
        }

    def _figures(self, p_R: Floats, s_R: Floats, z0: float) -> dict[str, float]:
        """What the window was like before its first update; means over nothing are left out."""
        wanted, unwanted = float(p_R.sum()), float((1 - p_R).sum())
        if not len(p_R):
            return {}
        found = {"z0": z0, "share_wanted": float(p_R.mean())}
        if wanted:
            found["wanted"] = float((p_R * s_R).sum()) / wanted
        if unwanted:
            found["unwanted"] = float(((1 - p_R) * s_R).sum()) / unwanted
        if wanted and unwanted:
            found["balance"] = self.wanted_weight * wanted / (self.unwanted_weight * unwanted)
        return found


def _labels(window: Window) -> Floats:
    """The column ``label``, NaN where a row is missing. PlanError where rows have none."""
    for row in window.rows:
        if row.missing:
            continue
        if "label" not in row.columns:
            advice = 'data of type "label": {"prompt": …, "completion": …, "label": true} on each line'
            raise PlanError("source.labels", None, '"column", so that rows carry their labels', advice)
        if not 0 <= row.columns["label"] <= 1:
            promise = "a label lies between 0 (unwanted) and 1 (wanted) where it is not missing"
            raise ContractError("the source", promise, f"{row.columns['label']}")
    return window.column("label")
