"""The learning rate over a stage: rise, then fall; for both groups; by what lies behind, not by a guess."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local
from accord.engines.local.schedule import factor
from accord.maths.batches import likelihood_batch
from accord.ports import Needs, Task
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row
from accord.testing import save_tiny


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("linear", [1.0, 0.75, 0.5, 0.0]),
        ("cosine", [1.0, (2 + math.sqrt(2)) / 4, 0.5, 0.0]),
    ],
)
def test_the_fall_goes_by_the_share_that_lies_behind(schedule: Any, expected: list[float]) -> None:
    plan = Local(schedule=schedule)
    assert [factor(plan, 99, done) for done in (0.0, 0.25, 0.5, 1.0)] == pytest.approx(expected)


def test_the_rise_goes_by_updates_and_ends_at_the_whole() -> None:
    plan = Local(warmup=4)
    assert [factor(plan, step, 0.9) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert factor(Local(warmup=0), 0, 0.0) == 1.0
    assert factor(Local(warmup=1), 0, 0.0) == 1.0


def test_rise_and_fall_multiply() -> None:
    assert factor(Local(warmup=4, schedule="linear"), 1, 0.5) == pytest.approx(0.25)


def test_a_learner_gives_each_group_its_own_rate(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", 1)
    plan = Local(
        adapter="lora",
        rank=2,
        lr=1e-2,
        critic_lr=1e-3,
        warmup=2,
        schedule="linear",
        device="cpu",
        precision="float32",
    )
    made: Any = plan.learner(str(folder), Task("run/stage", 0, Needs(critic=True)))
    row = Row((Episode.single(made.sampler().encode(Prompt.of("Why?"), "yes")),))
    batch = likelihood_batch([row], 1, 1, np.random.default_rng(0), {})

    def loss(out: Any, batch: Batch) -> dict[str, torch.Tensor]:
        return {"nll": (out.value_T - 1).square().sum() - out.logp_T.sum()}

    seen = []
    for done in (0.0, 0.25, 0.5, 0.75):
        assert made.update(batch, 0, loss, done).applied
        seen.append([group["lr"] for group in made._optimizer.param_groups])
    policy = [1e-2 * f for f in (0.5, 0.75, 0.5, 0.25)]
    assert seen == [pytest.approx([rate, rate / 10]) for rate in policy]
