"""Value iteration against numbers by hand and against playing every way there is.

Mutants: a discount, the value of the turn before last, an end that goes on, ties that are cut to the first,
things that decay before they are visited or all together.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from accord.maths.grids import CORRIDOR, STEPS, find, seen, stands, walked
from accord.maths.solving import Ints, best, certain, floor, plays, way
from accord.maths.upkeep import Upkeep, best_rounds
from accord.records.rows import Floats

RNG = np.random.default_rng(3)
TO_SA: Ints = np.array([[1, 2], [2, 0], [-1, 1]])
REWARD_SA = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 1.0]])
SECOND_SA = np.array([[1.0, -1.0], [2.0, 0.0], [5.0, 1.0]])


def value(moves_SAS: Floats, reward_SA: Floats, action_TS: Ints) -> Floats:
    """What a play is worth, by any reward: each state's, with t turns left."""
    value_TS, state_S = np.zeros(action_TS.shape), np.arange(len(reward_SA))
    for t in range(1, len(action_TS)):
        action_S = action_TS[t]
        value_TS[t] = reward_SA[state_S, action_S] + moves_SAS[state_S, action_S] @ value_TS[t - 1]
    return value_TS


def every(turns: int, start: int) -> dict[float, set[float]]:
    """Of all ways of so many turns: what they bring, and the second rewards that go with it."""
    found: dict[float, set[float]] = {}
    for actions in product(range(2), repeat=turns):
        state, first, second = start, 0.0, 0.0
        for action in actions:
            if state < 0:
                break
            first, second = first + REWARD_SA[state, action], second + SECOND_SA[state, action]
            state = int(TO_SA[state, action])
        found.setdefault(first, set()).add(second)
    return found


@pytest.mark.parametrize("start", [0, 1, 2])
def test_the_best_plays_are_those_of_all_that_there_are(start: int) -> None:
    for turns in range(1, 7):
        ways = every(turns, start)
        assert best(certain(TO_SA), REWARD_SA, turns).value_TS[turns, start] == max(ways)
        assert plays(TO_SA, REWARD_SA, SECOND_SA, turns)[turns][start] == ways[max(ways)]
        for goal in ways[max(ways)]:
            taken = way(TO_SA, REWARD_SA, SECOND_SA, turns, start, goal)
            state, total = start, 0.0
            for action in taken:
                total, state = total + SECOND_SA[state, action], int(TO_SA[state, action])
            assert total == goal


def test_chance_is_expected_and_no_other_play_is_worth_more() -> None:
    moves_SAS = RNG.dirichlet(np.ones(5), size=(4, 2))[:, :, :4]  # the fifth: it ends
    reward_SA = RNG.normal(size=(4, 2))
    solved = best(moves_SAS, reward_SA, 5)
    assert value(moves_SAS, reward_SA, solved.action_TS) == pytest.approx(solved.value_TS, abs=1e-12)
    for _ in range(200):
        other = value(moves_SAS, reward_SA, RNG.integers(0, 2, size=(6, 4)))
        assert (other <= solved.value_TS + 1e-12).all()


def test_two_readings_of_a_map_agree() -> None:
    corridor = floor(CORRIDOR)
    for state in range(len(corridor.sign_S)):
        places = [(r, c) for r, line in enumerate(CORRIDOR) for c, cell in enumerate(line) if cell != "#"]
        here = find(CORRIDOR, "A")._replace(row=places[state][0], column=places[state][1])
        assert stands(seen(CORRIDOR, here)) == state
        led = [places.index(tuple(walked(CORRIDOR, here, step))) for step in STEPS]  # type: ignore[arg-type]
        assert corridor.to_SA[state].tolist() == led


def test_rounds_are_those_of_plain_value_iteration_over_all_sets() -> None:
    to_SA, thing_S = np.array([[0, 1], [0, 2], [1, 3], [2, 3]]), np.array([0, -1, 1, -1])
    world = Upkeep(to_SA, thing_S, 0.3, 0.5, np.array([np.nan, np.nan, np.nan, 0.8]))
    found = best_rounds(world, 6)
    solved = best(*_spelled_out(world), 6)
    assert found.value_SM.ravel() == pytest.approx(solved.value_TS[-1], abs=1e-12)
    assert (found.action_TSM[1:].reshape(6, -1) == solved.action_TS[1:]).all()


def _spelled_out(world: Upkeep) -> tuple[Floats, Floats]:
    """P(s'|s, a) and rewards over (cell, set), each of the two things on its own."""
    moves, reward = np.zeros((16, 2, 16)), np.zeros((16, 2))
    for cell, one, two, action in product(range(4), (0, 1), (0, 1), (0, 1)):
        there = int(world.to_SA[cell, action])
        good = (one or world.thing_S[there] == 0, two or world.thing_S[there] == 1)
        for kept in product((0, 1), repeat=2):
            p = np.prod(
                [((0.7 if k else 0.3) if g else float(not k)) for g, k in zip(good, kept, strict=True)]
            )
            flat = world.flat_S[there]
            moves[cell * 4 + one + 2 * two, action, there * 4 + kept[0] + 2 * kept[1]] += p
            reward[cell * 4 + one + 2 * two, action] += p * (0.5 * sum(kept) if np.isnan(flat) else flat)
    return moves, reward
