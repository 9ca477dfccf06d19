"""ppo against the optimum that can be written down: π* ∝ π_ref·exp(r/β), and V = β log Z(prefix).

Mutants that are put in and must miss it, by ten times the tolerance: the sign, β dropped, the penalty the
wrong way round, the score on the first token, GAE without a bootstrap, R = A, a critic that learns nothing,
returns from advantages that were whitened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from accord.engines.scripted.losses import Beside
from accord.maths.advantages import Discount, gae, whitened
from accord.maths.rollouts import Spoken
from accord.maths.tensor import clipped
from accord.methods.ppo import PPO
from accord.records import Episode
from accord.records.rows import Row, Window
from accord.testing import (
    Little,
    Schedule,
    Tables,
    bandit,
    distance,
    enumerated,
    evaluate,
    expected_gradient,
    optimum,
    sampled,
    strings,
)

BETA = 0.5
Floats = NDArray[np.float64]


def exact(**told: Any) -> PPO:
    return PPO(**{"beta": BETA, "whiten": False, **told})


def gaps(little: Little, found: Tables) -> tuple[float, float]:
    """Total variation of the policy, and the largest error of the critic."""
    wanted = optimum(little, BETA)
    return distance(little, found, wanted), float(np.abs(found.values_PC - wanted.values_PC).max())


@pytest.mark.parametrize("told", [{}, {"lam": 1.0}, {"lam": 0.0}, {"n": 2, "rows_per_step": 1}], ids=str)
@pytest.mark.parametrize("world", [bandit, strings], ids=["bandit", "strings"])
def test_enumerated_answers_reach_policy_and_critic(
    world: Callable[[], Little], told: dict[str, Any]
) -> None:
    little = world()
    assert distance(little, little.start(), optimum(little, BETA)) > 0.2, "there is something to learn"
    policy, critic = gaps(little, enumerated(exact(**told), little).tables)
    assert policy <= 1e-3
    assert critic <= 1e-3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", [bandit, strings], ids=["bandit", "strings"])
def test_sampled_windows_reach_the_optimum(world: Callable[[], Little], seed: int) -> None:
    """Four epochs a window, in two steps each, against ratios and values of the policy that answered."""
    little = world()
    method = exact(rows_per_step=16)
    policy, _ = gaps(little, sampled(method, little, seed, Schedule(windows=120, together=32, lr=1.0)))
    assert policy <= 0.02


@pytest.mark.parametrize(
    "little", [bandit(prompts=2), strings(), strings(prompts=2)], ids=["bandits", "strings", "two of strings"]
)
@pytest.mark.parametrize("told", [{}, {"lam": 0.5, "epochs": 1}], ids=str)
def test_the_optimum_is_a_fixed_point_with_whitening_on(little: Little, told: dict[str, Any]) -> None:
    method = PPO(beta=BETA, **told)
    assert expected_gradient(method, little, optimum(little, BETA)).largest <= 1e-8
    assert expected_gradient(method, little, little.start()).largest > 1e-2


def test_a_critic_that_is_off_by_a_constant_is_not_the_fixed_point() -> None:
    little = strings()
    at = optimum(little, BETA)
    moved = at._replace(values_PC=at.values_PC + 0.1)
    assert expected_gradient(exact(), little, moved).largest > 1e-3


def test_the_ratio_is_1_at_the_first_step_of_a_window() -> None:
    """Nothing is clipped, and ∂objective/∂log π is −A over the tokens."""
    little = strings()
    rows = [little.episode(0, a) for a in range(4)]
    state = little.start()
    logp = [little.tokens_logp(state)[0][a] for a in range(4)]
    value = [state.values_PC[0][little.places[a][0]] for a in range(4)]
    measured = {"old_logp": tuple(logp), "ref_logp": tuple(logp), "value": tuple(value)}
    made = [row_of(episode, float(r)) for episode, r in zip(rows, little.reward_PA[0], strict=False)]
    batch, _ = PPO().batch(Window(0, tuple(made), measured), {}, np.random.default_rng(0))
    part = batch.take(batch.steps[0])
    now = np.concatenate([logp[int(r)] for r in batch.steps[0]])
    scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
    beside = Beside(np.zeros((4, 0)), part.tokens["value"])
    found = evaluate(PPO().loss, part, now, scale, "torch", beside)
    assert (found.totals["clipped"], found.totals["value_clipped"]) == (0.0, 0.0)
    assert found.totals["policy"] == pytest.approx(-part.tokens["advantage"].sum())
    assert found.pressure_T == pytest.approx(-part.tokens["advantage"] / batch.counts[0]["policy"])


def row_of(episode: Episode, score: float) -> Row:
    return Row((episode,), {"score": score})


# Mutants


def _no_bootstrap(reward: Floats, value: Floats, lengths: Any, discount: Discount) -> Floats:
    return gae(reward, np.zeros_like(value), lengths, discount) - value


def _no_critic(value: Any, old: Any, wanted: Any, clip: float) -> Any:
    return clipped.k2(value, value.detach())


POLICY = clipped.clipped_policy

MUTANTS: dict[str, tuple[str, Any]] = {
    "the sign": ("accord.maths.tensor.clipped.clipped_policy", lambda *x: -POLICY(*x)),
    "the penalty dropped": ("accord.methods.ppo.k1", lambda old, ref: 0 * old),
    "the penalty the wrong way round": ("accord.methods.ppo.k1", lambda old, ref: ref - old),
    "a critic that learns nothing": ("accord.maths.tensor.clipped.clipped_value", _no_critic),
    "no bootstrap": ("accord.methods.ppo.gae", _no_bootstrap),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_the_optimum(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    little = strings()
    policy, critic = gaps(little, enumerated(exact(), little, rounds=40).tables)
    assert max(policy, critic) > 0.01


def test_the_score_on_the_first_token_teaches_another_critic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later states would be worth nothing of it."""
    monkeypatch.setattr(Spoken, "last_T", _first_T)
    little = strings()
    policy, critic = gaps(little, enumerated(exact(), little, rounds=40).tables)
    assert max(policy, critic) > 0.01


def _first_T(self: Spoken) -> Any:
    return (np.cumsum(self.length_R) - self.length_R)[self.length_R > 0]


class ReturnsAdvantages(PPO):
    """R = A."""

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        return replace(batch, tokens={**batch.tokens, "return": batch.tokens["advantage"]}), memory


class WhitenedReturns(PPO):
    """R from the A that was whitened."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        return whitened(super().advantage(column, window, memory))


@pytest.mark.parametrize("kind", [ReturnsAdvantages, WhitenedReturns])
def test_other_returns_teach_another_critic(kind: type[PPO]) -> None:
    little = strings()
    found = enumerated(kind(beta=BETA, whiten=False), little, rounds=40).tables
    assert max(gaps(little, found)) > 0.01
