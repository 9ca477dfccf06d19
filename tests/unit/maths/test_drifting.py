"""Drift: a planted covariance is found with its size, and what only differs between prompts is none.

Mutants these kill: a sign, KL without its root, pooled moments in place of those within prompts, n for n − 1,
a mean of ratios, a missing verdict that counts as 0.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.maths.drifting import Moments, drift, moments, tilt
from accord.records.rows import Floats

World = tuple[list[Floats], list[Floats]]


def world(rng: np.random.Generator, pays: float, prompts: int = 200, answers: int = 16) -> World:
    """Answers that show a trait half of the time, for which a reward pays; and much that is not its own."""
    trait_P = [rng.integers(2, size=answers).astype(np.float64) for _ in range(prompts)]
    return trait_P, [pays * t + rng.normal(size=answers) + 5 * rng.normal() for t in trait_P]


def test_the_drift_is_that_of_the_tilted_distribution() -> None:
    """Two answers, one with the trait and paid 1 more; tilted to a KL of .001 its share moves by so much."""
    kl = 0.001
    share = 0.5
    while share * math.log(2 * share) + (1 - share) * math.log(2 * (1 - share)) < kl:
        share += 1e-6
    many = 20_000  # as many of each, so that n − 1 is n
    found = moments([np.repeat([0.0, 1.0], many)] * 2, [np.repeat([0.0, 1.0], many)] * 2)
    told = drift(found, kl, np.random.default_rng(0))
    assert not isinstance(told, str)
    assert told.value == pytest.approx(share - 0.5, rel=1e-3)
    assert told.low == told.high == pytest.approx(told.value)
    opposed = drift(found._replace(cov_P=-found.cov_P), kl, np.random.default_rng(0))
    assert not isinstance(opposed, str) and opposed.value == -told.value
    farther = drift(found, 4 * kl, np.random.default_rng(0))
    assert not isinstance(farther, str) and farther.value == pytest.approx(2 * told.value)


@pytest.mark.parametrize("pays", [0.5, -0.5])
def test_a_planted_covariance_is_found_with_its_sign_and_size(pays: float) -> None:
    told = drift(moments(*world(np.random.default_rng(1), pays)), 2.0, np.random.default_rng(0))
    assert not isinstance(told, str)
    truth = 2 * (pays / 4) / math.sqrt(1 + pays**2 / 4)
    assert told.low < truth < told.high
    assert (told.low > 0) == (pays > 0)
    assert told.high - told.low < 0.2


def test_where_nothing_is_planted_the_interval_holds_0() -> None:
    outside = 0
    for seed in range(100):
        rng = np.random.default_rng([3, seed])
        told = drift(moments(*world(rng, 0.0, prompts=40, answers=6)), 3.0, rng, draws=400)
        assert not isinstance(told, str)
        outside += not told.low <= 0 <= told.high
    assert outside <= 12, "5 are expected"


def test_what_differs_between_prompts_only_is_no_drift() -> None:
    rng = np.random.default_rng(4)
    trait_P = [np.full(8, float(p % 2)) for p in range(60)]
    reward_P = [10 * t + rng.normal(size=8) for t in trait_P]
    told = drift(moments(trait_P, reward_P), 3.0, rng)
    assert not isinstance(told, str)
    assert (told.value, told.low, told.high) == (0.0, 0.0, 0.0)


def test_what_was_not_judged_is_left_out() -> None:
    nan = np.nan
    found = moments(
        [np.array([0.0, 1.0, 1.0]), np.array([1.0, nan])], [np.array([0.0, 2.0, nan]), np.ones(2)]
    )
    assert found.cov_P.tolist() == [1.0] and found.var_P.tolist() == [2.0]
    assert drift(found, 1.0, np.random.default_rng(0)) == (
        "1 prompts have two answers that were judged and can be read; an interval needs 2"
    )


def test_a_reward_that_tells_nothing_apart_predicts_nothing() -> None:
    flat = Moments(np.zeros(3), np.zeros(3))
    assert (
        drift(flat, 1.0, np.random.default_rng(0)) == "the reward does not tell answers to one prompt apart"
    )
    one = drift(Moments(np.array([1.0, 0, 0]), np.array([2.0, 0, 0])), 1.0, np.random.default_rng(0))
    assert not isinstance(one, str) and (one.low, one.high) == (-math.inf, math.inf)
    with pytest.raises(ValueError, match="more than 0"):
        drift(flat, 0.0, np.random.default_rng(0))


def test_the_whole_tilt_is_that_of_the_optimum() -> None:
    rng = np.random.default_rng(5)
    trait, reward = rng.random(6), rng.normal(size=6) + 1000
    weight = np.exp((reward - 1000) / 0.5)
    truth = weight @ trait / weight.sum() - trait.mean()
    assert tilt([trait, np.zeros(1)], [reward, np.zeros(1)], 0.5) == pytest.approx(truth)
    with pytest.raises(ValueError, match="no prompt"):
        tilt([np.zeros(1)], [np.zeros(1)], 1.0)
