"""Interrupted by a person, met by another process, moved to another machine: a run keeps its head."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.processes import Ended, accord, start
from e2e.sameness import differences
from e2e.tiny_runs import WAITS, tiny_plan, write_plan

from accord.stores.runlog import read_log
from accord.stores.sql import SqlStore


def words(place: Path, name: str = "tiny") -> list[str]:
    plan = place / "plan.toml"
    if not plan.exists():
        write_plan(plan, tiny_plan())
    return ["run", str(plan), "--runs", str(place / "runs"), "--name", name]


def test_ctrl_c_in_a_shell(files: Path, place: Path, whole: Path) -> None:
    """The real command, in an interpreter of its own, interrupted while an answer is being graded."""
    gate = place / "gate"
    env = os.environ | {WAITS: str(gate), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "accord", *words(place)]
    process = subprocess.Popen(command, cwd=files, env=env, stderr=subprocess.PIPE, text=True)
    try:
        latest = time.monotonic() + 120
        while not (place / "gate.reached").exists() and time.monotonic() < latest and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert time.monotonic() - began < 15, "a grader that does not come back may not hold up Ctrl-C"
    assert "Traceback" not in err
    assert err.splitlines()[-1] == (
        f"accord: interrupted; nothing acknowledged is lost; go on with: accord resume {place}/runs/tiny"
    )
    done = accord("resume", place / "runs/tiny", at=files)
    assert done.code == 0, done
    assert differences(whole, place / "runs/tiny") == []


@pytest.mark.slow
def test_ctrl_c_at_any_moment(files: Path, place: Path, whole: Path) -> None:
    draw, stopped = random.Random(1), 0
    # A quick run may be over before the second Ctrl-C comes; then the next one is interrupted.
    for number in range(10):
        folder = place / str(number)
        folder.mkdir()
        stopped += _interrupted(folder, files, draw)
        done = accord("resume", folder / "runs/tiny", at=files)
        assert done.code == 0, done
        assert differences(whole, folder / "runs/tiny") == []
        if stopped >= 2:
            break
    assert stopped >= 2, "the interrupts met a run"


def _interrupted(folder: Path, files: Path, draw: random.Random) -> int:
    """How many Ctrl-C a run in ``folder`` met, at one moment after another, before it was over."""
    run = folder / "runs/tiny"
    moments: list[Callable[[], bool]] = [
        lambda: True,
        (run / "amplify").exists,
        (run / "amplify/checkpoints/00000000.000/manifest.json").exists,
        (run / "amplify/checkpoints/00000002.000").exists,
        (run / "amplify/.work-model").exists,
        (run / "imitate/events").exists,
        (run / "imitate/model").exists,
    ]
    for stopped, moment in enumerate(moments):
        onward = ["resume", str(run)] if (run / "run.json").exists() else words(folder)
        running = start(onward, files)
        time.sleep(0.05)  # before that, Ctrl-C meets the test's own preparations
        running.until(moment)
        time.sleep(draw.uniform(0, 0.1))
        running.interrupt()
        ended = running.end(60)
        if ended.code == 0:
            return stopped
        assert ended.code == 130, ended
        assert "Traceback" not in ended.err + ended.out
        message = ended.err.splitlines()[-1]
        assert message.startswith("accord: interrupted; nothing acknowledged is lost; ")
        # A resume that had not yet read its words says "the same command", which is a resume too.
        assert ("accord resume" in message) == (run / "run.json").exists() or onward[0] == "resume", message
    return len(moments)


def test_two_processes_do_not_write_one_run(
    files: Path, place: Path, whole: Path, said: Callable[..., Ended]
) -> None:
    gate = place / "gate"
    first = start(words(place), files, {WAITS: str(gate)})
    assert first.until(lambda: (place / "runs/tiny/amplify/environment.json").exists())
    said(
        accord("resume", place / "runs/tiny", at=files),
        2,
        f"process {first.pid} is writing this run",
        "wait for it",
    )
    said(accord(*words(place), at=files), 2, "exists", "accord resume")
    first.kill()
    assert first.end().code == -9

    second = start(["resume", str(place / "runs/tiny")], files, {WAITS: str(gate)})
    lock = place / "runs/tiny/amplify/writer.lock"
    assert second.until(lambda: f'"pid": {second.pid},' in lock.read_text())
    said(accord("resume", place / "runs/tiny", at=files), 2, f"process {second.pid} is writing this run")
    assert second.alive
    gate.touch()
    assert second.end().code == 0
    assert differences(whole, place / "runs/tiny") == []


def test_two_runs_at_once_share_a_folder_and_an_index(files: Path, place: Path) -> None:
    plan = write_plan(place / "plan.toml", tiny_plan())
    command = ["run", str(plan), "--runs", str(place / "runs"), "--json"]
    both = [start(command, files), start(command, files)]
    ended = [one.end() for one in both]
    assert [one.code for one in ended] == [0, 0], ended
    names = {json.loads(one.out)["run"] for one in ended}
    assert names == {"tiny-1", "tiny-2"}
    with SqlStore(f"sqlite:///{place}/runs/accord.db") as store:
        for name in names:
            for stage in ("amplify", "imitate"):
                logged = {r.id for r in read_log(place / "runs" / name / stage).records("reading")}
                assert {r.id for r in store.find("reading", run=f"{name}/{stage}")} == logged != set()


def test_another_number_of_threads_is_refused_until_a_person_allows_it(
    files: Path, place: Path, said: Callable[..., Ended]
) -> None:
    gate = place / "gate"
    first = start(words(place), files, {WAITS: str(gate), "OMP_NUM_THREADS": "1"})
    assert first.until(lambda: (place / "runs/tiny/amplify/environment.json").exists())
    first.kill()
    first.end()
    run, two = place / "runs/tiny", {"OMP_NUM_THREADS": "2"}
    said(
        accord("resume", run, at=files, env=two), 2, "another environment", "threads: 1 → 2", "--allow-drift"
    )
    done = accord("resume", run, "--allow-drift", "--json", at=files, env=two)
    assert done.code == 0, done
    assert "resumed in another environment: threads: 1 → 2" in done.err
    assert (
        (run / "amplify/drift.txt")
        .read_text("utf-8")
        .startswith("resumed in another environment: threads: 1 → 2")
    )
    report = json.loads(accord("report", run, "--json", at=files).out)
    drift = [stage["environment"]["drift"] for stage in report["stages"]]
    assert any("threads: 1 → 2" in line for line in drift[0])
    assert drift[1] == [], "the second stage began with two threads and never drifted"
    assert "threads: 1 → 2" in (run / "report.html").read_text("utf-8")


def test_a_finished_run_resumed_only_gets_its_report_again(files: Path, place: Path, whole: Path) -> None:
    assert accord(*words(place), at=files).code == 0
    run = place / "runs/tiny"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    report = run / "report.html"
    report.unlink()
    again = accord("resume", run, "--json", at=files)
    assert again.code == 0, again
    assert json.loads(again.out) | {"report": None} == {
        "run": "tiny",
        "folder": str(run),
        "action": "done",
        "headline": json.loads(again.out)["headline"],
        "stages": ["amplify", "imitate"],
        "decision": None,
        "report": None,
        "repeat": json.loads(again.out)["repeat"],
    }
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed <= {"report.html", "report.json"}, "nothing was trained or written again"
    assert differences(whole, run) == []
    useless = accord("resume", run, "--accept", "abc", "--by", "A", "--reason", "B", at=files)
    assert useless.code == 2 and "nothing waits to be accepted" in useless.err
