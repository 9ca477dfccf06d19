"""Live trackers: every line of a run's log reaches each tracker once, whatever dies, hangs or is out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked import FAST, ONCE, SHELF, Killed, Memory, enter, followed, planned, update, write

from accord.cli import main
from accord.errors import PlanError, Refused
from accord.records import Decision, NotMeasured, Reading, StepEvent
from accord.stores import RunLog
from accord.stores.foreign import trackers
from accord.stores.foreign.trackers import Outage, Row, follow


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


# What is sent


def test_every_line_in_the_words_of_trackers(tmp_path: Path) -> None:
    run = planned(tmp_path / "r", "first", "second")
    with RunLog.open(run / "first", "r/first") as log:
        window = StepEvent(run="r", name="window", step=0, window=0, scalars={"rows": 8.0})
        log.write(window, step=0)
        log.write(update(1, objective=0.5, **{"loss/sft": 0.25}), step=1)
        log.write(
            Reading(run="r", name="kl", step=1, instrument="i", value=2.0, low=1.0, high=3.0, n=2), step=1
        )
        log.write(NotMeasured(run="r", name="rank", step=1, reason="no answers"), step=1)
        log.write(StepEvent(run="r", name="fault", step=1, text="an indicator raised"), step=1)
        log.write(Decision(run="r", step=1, action="continue", rule="fell", reason="a little"), step=1)
        enter(log, 1, "first")
    write(run, 1, stage="second", entry=True)
    got = followed(run)
    said = {name: value for row in got.rows for name, value in (row.scalars | row.texts).items()}
    assert said == {
        "first/window/rows": 8.0,
        "first/train/objective": 0.5,
        "first/train/loss/sft": 0.25,
        "first/guard/kl": 2.0,
        "first/guard/kl_low": 1.0,
        "first/guard/kl_high": 3.0,
        "first/guard/rank": "not measured: no answers",
        "first/fault": "an indicator raised",
        "first/decision": "continue, by the rule fell: a little",
        "first/entry": "finished at step 1, purpose explore",
        "second/train/objective": 1.0,
        "second/entry": "finished at step 1, purpose explore",
    }
    assert (got.returned, got.ending) == ("done", "done")
    assert [row.number for row in got.rows] == list(range(len(got.rows)))
    assert got.about.run == "r"
    assert got.about.project == "x"
    assert got.about.plan["stage"][1]["method"] == {"name": "sft", "lr": 0.5}


def test_names_in_any_script_and_half_a_character(run: Path) -> None:
    with RunLog.open(run / "a", "x-1/a") as log:
        log.write(update(1, **{"loss/β·straße": 0.5}), step=1)
        log.write(StepEvent(run="r", name="fault", step=1, text="half \ud800 of one"), step=1)
        enter(log, 1)
    got = followed(run)
    assert ("a/train/loss/β·straße", 1) in got.points()
    (fault,) = [row.texts["a/fault"] for row in got.rows if "a/fault" in row.texts]
    assert fault == "half ? of one"


def test_a_figure_that_is_not_finite_is_skipped_and_counted_once(run: Path) -> None:
    for _ in range(2):  # the second writer repeats what the first one wrote
        with RunLog.open(run / "a", "x-1/a") as log:
            log.write(update(1, objective=float("nan"), grad_norm=float("inf"), tokens=3.0), step=1)
    got = followed(run, watch=ONCE)
    assert got.points() == [("a/train/tokens", 1)]
    assert "1 rows in all, 2 figures not finite and skipped, 1 repeats left out" in got.told[-1]


def test_who_accepted_a_pause_is_nobody_else_s_business(run: Path) -> None:
    with RunLog.open(run / "a", "x-1/a") as log:
        pause = Decision(run="x", step=1, action="pause", rule="fell", reason="it fell")
        log.write(pause, step=1)
        accepted = Decision(
            run="x", step=1, action="continue", rule="acceptance", by="A. Person", accepts=pause.id
        )
        log.write(accepted, step=1)
    got = followed(run, watch=ONCE)
    assert len(got.rows) == 2
    assert "Person" not in json.dumps(got.rows)


# Once, whatever happens


@pytest.mark.parametrize("place", ["before_0", "after_0", "before_7", "after_7", "after_11", "close"])
def test_a_follower_killed_anywhere_loses_and_doubles_nothing(run: Path, place: str) -> None:
    write(run, *range(1, 12), entry=True)
    tracker = Memory(**{place: Killed()})
    tracker.close = lambda ending: tracker._play("close")  # type: ignore[method-assign]
    with pytest.raises(Killed):
        followed(run, tracker)
    followed(run, tracker)
    assert sorted(row.step for row in tracker.rows) == [*range(1, 12), 11]
    followed(run, tracker)
    assert len(tracker.rows) == 12


@pytest.mark.parametrize("held", [0, 3])
def test_rows_that_the_tracker_took_but_lost_in_the_kill_are_sent_again(run: Path, held: int) -> None:
    write(run, *range(1, 7))
    tracker = Memory(after_5=Killed())
    tracker.held = lambda sent: held  # type: ignore[method-assign]
    with pytest.raises(Killed):
        followed(run, tracker)
    del tracker.rows[held:]  # what its own queue had not written yet
    followed(run, tracker, ONCE)
    assert [row.step for row in tracker.rows] == [1, 2, 3, 4, 5, 6]


def test_sigkill_in_the_middle_of_a_live_run(run: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("SHELF_DIES_AT", "2500")
    with RunLog.open(run / "a", "x-1/a") as log:
        (child,) = trackers.start(run, ["shelf:Shelf"])
        for step in range(1, 400):
            log.write(update(step), step=step, name=f"update/{step}")
            log.commit()
            if child.poll() is not None:
                break
            time.sleep(0.02 if step < 300 else 0.2)
        assert child.returncode == -signal.SIGKILL
        enter(log, step)
    monkeypatch.delenv("SHELF_DIES_AT")
    done = subprocess.run(
        [sys.executable, "-m", "accord", "track", str(run), "--to", "shelf:Shelf"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    rows = [Row(*json.loads(line)) for line in (run / "shelf.jsonl").read_text().splitlines()]
    assert Counter(r.step for r in rows if r.scalars) == Counter(range(1, step + 1))
    assert (run / "closed").read_text() == "done"


def test_an_outage_is_waited_out_and_told(run: Path) -> None:
    write(run, *range(1, 6), entry=True)
    outages = {"after_1": Outage("503 no server"), "before_2": Outage("503 no server")}
    got = followed(run, Memory(**outages))
    assert sorted(row.step for row in got.rows) == [1, 2, 3, 4, 5, 5]
    assert sum("503 no server; again in" in line for line in got.told) == 2
    assert got.returned == "done"


def test_an_outage_that_outlasts_the_run_is_given_up_and_made_good_later(run: Path) -> None:
    write(run, 1, 2, entry=True)

    class Out(Memory):
        def send(self, rows: Any) -> None:
            if rows:
                raise Outage("no route")

    with pytest.raises(Refused, match=r"3 rows .* wait\n.*accord track .*x-1 --to out --once"):
        followed(run, Out(), FAST._replace(give_up=0.05), name="out")
    assert len(followed(run, name="out").rows) == 3


def test_a_call_that_hangs_is_broken_off_and_made_again(run: Path) -> None:
    write(run, 1, 2, 3, entry=True)
    began = time.monotonic()
    got = followed(run, Memory(before_1=lambda: time.sleep(60)), FAST._replace(call=0.2))
    assert time.monotonic() - began < 20
    assert [row.step for row in got.rows] == [1, 2, 3, 3]
    assert "no answer within 0.2 s" in got.told[0]


def test_a_hanging_tracker_does_not_stop_a_run(run: Path) -> None:
    began = time.monotonic()
    (child,) = trackers.start(run, ["shelf:Hanging"])
    assert time.monotonic() - began < 2
    try:
        with RunLog.open(run / "a", "x-1/a") as log:
            step = 0
            while not (run / "hangs").exists() or step < 50:
                step += 1
                began = time.monotonic()
                log.write(update(step), step=step, name=f"update/{step}")
                log.commit()
                assert time.monotonic() - began < 5
                time.sleep(0.01)
            enter(log, step)
        assert child.poll() is None
        assert os.getsid(child.pid) == child.pid != os.getsid(0), "Ctrl-C would reach it"
    finally:
        child.kill()
        child.wait()
    assert len(followed(run, name="other").rows) == step + 1


def test_two_trackers_at_once_get_everything_each(run: Path) -> None:
    got = {name: Memory() for name in ("one", "two")}
    threads = [
        threading.Thread(target=followed, args=(run, tracker, FAST, name)) for name, tracker in got.items()
    ]
    for thread in threads:
        thread.start()
    write(run, *range(1, 60), entry=True)
    for thread in threads:
        thread.join(30)
    for tracker in got.values():
        assert [row.step for row in tracker.rows] == [*range(1, 60), 59]


def test_one_run_is_sent_to_a_tracker_by_one_process(run: Path) -> None:
    write(run, 1, entry=True)
    refused: list[str] = []

    def second() -> None:
        with pytest.raises(Refused) as info:
            follow(run, "memory", Memory(), print, FAST)
        refused.append(str(info.value))

    followed(run, Memory(before_0=second))
    assert "another process sends this run to memory" in refused[0]


# Names and packages


def test_a_tracker_that_does_not_exist(run: Path, capsys: Any) -> None:
    with pytest.raises(PlanError, match='did you mean "wandb"'):
        trackers.check(["wandbb"])
    assert main(["track", str(run), "--to", "tensorbord"]) == 1
    assert "tensorboard" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(trackers.TRACKERS))
def test_a_missing_package_says_what_to_install(name: str, run: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, trackers.TRACKERS[name][0], None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Refused, match="pip install 'accord\\[trackers\\]'"):
        trackers.start(run, [name])
    assert main(["track", str(run), "--to", name]) == 2
    assert "accord[trackers]" in capsys.readouterr().err
    assert list(run.glob("*track*")) == []


def test_help_shows_examples(capsys: Any) -> None:
    assert main(["track", "--help"]) == 0
    assert capsys.readouterr().out.partition("Examples:")[2].count("accord track") == 2
