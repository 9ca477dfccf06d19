"""Razor: KL and forgetting exactly, the fit through the origin, and runs that do not solve the task left out.

Mutants: the KL the other way round, a fit with an intercept, R² of a straight line, a run below 95 % in the
mean or in the fit, an oracle that is even over the right digits, one task's prompts for the other's.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.records.rows import Floats
from accord.studies import razor
from accord.studies.arms import Cell, Measured
from accord.studies.port import Setting
from accord.studies.razor import Razor, apart, explained, fitted, renormalised
from accord.worker import Worker
from accord.worlds.parity import ParityDigits, right, truths

TOML = tomllib.loads((resources.files("accord.studies") / "razor.toml").read_text("utf-8"))
SMALL = {
    **TOML,
    "images": {"test": 30, "read": 160, "parity": 40, "taught": 64},
    "base": {"layers": [24], "pace": [6, 16, 3e-3]},
    "sft": {"epochs": 2, "at_once": 32},
    "grpo": {"windows": 2, "images": 8, "n": 4},
    "rates": {arm: [1e-3] for arm in ("sft_1", "sft_2", "oracle", "grpo")},
}


def test_kl_by_hand_and_which_way_round() -> None:
    base, now = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.75, 0.25], [0.5, 0.5]])
    first, second = 0.5 * math.log(4 / 3), math.log(2)
    assert apart(base, now) == pytest.approx((first + second) / 2)
    assert apart(now, base) == math.inf and apart(base, base) == 0


@given(
    st.lists(st.floats(0.01, 1), min_size=4, max_size=4), st.lists(st.floats(0.01, 1), min_size=4, max_size=4)
)
def test_of_all_that_is_always_right_the_oracle_is_nearest(base: list[float], other: list[float]) -> None:
    """By KL(π‖π_ref), which is what a policy that is always right can be near in."""
    p, q = (np.array([one]) / sum(one) for one in (base, other))
    right = np.array([[True, False, True, True]])
    oracle, rival = renormalised(p, right), np.where(right, q, 0) / q[right].sum()
    assert oracle.sum() == pytest.approx(1) and oracle[0, 1] == 0
    assert apart(oracle, p) <= apart(rival, p) + 1e-9


def test_the_fit_by_hand() -> None:
    kl = np.array([0.5, 1.0, 2.0, 4.0])
    assert fitted(kl, 3 * kl - 0.5 * kl**2) == pytest.approx((3, -0.5))
    assert explained(kl, 3 * kl - 0.5 * kl**2) == 1
    assert explained(kl, np.array([1.0, 1.0, 1.0, 1.0]) + 0.1 * kl) < 0.9, "an intercept would give 1"


def cell(arm: str, runs: list[tuple[float, float, float]]) -> Measured:
    names = ("kl", "forgotten", "new")
    items = {n: {f"run {k}": run[i] for k, run in enumerate(runs)} for i, n in enumerate(names)}
    return Measured(arm, 0, "measured", items=items)


def test_runs_that_do_not_solve_the_task_are_in_neither_figure() -> None:
    study = Razor.model_validate(TOML)
    cells = [
        cell("base", [(0.0, 0.0, 0.7)]),
        cell("sft_1", [(1.0, 0.3, 0.96), (2.0, 0.8, 0.97), (0.1, 0.9, 0.94)]),
        cell("grpo", [(0.5, 0.1375, 0.95), (0.2, 0.052, 0.99)]),
        cell("oracle", [(0.2, 0.9, 0.5)]),
    ]
    found = study.across({one.arm: one for one in cells})
    assert found["sft_1"]["kept"]["seed"] == pytest.approx(-0.55)
    assert found["sft_1"]["solved"]["seed"] == pytest.approx(2 / 3)
    assert found["grpo"]["kept"]["seed"] == pytest.approx(-0.09475)
    assert "kept" not in found["oracle"] and found["oracle"]["solved"] == {"seed": 0.0}
    assert found["base"]["r2"]["seed"] == pytest.approx(
        explained(np.array([1.0, 2.0, 0.5, 0.2]), np.array([0.3, 0.8, 0.1375, 0.052]))
    )
    assert "base" not in study.across({one.arm: one for one in cells[:2]}), "two runs are no fit"


class Knows:
    """Reads every digit, and says any digit of its parity for the new task; remembers what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[ParityDigits, str, list[float]]] = []

    def show(self, config: ParityDigits, names: Sequence[str], target_IK: Floats, *_: int) -> None:
        self.shown += [(config, name, one) for name, one in zip(names, target_IK.tolist(), strict=True)]

    def policy(self, config: ParityDigits, names: Sequence[str]) -> Floats:
        digits = truths(config, names).values()
        said_IK = np.array([[right(config, cast(int, one), word) for word in config.said] for one in digits])
        return said_IK / said_IK.sum(axis=1, keepdims=True)


def test_each_task_is_asked_by_its_own_prompts(tmp_path: Path) -> None:
    study = Razor.model_validate(SMALL)
    with Worker() as worker:
        school: Any = razor._School(study, 0, tmp_path, worker, False)
        school.__dict__["_said"] = school._tested(Knows())
        found = school.done(Cell("base", 0, tmp_path / "base-0"))
    told = {name: values["run 0"] for name, values in found.items.items()}
    assert told == pytest.approx({"kl": 0, "forgotten": 0, "new": 1, "old": 1})


def test_the_new_task_is_taught_and_its_labels_are_those_of_the_arm(tmp_path: Path) -> None:
    study = Razor.model_validate(SMALL)
    with Worker() as worker:
        school: Any = razor._School(study, 0, tmp_path, worker, False)
        for arm, said in {"sft_1": ("0", "1"), "sft_2": ("04", "15"), "oracle": ("02468", "13579")}.items():
            pupil = Knows()
            school._by_labels(pupil, arm, school._vault(Cell(arm, 0, tmp_path / arm)))
            assert len(pupil.shown) == 2 * 64 and {config for config, *_ in pupil.shown} == {ParityDigits()}
            for config, name, told in pupil.shown:
                words = said[cast(int, truths(config, [name])[name]) % 2]
                assert told == pytest.approx([(word in words) / len(words) for word in "0123456789"])


def test_every_arm_at_small_settings(tmp_path: Path) -> None:
    study = Razor.model_validate(SMALL)
    cells: dict[str, Measured] = {}
    with study.opened(Setting(tmp_path, 1, study.arms), 0) as do:
        for arm in study.arms:
            cells[arm] = do(Cell(arm, 0, tmp_path / f"{arm}-0"))
    base = {name: values["run 0"] for name, values in cells["base"].items.items()}
    assert base["kl"] == 0 == base["forgotten"] and 0.1 < base["old"] < 1
    for arm in ("sft_1", "sft_2", "oracle", "grpo"):
        found = {name: values["run 0"] for name, values in cells[arm].items.items()}
        assert found["kl"] > 0 and found["forgotten"] == pytest.approx(base["old"] - found["old"])
    kl = {arm: one.items["kl"]["run 0"] for arm, one in cells.items()}
    assert kl["oracle"] < kl["sft_1"], (
        "one digit for all even images is farther than the base's own right ones"
    )
    figures = {arm: one.figures for arm, one in cells.items()}
    assert figures["grpo"]["truths_leaf"] == 64 and figures["grpo"]["truths_fit"] == 0
    assert figures["sft_1"]["truths_fit"] == 64 and figures["base"]["truths_fit"] == 0
