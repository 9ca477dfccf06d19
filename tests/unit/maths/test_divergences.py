"""Mutants these kill: k1 the wrong way round, k2 without its half, k3 with e⁺ʳ, sums across answers."""

from __future__ import annotations

import numpy as np
import pytest

from accord.maths.divergences import best_of_n_bound, k1, k2, k3, totals

P = np.array([0.5, 0.3, 0.15, 0.05])
Q = np.array([0.2, 0.3, 0.1, 0.4])


def test_k1_and_k3_average_to_the_reverse_divergence() -> None:
    kl = float((P * np.log(P / Q)).sum())
    assert kl != pytest.approx(float((Q * np.log(Q / P)).sum()), abs=0.1)
    assert float((P * k1(np.log(P), np.log(Q))).sum()) == pytest.approx(kl, abs=1e-12)
    assert float((P * k3(np.log(P), np.log(Q))).sum()) == pytest.approx(kl, abs=1e-12)


def test_k2_has_the_divergence_to_second_order() -> None:
    near = P + np.array([1e-3, -1e-3, 5e-4, -5e-4])
    kl = float((P * np.log(P / near)).sum())
    assert float((P * k2(np.log(P), np.log(near))).sum()) == pytest.approx(kl, rel=0.02)


def test_k3_is_never_negative_and_keeps_its_digits_near_zero() -> None:
    ratios = np.array([-30.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 700.0])
    found = k3(ratios, np.zeros(7))
    assert (found >= 0).all()
    assert found[4] == pytest.approx(5e-19, rel=1e-3, abs=0)
    assert found[6] == pytest.approx(699.0)


def test_other_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="other tokens"):
        k1(np.zeros(3), np.zeros(1))
    with pytest.raises(ValueError, match=r"sum to 2 for 3"):
        totals(np.zeros(3), np.array([1, 1]))
    with pytest.raises(ValueError, match=r"sum to 3"):
        totals(np.zeros(3), np.array([4, -1]))


def test_the_bound_of_best_of_n_is_the_divergence_without_ties() -> None:
    # The best of n of m equally likely answers, m large: P(k-th worst is best) = (kⁿ − (k−1)ⁿ)/mⁿ.
    m, n = 20_000, 4
    k = np.arange(m + 1) / m
    chosen = np.diff(k**n)
    assert best_of_n_bound(n) == pytest.approx(float((chosen * np.log(chosen * m)).sum()), abs=1e-3)
    with pytest.raises(ValueError, match="at least 1"):
        best_of_n_bound(0)
