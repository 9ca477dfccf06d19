"""Interrupted audits go on: nothing that was answered is asked again, and the result is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from unit.auditing.speaking import Speakers, right, sly

from accord.auditing import AuditTable, asking, audit, figures
from accord.auditing.journal import Journal
from accord.errors import Refused, Unreadable

TESTS = Path(__file__).resolve().parents[2]


def again(place: Path, speakers: Speakers, **more: Any) -> AuditTable:
    settings = {"panels": (str(place / "mine.jsonl"), "base"), "scorer": "choice", "depth": "standard"}
    settings |= {"prompts": place / "prompts.jsonl", "folder": place / "audits"}
    return audit(["sly"], "base", engine=speakers, **{**settings, **more})


def fresh(**more: Any) -> Speakers:
    return Speakers({"base": right, "sly": sly}, **more)


@pytest.fixture(autouse=True)
def pieces_of_a_few_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PIECE", 60)
    monkeypatch.setattr(figures, "probes_needed", lambda *_: 7)  # a second of simulation, tested elsewhere


def test_a_killed_audit_asks_nothing_twice(place: Path) -> None:
    """Mutants: answers kept in memory only, written after the whole indicator, keyed without the model."""
    command = [sys.executable, str(Path(__file__).with_name("speaking.py")), str(place), "23"]
    path = os.pathsep.join(
        [*filter(None, [os.environ.get("PYTHONPATH")]), str(TESTS), str(TESTS.parent / "src")]
    )
    ended = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, timeout=120, capture_output=True)
    assert ended.returncode == -9, ended.stderr.decode()
    before = (place / "asked.log").read_text("utf-8").splitlines()
    assert len(before) > 60

    speakers = fresh()
    resumed = again(place, speakers, resume=True)
    counts = Counter([*before, *speakers.asked])
    assert set(counts.values()) == {1}

    whole = fresh()
    uninterrupted = again(place, whole, folder=place / "other")
    assert set(counts) == set(whole.asked)
    assert resumed.json() == uninterrupted.json()
    assert resumed.finished


def test_a_torn_line_is_asked_again_and_a_strange_one_is_named(place: Path) -> None:
    again(place, fresh())
    (folder,) = (place / "audits").iterdir()
    asked = folder / "asked.jsonl"
    lines = asked.read_bytes().splitlines(keepends=True)
    asked.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    (folder / "audit.json").unlink()
    speakers = fresh()
    assert again(place, speakers, resume=True).finished
    assert len(speakers.asked) == 1
    assert len(asked.read_bytes().splitlines()) == len(lines)
    asked.write_bytes(b"{}\n" + b"".join(lines))
    with pytest.raises(Unreadable, match=r"asked\.jsonl:1"):
        again(place, fresh(), resume=True)


def test_the_limit_stops_it_cleanly_and_resume_goes_on(place: Path) -> None:
    first = fresh()
    part = again(place, first, max_tokens=2500)
    assert not part.finished
    spent = sum(cost.tokens_in + cost.tokens_out for cost in part.spent.values())
    assert 1200 < spent <= 2500
    assert any("NOT FINISHED" in line for line in part.says())
    assert any("--resume" in str(row) for row in part.rows())
    (folder,) = (place / "audits").iterdir()
    assert not (folder / "audit.json").exists()
    with pytest.raises(Refused, match="not finished"):
        again(place, fresh())

    tries, table = [first], part
    while not table.finished:
        tries.append(fresh())
        table = again(place, tries[-1], resume=True, max_tokens=7000)
    assert len(tries) >= 3
    counts = Counter(line for speakers in tries for line in speakers.asked)
    assert set(counts.values()) == {1}
    assert table.json() == again(place, fresh(), folder=place / "other").json()


def test_a_finished_audit_is_told_again_without_asking_and_repeated_under_another_name(place: Path) -> None:
    first = again(place, fresh())
    silent = fresh()
    assert again(place, silent, resume=True).json() == first.json()
    assert silent.asked == []
    repeated = fresh()
    assert again(place, repeated).json() == first.json()
    assert len(repeated.asked) > 100
    names = sorted(folder.name for folder in (place / "audits").iterdir())
    assert names == [names[0], f"{names[0]}-2"]
    assert again(place, fresh(), depth="quick").folder.rsplit("/", 1)[1] not in names, "another wish"


def test_two_at_once_on_one_folder_refuse(place: Path) -> None:
    wish = {"models": ["a"]}
    refusal = pytest.raises(Refused, match=f"process {os.getpid()} is at this audit")
    with Journal.begin(place / "audits", wish, resume=False), refusal:
        Journal.begin(place / "audits", wish, resume=True)
    Journal.begin(place / "audits", wish, resume=True).close()


def test_a_model_that_changed_is_refused(place: Path) -> None:
    again(place, fresh(), max_tokens=2500)
    with pytest.raises(Refused, match="base is not the model that this audit began with"):
        again(place, fresh(policies={"base": "speaker:new"}), resume=True)


def test_there_must_be_something_to_resume(place: Path) -> None:
    with pytest.raises(Refused, match="leave out --resume"):
        again(place, fresh(), resume=True)
    assert not (place / "audits").exists()
