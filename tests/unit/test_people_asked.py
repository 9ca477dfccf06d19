"""A run that asks people while it trains: it waits, is stopped and goes on, and nobody is asked twice.

Mutants this kills: an answer that is awaited again though it was used, a replay that asks, a run whose
records depend on where its people sit.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from unit.raters import WORDS, InMemory, answered, shorter

from accord.assembly import Place
from accord.checkpoints import save_state
from accord.frozen import LOCK, read_lock
from accord.pipeline import Outcome, resume, run
from accord.plan import Plan, read_plan
from accord.progress import Silent
from accord.records import Question
from accord.replaying import forget, replayed
from accord.stores.people import People
from accord.stores.runlog import read_log


class Broken(BaseException):
    """Stands for a kill."""


class Heard(Silent):
    """What a person at the screen reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def advance(self, done: float = 1, note: str = "") -> None:
        self.notes.append(note)


def planned(folder: Path, slots: int = 1) -> Plan:
    (folder / "ask.jsonl").write_text("".join(json.dumps({"prompt": f"Q{i}?"}) + "\n" for i in range(4)))
    human: dict[str, Any] = {"name": "human", "queue": str(folder / "labels.db")}
    if slots > 1:
        human = {"name": "jury", "members": [{**human, "slot": n} for n in range(slots)]}
    stage = {
        "name": "tune",
        "windows": 5,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 2, "max_tokens": 4},
        "ask": [{"name": "pairs", "column": "p", "collapse": "distribution", "overseer": human}],
        "method": {"name": "online_dpo"},
        "learner": {"name": "scripted", "words": ["yes", "no", "so"], "lr": 2.0},
        "guard": {
            "every": 2,
            "probes": 2,
            "answers": 1,
            "max_tokens": 2,
            "indicator": [],
            "rule": [{"name": "fault"}],
        },
        "checkpoint": {"every": 1, "keep": 9},
    }
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": "scripted", "stage": [stage]})


def went(folder: Path, plan: Plan, progress: Silent | None = None) -> Outcome:
    return run(plan, runs=folder, name="r", store="none", beside=folder, progress=progress)


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InMemory:
    (tmp_path / "labels.db").touch()
    found = InMemory()
    monkeypatch.setattr("accord.frozen.opened", lambda _: found)
    return found


def broken(folder: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    saves = 0

    def save(*args: Any) -> Path:
        nonlocal saves
        saves += 1
        if saves > after:
            raise Broken
        return save_state(*args)

    with monkeypatch.context() as m, pytest.raises(Broken):
        m.setattr("accord.loop.save_state", save)
        went(folder, plan)


@pytest.mark.parametrize("slots", [1, 2])
def test_nothing_that_was_used_is_asked_again_and_a_replay_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, queue: InMemory, slots: int
) -> None:
    plan = planned(tmp_path, slots)
    broken(tmp_path, plan, monkeypatch, 3)
    lock = tmp_path / "r" / "tune" / LOCK
    committed = {e["judgment"] for e in read_lock(lock) if "made_of" not in e}
    used = {(str(e["question"]), n) for e in read_lock(lock) for n in range(slots)}
    assert committed and used == set(queue.asked)
    queue.asked.clear()
    outcome = resume(tmp_path / "r")
    assert outcome.action == "done"
    assert queue.asked
    assert not used & set(queue.asked)
    assert len(set(queue.asked)) == len(queue.asked)
    queue.asked.clear()
    stage = outcome.folder / "tune"
    again = read_plan(outcome.folder / "plan.toml")
    place = Place(stage, again, again.stage[0], again.model, Silent(), None)
    before = lock.read_bytes()
    found = replayed(place, read_log(stage), (0, 4), most=9)
    assert found.folder is not None, found.says
    assert not queue.asked
    assert lock.read_bytes() == before
    forget(place)
    lock.unlink()
    found = replayed(place, read_log(stage), (0, 4), most=9)
    assert found.folder is None
    assert "evidence incomplete" in found.says
    assert not queue.asked
    forget(place)


def records(stage: Path) -> list[tuple[object, ...]]:
    return [(line.record.kind, line.step, line.name, line.record.body()) for line in read_log(stage).lines]


def test_a_rater_in_process_and_one_at_the_database_make_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times and salts aside; the scripted rater's salts are functions of the seat, so even ids agree."""
    (tmp_path / "store").mkdir()
    file, over = tmp_path / "store" / "labels.db", threading.Event()
    with People.open(str(file)) as people:
        known = people.id

    def rates() -> None:
        while not over.wait(0.02):
            answered(file)

    rater = threading.Thread(target=rates)
    rater.start()
    heard = Heard()
    try:
        there = went(tmp_path / "store", planned(tmp_path / "store"), heard)
    finally:
        over.set()
        rater.join()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "labels.db").touch()
    monkeypatch.setattr("accord.frozen.opened", lambda _: InMemory(id=known))
    here = went(tmp_path / "here", planned(tmp_path / "here"))
    assert there.action == here.action == "done"
    mine, theirs = records(here.folder / "tune"), records(there.folder / "tune")
    assert len(mine) > 30
    result = ("model", "entry")  # a path and seconds are in them
    assert [r for r in mine if r[0] not in result] == [r for r in theirs if r[0] not in result]
    assert read_lock(here.folder / "tune" / LOCK) == read_lock(there.folder / "tune" / LOCK)
    for folder in (here.folder, there.folder):
        assert not [p for p in folder.rglob("*") if p.is_file() and WORDS.encode() in p.read_bytes()]


def test_it_says_what_it_waits_for_and_goes_on_when_it_is_answered(tmp_path: Path, queue: InMemory) -> None:
    queue.rule = None
    heard, over = Heard(), threading.Event()

    def answers() -> None:
        while not over.wait(0.02):
            if any(line.startswith("waiting") for line in heard.lines):
                for question in list(queue.slots):
                    if (question, 0) not in queue.answers:
                        asked = queue.records[question]
                        assert isinstance(asked, Question)
                        queue.say(question, 0, shorter(asked, queue.records.__getitem__))

    rater = threading.Thread(target=answers)
    rater.start()
    try:
        outcome = went(tmp_path, planned(tmp_path), heard)
    finally:
        over.set()
        rater.join()
    assert outcome.action == "done"
    (line,) = [line for line in heard.lines if line.startswith("waiting")][:1]
    assert line.startswith("waiting for people: 0 of ")
    assert line.endswith(
        f"answered, labels.db; Ctrl-C keeps everything, accord resume {tmp_path / 'r'} goes on"
    )
    assert any("answered, labels.db" in note for note in heard.notes)
