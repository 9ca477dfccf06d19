"""Questions and the texts they name: put into the labelling database, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from accord.errors import Refused, Unreadable
from accord.records import Episode, Question, Record, Response, read_record
from accord.stores.database import sql
from accord.stores.people.leases import settle
from accord.stores.people.said import Round
from accord.stores.segments import json_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "APART",
    "Posting",
    "add",
    "alone",
    "in_portions",
    "lengths",
    "post",
    "question",
    "read",
    "read_back",
    "unposted",
    "withdrawn",
    "written",
]

_AT_ONCE = 500  # ids per query
APART = 1_000
"""Slots for anybody count from 0, those for one rater (gold, repeats, qualification) from here: a run knows
its slots by their numbers."""
_ALL = 10_000  # numbers of one question
_LOCK = 7_233_117_262


class Posting(NamedTuple):
    """Questions with all texts they name. ``wanted``: the only rater who may answer, empty for anybody."""

    questions: tuple[Question, ...]
    records: tuple[Record, ...]
    slots: int = 1
    priority: float = 0.0
    wanted: str = ""
    round: Round = "main"


def unposted(connection: Connection, posting: Posting) -> list[Question]:
    """Those that are not there, or with fewer slots than now asked for."""
    if not 1 <= posting.slots <= APART:
        raise Refused(f"{posting.slots} slots for a question\n  ask for 1 to {APART}")
    found = in_portions(
        connection,
        "SELECT question, count(*) FROM slot WHERE question IN :ids AND wanted = :wanted GROUP BY question",
        [question.id for question in posting.questions],
        wanted=posting.wanted,
    )
    slots = {str(row[0]): int(row[1]) for row in found}
    questions = {question.id: question for question in posting.questions}
    return [q for id_, q in questions.items() if slots.get(id_, 0) < posting.slots]


def post(connection: Connection, posting: Posting) -> None:
    """Inside a write transaction: add what is missing."""
    alone(connection)
    questions = unposted(connection, posting)
    if not questions:
        return
    add(connection, questions, posting.records)
    _add_slots(connection, posting, [question.id for question in questions])


def alone(connection: Connection) -> None:
    """Nobody else brings in or erases texts until the transaction ends. Taken before any rater's row.

    On PostgreSQL two who post would else give one number, and a text that comes in while the words it was
    made of are withdrawn would stay.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def withdrawn(connection: Connection, records: Sequence[Record]) -> set[str]:
    """Those that somebody took back, and those that were made of what somebody took back."""
    ids = list({id_: None for record in records for id_ in (record.id, *record.parents)})
    rows = in_portions(connection, "SELECT id FROM erased WHERE id IN :ids", ids)
    erased = {str(row[0]) for row in rows}
    return {record.id for record in records if not erased.isdisjoint((record.id, *record.parents))}


def add(connection: Connection, questions: Sequence[Question], records: Sequence[Record]) -> None:
    """Inside a write transaction: questions with all texts they name, and no slots.

    Refused where a text is missing, or was withdrawn.
    """
    _add_records(connection, records)
    names = {question.id: _names(question) for question in questions}
    _check_named(connection, names)
    _many(
        connection,
        "INSERT INTO question (id, body) VALUES (:id, :body) ON CONFLICT (id) DO NOTHING",
        [{"id": question.id, "body": written(question)} for question in questions],
    )
    _many(
        connection,
        "INSERT INTO named (record, question) VALUES (:record, :question)"
        " ON CONFLICT (record, question) DO NOTHING",
        [{"record": record, "question": id_} for id_, named in names.items() for record in named],
    )


def read(connection: Connection, record: str) -> Record:
    """A text or a question; KeyError for any other id."""
    row = connection.execute(
        sql("SELECT kind, body FROM record WHERE id = :id"), {"id": record}
    ).one_or_none()
    return read_back(*row) if row else question(connection, record)


def question(connection: Connection, id_: str) -> Question:
    """KeyError where it was never posted."""
    found = connection.execute(sql("SELECT body FROM question WHERE id = :id"), {"id": id_}).scalar()
    if found is None:
        raise KeyError(f"no record {id_} in the labelling database")
    return cast(Question, read_back("question", found))


def lengths(connection: Connection, asked: Question) -> dict[str, int] | None:
    """Code points of each answer of a question; None where one was erased.

    An answer that is an episode is as long as its last turn, the one that is judged.
    """
    found: dict[str, int] = {}
    for answer in asked.responses:
        try:
            record = read(connection, answer)
            if isinstance(record, Episode):
                record = read(connection, record.responses[-1])
        except KeyError:
            return None
        found[answer] = len(record.text) if isinstance(record, Response) else 0
    return found


def written(record: Record) -> str:
    """A record as it is kept."""
    return json_text(record.body()).decode("utf-8").rstrip("\n")


def read_back(kind: str, body: str) -> Record:
    """What ``written`` wrote. Unreadable: a newer Accord wrote it."""
    try:
        return read_record(kind, json.loads(body))
    except ValueError as error:
        expected = f"a {kind} as this version of Accord writes it"
        raise Unreadable("the labelling database", expected, f"{error}; update Accord") from error


def _names(asked: Question) -> list[str]:
    return list(dict.fromkeys((asked.prompt, *asked.responses, *asked.evidence)))


def _add_records(connection: Connection, records: Sequence[Record]) -> None:
    if gone := sorted(withdrawn(connection, records)):
        raise Refused(
            f"{_listed(gone)}: withdrawn by the person who wrote it\n  ask without it, and delete your copy"
        )
    _many(
        connection,
        "INSERT INTO record (id, kind, body) VALUES (:id, :kind, :body) ON CONFLICT (id) DO NOTHING",
        [{"id": record.id, "kind": record.kind, "body": written(record)} for record in records],
    )
    _many(
        connection,
        "INSERT INTO parent (child, parent) VALUES (:child, :parent) ON CONFLICT (child, parent) DO NOTHING",
        [{"child": r.id, "parent": parent} for r in records for parent in dict.fromkeys(r.parents)],
    )


def _check_named(connection: Connection, names: Mapping[str, Sequence[str]]) -> None:
    named = list(dict.fromkeys(record for records in names.values() for record in records))
    held = {str(row[0]) for row in in_portions(connection, "SELECT id FROM record WHERE id IN :ids", named)}
    if lacking := [record for record in named if record not in held]:
        raise Refused(
            f"{_listed(lacking)}: named by a question, and not there to be shown\n"
            f"  post the questions together with all texts they name"
        )


def _add_slots(connection: Connection, posting: Posting, ids: Sequence[str]) -> None:
    statement = (
        "SELECT q.id, q.seq, s.number, s.wanted FROM question q LEFT JOIN slot s ON s.question = q.id"
        " WHERE q.id IN :ids"
    )
    seqs: dict[str, int] = {}
    free: dict[str, int] = dict.fromkeys(ids, 0)
    apart: dict[str, int] = dict.fromkeys(ids, 0)
    for id_, seq, _, wanted in in_portions(connection, statement, ids):
        seqs[id_] = int(seq)
        (apart if wanted else free)[id_] += wanted is not None
    rows: list[dict[str, object]] = []
    for id_ in ids:
        # A rater has one slot of their own at most, so the next number is always a new one.
        numbers = [APART + apart[id_]] if posting.wanted else range(free[id_], posting.slots)
        if numbers and numbers[-1] >= _ALL:
            raise Refused(f"question {id_[:12]}: was given to {_ALL - APART} raters\n  ask another question")
        for number in numbers:
            rows.append({"id": seqs[id_] * _ALL + number, "question": id_, "number": number})
    kept = {"round": posting.round, "wanted": posting.wanted, "priority": posting.priority}
    _many(
        connection,
        "INSERT INTO slot (id, question, number, round, wanted, priority, state, fence)"
        " VALUES (:id, :question, :number, :round, :wanted, :priority, 'open', 0)",
        [row | kept for row in rows],
    )
    for id_ in ids if posting.wanted else ():
        settle(connection, id_)


def in_portions(
    connection: Connection, statement: str, ids: Sequence[str], **values: object
) -> Iterator[Sequence[Any]]:
    """The rows of a query over ``:ids``, asked for in portions: a driver takes only so many at once."""
    from sqlalchemy import bindparam

    query = sql(statement).bindparams(bindparam("ids", expanding=True))
    for start in range(0, len(ids), _AT_ONCE):
        yield from connection.execute(query, {"ids": list(ids[start : start + _AT_ONCE]), **values})


def _many(connection: Connection, statement: str, values: Iterable[Mapping[str, object]]) -> None:
    if rows := list(values):
        connection.execute(sql(statement), rows)


def _listed(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(id_[:12] for id_ in ids[:3]) + more
