"""A run's log as a writer leaves it, and trackers that follow it in this process or another."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from accord.records import Entry, StepEvent
from accord.stores import RunLog
from accord.stores.foreign.trackers import Row, Watch, follow
from accord.stores.foreign.trackers.rows import About

FAST = Watch(every=0.01, retry=0.01, quiet=0.2)
ONCE = FAST._replace(once=True)

# A tracker of one file, which stays when its process does not. It is imported by its name in other processes.
SHELF = """
import json, os, signal, time
from accord.stores.foreign.trackers import Row

class Shelf:
    def begin(self, about):
        self.file = about.folder / "shelf.jsonl"
        self.file.touch()

    def send(self, rows):
        for row in rows:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + chr(10))
            if self.file.stat().st_size > int(os.environ.get("SHELF_DIES_AT", 10**9)):
                os.kill(os.getpid(), signal.SIGKILL)

    def held(self, sent):
        return sent

    def rows(self):
        return [Row(*json.loads(line)) for line in self.file.read_text(encoding="utf-8").splitlines()]

    def missing(self, rows):
        there = {row.number for row in self.rows()}
        return [row for row in rows if row.number not in there]

    def close(self, ending):
        (self.file.parent / "closed").write_text(ending)

class Hanging(Shelf):
    def send(self, rows):
        (self.file.parent / "hangs").write_text(str(os.getpid()))
        time.sleep(600)
"""


def planned(run: Path, *stages: str) -> Path:
    run.mkdir(parents=True)
    text = 'name = "x"\npurpose = "explore"\nmodel = "m"\n'
    for stage in stages or ("a",):
        text += f'[[stage]]\nname = "{stage}"\n[stage.method]\nname = "sft"\nlr = 0.5\n'
    (run / "plan.toml").write_text(text)
    return run


def update(step: int, **scalars: float) -> StepEvent:
    return StepEvent(run="x-1/a", name="update", step=step, scalars=scalars or {"objective": 1.0 / step})


def write(run: Path, *steps: int, stage: str = "a", entry: bool = False) -> RunLog:
    """A writer that came, wrote these updates and closed."""
    with RunLog.open(run / stage, f"x-1/{stage}") as log:
        for step in steps:
            log.write(update(step), step=step, name=f"update/{step}")
            log.commit()
        if entry:
            enter(log, steps[-1], stage)
    return log


def enter(log: RunLog, step: int, stage: str = "a") -> None:
    log.write(Entry(run="x-1", stage=stage, step=step, purpose="explore", model="m"), step=step)


def killed(log: RunLog) -> None:
    """What a kill -9 leaves of a writer in this process: the lock is free, nothing is sealed."""
    for segment in log._open.values():
        os.close(segment.file)
    os.close(log._lock)


class Memory:
    """A tracker in this process. ``script``: what to do at each row, by its number: raise, or hang."""

    def __init__(self, **script: Any) -> None:
        self.rows: list[Row] = []
        self.script = script
        self.about: About | None = None
        self.ending: str | None = None

    def begin(self, about: About) -> None:
        self.about = about

    def send(self, rows: Any) -> None:
        for row in rows:
            self._play(f"before_{row.number}")
            self.rows.append(row)
            self._play(f"after_{row.number}")

    def _play(self, place: str) -> None:
        action = self.script.pop(place, None)
        if isinstance(action, BaseException):
            raise action
        if action:
            action()

    def held(self, sent: int) -> int:
        return sent

    def missing(self, rows: Any) -> list[Row]:
        there = {row.number for row in self.rows}
        return [row for row in rows if row.number not in there]

    def close(self, ending: str) -> None:
        self.ending = ending

    def points(self) -> list[tuple[str, int]]:
        return [(name, row.step) for row in self.rows for name in (*row.scalars, *row.texts)]


def followed(run: Path, tracker: Any = None, watch: Watch = FAST, name: str = "memory") -> Any:
    tracker = tracker or Memory()
    tracker.told = []
    tracker.returned = follow(run, name, tracker, tracker.told.append, watch)
    return tracker


class Killed(BaseException):
    """Passes through everything, as a kill does: nothing of ours may catch it."""
