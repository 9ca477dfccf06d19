"""Counts for pages: what is done, what is open, who did it and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.stores.database import sql
from accord.stores.people.said import Day, Progress, Rater

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["asked", "progress", "raters"]

_DAY = {
    "sqlite": "date(at, 'unixepoch')",
    "postgresql": "to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}


def progress(connection: Connection, now: float) -> Progress:
    """Of the main round. A lease that has run out counts as open."""
    slots = connection.execute(
        sql(
            "SELECT CASE WHEN state = 'leased' AND lease_until < :now THEN 'open' ELSE state END AS stands,"
            " count(*) FROM slot WHERE round = 'main' GROUP BY stands"
        ),
        {"now": now},
    ).all()
    counts = {str(row[0]): int(row[1]) for row in slots}
    questions, complete = connection.exec_driver_sql(
        "SELECT count(*), coalesce(sum(done), 0) FROM"
        " (SELECT min(CASE WHEN state = 'closed' THEN 1 ELSE 0 END) AS done FROM slot"
        " WHERE round = 'main' GROUP BY question) q"
    ).one()
    day = _DAY[connection.dialect.name]
    days = connection.exec_driver_sql(
        f"SELECT {day} AS day, count(*) FROM judgment_current"  # noqa: S608 - our words
        " WHERE standing = 'vote' GROUP BY 1 ORDER BY 1"
    )
    return Progress(
        questions=questions,
        complete=int(complete),
        open=counts.get("open", 0),
        leased=counts.get("leased", 0),
        closed=counts.get("closed", 0),
        void=counts.get("void", 0),
        raters=tuple(raters(connection)),
        days=tuple(Day(str(row[0]), int(row[1])) for row in days),
    )


def asked(connection: Connection) -> int:
    """Questions that anybody may answer: each has a slot 0, which an index finds without reading a row."""
    return connection.exec_driver_sql("SELECT count(*) FROM slot WHERE number = 0").scalar_one()


def raters(connection: Connection, only: str | None = None) -> list[Rater]:
    """What raters have done, by pseudonym."""
    where = "" if only is None else " WHERE r.rater = :only"
    rows = connection.execute(
        sql(
            "SELECT r.rater, r.votes, r.abstained, r.late, min(c.at), max(c.at), r.qualified, r.tries"  # noqa: S608
            " FROM rater r LEFT JOIN judgment_current c ON c.rater = r.rater AND c.standing = 'vote'"
            f"{where} GROUP BY r.rater, r.votes, r.abstained, r.late, r.qualified, r.tries ORDER BY r.rater"
        ),
        {} if only is None else {"only": only},
    )
    return [Rater(*row) for row in rows]
