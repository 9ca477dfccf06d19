"""grpo against the optimum that can be written down, and against the published formula of TRL's trainer.

Optimum: the expected gradient is descended from π_ref through the real ``batch`` and ``loss`` and must end at
π* ∝ π_ref·exp(r/β); at π* it must vanish with scaling on. Mutants that are put in and must miss it: the sign,
β dropped, the penalty the wrong way round, its mean for its sum, the first token alone penalised, rewards
scaled apart from the penalty, the last token alone taught, a loss without a ratio, k3 without ρ, k1 in the
loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from penalties import PENALTIES
from published import SCORES, held_to, whole
from torch import Tensor

from accord.maths import advantages
from accord.maths.tensor import clipped
from accord.methods.grpo import GRPO
from accord.records.rows import Window
from accord.testing import (
    Little,
    Schedule,
    a_window,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    optimum,
    sampled,
    strings,
)

BETA = 0.5


def exact(**told: Any) -> GRPO:
    return GRPO(**{"n": 2, "beta": BETA, "scale_std": False, **told})


def gap(method: GRPO, little: Little, **told: Any) -> float:
    return distance(little, enumerated(method, little, **told).tables, optimum(little, BETA))


# The optimum


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"n": 3},
        {"per": "sequence"},
        {"per": "max_tokens", "max_tokens": 4},
        {"epochs": 2, "rows_per_step": 1},
        {"clip_high": 0.28},
    ],
    ids=str,
)
@pytest.mark.parametrize("world", [bandit, strings], ids=["bandit", "strings"])
def test_enumerated_groups_reach_the_optimum(world: Callable[[], Little], told: dict[str, Any]) -> None:
    little = world()
    assert distance(little, little.start(), optimum(little, BETA)) > 0.2, "there is something to learn"
    assert gap(exact(**told), little) <= 1e-3


def test_all_165_groups_of_8_reach_the_optimum_of_the_bandit() -> None:
    assert gap(exact(n=8), bandit()) <= 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_sampled_windows_reach_the_optimum(seed: int) -> None:
    little = bandit(seed=1)
    found = sampled(exact(n=4), little, seed, Schedule(windows=150, together=8, lr=4.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


def test_sampled_strings_reach_the_optimum_in_several_steps_a_window() -> None:
    """Minibatches and epochs, taken one after another as in a run."""
    little = strings()
    method = exact(n=4, rows_per_step=16, epochs=2)
    found = sampled(method, little, 0, Schedule(windows=120, together=8, lr=4.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


@pytest.mark.parametrize(
    ("little", "n"),
    [(bandit(), 2), (bandit(), 3), (bandit(prompts=2), 2), (strings(), 2)],
    ids=["bandit 2", "bandit 3", "two prompts", "strings 2"],
)
@pytest.mark.parametrize("told", [{}, {"per": "sequence"}, {"rows_per_step": 1, "epochs": 2}], ids=str)
def test_the_optimum_is_a_fixed_point_with_scaling_on(little: Little, n: int, told: dict[str, Any]) -> None:
    method = exact(n=n, scale_std=True, **told)
    assert expected_gradient(method, little, optimum(little, BETA)).largest <= 1e-8
    assert expected_gradient(method, little, little.start()).largest > 1e-2


# KL in the loss: what the table of the documentation says of it


@pytest.mark.parametrize("several", [{}, {"rows_per_step": 2}], ids=["k2", "k3 times ratio"])
@pytest.mark.parametrize("n", [2, 3])
def test_a_kl_in_the_loss_reaches_the_tempered_optimum_of_a_bandit(n: int, several: dict[str, Any]) -> None:
    little = bandit()
    found = enumerated(exact(n=n, kl="loss", **several), little).tables
    share = little.shares(little.start()) * np.exp((1 - 1 / n) * little.reward_PA / BETA)
    assert distance(little, found, little.tables(share / share.sum())) <= 1e-3


@pytest.mark.parametrize("several", [{}, {"rows_per_step": 2}], ids=["k2", "k3 times ratio"])
def test_a_kl_in_the_loss_reaches_on_strings_what_each_decision_alone_would(several: dict[str, Any]) -> None:
    """π(a|x) ∝ π_ref(a|x)·exp((1 − 1/G)·Q_r(x, a)/β), Q_r the value of the reward alone under π itself."""
    little = strings()
    found = enumerated(exact(kl="loss", **several), little).tables
    share = little.shares(found)
    with np.errstate(invalid="ignore"):
        q = np.nan_to_num(little.mass(share * little.reward_PA) / little.mass(share))
    wanted = np.exp(little.reference_PCV + 0.5 * q / BETA)
    wanted /= wanted.sum(axis=2, keepdims=True)
    assert np.exp(little.logp_PCV(found)) == pytest.approx(wanted, abs=1e-3)
    assert distance(little, found, optimum(little, BETA)) > 0.02, "which is not the optimum of the reward"


# Mutants of the optimum


def _no_ratio(logp: Tensor, old: Tensor, advantage: Tensor, clip: clipped.Clip) -> Tensor:
    return -(advantage + 0 * logp.detach())


REAL = clipped.clipped_policy

MUTANTS: dict[str, tuple[str, Any]] = {
    "the sign": ("accord.maths.tensor.clipped.clipped_policy", lambda *x: -REAL(*x)),
    "no ratio": ("accord.maths.tensor.clipped.clipped_policy", _no_ratio),
    **PENALTIES,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_the_optimum(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    little = strings()
    assert gap(exact(), little, rounds=20) > 0.05


class ScaledApart(GRPO):
    """Scores over their spread first, the penalty afterwards."""

    def advantage(self, column: str, window: Window, memory: Any) -> Any:
        group = np.array([row.group for row in window.rows])
        score = advantages.over_spread(advantages.centred(window.column(column), group), group)
        rows = tuple(
            replace(row, columns={column: float(x)}) for row, x in zip(window.rows, score, strict=True)
        )
        return super().advantage(column, replace(window, rows=rows), memory)


class LastToken(GRPO):
    """Teaches the end of each answer only."""

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        last = np.zeros(int(batch.lengths_S().sum()))
        last[np.cumsum(batch.lengths_S()) - 1] = 1
        told = {**batch.tokens, "weight": batch.tokens["weight"] * last}
        return replace(batch, tokens=told), memory


def test_scaling_apart_from_the_penalty_moves_the_optimum() -> None:
    little = strings()
    method = ScaledApart(n=2, beta=BETA, scale_std=False)
    assert expected_gradient(method, little, optimum(little, BETA)).largest > 1e-2


def test_teaching_the_last_token_alone_misses_the_optimum() -> None:
    assert gap(LastToken(n=2, beta=BETA, scale_std=False), strings(), rounds=20) > 0.05


@pytest.mark.parametrize(
    "instead",
    [lambda logp, ref: clipped.k3(logp, ref), lambda logp, ref: logp - ref],
    ids=["k3 without ratio", "k1"],
)
def test_other_terms_in_the_loss_miss_the_tempered_optimum(
    instead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipped, "k2", instead)
    little = bandit(seed=1)
    found = enumerated(exact(kl="loss"), little, rounds=60).tables
    share = little.shares(little.start()) * np.exp(0.5 * little.reward_PA / BETA)
    assert distance(little, found, little.tables(share / share.sum())) > 0.02


# TRL's formula


def trl(method: GRPO, now: Tensor, old: Tensor, ref: Tensor, mask: Tensor, size: int) -> Tensor:
    """As published: padded [rows, tokens], sample deviation, sums over a mask; k3 weighted by the ratio."""
    rewards = torch.tensor(SCORES, dtype=torch.float64)
    mean, std = rewards.mean(dim=1, keepdim=True), rewards.std(dim=1, keepdim=True)
    advantages = ((rewards - mean) / (std + 1e-4 if method.scale_std else 1)).flatten()[:, None]
    coef_1 = torch.exp(now - old)
    coef_2 = torch.clamp(coef_1, 1 - method.clip, 1 + (method.clip_high or method.clip))
    per_token = -torch.min(coef_1 * advantages, coef_2 * advantages)
    if method.kl == "loss" and method.beta:
        per_token = per_token + method.beta * coef_1 * (torch.exp(ref - now) - (ref - now) - 1)
    if method.per == "sequence":
        return ((per_token * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
    if method.per == "max_tokens":
        return (per_token * mask).sum() / (per_token.size(0) * size)
    return (per_token * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "told",
    [
        {"beta": 0.0},
        {"beta": 0.0, "per": "sequence", "clip_high": 0.28},
        {"beta": 0.0, "per": "max_tokens", "max_tokens": 7, "scale_std": False},
        {"beta": 0.1, "kl": "loss"},
        {"beta": 0.1, "kl": "loss", "per": "sequence"},
    ],
    ids=str,
)
def test_loss_and_gradient_are_those_of_the_published_formula(told: dict[str, Any]) -> None:
    method = GRPO(n=3, epochs=2, **told)
    totals = held_to(method, lambda *known: trl(method, *known, size=7))
    assert totals["clipped"] > 0, "the clip is put to the test"


def test_the_published_formula_by_hand() -> None:
    """Two answers of 1 and 2 tokens scored 1 and 0: A = ±½/(√½ + 1e-4); loss = −(A − 2A)/3 = A/3 = .23567."""
    method = GRPO(n=2, beta=0.0)
    batch, _ = method.batch(a_window([[1.0, 0.0]]), {}, np.random.default_rng(0))
    objective, found = whole(method, batch, np.full(3, -0.3))
    assert objective == pytest.approx(0.23567, abs=5e-6)
    assert found.pressure_T == pytest.approx(np.array([-1, 1, 1]) * 0.70701 / 3, abs=5e-6)
