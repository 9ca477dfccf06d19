"""One-sided bounds: numbers of tables, coverage by enumeration, and how many prompts would decide.

Mutants: two-sided tails, bounds of the other side, a limit that must be met strictly, a spread where a range
is needed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from accord.maths.bounds import (
    chance_of_passing,
    decided,
    largest_passing,
    mean_bounds,
    prompts_to_decide,
    share_bounds,
)
from accord.maths.intervals import Interval, clopper_pearson


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 20), (17, 2550), (20, 20)])
def test_shares_are_bounded_as_by_the_quantiles_of_beta(k: int, n: int) -> None:
    found = share_bounds(k / n, n)
    assert found.high == pytest.approx(beta.ppf(0.95, k + 1, n - k) if k < n else 1.0)
    assert found.low == pytest.approx(beta.ppf(0.05, k, n - k + 1) if k else 0.0)
    both = clopper_pearson(k, n, 0.9)
    assert (found.low, found.high) == pytest.approx((both.low, both.high))


@pytest.mark.parametrize("bounds", [share_bounds, mean_bounds])
@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_each_side_covers_a_share_with_the_confidence_that_is_named(bounds: object, share: float) -> None:
    """Over all outcomes of 60 prompts, each with its probability."""
    chance = binom.pmf(np.arange(61), 60, share)
    found = [bounds(k / 60, 60, 0.95) for k in range(61)]  # type: ignore[operator]
    assert sum(c for c, one in zip(chance, found, strict=True) if one.high < share) <= 0.05
    assert sum(c for c, one in zip(chance, found, strict=True) if one.low > share) <= 0.05


def test_hoeffding_s_bound_is_the_wider_one_and_no_wider_than_by_his_simpler_rule() -> None:
    for mean in (0.0, 0.02, 0.3, 0.9):
        exact, wide = share_bounds(mean, 100), mean_bounds(mean, 100)
        assert wide.low <= exact.low + 1e-9
        assert wide.high >= exact.high - 1e-9
        assert wide.high - mean <= np.sqrt(np.log(20) / 200) + 1e-9
        assert mean - wide.low <= np.sqrt(np.log(20) / 200) + 1e-9


def test_the_edges_of_hoeffding_s_bound_by_their_definition() -> None:
    """100·kl(.3, μ) = ln 20 on both sides."""
    found = mean_bounds(0.3, 100)
    for mu in (found.low, found.high):
        kl = 0.3 * np.log(0.3 / mu) + 0.7 * np.log(0.7 / (1 - mu))
        assert 100 * kl == pytest.approx(np.log(20), rel=1e-9)
    assert found.low < 0.3 < found.high


def test_rare_large_costs_are_not_hidden_by_a_sample_that_missed_them() -> None:
    """All of 100 prompts cost nothing: a t-bound would be 0."""
    assert mean_bounds(0.0, 100).high == pytest.approx(1 - 0.05**0.01)


def test_the_limit_itself_passes_and_does_not_fail() -> None:
    assert decided(Interval(0.1, 0.0, 0.2), 0.2) == "pass"
    assert decided(Interval(0.3, 0.2, 0.4), 0.2) == "no solution found"


@pytest.mark.parametrize("bounds", [share_bounds, mean_bounds])
@pytest.mark.parametrize(("mean", "limit"), [(0.02, 0.1), (0.3, 0.2), (0.19, 0.2)])
def test_so_many_prompts_decide_and_one_fewer_does_not(bounds: object, mean: float, limit: float) -> None:
    n = prompts_to_decide(mean, limit, bounds)  # type: ignore[arg-type]
    assert n is not None
    found = [decided(bounds(mean, k, 0.95), limit) for k in (n - 1, n)]  # type: ignore[operator]
    assert found == ["no solution found", "pass" if mean < limit else "fail"]


def test_a_mean_on_the_limit_is_never_decided() -> None:
    assert prompts_to_decide(0.2, 0.2, mean_bounds) is None


def test_how_many_may_violate_and_how_often_a_good_policy_passes() -> None:
    """N = 2,550 at .01: 17, and half of eps passes with probability .9; N = 300: none, .22."""
    for n, most, chance in ((2550, 17, 0.9), (300, 0, 0.22)):
        found = largest_passing(n, 0.01, share_bounds)
        assert found is not None
        assert int(found * n + 1e-9) == most
        assert share_bounds(most / n, n).high <= 0.01 < share_bounds((most + 1) / n, n).high
        assert chance_of_passing(n, 0.005, 0.01) == pytest.approx(chance, abs=0.005)
        assert chance_of_passing(n, 0.005, 0.01) == pytest.approx(binom.cdf(most, n, 0.005))
    assert chance_of_passing(298, 0.0, 0.01) == 0.0
    assert largest_passing(298, 0.01, mean_bounds) is None


@pytest.mark.parametrize("wrong", [(1.1, 10, 0.95), (0.5, 0, 0.95), (0.5, 10, 0.5), (0.5, 10, 1.0)])
def test_what_is_no_share_is_refused(wrong: tuple[float, int, float]) -> None:
    for bounds in (share_bounds, mean_bounds):
        with pytest.raises(ValueError, match="expected"):
            bounds(*wrong)
