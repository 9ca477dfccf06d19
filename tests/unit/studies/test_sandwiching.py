"""Sandwiching: protocols over a judge of small means, a stranger's among them; what is void or refused.

Mutants tried: an abstention that counts as right, a model that is right whatever is stated, a judge that
follows a text though it could check it, a vault whose refused read is kept by the desk, a version that does
not hang on the stranger's code, a study that takes a protocol unasked, a judge at chance that is just wrong,
a seal of what was asked in place of what was said, a protocol that is said to help nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydantic import JsonValue

from accord.cli import main
from accord.errors import PlanError
from accord.stores.memory import MemoryStore
from accord.studies import carry_out, read_study
from accord.studies.arms import Cell, Measured, measured
from accord.studies.findings import found
from accord.studies.port import Setting, Study
from accord.studies.sandwich_grounds import GROUNDS, Task, ground
from accord.studies.sandwiched import Speaker
from accord.studies.sandwiching import (
    Sandwiching,
    Trial,
    _tasks,  # pyright: ignore[reportPrivateUsage]
)
from accord.studies.yardsticks import yardsticks
from accord.vault import TruthVault

HEAD = """
import json
from typing import ClassVar
from accord.overseers import Inner, Made
from accord.ports import Desk
from accord.records import Judgment, Kind, Question, Ranked
from accord.studies.sandwiched import Truth
"""
MINE = """
class Mine(Made):
    helps: ClassVar[tuple[str, ...]] = ("quirky",)
    inner: Inner

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return self.taken_over(question, await desk.ask(self.inner, question))
"""
NOWHERE = MINE.replace('("quirky",)', "()")
FIRST = MINE.replace(
    "return self.taken_over(question, await desk.ask(self.inner, question))",
    "return self.signed(question, Ranked(tiers=tuple((one,) for one in question.responses)))",
)
PEEKS = MINE.replace("inner: Inner", "inner: Inner\n    cheats: Inner = Truth()").replace(
    "desk.ask(self.inner, question)", "desk.ask(self.cheats, question)"
)


def told(**changed: object) -> Sandwiching:
    study = read_study("sandwiching")
    assert isinstance(study, Sandwiching)
    return study.model_copy(update={"tasks": 24, "best_of": 2, **changed})


def done(study: Sandwiching, folder: Path, seeds: tuple[int, ...] = (100,)) -> list[Measured]:
    cells = list[Measured]()
    for seed in seeds:
        with study.opened(Setting(folder, 1, study.arms), seed) as do:
            for arm in study.arms:
                cell = Cell(arm, seed, folder / f"{arm}-{seed}")
                cells.append(measured(cell, do, lambda: 0.0))
    return cells


def mean(cells: list[Measured], arm: str, figure: str) -> float:
    return float(np.mean([v for c in cells if c.arm == arm for v in c.items[figure].values()]))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.fixture
def stranger(place: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package that nobody has imported yet, with this class Mine."""
    package = place / f"strange_{abs(hash(request.node.name)) % 10**8}"
    package.mkdir()
    (package / "__init__.py").write_text(HEAD + request.param)
    return f"{package.name}:Mine"


def test_every_trial_has_what_was_stated_and_the_ceiling(tmp_path: Path) -> None:
    cells = done(told(), tmp_path)
    assert [cell.why for cell in cells if cell.state != "measured"] == []
    for trial in told().trials:
        assert mean(cells, "truth", f"right.{trial}") == 1.0
    assert mean(cells, "unaided", "right.debate") == mean(cells, "unaided", "right.amplified") == 0.5
    for trial in ("debate", "amplified", "jury"):
        both = max(mean(cells, arm, f"right.{trial}") for arm in ("unaided", "model"))
        assert mean(cells, "aided", f"right.{trial}") > both + 0.1
    spent = {key: of / 24 for key, of in cells[2].figures.items() if of is not None}
    # Five rounds of two turns and one verdict; two orders; five members; an adviser and a verdict.
    assert [spent[f"calls.{one}"] for one in ("debate", "both_orders", "jury", "consult")] == [11, 2, 5, 2]
    tables = yardsticks(["debate"], cells, tmp_path)
    rows = {row["metric"]: row for row in tables["the yardstick of debate"]}
    assert rows["calls per verdict"]["value"] == "11" and rows["gap recovered"]["n"] == "24 tasks"
    assert rows["true peak of the best of n"]["n"] == "2 prompts" and "laundering" in rows
    assert float(rows["gap recovered"]["value"]) > 0.9


@pytest.mark.parametrize("name", [one for one in GROUNDS if one != "powers"])
def test_a_model_is_right_as_often_as_is_stated(name: str) -> None:
    tasks = [ground(name).task(f"stated/{i}") for i in range(400)]
    assert all(task.right != task.wrong and task.right in task.options for task in tasks)
    speaker = Speaker(ground(name), tasks, 0.7, 3)
    share = np.mean([speaker.believes(task) == task.right for task in tasks])
    assert abs(share - 0.7) < 4 * (0.21 / 400) ** 0.5


def test_what_takes_no_halving_is_never_wrong() -> None:
    on = ground("powers")
    assert {on.part(f"power x1230 0 0 {n} <act>", 0.01, seed) for n in (0, 1) for seed in range(20)} == {
        "x0123",
        "x1230",
    }
    deep = [on.part("power x1230 0 3 3 <act>", 0.3, seed) == "x1230" for seed in range(300)]
    assert abs(np.mean(deep) - 0.3) < 0.11


def test_a_judge_reads_the_line_that_is_named_to_it_and_follows_no_word(tmp_path: Path) -> None:
    """A critic who sees flaws everywhere brings the judge to nothing: it looks, and the line fits."""
    lies = told(trials={"assisted": told().trials["assisted"].model_copy(update={"accuracy": 1e-9})})
    cells = done(lies, tmp_path)
    assert mean(cells, "model", "right.assisted") == 0.0
    assert mean(cells, "aided", "right.assisted") == mean(cells, "unaided", "right.assisted")


def test_an_abstention_is_wrong_and_counted(tmp_path: Path) -> None:
    spent = {"name": "budget", "n": 0, "unit": "calls", "most": 1}
    one = told().trials["jury"].model_copy(update={"protocol": spent})
    cells = done(told(trials={"jury": one}), tmp_path)
    assert mean(cells, "aided", "right.jury") == 0.0 and mean(cells, "aided", "abstained.jury") == 1.0


def test_settings_that_cannot_be_are_refused_and_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = {"trials": {"jury": told().trials["jury"].model_copy(update={"on": "nowhere"})}}
    with pytest.raises(ValueError, match="one of grounds: bisection"):
        Sandwiching.model_validate({**dict(told()), **nowhere})
    few = [ground("quirky").task(f"few/{i}") for i in range(3)]

    class Few:
        def task(self, name: str) -> Task:
            return few[int(name.partition("/")[2]) % 3]

    monkeypatch.setattr("accord.studies.sandwiching.ground", lambda on: Few())
    with pytest.raises(PlanError, match="3 or fewer: quirky has hardly more"):
        _tasks("quirky", "few", 4)


def test_what_is_sealed_is_what_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = list[frozenset[str]]()

    def seal(self: TruthVault, answers: Iterable[str]) -> None:
        ids = frozenset(answers)
        sealed.append(ids)
        kept(self, ids)

    kept = TruthVault.seal
    monkeypatch.setattr(TruthVault, "seal", seal)
    done(told(trials={"jury": told().trials["jury"]}), tmp_path)
    assert [len(ids) for ids in sealed] == [24] * 4, "each verdict of each arm"
    assert len({*sealed}) == 4, "the same pairs, judged in other words"


# What a stranger does


@pytest.mark.parametrize("stranger", [MINE], indirect=True)
def test_a_stranger_measures_a_protocol_by_one_file(
    place: Path, stranger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ["study", "sandwiching", "--protocol", stranger, "--quick", "--runs", "runs", "--quiet"]
    assert main(told) == 0
    said = capsys.readouterr().out
    for line in (
        "the yardstick of quirky",
        "gap recovered",
        "calls per verdict",
        "ECE",
        "abstained",
        "loss at",
    ):
        assert line in said
    (folder,) = (place / "runs" / "study-sandwiching").iterdir()
    assert folder.name.endswith(f"-quick-{stranger.replace(':', '-')}")
    kept = json.loads((folder / "findings.json").read_text("utf-8"))
    assert kept["arms"]["aided"]["right.quirky"] == kept["arms"]["unaided"]["right.quirky"], "it only asks O"
    file = place / stranger.partition(":")[0] / "__init__.py"
    file.write_text(file.read_text() + "\n# edited\n")
    assert main(told) == 0
    assert len(list((place / "runs" / "study-sandwiching").iterdir())) == 2, "other code is another version"


@pytest.mark.parametrize("stranger", [NOWHERE], indirect=True)
def test_who_is_said_to_help_nowhere_is_told_where_one_can(place: Path, stranger: str) -> None:
    with pytest.raises(PlanError, match=r"(?s)Mine\.helps.*bisection, impossible"):
        carry_out("sandwiching", protocol=stranger, runs=place, quick=True)


@pytest.mark.parametrize("stranger", [FIRST], indirect=True)
def test_who_breaks_a_law_is_not_measured(place: Path, stranger: str) -> None:
    with pytest.raises(PlanError, match="keeps its laws"):
        carry_out("sandwiching", protocol=stranger, runs=place, quick=True)
    assert not (place / "study-sandwiching").exists()


def test_a_study_of_no_protocol_takes_none(coins: Path) -> None:
    with pytest.raises(PlanError, match="coins is of none"):
        carry_out("coins", protocol="json:JSONDecoder", runs=coins)
    with pytest.raises(PlanError, match="--protocol"):
        carry_out("sandwiching", protocol="nowhere:Mine", runs=coins)


@pytest.mark.parametrize("stranger", [PEEKS], indirect=True)
def test_an_undeclared_truth_read_voids_the_arm(
    place: Path, stranger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The desk makes an abstention of the vault's error; the arm is void all the same."""
    assert main(["study", "sandwiching", "--protocol", stranger, "--quick", "--runs", "runs", "--quiet"]) == 4
    said = " ".join(capsys.readouterr().out.split())
    assert "aided, seed 0: void: truth broke its contract" in said and "'truth' is not declared" in said
    (folder,) = (place / "runs" / "study-sandwiching").iterdir()
    kept = json.loads((folder / "findings.json").read_text("utf-8"))
    assert kept["outcome"] == "void" and "aided" in kept["why"]
    declared = (place / stranger.partition(":")[0] / "__init__.py").read_text()
    (place / "declared.py").write_text(
        declared.replace("    inner: Inner\n", "    reads_truth: ClassVar[bool] = True\n    inner: Inner\n")
    )
    open_ = carry_out("sandwiching", protocol="declared:Mine", runs=place, quick=True)
    assert open_.arms["aided"]["right.quirky"].value == 1.0


def test_a_vault_that_is_read_by_a_cell_itself_is_void_too(tmp_path: Path) -> None:
    vault = TruthVault("v", {"a": 1}, {"the study": ("score",)}, MemoryStore())
    vault.demand_sound()

    def do(cell: Cell) -> Measured:
        vault.read("a", "score", "the study")  # before anything is sealed
        return Measured(cell.arm, cell.seed, "measured", items={"x": {"y": 1.0}})

    came = measured(Cell("arm", 0, tmp_path / "arm-0"), do, lambda: 0.0)
    assert came.state == "void" and not came.lost and "scores before the answers are sealed" in came.why
    assert measured(Cell("arm", 0, tmp_path / "arm-0"), do, lambda: 0.0) == came, "and stays so"


def test_a_judge_at_chance_is_no_evidence(place: Path) -> None:
    """200 truth-labelled questions of which it cannot tell anything, in both orders: it never speaks."""
    rows = ({"prompt": f"Is {n} even?", "chosen": "yes", "rejected": "no"} for n in range(200))
    (place / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    protocol: dict[str, JsonValue] = {"name": "qualified", "questions": "known.jsonl"}
    study = told(trials={"examined": Trial(on="quirky", protocol=protocol)}, seeds=1, tasks=4)
    came = found(cast(Study, study), place, done(study, place, (0,)), study.bar(None))
    assert came.ruling is not None
    assert (came.ruling.outcome, came.ruling.why) == ("no evidence", "aided has no right.examined")
    assert came.arms["aided"]["abstained.examined"].value == 1.0 and not came.further


def test_spot_checks_are_part_of_what_a_verdict_takes(tmp_path: Path) -> None:
    """Half of the questions go to gold, and the yardstick says so; of a jury nothing is checked."""
    trials = {name: told().trials[name] for name in ("spot_checked", "jury")}
    tables = yardsticks([*trials], done(told(trials=trials), tmp_path), tmp_path)
    checks, none = (
        [float(str(row["value"])) for row in rows if row["metric"] == "spot checks per verdict"]
        for rows in tables.values()
    )
    assert 0.2 < checks[0] < 0.8 and none == []


def test_a_tiny_gap_is_refused(tmp_path: Path) -> None:
    """A judge who adds all numbers is as good as the ceiling: no share of that gap says anything."""
    jury = told().trials["jury"].model_copy(update={"judge": {"reach": 3}})
    (rows,) = yardsticks(["jury"], done(told(trials={"jury": jury}), tmp_path), tmp_path).values()
    assert rows[0]["metric"] == "gap recovered" and rows[0]["value"] == "gap too small"
