"""ipo reaches the optimum of the design's table, by enumeration, with pairs y, y′ ∼ π_ref.

On the bandit π_ref·exp(E P(y≻y′)/β); on strings, whose answers differ in length L, π_ref·exp(L(E P/β + c)).
Mutants: sums for means over tokens (which reach the bandit's form on strings), 1/β for 1/2β, the sign.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from accord.methods.ipo import IPO
from accord.testing.optimum import Little, Tables, bandit, distance, enumerated, expected_gradient, strings

BETA = 0.5


def preferred(little: Little) -> np.ndarray:
    """E P(y ≻ y′) over y′ ∼ π_ref, P(y ≻ y) = ½, by Bradley–Terry of the reward."""
    reward = little.reward_PA
    p = 1 / (1 + np.exp(reward[:, None, :] - reward[:, :, None]))
    return (p * little.shares(little.start())[:, None, :]).sum(axis=2)


def target(little: Little, beta: float) -> Tables:
    """One prompt; c is what makes the shares add up to 1."""
    length_A = np.array([len(answer) for answer in little.answers])
    share_A, wanted_A = little.shares(little.start())[0], preferred(little)[0]

    def shares(c: float) -> np.ndarray:
        return share_A * np.exp(length_A * (wanted_A / beta + c))

    c = float(brentq(lambda c: float(shares(c).sum()) - 1, -50, 50, xtol=1e-14))
    return little.tables(shares(c)[None])


def test_it_reaches_the_target_on_the_bandit() -> None:
    for seed in range(3):
        little = bandit(seed)
        share = little.shares(little.start()) * np.exp(preferred(little) / BETA)
        wanted = little.tables(share / share.sum())
        found = enumerated(IPO(beta=BETA), little)
        assert distance(little, found.tables, wanted) <= 1e-6
        assert distance(little, little.start(), wanted) > 0.02, "it was not there already"


def test_it_reaches_the_target_on_short_strings() -> None:
    little = strings(bits=2)
    found = enumerated(IPO(beta=BETA), little, rounds=400)
    assert distance(little, found.tables, target(little, BETA)) <= 1e-3


@pytest.mark.parametrize("little", [bandit(), strings()], ids=["bandit", "strings"])
def test_the_target_is_where_it_has_nothing_more_to_teach(little: Little) -> None:
    assert expected_gradient(IPO(beta=BETA), little, target(little, BETA)).largest <= 1e-8
    assert expected_gradient(IPO(beta=BETA), little, target(little, 0.4)).largest >= 1e-3


def test_on_strings_the_form_without_lengths_is_not_the_target() -> None:
    little = strings()
    share = little.shares(little.start()) * np.exp(preferred(little) / BETA)
    other = little.tables(share / share.sum())
    assert expected_gradient(IPO(beta=BETA), little, other).largest >= 1e-3
