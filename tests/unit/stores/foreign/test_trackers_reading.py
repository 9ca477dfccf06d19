"""What a follower of a live run reads of its log, and when it ends."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked import FAST, ONCE, SHELF, Memory, enter, followed, killed, planned, update, write

from accord.cli import main
from accord.errors import Unreadable
from accord.records import Decision, StepEvent
from accord.stores import RunLog, runlog
from accord.stores.foreign.trackers.follow import state_file


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shelf.py").write_text(SHELF)
    yield tmp_path
    sys.modules.pop("shelf", None)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return planned(tmp_path / "runs" / "x-1")


# What is read


def test_a_torn_line_is_not_read_before_it_is_whole(run: Path) -> None:
    log = RunLog.open(run / "a", "x-1/a")
    for step in (1, 2, 3):
        log.write(update(step), step=step)
    log.commit()
    (path,) = (run / "a" / "events").glob("*.open")
    one, two, three = path.read_bytes().splitlines(keepends=True)
    tracker = Memory()
    for size in (0, 1, len(two) // 2, len(two) - 1):
        path.write_bytes(one + two[:size])
        followed(run, tracker, ONCE)
        assert len(tracker.rows) == 1
    path.write_bytes(one + two + three[:-1])
    followed(run, tracker, ONCE)
    assert [row.step for row in tracker.rows] == [1, 2]
    killed(log)
    with RunLog.open(run / "a", "x-1/a") as log:  # seals what was left, without the torn line
        assert log.torn == 1
        log.write(update(3), step=3)
        enter(log, 3)
    followed(run, tracker)
    assert [row.step for row in tracker.rows] == [1, 2, 3, 3]


def test_lines_across_segments_while_they_are_sealed(run: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(runlog, "MAX_BYTES", 900)
    tracker = Memory()
    with RunLog.open(run / "a", "x-1/a") as log:
        for step in range(1, 40):
            log.write(update(step), step=step)
            log.commit()
            if step % 4 == 0:
                followed(run, tracker, ONCE)
    assert len(list((run / "a" / "events").iterdir())) > 5
    followed(run, tracker, ONCE)
    assert [row.step for row in tracker.rows] == list(range(1, 40))
    places = json.loads(state_file(run, "memory").read_text())["places"]
    assert len(places) == 1, "the position grows with writers, not with segments"


def test_what_a_resume_repeats_is_left_out_and_what_is_new_is_sent(run: Path) -> None:
    tracker = Memory()
    log = RunLog.open(run / "a", "x-1/a")
    for step in range(1, 8):
        log.write(update(step), step=step)
    log.commit()
    followed(run, tracker, ONCE)
    killed(log)
    write(run, *range(4, 12))  # from the checkpoint at step 3
    followed(run, tracker, ONCE)
    assert [row.step for row in tracker.rows] == list(range(1, 12))
    assert "11 rows in all, 0 figures not finite and skipped, 4 repeats left out" in tracker.told[-1]


def test_a_later_look_sends_what_a_live_one_does(run: Path) -> None:
    write(run, *range(1, 8))
    write(run, *range(4, 12))
    assert [row.step for row in followed(run, watch=ONCE).rows] == list(range(1, 12))


def test_events_of_one_step_and_one_fence_are_all_sent(run: Path) -> None:
    with RunLog.open(run / "a", "x-1/a") as log:
        for window in range(3):  # windows without a step
            event = StepEvent(run="x", name="window", step=5, window=window, scalars={"rows": float(window)})
            log.write(event, step=5, name=f"window/{window}")
    assert [row.scalars["a/window/rows"] for row in followed(run, watch=ONCE).rows] == [0, 1, 2]


def test_a_line_that_is_none_is_told_and_passed_over(run: Path) -> None:
    write(run, 1)
    (path,) = (run / "a" / "events").iterdir()
    good = path.read_bytes().partition(b"\n")[0]
    path.write_bytes(
        b"\n".join([good, b'{"id": 3}', good.replace(b'"objective":1.0', b'"objective":2.0'), b""])
    )
    got = followed(run, watch=ONCE)
    assert len(got.rows) == 1
    assert "no line of a run log" in got.told[0]
    assert "quarantined" in got.told[1]


def test_a_folder_without_a_plan_and_a_damaged_position(run: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="the plan of a run"):
        followed(tmp_path)
    state_file(run, "memory").write_text('{"key": 1}')
    with pytest.raises(Unreadable, match="delete it"):
        followed(run)


# When it ends


def paused(run: Path, action: str = "pause") -> Decision:
    with RunLog.open(run / "a", "x-1/a") as log:
        decision = Decision(run="x", step=1, action=action, rule="fell", reason="it fell")  # type: ignore[arg-type]
        log.write(decision, step=1)
    return decision


@pytest.mark.parametrize("action", ["pause", "halt"])
def test_it_ends_with_the_run_that_was_stopped(run: Path, action: str) -> None:
    paused(run, action)
    got = followed(run)
    assert (got.returned, got.ending) == (action, action)


def test_a_pause_of_before_ends_nothing(run: Path) -> None:
    pause = paused(run)
    tracker = Memory()
    later = FAST._replace(since=time.time(), parent=os.getppid())
    thread = threading.Thread(target=followed, args=(run, tracker, later))
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive(), "the process that resumes has not written its acceptance yet"
    with RunLog.open(run / "a", "x-1/a") as log:
        log.write(Decision(run="x", step=1, action="continue", rule="acceptance", accepts=pause.id), step=1)
        log.commit()
        time.sleep(0.3)
        log.write(update(2), step=2)
        enter(log, 2)
    thread.join(30)
    assert tracker.ending == "done"
    assert {row.step for row in tracker.rows} == {1, 2}


def test_it_ends_when_the_process_that_trains_is_gone_and_nothing_comes(run: Path) -> None:
    write(run, 1, 2)
    writer = json.dumps({"pid": 2**22 - 7, "writer": "w", "fence": 1})
    (run / "a" / "writer.lock").write_text(writer + "\n")
    began = time.monotonic()
    assert followed(run).ending == "interrupted"
    assert time.monotonic() - began >= FAST.quiet
    # As a child, too, once its parent is another than the one that started it.
    got = followed(run, watch=FAST._replace(parent=2**22 - 7), name="child")
    assert (got.ending, len(got.rows)) == ("interrupted", 2)


def test_once_sends_what_is_there_and_the_run_goes_on(run: Path, capsys: Any) -> None:
    with RunLog.open(run / "a", "x-1/a") as log:
        log.write(update(1), step=1)
        log.commit()
        assert main(["track", "x-1", "--to", "shelf:Shelf", "--once"]) == 0
        assert (run / "closed").read_text() == ""
        assert "the run goes on" in capsys.readouterr().out
        log.write(update(2), step=2)
        enter(log, 2)
    assert main(["track", "x-1", "--to", "shelf:Shelf", "--once"]) == 0
    assert len((run / "shelf.jsonl").read_text().splitlines()) == 3
    assert (run / "closed").read_text() == "done"


def test_a_long_first_line_and_many_bad_ones_hide_nothing(run: Path) -> None:
    with RunLog.open(run / "a", "x-1/a") as log:
        log.write(StepEvent(run="x", name="fault", step=1, text="t" * 600_000), step=1)
        log.write(update(2), step=2)
        enter(log, 2)
    (path,) = (run / "a" / "events").iterdir()
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(first + b"\n" + b"{}\n" * 600 + rest)
    got = followed(run)
    assert [row.step for row in got.rows] == [1, 2, 2]
    assert len(got.told) == 601
