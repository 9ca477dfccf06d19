"""The isotonic map against every map on a grid that keeps the order, and its symmetry.

Mutants these kill: pools unweighed, a label counted from one side, equal p told apart by their last bit.
"""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
import pytest

from accord.maths.isotonic import fitted, rising


def test_nothing_that_rises_is_nearer() -> None:
    draw = np.random.default_rng(0)
    grid = np.linspace(0, 1, 21)
    for _ in range(5):
        y, weight = draw.integers(21, size=4) / 20, draw.integers(1, 4, size=4) * 1.0
        best = min(
            float((weight * (np.array(some) - y) ** 2).sum())
            for some in combinations_with_replacement(grid, 4)
        )
        found = rising(y, weight)
        assert (np.diff(found) >= 0).all()
        assert float((weight * (found - y) ** 2).sum()) <= best + 1e-12
        # Of each pool the mean is kept, so the whole is.
        assert float(weight @ found) == pytest.approx(float(weight @ y))


def test_it_is_the_same_from_the_other_side() -> None:
    draw = np.random.default_rng(1)
    p = draw.random(200)
    g = fitted(p, (draw.random(200) < p**2) * 1.0)
    assert g(0.5) == 0.5
    for one in (0.0, 0.1, 0.3, 0.45, 0.7, 1.0):
        assert g(1 - one) == pytest.approx(1 - g(one), abs=1e-15)
    assert all(g(a) <= g(b) + 1e-15 for a, b in zip(p, p + 0.01, strict=True))


def test_a_second_fit_is_the_identity() -> None:
    draw = np.random.default_rng(2)
    p, right = draw.random(150), (draw.random(150) < 0.6) * 1.0
    g = fitted(p, right)
    again = fitted(np.array([g(one) for one in p]), right)
    for one in np.linspace(0, 1, 41):
        assert again(g(one)) == pytest.approx(g(one), abs=1e-9)


def test_labels_of_one_p_are_of_one_p() -> None:
    """1 − .7 is .30000000000000004: were that another p than .3, its labels 1 and 0 would make a step."""
    g = fitted(np.array([0.3, 0.7]), np.array([0.0, 0.0]))
    assert (g(0.3), g(0.7)) == (0.5, 0.5)


@pytest.mark.parametrize(("p", "right"), [([], []), ([0.5], [1.0, 0.0]), ([1.5], [1.0]), ([0.5], [np.nan])])
def test_what_are_no_labels(p: list[float], right: list[float]) -> None:
    with pytest.raises(ValueError, match=r"expected as many|outside \[0, 1\]"):
        fitted(np.array(p), np.array(right))
