"""SqlStore: a Store in SQLite, or in PostgreSQL by URL.

It is an index over run directories that can be built again (``index.py``), and where records live that belong
to no run. Several processes may write at once: writers wait for each other, readers wait for nobody.
SQLAlchemy and Alembic are imported when a store is opened, not before.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accord.errors import Unreadable
from accord.records import KINDS, Record, read_record
from accord.stores.database import Database, Keeping, Opened, sql
from accord.stores.memory import known_kind
from accord.stores.segments import json_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Receipt", "SqlStore", "Writing"]

_KEEPING = Keeping(
    versions=Path(__file__).parent / "migrations" / "versions",
    queued=True,
    secure=False,
    instead="name another database and fill it with `accord import run`",
    damaged="move it away and fill a new one with `accord import run`",
)
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
            sql(f"SELECT {', '.join(Receipt._fields)} FROM receipt WHERE run = :run AND stage = :stage"),  # noqa: S608
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
            self._connection.execute(sql(statement), values)


class SqlStore(Opened):
    """Append-only and content-addressed. ``url``: ``sqlite:///runs/store.db`` or ``postgresql://…``.

    Opening makes the database, or brings an older one up to date. Unreadable: the file is no database.
    Refused: it cannot be reached or written, or a newer version of Accord or another program made it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Database(url, _KEEPING))

    def put(self, *records: Record) -> None:
        with self.writing() as writing:
            writing.put(records, held=True)

    def get(self, record: str) -> Record:
        with self._database.reading() as connection:
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
        with self._database.reading() as connection:
            rows = connection.execute(sql(statement + " ORDER BY seq"), wanted).all()
        return [self._record(*row) for row in rows]

    def lineage(self, record: str) -> list[Record]:
        with self._database.reading() as connection:
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
        with self._database.writing() as connection:
            yield Writing(connection)

    def _by_ids(self, connection: Connection, ids: Sequence[str]) -> dict[str, Record]:
        from sqlalchemy import bindparam

        query = sql("SELECT id, kind, v, body FROM record WHERE id IN :ids")
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
