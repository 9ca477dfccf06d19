"""The best policy under cost limits in a world that is written down: a linear program over its visits.

Of a policy the visits ρ(s, a) are how often it is expected to take action a in state s, undiscounted. Rewards
and costs are linear in them, so the constrained optimum is (Altman 1999, chapters 8 and 9)

    max Σ ρ r    Σ_a ρ(s', a) − Σ_{s, a} P(s' | s, a) ρ(s, a) = start(s')    Σ ρ c_i ≤ d_i    ρ ≥ 0

and the policy is π(a | s) = ρ(s, a) / Σ_a ρ(s, a), which has to be randomised where a limit binds.

1. An episode ends with the probability that P(· | s, a) is short of 1. Every policy worth taking must end: a
   way to earn for ever, or to go round for nothing, has no optimum here, and is a ValueError.
2. A limit's price λ_i is what a little more of d_i would be worth; the worth of a state is what the rest of
   an episode brings there, less λ times its costs. Both are the dual solution of the same program.
3. Where contexts come and go whatever is done (P = 0 and start = how often each comes), the program is a
   fractional knapsack.

Axes: ``_S`` states, ``_A`` actions, ``_C`` costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from accord.records.rows import Floats

__all__ = ["Constrained", "Decisions", "best_under", "expectations"]

_LITTLE = 1e-9  # of a visit: less than that the program leaves behind where a policy never comes


class Decisions(NamedTuple):
    """A world: P(s'|s, a), how often episodes begin in each state, rewards (−∞: no such action), costs."""

    moves_SAS: Floats
    start_S: Floats
    reward_SA: Floats
    cost_CSA: Floats


class Constrained(NamedTuple):
    """What is best under the limits. In a state that is never visited, the policy takes the first action."""

    value: float
    cost_C: Floats
    policy_SA: Floats
    visits_SA: Floats
    price_C: Floats
    worth_S: Floats


def best_under(world: Decisions, limit_C: Sequence[float]) -> Constrained:
    """The best expected reward of an episode whose expected costs stay within the limits.

    One decision: 1 for nothing, or 5 at the cost of 1. At the limit ¼ it takes the 5 a quarter of the time.

    >>> world = Decisions(np.zeros((1, 2, 1)), np.ones(1), np.array([[1.0, 5.0]]), np.array([[[0.0, 1.0]]]))
    >>> found = best_under(world, [0.25])
    >>> found.value, found.policy_SA.tolist(), found.price_C.tolist()
    (2.0, [[0.75, 0.25]], [4.0])
    """
    states, actions = world.reward_SA.shape
    possible = np.isfinite(world.reward_SA).ravel()
    _check(world, limit_C)
    stays = np.repeat(np.eye(states), actions, axis=0)
    flow = (stays - world.moves_SAS.reshape(states * actions, states)).T[:, possible]
    limits_C = np.asarray(limit_C, dtype=np.float64)
    # A solver may take any bound of 10^20 for none at all, so such limits are left out.
    bound_C = limits_C < 1e20
    costs = world.cost_CSA.reshape(limits_C.size, states * actions)[bound_C][:, possible]
    reward = world.reward_SA.ravel()[possible]
    found = _program(reward, flow, world.start_S, costs, limits_C[bound_C])
    if found.status:
        reason = _REASONS.get(found.status, str(found.message))
        raise ValueError(f"no policy is the best under the limits {limits_C.tolist()}: {reason}")
    visits = np.zeros(states * actions)
    visits[possible] = found.x
    visits_SA = visits.reshape(states, actions)
    price_C = np.zeros(limits_C.size)
    price_C[bound_C] = np.abs(found.ineqlin.marginals)
    return Constrained(
        -float(found.fun),
        (world.cost_CSA * visits_SA).sum(axis=(1, 2)),
        _policy(visits_SA, possible.reshape(states, actions)),
        visits_SA,
        price_C,
        -np.asarray(found.eqlin.marginals),
    )


def _program(reward: Floats, flow: Floats, start_S: Floats, costs: Floats, limits: Floats) -> Any:
    from scipy.optimize import (  # pyright: ignore[reportMissingTypeStubs] - scipy ships none
        linprog,  # pyright: ignore[reportUnknownVariableType]
    )

    solve = cast("Any", linprog)
    # The simplex method ends in a corner: a policy that randomises no more than it has to.
    return solve(-reward, A_ub=costs, b_ub=limits, A_eq=flow, b_eq=start_S, method="highs-ds")


_REASONS = {2: "none keeps within them", 3: "one earns without end"}


def expectations(world: Decisions, policy_SA: Floats, steps: int) -> tuple[Floats, Floats]:
    """Reward and costs of a policy in an episode that is cut after so many steps, as (C + 1) numbers, and
    how often an episode goes on after each of the steps. Not by the program: mass is pushed forward.

    >>> on = Decisions(np.array([[[0.5]]]), np.ones(1), np.ones((1, 1)), np.zeros((0, 1, 1)))
    >>> [x.tolist() for x in expectations(on, np.ones((1, 1)), 3)]
    [[1.75], [0.5, 0.25, 0.125]]
    """
    reward_SA = np.where(policy_SA > 0, world.reward_SA, 0.0)
    gained_KS = (np.concatenate([reward_SA[None], world.cost_CSA]) * policy_SA).sum(axis=2)
    move_SS = np.einsum("sa,sat->st", policy_SA, world.moves_SAS)
    mass_S, total_K, alive = world.start_S, np.zeros(len(gained_KS)), list[float]()
    for _ in range(steps):
        total_K = total_K + gained_KS @ mass_S
        mass_S = mass_S @ move_SS
        alive.append(float(mass_S.sum()))
    return total_K, np.array(alive)


def _check(world: Decisions, limit_C: Sequence[float]) -> None:
    states, actions = world.reward_SA.shape
    shapes = (world.moves_SAS.shape, world.start_S.shape, world.cost_CSA.shape)
    expected = ((states, actions, states), (states,), (len(limit_C), states, actions))
    if shapes != expected:
        raise ValueError(f"moves, start and costs of the shapes {shapes}: expected {expected}")
    total_SA = world.moves_SAS.sum(axis=2)
    if (world.moves_SAS < 0).any() or (total_SA > 1 + 1e-9).any() or (world.start_S < 0).any():
        raise ValueError("probabilities are not negative, and those of one action are 1 at most")


def _policy(visits_SA: Floats, possible_SA: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Each state's visits, normalised."""
    found_SA = np.where(visits_SA > _LITTLE, visits_SA, 0.0)
    never_S = found_SA.sum(axis=1) == 0
    first_SA = np.cumsum(np.cumsum(possible_SA, axis=1), axis=1) == 1
    found_SA = np.where(never_S[:, None], first_SA, found_SA)
    return found_SA / found_SA.sum(axis=1, keepdims=True)
