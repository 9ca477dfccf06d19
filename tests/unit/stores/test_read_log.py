import os
import shutil

import pytest

from accord.errors import Unreadable
from accord.records import Decision, NotMeasured, Reading, StepEvent
from accord.stores import RunLog
from accord.stores import read_log as read

A, B, C = "a" * 32, "b" * 32, "c" * 32


def event(step, **fields):
    return StepEvent(run="r", name="update", step=step, **fields)


def write(folder, *steps, writer=None, clock=None, **fields):
    """A writer that came, wrote these steps and closed."""
    with RunLog.open(folder, "r", writer=writer, clock=clock) as log:
        for step in steps:
            log.write(event(step, **fields), step=step, name=f"update {step}")
    return log


def kill(log):
    """What a kill -9 leaves of a writer in this process: the lock is free, nothing is sealed."""
    for segment in log._open.values():
        os.close(segment.file)
    os.close(log._lock)


def files(folder):
    return sorted(
        str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != "writer.lock"
    )


def test_of_what_was_written_again_the_highest_fence_counts(tmp_path):
    write(tmp_path, 1, 2, 3, writer=A, text="first")
    write(tmp_path, 2, 3, 4, writer=B, text="second")
    write(tmp_path, 3, writer=C, text="first")
    view = read(tmp_path)
    assert [(line.step, line.fence, line.record.text) for line in view.lines] == [
        (1, 1, "first"),
        (2, 2, "second"),
        (3, 3, "first"),
        (4, 2, "second"),
    ]
    assert view.problems == []


def test_a_reading_replaces_its_absence(tmp_path):
    with RunLog.open(tmp_path, "r") as log:
        log.write(NotMeasured(run="r", name="kl", step=1, reason="unreachable"), step=1, name="kl")
    reading = Reading(run="r", name="kl", step=1, instrument="i", value=1, low=0, high=2, n=1)
    with RunLog.open(tmp_path, "r") as log:
        log.write(reading, step=1, name="kl")
    assert [line.record for line in read(tmp_path).lines] == [reading]


def test_other_runs_and_kinds_are_not_replaced(tmp_path):
    with RunLog.open(tmp_path, "one") as log:
        log.write(event(1), step=1, name="n")
    with RunLog.open(tmp_path, "two") as log:
        log.write(event(2), step=1, name="n")
        log.write(Decision(run="two", step=1, action="continue", rule="x"), step=1, name="n")
    assert len(read(tmp_path).lines) == 3


def test_a_log_cut_at_any_byte_keeps_every_whole_line(tmp_path):
    """What a kill can leave of a segment: any beginning of it. Read as it is, sealed, and written on."""
    write(tmp_path / "whole", 1, 2, writer=A, text="ü")
    data = (tmp_path / "whole" / "events" / f"{A}-000000.jsonl").read_bytes()
    ends = [end for end, byte in enumerate(data, 1) if byte == 10]
    for cut in [*range(0, len(data), 29), *ends, *(end - 1 for end in ends), *(end + 1 for end in ends[:-1])]:
        folder = tmp_path / str(cut)
        (folder / "events").mkdir(parents=True)
        (folder / "events" / f"{A}-000000.jsonl.open").write_bytes(data[:cut])
        whole = [1, 2][: sum(end <= cut for end in ends)]
        torn = int(cut > 0 and cut not in ends)
        view = read(folder)
        assert ([line.step for line in view.lines], view.torn, view.problems) == (whole, torn, []), cut
        with RunLog.open(folder, "r", writer=B) as log:
            assert (log.torn, log.fence) == (torn, 2 if whole else 1)
            log.write(event(9), step=9)
        view = read(folder)
        assert ([line.step for line in view.lines], view.torn, view.problems) == ([*whole, 9], torn, []), cut
        assert not any(name.endswith(".open") for name in files(folder))
        shutil.rmtree(folder)


def test_a_kill_while_a_leftover_is_sealed_counts_nothing_twice(tmp_path):
    log = RunLog.open(tmp_path, "r", writer=A)
    log.write(event(1), step=1)
    log.commit()
    kill(log)
    left = tmp_path / "events" / f"{A}-000000.jsonl.open"
    left.write_bytes(left.read_bytes() + b'{"torn')
    data = left.read_bytes()
    kill(RunLog.open(tmp_path, "r", writer=B))
    left.write_bytes(data)  # sealed, but killed before the leftover was removed
    view = read(tmp_path)
    assert (len(view.lines), view.torn, view.problems) == (1, 1, [])
    assert write(tmp_path, 2).torn == 1
    assert not left.exists()
    view = read(tmp_path)
    assert (len(view.lines), view.torn, view.problems) == (2, 1, [])


def test_a_segment_that_stands_twice_counts_once(tmp_path):
    write(tmp_path, 1, 2, writer=A)
    folder = tmp_path / "events"
    shutil.copy(folder / f"{A}-000000.jsonl", folder / f"{A}-000007.jsonl")
    view = read(tmp_path)
    assert ([line.step for line in view.lines], view.problems) == ([1, 2], [])


def test_a_missing_segment_is_a_gap_that_is_named(tmp_path, clock):
    with RunLog.open(tmp_path, "r", writer=A, clock=clock) as log:
        for step in range(4):
            log.write(event(step), step=step)
            clock.now += 31
    (tmp_path / "events" / f"{A}-000000.jsonl").unlink()
    (tmp_path / "events" / f"{A}-000002.jsonl").unlink()
    view = read(tmp_path)
    assert [line.step for line in view.lines] == [1, 3]
    assert [problem.split(": ", 1)[1] for problem in view.problems] == [
        f"log incomplete: line 0 of writer {A} missing",
        f"log incomplete: line 2 of writer {A} missing",
    ]


def test_two_contents_of_one_place_are_both_left_out(tmp_path):
    write(tmp_path, 1, 2, writer=A)
    write(tmp_path / "other", 1, 3, writer=A)
    folder = tmp_path / "events"
    shutil.copy(tmp_path / "other" / "events" / f"{A}-000000.jsonl", folder / f"{A}-000001.jsonl")
    view = read(tmp_path)
    assert all(line.step == 1 for line in view.lines)
    assert any("one place in the log, two contents" in problem for problem in view.problems)


def edit(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told", "left"),
    [
        (b'"text":"two"', b'"text":"too"', "its id is", [1, 3]),
        (b'"text":"two"', b'"tixt":"two"', "no event", [1, 3]),
        (b'"text":"two"', b'"text":two', "is no line of a run log", [1, 3]),
        (
            b'"kind":"event","v":1,"run":"r","step":2',
            b'"kind":"event","v":2,"run":"r","step":2',
            "version 2",
            [1, 3],
        ),
        (
            b'"kind":"event","v":1,"run":"r","step":2',
            b'"kind":"entry","v":1,"run":"r","step":2',
            "no place in",
            [1, 3],
        ),
        (b'"v":1,"run":"r","step":2', b'"v":1,"run":"r","step":"2"', "step is '2'", [1, 3]),
        (b'"v":1,"run":"r","step":2', b'"v":1,"extra":0,"run":"r","step":2', "does not know: extra", [1, 3]),
        (b'"v":1,"run":"r","step":2', b'"v":1,"run":"r","step":5', "is not what its footer says", [1, 3, 5]),
        (b'"text":"two"', b'"text":"t\xffo"', "is no line of a run log", [1, 3]),
    ],
)
def test_a_line_that_was_changed_is_told_and_left_out(tmp_path, old, new, told, left):
    with RunLog.open(tmp_path, "r", writer=A) as log:
        for step, text in [(1, "one"), (2, "two"), (3, "three")]:
            log.write(event(step, text=text), step=step)
    path = tmp_path / "events" / f"{A}-000000.jsonl"
    edit(path, old, new)
    view = read(tmp_path)
    assert [line.step for line in view.lines] == left
    assert any(told in problem for problem in view.problems), view.problems
    assert any("is not what its footer says" in problem for problem in view.problems)
    if "footer" not in told:
        assert any(problem.startswith(f"{path}:2: quarantined") for problem in view.problems)


def test_a_sealed_segment_without_its_end_is_incomplete(tmp_path):
    write(tmp_path, 1, 2, writer=A)
    path = tmp_path / "events" / f"{A}-000000.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    view = read(tmp_path)
    assert [line.step for line in view.lines] == [1]
    assert view.problems == [f"{path}: log incomplete: the footer is missing"]


def test_a_folder_without_segments_is_an_empty_log_and_no_folder_is_an_error(tmp_path):
    assert read(tmp_path) == ([], 0, [])
    with pytest.raises(Unreadable, match="no such folder"):
        read(tmp_path / "missing")
