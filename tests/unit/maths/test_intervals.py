"""Mutants these kill: normal for exact bounds, n for n−1 or the level twice, prompts resampled apart for a
pair, values resampled for prompts, one-sided for two-sided, a missing +1, hidden generator state."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from accord.maths.intervals import (
    Interval,
    clopper_pearson,
    cluster_mean,
    paired_difference,
    ratio_of_sums,
    sign_flip,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 300), (17, 2550), (5, 9), (300, 300)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_clopper_pearson_is_the_exact_interval(k: int, n: int, level: float) -> None:
    exact = binomtest(k, n).proportion_ci(confidence_level=level, method="exact")
    found = clopper_pearson(k, n, level)
    assert found.value == k / n
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_clopper_pearson_refuses_what_is_no_share(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(k, n)


def test_the_mean_is_pooled_over_all_values() -> None:
    assert cluster_mean([np.array([1.0, 1.0, 1.0]), np.array([5.0])], rng()).value == 2.0


def test_prompts_are_resampled_and_not_their_values() -> None:
    # Within a prompt all values agree: the spread is between 8 prompts, however many values each has.
    between = [np.full(50, float(i)) for i in range(8)]
    single = [np.full(1, float(i)) for i in range(8)]
    assert cluster_mean(between, rng()) == cluster_mean(single, rng())
    # And where only the values within a prompt differ, prompts do not.
    assert cluster_mean([np.array([0.0, 1.0])] * 8, rng()) == Interval(0.5, 0.5, 0.5)


def test_the_interval_is_as_wide_as_theory_says() -> None:
    values = rng(1).normal(size=400)
    found = cluster_mean(list(values[:, None]), rng(2), draws=4000)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_higher_level_is_wider() -> None:
    values = list(rng(1).normal(size=40)[:, None])
    narrow, wide = cluster_mean(values, rng(), level=0.5), cluster_mean(values, rng(), level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_chance_comes_from_the_generator_alone() -> None:
    values = list(rng(1).normal(size=40)[:, None])
    assert cluster_mean(values, rng(3)) == cluster_mean(values, rng(3))
    assert cluster_mean(values, rng(3)) != cluster_mean(values, rng(4))


def test_large_panels_are_resampled_in_blocks_with_the_same_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(rng(1).normal(size=40)[:, None])
    whole = cluster_mean(values, rng(3), draws=100)
    monkeypatch.setattr("accord.maths.intervals._BLOCK", 90)
    assert cluster_mean(values, rng(3), draws=100) == whole


def test_a_pair_moves_together() -> None:
    # Prompts differ wildly in level, policy and base by .5 and little noise: unpaired, it would be 70 wide.
    level = rng(1).normal(scale=100, size=30)
    noise = rng(2).normal(scale=0.01, size=30)
    found = paired_difference(list((level + 0.5 + noise)[:, None]), list(level[:, None]), rng())
    assert found.value == pytest.approx(0.5 + noise.mean())
    assert 0.49 < found.low < found.value < found.high < 0.51


def test_a_pair_has_the_sign_ours_minus_base() -> None:
    found = paired_difference([np.array([1.0]), np.array([2.0])], [np.array([3.0]), np.array([5.0])], rng())
    assert found == Interval(-2.5, -3.0, -2.0)


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios() -> None:
    found = ratio_of_sums(np.array([1.0, 1.0]), np.array([1.0, 4.0]), rng())
    assert found == Interval(0.4, 0.25, 1.0)


def test_a_ratio_whose_denominator_may_be_zero_has_no_finite_interval() -> None:
    found = ratio_of_sums(np.array([1.0, 1.0]), np.array([2.0, -1.0]), rng())
    assert found == Interval(2.0, -np.inf, np.inf)
    negative = ratio_of_sums(np.array([1.0, 2.0]), np.array([-2.0, -4.0]), rng())
    assert negative == Interval(-0.5, -0.5, -0.5)
    with pytest.raises(ValueError, match="undefined"):
        ratio_of_sums(np.array([1.0, 1.0]), np.array([1.0, -1.0]), rng())


@pytest.mark.parametrize("prompts", [0, 1])
def test_one_prompt_has_no_interval(prompts: int) -> None:
    values = [np.array([1.0, 2.0])] * prompts
    with pytest.raises(ValueError, match="expected at least 2"):
        cluster_mean(values, rng())
    with pytest.raises(ValueError, match="expected at least 2"):
        paired_difference(values, values, rng())
    with pytest.raises(ValueError, match=r"expected at least 2|undefined"):
        ratio_of_sums(np.ones(prompts), np.ones(prompts), rng())


def test_equal_values_give_an_interval_without_width() -> None:
    assert cluster_mean([np.array([0.3])] * 5, rng()) == pytest.approx((0.3, 0.3, 0.3))


@pytest.mark.parametrize("bad", [np.array([]), np.array([np.nan]), np.array([np.inf]), np.array([[1.0]])])
def test_what_is_no_row_of_numbers_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected one or more|not finite"):
        cluster_mean([np.array([1.0]), bad], rng())


def test_unequal_pairs_and_wrong_levels_are_refused() -> None:
    two = [np.array([1.0])] * 2
    with pytest.raises(ValueError, match="2 prompts of ours and 3"):
        paired_difference(two, [*two, np.array([1.0])], rng())
    for level in (0.0, 1.0, 95.0):
        with pytest.raises(ValueError, match="level"):
            cluster_mean(two, rng(), level=level)


def test_sign_flips_are_enumerated_when_few() -> None:
    # Of 8 sign patterns of (1, 2, 4) only the two extreme ones reach |7|; six reach |3| or more.
    assert sign_flip(np.array([1.0, 2.0, 4.0]), rng()) == 2 / 8
    assert sign_flip(np.array([-1.0, -2.0, -4.0]), rng()) == 2 / 8
    assert sign_flip(np.array([-4.0, 2.0, -1.0]), rng()) == 6 / 8
    assert sign_flip(np.ones(12), rng(0)) == sign_flip(np.ones(12), rng(1)) == 2 / 4096


def test_sums_that_are_equal_on_paper_count_as_equal() -> None:
    # In tenths: the pattern and its mirror reach 30, and in binary the order of the sum decides the last bit.
    assert sign_flip(np.array([-0.9, -0.8, -0.7, -0.6]), rng()) == 2 / 16
    # |−9 − 8 − 7 + 3| = 21 is reached by 4 of 16: with all signs equal (27 tenths), and with the last turned.
    assert sign_flip(np.array([-0.9, -0.8, -0.7, 0.3]), rng()) == 4 / 16


def test_sampled_sign_flips_count_the_observed_one() -> None:
    # 40 ones: no sampled pattern gets as far, and p is still not 0.
    assert sign_flip(np.ones(40), rng(), draws=99) == 1 / 100
    assert sign_flip(np.zeros(40), rng(), draws=99) == 1.0


def test_sampled_and_enumerated_sign_flips_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = rng(5).normal(loc=0.4, size=12)
    exact = sign_flip(differences, rng())
    monkeypatch.setattr("accord.maths.intervals._EXACT", 0)
    assert 0.01 < exact < 0.9
    # Standard error of a share near .2 of 9,999 draws: .004.
    assert sign_flip(differences, rng(6)) == pytest.approx(exact, abs=0.016)


def test_edges_of_the_sign_flip_test() -> None:
    assert sign_flip(np.array([3.0]), rng()) == 1.0
    with pytest.raises(ValueError, match="at least one prompt"):
        sign_flip(np.array([]), rng())
    with pytest.raises(ValueError, match="not finite"):
        sign_flip(np.array([1.0, np.nan]), rng())
    with pytest.raises(ValueError, match="at least one"):
        sign_flip(np.ones(40), rng(), draws=0)
