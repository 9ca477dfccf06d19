"""``accord methods``: a list that fits the terminal, one method in full, and both for machines."""

from __future__ import annotations

import json

import pytest

from accord.catalog import METHODS
from accord.cli import main
from accord.method_book import GROUPS, described


@pytest.mark.parametrize(("columns", "widest"), [("40", 80), ("80", 80), ("95", 95), ("300", 110)])
def test_the_list_fits_the_terminal(
    columns: str, widest: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["methods"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= widest
    assert max(map(len, lines)) > widest - 25, "and uses it"
    first = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(first) == sorted(METHODS)
    assert [line for line in lines if line in GROUPS] == list(GROUPS[:-1])


def test_a_line_says_what_when_from_what_and_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "dpo Raise preferred answers over the others, measured from where the stage starts." in said
    assert "when you have pairs, and want no reward model · ↓ pulls pairs apart, without end" in said
    assert "when good answers come now and then · raises only: the best of n" in said, "without an arrow"


@pytest.mark.parametrize("name", METHODS)
def test_one_method_in_full(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    assert main(["methods", name]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 110
    for setting in described(name).settings:
        assert f"\n{setting.name} " in said
    assert "\nexample\n" in said
    assert ("presses       ↓" in said) is bool(described(name).pushes_down)


def test_machines_read_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["methods"]
    assert {one["name"]: one["pushes_down"] for one in found}["best_of_n"] is False
    assert main(["methods", "ppo", "--json"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert one["name"] == "ppo"
    assert {
        "name": "lam",
        "takes": "a number, at least 0, at most 1",
        "default": 0.95,
        "needed": False,
    } in one["settings"]


def test_an_unknown_name_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "qpo"]) == 1
    said = capsys.readouterr().err
    assert "did you mean" in said
    assert "this is a bug" not in said
