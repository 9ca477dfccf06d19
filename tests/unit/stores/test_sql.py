import sqlite3
import subprocess
import sys
import threading

import pytest

from accord.errors import Refused, Unreadable
from accord.records import KINDS, Prompt, StepEvent
from accord.stores import SqlStore


def url(path):
    return f"sqlite:///{path}"


def event(step, **fields):
    return StepEvent(run="r", name="update", step=step, **fields)


def test_a_store_is_there_when_it_is_opened_again(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store:
        store.put(event(1), event(2))
    with SqlStore(url(tmp_path / "s.db")) as store:
        assert store.find("event") == [event(1), event(2)]
        store.put(event(3))
        assert store.find("event") == [event(1), event(2), event(3)]


def test_what_is_put_is_on_disk_in_full(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store, store.writing() as writing:
        ask = writing._connection.exec_driver_sql
        assert ask("PRAGMA journal_mode").scalar() == "wal"
        assert ask("PRAGMA synchronous").scalar() == 2, "FULL: a commit survives a power cut"
        assert ask("PRAGMA busy_timeout").scalar() == 60_000


def test_a_put_that_fails_leaves_nothing(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store:
        with pytest.raises(KeyError), store.writing() as writing:
            writing.put([event(1)], held=True)
            raise KeyError
        assert store.find("event") == []


def test_readers_do_not_wait_for_a_writer(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store, SqlStore(url(tmp_path / "s.db")) as other:
        store.put(event(1))
        with store.writing() as writing:
            writing.put([event(2)], held=True)
            assert other.find("event") == [event(1)]
        assert other.find("event") == [event(1), event(2)]


def test_a_transaction_that_will_write_holds_the_lock_from_its_beginning(tmp_path):
    """One that read first could find its reading overtaken, and would fail where it should have waited."""
    with SqlStore(url(tmp_path / "s.db")) as store, store.writing():
        other = sqlite3.connect(tmp_path / "s.db", timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_threads_share_a_store(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store:
        threads = [threading.Thread(target=store.put, args=[event(step)]) for step in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(e.step for e in store.find("event")) == list(range(8))


PUT = """
import sys
from accord.records import StepEvent
from accord.stores import SqlStore
with SqlStore(sys.argv[1]) as store:
    for step in range(60):
        both = StepEvent(run="both", name="update", step=step)
        store.put(both, StepEvent(run=sys.argv[2], name="update", step=step, parents=(both.id,)))
        print(step, flush=True)
"""


def test_two_processes_make_and_fill_one_store_at_once(tmp_path):
    where = url(tmp_path / "s.db")
    writers = [
        subprocess.Popen([sys.executable, "-c", PUT, where, run], stdout=subprocess.PIPE) for run in "ab"
    ]
    for process in writers:
        process.communicate(timeout=120)
        assert process.returncode == 0
    with SqlStore(where) as store:
        for run in ("a", "b", "both"):
            assert [e.step for e in store.find("event", run=run)] == list(range(60))
        assert all(len(store.find("event", parent=e.id)) == 2 for e in store.find("event", run="both"))


def test_a_kill_loses_nothing_that_was_put(tmp_path):
    where = url(tmp_path / "s.db")
    child = subprocess.Popen([sys.executable, "-c", PUT, where, "a"], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if int(line) == 20:
            break
    child.kill()
    acknowledged = 21 + len(child.stdout.read().splitlines()[:-1])
    child.wait()
    with SqlStore(where) as store:
        assert len(store.find("event", run="a")) >= acknowledged
        assert len(store.find("event", run="a")) == len(store.find("event", run="both")), (
            "a put is whole or not"
        )


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "s.db"
    SqlStore(url(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(Refused, match=r"revision 9999.*\n.*update Accord"):
        SqlStore(url(path))
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id)")
    with pytest.raises(Refused, match=r"another program \(tables runs\)"):
        SqlStore(url(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("runs",)]


def test_an_empty_file_becomes_a_store(tmp_path):
    (tmp_path / "s.db").touch()
    with SqlStore(url(tmp_path / "s.db")) as store:
        assert store.find("event") == []


def test_a_file_that_is_no_database_is_unreadable(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are notes and no database " * 50)
    with pytest.raises(Unreadable, match="expected an SQLite database"):
        SqlStore(url(path))
    assert path.read_text().startswith("these are notes")


def test_a_damaged_database_is_unreadable(tmp_path):
    path = tmp_path / "s.db"
    with SqlStore(url(path)) as store:
        store.put(*(event(step, text="x" * 500) for step in range(200)))
    data = bytearray(path.read_bytes())
    data[4096 * 8 :] = b"\xaa" * (len(data) - 4096 * 8)
    path.write_bytes(data)
    with SqlStore(url(path)) as store, pytest.raises(Unreadable, match="accord import run"):
        store.find("event")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("store.db", "no database URL"),
        ("sqlite://", "a SQLite store is a file"),
        ("sqlite:///:memory:", "a SQLite store is a file"),
        ("mysql://me@host/name", "SQLite or PostgreSQL"),
        ("sqlite:////no/such/folder/s.db", "its folder must exist"),
    ],
)
def test_a_wrong_url_is_refused_with_advice(wrong, told):
    with pytest.raises(Refused, match=told):
        SqlStore(wrong)


def test_postgresql_says_what_is_missing():
    """The driver or the server, whichever this machine lacks; nothing listens on port 1."""
    with pytest.raises(Refused, match=r"accord\[postgres\]|cannot be reached") as refused:
        SqlStore("postgresql://me:secret@127.0.0.1:1/name")
    assert "secret" not in str(refused.value).splitlines()[0]


def test_a_record_of_another_version_is_told(tmp_path, monkeypatch):
    with SqlStore(url(tmp_path / "s.db")) as store:
        store.put(event(1))
        monkeypatch.setattr(KINDS["event"], "v", 2)
        with pytest.raises(Unreadable, match="version 1 of it; update Accord"):
            store.find("event")


def test_a_full_disk(small_disk):
    with SqlStore(url(small_disk / "s.db")) as store:
        put = []
        with pytest.raises(Refused, match="no space left"):
            for step in range(1000):
                store.put(event(step, text="x" * 1000))
                put.append(event(step, text="x" * 1000))
        assert len(put) > 5
        assert store.find("event") == put


def test_a_read_only_disk(closed_disk):
    with pytest.raises(Refused, match="folder must exist and be writable"):
        SqlStore(url(closed_disk / "s.db"))


def test_importing_the_stores_is_light():
    heavy = "{'sqlalchemy', 'alembic', 'torch', 'fastapi', 'duckdb'}"
    code = f"import sys, accord.stores; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_prompt_belongs_to_no_run(tmp_path):
    with SqlStore(url(tmp_path / "s.db")) as store:
        store.put(Prompt.of("p"))
        with store.writing() as writing:
            assert writing._connection.exec_driver_sql("SELECT run FROM record").all() == [(None,)]
