"""``accord label`` as a command: a pipe, a labelling database in the place of data, and what it refuses."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import cast

import pytest

from accord.cli import main
from accord.records import Ranked
from accord.stores.people import People


def typed_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_command_reads_a_pipe_and_opens_a_labelling_database(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pairs.jsonl").write_text(
        '{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}\n'
        '{"prompt": "When?", "chosen": "Now.", "rejected": "Never."}\n'
    )
    typed_in(monkeypatch, "1\n")
    assert main(["label", "pairs.jsonl", "--terminal"]) == 0
    assert "1 answered, 0 skipped, 0 taken back; 1 are open" in capsys.readouterr().out
    typed_in(monkeypatch, "what\n")
    assert main(["label", "pairs.jsonl.labels.db", "--terminal"]) == 1
    told = capsys.readouterr().err
    assert "line 1: choice = 'what'" in told
    typed_in(monkeypatch, "0\n")
    assert main(["label", "pairs.jsonl.labels.db", "--terminal", "--json"]) == 0
    assert '"answered": 1' in capsys.readouterr().out
    with People.open("pairs.jsonl.labels.db") as people:
        assert [len(cast(Ranked, one.judgment.verdict).tiers) for one in people.current()] == [2, 1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["label"], "name a FILE"),
        (["label", "x.jsonl", "--fill", "plan.toml"], "takes no FILE"),
        (["label", "x.jsonl", "--max-tokens", "3"], "--max-tokens goes with --fill"),
        (["label", "--set", "a=1"], "--set goes with --fill"),
        (["label", "--fill", "none.toml"], "none.toml"),
        (["label", "--fill", "plan.toml"], "no person"),
        (["label", "l.db", "--wording", "Why?"], "these questions have their words"),
    ],
)
def test_what_the_command_refuses(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("l.db").write_bytes(b"SQLite format 3\0")
    if says == "no person":
        says = 'name = "human"'
    assert main(words) == 1
    assert says in " ".join(capsys.readouterr().err.split())
