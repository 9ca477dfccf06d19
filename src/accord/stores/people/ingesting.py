"""Bring in what was said elsewhere: a file of judgments, in one transaction and in no slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from accord.errors import Refused
from accord.records import Judgment, Question, Record
from accord.stores.database import sql
from accord.stores.people import journal
from accord.stores.people.journal import Entry, Stands
from accord.stores.people.leases import lock_rater
from accord.stores.people.posting import add, alone, in_portions, lengths, withdrawn
from accord.stores.people.said import Happened, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Ingested", "Voice", "ingest"]

_EVENTS: dict[Standing, Happened] = {"vote": "submit", "late": "late", "adjudicated": "adjudicate"}
"""A qualification round belongs to its database: it is not brought over."""


class Voice(NamedTuple):
    """A judgment of a rater, as what it stands, and when it was kept elsewhere, if that is known."""

    judgment: Judgment
    rater: str
    standing: Standing = "vote"
    at: float | None = None


class Ingested(NamedTuple):
    """What became of it. ``known``: judgments that were given here before; ``withdrawn``: that somebody took
    back, or that are about texts somebody took back, and which stay away."""

    questions: int
    judgments: int
    known: int
    withdrawn: int


def ingest(
    connection: Connection,
    now: float,
    questions: Sequence[Question],
    records: Sequence[Record],
    said: Sequence[Voice],
) -> Ingested:
    """Inside a write transaction: all of it, or Refused."""
    alone(connection)
    erased = withdrawn(connection, records) | _erased(connection, [voice.judgment.id for voice in said])
    whole = [q for q in questions if not erased & {q.prompt, *q.responses, *q.evidence}]
    add(connection, whole, [record for record in records if record.id not in erased])
    asked = {question.id: question for question in whole}
    voices = {v.judgment.id: v for v in said if v.judgment.id not in erased and v.judgment.question in asked}
    known = {
        str(row[0])
        for row in in_portions(
            connection, "SELECT judgment FROM judgment_event WHERE judgment IN :ids", list(voices)
        )
    }
    new = [voice for id_, voice in voices.items() if id_ not in known]
    for rater in sorted({voice.rater for voice in new}):
        lock_rater(connection, rater)
    for voice in new:
        _check(connection, asked[voice.judgment.question], voice.judgment)
        _keep(connection, now, voice)
    return Ingested(len(whole), len(new), len(known), len(said) - len(voices))


def _erased(connection: Connection, ids: Sequence[str]) -> set[str]:
    return {str(row[0]) for row in in_portions(connection, "SELECT id FROM erased WHERE id IN :ids", ids)}


def _check(connection: Connection, asked: Question, judgment: Judgment) -> None:
    if problem := judgment.problem_with(asked, lengths(connection, asked)):
        raise Refused(f"judgment {judgment.id[:12]}: {problem}\n  nothing was kept; put the file right")


def _keep(connection: Connection, now: float, voice: Voice) -> None:
    judgment, rater, at = voice.judgment, voice.rater, now if voice.at is None else voice.at
    entry = Entry(_EVENTS[voice.standing], judgment.question, None, rater, judgment, f"ingest:{judgment.id}")
    seq = journal.add(connection, at, entry)
    if seq is None:
        return
    abstained = judgment.abstention is not None
    place = (judgment.question, None, rater, judgment.id)
    journal.stand(connection, Stands(seq, *place, at, voice.standing, abstained))
    if voice.standing != "adjudicated":
        connection.execute(
            sql(
                "INSERT INTO seen (question, rater) VALUES (:question, :rater)"
                " ON CONFLICT (question, rater) DO NOTHING"
            ),
            {"question": judgment.question, "rater": rater},
        )
