"""process_reward_model: numbers by hand. Mutants: the sign, a step's first token for its last, unlabelled
steps read as wrong or counted, weights in the count, one head for all, a sum over heads.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from accord.errors import ContractError
from accord.methods.process_reward_model import ProcessRewardModel, step_ends
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing import check_method

LN3 = math.log(3)
WIN, LOSS = math.log(4 / 3), math.log(4)


class Seen:
    """Only scores of tokens: a loss that read log-probabilities would cost a pass of the LM head."""

    def __init__(self, scores: Any) -> None:
        self.score_TK = torch.tensor(scores, dtype=torch.float64, requires_grad=True)

    @property
    def grad(self) -> list[list[float]]:
        assert self.score_TK.grad is not None
        return self.score_TK.grad.tolist()


def said(lengths: tuple[int, ...], *labels: float | None, first: int = 1) -> Episode:
    """One sequence; step k has so many tokens, and one of a separator before it belongs to nobody."""
    asked: list[tuple[int, ...]] = []
    told: list[tuple[int, ...]] = []
    before: tuple[int, ...] = (first,)
    for k, length in enumerate(lengths):
        asked.append(before)
        told.append(tuple(10 * k + t for t in range(length)))
        before = (*before, *told[-1], 99)
    names = tuple(str(k) for k in range(len(lengths)))
    made = {"prompt_tokens": tuple(asked), "tokens": tuple(told), "rewards": labels}
    return Episode.model_validate({"prompt": "q", "responses": names, **made})


def taught(method: ProcessRewardModel, *rows: Row) -> Batch:
    return method.batch(Window(0, rows), {}, np.random.default_rng(0))[0]


def loss(method: ProcessRewardModel, batch: Batch, seen: Seen) -> dict[str, float]:
    out: Any = seen
    found = method.loss(out, batch)
    assert set(found) == set(batch.weights)
    torch.stack([batch.weights[n] * total for n, total in found.items()]).sum().backward()
    return {name: float(total.detach()) for name, total in found.items()}


ONE = Row((said((2, 1, 2), 1.0, None, 0.0),))
TWO = Row((said((1, 2), 0.25, 1.0, first=2),), {"weight": 2.0})


def test_scores_are_read_where_labelled_steps_end() -> None:
    """Steps end at answer tokens 1, 2 and 4 of the first row, and 0 and 2 of the second."""
    batch = taught(ProcessRewardModel(), ONE, TWO)
    assert len(batch.sequences) == 2
    assert batch.tokens["labelled"].tolist() == [0, 1, 0, 0, 1, 1, 0, 1]
    assert batch.tokens["right"].tolist() == [0, 1, 0, 0, 0, 0.25, 0, 1]
    assert batch.counts == (dict.fromkeys(batch.weights, 4.0),)
    assert {name for name, weight in batch.weights.items() if weight} == {"cross_entropy"}


def test_the_loss_by_hand() -> None:
    """log-odds of ln 3 everywhere: right costs ln 4/3, wrong ln 4; the second row weighs twice."""
    method = ProcessRewardModel()
    batch = taught(method, ONE, TWO)
    seen = Seen([[LN3 if labelled else 50.0] for labelled in batch.tokens["labelled"]])
    found = loss(method, batch, seen)
    assert found["cross_entropy"] == pytest.approx(WIN + LOSS + 2 * (0.25 * WIN + 0.75 * LOSS + WIN))
    # ∂/∂r = w·(σ(r) − y); nothing where no labelled step ends.
    wanted = [0, -0.25, 0, 0, 0.75, 2 * 0.5, 0, -0.5]
    assert [g for (g,) in seen.grad] == pytest.approx(wanted)


def test_figures_by_hand() -> None:
    method = ProcessRewardModel(heads=2, bootstrap=False)
    batch = taught(method, ONE, TWO)
    scores = np.full((8, 2), 7.0)
    scores[[1, 4, 5, 7]] = [[LN3 + 1, LN3 - 1], [0.0, 0.0], [-LN3, -LN3], [-LN3, -LN3]]
    found = loss(method, batch, Seen(scores))
    assert found["accuracy"] == pytest.approx(1 + 0.5 + 0.75 + 0)
    assert found["brier"] == pytest.approx(0.25**2 + 0.5**2 + 0 + 0.75**2)
    assert found["spread"] == pytest.approx(math.sqrt(2))  # the first step's heads stand 2 apart


def test_a_mean_over_heads_and_each_by_its_own_weights() -> None:
    method = ProcessRewardModel(heads=2)
    batch = taught(method, ONE)
    batch.rows["head_0"][:], batch.rows["head_1"][:] = 3.0, 0.0
    scores = np.tile([LN3, -5.0], (5, 1))
    seen = Seen(scores)
    assert loss(method, batch, seen)["cross_entropy"] == pytest.approx(3 * (WIN + LOSS) / 2)
    assert {g for _, g in seen.grad} == {0.0}


def test_heads_see_an_answer_as_often_whenever_it_comes_again() -> None:
    rows = [Row((said((1, 1), 1.0, 0.0, first=100 + i),)) for i in range(400)]
    method = ProcessRewardModel(heads=3)

    def heads(batch: Batch) -> Floats:
        return np.stack([batch.rows[f"head_{k}"] for k in range(3)], axis=1)

    first, memory = method.batch(Window(0, tuple(rows)), {}, np.random.default_rng(0))
    kept = json.loads(json.dumps(dict(memory)))
    later, after = method.batch(Window(1, (ONE, *rows[::-1])), kept, np.random.default_rng(9))
    assert after == memory
    assert heads(later)[1:][::-1].tolist() == heads(first).tolist()
    assert heads(first).mean() == pytest.approx(1.0, abs=0.13)  # 4.5 deviations of a mean of 1,200 Poisson(1)
    for told in ({"heads": 1}, {"heads": 2, "bootstrap": False}):
        plain, memory = ProcessRewardModel.model_validate(told).batch(
            Window(0, (ONE, TWO)), {"kept": 1}, np.random.default_rng(0)
        )
        assert memory == {"kept": 1}
        assert plain.rows["head_0"].tolist() == [1.0, 1.0]


def test_an_answer_without_a_label_is_missing_and_one_with_some_stays() -> None:
    bare = Row((said((1, 2), None, None, first=7),))
    none = Row((said((1, 2), first=8),))
    gone = Row((said((1,), 1.0, first=9),), missing=True)
    batch = taught(ProcessRewardModel(), bare, ONE, none, gone)
    assert [s.tokens[0] for s in batch.sequences] == [1]
    assert batch.scalars == {"rows": 4.0, "missing": 3.0, "labelled": 2.0, "right": 0.5}
    empty = taught(ProcessRewardModel(), bare, none)
    assert (empty.steps, empty.sequences) == ((), ())


def test_a_step_without_a_token_has_no_place() -> None:
    found = step_ends([2, 0, 1], [1.0, 0.0, 1.0])
    assert found.labelled_T.tolist() == found.right_T.tolist() == [0, 1, 1]
    with pytest.raises(ContractError, match="step's label lies between"):
        step_ends([1], [2.0])


def test_turns_that_are_sequences_of_their_own_keep_their_order() -> None:
    apart = Episode(
        prompt="q",
        responses=("a", "b"),
        prompt_tokens=((1,), (5, 6)),
        tokens=((2, 3), (4,)),
        rewards=(0.0, 1.0),
    )
    batch = taught(ProcessRewardModel(), Row((apart,)))
    assert len(batch.sequences) == 2
    assert batch.tokens["labelled"].tolist() == [0, 1, 1]
    assert batch.tokens["right"].tolist() == [0, 0, 1]


def test_parts_of_a_step_add_up_to_the_whole() -> None:
    method = ProcessRewardModel(heads=2, bootstrap=False)
    batch = taught(method, ONE, TWO, ONE)
    scores = np.random.default_rng(0).normal(size=(13, 2))
    whole = loss(method, batch, Seen(scores))
    parts = [
        loss(method, batch.take([2, 0]), Seen(np.concatenate([scores[8:], scores[:5]]))),
        loss(method, batch.take([1]), Seen(scores[5:8])),
    ]
    assert {n: parts[0][n] + parts[1][n] for n in whole} == pytest.approx(whole)


@pytest.mark.parametrize("told", [{}, {"heads": 3}, {"heads": 2, "bootstrap": False, "epochs": 2}])
def test_it_keeps_the_promises_of_a_method(told: dict[str, Any]) -> None:
    check_method(ProcessRewardModel.model_validate(told))


def test_what_it_says_of_itself() -> None:
    method = ProcessRewardModel(heads=4)
    assert (method.rows.unit, method.rows.by, method.pushes_down) == ("episode", "data", False)
    assert (method.needs().scores, method.needs().columns) == (4, frozenset())
