"""Database: SQLite or PostgreSQL behind a store of Accord, made or brought up to date when it is opened.

Here: addresses, transactions, migrations, and a driver's errors in Accord's words. Not here: any table.
SQLite runs in WAL with every commit synced; its writers queue inside a process and wait for each other across
processes, and readers wait for nobody. SQLAlchemy and Alembic are imported when a database is opened.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from accord.errors import AccordError, Away, Refused, Unreadable

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import URL, Connection, Engine, TextClause

__all__ = ["Database", "Keeping", "Opened", "address", "sql"]

_WAIT = 60.0  # seconds a writer waits for another before it gives up
_LOCK = 7_233_117_261  # the advisory lock by which those who must be alone in a PostgreSQL database queue
_AT_ONCE = 24  # connections of one process


class Keeping(NamedTuple):
    """What a store keeps in a database. ``versions``: the folder of its Alembic steps.

    ``queued``: on PostgreSQL writers wait for each other as they do on SQLite; without it they lock single
    rows. ``secure``: SQLite overwrites what is deleted. ``instead``, ``damaged``: what to do about a database
    that is too new, or broken.
    """

    versions: Path
    queued: bool
    secure: bool
    instead: str
    damaged: str


class Database:
    """``url``: ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME``.

    Unreadable: the file is no database. Refused: it cannot be reached or written, or a newer version of
    Accord or another program made it.
    """

    def __init__(self, url: str, keeping: Keeping) -> None:
        parsed = _url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self.where = parsed.database if self.sqlite else str(parsed)
        self._keeping = keeping
        # SQLite lets writers sleep and try again; in one process they can do better and queue.
        self._turn = threading.Lock()
        with self.spoken():
            self._engine = _engine(parsed, keeping)
            self._writer = self._engine.execution_options(accord_writes=True)
            self._migrate()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """One transaction that writes nothing."""
        with self.spoken(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """One transaction: kept when its block ends well, else none of it. Not to be nested."""
        if not self.sqlite:
            with self.spoken(), self._writer.begin() as connection:
                yield connection
            return
        if not self._turn.acquire(timeout=_WAIT):
            raise _away(self.where, _SQLITE_TROUBLE[sqlite3.SQLITE_BUSY])
        try:
            with self.spoken(), self._writer.begin() as connection:
                yield connection
        finally:
            self._turn.release()

    def now(self) -> float:
        """Seconds since the epoch by the clock that all who use the database share."""
        if self.sqlite:
            return time.time()  # whoever uses the file is on this machine
        with self.reading() as connection:
            return self.clock(connection)

    def clock(self, connection: Connection) -> float:
        """``now``, inside a transaction."""
        if self.sqlite:
            return time.time()
        found = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
        return float(found)

    def truncate(self) -> bool:
        """SQLite: move the write-ahead log into the file and empty it. False while a reader needs it."""
        if not self.sqlite:
            return True
        with self._turn, self.spoken(), self._engine.connect() as connection:
            driver = cast(sqlite3.Connection, connection.connection.driver_connection)
            # Whoever calls decides how long it is worth waiting for a reader.
            driver.execute("PRAGMA busy_timeout = 0").fetchone()
            try:
                busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {int(_WAIT * 1000)}").fetchone()
            return not busy

    def rewrite(self, *tables: str) -> None:
        """PostgreSQL: write tables anew without what was deleted from them. SQLite did so when it deleted."""
        if self.sqlite:
            return
        with self.spoken(), self._engine.connect() as connection:
            apart = connection.execution_options(isolation_level="AUTOCOMMIT")
            for table in tables:
                apart.exec_driver_sql(f"VACUUM (FULL) {table}")

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    @contextmanager
    def spoken(self) -> Generator[None]:
        """What a person can mend about a database, in Accord's words; every other error as it is."""
        from sqlalchemy.exc import DBAPIError
        from sqlalchemy.exc import TimeoutError as NoneFree

        try:
            yield
        except NoneFree as error:
            raise _away(self.where, ("too many want it at once", "repeat in a moment")) from error
        except (sqlite3.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            told = _told(self.where, cause, self._keeping.damaged)
            if told is None:
                raise
            raise told from error

    def _migrate(self) -> None:
        from alembic import command
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory
        from sqlalchemy import inspect

        config = _alembic(self._keeping.versions)
        steps = ScriptDirectory.from_config(config)
        newest = {steps.get_current_head()}
        with self._engine.begin() as connection:
            if set(MigrationContext.configure(connection).get_current_heads()) == newest:
                return
        with self._engine.execution_options(accord_writes=True, accord_alone=True).begin() as connection:
            # Looked at again: another process may have been faster.
            found = set(MigrationContext.configure(connection).get_current_heads())
            if found - {step.revision for step in steps.walk_revisions()}:
                raise Refused(
                    f"{self.where}: has revision {', '.join(sorted(found))}, unknown to this Accord\n"
                    f"  update Accord; or {self._keeping.instead}"
                )
            if not found and (others := inspect(connection).get_table_names()):
                raise Refused(
                    f"{self.where}: belongs to another program (tables {', '.join(sorted(others)[:5])})\n"
                    f"  name another database"
                )
            if found != newest:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


class Opened:
    """A store over one database. Close it, or use it in a ``with`` block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def where(self) -> str:
        """The file, or the address without its password."""
        return str(self._database.where)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def address(where: str) -> str:
    """The URL of a database that a person may name by the path of its file.

    >>> address("labels.db"), address("postgresql://me@host/labels")
    ('sqlite:///labels.db', 'postgresql://me@host/labels')
    """
    return where if "://" in where else f"sqlite:///{where}"


@lru_cache(maxsize=512)  # reading it for names again and again took a tenth of a transaction
def sql(statement: str) -> TextClause:
    """A statement with ``:names``, for SQLAlchemy."""
    from sqlalchemy import text

    return text(statement)


def _alembic(versions: Path) -> Config:
    from alembic.config import Config

    config = Config()
    here = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(here).replace("%", "%%"))
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _url(url: str) -> URL:
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    advice = "write sqlite:///PATH or postgresql://USER@HOST/NAME"
    try:
        # A path is taken as it stands: what follows its question mark is no query.
        path = url.removeprefix("sqlite:///")
        parsed = URL.create("sqlite", database=path) if path != url else make_url(url)
    except ArgumentError as error:
        raise Refused(f"{url!r} is no database URL\n  {advice}") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise Refused(f"{parsed}: Accord keeps its store in SQLite or PostgreSQL\n  {advice}")
    in_memory = parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:")
    if parsed.get_backend_name() == "sqlite" and in_memory:
        raise Refused(f"{parsed}: a SQLite store is a file\n  {advice}; in memory, use MemoryStore")
    return parsed


def _engine(url: URL, keeping: Keeping) -> Engine:
    from sqlalchemy import create_engine, event

    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _WAIT}, pool_size=_AT_ONCE, pool_timeout=_WAIT)
        event.listen(engine, "connect", _prepare_sqlite)
        if keeping.secure:
            event.listen(engine, "connect", _secure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(url, pool_size=_AT_ONCE, pool_timeout=_WAIT)
    except ModuleNotFoundError as error:
        raise Refused(f"{url}: needs {error.name}\n  pip install 'accord[postgres]'") from error

    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("accord_alone") or (keeping.queued and options.get("accord_writes")):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")

    event.listen(engine, "begin", begin)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # Python's own transactions would begin too late and never IMMEDIATE; _begin_sqlite begins them.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _secure_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA secure_delete = ON").fetchone()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes could not wait for another writer, only fail.
    writes = connection.get_execution_options().get("accord_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_SQLITE_TROUBLE = {
    sqlite3.SQLITE_FULL: ("no space left", "free some space there, then repeat; what was put before stands"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "make the file and its folder writable for this user"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "its folder must exist and be writable for this user"),
    sqlite3.SQLITE_PERM: ("permission denied", "make the file and its folder writable for this user"),
    sqlite3.SQLITE_BUSY: (f"another process has been writing for {_WAIT:.0f} s", "wait for it, then repeat"),
    sqlite3.SQLITE_IOERR: ("the disk does not answer as it should", "check the disk and its free space"),
}
_POSTGRESQL_TROUBLE = {
    "53100": ("no space left", "free some space on the server, then repeat; what was put before stands"),
    "53300": ("the server takes no more connections", "raise its max_connections, or repeat in a moment"),
    "57P01": ("the server is shutting down", "start it again, then repeat"),
    "42501": ("permission denied", "grant this user the rights to create and write tables"),
    "25006": ("the server is read-only", "name a server that can be written"),
    "40P01": ("two changes waited for each other", "repeat it: the other one went through"),
}


def _told(where: object, error: BaseException | None, damaged: str) -> AccordError | None:
    """The message for a driver's error, or None when it is not one that a person can mend."""
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind of trouble, the rest its detail. Old errors carry no code at all.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return Unreadable(where, "an SQLite database", f"{error}; {damaged}")
        trouble = _SQLITE_TROUBLE.get(code)
    else:
        state = cast("str | None", getattr(error, "sqlstate", None))
        unreached = type(error).__name__ == "OperationalError" and state is None
        unreached_trouble = (f"cannot be reached ({error})", "check the address, the user and the password")
        trouble = unreached_trouble if unreached else _POSTGRESQL_TROUBLE.get(state or "")
    return _away(where, trouble) if trouble else None


def _away(where: object, trouble: tuple[str, str]) -> Away:
    return Away(f"{where}: {trouble[0]}\n  {trouble[1]}")
