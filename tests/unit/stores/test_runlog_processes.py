"""The run log among processes: kills, a second writer, a reader meanwhile."""

import os
import random
import signal
import subprocess
import sys

import pytest

from accord.errors import Refused
from accord.records import StepEvent
from accord.stores import RunLog
from accord.stores import read_log as read


def event(step, **fields):
    return StepEvent(run="r", name="update", step=step, **fields)


WRITER = """
import sys
from pathlib import Path
from accord.records import Decision, StepEvent
from accord.stores import RunLog, runlog
runlog.MAX_BYTES = 3000
with RunLog.open(Path(sys.argv[1]), "r") as log:
    for step in range(int(sys.argv[2])):
        log.write(StepEvent(run="r", name="update", step=step, text="x" * (step % 300)), step=step)
        log.write(Decision(run="r", step=step, action="continue", rule="x"), step=step)
        log.commit()
        print(step, flush=True)
"""


def writer(folder, steps):
    command = [sys.executable, "-c", WRITER, str(folder), str(steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", range(5))
def test_a_kill_loses_nothing_that_was_committed(tmp_path, seed):
    child = writer(tmp_path, 100_000)
    for line in child.stdout:
        if int(line) >= random.Random(seed).randrange(1, 120):
            break
    os.kill(child.pid, signal.SIGKILL)
    acknowledged = int(line) + 1 + len(child.stdout.read().splitlines()[:-1])
    child.wait()
    view = read(tmp_path)
    events, decisions = view.records("event"), view.records("decision")
    assert acknowledged <= len(decisions) <= len(events) <= acknowledged + 2
    assert [e.step for e in events] == list(range(len(events)))
    assert view.problems == []
    with RunLog.open(tmp_path, "r") as log:
        assert log.fence == 2
        log.write(event(10**6), step=10**6)
    after = read(tmp_path)
    assert after.lines[:-1] == view.lines
    assert (after.torn, after.problems) == (view.torn, [])


def test_reading_while_another_process_writes_sees_a_sound_beginning(tmp_path):
    child = writer(tmp_path, 250)
    child.stdout.readline()
    lengths = []
    while child.poll() is None:
        view = read(tmp_path)
        assert view.problems == []
        steps = [event.step for event in view.records("event")]
        assert steps == list(range(len(steps)))
        lengths.append(len(steps))
    assert child.wait() == 0
    assert lengths == sorted(lengths)
    assert len(read(tmp_path).records("event")) == 250


def test_another_process_that_writes_is_named(tmp_path):
    child = writer(tmp_path, 100_000)
    child.stdout.readline()
    with pytest.raises(Refused, match=f"process {child.pid} is writing this run"):
        RunLog.open(tmp_path, "r")
    child.kill()
    child.wait()
    assert RunLog.open(tmp_path, "r").fence == 2
