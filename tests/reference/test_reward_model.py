"""reward_model recovers the reward that labels were drawn from, up to a constant, in every head.

Mutants: the sign; half of the difference; ties dropped or read as wins; one head trained for all; a pair's
second answer left alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from accord.methods.reward_model import RewardModel
from accord.records import Episode
from accord.records.rows import Floats, Row, Window
from accord.testing.optimum import Data, Little, bandit, enumerated, strings


def off(little: Little, scores_PAK: Floats) -> float:
    """The largest error, up to a constant for each prompt and head."""
    error = scores_PAK - little.reward_PA[:, :, None]
    return float(np.abs(error - error.mean(axis=1, keepdims=True)).max())


@pytest.mark.parametrize("hard", [False, True])
def test_every_head_recovers_the_reward_of_the_bandit(hard: bool) -> None:
    for little in (bandit(), bandit(1, arms=3, prompts=2)):
        method = RewardModel(heads=2, bootstrap=False)
        found = enumerated(method, little, data=Data(hard=hard)).tables.scores_PAK
        assert found.shape[2] == 2
        assert off(little, found) <= 1e-6


def test_heads_that_saw_other_pairs_recover_the_reward_of_the_strings() -> None:
    """With shares as labels every pair says the same of r, however often a head sees it."""
    little = strings()
    found = enumerated(RewardModel(heads=3), little).tables.scores_PAK
    assert off(little, found) <= 1e-6
    assert np.abs(found[..., 0] - found[..., 1]).max() > 1e-12, "and yet they are not one head"


def test_heads_that_saw_other_pairs_differ_where_labels_were_drawn() -> None:
    """Few hard labels: the heads disagree, and without a bootstrap they would not."""
    rng = np.random.default_rng(0)
    little = bandit(arms=4)
    rows = [(a, b) for _ in range(12) for a in range(4) for b in range(4) if a < b]
    chance = 1 / (1 + np.exp(little.reward_PA[0][None, :] - little.reward_PA[0][:, None]))
    labelled = [(a, b, float(rng.random() < chance[a, b])) for a, b in rows]
    spreads = [_spread(little, labelled, bootstrap) for bootstrap in (True, False)]
    assert spreads[0] > 0.05
    assert spreads[1] < 1e-6


def _spread(little: Little, labelled: list[tuple[int, int, float]], bootstrap: bool) -> float:
    method = RewardModel(heads=3, bootstrap=bootstrap, rows_per_step=10_000)
    rows = tuple(
        Row((little.episode(0, a, 2 * i), little.episode(0, b, 2 * i + 1)), {"p": p})
        for i, (a, b, p) in enumerate(labelled)
    )
    batch, _ = method.batch(Window(0, rows), {}, np.random.default_rng(0))
    table = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    arms = torch.tensor([s.tokens[-1] for s in batch.sequences])
    descent = torch.optim.LBFGS([table], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def objective() -> Any:
        descent.zero_grad()
        seen: Any = type("Seen", (), {"score_SK": table[arms]})
        loss = method.loss(seen, batch)["preference"] / len(rows) + 1e-3 * (table**2).sum()
        loss.backward()
        return loss

    descent.step(objective)
    centred = (table - table.mean(0)).detach()
    return float(centred.std(1).mean())


def test_a_tie_draws_two_answers_together() -> None:
    """r(a) − r(b) = ln(p/(1−p)) for the pairs that were judged: ln 3, then 0."""
    little = bandit(arms=3)
    p = np.full((1, 3, 3), 0.5)
    p[0, 0, 1], p[0, 1, 0] = 0.75, 0.25
    p[0, 0, 2], p[0, 2, 0] = 0.75, 0.25
    found = enumerated(RewardModel(heads=1), little, data=Data(preference_PAA=p)).tables.scores_PAK[0, :, 0]
    assert found - found[1] == pytest.approx([np.log(3), 0.0, 0.0], abs=1e-6)


def test_it_is_the_published_loss_on_pairs_of_winners() -> None:
    """−log σ(r(chosen) − r(rejected)) + c·(r(chosen) + r(rejected))², averaged over pairs: as TRL has it."""
    rng = np.random.default_rng(0)
    scores = torch.tensor(rng.normal(size=(10, 1)), requires_grad=True)
    turns = [
        Episode(prompt="q", responses=(str(i),), prompt_tokens=((1,),), tokens=((2 + i,),)) for i in range(10)
    ]
    rows = tuple(Row((turns[2 * i], turns[2 * i + 1]), {"p": 1.0}) for i in range(5))
    method = RewardModel(heads=1, centering=0.1)
    batch, _ = method.batch(Window(0, rows), {}, np.random.default_rng(0))
    seen: Any = type("Seen", (), {"score_SK": scores})
    found = method.loss(seen, batch)
    ours = sum(batch.weights[name] * total / batch.counts[0][name] for name, total in found.items())
    chosen, rejected = scores[::2, 0], scores[1::2, 0]
    theirs = -torch.nn.functional.logsigmoid(chosen - rejected).mean() + 0.1 * torch.mean(
        (chosen + rejected) ** 2
    )
    assert float(torch.as_tensor(ours).detach()) == pytest.approx(theirs.item(), rel=1e-12)
    (one,) = torch.autograd.grad(torch.as_tensor(ours), scores)
    (two,) = torch.autograd.grad(theirs, scores)
    assert float((one - two).abs().max()) <= 1e-12
