"""ppo: numbers by hand, masks, whitening.

Mutants this kills: the sign, β dropped, the score on the first token or on every token, GAE that does not
bootstrap across turns, R = A, R from whitened A, missing rows in the whitening, the value loss unclipped, its
½ or its weight forgotten, rewards whitened without their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from accord.engines.scripted.losses import Beside
from accord.errors import PlanError
from accord.methods.ppo import PPO
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row, Window
from accord.testing import a_response, a_window, evaluate

OLD, REF = -1.0, -1.5  # k1 = .5 for every token


def window(*answers: tuple[float | None, Sequence[float]]) -> Window:
    """Answers to one prompt: a score, and the value of the state of each token."""
    prompt = Prompt.of("Why?")
    rows = [
        Row(
            (Episode.single(a_response(prompt, str(i), i, tuple(range(3, 3 + len(values))))),),
            {"score": np.nan if score is None else score},
            score is None,
            group=i,
        )
        for i, (score, values) in enumerate(answers)
    ]
    return with_values(rows, [values for _, values in answers])


def with_values(rows: Sequence[Row], values: Sequence[Sequence[float]]) -> Window:
    measured = {
        "value": tuple(np.array(v, dtype=np.float64) for v in values),
        "old_logp": tuple(np.full(len(v), OLD) for v in values),
        "ref_logp": tuple(np.full(len(v), REF) for v in values),
    }
    return Window(0, tuple(rows), measured)


def batch_of(method: PPO, given: Window) -> Batch:
    batch, memory = method.batch(given, {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    return batch


def plain(**told: Any) -> PPO:
    return PPO(**{"beta": 0.0, "whiten": False, **told})


def test_advantages_and_returns_by_hand() -> None:
    """Values ½, ¼, score 1, λ = ½: δ = ¼ − ½, 1 − ¼; A = −¼ + ½·¾, ¾; R = A + V."""
    batch = batch_of(plain(lam=0.5), window((1.0, [0.5, 0.25])))
    assert batch.tokens["advantage"] == pytest.approx([0.125, 0.75])
    assert batch.tokens["return"] == pytest.approx([0.625, 1.0])
    assert batch.tokens["value"].tolist() == [0.5, 0.25]
    assert batch.tokens["old_logp"].tolist() == [OLD, OLD]


def test_every_token_pays_its_own_penalty_and_the_last_one_gets_the_score() -> None:
    """λ = 0: A_t is δ_t itself. Values 0, β = .2, k1 = .5: −.1, −.1, −.1 + 2."""
    batch = batch_of(plain(beta=0.2, lam=0.0), window((2.0, [0.0, 0.0, 0.0])))
    assert batch.tokens["advantage"] == pytest.approx([-0.1, -0.1, 1.9])
    assert (batch.scalars["k1"], batch.scalars["k1_token"]) == pytest.approx((1.5, 0.5))


@pytest.mark.parametrize("apart", [True, False])
def test_the_next_turn_s_first_value_bootstraps_this_one_s_last(apart: bool) -> None:
    second = (9, 9) if apart else (1, 2, 3, 8)
    turns = Episode(prompt="p", responses=("a", "b"), prompt_tokens=((1,), second), tokens=((2, 3), (4,)))
    values = [[0.1, 0.2], [0.4]] if apart else [[0.1, 0.2, 0.4]]
    batch = batch_of(plain(lam=0.0), with_values([Row((turns,), {"score": 1.0})], values))
    assert batch.tokens["advantage"] == pytest.approx([0.1, 0.2, 0.6])
    assert len(batch.sequences) == len(values)
    assert batch.counts[0]["policy"] == 3.0


def test_whitening_sees_the_tokens_that_are_taught_and_leaves_the_return_alone() -> None:
    given = window((1.0, [0.0, 0.5]), (None, [50.0, -50.0, 9.0]), (-1.0, [0.2]))
    bare, white = batch_of(plain(lam=0.0), given), batch_of(plain(lam=0.0, whiten=True), given)
    advantage = np.array([0.5, 0.5, -1.2])
    assert bare.tokens["advantage"] == pytest.approx(advantage)
    wanted = (advantage - advantage.mean()) / (advantage.std(ddof=1) + 1e-4)
    assert white.tokens["advantage"] == pytest.approx(wanted)
    assert white.tokens["return"] == pytest.approx(bare.tokens["return"])
    assert bare.tokens["return"] == pytest.approx([0.5, 1.0, -1.0])
    assert (len(white.sequences), white.row_S.tolist()) == (2, [0, 1])
    assert (white.scalars["missing"], white.scalars["taught"]) == (1.0, 2.0)


def test_whitened_rewards_keep_their_mean() -> None:
    """Rewards per token 1, 0, 3, 0 over their deviation, around their mean of 1."""
    given = window((1.0, [0.0]), (None, [7.0]), (3.0, [0.0, 0.0]), (0.0, [0.0]))
    found = batch_of(plain(lam=0.0, whiten_rewards=True), given).tokens["advantage"]
    rewards = np.array([1.0, 0.0, 3.0, 0.0])
    assert found == pytest.approx((rewards - 1) / (rewards.std(ddof=1) + 1e-4) + 1)


def test_four_epochs_over_every_row() -> None:
    given = window(*[(float(i), [0.0] * (i + 1)) for i in range(5)])
    batch = batch_of(PPO(rows_per_step=2), given)
    assert [len(step) for step in batch.steps] == [2, 2, 1] * 4
    for epoch in range(4):
        assert sorted(np.concatenate(batch.steps[3 * epoch : 3 * epoch + 3]).tolist()) == [0, 1, 2, 3, 4]
    for step, counts in zip(batch.steps, batch.counts, strict=True):
        assert set(counts.values()) == {float(batch.lengths_S()[step].sum())}
    assert [len(step) for step in batch_of(PPO(), given).steps] == [5] * 4
    assert batch.weights == {"policy": 1.0, "value": 0.1, "clipped": 0.0, "value_clipped": 0.0}


def test_the_ratio_is_1_at_the_first_step_and_the_gradients_are_those_by_hand() -> None:
    method = plain(lam=0.5)
    batch = batch_of(method, window((1.0, [0.5, 0.25])))
    part = batch.take(batch.steps[0])
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    at = Beside(np.zeros((1, 0)), np.array([0.5, 0.25]))
    found = evaluate(method.loss, part, np.full(2, OLD), scale, "torch", at)
    assert found.totals["policy"] == pytest.approx(-(0.125 + 0.75))
    assert found.totals["value"] == pytest.approx(0.5 * (0.125**2 + 0.75**2))
    assert (found.totals["clipped"], found.totals["value_clipped"]) == (0.0, 0.0)
    assert found.pressure_T == pytest.approx([-0.125 / 2, -0.75 / 2])
    assert found.value_T == pytest.approx([-0.1 * 0.125 / 2, -0.1 * 0.75 / 2])


def test_clips_hold_both_networks() -> None:
    method = plain(lam=0.5)
    batch = batch_of(method, window((1.0, [0.5, 0.25])))
    part = batch.take(batch.steps[0])
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    # Both ratios are 1.5 with A > 0. The critic has moved .4 towards R = 1 in the second place.
    moved = Beside(np.zeros((1, 0)), np.array([0.5, 0.65]))
    found = evaluate(method.loss, part, np.log([1.5, 1.5]) + OLD, scale, "torch", moved)
    assert found.totals == pytest.approx(
        {
            "policy": -1.2 * (0.125 + 0.75),
            "value": 0.5 * (0.125**2 + (0.45 - 1) ** 2),
            "clipped": 2.0,
            "value_clipped": 1.0,
        }
    )
    assert found.pressure_T.tolist() == [0.0, 0.0]
    assert found.value_T == pytest.approx([-0.1 * 0.125 / 2, 0.0])


def test_figures() -> None:
    batch = batch_of(plain(lam=1.0), window((1.0, [0.75]), (0.0, [0.25])))
    assert (batch.scalars["value"], batch.scalars["advantage"]) == (0.5, 0.0)
    assert batch.scalars["value_explains"] == pytest.approx(1 - 0.0625 / 0.25)
    empty = batch_of(plain(), window((None, [0.0])))
    assert (empty.steps, empty.sequences, empty.counts) == ((), (), ())
    assert not {"score", "value", "value_explains"} & set(empty.scalars)


def test_what_it_says_of_itself() -> None:
    needs = PPO().needs()
    assert (needs.columns, needs.critic, needs.scores) == ({"ref_logp", "old_logp", "value"}, True, 0)
    assert PPO(beta=0.0).needs().columns == {"old_logp", "value"}
    assert (PPO(n=2).rows, PPO().pushes_down) == (("answer", 2, "policy"), True)
    with pytest.raises(PlanError, match='column is "score"'):
        batch_of(plain(), a_window([[1.0]], column="p"))
