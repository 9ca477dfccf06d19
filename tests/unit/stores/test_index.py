import shutil
import sqlite3
import subprocess
import sys

import pytest

from accord.errors import Unreadable
from accord.records import Decision, Prompt, Response, StepEvent
from accord.stores import RunLog, SqlStore, import_run


def event(step, **fields):
    return StepEvent(run="r", name="update", step=step, **fields)


def write(folder, steps, clock=None, writer=None, text=""):
    with RunLog.open(folder, "r", clock=clock, writer=writer) as log:
        for step in steps:
            log.write(event(step, text=text), step=step, name=f"update {step}")


@pytest.fixture
def store(tmp_path):
    with SqlStore(f"sqlite:///{tmp_path}/store.db") as opened:
        yield opened


def content(path):
    """All that a database says, without the order in which it heard it."""
    with sqlite3.connect(path) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in {
                "record": "id, kind, v, run, body, held",
                "parent": "child, parent",
                "receipt": "run, stage, segment, writer, seq, sha256, record, current",
            }.items()
        }


def imported_afresh(run, tmp_path):
    path = tmp_path / "fresh.db"
    path.unlink(missing_ok=True)
    with SqlStore(f"sqlite:///{path}") as fresh:
        report = import_run(run, fresh)
    return content(path), report


def test_a_run_is_imported_exactly_once(tmp_path, store):
    run = tmp_path / "runs" / "r"
    write(run / "one", range(3))
    write(run / "two", range(3, 5))
    assert import_run(run, store) == (5, 0, 0, [])
    assert import_run(run, store) == (0, 5, 0, [])
    assert import_run(run / "two", store) == (0, 2, 0, [])
    assert store.find("event", run="r") == [event(step) for step in range(5)]
    assert content(tmp_path / "store.db") == imported_afresh(run, tmp_path)[0]


def test_stages_come_in_the_order_in_which_they_were_begun(tmp_path, store, clock):
    run = tmp_path / "r"
    write(run / "z", [1], clock)
    clock.now += 10
    write(run / "a", [0], clock)
    import_run(run, store)
    assert store.find("event") == [event(1), event(0)]


def test_records_keep_their_parents(tmp_path, store):
    prompt = Prompt.of("p")
    answer = Response(prompt=prompt.id, text="a", parents=(prompt.id,))
    decision = Decision(run="r", step=1, action="halt", rule="x", parents=(answer.id,))
    with RunLog.open(tmp_path / "stage", "r") as log:
        for record in (decision, answer, prompt):
            log.write(record, step=1)
    import_run(tmp_path / "stage", store)
    assert store.lineage(decision.id) == [decision, answer, prompt]


def test_an_import_during_a_run_takes_what_is_new(tmp_path, store):
    run = tmp_path / "r"
    with RunLog.open(run / "stage", "r") as log:
        log.write(event(1), step=1)
        log.commit()
        assert import_run(run, store) == (1, 0, 0, [])
        log.write(event(2), step=2)
        assert import_run(run, store) == (0, 1, 0, [])
        log.commit()
        assert import_run(run, store) == (1, 1, 0, [])
    assert import_run(run, store) == (0, 2, 0, []), "sealing a segment changes no line"
    assert content(tmp_path / "store.db") == imported_afresh(run, tmp_path)[0]


def test_what_a_higher_fence_wrote_again_leaves_the_index(tmp_path, store):
    run = tmp_path / "r"
    write(run / "stage", [1, 2, 3], text="first")
    import_run(run, store)
    write(run / "stage", [2, 3, 4], text="second")
    write(run / "stage", [3], text="first")
    assert import_run(run, store) == (4, 3, 0, [])
    found = {(e.step, e.text) for e in store.find("event")}
    assert found == {(1, "first"), (2, "second"), (3, "first"), (4, "second")}
    assert content(tmp_path / "store.db") == imported_afresh(run, tmp_path)[0]


def test_an_import_never_takes_back_what_somebody_put(tmp_path, store):
    run = tmp_path / "r"
    store.put(event(1, text="first"))
    write(run / "stage", [1, 2], text="first")
    import_run(run, store)
    store.put(event(2, text="first"))
    write(run / "stage", [1, 2], text="second")
    import_run(run, store)
    assert len(store.find("event")) == 4


def test_what_one_stage_wrote_again_stays_where_another_says_it_too(tmp_path, store):
    write(tmp_path / "r" / "one", [1], text="first")
    write(tmp_path / "r" / "two", [1], text="first")
    import_run(tmp_path / "r", store)
    write(tmp_path / "r" / "one", [1], text="second")
    import_run(tmp_path / "r", store)
    assert {e.text for e in store.find("event")} == {"first", "second"}
    write(tmp_path / "r" / "two", [1], text="second")
    import_run(tmp_path / "r", store)
    assert {e.text for e in store.find("event")} == {"second"}


def test_torn_lines_are_counted_and_problems_told(tmp_path, store):
    run = tmp_path / "r"
    write(run / "stage", [1, 2, 3], writer="a" * 32)
    sealed = run / "stage" / "events" / f"{'a' * 32}-000000.jsonl"
    lines = sealed.read_bytes().splitlines(keepends=True)
    sealed.unlink()
    sealed.with_name(sealed.name + ".open").write_bytes(lines[0] + lines[2] + b'{"to')
    report = import_run(run, store)
    assert report[:3] == (2, 0, 1)
    assert [problem.split(": ", 1)[1] for problem in report.problems] == [
        f"log incomplete: line 1 of writer {'a' * 32} missing"
    ]


def test_what_is_gone_from_the_disk_stays_in_the_index_and_is_told(tmp_path, store):
    run = tmp_path / "r"
    write(run / "stage", [1, 2], writer="a" * 32)
    write(run / "stage", [3], writer="b" * 32)
    import_run(run, store)
    (run / "stage" / "events" / f"{'a' * 32}-000000.jsonl").unlink()
    report = import_run(run, store)
    assert report == (0, 1, 0, ["stage: log incomplete: 2 lines that were imported before cannot be read"])
    assert len(store.find("event")) == 3


def test_a_line_that_contradicts_its_receipt_is_not_taken_in(tmp_path, store):
    run = tmp_path / "r"
    write(run / "stage", [1, 2], writer="a" * 32)
    import_run(run, store)
    shutil.rmtree(run / "stage")
    write(run / "stage", [1, 5], writer="a" * 32)
    report = import_run(run, store)
    assert report.added == 0
    assert any("was imported with other content" in problem for problem in report.problems)
    assert [e.step for e in store.find("event")] == [1, 2]


IMPORT = """
import sys
from pathlib import Path
from accord.stores import SqlStore, import_run
with SqlStore(sys.argv[1]) as store:
    print(import_run(Path(sys.argv[2]), store).added)
"""


def test_two_imports_at_once_import_once(tmp_path):
    run, path = tmp_path / "r", tmp_path / "two.db"
    write(run / "stage", range(300))
    command = [sys.executable, "-c", IMPORT, f"sqlite:///{path}", str(run)]
    imports = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(int(process.communicate(timeout=60)[0]) for process in imports) == [0, 300]
    assert content(path) == imported_afresh(run, tmp_path)[0]


def test_an_import_that_read_before_another_reads_again(tmp_path, store, monkeypatch):
    """Between its reading and its transaction the run went on and another process imported it."""
    run = tmp_path / "r"
    write(run / "stage", [1, 2], text="first")
    writing, late = store.writing, []

    def meanwhile():
        if not late:
            late.append(True)
            write(run / "stage", [2, 3], text="second")
            assert import_run(run, store).added == 4
        return writing()

    monkeypatch.setattr(store, "writing", meanwhile)
    assert import_run(run, store) == (0, 4, 0, [])
    assert {(e.step, e.text) for e in store.find("event")} == {(1, "first"), (2, "second"), (3, "second")}


def test_a_folder_without_a_run_log_is_unreadable(tmp_path, store):
    with pytest.raises(Unreadable, match="no run log in it"):
        import_run(tmp_path, store)
    with pytest.raises(Unreadable, match="no such folder"):
        import_run(tmp_path / "missing", store)
