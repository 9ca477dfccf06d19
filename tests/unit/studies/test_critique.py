"""Critique: what a tiny run has to show, and what the critic is paid for.

Mutants: silence that costs nothing, a critic that is paid for pointing wherever, C of what the judge found
by itself, a policy that is not trained, truth read before anything is sealed, G of the trained policy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from accord.records.rows import Group
from accord.stores.memory import MemoryStore
from accord.studies import read_study
from accord.studies.arms import Cell, Measured
from accord.studies.assignments import answered
from accord.studies.critique import Critique, _Seed, worse
from accord.studies.port import Setting
from accord.studies.reviewing import Heard, stated
from accord.vault import TruthVault
from accord.worker import Worker

SEED = 100


def study(**changed: object) -> Critique:
    made = read_study("critique")
    assert isinstance(made, Critique)
    small = {
        "requirements": 2,
        "reviewed": 48,
        "written": 16,
        "critic": (30, 4, 100.0),
        "policy": (8, 6, 12.0),
    }
    return Critique.model_validate({**made.model_dump(), **small, **changed})


@pytest.fixture(scope="module")
def found() -> dict[str, Measured]:
    made = study()
    with made.opened(Setting(Path(), 1, made.arms), SEED) as do:
        return {arm: do(Cell(arm, SEED, Path(f"{arm}-{SEED}"))) for arm in made.arms}


def mean(cell: Measured, figure: str) -> float:
    return float(np.mean([*cell.items[figure].values()]))


def test_who_executes_is_always_right_and_who_points_blindly_is_no_help(found: dict[str, Measured]) -> None:
    executed = found["execution"].items
    assert {*executed["right"].values()} == {*executed["D"].values()} == {1.0} and "C" not in executed
    assert {*found["random"].items["D"].values()} == {0.5}
    assert "D" not in found["unaided"].items
    unaided, blind = mean(found["unaided"], "right"), mean(found["random"], "right")
    assert 0.5 < unaided < 0.85 and 0.5 < blind < 0.85
    assert mean(found["team"], "right") > max(unaided, blind)
    for arm, cell in found.items():
        assert (len(cell.items["right"]), len(cell.items["found"])) == (48, 24), arm


def test_the_figures_of_an_arm_belong_together(found: dict[str, Measured]) -> None:
    for arm in ("random", "team", "team_stated"):
        items = found[arm].items
        for task, convinced in items["C"].items():
            assert convinced <= items["found"][task], "who is convinced rejects"
        assert items["D less C"]["all"] == pytest.approx(mean(found[arm], "D") - mean(found[arm], "C"))
        assert items["D less G"]["all"] == pytest.approx(mean(found[arm], "D") - mean(found[arm], "G"))
    assert mean(found["team_stated"], "C") < mean(found["team_stated"], "D") == 1.0
    base = found["unaided"].items["G"]
    for cell in found.values():
        assert cell.items["G"] == base, "the policy before training is one"
        for task, gained in cell.items["gained"].items():
            assert gained == pytest.approx(cell.items["passes"][task] - base[task])
    assert mean(found["execution"], "gained") > 0.1
    assert mean(found["critic_stated"], "invents") > mean(found["team_stated"], "invents")


def test_the_critic_is_paid_for_flaws_and_for_silence_where_there_is_none() -> None:
    with Worker() as worker:
        seed = _Seed(study(), False, SEED, worker)
        given, paid = seed.given, dict[tuple[bool, bool, str], list[float]]()
        for prompt in (one for index in range(16) for one in seed._criticised(index)):
            k, line, program = (prompt.columns[name] for name in ("of", "line", "program"))
            right = [words[0] for words in given.choices[k]]  # type: ignore[index]
            for said in ("point", "pass"):
                group = Group(prompt, (answered(prompt, (said,), said),))
                (reward,) = seed._agreement([group]).values["score"].tolist()
                fits, flawless = program[line] == right[line], program == right  # type: ignore[index]
                paid.setdefault((fits, flawless, said), []).append(round(reward, 4))
    assert {*paid[False, False, "point"]} == {1.0}, "the judge was shown what does not fit"
    assert {*paid[True, True, "point"]} == {0.4} and {*paid[True, True, "pass"]} == {0.6}
    silent = [one for fits in (True, False) for one in paid[fits, False, "pass"]]
    assert {*silent} == {0.0, 0.6} and np.mean(silent) < 0.5, "the judge finds some of them by itself"


def test_who_finds_a_flaw_without_being_shown_it_was_not_convinced() -> None:
    with Worker() as worker:
        seed, every = _Seed(study(), False, SEED, worker), tuple(range(6))
        vault = TruthVault("programs", seed.given.truths, {"study": ("score",)}, MemoryStore(), "test")
        vault.seal(["all that was said"])
        for said, found, convinced in (
            (Heard(0.0, every, ()), 1.0, 0.0),
            (Heard(0.6, (), every), 0.0, 0.0),
            (Heard(0.0, every, every), 1.0, 1.0),
        ):
            items = seed._reviewed([said] * 48, stated(1.0, 0.0), vault)
            assert {*items["found"].values()} == {found} and {*items["C"].values()} == {convinced}


def test_the_bar_is_that_of_the_design() -> None:
    told = str(study().bar(None))
    for clause in (
        "D less G of team is above 0",
        "D less C of team is above 0",
        "right of unaided is above 0.6",
        "right of unaided is below 0.7",
        "right of team is above 0.9",
        "team is more than 1.3 times unaided in found",
        "critic is above team in invents",
        "gained of team is above 0",
    ):
        assert clause in told
    assert study().programs.lines == 6 and study().programs.reads == 2
    assert worse([0.2, 0.9], [0.2, 0.1]) == 1.0
    with pytest.raises(ValidationError, match="unaided, random, critic, team"):
        study(arms=("unaided", "teams"))
