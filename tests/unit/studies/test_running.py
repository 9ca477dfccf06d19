"""What all studies have in common, on one of coins: each cell once, in one process or several, none left out.

Mutants: a table of the seeds that were asked for, an arm without a seed that still counts, a fault that is
dropped, a cell of another name that is taken, two bases in one seed, another study.toml that is gone on with,
clauses that are not told where a cell decides.
"""

from __future__ import annotations

import json
import pickle
import re
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from unit.studies.coins import Coins

from accord.cli import main
from accord.errors import AccordError, PlanError, Refused, Unreadable
from accord.progress import Silent
from accord.studies import carry_out, running, studies
from accord.studies.bars import Bar, ahead, in_seeds
from accord.studies.findings import Findings

BENCH = Path(__file__).parents[3] / "bench" / "studies.py"
ONE, OTHER = ahead("heads", "bent", ("fair",)), in_seeds("heads", "bent", 0.5, 3)


def outcome(found: Findings) -> tuple[str, str]:
    assert found.ruling is not None
    return found.ruling.outcome, found.ruling.why


def test_a_new_study_is_a_file_a_toml_and_a_line(coins: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert studies()["coins"] == Coins.question
    assert main(["study", "coins", "--runs", str(coins), "--quiet", "--require", "met"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "true: bent less each, in heads: fair +0." in said
        and "true: gained of bent: 0.1 or more in 3 of 3 seeds met every point" in said
    )
    assert "tasks in each seed: heads 40" in said and "blank 3 0.000 [0.000, 0.075]" in said
    found = carry_out("coins", runs=coins)
    told = json.loads((found.folder / "findings.json").read_text("utf-8"))
    assert [one["held"] for one in told["clauses"]] == [True, True] and told["bar"].count("; and ") == 1
    assert told["arms"]["bent"]["gained"]["seeds"] == 3 and told["arms"]["bent"]["gained"]["of"] == "95 %"
    assert told["arms"]["fair"]["tossed"]["of"] == "least and largest seed"
    assert set(told["gaps"]) == {"bent", "blank"}


def test_several_processes_find_what_one_finds(coins: Path) -> None:
    one, many = (
        carry_out("coins", runs=coins / "one", seeds=2),
        carry_out("coins", runs=coins, seeds=2, jobs=2),
    )
    plain = [[cell._replace(seconds=0.0) for cell in found.cells] for found in (one, many)]
    assert plain[0] == plain[1] and len(plain[0]) == 6
    assert outcome(many) == ("no evidence", "2 seeds of 3")


class Noted(Silent):
    """Keeps what is told of how far it is."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.notes: list[str] = []

    def begin(self, what: str, total: float | None = None) -> None:
        self.total = total

    def advance(self, done: float = 1, note: str = "") -> None:
        self.notes.append(note)


def test_each_cell_of_another_process_is_told_once(coins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ProcessPoolExecutor", lambda n, mp_context: ThreadPoolExecutor(n))
    carry_out("coins", runs=coins, seeds=1, arms=["fair"])
    noted = Noted()
    found = carry_out("coins", runs=coins, seeds=2, jobs=2, progress=noted)
    told = {f"{cell.arm}, seed {cell.seed}" for cell in found.cells} - {"fair, seed 0"}
    assert noted.total == len(told) == len(noted.notes) and set(noted.notes) == told


def test_what_a_process_was_refused_reaches_the_person(coins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ProcessPoolExecutor", lambda n, mp_context: ThreadPoolExecutor(n))
    monkeypatch.setattr(Coins, "faults", {"bent-1": "refused"})
    with pytest.raises(AccordError, match="a coin") as error:
        carry_out("coins", runs=coins, jobs=2)
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value), "it passes between processes"
    (folder,) = (coins / "study-coins").iterdir()
    assert (folder / "fair-1" / "measured.json").is_file() and not (folder / "bent-1").exists()


def test_the_table_is_of_all_that_is_done_and_not_of_what_was_asked_for(coins: Path) -> None:
    carry_out("coins", runs=coins, seeds=5)
    fewer = carry_out("coins", runs=coins, seeds=3, arms=["bent"])
    assert len(fewer.cells) == 15 and outcome(fewer)[0] == "met", "five seeds, as they stand"
    assert "3 of 5" not in outcome(fewer)[1]
    more = carry_out("coins", runs=coins, seeds=7, arms=["bent"])
    assert outcome(more) == ("no evidence", "fair has no heads in seeds 5, 6, and no seed is dropped")
    (more.folder / "fair-1" / "measured.json").unlink()
    without = carry_out("coins", runs=coins, seeds=1)
    assert outcome(without)[1].startswith("fair has no heads in seeds 1, 5, 6")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("crash", ("not met", "bent, seed 1: crashed: ZeroDivisionError: no coin")),
        ("impossible", ("no evidence", "bent has no heads in seed 1, and no seed is dropped")),
        ("unsolved", ("no solution found", "bent, seed 1: no solution found: it stands on its edge")),
    ],
)
def test_a_seed_without_a_result_is_never_a_seed_less(
    coins: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: tuple[str, str]
) -> None:
    monkeypatch.setattr(Coins, "faults", {"bent-1": fault})
    found = carry_out("coins", runs=coins, seeds=4)
    assert outcome(found)[0] == said[0] and said[1] in outcome(found)[1]
    told = found.json()["seeds"]
    assert isinstance(told, dict) and told["bent"]["heads"][1] is None, "seeds stay in their places"  # type: ignore[index, call-overload]
    (row,) = [row for row in found.rows(["heads"]) if row["arm"] == "bent"]
    assert row["seeds"] == "3 of 4"


def test_clauses_are_told_also_where_something_else_decides(
    coins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One arm lacks a seed: the clause about the other arm is told as it came out."""
    monkeypatch.setattr(Coins, "faults", {"fair-1": "unsolved"})
    monkeypatch.setattr(Coins, "bar", lambda self, model: Bar((ONE, OTHER), 3))
    assert main(["study", "coins", "--runs", str(coins), "--quiet"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "open: fair has no heads in seed 1, and no seed is dropped true: heads of bent: 0.5" in said
    assert "no solution found: fair, seed 1: no solution found: it stands on its edge every point" in said
    (file,) = coins.glob("study-coins/*/findings.json")
    assert [one["held"] for one in json.loads(file.read_text("utf-8"))["clauses"]] == [None, True]


def test_what_counts_for_nothing_says_why_and_is_not_gone_on_with(coins: Path) -> None:
    found = carry_out("coins", runs=coins, seeds=3)
    cell = found.folder / "bent-1" / "measured.json"
    text = cell.read_text("utf-8")
    for seed, base in ((0, "one"), (1, "two")):
        for arm in ("fair", "bent"):
            file = found.folder / f"{arm}-{seed}" / "measured.json"
            told = json.loads(file.read_text("utf-8"))
            file.write_text(json.dumps({**told, "base": base}), "utf-8")
    assert outcome(carry_out("coins", runs=coins))[0] == "met", "each seed has a base of its own"
    cell.write_text(json.dumps({**json.loads(text), "base": "three"}), "utf-8")
    void, why = outcome(carry_out("coins", runs=coins))
    assert void == "void" and "the arms of seed 1 were done on more than one base" in why
    cell.write_text(text.replace('"seed": 1', '"seed": 2'), "utf-8")
    with pytest.raises(Unreadable, match=r"(?s)bent, seed 1.*remove"):
        carry_out("coins", runs=coins)
    cell.write_text(text, "utf-8")
    (found.folder / "study.toml").write_text("least = [", "utf-8")
    assert main(["study", "coins", "--runs", str(coins), "--quiet", "--seeds", "9"]) == 4
    assert not (found.folder / "bent-8").exists(), "what is void is not gone on with"


def test_two_models_with_one_folder_are_told_apart(coins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="its own bases"):
        carry_out("coins", runs=coins, model="a/b")
    monkeypatch.setattr(Coins, "models", True)
    carry_out("coins", runs=coins, model="a/b", seeds=1)
    with pytest.raises(Refused, match="is about a/b"):
        carry_out("coins", runs=coins, model="a:b", seeds=1)
    with pytest.raises(PlanError, match="--arms"):
        carry_out("coins", runs=coins, arms=[])


def test_all_of_them_are_one_command(
    coins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``make studies`` runs: a row for each, also for one that cannot be done here."""
    every = runpy.run_path(str(BENCH))["main"]
    assert every(["--only", "coins", "--runs", str(coins), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^coins +met +3 +9 +0\.0$", said, re.MULTILINE) and "1 of 1 met" in said
    assert "bent less each, in heads: fair +0." in said
    assert every(["--only", "coins", "--runs", str(coins), "--quick"]) == 0
    assert re.search(r"^coins +quick +1 +1 +0\.0$", capsys.readouterr().out, re.MULTILINE)
    monkeypatch.setattr(Coins, "faults", {"bent-0": "refused"})
    assert every(["--only", "coins", "coins", "--runs", str(coins / "other"), "--jobs", "1"]) == 1
    said = capsys.readouterr().out
    assert "allowed: a coin" in said and said.count("not done") == 4 and "0 of 2 met" in said
