"""Opening a labelling database: what it says when it cannot, and how its statements find their rows."""

import shutil
import sqlite3
import subprocess

import pytest
from raters import answered, comparisons, pseudonym

from accord.errors import Refused, Unreadable
from accord.stores import SqlStore
from accord.stores.people import People, leases


def test_it_is_made_and_there_when_it_is_opened_again(database_url, clock):
    """The migrations, on both databases."""
    asked = comparisons(1)
    with People.open(database_url, clock.wall) as people:
        people.post(asked.questions, asked.records)
        judgment = answered(people, pseudonym(1))
        own = people.id
    with People.open(database_url) as people:
        assert (people.id, people.judgment(judgment.id), people.questions()) == (
            own,
            judgment,
            asked.questions,
        )
    assert len(own) == 32


def test_two_databases_have_two_ids(tmp_path):
    with People.open(tmp_path / "a.db") as a, People.open(str(tmp_path / "b.db")) as b:
        assert a.id != b.id


def test_a_path_is_taken_as_it_stands(tmp_path):
    """Kills: a file of answers named with a question mark, whose labels go into a file of another name."""
    for name in ("what?.db", "50 %.db", "a#b&c=d.db"):
        People.open(tmp_path / name).close()
        assert (tmp_path / name).is_file()
    assert not (tmp_path / "what").exists()


def test_a_database_of_another_kind_is_refused(tmp_path, empty_sqlite):
    SqlStore(f"sqlite:///{tmp_path / 's.db'}").close()
    with pytest.raises(Refused, match=r"revision 0001.*\n.*name another labelling database"):
        People.open(tmp_path / "s.db")
    with pytest.raises(Refused, match="revision people_0001"):
        SqlStore(f"sqlite:///{empty_sqlite}")


def test_a_newer_version_is_refused_and_left_alone(people_file):
    with sqlite3.connect(people_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'people_9999'")
    before = people_file.read_bytes()
    with pytest.raises(Refused, match=r"people_9999.*\n.*update Accord"):
        People.open(people_file)
    assert people_file.read_bytes() == before


def test_a_file_that_is_no_database_is_unreadable(tmp_path):
    (tmp_path / "notes.txt").write_text("no database " * 100)
    with pytest.raises(Unreadable, match="put back a copy"):
        People.open(tmp_path / "notes.txt")


def test_no_folder_no_permission(tmp_path, closed_disk):
    for path in (tmp_path / "none" / "p.db", closed_disk / "p.db"):
        with pytest.raises(Refused, match="folder must exist and be writable"):
            People.open(path)


def test_a_full_disk_keeps_what_was_acknowledged(small_disk, empty_sqlite):
    subprocess.run(["mount", "-o", "remount,size=640k", str(small_disk)], check=True)
    with People.open(shutil.copy(empty_sqlite, small_disk / "p.db")) as people:
        asked = comparisons(2)
        people.post(asked.questions, asked.records)
        kept = answered(people, pseudonym(1))
        with pytest.raises(Refused, match="no space left"):
            answered(people, pseudonym(2), rationale="x" * 600_000)
        assert [said.judgment for said in people.current()] == [kept]


def test_a_server_that_is_not_there():
    with pytest.raises(Refused, match=r"accord\[postgres\]|cannot be reached"):
        People.open("postgresql://me@127.0.0.1:1/name")


def test_what_is_deleted_is_overwritten(people_file):
    with People.open(people_file) as people, people._database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_the_lease_statement_walks_an_index(people):
    """However many slots wait, none is sorted and no table is read whole."""
    asked = comparisons(1)
    people.post(asked.questions, asked.records)
    values = {"rater": pseudonym(1), "now": 0.0, "ttl": 1.0, "round": "main", "wanted": ""}
    with people._database.reading() as connection:
        if connection.dialect.name == "sqlite":
            plan = [str(row[3]) for row in explained(connection, "EXPLAIN QUERY PLAN", values)]
            assert any("slot_queue" in step for step in plan)
            # Every step is a search by an index; a sort would be a temporary b-tree.
            assert [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step] == []
        else:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = [str(row[0]) for row in explained(connection, "EXPLAIN", values)]
            assert any("Index Scan using slot_queue" in step for step in plan)
            assert not any("Sort" in step for step in plan)


def explained(connection, how, values):
    from sqlalchemy import text

    locking = "" if connection.dialect.name == "sqlite" else " FOR UPDATE OF s SKIP LOCKED"
    statement = leases.TAKE.format(skip_locked=locking)
    return connection.execute(text(f"{how} {statement}"), values).all()
