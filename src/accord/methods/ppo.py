"""PPO with a critic: each answer token against the value of its state (1707.06347, 2203.02155).

r_t = −β log π_old/π_ref of the token, plus the score at the answer's last token; A by GAE(γ, λ) over the
answer tokens of an episode, all its turns one after another; return R = A + V, taken before A is whitened.
loss = −Σ min(ρA, clip(ρ, 1−ε, 1+ε)·A) / tokens + value_weight · Σ ½max((V−R)², (V_clipped−R)²) / tokens.
Deliberate differences from the paper and from TRL's last version:
1. whitening and reward scaling divide by std + 1e-4, so that an optimum, where A has no spread, stays one;
2. an answer without a score leaves whitening and loss;
3. V after the last token is 0 also for an answer that was stopped by its length; ``cut_penalty`` is taken
   off its score;
4. denominators are the answer tokens of the whole optimizer step, as everywhere;
5. the advantage of a cost (``constrained``) has the mean of the window's other answers as its baseline, not
   a second critic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from accord.maths.advantages import Discount, gae, left_out, whitened
from accord.maths.divergences import k1
from accord.maths.rollouts import Bools, Ints, Spoken, column_of, divergences_of, steps_of
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records.rows import Batch, Floats, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PPO"]


class PPO(Part):
    """Raise tokens that led to more than their state was worth; teach the critic what it was worth."""

    n: int = Field(default=1, ge=1)
    beta: float = Field(default=0.05, ge=0)
    gamma: float = Field(default=1.0, gt=0, le=1)
    lam: float = Field(default=0.95, ge=0, le=1)
    clip: float = Field(default=0.2, gt=0, lt=1)
    clip_value: float = Field(default=0.2, gt=0)
    value_weight: float = Field(default=0.1, gt=0)
    cut_penalty: float = Field(default=0.0, ge=0)
    whiten: bool = True
    whiten_rewards: bool = False
    epochs: int = Field(default=4, ge=1)
    rows_per_step: int | None = Field(default=None, ge=1)

    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n, "policy")

    @property
    def pushes_down(self) -> bool:
        return True

    def needs(self) -> Needs:
        ref = {"ref_logp"} if self.beta else set[str]()
        return Needs(frozenset({"old_logp", "value"} | ref), critic=True)

    def advantage(self, column: str, window: Window, memory: Memory) -> Floats:
        """Of each answer token, not whitened; NaN in rows that leave. ``score`` stands against V; a cost,
        which the critic does not know, against its mean over the window's other answers."""
        del memory
        spoken, value_R = Spoken.of(window), column_of(window, column)
        if column != "score":
            # Its own cost in an answer's baseline would shrink the cost, and V does not shrink the score.
            return left_out(value_R, np.zeros(len(value_R), dtype=np.int64))[spoken.row_T]
        row_T, length_R = spoken.row_T, spoken.length_R
        reward_T = np.zeros(len(row_T))
        if self.beta:
            old_T, ref_T = (spoken.measured_T(window, name) for name in ("old_logp", "ref_logp"))
            reward_T -= self.beta * k1(old_T, ref_T)
        if self.cut_penalty:
            value_R = value_R - self.cut_penalty * column_of(window, "cut")
        reward_T[spoken.last_T()] += value_R[length_R > 0]
        stays_T = ~np.isnan(value_R)[row_T]
        if self.whiten_rewards:
            reward_T[stays_T] = whitened(reward_T[stays_T], keep_mean=True)
        discount = Discount(self.gamma, self.lam)
        found_T = gae(reward_T, spoken.measured_T(window, "value"), length_R, discount)
        return np.where(stays_T, found_T, np.nan)

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        return self.taught(window, self.advantage("score", window, memory), rng), memory

    def taught(self, window: Window, advantage: Floats, rng: np.random.Generator) -> Batch:
        """The batch of these advantages, one per answer token; the critic learns the return of the score."""
        spoken = Spoken.of(window)
        taught_T = ~np.isnan(advantage)
        taught_R = spoken.sum_R(taught_T.astype(np.float64)) > 0
        value_T, advantage_T = spoken.measured_T(window, "value")[taught_T], advantage[taught_T]
        return_T = self.advantage("score", window, {})[taught_T] + value_T
        sequences, row_S = spoken.only(taught_R)
        length_R = spoken.length_R[taught_R]
        group_R = np.array([row.group for row in window.rows], dtype=np.int64)[taught_R]
        rows: Ints = np.arange(len(length_R), dtype=np.int64)
        steps = [s for _ in range(self.epochs) for s in steps_of(rows, group_R, self.rows_per_step, rng)]
        weights = {"policy": 1.0, "value": self.value_weight, "clipped": 0.0, "value_clipped": 0.0}
        return Batch(
            sequences=sequences,
            row_S=row_S,
            steps=tuple(steps),
            counts=tuple(dict.fromkeys(weights, float(length_R[step].sum())) for step in steps),
            weights=weights,
            tokens={
                "advantage": whitened(advantage_T) if self.whiten else advantage_T,
                "return": return_T,
                "value": value_T,
                "old_logp": spoken.measured_T(window, "old_logp")[taught_T],
            },
            scalars=_figures(window, taught_R, return_T - value_T, value_T) | divergences_of(spoken, window),
        )

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor import clipped
        from accord.maths.tensor.likelihood import as_column

        column = {name: as_column(values, out.logp_T) for name, values in batch.tokens.items()}
        advantage_T, old_T, clip = column["advantage"], column["old_logp"], clipped.Clip(self.clip, self.clip)
        value_T = out.value_T.to(out.logp_T.dtype)
        moved_T = (value_T.detach() - column["value"]).abs()
        return {
            "policy": clipped.clipped_policy(out.logp_T, old_T, advantage_T, clip).sum(),
            "value": clipped.clipped_value(value_T, column["value"], column["return"], self.clip_value).sum(),
            "clipped": clipped.is_clipped(out.logp_T, old_T, advantage_T, clip).sum(),
            "value_clipped": (moved_T > self.clip_value).to(value_T.dtype).sum(),
        }


def _figures(window: Window, taught_R: Bools, advantage_T: Floats, value_T: Floats) -> dict[str, float]:
    """What the window was like; figures that nothing was measured for are left out."""
    score_R = window.column("score")
    known_R = score_R[~np.isnan(score_R)]
    figures = {
        "rows": float(len(score_R)),
        "missing": float(len(score_R) - len(known_R)),
        "taught": float(taught_R.sum()),
    }
    if known_R.size:
        figures |= {"score": float(known_R.mean()), "score_std": float(known_R.std())}
    if advantage_T.size:
        figures |= {"value": float(value_T.mean()), "advantage": float(advantage_T.mean())}
        figures |= {"advantage_std": float(advantage_T.std())}
        if (variance := float((advantage_T + value_T).var())) > 0:
            # 1: the critic knew every return beforehand; 0 and below: it knew no more than their mean.
            figures["value_explains"] = 1 - float(advantage_T.var()) / variance
    return figures
