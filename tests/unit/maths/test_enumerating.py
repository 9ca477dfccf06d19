"""The best of n and the optimum by listing, against every draw there is and against the exact test's optimum.

Mutants: F(y−) left out, ties given to the first, a tie's mass not by share, β multiplied, the bound at n − 1.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from accord.maths.divergences import best_of_n_bound
from accord.maths.enumerating import kl, of_best, tilted, variation, variation_bound
from accord.testing.optimum import optimum, strings


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_best_of_n_is_what_all_draws_of_n_come_to(n: int) -> None:
    share, proxy = np.array([0.1, 0.3, 0.2, 0.4]), np.array([2.0, 1.0, 1.0, 0.5])
    listed = np.zeros(4)
    for draws in product(range(4), repeat=n):
        first = max(draws, key=lambda i: proxy[i])  # of equals the first that came
        listed[first] += math.prod(share[list(draws)])
    assert of_best(share, proxy, n) == pytest.approx(listed, abs=1e-12)


def test_the_bounds_hold_and_are_reached_where_no_answer_weighs_much() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 64):
        for proxy in (rng.normal(size=40), rng.integers(0, 5, 40).astype(float)):
            share = rng.dirichlet(np.ones(40))
            chosen = of_best(share, proxy, n)
            assert chosen.sum() == pytest.approx(1)
            assert kl(chosen, share) <= best_of_n_bound(n) + 1e-12
            assert variation(chosen, share) <= variation_bound(n) + 1e-12
        fine = np.full(100_000, 1e-5)
        chosen = of_best(fine, np.arange(100_000.0), n)
        assert kl(chosen, fine) == pytest.approx(best_of_n_bound(n), abs=1e-4)
        assert variation(chosen, fine) == pytest.approx(variation_bound(n), abs=1e-4)


def test_the_optimum_is_that_of_the_exact_test_and_no_other_is_better() -> None:
    little = strings(3)
    share, reward = little.shares(little.start())[0], little.reward_PA[0]
    best = tilted(share, reward, 0.5)
    assert best == pytest.approx(little.shares(optimum(little, 0.5))[0], abs=1e-12)
    value = best @ reward - 0.5 * kl(best, share)
    assert value == pytest.approx(0.5 * math.log(float(share @ np.exp(reward / 0.5))))
    rng = np.random.default_rng(0)
    for _ in range(50):
        other = 0.9 * best + 0.1 * rng.dirichlet(np.ones(best.size))
        assert other @ reward - 0.5 * kl(other, share) < value


def test_what_is_no_number_of_answers_or_no_penalty_is_refused() -> None:
    one = np.ones(1)
    for call in (lambda: of_best(one, one, 0), lambda: variation_bound(0), lambda: tilted(one, one, 0.0)):
        with pytest.raises(ValueError, match="expected"):
            call()
