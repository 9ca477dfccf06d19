"""What the demonstration tells, by what its path came to; mutants: a base that is kept, a paused path that is
kept, a failed drill that ends well, two documents for one command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from accord.cli import demo, main


class Found(SimpleNamespace):
    """A stewardship that came to its end."""

    def json(self) -> dict[str, Any]:
        return {"action": self.action}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """Where the path came to: a model of its own, and nobody waits."""
    (tmp_path / "demo-1" / "model").mkdir(parents=True)
    found = Found(
        folder=tmp_path / "demo-1",
        action="done",
        model=str(tmp_path / "demo-1" / "model"),
        says="1 of 3 rose",
        waits=None,
        steps={},
    )
    walk = SimpleNamespace(chronicle=SimpleNamespace(name="demo-1", folder=found.folder))
    monkeypatch.setattr("accord.demo.begun", lambda **told: walk)
    monkeypatch.setattr(demo, "walked", lambda walk, screen: (found, tmp_path / "report.html"))
    monkeypatch.setattr("accord.cli.keep.lines", lambda done, notes: ["kept: it"])
    monkeypatch.setattr("accord.cli.keep.document", lambda done, notes: {"entry": "e"})
    return found


def _kept(monkeypatch: pytest.MonkeyPatch, result: str) -> list[Path]:
    asked: list[Path] = []

    def kept(folder: Path, archive: Path, progress: object) -> tuple[Any, list[str]]:
        asked.append(archive)
        outcome = SimpleNamespace(outcome=SimpleNamespace(result=result))
        return SimpleNamespace(held=SimpleNamespace(drilled=outcome)), []

    monkeypatch.setattr(demo, "_kept", kept)
    return asked


def test_what_came_of_it_is_kept_and_told_once(
    path: Found, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = _kept(monkeypatch, "revived")
    assert main(["demo", "--runs", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kept"], told["action"], asked) == ({"entry": "e"}, "done", [tmp_path / "archive"])


def test_a_result_that_does_not_run_again_is_told_by_the_exit_code(
    path: Found, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _kept(monkeypatch, "failed")
    assert main(["demo", "--runs", str(tmp_path)]) == 3


@pytest.mark.parametrize(
    ("action", "model", "ends"), [("done", "smollm2", 0), ("pause", "", 5), ("halt", "", 6)]
)
def test_nothing_is_kept_where_nothing_came_of_it(
    action: str, model: str, ends: int, path: Found, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = _kept(monkeypatch, "revived")
    path.action, path.model = action, model or path.model
    assert main(["demo", "--runs", str(tmp_path)]) == ends
    assert asked == []
