"""Mutants these kill: a population's deviation for a sample's, NaN read as 0, groups mixed, a spread that is
almost 0 taken for equal, a value in the mean that is taken off it; in GAE: no bootstrap, bootstrap across
rows, λ or γ left out, δ with the wrong V."""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths.advantages import (
    EPS,
    Discount,
    alike,
    centred,
    gae,
    left_out,
    over_spread,
    spread,
    whitened,
)

GROUP = np.array([7, 3, 7, 3, 7, 5])
VALUE = np.array([1.0, 10.0, 2.0, np.nan, 6.0, 4.0])


def test_groups_are_told_apart_and_what_is_missing_has_no_say() -> None:
    assert centred(VALUE, GROUP) == pytest.approx([-2, np.nan, -1, np.nan, 3, np.nan], nan_ok=True)
    deviation = np.sqrt((4 + 1 + 9) / 2)
    assert spread(VALUE, GROUP)[[0, 2, 4]] == pytest.approx([deviation] * 3)
    assert np.isnan(spread(VALUE, GROUP)[[1, 3, 5]]).all(), "one value has no spread"
    scaled = over_spread(centred(VALUE, GROUP), GROUP)
    assert scaled[[0, 2, 4]] == pytest.approx(np.array([-2, -1, 3]) / (deviation + 1e-4))


def test_the_spread_of_what_was_centred_is_that_of_what_was_not() -> None:
    rng = np.random.default_rng(0)
    value, group = rng.normal(size=12), np.repeat([0, 1, 2], 4)
    assert spread(centred(value, group), group) == pytest.approx(spread(value, group))


def test_the_others_alone_are_taken_off() -> None:
    others = {0: (2 + 6) / 2, 2: (1 + 6) / 2, 4: (1 + 2) / 2}
    found = left_out(VALUE, GROUP)
    assert found[[0, 2, 4]] == pytest.approx([VALUE[i] - mean for i, mean in others.items()])
    assert np.isnan(found[[1, 3, 5]]).all(), "one value has no others"
    assert found[[0, 2, 4]].sum() == pytest.approx(0)


@pytest.mark.parametrize("number", [2, 3, 7])
def test_of_equal_values_nothing_is_left_to_the_last_bit(number: int) -> None:
    """Three times .1 is not .3, so a plain mean would leave something."""
    value, group = np.full(number, 0.1), np.zeros(number, dtype=np.int64)
    assert centred(value, group).tolist() == left_out(value, group).tolist() == [0.0] * number


def test_equal_is_more_than_close() -> None:
    close = np.array([0.1 + 0.2, 0.3, 5.0, 5.0, np.nan])
    group = np.array([0, 0, 1, 1, 1])
    assert alike(close, group).tolist() == [False, False, True, True, True]
    assert alike(np.array([np.nan, np.nan]), np.array([0, 0])).tolist() == [False, False]


def test_whitening() -> None:
    value = np.random.default_rng(1).normal(2.0, 3.0, size=50)
    plain, kept = whitened(value), whitened(value, keep_mean=True)
    assert plain.mean() == pytest.approx(0, abs=1e-12)
    assert plain.std(ddof=1) == pytest.approx(1, rel=1e-4)
    assert kept.mean() == pytest.approx(value.mean())
    assert kept - kept.mean() == pytest.approx(plain)
    assert whitened(np.array([3.0])).tolist() == [0.0]
    assert whitened(np.zeros(0)).size == 0
    assert EPS == 1e-4, "the fixed points are proven for eps of 1e-4 and more"
    assert np.abs(whitened(np.full(9, 0.1) + 1e-17)).max() < 1e-9


def by_definition(
    reward: np.ndarray, value: np.ndarray, after: float, gamma: float, lam: float
) -> list[float]:
    """A_t = Σ_k (γλ)^k δ_{t+k}, written out."""
    follows = [*value[1:], after][: len(value)]
    delta = [r + gamma * v - w for r, v, w in zip(reward, follows, value, strict=True)]
    return [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, len(delta))) for t in range(len(delta))]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (1.0, 1.0)])
def test_gae_is_the_sum_it_says(gamma: float, lam: float) -> None:
    rng = np.random.default_rng(2)
    lengths, after = np.array([3, 0, 1, 5]), np.array([0.0, 9.0, 2.0, -1.0])
    reward, value = rng.normal(size=9), rng.normal(size=9)
    found = gae(reward, value, lengths, Discount(gamma, lam), after)
    wanted = [
        by_definition(r, v, float(a), gamma, lam)
        for r, v, a in zip(np.split(reward, [3, 3, 4]), np.split(value, [3, 3, 4]), after, strict=True)
    ]
    assert found == pytest.approx([x for row in wanted for x in row])


def test_what_is_finished_bootstraps_with_0_and_what_was_cut_with_its_value() -> None:
    one, half, length = np.array([1.0]), np.array([0.5]), np.array([1])
    assert gae(one, half, length, Discount(1.0, 0.95)).tolist() == [0.5]
    assert gae(one, half, length, Discount(0.5, 0.95), np.array([2.0])).tolist() == [1.5]


def test_values_that_already_know_the_return_leave_nothing() -> None:
    reward = np.array([0.5, -1.0, 2.0])
    value = np.cumsum(reward[::-1])[::-1].copy()
    assert gae(reward, value, np.array([3]), Discount(1.0, 0.95)) == pytest.approx([0, 0, 0], abs=1e-15)


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 rewards, 2 values, 3 tokens"):
        gae(np.zeros(2), np.zeros(2), np.array([3]), Discount(1.0, 1.0))
