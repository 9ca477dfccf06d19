"""online_dpo reaches π* ∝ π_ref·exp(r/β) on pairs of the policy's own answers, by enumeration.

Answers are drawn from the policy as it then is, so where pairs come from moves with what is learnt; each pair
alone is at rest at π*. Labels: Bradley–Terry of comparisons (shares, or 0 and 1 as often as they say), or of
scores with ``soft``. Mutants that must miss it: the sign, β dropped, the reference dropped, means over tokens
for sums, what was measured left behind with rows that make no pair, a soft label of the whole difference
doubled, labels that are always sure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from accord.maths.tensor import preference
from accord.methods import online_dpo
from accord.methods.online_dpo import OnlineDPO
from accord.ports import Shape
from accord.records.rows import Floats, Window
from accord.testing import (
    Data,
    Little,
    Schedule,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    optimum,
    sampled,
    strings,
)

BETA = 0.5


class Scored(OnlineDPO):
    """What an ask of single answers hands it: groups of n answers, each with its score."""

    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n, "policy")


def compared(**told: Any) -> OnlineDPO:
    return OnlineDPO(**{"beta": BETA, **told})


def scored(**told: Any) -> Scored:
    return Scored(**{"beta": BETA, "soft": True, **told})


def gap(method: OnlineDPO, little: Little, **told: Any) -> float:
    return distance(little, enumerated(method, little, **told).tables, optimum(little, BETA))


@pytest.mark.parametrize("hard", [False, True])
def test_compared_answers_reach_the_optimum_of_the_bandit(hard: bool) -> None:
    for little in (bandit(), bandit(1, arms=3, prompts=2)):
        assert distance(little, little.start(), optimum(little, BETA)) > 0.05, "it was not there already"
        assert gap(compared(), little, data=Data(hard=hard)) <= 1e-3


def test_compared_answers_reach_the_optimum_of_the_strings() -> None:
    assert gap(compared(), strings()) <= 1e-3


@pytest.mark.parametrize(
    ("little", "told"),
    [
        (bandit(), {"n": 2}),
        (bandit(), {"n": 4}),
        (bandit(), {"n": 2, "epochs": 2, "rows_per_step": 1}),
        (bandit(1, arms=3, prompts=2), {"n": 2}),
        (strings(bits=2), {"n": 2}),
        (strings(bits=1), {"n": 4}),
    ],
    ids=["bandit", "best and worst of 4", "steps", "two prompts", "strings", "strings, of 4"],
)
def test_scored_answers_reach_the_optimum_by_soft_labels(little: Little, told: dict[str, Any]) -> None:
    assert gap(scored(**told), little) <= 1e-3


@pytest.mark.parametrize("little", [bandit(), strings()], ids=["bandit", "strings"])
def test_the_optimum_is_where_it_has_nothing_more_to_teach(little: Little) -> None:
    best = optimum(little, BETA)
    for method, data in ((compared(), Data()), (compared(), Data(hard=True)), (scored(), Data())):
        assert expected_gradient(method, little, best, data=data).largest <= 1e-8
        assert expected_gradient(method, little, little.start(), data=data).largest >= 1e-2
    assert expected_gradient(compared(beta=0.4), little, best).largest >= 1e-3


def test_pairs_are_drawn_from_the_policy_as_it_is() -> None:
    """By hand, two arms: 2·π(a)π(b)·β(σ(βh) − σ(Δr)) over how often there is a pair, 2·π(a)π(b)."""
    little = bandit(arms=2)
    tables = little.tables(np.array([[0.9, 0.1]]))
    (logits,) = expected_gradient(compared(), little, tables).logits_PCV[0]
    start, reward = little.shares(little.start())[0], little.reward_PA[0]
    h = np.log(0.9 / 0.1) - np.log(start[0] / start[1])
    wanted = BETA * (1 / (1 + np.exp(-BETA * h)) - 1 / (1 + np.exp(reward[1] - reward[0])))
    assert logits == pytest.approx([wanted, -wanted])
    # With three arms the weights of the pairs tell: a pair that the policy hardly says hardly counts.
    little = bandit(arms=3)
    rare = little.tables(np.array([[0.4995, 0.4995, 0.001]]))
    ours = expected_gradient(compared(), little, rare).logits_PCV[0, 0]
    given = Data(shares_PA=np.full((1, 3), 1 / 3))
    offline = expected_gradient(compared(), little, rare, data=given).logits_PCV[0, 0]
    assert abs(ours[2]) < 0.02 * abs(offline[2])


@pytest.mark.parametrize("seed", range(10))
def test_sampled_windows_reach_the_optimum(seed: int) -> None:
    little = bandit(seed=1)
    method = scored(n=4, rows_per_step=8)
    found = sampled(method, little, seed, Schedule(windows=50, together=8, lr=8.0))
    assert distance(little, found, optimum(little, BETA)) <= 0.02


def test_labels_that_are_always_sure_have_no_finite_optimum() -> None:
    """Scores of a program, taken by their order alone: the best arm takes all."""
    little = bandit()
    sure = scored(soft=False)
    best = int(little.reward_PA[0].argmax())
    some, more = (enumerated(sure, little, rounds=rounds) for rounds in (10, 40))
    share = [little.shares(found.tables)[0, best] for found in (some, more)]
    assert share[0] < share[1]
    assert share[1] > 0.99 > little.shares(optimum(little, BETA))[0, best]


# Mutants


def _sign(h_R: Tensor, p_R: Tensor, beta: float) -> Tensor:
    return REAL(-h_R, p_R, beta)


def _no_beta(h_R: Tensor, p_R: Tensor, beta: float) -> Tensor:
    return REAL(h_R, p_R, 1.0)


def _no_reference(logp_T: Tensor, ref_T: Tensor, answer_T: Tensor, rows: int) -> Tensor:
    return GAINS(logp_T, 0 * ref_T, answer_T, rows)


def _means(logp_T: Tensor, ref_T: Tensor, answer_T: Tensor, rows: int) -> Tensor:
    length = torch.bincount(answer_T, minlength=2 * rows).reshape(rows, 2)
    return GAINS(logp_T, ref_T, answer_T, rows) / length


REAL, GAINS = preference.dpo, preference.gains_RA

MUTANTS = {
    "the sign": ("dpo", _sign),
    "no β": ("dpo", _no_beta),
    "no reference": ("gains_RA", _no_reference),
    "means over tokens": ("gains_RA", _means),
}


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.parametrize("method", [compared(), scored()], ids=["compared", "scored"])
def test_a_mutant_misses_the_optimum(mutant: str, method: OnlineDPO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preference, *MUTANTS[mutant])
    assert gap(method, strings(bits=2), rounds=40) > 0.03


def test_measured_columns_left_in_the_order_of_the_window_miss_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst first: the pair is turned, but what was measured of it is not."""
    found = online_dpo.paired

    class LeftBehind(Scored):
        def _of_scores(self, window: Window) -> Any:
            pairs, told = super()._of_scores(window)
            rows = found(window.column("score"), np.array([row.group for row in window.rows]))
            kept = sorted(rows.ravel().tolist())
            column = window.measured["ref_logp"]
            lengths = [sum(s.answer) for row in pairs.rows for e in row.episodes for s in e.sequences()]
            left = [np.resize(column[s], size) for s, size in zip(kept, lengths, strict=True)]
            return Window(pairs.index, pairs.rows, {"ref_logp": tuple(left)}), told

    assert gap(LeftBehind(beta=BETA, soft=True), bandit(), rounds=40) > 0.03


def test_a_label_of_twice_the_difference_misses_it() -> None:
    little = bandit()
    doubled = Data(preference_PAA=_odds(2 * little.reward_PA))
    assert gap(compared(), little, data=doubled) > 0.03


def _odds(reward_PA: Floats) -> Floats:
    return 1 / (1 + np.exp(reward_PA[:, None, :] - reward_PA[:, :, None]))
