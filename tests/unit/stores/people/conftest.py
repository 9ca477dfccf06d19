"""An open labelling database, of each kind in turn; made once, and empty for each test."""

import shutil

import pytest
from raters import pseudonym

from accord.stores.people import People

TABLES = (
    "question, record, parent, named, erased, slot, judgment_event, judgment_current, seen, uses, rater,"
    " draft"
)


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory):
    path = tmp_path_factory.mktemp("people") / "empty.db"
    People.open(path).close()
    return path


@pytest.fixture(scope="session")
def one_postgresql(postgresql):
    url = postgresql()
    People.open(url).close()
    return url


@pytest.fixture
def people_file(tmp_path, empty_sqlite):
    return shutil.copy(empty_sqlite, tmp_path / "people.db")


@pytest.fixture
def emptied_postgresql(one_postgresql):
    import psycopg

    with psycopg.connect(one_postgresql) as connection:
        connection.execute(f"TRUNCATE {TABLES} RESTART IDENTITY; DELETE FROM meta WHERE key <> 'id'")
    return one_postgresql


@pytest.fixture(params=["sqlite", "postgresql"])
def people_url(request):
    """A labelling database with nothing in it."""
    return str(request.getfixturevalue("people_file" if request.param == "sqlite" else "emptied_postgresql"))


@pytest.fixture
def people(people_url, clock):
    with People.open(people_url, clock.wall) as people:
        yield people


@pytest.fixture
def ann():
    return pseudonym(1)


@pytest.fixture
def bob():
    return pseudonym(2)
