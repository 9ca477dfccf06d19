"""SqlStore: a Store in SQLite, or in PostgreSQL by URL.

It is an index over run directories that can be built again (``index.py``), and where records live that belong
to no run. Several processes may write at once: writers wait for each other, readers wait for nobody.
SQLAlchemy and Alembic are imported when a store is opened, not before.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self, cast

from accord.errors import AccordError, Refused, Unreadable
from accord.records import KINDS, Record, read_record
from accord.stores.memory import known_kind
from accord.stores.segments import json_text

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import URL, Connection, Engine, TextClause

__all__ = ["Receipt", "SqlStore", "Writing"]

_WAIT = 60.0  # seconds a writer waits for another before it gives up
_LOCK = 7_233_117_261  # the advisory lock by which writers of one PostgreSQL database queue
_AT_ONCE = 500  # ids per query


class Receipt(NamedTuple):
    """A line of a run log that was imported: its place, digest and record, and whether it still counts."""

    run: str
    stage: str
    segment: str
    writer: str
    seq: int
    sha256: str
    record: str
    current: bool


class Writing:
    """One write transaction. What it did is kept when its block ends well, else none of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, records: Iterable[Record], *, held: bool) -> None:
        """Add records; the first under an id stays. ``held`` ones are never withdrawn by an import."""
        records = list(records)
        self._many(
            "INSERT INTO record (id, kind, v, run, body, held) VALUES (:id, :kind, :v, :run, :body, :held)"
            " ON CONFLICT (id) DO NOTHING",
            [
                {
                    "id": record.id,
                    "kind": record.kind,
                    "v": record.v,
                    "run": getattr(record, "run", None),
                    "body": json_text(record.body()).decode("utf-8").rstrip("\n"),
                    "held": held,
                }
                for record in records
            ],
        )
        if held:  # an import may have brought it before
            self._many(
                "UPDATE record SET held = TRUE WHERE id = :id AND NOT held", [{"id": r.id} for r in records]
            )
        self._many(
            "INSERT INTO parent (child, parent) VALUES (:child, :parent)"
            " ON CONFLICT (child, parent) DO NOTHING",
            [{"child": r.id, "parent": parent} for r in records for parent in dict.fromkeys(r.parents)],
        )

    def receipts(self, run: str, stage: str) -> list[Receipt]:
        rows = self._connection.execute(
            _sql(f"SELECT {', '.join(Receipt._fields)} FROM receipt WHERE run = :run AND stage = :stage"),  # noqa: S608
            {"run": run, "stage": stage},
        )
        return [Receipt(*row)._replace(current=bool(row.current)) for row in rows]

    def note(self, receipts: Iterable[Receipt]) -> None:
        """Keep receipts; of one that stands only ``current`` changes."""
        columns, values = ", ".join(Receipt._fields), ", ".join(f":{name}" for name in Receipt._fields)
        self._many(
            f"INSERT INTO receipt ({columns}) VALUES ({values})"  # noqa: S608 - names of fields, no input
            " ON CONFLICT (run, stage, segment, writer, seq) DO UPDATE SET current = excluded.current",
            [receipt._asdict() for receipt in receipts],
        )

    def withdraw(self, records: Iterable[str]) -> None:
        """Take back imported records that no line speaks for any more; the run log still has them."""
        ids = [{"id": record} for record in records]
        self._many(
            "DELETE FROM record WHERE id = :id AND NOT held"
            " AND NOT EXISTS (SELECT 1 FROM receipt WHERE record = :id AND current)",
            ids,
        )
        self._many(
            "DELETE FROM parent WHERE child = :id AND NOT EXISTS (SELECT 1 FROM record WHERE id = :id)", ids
        )

    def _many(self, statement: str, values: Sequence[Mapping[str, object]]) -> None:
        if values:
            self._connection.execute(_sql(statement), values)


class SqlStore:
    """Append-only and content-addressed. ``url``: ``sqlite:///runs/store.db`` or ``postgresql://…``.

    Opening makes the database, or brings an older one up to date. Unreadable: the file is no database.
    Refused: it cannot be reached or written, or a newer version of Accord or another program made it.
    """

    def __init__(self, url: str) -> None:
        parsed = _url(url)
        self.where = parsed.database if parsed.get_backend_name() == "sqlite" else str(parsed)
        with self._spoken():
            self._engine = _engine(parsed)
            self._writer = self._engine.execution_options(accord_writes=True)
            self._migrate()

    def put(self, *records: Record) -> None:
        with self.writing() as writing:
            writing.put(records, held=True)

    def get(self, record: str) -> Record:
        with self._reading() as connection:
            found = self._by_ids(connection, [record])
        return found[record]

    def find(self, kind: str, *, parent: str | None = None, run: str | None = None) -> list[Record]:
        statement = "SELECT id, kind, v, body FROM record WHERE kind = :kind"
        if run is not None:
            statement += " AND run = :run"
        if parent is not None:
            statement += " AND id IN (SELECT child FROM parent WHERE parent = :parent)"
        values = {"kind": known_kind(kind), "parent": parent, "run": run}
        wanted = {name: value for name, value in values.items() if value is not None}
        with self._reading() as connection:
            rows = connection.execute(_sql(statement + " ORDER BY seq"), wanted).all()
        return [self._record(*row) for row in rows]

    def lineage(self, record: str) -> list[Record]:
        with self._reading() as connection:
            line = [self._by_ids(connection, [record])[record]]
            generation, seen = line, {record}
            while generation:
                parents = list(dict.fromkeys(p for r in generation for p in r.parents if p not in seen))
                seen.update(parents)
                held = self._by_ids(connection, parents)
                generation = [held[parent] for parent in parents if parent in held]
                line = [*line, *generation]
        return line

    @contextmanager
    def writing(self) -> Generator[Writing]:
        """One transaction; other writers wait until it ends."""
        with self._spoken(), self._writer.begin() as connection:
            yield Writing(connection)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with self._spoken(), self._engine.begin() as connection:
            yield connection

    def _by_ids(self, connection: Connection, ids: Sequence[str]) -> dict[str, Record]:
        from sqlalchemy import bindparam

        query = _sql("SELECT id, kind, v, body FROM record WHERE id IN :ids")
        query = query.bindparams(bindparam("ids", expanding=True))
        found: dict[str, Record] = {}
        for start in range(0, len(ids), _AT_ONCE):
            rows = connection.execute(query, {"ids": list(ids[start : start + _AT_ONCE])})
            found.update({str(row[0]): self._record(*row) for row in rows})
        return found

    def _record(self, record: str, kind: str, v: int, body: str) -> Record:
        expected = f"{kind} {record} as this version of Accord writes it"
        if kind not in KINDS or KINDS[kind].v != v:
            raise Unreadable(self.where, expected, f"version {v} of it; update Accord")
        try:
            return read_record(kind, json.loads(body))
        except ValueError as error:
            raise Unreadable(self.where, expected, str(error)) from error

    def _migrate(self) -> None:
        from alembic import command
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory
        from sqlalchemy import inspect

        config = _alembic()
        steps = ScriptDirectory.from_config(config)
        newest = {steps.get_current_head()}
        with self._engine.begin() as connection:
            if set(MigrationContext.configure(connection).get_current_heads()) == newest:
                return
        with self._writer.begin() as connection:
            # Looked at again: another process may have been faster.
            found = set(MigrationContext.configure(connection).get_current_heads())
            if found - {step.revision for step in steps.walk_revisions()}:
                raise Refused(
                    f"{self.where}: has revision {', '.join(sorted(found))}, unknown to this Accord\n"
                    f"  update Accord; or name another database and fill it with `accord import run`"
                )
            if not found and (others := inspect(connection).get_table_names()):
                raise Refused(
                    f"{self.where}: belongs to another program (tables {', '.join(sorted(others)[:5])})\n"
                    f"  name another database"
                )
            if found != newest:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    @contextmanager
    def _spoken(self) -> Generator[None]:
        """What a person can mend about a database, in Accord's words; every other error as it is."""
        from sqlalchemy.exc import DBAPIError

        try:
            yield
        except (sqlite3.Error, DBAPIError) as error:
            told = _told(self.where, error.orig if isinstance(error, DBAPIError) else error)
            if told is None:
                raise
            raise told from error


def _sql(statement: str) -> TextClause:
    from sqlalchemy import text

    return text(statement)


def _alembic() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _url(url: str) -> URL:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    advice = "write sqlite:///PATH or postgresql://USER@HOST/NAME"
    try:
        parsed = make_url(url)
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


def _engine(url: URL) -> Engine:
    from sqlalchemy import create_engine, event

    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _WAIT})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(url)
    except ModuleNotFoundError as error:
        raise Refused(f"{url}: needs {error.name}\n  pip install 'accord[postgres]'") from error
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    # Python's own transactions would begin too late and never IMMEDIATE; _begin_sqlite begins them.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes could not wait for another writer, only fail.
    writes = connection.get_execution_options().get("accord_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("accord_writes"):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


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
    "42501": ("permission denied", "grant this user the rights to create and write tables"),
    "25006": ("the server is read-only", "name a server that can be written"),
}


def _told(where: object, error: BaseException | None) -> AccordError | None:
    """The message for a driver's error, or None when it is not one that a person can mend."""
    if isinstance(error, sqlite3.Error):
        # The low byte is the kind of trouble, the rest its detail. Old errors carry no code at all.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return Unreadable(
                where,
                "an SQLite database",
                f"{error}; move it away and fill a new one with `accord import run`",
            )
        trouble = _SQLITE_TROUBLE.get(code)
    else:
        state = cast("str | None", getattr(error, "sqlstate", None))
        unreached = type(error).__name__ == "OperationalError" and state is None
        unreached_trouble = (f"cannot be reached ({error})", "check the address, the user and the password")
        trouble = unreached_trouble if unreached else _POSTGRESQL_TROUBLE.get(state or "")
    return Refused(f"{where}: {trouble[0]}\n  {trouble[1]}") if trouble else None
