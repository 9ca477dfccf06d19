"""Multipliers: the controller step by step, its bounds, and that it comes to rest where the limit is met.

Mutants: an integral that falls under 0, no cap, a rise that counts falls, a rise over another span, running
means that start at 0, an error that is not smoothed.
"""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths.multipliers import CAP, Multiplier, mixed, naive, penalised, pid


def after(costs: list[float], limit: float) -> Multiplier:
    state = Multiplier()
    for cost in costs:
        state = pid(state, cost, limit)
    return state


def test_the_integral_and_the_multiplier_stay_at_0_under_the_limit() -> None:
    assert after([0.1] * 50, 0.5)[:2] == (0.0, 0.0)
    assert after([0.1] * 50 + [0.6], 0.5).integral == pytest.approx(0.001), "nothing saved up to be paid off"


def test_a_cost_that_stays_grows_linearly_and_up_to_the_cap() -> None:
    state = after([1.5] * 100, 0.5)
    assert state.integral == pytest.approx(1.0)
    assert state.value == pytest.approx(0.1 + 1.0), "the running mean of e is 1 from the first window on"
    assert after([2000.0] * 9, 0.5).value == CAP


def test_a_rise_is_over_ten_windows_and_a_fall_is_none() -> None:
    """Ten windows of 0, then 2 each: the running mean of the cost rises by .1, then by .05·1.9 more."""
    flat = after([0.0] * 10, 0.0)
    assert len(flat.costs) == 10
    first = pid(flat, 2.0, 0.0)
    assert first.costs[-1] - first.costs[0] == pytest.approx(0.1)
    assert first.value - 0.1 * first.error - first.integral == pytest.approx(0.01 * 0.1)
    ninth = after([0.0] * 10 + [2.0] * 11, 0.0)
    assert len(ninth.costs) == 11
    rise = ninth.costs[-1] - ninth.costs[0]
    assert rise == pytest.approx(2 * (1 - 0.95**11) - 2 * (1 - 0.95))
    down = after([2.0] * 10 + [0.0] * 5, 0.0)
    assert down.value == pytest.approx(0.1 * down.error + down.integral), "a fall takes nothing off"


def test_the_first_window_is_where_the_means_start() -> None:
    assert after([0.7], 0.5).costs == (0.7,)
    assert after([0.7], 0.5).error == pytest.approx(0.2)
    assert after([0.7, 0.5], 0.5).error == pytest.approx(0.95 * 0.2)


@pytest.mark.parametrize("move", [pid, naive])
def test_it_rests_where_the_limit_is_met(move: object) -> None:
    """A policy whose cost falls as exp(−λ): the limit ½ is met at ln 2."""
    state = Multiplier()
    for _ in range(3000):
        state = move(state, float(np.exp(-state.value)), 0.5)  # type: ignore[operator]
    assert state.value == pytest.approx(np.log(2), rel=1e-3)


def test_naive_is_bounded_on_both_sides() -> None:
    assert naive(Multiplier(99.99), 50.0, 0.5).value == CAP
    assert naive(Multiplier(0.01), 0.0, 0.5).value == 0.0


def test_what_is_missing_stays_missing() -> None:
    reward, cost = np.array([1.0, np.nan, 0.0]), np.array([np.nan, 1.0, 2.0])
    for weigh in (mixed, penalised):
        assert np.isnan(weigh(reward, [cost], [1.0])).tolist() == [True, True, False]
    assert mixed(reward, [], []).tolist()[0] == 1.0
    with pytest.raises(ValueError, match="zip"):
        mixed(reward, [cost], [])
