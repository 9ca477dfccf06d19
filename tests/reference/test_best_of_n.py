"""best_of_n over rounds: what one exact round reaches, what several reach, and what stays as it is.

A round is a window: its answers are drawn from the policy as it stood when the round began, and learnt until
there is nothing more to learn. Mutants: the worst for the best, n − 1 draws, a round that goes on drawing
from the policy it moves (its fixed points are single answers), > for ≥ at the threshold.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accord.maths.divergences import best_of_n_bound
from accord.methods import best_of_n
from accord.methods.best_of_n import BestOfN
from accord.records.rows import Floats
from accord.testing import Data, Little, Tables, bandit, distance, enumerated, expected_gradient, strings


def round_of(method: BestOfN, little: Little, tables: Tables, **told: Any) -> Tables:
    """Answers of this policy, learnt to the end."""
    return enumerated(method, little, data=Data(shares_PA=little.shares(tables)), **told).tables


def best_of(little: Little, share: Floats, n: float) -> Floats:
    """F(y)ⁿ − F(y⁻)ⁿ, F the distribution of the score under these shares; no two scores are equal."""
    order = np.argsort(little.reward_PA[0])
    upto = np.cumsum(share[order])
    found = np.zeros(len(share))
    found[order] = np.diff(upto**n, prepend=0.0)
    return found


@pytest.mark.parametrize(("little", "n"), [(bandit(), 2), (bandit(arms=3), 3), (strings(bits=1), 2)])
def test_an_exact_round_reaches_the_law_of_the_best_and_a_second_one_its_composition(
    little: Little, n: int
) -> None:
    """Two rounds of the best of n are one round of the best of n²."""
    method, start = BestOfN(n=n), little.start()
    share = little.shares(start)[0]
    once = round_of(method, little, start)
    twice = round_of(method, little, once)
    assert distance(little, once, little.tables(best_of(little, share, n)[None])) <= 1e-3
    assert distance(little, twice, little.tables(best_of(little, share, n**2)[None])) <= 1e-3
    kl = [float((p * np.log(p / share)).sum()) for p in (little.shares(t)[0] for t in (once, twice))]
    assert kl[0] <= best_of_n_bound(n) + 1e-3
    assert kl[1] <= best_of_n_bound(n**2) + 1e-3
    assert kl[0] + 0.05 < kl[1], "each round goes on"


def test_the_best_form_tends_to_the_single_best_answer() -> None:
    """2ᵏ draws after k rounds: the mass of the best arm is 1 − (1 − p)^(2ᵏ)."""
    little, method = bandit(arms=3), BestOfN(n=2)
    best, tables = int(little.reward_PA[0].argmax()), little.start()
    p = float(little.shares(tables)[0, best])
    for k in range(1, 5):
        tables = round_of(method, little, tables, rounds=40)
        assert little.shares(tables)[0, best] == pytest.approx(1 - (1 - p) ** 2**k, abs=2e-3)
    assert little.shares(tables)[0, best] > 0.99


def accepting(little: Little) -> tuple[BestOfN, Floats]:
    """The threshold form that accepts the upper half of the answers, and π_ref conditioned on these."""
    threshold = float(np.quantile(little.reward_PA, 0.5, method="higher"))
    inside = little.shares(little.start()) * (little.reward_PA >= threshold)
    return BestOfN(n=2, threshold=threshold), inside / inside.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("little", [bandit(), strings(bits=2)], ids=["bandit", "strings"])
def test_the_threshold_form_stays_at_the_reference_on_what_is_accepted(little: Little) -> None:
    """After one round, after any further one, and where every window samples the policy as it then is."""
    method, wanted = accepting(little)
    assert 0 < (wanted > 0).sum() < wanted.size
    trace = 1e-9  # of what is not accepted, so that all odds are finite
    goal = little.tables((1 - trace) * wanted + trace * little.shares(little.start()))
    once = round_of(method, little, little.start(), rounds=40)
    assert distance(little, once, goal) <= 1e-3
    moving = enumerated(method, little, rounds=40).tables
    assert distance(little, moving, goal) <= 1e-3
    further = expected_gradient(method, little, goal)
    assert further.largest <= 10 * trace, "answers of the goal itself teach nothing new"
    kl = float((wanted[wanted > 0] * np.log((wanted / little.shares(little.start()))[wanted > 0])).sum())
    accepted = float(little.shares(little.start())[wanted > 0].sum())
    assert kl == pytest.approx(-math.log(accepted)), "the least KL of any policy inside the accepted set"


def test_the_best_form_does_not_stay_there() -> None:
    little = bandit()
    goal = little.tables(accepting(little)[1])
    assert expected_gradient(BestOfN(n=2), little, goal).largest > 1e-2


# Mutants


def _worst(score_R: Floats, group_R: Any, threshold: float | None) -> Any:
    return REAL(-score_R, group_R, threshold)


def _one_less(score_R: Floats, group_R: Any, threshold: float | None) -> Any:
    return REAL(np.where(np.arange(len(score_R)) == 0, np.nan, score_R), group_R, threshold)


REAL = best_of_n.accepted


@pytest.mark.parametrize("mutant", [_worst, _one_less])
def test_a_mutant_misses_the_law_of_the_best(mutant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    little = bandit()
    wanted = best_of(little, little.shares(little.start())[0], 2)
    monkeypatch.setattr(best_of_n, "accepted", mutant)
    found = round_of(BestOfN(n=2), little, little.start(), rounds=40)
    assert distance(little, found, little.tables(wanted[None])) > 0.03


def test_a_round_that_draws_from_the_policy_it_moves_is_another_one() -> None:
    little = bandit()
    wanted = best_of(little, little.shares(little.start())[0], 2)
    found = enumerated(BestOfN(n=2), little, rounds=60).tables
    assert distance(little, found, little.tables(wanted[None])) > 0.1
    assert little.shares(found)[0, little.reward_PA[0].argmax()] > 0.99


def test_a_score_at_the_threshold_belongs_to_what_is_accepted() -> None:
    little = bandit()
    method, wanted = accepting(little)
    over = method.model_copy(update={"threshold": np.nextafter(method.threshold or 0.0, np.inf)})
    assert (wanted > 0).sum() == 2
    goal = little.tables(wanted)
    assert expected_gradient(over, little, goal).largest > 1e-2


def test_prompts_without_an_accepted_answer_stay_as_they_are() -> None:
    little = bandit(prompts=2)
    reward = little.reward_PA.copy()
    reward[1] = -5.0
    little = replace(little, reward_PA=reward)
    method = BestOfN(n=2, threshold=float(np.quantile(reward[0], 0.5, method="higher")))
    found = enumerated(method, little, rounds=40).tables
    assert little.shares(found)[1] == pytest.approx(little.shares(little.start())[1], abs=1e-12)
    assert float(little.shares(found)[0][reward[0] >= (method.threshold or 0)].sum()) > 0.999
