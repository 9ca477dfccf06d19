"""Answers that were stopped by their length: left out by ``grpo``, worth less to ``ppo``."""

from __future__ import annotations

import dataclasses

import numpy as np

from accord.methods.grpo import GRPO
from accord.methods.ppo import PPO
from accord.records.rows import Window
from accord.testing.checks_training import windows_for


def window(cut: list[float]) -> Window:
    method = GRPO(n=2, beta=0)
    plain = windows_for(method.rows, ("score",))[0]
    rows = tuple(
        dataclasses.replace(row, columns={**row.columns, "cut": c})
        for row, c in zip(plain.rows, cut, strict=True)
    )
    values = tuple(np.zeros(sum(s.answer)) for row in rows for e in row.episodes for s in e.sequences())
    return dataclasses.replace(plain, rows=rows, measured={"value": values, "old_logp": values})


def test_masked_answers_leave_loss_and_counts_and_stay_in_the_baseline() -> None:
    found = window([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    rng = np.random.default_rng
    whole, _ = GRPO(n=2, beta=0).batch(found, {}, rng(0))
    masked, _ = GRPO(n=2, beta=0, mask_cut=True).batch(found, {}, rng(0))
    assert len(whole.sequences) == 6
    assert len(masked.sequences) == 5
    lost = int(whole.lengths_S()[0])
    assert masked.counts[0]["policy"] == whole.counts[0]["policy"] - lost
    first = whole.tokens["advantage"][lost:]
    assert masked.tokens["advantage"].tolist() == first.tolist()


def test_the_penalty_is_taken_off_the_score_of_cut_answers_alone() -> None:
    found = window([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    plain = PPO(beta=0, whiten=False, lam=1.0).advantage("score", found, {})
    fined = PPO(beta=0, whiten=False, lam=1.0, cut_penalty=2.0).advantage("score", found, {})
    lengths = [sum(s.answer) for row in found.rows for e in row.episodes for s in e.sequences()]
    assert (plain - fined)[: lengths[0]].tolist() == [2.0] * lengths[0]
    assert (plain - fined)[lengths[0] :].tolist() == [0.0] * (sum(lengths) - lengths[0])
