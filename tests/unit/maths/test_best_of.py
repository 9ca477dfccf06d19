"""The best of n: exact against every subset, and a planted turn is found where gold turns and nowhere else.

Mutants these kill: the worst for the best, ties by place, i for i − 1, an interval over points.
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from accord.maths.best_of import MOST, best_of, distance, turning

TRIED = [1, 2, 4, 8, 16, 32, MOST]


def test_it_is_the_mean_over_all_subsets() -> None:
    rng = np.random.default_rng(0)
    proxy, gold = rng.permutation(7).astype(np.float64), rng.normal(size=7)
    for n in range(1, 8):
        picked = [gold[max(some, key=lambda i: proxy[i])] for some in combinations(range(7), n)]
        assert best_of(proxy, gold, [n])[0] == pytest.approx(float(np.mean(picked)))


def test_ties_are_broken_by_lot() -> None:
    proxy, gold = np.array([1.0, 1.0, 0.0]), np.array([4.0, 0.0, 9.0])
    assert best_of(proxy, gold, [1, 2, 3]).tolist() == pytest.approx([13 / 3, 2.0, 2.0])
    assert best_of(proxy, gold[[1, 0, 2]], [2, 3]).tolist() == pytest.approx([2.0, 2.0])
    with pytest.raises(ValueError, match="best of 4 among 3"):
        best_of(proxy, gold, [4])


def test_a_turn_is_found_where_it_is() -> None:
    rng = np.random.default_rng(1)
    d = np.array([distance(n) for n in TRIED])
    for peak in (0.8, 1.4):
        curves = np.stack([d * (2 * peak - d) + 0.1 * rng.normal(size=d.size) for _ in range(100)])
        found = turning(curves, TRIED, rng)
        assert found.low < peak < found.high < distance(MOST)
    rises = np.stack([d + 0.1 * rng.normal(size=d.size) for _ in range(100)])
    assert turning(rises, TRIED, rng).high == math.inf
    assert turning(-rises, TRIED, rng).value == 0.0, "what only falls is highest at the start"
    assert turning(np.stack([-d - d**2] * 3), TRIED, rng) == (0.0, 0.0, 0.0)
