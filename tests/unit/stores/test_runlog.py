import errno
import json
import os

import pytest

from accord.errors import ContractError, Refused
from accord.records import (
    KINDS,
    Decision,
    Episode,
    Judgment,
    Prompt,
    Question,
    Reading,
    Response,
    StepEvent,
)
from accord.stores import RunLog, runlog, segments
from accord.stores import read_log as read

A, B = "a" * 32, "b" * 32


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


def test_every_kind_has_its_folder():
    assert segments.FOLDER_OF.keys() == KINDS.keys()
    assert set(segments.FOLDER_OF.values()) == set(segments.SEGMENTS)


def test_a_line_says_everything(tmp_path, clock):
    done = event(3, scalars={"loss": float("nan"), "high": float("inf")}, seconds=0.5)
    with RunLog.open(tmp_path, "r", writer=A, clock=clock) as log:
        log.write(event(2), step=2)
        clock.now += 1.5
        log.write(done, step=3, name="three")
    line, end = map(json.loads, (tmp_path / "events" / f"{A}-000000.jsonl").read_text().splitlines()[1:])
    assert line == {
        "id": done.id,
        "kind": "event",
        "v": 1,
        "run": "r",
        "step": 3,
        "name": "three",
        "writer": A,
        "fence": 1,
        "seq": 1,
        "wall": 1.7e9 + 1001.5,
        "mono": 1001.5,
        "body": {
            "run": "r",
            "name": "update",
            "step": 3,
            "scalars": {"loss": "NaN", "high": "Infinity"},
            "seconds": 0.5,
        },
    }
    assert end["footer"]["count"] == 2
    assert end["footer"]["torn"] == 0


def test_records_come_back_in_order_whatever_order_they_were_written_in(tmp_path):
    prompt = Prompt.of("p", half="\ud800", big=1e20)
    answer = Response(prompt=prompt.id, text="Ü", tokens=(1,), logp=(-0.25,))
    question = Question(asks="grade", prompt=prompt.id, responses=(answer.id,))
    judgment = Judgment(
        question=question.id, by={"type": "program", "name": "n", "config": "c"}, abstention="error"
    )
    reading = Reading(run="r", name="kl", step=1, instrument="i", value=1, low=0, high=2, n=1)
    decision = Decision(run="r", step=1, action="halt", rule="kl", parents=(reading.id,))
    expected = [prompt, answer, Episode.single(answer), question, judgment, reading, event(1), decision]
    with RunLog.open(tmp_path, "r") as log:
        log.write(event(2), step=2)
        for record in [
            decision,
            event(1),
            reading,
            prompt,
            answer,
            Episode.single(answer),
            question,
            judgment,
        ]:
            log.write(record, step=1)
    view = read(tmp_path)
    assert [line.record for line in view.lines] == [*expected, event(2)]
    assert [line.record.id for line in view.lines] == [r.id for r in [*expected, event(2)]]
    assert view.records("response")[0].logp == (-0.25,), "what is outside the id is kept too"
    assert (view.torn, view.problems) == (0, [])
    assert view.records("decision") == [decision]
    assert [line.step for line in view.find("event")] == [1, 2]
    assert [line.step for line in view.find("event", step=2)] == [2]
    assert view.find("event", name=event(2).id)[0].seq == 0
    with pytest.raises(ValueError, match="unknown record kind"):
        view.records("events")


def test_the_same_fact_twice_is_written_once(tmp_path):
    with RunLog.open(tmp_path, "r") as log:
        for _ in range(2):
            log.write(event(1), step=1)
            log.write(event(1), step=2)
            log.write(event(1), step=2, name="other")
            log.commit()
    assert [(line.step, line.name) for line in read(tmp_path).lines] == [
        (1, event(1).id),
        (2, event(1).id),
        (2, "other"),
    ]


def test_nothing_is_on_disk_before_commit_and_everything_after(tmp_path):
    with RunLog.open(tmp_path, "r") as log:
        log.write(event(1), step=1)
        assert read(tmp_path).lines == []
        log.commit()
        assert [line.step for line in read(tmp_path).lines] == [1]
        assert all(name.endswith(".open") for name in files(tmp_path))
    assert files(tmp_path) == [f"events/{log.writer}-000000.jsonl"]


def test_a_segment_ends_when_it_is_full_or_old(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(runlog, "MAX_BYTES", 2000)
    with RunLog.open(tmp_path, "r", writer=A, clock=clock) as log:
        for step in range(20):
            log.write(event(step), step=step)
        assert len(files(tmp_path)) > 2
        log.write(event(100, text="x" * 5000), step=100)  # longer than a segment may be: one of its own
        log.commit()
        before = files(tmp_path)
        clock.now += 29.9
        log.commit()
        assert files(tmp_path) == before
        clock.now += 0.2
        log.commit()
        assert files(tmp_path) == [name.removesuffix(".open") for name in before]
        log.write(event(101), step=101)
    view = read(tmp_path)
    assert [line.seq for line in view.lines] == list(range(22)), "seq runs on through the segments"
    assert view.problems == []
    sizes = [path.stat().st_size for path in (tmp_path / "events").iterdir()]
    assert sum(size > 2200 for size in sizes) == 1


def test_one_process_writes_at_a_time(tmp_path):
    with (
        RunLog.open(tmp_path, "r") as log,
        pytest.raises(Refused, match=f"process {os.getpid()} is writing"),
    ):
        RunLog.open(tmp_path, "r")
    assert RunLog.open(tmp_path, "r").fence == log.fence + 1


def test_fences_rise_even_when_nothing_was_written(tmp_path):
    fences = []
    for _ in range(3):
        log = RunLog.open(tmp_path, "r")
        fences.append(log.fence)
        kill(log)
    assert fences == [1, 2, 3]


def test_fences_rise_without_the_lock_file(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    (tmp_path / "writer.lock").write_text('{"pid": 1, "fen')
    assert write(tmp_path, 3).fence == 3


def test_a_writer_is_one_process_start(tmp_path):
    write(tmp_path, 1, writer=A)
    with pytest.raises(ContractError, match="opens a folder once"):
        RunLog.open(tmp_path, "r", writer=A)
    with pytest.raises(ContractError, match="32 hexadecimal digits"):
        RunLog.open(tmp_path, "r", writer="me")
    assert write(tmp_path, 2, writer=B).fence == 2, "a refused opening holds no lock"


def test_nothing_is_written_after_close(tmp_path):
    log = write(tmp_path, 1)
    log.close()
    for late in (lambda: log.write(event(2), step=2), log.commit):
        with pytest.raises(ContractError, match="nothing is written after close"):
            late()


def test_what_was_written_before_an_error_is_kept(tmp_path):
    with pytest.raises(KeyError), RunLog.open(tmp_path, "r") as log:
        log.write(event(1), step=1)
        raise KeyError
    assert len(read(tmp_path).lines) == 1


@pytest.mark.parametrize("broken", ["pwrite", "fsync"])
def test_a_disk_that_was_full_for_a_while_loses_and_doubles_nothing(tmp_path, monkeypatch, broken):
    log = RunLog.open(tmp_path, "r")
    log.write(event(1), step=1)
    log.commit()
    log.write(event(2), step=2)
    pwrite = os.pwrite

    def fail(file, data=b"", offset=0):
        if broken == "pwrite":
            pwrite(file, bytes(data[:40]), offset)
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, fail)
        for attempt in (log.commit, log.commit):
            with pytest.raises(Refused, match="no space left"):
                attempt()
        view = read(tmp_path)
        assert ([line.step for line in view.lines], view.torn) == ([1], 0)
    log.write(event(3), step=3)
    log.close()
    view = read(tmp_path)
    assert ([line.step for line in view.lines], view.torn, view.problems) == ([1, 2, 3], 0, [])


def test_ctrl_c_in_a_commit_loses_and_doubles_nothing(tmp_path, monkeypatch):
    """At each call to the system, before it and after it: the close that follows puts everything right."""
    for moment in range(8):
        folder = tmp_path / str(moment)
        with (
            monkeypatch.context() as patch,
            pytest.raises(KeyboardInterrupt),
            RunLog.open(folder, "r") as log,
        ):
            for step in (1, 2):
                log.write(event(step), step=step)
                log.commit()
            log.write(event(3), step=3)
            interrupt_at(patch, moment)
            log.commit()
            raise KeyboardInterrupt
        view = read(folder)
        assert ([line.step for line in view.lines], view.torn, view.problems) == ([1, 2, 3], 0, []), moment


def interrupt_at(patch, moment):
    countdown = [moment]
    for name in ("ftruncate", "pwrite", "fsync"):
        patch.setattr(os, name, interrupting(getattr(os, name), countdown))


def interrupting(call, countdown):
    def wrapped(*arguments):
        for when in ("before", "after"):
            countdown[0] -= 1
            if countdown[0] == -1:
                raise KeyboardInterrupt(when)
            if when == "before":
                done = call(*arguments)
        return done

    return wrapped


def test_a_full_disk(small_disk):
    log = RunLog.open(small_disk, "r")
    committed = 0
    with pytest.raises(Refused, match="no space left"):
        for step in range(1000):
            log.write(event(step, text="x" * 1000), step=step)
            log.commit()
            committed += 1
    assert 100 < committed < 300
    view = read(small_disk)
    assert ([line.step for line in view.lines], view.torn) == (list(range(committed)), 0)
    with pytest.raises(Refused, match="no space left"):
        log.close()
    view = read(small_disk)
    assert ([line.step for line in view.lines], view.torn) == (list(range(committed)), 0)


def test_a_read_only_disk(closed_disk):
    with pytest.raises(Refused, match="read-only"):
        RunLog.open(closed_disk, "r")
