"""The journal of what was said, append-only, and the tables that follow from it, kept in step with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from accord.records import Judgment
from accord.stores.database import sql
from accord.stores.people.leases import counted
from accord.stores.people.posting import read_back, written
from accord.stores.people.said import Event, Happened, Said, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "Answer",
    "Change",
    "Entry",
    "Stands",
    "add",
    "answer",
    "changes",
    "fall",
    "given",
    "history",
    "newest",
    "portion",
    "said",
    "stand",
    "standing",
]

_LOCK = 7_233_117_263  # on PostgreSQL events are numbered in the order in which they are committed
_PORTION = 500
_EVENT = "seq, at, kind, question, slot, rater, judgment, body, replaces, note"


class Entry(NamedTuple):
    """What is to be added. ``key``: what makes it the same event when it comes again."""

    kind: Happened
    question: str
    slot: int | None
    rater: str
    judgment: Judgment | str
    key: str
    replaces: str | None = None
    note: str = ""


class Stands(NamedTuple):
    """A row of ``judgment_current``: which event stands, for what, and as what."""

    seq: int
    question: str
    slot: int | None
    rater: str
    judgment: str
    at: float
    standing: Standing
    abstained: bool


class Answer(NamedTuple):
    """What was said in a slot; ``possible``: whether it may still be said."""

    said: Judgment | None
    possible: bool


def add(connection: Connection, at: float, entry: Entry) -> int | None:
    """Append an event; its number, or None where one of that key is there."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    said = entry.judgment
    values = entry._asdict() | {
        "at": at,
        "judgment": said if isinstance(said, str) else said.id,
        "body": None if isinstance(said, str) else written(said),
    }
    return connection.execute(
        sql(
            "INSERT INTO judgment_event (at, kind, question, slot, rater, judgment, body, replaces, note,"
            " client_key) VALUES (:at, :kind, :question, :slot, :rater, :judgment, :body, :replaces, :note,"
            " :key) ON CONFLICT (client_key) DO NOTHING RETURNING seq"
        ),
        values,
    ).scalar()


def stand(connection: Connection, row: Stands) -> None:
    """From now on this stands, and is counted."""
    connection.execute(
        sql(
            "INSERT INTO judgment_current (seq, question, slot, rater, judgment, at, standing, abstained)"
            " VALUES (:seq, :question, :slot, :rater, :judgment, :at, :standing, :abstained)"
        ),
        row._asdict(),
    )
    _count(connection, row, 1)


def fall(connection: Connection, row: Stands) -> None:
    """It stands no longer."""
    connection.execute(sql("DELETE FROM judgment_current WHERE seq = :seq"), {"seq": row.seq})
    _count(connection, row, -1)


def _count(connection: Connection, row: Stands, by: int) -> None:
    if row.standing == "vote":
        counted(connection, row.rater, votes=by, abstained=by * row.abstained)
    elif row.standing == "late":
        counted(connection, row.rater, late=by)


def standing(connection: Connection, where: str, **values: object) -> list[Stands]:
    """What stands and fits, in the order it was said."""
    columns = ", ".join(Stands._fields)
    rows = connection.execute(
        sql(f"SELECT {columns} FROM judgment_current WHERE {where} ORDER BY seq"),  # noqa: S608 - our words
        values,
    )
    return [Stands(*row)._replace(abstained=bool(row.abstained)) for row in rows]


def said(
    connection: Connection, question: str | None, as_what: tuple[Standing, ...], rater: str | None = None
) -> list[Said]:
    """What stands as one of ``as_what``, with its words."""
    from sqlalchemy import bindparam

    statement = (
        "SELECT e.body, c.rater, c.question, c.slot, c.at, c.seq, c.standing FROM judgment_current c"
        " JOIN judgment_event e ON e.seq = c.seq WHERE c.standing IN :standing"
    )
    if question is not None:
        statement += " AND c.question = :question"
    if rater is not None:
        statement += " AND c.rater = :rater"
    query = sql(statement + " ORDER BY c.seq").bindparams(bindparam("standing", expanding=True))
    values = {"standing": list(as_what), "question": question, "rater": rater}
    values = {name: value for name, value in values.items() if value is not None}
    return [
        Said(cast(Judgment, read_back("judgment", body)), *rest)
        for body, *rest in connection.execute(query, values)
    ]


def newest(connection: Connection) -> int:
    """The number of the last event, 0 without one."""
    return connection.exec_driver_sql("SELECT coalesce(max(seq), 0) FROM judgment_event").scalar_one()


def portion(connection: Connection, after: int) -> list[Event]:
    """Some events behind ``after``, oldest first; none when that was the last."""
    rows = connection.execute(
        sql(f"SELECT {_EVENT} FROM judgment_event WHERE seq > :after ORDER BY seq LIMIT {_PORTION}"),  # noqa: S608
        {"after": after},
    )
    return [_event(*row) for row in rows]


def history(connection: Connection, question: str) -> list[Event]:
    """Every event of one question, oldest first."""
    rows = connection.execute(
        sql(f"SELECT {_EVENT} FROM judgment_event WHERE question = :question ORDER BY seq"),  # noqa: S608
        {"question": question},
    )
    return [_event(*row) for row in rows]


def given(connection: Connection, judgment: str) -> Judgment | None:
    """As it was given; None where it was erased, KeyError where it never was."""
    rows = connection.execute(
        sql(
            "SELECT body FROM judgment_event WHERE judgment = :judgment AND kind <> 'withdraw'"
            " ORDER BY seq DESC LIMIT 1"
        ),
        {"judgment": judgment},
    ).all()
    if not rows:
        raise KeyError(f"no judgment {judgment} was given here")
    return None if rows[0][0] is None else cast(Judgment, read_back("judgment", rows[0][0]))


def answer(connection: Connection, question: str, slot: int) -> Answer:
    """What stands in a slot, if anything. KeyError where there is no such slot."""
    row = connection.execute(
        sql(
            "SELECT s.state, e.body FROM slot s LEFT JOIN judgment_current c ON c.question = s.question"
            " AND c.slot = s.number AND c.standing IN ('vote', 'qualification')"
            " LEFT JOIN judgment_event e ON e.seq = c.seq WHERE s.question = :question AND s.number = :slot"
        ),
        {"question": question, "slot": slot},
    ).one_or_none()
    if row is None:
        raise KeyError(f"question {question} was never posted with slot {slot}")
    said = None if row.body is None else cast(Judgment, read_back("judgment", row.body))
    return Answer(said, row.state != "void")


class Change(NamedTuple):
    """An event of a slot; or of none, and then it may be of any: words were withdrawn."""

    question: str
    slot: int | None
    seq: int


def changes(connection: Connection, after: int) -> list[Change]:
    """What happened to slots behind ``after``, oldest first."""
    rows = connection.execute(
        sql(
            "SELECT question, CASE WHEN note = 'everything' THEN NULL ELSE slot END, seq FROM judgment_event"
            " WHERE seq > :after AND (slot IS NOT NULL OR note = 'everything') ORDER BY seq"
        ),
        {"after": after},
    )
    return [Change(*row) for row in rows]


def _event(seq: int, at: float, kind: Happened, question: str, slot: int | None, *rest: str | None) -> Event:
    rater, judgment, body, replaces, note = rest
    said = cast(Judgment, read_back("judgment", body)) if body is not None else None
    return Event(
        seq, at, kind, question, slot, cast(str, rater), cast(str, judgment), said, replaces, cast(str, note)
    )
