"""Memory and costs in little worlds: carried from round to round, averaged over windows, given to the first.

Mutants: a Memory that starts anew each round, an unweighted mean, costs that are another answer's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accord.methods.grpo import GRPO
from accord.testing import Data, Schedule, bandit, enumerated, expected_gradient, trained
from accord.testing.memories import mean_of
from accord.testing.optimum import _Run


class Counting(GRPO):
    """Remembers how many windows it saw and the mean cost of all of them."""

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, _ = super().batch(window, {}, rng)
        cost = float(window.column("cost:c").mean())
        seen = float(memory.get("seen", 0.0))
        costs = [*memory.get("costs", []), cost][-2:]
        return batch, {"seen": seen + 1.0, "costs": costs, "kind": "counting"}


METHOD = Counting(n=2, beta=0.5, scale_std=False)


def cost_of() -> np.ndarray:
    return np.array([[1.0, 0.0, 2.0, 5.0]])


def test_a_row_has_the_cost_of_its_answer() -> None:
    little = bandit()
    run = _Run(METHOD, little, Data(cost_PA=cost_of()))
    for case in run.listed(1):
        assert [row.columns["cost:c"] for row in case.rows] == [cost_of()[place] for place in case.places]
    assert all(
        "cost:c" not in row.columns for case in _Run(METHOD, little, Data()).listed(1) for row in case.rows
    )


def test_the_expected_memory_is_that_of_the_expected_cost() -> None:
    little = bandit()
    found = enumerated(METHOD, little, data=Data(cost_PA=cost_of()), rounds=1).memory
    start = float((little.shares(little.start()) * cost_of()).sum())
    assert found["kind"] == "counting"
    assert found["seen"] == pytest.approx(2.0)
    assert found["costs"][0] == pytest.approx(start)  # type: ignore[index]


def test_the_first_window_finds_the_memory_that_is_given() -> None:
    little = bandit()
    data = Data(cost_PA=cost_of(), memory={"seen": 10.0, "costs": []})
    assert enumerated(METHOD, little, data=data, rounds=1).memory["seen"] == pytest.approx(12.0)
    assert trained(METHOD, little, 0, Schedule(windows=3, together=1), data).memory["seen"] == 13.0
    assert expected_gradient(METHOD, little, little.start(), data=data).largest > 0


def test_means_are_weighted_and_what_is_no_number_is_kept() -> None:
    left: list[Any] = [(1.0, {"a": 1.0, "b": ["x", 2]}), (3.0, {"a": 5.0, "b": ["x", 2]})]
    assert mean_of(left) == {"a": 4.0, "b": ["x", 2]}
    assert mean_of([(0.5, {}), (0.5, {})]) == {}
