"""Overoptimisation: peaks as they are known, fits that count no later than the way goes, exact points.

Mutants: a fit of the whole way, a peak of the proxy instead of gold, a fit beyond the way that counts as it
is, proxies of one size, a penalty that is not handed on, gold that is scored before anything was sealed.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from accord.maths.overuse import Form
from accord.records.rows import Floats
from accord.studies import read_study
from accord.studies.arms import Cell, Measured
from accord.studies.overoptimisation import Overoptimisation, Read, fallen_at, peak_of_curve, read_off
from accord.studies.port import Setting
from accord.worlds.strings import Strings, along_best

SEED = 100


def study(**changed: object) -> Overoptimisation:
    made = read_study("overoptimisation")
    assert isinstance(made, Overoptimisation)
    small = {"windows": 24, "answers": 8, "labels": (500, 4000), "penalties": (2.0,)}
    return Overoptimisation.model_validate({**made.model_dump(), **small, **changed})


def done(made: Overoptimisation, *arms: str) -> dict[str, Measured]:
    with made.opened(Setting(Path(), 1, arms), SEED) as do:
        return {arm: do(Cell(arm, SEED, Path(f"{arm}-{SEED}"))) for arm in arms}


def read(curve: Form, d: Floats, gold: Floats, share: float) -> Read:
    return read_off(peak_of_curve(curve, d, gold, share), d, gold)


def test_the_peak_of_a_curve_of_reinforcement_is_found() -> None:
    d = np.linspace(0, 4, 41)
    gold = d * (1.5 - np.log(np.maximum(d, 1e-9)))
    found = read("rl", d, gold, 0.3)
    assert found.fitted == pytest.approx(math.exp(0.5)) and found.peak == pytest.approx(1.6)
    assert found.off == pytest.approx(math.exp(0.5) / 1.6 - 1)
    assert (found.reached, found.last) == (4.0, pytest.approx(4 * (1.5 - math.log(4))))


def test_a_cliff_behind_the_turn_moves_no_fit_and_no_peak_is_later_than_the_way() -> None:
    d = np.linspace(0, 3, 31)
    smooth = d * (3 - d)
    cliff = np.where(d > 2.85, -40.0, smooth)
    assert fallen_at(cliff, 0.3) == fallen_at(smooth, 0.3) == 29
    assert read("best_of_n", d, cliff, 0.3).fitted == pytest.approx(1.5)
    assert read("best_of_n", d, cliff, -99.0).fitted < 1.3
    rising = read("best_of_n", d, d * (9 - d), 0.3)
    assert (rising.peak, rising.fitted, rising.off) == (3.0, 3.0, 0.0), "4.5 was never reached"
    with pytest.raises(ValueError, match="no curve"):
        read("rl", d[:4], d[:4], 0.3)


def test_the_best_of_n_is_exact_and_turns_later_for_a_larger_proxy() -> None:
    found = done(study(), "best_of_n-40", "best_of_n-296", "best_of_n-488")
    numbers = sorted({round(2 ** (k / 4)) for k in range(33)})
    along = along_best(Strings(table=SEED, reach=0, labels=500), numbers)
    best = max(along, key=lambda at: at.gold)
    small = found["best_of_n-40"].items
    assert small["peak"]["500 labels"] == pytest.approx(best.d)
    assert small["highest"]["500 labels"] == pytest.approx(best.gold)
    assert small["lost"]["500 labels"] == pytest.approx(best.gold - along[-1].gold)
    assert small["proxy"]["500 labels"] == pytest.approx(along[-1].proxy)
    fitted, off = (
        {arm: np.mean([*cell.items[figure].values()]) for arm, cell in found.items()}
        for figure in ("fitted", "off")
    )
    assert fitted["best_of_n-40"] < fitted["best_of_n-296"] < fitted["best_of_n-488"]
    assert max(off.values()) < 0.2
    for cell in found.values():
        for task, value in cell.items["off"].items():
            peak, fit = cell.items["peak"][task], cell.items["fitted"][task]
            assert value == pytest.approx(abs(fit - peak) / peak)


def test_a_policy_goes_away_from_the_base_and_a_penalty_holds_it_near() -> None:
    found = done(study(labels=(500, 1000)), "rl-40", "kl-40")
    free, held = found["rl-40"].items, found["kl-40"].items
    assert set(held["reached"]) == {"1000 labels, penalty 2"} and set(free["reached"]) == {
        "500 labels",
        "1000 labels",
    }
    assert free["reached"]["1000 labels"] > 2 * held["reached"]["1000 labels, penalty 2"] > 0
    assert free["proxy"]["1000 labels"] > held["proxy"]["1000 labels, penalty 2"] > 0
    assert all(task.startswith("1000 labels, penalty 2, d ") for task in held["gold at d"])
    across = study().form.across
    assert across is not None
    above = across(found)["kl-40"]["above"]["penalty 2"]
    same = [
        value - free["gold at d"][task.replace(", penalty 2", "")]
        for task, value in held["gold at d"].items()
    ]
    assert above == pytest.approx(np.mean(same))


def test_the_bar_asks_of_every_arm_and_for_the_order_of_sizes() -> None:
    told = str(study().bar(None))
    assert all(f"off of {arm} is below 0.2" in told for arm in study().arms)
    assert told.count("in fitted") == 4 and "kl-296 is above" not in told
    assert "rl-488 is above rl-296" in told and "with 60 seeds" in told
    with pytest.raises(ValidationError, match="best_of_n-40, best_of_n-296"):
        study(arms=("ppo-40",))
