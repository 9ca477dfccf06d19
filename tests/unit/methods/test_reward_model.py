"""reward_model: numbers by hand. Mutants: the sign, the first turn's score for the last, a sum over heads,
one head for all, bootstrap weights that change between windows or are shared by heads, centering of Δ.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from accord.methods.reward_model import RewardModel
from accord.records import Episode
from accord.records.rows import Batch, Row, Window
from accord.testing import check_method

LN3 = math.log(3)
WIN, LOSS = math.log(4 / 3), math.log(4)


class Seen:
    """Only scores: a loss that read log-probabilities would cost a pass of the LM head."""

    def __init__(self, *scores: list[float]) -> None:
        self.score_SK = torch.tensor(scores, dtype=torch.float64, requires_grad=True)


def said(*turns: int) -> Episode:
    prompts = tuple((1 + k,) for k in range(len(turns)))
    tokens = tuple((t,) for t in turns)
    return Episode(prompt="q", responses=tuple(map(str, turns)), prompt_tokens=prompts, tokens=tokens)


def taught(method: RewardModel, *rows: Row) -> Batch:
    return method.batch(Window(0, rows), {}, np.random.default_rng(0))[0]


def loss(method: RewardModel, batch: Batch, seen: Seen) -> dict[str, float]:
    out: Any = seen
    found = method.loss(out, batch)
    assert set(found) == set(batch.weights)
    if batch.steps:
        torch.stack([batch.weights[n] * total for n, total in found.items()]).sum().backward()
    return {name: float(total.detach()) for name, total in found.items()}


PLAIN = Row((said(5), said(6)), {"p": 1.0})
SOFT = Row((said(5), said(7)), {"p": 0.25, "weight": 2.0})


def test_two_heads_by_hand() -> None:
    """Head 0 has Δ = ln 3 on both pairs, head 1 has 0 and −ln 3."""
    method = RewardModel(heads=2, bootstrap=False)
    batch = taught(method, PLAIN, SOFT)
    assert batch.counts == (dict.fromkeys(batch.weights, 2.0),)
    assert {n for n, w in batch.weights.items() if w} == {"preference"}
    seen = Seen([LN3, 1.0], [0.0, 1.0], [2.0, 0.0], [2.0 - LN3, LN3])
    found = loss(method, batch, seen)
    first = WIN + 2 * (0.25 * WIN + 0.75 * LOSS)
    second = math.log(2) + 2 * (0.25 * LOSS + 0.75 * WIN)
    assert found["preference"] == pytest.approx((first + second) / 2)
    # ∂/∂r(first) = w·(σ(Δ) − p)/heads
    wanted = [[-0.125, -0.25], [0.125, 0.25], [0.5, 0.0], [-0.5, 0.0]]
    assert seen.score_SK.grad is not None
    assert seen.score_SK.grad.tolist() == [pytest.approx(row, abs=1e-12) for row in wanted]


def test_figures_are_of_the_mean_over_heads() -> None:
    method = RewardModel(heads=2, bootstrap=False)
    found = loss(method, taught(method, PLAIN, SOFT), Seen([3.0, 1.0], [0.0, 1.0], [2.0, 4.0], [1.0, 1.0]))
    assert found["accuracy"] == pytest.approx(1 + 0.25)
    assert found["chosen"] == pytest.approx(2.0 + 0.25 * 3 + 0.75 * 1)
    assert found["rejected"] == pytest.approx(0.5 + 0.75 * 3 + 0.25 * 1)
    assert found["margin"] == pytest.approx(found["chosen"] - found["rejected"])
    # Δ is 3 and 0 on the first pair, 1 and 3 on the second: deviations 3/√2 and 2/√2
    assert found["spread"] == pytest.approx(5 / math.sqrt(2))


def test_the_score_of_an_answer_is_that_of_its_last_sequence() -> None:
    method = RewardModel(heads=1)
    batch = taught(method, Row((said(5, 6), said(7, 8, 9)), {"p": 1.0}))
    seen = Seen([90.0], [LN3], [70.0], [-70.0], [0.0])
    assert loss(method, batch, seen)["preference"] == pytest.approx(WIN)
    assert seen.score_SK.grad is not None
    assert seen.score_SK.grad[:, 0].tolist() == pytest.approx([0, -0.25, 0, 0, 0.25])


def test_centering_holds_the_sum_of_a_pair_and_is_a_figure_without_its_coefficient() -> None:
    for centering, pulled in ((0.0, 0.0), (0.5, 0.5 * 2 * 3)):
        method = RewardModel(heads=1, centering=centering)
        batch = taught(method, PLAIN)
        seen = Seen([2.0], [1.0])
        found = loss(method, batch, seen)
        assert (batch.weights["centering"], found["centering"]) == (centering, 9.0)
        assert seen.score_SK.grad is not None
        alone = 1 / (1 + math.exp(1))  # σ(−Δ)
        assert seen.score_SK.grad[:, 0].tolist() == pytest.approx([pulled - alone, pulled + alone])


def heads(batch: Batch, count: int = 3) -> np.ndarray:
    return np.stack([batch.rows[f"head_{k}"] for k in range(count)], axis=1)


def many(count: int, start: int = 0) -> tuple[Row, ...]:
    return tuple(Row((said(100 + i), said(1)), {"p": 1.0}) for i in range(start, start + count))


def test_heads_see_pairs_as_often_as_a_bootstrap_would() -> None:
    seen = heads(taught(RewardModel(), *many(2000)))
    assert seen.mean(0) == pytest.approx([1] * 3, abs=0.1)  # 4.5 deviations of a mean of 2,000 Poisson(1)
    assert seen.var(0) == pytest.approx([1] * 3, abs=0.2)
    assert (seen == 0).mean() == pytest.approx(math.exp(-1), abs=0.03)
    assert np.abs(np.corrcoef(seen.T) - np.eye(3)).max() < 0.1


def test_a_pair_weighs_the_same_whenever_it_comes_again() -> None:
    """Else every head would see the same data in the long run, and the spread would tell nothing."""
    method = RewardModel()
    first, memory = method.batch(Window(0, many(20)), {}, np.random.default_rng(0))
    kept = json.loads(json.dumps(dict(memory)))
    turned = tuple(Row(row.episodes[::-1], {"p": 0.0}) for row in many(20))
    later, after = method.batch(Window(7, (*many(5, 100), *turned)), kept, np.random.default_rng(7))
    assert after == memory
    assert heads(later)[5:].tolist() == heads(first).tolist()
    other, _ = method.batch(Window(0, many(20)), {}, np.random.default_rng(1))
    assert heads(other).tolist() != heads(first).tolist(), "another run draws others"


def test_a_weight_of_a_head_multiplies_its_loss_alone() -> None:
    method = RewardModel(heads=2)
    batch = taught(method, PLAIN)
    batch.rows["head_0"][:], batch.rows["head_1"][:] = 3.0, 0.0
    seen = Seen([LN3, 5.0], [0.0, -1.0])
    assert loss(method, batch, seen)["preference"] == pytest.approx(3 * WIN / 2)
    assert seen.score_SK.grad is not None
    assert seen.score_SK.grad[:, 1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("told", [{"heads": 1}, {"bootstrap": False}])
def test_without_a_bootstrap_every_head_sees_every_pair_once(told: dict[str, Any]) -> None:
    method = RewardModel.model_validate(told)
    batch, memory = method.batch(Window(0, many(9)), {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    assert heads(batch, method.heads).tolist() == [[1.0] * method.heads] * 9


def test_parts_of_a_step_add_up_to_the_whole() -> None:
    method = RewardModel(heads=2, centering=0.1)
    batch = taught(method, PLAIN, SOFT, Row((said(8, 9), said(4)), {"p": 0.5}))
    scores = [[0.3, -1.0], [0.2, 2.0], [1.0, 0.0], [0.5, 0.7], [9.0, 9.0], [0.1, -0.4], [0.6, 0.2]]
    whole = loss(method, batch, Seen(*scores))
    parts = [
        loss(method, batch.take([2, 0]), Seen(*scores[4:], *scores[:2])),
        loss(method, batch.take([1]), Seen(*scores[2:4])),
    ]
    assert {n: parts[0][n] + parts[1][n] for n in whole} == pytest.approx(whole)


def test_what_it_says_of_itself() -> None:
    method = RewardModel(heads=4)
    assert (method.rows.unit, method.rows.by, method.pushes_down) == ("pair", "data", False)
    assert (method.needs().scores, method.needs().columns) == (4, frozenset())


@pytest.mark.parametrize("told", [{}, {"heads": 1}, {"heads": 2, "centering": 0.1, "epochs": 2}])
def test_it_keeps_the_promises_of_a_method(told: dict[str, Any]) -> None:
    check_method(RewardModel.model_validate(told), columns=("p", "weight"))
