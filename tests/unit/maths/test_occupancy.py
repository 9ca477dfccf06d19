"""The program over visits: its value is that of value iteration at its prices, and that of its policy.

Mutants: flow counted with the wrong sign, a limit that is not kept, one limit taken for the other, a price
that is not what more of the limit brings.
"""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths.occupancy import Decisions, best_under, expectations
from accord.records.rows import Floats


def world(seed: int, states: int = 5, actions: int = 3) -> Decisions:
    """Any world that ends within some ten steps; one action of one state is impossible."""
    rng = np.random.default_rng(seed)
    moves = rng.dirichlet(np.ones(states), size=(states, actions)) * rng.uniform(
        0.6, 0.95, (states, actions, 1)
    )
    reward = rng.normal(size=(states, actions))
    reward[1, 0] = -np.inf
    return Decisions(moves, rng.dirichlet(np.ones(states)), reward, rng.uniform(size=(2, states, actions)))


def iterated(of: Decisions, price_C: Floats) -> Floats:
    """The worth of each state where costs are paid for, by value iteration."""
    paid_SA = of.reward_SA - np.tensordot(price_C, of.cost_CSA, axes=1)
    worth_S = np.zeros(len(paid_SA))
    for _ in range(600):
        worth_S = (paid_SA + of.moves_SAS @ worth_S).max(axis=1)
    return worth_S


@pytest.mark.parametrize("seed", range(3))
def test_the_program_agrees_with_value_iteration_and_with_its_own_policy(seed: int) -> None:
    of = world(seed)
    free = best_under(of, [np.inf, np.inf])
    assert free.price_C.tolist() == [0.0, 0.0]
    assert of.start_S @ iterated(of, free.price_C) == pytest.approx(free.value, abs=1e-9)
    thrifty_SA = np.where(np.isfinite(of.reward_SA), -of.cost_CSA[0], -np.inf)
    low = best_under(of._replace(reward_SA=thrifty_SA), [np.inf, np.inf])
    limits = [0.7 * low.cost_C[0] + 0.3 * free.cost_C[0], max(low.cost_C[1], free.cost_C[1])]
    found = best_under(of, limits)
    assert found.value < free.value
    assert found.cost_C[0] == pytest.approx(limits[0], abs=1e-9)
    assert found.cost_C[1] <= limits[1] + 1e-9
    worth_S = iterated(of, found.price_C)
    assert np.allclose(worth_S, found.worth_S, atol=1e-8)
    dual = of.start_S @ worth_S + found.price_C @ np.array(limits)
    assert dual == pytest.approx(found.value, abs=1e-8), "no policy within the limits is better"
    pushed, _ = expectations(of, found.policy_SA, 600)
    assert pushed == pytest.approx([found.value, *found.cost_C], abs=1e-8)
    assert found.policy_SA[1, 0] == 0
    mixes_S = found.policy_SA.max(axis=1) < 1 - 1e-9
    assert mixes_S.sum() == (found.price_C > 0).sum() == 1, (
        "it randomises where a limit binds, and only there"
    )
    more = best_under(of, [limits[0] + 1e-4, limits[1]])
    assert (more.value - found.value) / 1e-4 == pytest.approx(found.price_C[0], rel=1e-4)


def test_what_has_no_optimum_is_said() -> None:
    of = world(0)
    with pytest.raises(ValueError, match="none keeps within them"):
        best_under(of, [0.0, np.inf])
    stay_or_go = np.array([[[1.0], [0.0]]])
    endless = Decisions(stay_or_go, np.ones(1), np.ones((1, 2)), np.zeros((0, 1, 2)))
    with pytest.raises(ValueError, match="one earns without end"):
        best_under(endless, [])
    with pytest.raises(ValueError, match="expected"):
        best_under(of, [1.0])
    with pytest.raises(ValueError, match="probabilities"):
        best_under(of._replace(moves_SAS=2 * of.moves_SAS), [1.0, 1.0])
