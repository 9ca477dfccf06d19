"""Two runs side by side: what differs in their plans, and the same figures that each report has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.reports.test_page import Page
from unit.reports.written import ASK, finished, make_run, plan_of

from accord.cli import main
from accord.reports import gather
from accord.reports.beside import beside, write_beside


def test_what_differs_is_named_and_every_figure_stands_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = finished(tmp_path / "runs" / "one")
    two = make_run(
        tmp_path / "runs" / "two",
        plan_of().replace("n = 2, rows", "n = 4, rows").replace("seed = 7", "seed = 8"),
    )
    found = beside(one, two)
    tables = dict(found.tables)
    differs = {row["setting"]: (row["one"], row["two"]) for row in tables["Where their plans differ"]}
    assert differs == {"seed": ("7", "8"), "stage.amplify.method.n": ("2", "4")}
    assert "their plans differ in seed, stage.amplify.method.n" in found.says
    figures = {row["figure"]: (row["one"], row["two"]) for row in tables["Figures"]}
    stage = gather(one).stages[0]
    assert figures["updates"] == (f"{stage.trained.updates:,}", "0")
    assert figures["answers left unused"][1] == "–", "no figure is not zero"
    read = {row["figure"]: row["one"] for row in tables["Indicators, change from the base"]}
    assert any("(" in text for text in read.values()) and len(read) == len(stage.guard.indicators)
    assert beside(one, one).says[-1] == "their plans are equal"
    Page(write_beside(found, tmp_path / "page.html").read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    assert main(["report", "one", "two", "--out", "both.html"]) == 0
    printed = capsys.readouterr().out
    assert "Where their plans differ" in printed and "page: both.html" in printed
    assert Path("both.html").is_file()
    assert main(["report", "one", "two", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["kind"] == "comparison" and len(document["tables"]["Where their plans differ"]) == 2


def test_parts_of_one_name_and_runs_with_odd_names_lose_nothing(tmp_path: Path) -> None:
    asks = plan_of() + ASK.replace('"score"', '"cost:length"')
    one = make_run(tmp_path / "figure", asks)
    two = make_run(tmp_path / "setting", asks.replace('fn = "m:brief"', 'fn = "m:long"', 1))
    tables = dict(beside(one, two).tables)
    (row,) = tables["Where their plans differ"]
    assert list(row.values()) == ["stage.amplify.ask.each (1).overseer.fn", "m:brief", "m:long"]
    (method,) = [row for row in tables["Figures"] if row["figure"] == "method"]
    assert list(method) == ["figure", "run figure", "run setting"]


def test_two_runs_of_one_name_have_a_page_in_this_folder(tmp_path: Path) -> None:
    one, two = make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run")
    found = beside(one, two)
    assert found.one != found.two and found.page == "run-run.html"
