"""Mutants these kill: sign of a, shares of tokens for answers, π for 1 − π, a mean of ratios for a ratio of
sums, π₀ and π swapped, KL to the asked base in place of C, a level where C is undefined."""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths.intervals import Interval
from accord.maths.pressure import (
    LEAST_NATS,
    as_likely,
    compatibility,
    felt,
    negative_mass,
    price,
    pushed_down_share,
    support_exit,
)


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float((p * np.log(p / q)).sum())


class Bandit:
    """One answer of one token per prompt: everything about C can be enumerated.

    Rows are prompts. ``counts`` are answers of each kind, in proportion to π, so that sums over them are
    expectations to the last digit.
    """

    def __init__(self, policy: np.ndarray, base: np.ndarray, asked: np.ndarray) -> None:
        self.policy, self.base, self.asked = policy, base, asked

    def read(self, answers: int = 1000) -> Interval | str:
        counts = self.policy * answers
        assert np.allclose(counts, counts.round())
        asked_P = (counts * np.log(self.asked / self.base)).sum(axis=1)
        moved_P = (counts * np.log(self.policy / self.base)).sum(axis=1)
        total = round(float(counts.sum()))
        return compatibility(asked_P, moved_P, total, np.random.default_rng(0))

    def truth(self) -> float:
        to_asked = sum(kl(p, q) for p, q in zip(self.policy, self.asked, strict=True))
        return 1 - to_asked / sum(kl(p, q) for p, q in zip(self.policy, self.base, strict=True))


BASE = np.array([[0.90, 0.05, 0.05], [0.80, 0.10, 0.10], [0.05, 0.05, 0.90]])
TRAINED = np.array([[0.10, 0.80, 0.10], [0.05, 0.90, 0.05], [0.30, 0.60, 0.10]])


def test_a_policy_that_is_the_asked_base_has_a_compatibility_of_one() -> None:
    found = Bandit(TRAINED, BASE, TRAINED).read()
    assert isinstance(found, Interval)
    # Equal prompt by prompt, so every resample is 1 too.
    assert found == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)


def test_where_asking_changes_nothing_it_explains_nothing() -> None:
    found = Bandit(TRAINED, BASE, BASE).read()
    assert isinstance(found, Interval)
    assert found == pytest.approx((0.0, 0.0, 0.0), abs=1e-12)


def test_a_policy_that_moved_away_from_what_was_asked_is_below_zero() -> None:
    away = np.array([[0.05, 0.05, 0.90], [0.05, 0.05, 0.90], [0.90, 0.05, 0.05]])
    asked = np.array([[0.09, 0.90, 0.01], [0.09, 0.90, 0.01], [0.01, 0.90, 0.09]])
    found = Bandit(away, BASE, asked).read()
    assert isinstance(found, Interval)
    assert found.value < 0


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_share_of_the_divergence_that_asking_explains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    base, asked = rng.dirichlet([1, 1, 1], 5), rng.dirichlet([1, 1, 1], 5)
    bandit = Bandit(np.tile([0.01, 0.04, 0.95], (5, 1)), base, asked)
    found = bandit.read()
    assert isinstance(found, Interval)
    assert found.value == pytest.approx(bandit.truth(), abs=1e-12)
    assert found.low <= found.value <= found.high
    # Prompts differ, so the ratio of sums is not the mean of their ratios.
    ratios = [1 - kl(p, a) / kl(p, b) for p, a, b in zip(bandit.policy, asked, base, strict=True)]
    assert abs(found.value - float(np.mean(ratios))) > 1e-3


def test_prompts_of_several_answers_count_by_their_nats() -> None:
    rng = np.random.default_rng(1)
    found = compatibility(np.array([6.0, 1.0]), np.array([6.0, 2.0]), 5, rng)
    assert isinstance(found, Interval)
    assert found.value == pytest.approx(7 / 8)
    assert (found.low, found.high) == (0.5, 1.0)


@pytest.mark.parametrize(("nats", "defined"), [(LEAST_NATS, True), (0.499, False), (-2.0, False)])
def test_it_is_undefined_under_half_a_nat(nats: float, defined: bool) -> None:
    found = compatibility(np.full(4, 0.2), np.full(4, 2 * nats), 8, np.random.default_rng(0))
    assert isinstance(found, Interval) == defined
    if isinstance(found, str):
        assert found.startswith("undefined: ")


def test_prompts_that_cannot_tell_the_distance_from_nothing_leave_it_undefined() -> None:
    moved = np.array([9.0, -3.0, -3.0, 1.0])
    found = compatibility(np.ones(4), moved, 4, np.random.default_rng(0))
    assert isinstance(found, str) and "cannot be told from 0" in found


def test_shapes_and_counts_are_checked() -> None:
    for asked, moved, answers in [
        (np.ones(2), np.ones(3), 5),
        (np.ones(1), np.ones(1), 1),
        (np.ones(2), np.ones(2), 1),
    ]:
        with pytest.raises(ValueError, match="2 prompts"):
            compatibility(asked, moved, answers, np.random.default_rng(0))


def test_answers_are_pushed_down_by_the_sum_of_their_tokens() -> None:
    a_T, lengths_S = np.array([3.0, -1.0, -1.0, -1.0, -0.5]), np.array([4, 1, 0])
    # The first sums to 0, the second is below; one without tokens is pressed by nothing.
    assert pushed_down_share(a_T, lengths_S) == pytest.approx(1 / 3)
    assert pushed_down_share(-a_T, lengths_S) == 0.0
    assert pushed_down_share(a_T, lengths_S, np.zeros(3, dtype=bool)) is None
    with pytest.raises(ValueError, match="5 pressures"):
        pushed_down_share(a_T, np.array([4]))


def test_likely_answers_are_those_at_the_bases_median_or_above() -> None:
    assert as_likely(np.array([-2.0]), np.array([-3.0, -1.0])).tolist() == [True]
    with pytest.raises(ValueError, match="no answer of the base"):
        as_likely(np.array([-2.0]), np.zeros(0))


def test_mass_on_certain_tokens_weighs_nothing() -> None:
    logp = np.log([0.25, 0.75, 1.0])
    assert negative_mass(np.array([1.0, -1.0, -99.0]), logp) == pytest.approx(0.25)
    assert negative_mass(np.array([-1.0, 1.0, -99.0]), logp) == pytest.approx(0.75)
    assert negative_mass(np.array([0.0, 0.0, 5.0]), logp) is None
    with pytest.raises(ValueError, match="shape"):
        negative_mass(np.ones(2), logp)


def test_the_figures_of_an_update() -> None:
    """a = (3, −1), (−2), () at π = ½, ½, ¾: mass 1.5 and .5, and .5. ∂objective/∂log π is −a."""
    pressure_T, lengths_S = np.array([-3.0, 1.0, 2.0]), np.array([2, 1, 0])
    logp_T = np.log([0.5, 0.5, 0.75])
    found = felt(pressure_T, logp_T, lengths_S)
    assert found == pytest.approx({"pushed_down": 2 / 3, "pushed_answers": 1 / 3, "negative_mass": 1 / 2.5})
    # Nobody told log π, or not of a token that is pressed: no mass is made up. What is not pressed may lack.
    del found["negative_mass"]
    assert felt(pressure_T, np.zeros(0), lengths_S) == found
    assert felt(pressure_T, np.array([np.nan, *logp_T[1:]]), lengths_S) == found
    assert felt(np.array([-3.0, 0.0]), np.array([logp_T[0], np.nan]), np.array([2]))["negative_mass"] == 0.0
    assert felt(np.zeros(2), np.full(2, -1.0), np.array([2])) == {"pushed_down": 0.0, "pushed_answers": 0.0}
    assert felt(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64)) == {"pushed_down": 0.0}


def test_what_bought_nothing_has_no_price() -> None:
    assert price(3.0, -0.1) is None
    assert price(3.0, 0.5) == 6.0
    assert support_exit(np.zeros(0)) is None
    assert support_exit(np.array([0.0, 0.0, 1.0])) == pytest.approx(2 / 3)
