"""Withdraw everything: a person's words leave the database; ids stay, and what used them is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accord.stores.database import sql
from accord.stores.people import journal
from accord.stores.people.journal import Entry
from accord.stores.people.leases import lock_rater, settle
from accord.stores.people.posting import alone, in_portions
from accord.stores.people.said import Use, Withdrawn

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["ERASED_FROM", "erase", "use"]

# The tables that held words. PostgreSQL is asked to write them anew.
ERASED_FROM = ("judgment_event", "record", "draft")


def erase(connection: Connection, now: float, rater: str) -> Withdrawn:
    """Inside a write transaction. What lies under the files' surface is tidied after it."""
    alone(connection)
    lock_rater(connection, rater)
    said = connection.execute(
        sql(
            "SELECT seq, question, slot, judgment FROM judgment_event"
            " WHERE rater = :rater AND body IS NOT NULL ORDER BY seq"
        ),
        {"rater": rater},
    ).all()
    judgments = list(dict.fromkeys(str(row.judgment) for row in said))
    made = _made_of(connection, judgments)
    _forget(connection, [*judgments, *made])
    connection.execute(
        sql(
            "UPDATE slot SET state = 'open', rater = NULL, lease_until = NULL, fence = fence + 1"
            " WHERE rater = :rater"
        ),
        {"rater": rater},
    )
    drafts = connection.execute(sql("DELETE FROM draft WHERE rater = :rater"), {"rater": rater}).rowcount
    settle(connection)
    for row in said:
        entry = Entry(
            "withdraw",
            row.question,
            row.slot,
            rater,
            row.judgment,
            f"everything:{row.seq}",
            note="everything",
        )
        journal.add(connection, now, entry)
    for stands in journal.standing(connection, "rater = :rater", rater=rater):
        journal.fall(connection, stands)
    connection.execute(
        sql("UPDATE judgment_event SET body = NULL WHERE rater = :rater AND body IS NOT NULL"),
        {"rater": rater},
    )
    used = in_portions(
        connection, "SELECT judgment, used_by, at FROM uses WHERE judgment IN :ids ORDER BY at", judgments
    )
    uses = tuple(Use(*row) for row in used)
    return Withdrawn(tuple(judgments), tuple(made), drafts, uses, cleared=False)


def use(connection: Connection, now: float, judgments: Sequence[str], by: str) -> None:
    """Once per judgment and user."""
    rows = [{"judgment": judgment, "by": by, "at": now} for judgment in dict.fromkeys(judgments)]
    if rows:
        connection.execute(
            sql(
                "INSERT INTO uses (judgment, used_by, at) VALUES (:judgment, :by, :at)"
                " ON CONFLICT (judgment, used_by) DO NOTHING"
            ),
            rows,
        )


def _made_of(connection: Connection, judgments: Sequence[str]) -> list[str]:
    """Texts kept here that were made from these judgments, and these judgments where they were shown."""
    made = in_portions(
        connection,
        "SELECT r.id FROM parent p JOIN record r ON r.id = p.child WHERE p.parent IN :ids ORDER BY r.id",
        judgments,
    )
    shown = in_portions(connection, "SELECT id FROM record WHERE id IN :ids ORDER BY id", judgments)
    return list(dict.fromkeys(str(row[0]) for row in (*made, *shown)))


def _forget(connection: Connection, ids: Sequence[str]) -> None:
    rows = [{"id": id_} for id_ in dict.fromkeys(ids)]
    if not rows:
        return
    connection.execute(sql("INSERT INTO erased (id) VALUES (:id) ON CONFLICT (id) DO NOTHING"), rows)
    connection.execute(sql("DELETE FROM record WHERE id = :id"), rows)
    connection.execute(sql("DELETE FROM parent WHERE child = :id"), rows)
