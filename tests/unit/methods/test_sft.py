"""sft: a number by hand. Mutants: sign, a mean for a sum, prompt tokens in the loss, missing rows taught."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from accord.methods.sft import SFT
from accord.records.rows import Row, Window
from accord.testing import a_row, evaluate


class Seen(NamedTuple):
    logp_T: torch.Tensor
    sequence_T: torch.Tensor


def rows(*texts: str) -> tuple[Row, ...]:
    """An answer has one token per letter."""
    return tuple(a_row(text, group=i) for i, text in enumerate(texts))


def test_the_objective_is_the_mean_over_the_answer_tokens_of_the_step() -> None:
    batch, memory = SFT().batch(Window(0, rows("a", "bcd")), {"x": 1}, np.random.default_rng(0))
    assert memory == {"x": 1}
    assert batch.counts == ({"nll": 4.0},)
    part = batch.take(batch.steps[0])
    by_length = {1: 1.0, 3: 2.0}
    logp = np.array([-by_length[int(n)] for n in part.lengths_S() for _ in range(n)])
    found = evaluate(SFT().loss, part, logp, {"nll": 0.25}, "torch")
    assert found.totals["nll"] == pytest.approx(7.0)  # 1 + 3 · 2
    assert found.totals["nll"] / 4 == pytest.approx(1.75)
    assert found.pressure_T == pytest.approx([-0.25] * 4), "∂objective/∂log π = −1 / count"


def test_a_weight_multiplies_the_tokens_of_its_row_and_not_the_count() -> None:
    weighted = (a_row("ab", weight=0.5), a_row("c", prompt="How?", group=1))
    batch, _ = SFT().batch(Window(0, weighted), {}, np.random.default_rng(0))
    assert batch.counts == ({"nll": 3.0},)
    assert sorted(batch.tokens["weight"].tolist()) == [0.5, 0.5, 1.0]
    total = SFT().loss(Seen(torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([0, 0, 1])), batch)["nll"]
    assert total.item() == pytest.approx(2.0)


def test_every_row_comes_once_an_epoch() -> None:
    batch, _ = SFT(epochs=3, rows_per_step=2).batch(
        Window(0, rows("a", "b", "c")), {}, np.random.default_rng(0)
    )
    assert [len(s) for s in batch.steps] == [2, 1] * 3
    for epoch in range(3):
        assert sorted(np.concatenate(batch.steps[2 * epoch : 2 * epoch + 2]).tolist()) == [0, 1, 2]


def test_missing_rows_teach_nothing_and_are_counted() -> None:
    window = Window(0, (*rows("a", "b"), a_row("c", missing=True, score=math.nan)))
    batch, _ = SFT().batch(window, {}, np.random.default_rng(0))
    assert len(batch.sequences) == 2
    assert batch.scalars == {"rows": 3.0, "missing": 1.0}


def test_prompt_tokens_are_outside_the_mask() -> None:
    batch, _ = SFT().batch(Window(0, rows("ab")), {}, np.random.default_rng(0))
    assert [s.answer for s in batch.sequences] == [(False, False, True, True)]
