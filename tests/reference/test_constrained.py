"""constrained against the optimum that can be written down: π*_λ ∝ π_ref·exp((r − λ*c)/β), λ* by bisection.

With λ held there, every inner method has to reach it, and with its scaling on to stay there. λ itself is left
to the controller, which starts at 0. Mutants that are put in and must miss it: costs taken for rewards, the
advantages scaled each for itself, the penalty counted in the costs too, a cost whose baseline holds the
answer's own (ppo), a share of answers controlled by what they cost. Which λ is mixed, and what is divided by
1 + λ, is told by the numbers of the unit test.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from accord.maths import multipliers
from accord.maths.advantages import centred, over_spread
from accord.maths.bounds import share_bounds
from accord.maths.multipliers import Multiplier
from accord.maths.rollouts import Spoken, column_of, groups_of
from accord.methods.constrained import Constrained
from accord.methods.grpo import GRPO
from accord.methods.ppo import PPO
from accord.methods.reinforce_pp import ReinforcePP
from accord.methods.rloo import RLOO
from accord.records.rows import Floats, Window
from accord.testing import (
    Data,
    Little,
    Schedule,
    Tables,
    Trained,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    optimum,
    strings,
    trained,
)

BETA = 0.5


def costs_of(little: Little, scale: float = 1.0) -> Floats:
    """Costs over 0 that go with the reward, and not with it alone."""
    other = np.random.default_rng(7).normal(size=little.reward_PA.shape)
    return scale * np.abs(little.reward_PA + 0.7 * other)


def best(little: Little, cost: Floats, multiplier: float) -> Tables:
    return optimum(replace(little, reward_PA=little.reward_PA - multiplier * cost), BETA)


def mean_cost(little: Little, tables: Tables, cost: Floats) -> float:
    return float((little.shares(tables) * cost).sum(axis=1).mean())


def solved(little: Little, cost: Floats, limit: float) -> float:
    """λ* ≥ 0, at which the optimum costs as much as it may."""
    low, high = 0.0, 50.0
    assert (
        mean_cost(little, best(little, cost, low), cost)
        > limit
        > mean_cost(little, best(little, cost, high), cost)
    )
    for _ in range(60):
        middle = (low + high) / 2
        over = mean_cost(little, best(little, cost, middle), cost) > limit
        low, high = (middle, high) if over else (low, middle)
    return low


def bound(little: Little, cost: Floats, share: float = 0.6) -> float:
    """A limit that the unconstrained optimum breaks: this far from its cost to the least there is."""
    most, least = mean_cost(little, best(little, cost, 0.0), cost), float(cost.min(axis=1).mean())
    return least + share * (most - least)


class Held(Constrained):
    """λ stays where it is put."""

    at: float = 0.0

    def _moved(self, cost_CR: Any, memory: Any) -> dict[str, Multiplier]:
        return dict.fromkeys(cost_CR, Multiplier(self.at))


def held(inner: Any, at: float) -> Held:
    return Held(inner=inner, limits={"c": 1.0}, at=at)


PLAIN: dict[str, Any] = {
    "grpo": GRPO(n=2, beta=BETA, scale_std=False),
    "rloo": RLOO(n=2, beta=BETA),
    "reinforce_pp": ReinforcePP(n=2, beta=BETA, whiten=False),
    "ppo": PPO(n=2, beta=BETA, whiten=False),
}


# λ held at λ*


@pytest.mark.parametrize(
    ("name", "little"),
    [*((name, bandit()) for name in PLAIN), ("grpo", strings()), ("ppo", strings(bits=2))],
    ids=lambda x: x if isinstance(x, str) else f"{len(x.answers)} answers",
)
def test_every_inner_method_reaches_the_constrained_optimum(name: str, little: Little) -> None:
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    assert distance(little, best(little, cost, at), optimum(little, BETA)) > 0.05, "the limit binds"
    found = enumerated(held(PLAIN[name], at), little, data=Data(cost_PA=cost)).tables
    assert distance(little, found, best(little, cost, at)) <= 1e-3


@pytest.mark.parametrize(
    "inner",
    [GRPO(n=3, beta=BETA), RLOO(n=2, beta=BETA), ReinforcePP(n=2, beta=BETA), ReinforcePP(n=3, beta=BETA)],
    ids=["grpo over std", "rloo", "reinforce_pp whitened", "reinforce_pp of 3"],
)
@pytest.mark.parametrize("little", [bandit(), strings(bits=2)], ids=["bandit", "strings"])
def test_the_optimum_is_a_fixed_point_with_scaling_on(inner: Any, little: Little) -> None:
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    method, data = held(inner, at), Data(cost_PA=cost)
    assert expected_gradient(method, little, best(little, cost, at), data=data).largest <= 1e-8
    assert expected_gradient(method, little, little.start(), data=data).largest > 1e-2


def valued(little: Little, cost: Floats, at: float) -> Tables:
    """The constrained optimum with the critic of its reward: V = β log Z_λ + λ·E[c], of each prefix."""
    found = best(little, cost, at)
    share = little.shares(found)
    ahead = little.mass(share * cost).sum(axis=2) / little.mass(share).sum(axis=2)
    return found._replace(values_PC=found.values_PC + at * ahead)


@pytest.mark.parametrize("lam", [1.0, 0.95])
@pytest.mark.parametrize("little", [bandit(), strings(bits=2)], ids=["bandit", "strings"])
def test_ppo_stays_there_with_the_critic_of_its_reward(little: Little, lam: float) -> None:
    """Not whitened: costs are compared with those of other answers, so A has a spread even there."""
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    method, data = held(PPO(n=2, beta=BETA, whiten=False, lam=lam), at), Data(cost_PA=cost)
    assert expected_gradient(method, little, valued(little, cost, at), data=data).largest <= 1e-8
    assert expected_gradient(method, little, little.start(), data=data).largest > 1e-2


# λ left to its controller


@pytest.mark.parametrize(("control", "scale", "rounds"), [("pid", 10.0, 170), ("naive", 6.0, 110)])
def test_the_controller_finds_the_multiplier(control: Any, scale: float, rounds: int) -> None:
    """From 0, on windows listed in full; what they leave in Memory is averaged. Large costs make it short.

    A window of two answers moves the λ that it is weighed with itself, which shifts the policy by up to .02.
    """
    little = bandit()
    cost = costs_of(little, scale)
    limit = bound(little, cost)
    at = solved(little, cost, limit)
    method = Constrained(inner=PLAIN["grpo"], limits={"c": limit}, control=control)
    found = enumerated(method, little, data=Data(cost_PA=cost), rounds=rounds)
    assert found_multiplier(found.memory) == pytest.approx(at, rel=0.05)
    assert mean_cost(little, found.tables, cost) == pytest.approx(limit, rel=0.02)
    assert distance(little, found.tables, best(little, cost, at)) <= 0.02


def found_multiplier(memory: Any) -> float:
    return cast(float, memory["multipliers"]["c"]["value"])


@pytest.mark.parametrize("seed", range(2))
def test_sampled_windows_keep_to_the_limit(seed: int) -> None:
    little = bandit()
    cost = costs_of(little, scale=10.0)
    limit = bound(little, cost)
    method = Constrained(inner=GRPO(n=4, beta=BETA, scale_std=False), limits={"c": limit})
    found = trained(method, little, seed, Schedule(windows=150, together=8, lr=2.0), Data(cost_PA=cost))
    assert found_multiplier(found.memory) == pytest.approx(solved(little, cost, limit), rel=0.05)
    mean = mean_cost(little, found.tables, cost)
    deviation = np.sqrt(mean_cost(little, found.tables, cost**2) - mean**2)
    assert abs(mean - limit) <= 1.96 * deviation / np.sqrt(400), "400 answers would not tell them apart"


def drawn_costs(little: Little, found: Trained, cost: Floats, n: int) -> Floats:
    share = little.shares(found.tables)[0]
    return cost[0][np.random.default_rng(0).choice(share.size, size=n, p=share)]


def violations(little: Little) -> Floats:
    """Whether an answer costs anything: the two best do, and one more."""
    order = np.argsort(-little.reward_PA, axis=1)
    found = np.zeros(little.reward_PA.shape)
    np.put_along_axis(found, order[:, : max(1, len(little.answers) // 3)], 1.0, axis=1)
    return found


SHARES = Constrained(
    inner=GRPO(n=4, beta=BETA, scale_std=False),
    limits={"c": 0.0},
    mode="probability",
    control="naive",
    eps=0.2,
)


def test_under_probability_a_policy_passes_the_bound() -> None:
    """Costs of any size are counted; the share is held at eps/2, and the bound shows that it keeps to eps."""
    little, eps = bandit(), SHARES.eps
    cost = 5 * violations(little)
    at = solved(little, violations(little), eps / 2)
    start = {"value": 0.8 * at, "integral": 0.8 * at, "error": 0.0, "costs": []}
    data = Data(cost_PA=cost, memory=cast(Any, {"multipliers": {"c": start}}))
    found = trained(SHARES, little, 0, Schedule(windows=150, together=8, lr=4.0), data)
    share = float((drawn_costs(little, found, cost, 600) > 0).mean())
    assert share_bounds(share, 600).high <= eps
    assert mean_cost(little, found.tables, violations(little)) == pytest.approx(eps / 2, abs=0.03)


@pytest.mark.parametrize("name", ["grpo", "ppo"])
def test_hard_reaches_the_optimum_of_what_costs_nothing(name: str) -> None:
    little = bandit()
    cost = violations(little)
    method = Constrained(inner=PLAIN[name], limits={"c": 0.0}, mode="hard")
    found = enumerated(method, little, data=Data(cost_PA=cost), rounds=30).tables
    share = little.shares(optimum(little, BETA)) * (cost == 0)
    wanted = little.tables(share / share.sum())
    assert distance(little, optimum(little, BETA), wanted) > 0.2, "there is something to give up"
    assert distance(little, found, wanted) <= 1e-3


# Mutants


class Apart(GRPO):
    """Scales each advantage for itself."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        return over_spread(super().advantage(column, window, memory), groups_of(window))


class PaidTwice(GRPO):
    """Counts the penalty in the costs too."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        value = column_of(window, column)
        rows = tuple(
            replace(row, columns={**row.columns, "score": float(x)})
            for row, x in zip(window.rows, value, strict=True)
        )
        return super().advantage("score", replace(window, rows=rows), memory)


@pytest.mark.parametrize("kind", [Apart, PaidTwice])
def test_other_advantages_move_the_fixed_point(kind: type[GRPO]) -> None:
    little = bandit()
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    method = held(kind(n=3, beta=BETA, scale_std=False), at)
    assert expected_gradient(method, little, best(little, cost, at), data=Data(cost_PA=cost)).largest > 1e-3


def test_costs_taken_for_rewards_miss_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    def added(reward: Floats, costs: list[Floats], weights: list[float]) -> Floats:
        return multipliers.mixed(reward, [-cost for cost in costs], weights)

    monkeypatch.setattr("accord.methods.constrained.mixed", added)
    little = bandit()
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    found = enumerated(held(PLAIN["grpo"], at), little, data=Data(cost_PA=cost), rounds=20).tables
    assert distance(little, found, best(little, cost, at)) > 0.05


class OwnBaseline(PPO):
    """The mean of the whole window is taken off a cost."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        if column == "score":
            return super().advantage(column, window, memory)
        whole = np.zeros(len(window.rows), dtype=np.int64)
        return centred(column_of(window, column), whole)[Spoken.of(window).row_T]


def test_an_answer_s_own_cost_in_its_baseline_moves_the_fixed_point_of_ppo() -> None:
    little = bandit()
    cost = costs_of(little)
    at = solved(little, cost, bound(little, cost))
    method = held(OwnBaseline(n=2, beta=BETA, whiten=False, lam=1.0), at)
    found = expected_gradient(method, little, valued(little, cost, at), data=Data(cost_PA=cost))
    assert found.largest > 1e-3


def test_a_limit_on_the_cost_is_no_limit_on_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """``probability`` that read the cost itself would find another multiplier for costs of 5."""
    monkeypatch.setattr(Constrained, "_seen", lambda self, window, cost_CR: window)
    little, eps = bandit(), SHARES.eps
    cost = 5 * violations(little)
    at = solved(little, violations(little), eps / 2)
    start = {"value": 0.8 * at, "integral": 0.8 * at, "error": 0.0, "costs": []}
    data = Data(cost_PA=cost, memory=cast(Any, {"multipliers": {"c": start}}))
    found = trained(SHARES, little, 0, Schedule(windows=60, together=8, lr=4.0), data)
    assert abs(mean_cost(little, found.tables, violations(little)) - eps / 2) > 0.03
