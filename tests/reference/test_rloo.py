"""rloo against what can be written down: the optimum, the gradient of the objective, TRL's published formula.

Optimum: the expected gradient is descended from π_ref through the real ``batch`` and ``loss`` and must end at
π* ∝ π_ref·exp(r/β), where it must vanish. Gradient: it must *be* that of E[r] − β·KL(π‖π_ref), found by other
means, at any policy; after the policy has moved, that of the importance-weighted objective.
Mutants that are put in and must miss: the sign, no ratio, β dropped, the penalty the wrong way round, its
mean for its sum, the first token alone penalised, an answer that stands in its own baseline, tokens for rows
in the count, a ratio of each token, the mean over tokens for their product, k3 without ρ and k1 in the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from penalties import PENALTIES
from published import held_to, rewards
from torch import Tensor

from accord.maths.advantages import centred
from accord.maths.tensor import clipped
from accord.maths.tensor.likelihood import as_column, per_sequence
from accord.methods import rloo
from accord.methods.rloo import RLOO
from accord.records.rows import Batch, Floats, Row, Window
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


def exact(**told: Any) -> RLOO:
    return RLOO(**{"n": 2, "beta": BETA, **told})


def gap(method: RLOO, little: Little, **told: Any) -> float:
    """What is left to the optimum; the methods as they are need eight rounds."""
    return distance(little, enumerated(method, little, **told).tables, optimum(little, BETA))


def moved(little: Little, seed: int) -> Tables:
    """A policy that is neither π_ref nor the optimum."""
    away = np.random.default_rng(seed).normal(scale=0.5, size=little.reference_PCV.shape)
    return little.start()._replace(logits_PCV=little.reference_PCV + away)


def named(case: object) -> str:
    return f"{len(case.answers)} answers" if isinstance(case, Little) else str(case)


# The optimum


@pytest.mark.parametrize(
    ("little", "told"),
    [
        (bandit(), {}),
        (bandit(), {"n": 3}),
        (bandit(), {"clip": 0.2}),
        (bandit(), {"epochs": 2, "rows_per_step": 1}),
        (strings(bits=2), {"n": 3}),
        (strings(bits=2), {"epochs": 2, "rows_per_step": 1}),
        (strings(), {}),
    ],
    ids=named,
)
def test_enumerated_groups_reach_the_optimum(little: Little, told: dict[str, Any]) -> None:
    assert distance(little, little.start(), optimum(little, BETA)) > 0.1, "there is something to learn"
    assert gap(exact(**told), little) <= 1e-3


@pytest.mark.parametrize("seed", range(10))
def test_sampled_windows_reach_the_optimum(seed: int) -> None:
    little = bandit(seed=1)
    found = sampled(exact(n=4), little, seed, Schedule(windows=40, together=4, lr=8.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


def test_sampled_strings_reach_the_optimum_in_several_steps_a_window() -> None:
    """Minibatches and epochs, taken one after another as in a run, by the ratio of whole answers."""
    little = strings()
    method = exact(n=4, rows_per_step=16, epochs=2)
    found = sampled(method, little, 0, Schedule(windows=100, together=8, lr=0.75))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


@pytest.mark.parametrize(
    ("little", "n"),
    [(bandit(), 2), (bandit(), 3), (bandit(prompts=2), 2), (strings(), 2)],
    ids=["bandit 2", "bandit 3", "two prompts", "strings 2"],
)
@pytest.mark.parametrize("told", [{}, {"rows_per_step": 1, "epochs": 2}], ids=str)
def test_the_optimum_is_a_fixed_point(little: Little, n: int, told: dict[str, Any]) -> None:
    """r̃ = β log Z(x) for every answer: what is left of A is rounding."""
    method = exact(n=n, **told)
    assert expected_gradient(method, little, optimum(little, BETA)).largest <= 1e-12
    assert expected_gradient(method, little, little.start()).largest > 1e-2


# The gradient


@pytest.fixture
def nothing_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a window is one group of each prompt; if all its answers are equal it has no step, and no count
    would be taken of it. A window of a run holds many groups, and counts the equal ones."""
    monkeypatch.setattr(rloo, "alike", lambda value, group: np.zeros(len(value), dtype=np.bool_))


def slope_of_the_objective(little: Little, at: Tables) -> Floats:
    """−∂(E[r] − β·KL(π‖π_ref))/∂logits, a mean over prompts, by automatic differentiation of the sums."""
    logits = torch.tensor(at.logits_PCV, requires_grad=True)
    logp = torch.log_softmax(logits, dim=-1)
    start = little.tokens_logp(little.start())
    total = torch.zeros((), dtype=torch.float64)
    for p, a in product(range(little.prompts), range(len(little.answers))):
        context, token = (torch.tensor(x) for x in little.places[a])
        said = logp[p, context, token].sum()
        gained = said - float(start[p][a].sum())
        total = total + said.exp() * (float(little.reward_PA[p, a]) - BETA * gained)
    (slope,) = torch.autograd.grad(-total / little.prompts, logits)
    return slope.numpy()


@pytest.mark.usefixtures("nothing_skipped")
@pytest.mark.parametrize("told", [{}, {"n": 3}, {"rows_per_step": 1, "epochs": 2}], ids=str)
@pytest.mark.parametrize("little", [bandit(prompts=2), strings(bits=2)], ids=["bandits", "7 strings"])
def test_the_expected_gradient_is_that_of_the_objective(little: Little, told: dict[str, Any]) -> None:
    """No bias at any n, at any policy."""
    method = exact(**told)
    at = moved(little, 3)
    found = expected_gradient(method, little, at).logits_PCV
    assert found == pytest.approx(slope_of_the_objective(little, at), abs=1e-12)
    assert np.abs(found).max() > 1e-2


@pytest.mark.usefixtures("nothing_skipped")
@pytest.mark.parametrize("n", [2, 3])
def test_an_answer_in_its_own_baseline_shrinks_the_gradient(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    little = bandit()
    at = moved(little, 3)
    monkeypatch.setattr(rloo, "left_out", centred)
    found = expected_gradient(exact(n=n), little, at).logits_PCV
    assert found == pytest.approx((1 - 1 / n) * slope_of_the_objective(little, at), abs=1e-12)


@pytest.mark.usefixtures("nothing_skipped")
def test_a_count_of_tokens_is_another_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    little = strings(bits=2)
    monkeypatch.setattr(RLOO, "_counts", lambda self, rows, tokens: {"policy": float(tokens)})
    found = expected_gradient(exact(), little, moved(little, 3)).logits_PCV
    assert np.abs(found - slope_of_the_objective(little, moved(little, 3))).max() > 1e-3


def expected_pressure(method: RLOO, little: Little, old: Tables, now: Tables) -> list[Floats]:
    """E over pairs of answers of π_old of ∂objective/∂log π, by answer and token, once π has moved on."""
    share, was, reference = (
        little.shares(old)[0],
        little.tokens_logp(old)[0],
        little.tokens_logp(little.start())[0],
    )
    at = little.tokens_logp(now)[0]
    found = [np.zeros(len(answer)) for answer in little.answers]
    for pair in product(range(len(little.answers)), repeat=2):
        rows = [
            Row((little.episode(0, a, k),), {"score": float(little.reward_PA[0, a])})
            for k, a in enumerate(pair)
        ]
        measured = {"old_logp": tuple(was[a] for a in pair), "ref_logp": tuple(reference[a] for a in pair)}
        batch, _ = method.batch(Window(0, tuple(rows), measured), {}, np.random.default_rng(0))
        if not batch.steps:
            continue
        said = [little.known[s.tokens][1] for s in batch.sequences]
        scale = {name: batch.weights[name] / count for name, count in batch.counts[0].items()}
        slope = evaluate(method.loss, batch, np.concatenate([at[a] for a in said]), scale, "torch").pressure_T
        for a, piece in zip(said, np.split(slope, np.cumsum(batch.lengths_S())[:-1]), strict=True):
            found[a] += share[pair[0]] * share[pair[1]] * piece
    return found


def wanted_pressure(little: Little, old: Tables, now: Tables) -> list[Floats]:
    """−π(y)·(r̃(y) − E r̃) on every token of y: that of Σ π(y)·(r̃(y) − E r̃), r̃ as π_old had it."""
    gained = [
        a.sum() - b.sum()
        for a, b in zip(*(little.tokens_logp(t)[0] for t in (old, little.start())), strict=True)
    ]
    value = little.reward_PA[0] - BETA * np.array(gained)
    mean = float(little.shares(old)[0] @ value)
    return [
        np.full(len(answer), -share * (v - mean))
        for answer, share, v in zip(little.answers, little.shares(now)[0], value, strict=True)
    ]


def test_once_the_policy_has_moved_the_ratio_is_that_of_the_whole_answer() -> None:
    little = strings(bits=2)
    old, now = moved(little, 3), moved(little, 4)
    found = expected_pressure(exact(epochs=2), little, old, now)
    assert np.concatenate(found) == pytest.approx(
        np.concatenate(wanted_pressure(little, old, now)), abs=1e-12
    )


class ByToken(RLOO):
    """A ratio of each token for that of the answer."""

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Tensor]:
        old = as_column(batch.tokens["old_logp"], out.logp_T)
        advantage = as_column(batch.rows["advantage"], out.logp_T)[
            torch.as_tensor(batch.row_S)[out.sequence_T]
        ]
        return {"policy": -(torch.exp(out.logp_T - old) * advantage).sum()}


class ByMean(RLOO):
    """The mean over tokens for their product."""

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Tensor]:
        old = as_column(batch.tokens["old_logp"], out.logp_T)
        lengths = torch.as_tensor(batch.lengths_S())
        gain = per_sequence(out.logp_T - old, out.sequence_T, len(lengths)) / lengths
        return {"policy": rloo.row_costs(gain, as_column(batch.rows["advantage"], out.logp_T), None).sum()}


@pytest.mark.parametrize("mutant", [ByToken, ByMean])
def test_another_ratio_is_another_gradient(mutant: type[RLOO]) -> None:
    little = strings(bits=2)
    old, now = moved(little, 3), moved(little, 4)
    found = np.concatenate(expected_pressure(mutant(n=2, beta=BETA, epochs=2), little, old, now))
    assert np.abs(found - np.concatenate(wanted_pressure(little, old, now))).max() > 1e-2


# KL in the loss: what the table of the documentation says of it


@pytest.mark.parametrize("several", [{}, {"rows_per_step": 2}], ids=["k2", "k3 times ratio"])
@pytest.mark.parametrize("n", [2, 3])
def test_a_kl_in_the_loss_reaches_the_optimum_of_a_bandit(n: int, several: dict[str, Any]) -> None:
    """At full strength, at any n: the baseline takes no share of the reward away."""
    assert gap(exact(n=n, kl="loss", **several), bandit()) <= 1e-3


@pytest.mark.parametrize("several", [{}, {"rows_per_step": 2}], ids=["k2", "k3 times ratio"])
def test_a_kl_in_the_loss_reaches_on_strings_what_each_decision_alone_would(several: dict[str, Any]) -> None:
    """π(a|x) ∝ π_ref(a|x)·exp(Q_r(x, a)/β), Q_r the value of the reward alone under π itself."""
    little = strings(bits=2)
    found = enumerated(exact(kl="loss", **several), little).tables
    share = little.shares(found)
    with np.errstate(invalid="ignore"):
        q = np.nan_to_num(little.mass(share * little.reward_PA) / little.mass(share))
    wanted = np.exp(little.reference_PCV + q / BETA)
    wanted /= wanted.sum(axis=2, keepdims=True)
    assert np.exp(little.logp_PCV(found)) == pytest.approx(wanted, abs=1e-3)
    assert distance(little, found, optimum(little, BETA)) > 0.02, "which is not the optimum of the reward"


@pytest.mark.parametrize(
    "instead",
    [lambda logp, ref: clipped.k3(logp, ref), lambda logp, ref: logp - ref],
    ids=["k3 without ratio", "k1"],
)
def test_other_terms_in_the_loss_miss_it(instead: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clipped, "k2", instead)
    assert gap(exact(kl="loss"), bandit(seed=1), rounds=20) > 0.02


# Mutants of the optimum


COSTS: Callable[..., Tensor] = rloo.row_costs


def _no_ratio(gain: Tensor, advantage: Tensor, clip: float | None) -> Tensor:
    return -(advantage + 0 * gain.detach())


MUTANTS: dict[str, tuple[str, Any]] = {
    "the sign": ("accord.methods.rloo.row_costs", lambda *x: -COSTS(*x)),
    "no ratio": (
        "accord.methods.rloo.row_costs",
        _no_ratio,
    ),
    **PENALTIES,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_the_optimum(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*MUTANTS[mutant])
    assert gap(exact(), strings(bits=2), rounds=8) > 0.03


# TRL's formula


def trl(method: RLOO, now: Tensor, old: Tensor, ref: Tensor, mask: Tensor) -> Tensor:
    """As published: padded [rows, tokens], sums over a mask, the mean of the others, one ratio per answer."""
    worth = rewards(method.beta, old, ref, mask)
    grouped = worth.view(-1, method.n)
    baselines = (grouped.sum(dim=1, keepdim=True) - grouped) / (method.n - 1)
    advantages = worth - baselines.flatten()
    whole = torch.exp(((now - old) * mask).sum(1))
    held = whole if method.clip is None else torch.clamp(whole, 1 - method.clip, 1 + method.clip)
    return -torch.min(whole * advantages, held * advantages).mean()


@pytest.mark.parametrize("told", [{"clip": 0.2}, {"clip": 0.2, "beta": 0.0}, {}], ids=str)
def test_loss_and_gradient_are_those_of_the_published_formula(told: dict[str, Any]) -> None:
    method = RLOO(**{"n": 3, "beta": 0.1, "epochs": 2, **told})
    totals = held_to(method, lambda *known: trl(method, *known))
    if method.clip is not None:
        assert 0 < totals["clipped"] < 9, "the clip is put to the test"
