"""What follows from the journal, made anew: which slots are closed and by whom, what stands, who saw what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.stores.database import sql
from accord.stores.people import journal
from accord.stores.people.journal import Stands
from accord.stores.people.leases import settle
from accord.stores.people.said import Event, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["rebuild"]


class _Replayed:
    """What stands and what was seen after some events. ``rounds``: of each slot, by question and number."""

    def __init__(self, rounds: dict[tuple[str, int], str]) -> None:
        self._rounds = rounds
        self.stands: dict[int, Stands] = {}
        self.seen: dict[tuple[str, str], None] = {}

    def tell(self, event: Event) -> None:
        """One event, told after all that came before it."""
        match event.kind:
            case "submit":
                # In no slot: brought in from a file, and no part of a round.
                main = event.slot is None or self._rounds[event.question, event.slot] == "main"
                self._add(event, "vote" if main else "qualification")
                self.seen[event.question, event.rater] = None
            case "late":
                self._add(event, "late")
                self.seen[event.question, event.rater] = None
            case "adjudicate":
                self._add(event, "adjudicated")
            case "amend":
                self._drop(event.rater, event.replaces or "", "vote")
                self._add(event, "vote")
            case "withdraw":
                fallen = self._drop(event.rater, event.id)
                # Taken back, a question may be asked again; erased words are not asked for again.
                if event.note == "undo" and event.slot is not None and fallen != "late":
                    self.seen.pop((event.question, event.rater), None)

    def _add(self, event: Event, standing: Standing) -> None:
        abstained = event.judgment is not None and event.judgment.abstention is not None
        place = (event.question, event.slot, event.rater, event.id)
        self.stands[event.seq] = Stands(event.seq, *place, event.at, standing, abstained)

    def _drop(self, rater: str, judgment: str, only: Standing | None = None) -> Standing | None:
        """The newest of that rater and id stands no longer; as what it stood. ``only``: of such ones."""
        for seq in reversed(self.stands):
            row = self.stands[seq]
            if (row.rater, row.judgment) == (rater, judgment) and only in (None, row.standing):
                return self.stands.pop(seq).standing
        return None


def rebuild(connection: Connection) -> None:
    """Inside a write transaction. Leases are no part of the journal: those that no event contradicts stay."""
    if connection.dialect.name == "postgresql":
        # Whoever says anything locks their own row first: all wait, as they do on SQLite.
        connection.exec_driver_sql("LOCK TABLE rater IN EXCLUSIVE MODE")
    rounds = connection.exec_driver_sql("SELECT question, number, round FROM slot").all()
    replayed = _Replayed({(str(row[0]), int(row[1])): str(row[2]) for row in rounds})
    after = 0
    while events := journal.portion(connection, after):
        for event in events:
            replayed.tell(event)
        after = events[-1].seq
    for table in ("judgment_current", "seen"):
        connection.execute(sql(f"DELETE FROM {table}"))  # noqa: S608 - our words
    connection.execute(sql("UPDATE rater SET votes = 0, abstained = 0, late = 0"))
    _raters(connection, {row.rater for row in replayed.stands.values()})
    for row in replayed.stands.values():
        journal.stand(connection, row)
    for question, rater in replayed.seen:
        connection.execute(
            sql("INSERT INTO seen (question, rater) VALUES (:question, :rater)"),
            {"question": question, "rater": rater},
        )
    _slots(connection, [row for row in replayed.stands.values() if row.standing in ("vote", "qualification")])
    settle(connection)


def _raters(connection: Connection, raters: set[str]) -> None:
    for rater in sorted(raters):
        connection.execute(
            sql(
                "INSERT INTO rater (rater, votes, abstained, late, tries) VALUES (:rater, 0, 0, 0, 0)"
                " ON CONFLICT (rater) DO NOTHING"
            ),
            {"rater": rater},
        )


def _slots(connection: Connection, votes: list[Stands]) -> None:
    # Emptied first, so that none stands in another's way: a rater has one slot of a question at most.
    connection.execute(
        sql(
            "UPDATE slot SET state = 'open', rater = NULL, lease_until = NULL WHERE state <> 'leased'"
            " OR EXISTS (SELECT 1 FROM judgment_current c WHERE c.question = slot.question"
            " AND (c.slot = slot.number OR c.rater = slot.rater)"
            " AND c.standing IN ('vote', 'qualification'))"
        )
    )
    for row in votes:
        connection.execute(
            sql(
                "UPDATE slot SET state = 'closed', rater = :rater, lease_until = NULL"
                " WHERE question = :question AND number = :slot"
            ),
            {"rater": row.rater, "question": row.question, "slot": row.slot},
        )
