"""Amplification: what is taught is what splits make of primitives, and no other truth is read on the way.

Mutants: a copy that knows more than its student, levels that go up too early, faults that do not reach the
split, a truth that is read beyond primitives, a reader that is given all of the log, calls set against a
constant, a copy that is renewed in every window; each fails a test here.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from accord.errors import ContractError
from accord.ports import How
from accord.records import Prompt, Response
from accord.records.rows import Group
from accord.studies import read_study
from accord.studies.amplification import Amplification, level
from accord.studies.amplifying import Copy, Reader, Splitting, amplified, copied
from accord.studies.arms import Cell, Measured
from accord.studies.port import Setting
from accord.worker import Worker
from accord.worlds.powers import Powers, faulty, given, primitive, questions, truth

TINY: dict[str, Any] = {
    "powers": {"points": 3, "below": 16},
    "table": {"windows": 3, "steps": 1, "rows": 96, "per_level": 1, "holds": 1, "lr": 4800.0},
    "tasks": 40,
    "log_tasks": 30,
}
HALVED = Splitting("accord.worlds.powers:halved", 1, 1)


def small(**changes: Any) -> Amplification:
    text = files("accord.studies").joinpath("amplification.toml").read_text("utf-8")
    return Amplification.model_validate({**tomllib.loads(text), **TINY, **changes})


def cells(study: Amplification, folder: Path, arms: list[str], seed: int = 100) -> dict[str, Measured]:
    with study.opened(Setting(folder, 1, tuple(arms)), seed) as do:
        return {arm: do(Cell(arm, seed, folder / f"{arm}-{seed}")) for arm in arms}


def mean(cell: Measured, figure: str) -> float:
    return sum(cell.items[figure].values()) / len(cell.items[figure])


def through(question: str, share: float, seed: str) -> str:
    """The answer of splits that err, down to primitives."""
    if primitive(question):
        return given(question)
    parts, said = faulty(question, share, seed), cast(str, None)
    try:
        while True:
            said = through(parts.send(said), share, seed)
    except StopIteration as done:
        return done.value


def test_a_table_learns_one_level_a_window_and_reads_primitives_alone(tmp_path: Path) -> None:
    """Below 16 that is three windows; with two the upper half is guessed."""
    found = cells(small(), tmp_path, ["memo"])["memo"]
    assert mean(found, "right") == 1 and len(found.items["right"]) == 40
    assert found.items["beyond"] == {"truths": 0.0}
    assert (found.figures["reads_leaf"], found.figures["reads_fit"]) == (12, 0)
    assert found.figures["reads_score"] == 40
    assert found.figures["split"] == 6 * (2 + 6 + 14) == found.figures["asked"]
    fewer = cells(small(table={**TINY["table"], "windows": 2}), tmp_path, ["memo"])["memo"]
    lower = [right for task, right in fewer.items["right"].items() if int("".join(task.split()[2:-1])) < 8]
    assert all(lower) and 0.5 < mean(fewer, "right") < 1


def test_faults_in_splits_add_up_as_they_are_passed_on(tmp_path: Path) -> None:
    study = small(arms=["memo"], ways={"memo": {"student": "table", "teacher": "older", "faults": 0.3}})
    found = cells(study, tmp_path, ["memo"])["memo"]
    wanted = {q: float(through(q, 0.3, "100") == truth(q)) for q in found.items["right"]}
    assert found.items["right"] == wanted and 0.3 < mean(found, "right") < 0.8
    assert found.items["beyond"] == {"truths": 0.0}


def test_a_copy_stands_for_its_windows_and_the_newest_one_is_asked_anew(tmp_path: Path) -> None:
    """Two windows a level: an older copy has answered all in the first of them."""
    ways = {teacher: {"student": "table", "teacher": teacher} for teacher in ("older", "now")}
    twice = {**TINY["table"], "windows": 6, "per_level": 2, "holds": 2}
    found = cells(small(arms=list(ways), ways=ways, table=twice), tmp_path, list(ways))
    assert [found[one].figures["split"] for one in ways] == [6 * (2 + 6 + 14), 2 * 6 * (2 + 6 + 14)]
    assert mean(found["older"], "right") == mean(found["now"], "right") == 1


def test_who_is_told_the_truth_reads_it_and_calls_are_set_against_that(tmp_path: Path) -> None:
    """12 of 96 truths are an eighth; who is told 12 of all questions knows about those alone."""
    ways = {
        arm: {"student": "table", "teacher": teacher}
        for arm, teacher in (("amplified", "older"), ("supervised", "truth"), ("few", "few"))
    }
    study = small(arms=list(ways), ways=ways)
    found = cells(study, tmp_path, list(ways))
    assert mean(found["supervised"], "right") == 1 > mean(found["few"], "right")
    assert found["supervised"].figures["reads_fit"] == 96
    assert found["supervised"].items["beyond"] == {"truths": 96.0 - 12}
    assert found["few"].figures["reads_fit"] == 12
    assert study.form.across is not None
    across = study.form.across(found)
    assert [across[arm]["calls"]["share"] for arm in ways] == [0.125, 1.0, 0.125]
    assert study.form.across({"few": found["few"]}) == {}


def test_a_tree_over_a_log_is_right_where_what_fits_is_not(tmp_path: Path) -> None:
    found = cells(small(error=0.0), tmp_path, ["digest_tree", "digest_truncated"])
    tree, cut = found["digest_tree"], found["digest_truncated"]
    assert mean(tree, "digest") == 1 and mean(cut, "digest") < 0.6 and mean(cut, "digest.count") == 0
    assert tree.items["digest"].keys() == cut.items["digest"].keys()
    assert (tree.figures["asked"], cut.figures["asked"]) == (8 * 30, 30)
    errs = cells(small(error=0.2, log_tasks=60), tmp_path, ["digest_tree"])["digest_tree"]
    assert mean(errs, "digest.count") < 0.5, "a count is right where all of eight parts are: .8 ** 8 = .17"


class _Guesses:
    """A student that answers x to everything, and counts what it is asked."""

    can, policy = frozenset({"sample"}), "guesses@1"

    def __init__(self) -> None:
        self.heard = list[str]()

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text)

    async def sample(self, prompts: Any, n: int, how: How) -> list[Group]:
        self.heard += [one.text for one in prompts]
        return [Group(one, (self.encode(one, one.text.split()[1]),)) for one in prompts]

    score: Any = None


def test_a_copy_answers_as_its_student_did_and_a_table_goes_before() -> None:
    config, student = Powers(points=3, below=16), _Guesses()
    parts = [config.prompt(q) for q in questions(config)]
    table = {q: given(q) for q in questions(config) if primitive(q)}
    question = "power x120 0 0 7 <act>"
    with Worker() as worker:
        copy = copied(student, parts, table, How("k"), worker)
        assert len(student.heard) == 96 - 12 and not set(student.heard) & table.keys()
        said = amplified([config.prompt(question), parts[2]], HALVED, copy, worker)
        assert len(student.heard) == 96 - 12, "nobody is asked after the copy was taken"
        # x³ is said to be x: x·x·x is the whole; x² is made of x itself, from the table.
        assert said[question].text == "x012" and said[parts[2].text].text == truth(parts[2].text)
        assert len(said[question].judgment) == 64 and copy.asked == 2
        less = Copy("none", {}, {})
        with pytest.raises(ContractError, match="each question has an answer"):
            amplified([config.prompt(question)], HALVED, less, worker)


def test_levels_and_the_bar_are_those_that_ship() -> None:
    assert [level(index, 3) for index in (0, 2, 3, 18)] == [4, 4, 8, 256]
    study = read_study("amplification")
    assert isinstance(study, Amplification)
    assert level(study.table.windows - 1, 1) == study.powers.below
    assert [one.figure for one in study.bar(None).clauses] == ["right", "calls", "beyond", "digest"]
    assert "0.95 times supervised" in str(study.bar(None)) and "10 seeds" in str(study.bar(None))
    assert Reader(32, 0.0, 0).policy != Reader(32, 0.0, 1).policy


def test_a_setting_that_cannot_be_done_is_a_problem() -> None:
    with pytest.raises(ValidationError, match="digest_tree, digest_truncated"):
        small(arms=["digest_halved"])
    with pytest.raises(ValidationError, match="a divisor of per_level, 1"):
        small(table={**TINY["table"], "holds": 2})
