"""reinforce_pp against the optimum that can be written down, and against the published formula.

Optimum: with whitening off the expected gradient is descended from π_ref through the real ``batch`` and
``loss`` and must end at π* ∝ π_ref·exp(r/β). With whitening on π* must still be a fixed point, also where
prompts are worth different amounts: there A is not 0, but free of what was said.
Mutants that are put in and must miss: the sign, no ratio, β dropped, the penalty the wrong way round, its
mean for its sum, the first token alone penalised, only the last token taught, a mean over tokens for that
over answers, a score that is whitened apart from the penalty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from penalties import PENALTIES
from published import held_to, rewards
from torch import Tensor

from accord.maths.rollouts import Spoken
from accord.maths.tensor import clipped
from accord.methods.reinforce_pp import ReinforcePP, over_window
from accord.records.rows import Floats, Window
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


def exact(**told: Any) -> ReinforcePP:
    return ReinforcePP(**{"n": 2, "beta": BETA, "whiten": False, **told})


def gap(method: ReinforcePP, little: Little, **told: Any) -> float:
    """What is left to the optimum; the methods as they are need eight rounds."""
    return distance(little, enumerated(method, little, **told).tables, optimum(little, BETA))


def named(case: object) -> str:
    return f"{len(case.answers)} answers" if isinstance(case, Little) else str(case)


# The optimum


@pytest.mark.parametrize(
    ("little", "told"),
    [
        (bandit(), {}),
        (bandit(), {"n": 3}),
        (bandit(), {"baseline": "group"}),
        (bandit(), {"epochs": 2, "rows_per_step": 1}),
        (strings(bits=2), {"n": 3}),
        (strings(bits=2), {"baseline": "group", "epochs": 2, "rows_per_step": 1}),
        (strings(), {}),
        (strings(), {"baseline": "group"}),
    ],
    ids=named,
)
def test_enumerated_groups_reach_the_optimum(little: Little, told: dict[str, Any]) -> None:
    assert distance(little, little.start(), optimum(little, BETA)) > 0.1, "there is something to learn"
    assert gap(exact(**told), little) <= 1e-3


@pytest.mark.parametrize(
    ("little", "together"), [(bandit(), 2), (bandit(prompts=2), 1), (strings(bits=2), 2)], ids=named
)
def test_one_answer_to_each_prompt_is_enough(little: Little, together: int) -> None:
    """Its baseline are the answers to other prompts, or to the same one asked again."""
    assert gap(exact(n=1), little, together=together) <= 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_sampled_windows_reach_the_optimum(seed: int) -> None:
    little = bandit(seed=1)
    found = sampled(exact(n=1), little, seed, Schedule(windows=40, together=16, lr=6.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


def test_sampled_strings_reach_the_optimum_in_several_steps_a_window() -> None:
    """Minibatches and epochs, taken one after another as in a run."""
    little = strings()
    method = exact(n=4, baseline="group", rows_per_step=16, epochs=2)
    found = sampled(method, little, 0, Schedule(windows=120, together=8, lr=2.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


FIXED: list[tuple[Little, dict[str, Any]]] = [
    (bandit(), {}),
    (strings(), {}),
    (bandit(prompts=2), {}),
    (strings(bits=2, prompts=2), {"n": 1}),
    (strings(bits=2, prompts=2), {"n": 1, "rows_per_step": 1, "epochs": 2}),
    (strings(bits=2), {"baseline": "group"}),
    (bandit(prompts=2), {"baseline": "group", "rows_per_step": 2}),
]


@pytest.mark.parametrize(("little", "told"), FIXED, ids=named)
def test_the_optimum_is_a_fixed_point_with_whitening_on(little: Little, told: dict[str, Any]) -> None:
    method = exact(**{"whiten": True, **told})
    assert expected_gradient(method, little, optimum(little, BETA)).largest <= 1e-8
    assert expected_gradient(method, little, little.start()).largest > 1e-2


def test_where_prompts_are_worth_different_amounts_the_advantage_is_free_of_what_was_said() -> None:
    """One answer to each of two prompts at π*: r̃ = β log Z(x), so A = ±1/√2 whichever they were."""
    little = strings(bits=2, prompts=2)
    best, method = optimum(little, BETA), exact(n=1, whiten=True)
    logp, start = little.tokens_logp(best), little.tokens_logp(little.start())
    worth = little.values(BETA)[:, 0]
    assert abs(worth[0] - worth[1]) > 0.1
    for pair in [(0, 0), (1, 5), (6, 2)]:
        rows = tuple(
            replace(row, episodes=(little.episode(p, a),), columns={"score": float(little.reward_PA[p, a])})
            for p, (row, a) in enumerate(zip(a_window([[0.0], [0.0]]).rows, pair, strict=True))
        )
        sides = {"old_logp": logp, "ref_logp": start}
        measured = {name: tuple(of[p][a] for p, a in enumerate(pair)) for name, of in sides.items()}
        found = over_window(method.advantage("score", Window(0, rows, measured), {}))
        plain = (worth - worth.mean()) / (worth.std(ddof=1) + 1e-4)
        assert found == pytest.approx(plain, abs=1e-9)


# Mutants


class ByTokens(ReinforcePP):
    """The mean over answer tokens for that over answers."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        found, length = super().advantage(column, window, memory), Spoken.of(window).length_R
        return found - (found * length).sum() / length.sum()


class Apart(ReinforcePP):
    """The score over its deviation first, the penalty afterwards."""

    def advantage(self, column: str, window: Window, memory: Any) -> Floats:
        score = window.column(column)
        scaled = (score - score.mean()) / (score.std(ddof=1) + 1e-4)
        rows = tuple(
            replace(row, columns={column: float(x)}) for row, x in zip(window.rows, scaled, strict=True)
        )
        return super().advantage(column, replace(window, rows=rows), memory)


def test_a_mean_over_tokens_moves_the_optimum() -> None:
    """Where prompts are worth different amounts, by what the lengths of the answers have to do with it."""
    little = strings(bits=2, prompts=2)
    for whiten in (True, False):
        method = ByTokens(n=1, beta=BETA, whiten=whiten)
        assert expected_gradient(method, little, optimum(little, BETA)).largest > 1e-3


def test_whitening_the_score_apart_from_the_penalty_moves_the_optimum() -> None:
    little = strings(bits=2)
    method = Apart(n=2, beta=BETA, whiten=False)
    assert expected_gradient(method, little, optimum(little, BETA)).largest > 1e-2


POLICY: Callable[..., Tensor] = clipped.clipped_policy


def _no_ratio(now: Tensor, old: Tensor, advantage: Tensor, clip: clipped.Clip) -> Tensor:
    return -(advantage + 0 * now.detach())


MUTANTS: dict[str, tuple[str, Any]] = {
    "the sign": ("accord.maths.tensor.clipped.clipped_policy", lambda *x: -POLICY(*x)),
    "no ratio": (
        "accord.maths.tensor.clipped.clipped_policy",
        _no_ratio,
    ),
    **PENALTIES,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_the_optimum(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    assert gap(exact(), strings(bits=2), rounds=8) > 0.03


class LastToken(ReinforcePP):
    """Teaches the end of each answer only."""

    def taught(self, window: Window, advantage: Floats, rng: Any) -> Any:
        batch = super().taught(window, advantage, rng)
        last = np.zeros(int(batch.lengths_S().sum()))
        last[np.cumsum(batch.lengths_S()) - 1] = 1
        return replace(batch, tokens={**batch.tokens, "advantage": batch.tokens["advantage"] * last})


def test_teaching_the_last_token_alone_misses_the_optimum() -> None:
    assert gap(LastToken(n=2, beta=BETA, whiten=False), strings(bits=2), rounds=8) > 0.03


# The published formula


def published(method: ReinforcePP, now: Tensor, old: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
    """Padded [rows, tokens]: the group's mean off or not, the window's mean and deviation, PPO's clip."""
    worth = rewards(method.beta, old, ref, mask)
    if method.baseline == "group":
        grouped = worth.view(-1, method.n)
        worth = (grouped - grouped.mean(dim=1, keepdim=True)).flatten()
    scale = worth.std() + 1e-4 if method.whiten else 1.0
    advantages = ((worth - worth.mean()) / scale)[:, None]
    ratio = torch.exp(now - old)
    held = torch.clamp(ratio, 1 - method.clip, 1 + (method.clip_high or method.clip))
    return -(torch.min(ratio * advantages, held * advantages) * mask).sum() / mask.sum()


@pytest.mark.parametrize(
    "told",
    [{}, {"baseline": "group"}, {"whiten": False, "clip_high": 0.28}, {"beta": 0.0, "clip": 0.1}],
    ids=str,
)
def test_loss_and_gradient_are_those_of_the_published_formula(told: dict[str, Any]) -> None:
    method = ReinforcePP(**{"n": 3, "beta": 0.1, "epochs": 2, **told})
    totals = held_to(method, lambda *known: published(method, *known))
    assert 0 < totals["clipped"] < 18, "the clip is put to the test"
