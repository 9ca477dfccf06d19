"""Parity says no to every way in which two computations can differ."""

from __future__ import annotations

import numpy as np
import pytest
from compare.parity import LIMIT, compared

A = np.linspace(-1.0, 1.0, 50)
B = np.linspace(3.0, 4.0, 8).reshape(2, 4)


def verdict(loss=(2.0, 2.0), **ours):
    return compared(loss, {"a": A, "b": B, **ours}, {"a": A, "b": B})


def test_the_same_is_the_same():
    found = verdict()
    assert found["passed"] and found["gradient_gap"] == 0.0 and found["tensors"] == 2


def test_rounding_passes_and_twice_the_limit_does_not():
    assert verdict(a=A * (1 + LIMIT / 2))["passed"]
    assert not verdict(a=A * (1 + 2 * LIMIT))["passed"]
    assert verdict(loss=(2.0 * (1 + LIMIT / 2), 2.0))["passed"]
    assert not verdict(loss=(2.0 * (1 + 2 * LIMIT), 2.0))["passed"]


def test_one_small_wrong_tensor_is_not_hidden_by_large_ones():
    small = np.full(4, 1e-3)
    found = compared((1.0, 1.0), {"b": 100 * B, "s": -small}, {"b": 100 * B, "s": small})
    assert found["gradient_gap"] < LIMIT and not found["passed"]
    assert next(iter(found["worst"])) == "s" and found["worst"]["s"] == pytest.approx(2.0)


def test_what_is_only_rounding_is_held_against_the_whole():
    noise = np.full(4, 1e-12)
    assert compared((1.0, 1.0), {"b": B, "z": noise}, {"b": B, "z": 0 * noise})["passed"]
    assert not compared((1.0, 1.0), {"b": B, "z": noise + 1e-3}, {"b": B, "z": 0 * noise})["passed"]


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_fails(broken):
    assert not verdict(a=np.where(A[0] == A, broken, A))["passed"]
    assert not verdict(loss=(broken, 2.0))["passed"]
    assert not verdict(loss=(2.0, broken))["passed"]


def test_a_missing_or_reshaped_tensor_fails_and_is_named():
    assert compared((1.0, 1.0), {"a": A}, {"a": A, "b": B})["unmatched"] == ["b"]
    assert not compared((1.0, 1.0), {"a": A}, {"a": A, "b": B})["passed"]
    assert not compared((1.0, 1.0), {"a": A, "b": B.T}, {"a": A, "b": B})["passed"]
    assert not compared((1.0, 1.0), {}, {})["passed"]
