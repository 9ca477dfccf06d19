"""Calibration error: a figure that is no mean, in an indicator, a guard and an audit.

Mutants that must be killed: the mean of outcomes in its place, an interval that leaves the figure out, a
base taken off item by item, right and wrong exchanged.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from accord.indicators.calibration_error import CalibrationError, error
from accord.maths.calibration import ece
from accord.maths.resampling import figured, figured_change
from accord.panels import read_panel
from accord.ports import How, Pooled
from accord.probing import Prober, Sitting
from accord.records import Reading
from accord.records.panels import Panel
from accord.testing.organisms import Exam, Planted, Rates, organism, twin
from accord.worker import Worker


def test_the_error_is_read_back_from_outcomes() -> None:
    rng = np.random.default_rng(1)
    p_I, right_I = rng.uniform(0.25, 1, 300), (rng.uniform(size=300) < 0.6).astype(float)
    assert error((1 + p_I - right_I) / 2) == pytest.approx(ece(p_I, right_I), abs=1e-12)
    assert error(np.array([0.5, 0.5])) == 0.0, "wholly sure and right"


def test_a_confidence_that_is_true_has_a_small_error_and_a_boast_a_large_one() -> None:
    rng = np.random.default_rng(2)
    p_I = rng.uniform(0.25, 1, 4000)
    right_I = (rng.uniform(size=4000) < p_I).astype(float)
    assert ece(p_I, right_I) < 0.03
    assert ece(np.full(4000, 0.99), right_I) == pytest.approx(0.99 - right_I.mean())
    with pytest.raises(ValueError, match="as many"):
        ece(p_I, right_I[:5])


def test_its_interval_holds_it_though_resamples_lie_higher() -> None:
    rng = np.random.default_rng(3)
    p_I = rng.uniform(0.25, 1, 200)
    outcomes = (1 + p_I - (rng.uniform(size=200) < p_I)) / 2
    found = figured(error, outcomes, np.random.default_rng(0))
    resampled = [error(outcomes[np.random.default_rng(k).integers(200, size=200)]) for k in range(50)]
    assert np.mean(resampled) > found.value, "a bootstrap's percentiles would leave it out or nearly so"
    assert found.low < found.value < found.high
    moved = figured_change(error, outcomes, outcomes, np.random.default_rng(0))
    assert moved == (0.0, 0.0, 0.0)


def test_a_model_that_boasts_is_found_and_its_twin_is_not() -> None:
    """As planted: a guard reads the error of all drawn items, and that of the base on the same ones."""
    exam = Exam.shipped(most=40)
    base, sick, well = Planted("base", exam, Rates()), organism("collapser", exam), twin("collapser", exam)
    one = CalibrationError()
    assert isinstance(one, Pooled) and one.tier == "report"
    items = exam.panels["choices"].items
    planted = error(np.array(asyncio.run(one.observe(items, sick, How("k"))).outcomes["ece"]))
    with Worker() as worker:
        prober = Prober("run/stage", {"choices": Panel("choices", items)}, base, worker)
        readings = {m.policy: prober.read(one, Sitting(0, 1, m, 200)).readings[0] for m in (sick, well, base)}
    ill, quiet, same = (readings[m.policy] for m in (sick, well, base))
    assert isinstance(ill, Reading) and isinstance(quiet, Reading) and isinstance(same, Reading)
    assert ill.value == error(np.array(ill.outcomes)) == pytest.approx(planted, abs=0.08)
    assert ill.base == error(np.array(ill.anchors)) == same.value
    assert ill.change_low is not None and ill.change_low > 0.05
    assert quiet.change is not None and quiet.change < 0.05
    assert (same.change, same.change_low, same.change_high) == (0.0, 0.0, 0.0)


def test_the_panel_that_ships_has_the_thousand_that_it_takes() -> None:
    assert sum(map(CalibrationError().takes, read_panel("choices").items)) >= 1000
