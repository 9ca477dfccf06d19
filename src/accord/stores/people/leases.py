"""Who holds which slot. Every change locks the rater's row, then a slot, then the journal, so no circles."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from accord.errors import Refused
from accord.stores.database import sql
from accord.stores.people.said import Lease, Round

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = [
    "TAKE",
    "Terms",
    "beat",
    "counted",
    "held",
    "lease",
    "lock_rater",
    "qualify",
    "release",
    "release_all",
    "settle",
    "tries",
]

_PSEUDONYM = re.compile(r"r-[0-9a-f]{12}")

# Rows that are waited for come off the index in the order wanted. An expired lease is as good as none.
# PostgreSQL adds SKIP LOCKED: what another transaction is just taking is passed over, not waited for. Without
# OFFSET it would make joins of NOT EXISTS, and read every slot there is for each one that is leased.
TAKE = """
UPDATE slot SET state = 'leased', rater = :rater, fence = fence + 1, lease_until = :now + :ttl
WHERE id = (SELECT s.id FROM slot s
  WHERE s.round = :round AND s.wanted = :wanted AND s.state IN ('open', 'leased')
  AND (s.state = 'open' OR (s.state = 'leased' AND s.lease_until < :now))
  AND NOT EXISTS (SELECT 1 FROM slot o WHERE o.question = s.question AND o.rater = :rater AND o.id <> s.id
    LIMIT 1 OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM seen n WHERE n.question = s.question AND n.rater = :rater
    LIMIT 1 OFFSET 0)
  ORDER BY s.priority DESC, s.id LIMIT 1{skip_locked}
) RETURNING id, question, number, rater, fence, lease_until
"""
_HELD = "id = :slot AND fence = :fence AND rater = :rater AND state = 'leased'"
_FREED = "state = 'open', rater = NULL, lease_until = NULL, fence = fence + 1"


class Terms(NamedTuple):
    """On what terms a rater leases. ``qualified``: whether only those who passed the qualification may."""

    ttl: float
    limit: int | None
    round: Round
    qualified: bool


class _Standing(NamedTuple):
    votes: int
    qualified: float | None


def lock_rater(connection: Connection, rater: str) -> _Standing:
    """Nobody else changes what is this rater's until the transaction ends."""
    if not _PSEUDONYM.fullmatch(rater):
        raise Refused(
            f"{rater!r} is no pseudonym\n"
            f"  raters are known here as r- and 12 hexadecimal digits; names stay in the accounts' database"
        )
    row = connection.execute(
        # Touched, so that PostgreSQL locks it too.
        sql(
            "INSERT INTO rater (rater, votes, abstained, late, tries) VALUES (:rater, 0, 0, 0, 0)"
            " ON CONFLICT (rater) DO UPDATE SET rater = excluded.rater RETURNING votes, qualified"
        ),
        {"rater": rater},
    ).one()
    return _Standing(*row)


def lease(connection: Connection, rater: str, now: float, terms: Terms) -> Lease | None:
    """The slot this rater holds, else the next one for them: first what only they may answer."""
    standing = lock_rater(connection, rater)
    if terms.round == "main" and terms.limit is not None and standing.votes >= terms.limit:
        return None
    if terms.round == "main" and terms.qualified and standing.qualified is None:
        return None
    own = connection.execute(
        sql(
            "SELECT id, question, number, rater, fence, lease_until FROM slot"
            " WHERE rater = :rater AND state = 'leased' AND round = :round ORDER BY lease_until DESC"
        ),
        {"rater": rater, "round": terms.round},
    ).all()
    for row in own:
        # Expired or not: as long as nobody took it, it is theirs, and so is what they wrote meanwhile.
        if (until := beat(connection, Lease(*row), now, terms.ttl)) is not None:
            return Lease(*row)._replace(until=until)
    take = sql(TAKE.format(skip_locked=_on_postgresql(connection, " FOR UPDATE OF s SKIP LOCKED")))
    values = {"rater": rater, "now": now, "ttl": terms.ttl, "round": terms.round}
    for wanted in (rater, ""):
        row = connection.execute(take, values | {"wanted": wanted}).one_or_none()
        if row is not None:
            return Lease(*row)
    return None


def beat(connection: Connection, lease: Lease, now: float, ttl: float) -> float | None:
    """The new end of a lease, None where it is no longer theirs."""
    statement = f"UPDATE slot SET lease_until = :until WHERE {_HELD} RETURNING lease_until"  # noqa: S608
    found = connection.execute(sql(statement), _values(lease) | {"until": now + ttl}).scalar()
    return None if found is None else float(found)


def release(connection: Connection, lease: Lease) -> None:
    """Open again, under a new fence."""
    connection.execute(sql(f"UPDATE slot SET {_FREED} WHERE {_HELD}"), _values(lease))  # noqa: S608


def release_all(connection: Connection, rater: str) -> None:
    """Whatever a rater holds."""
    statement = f"UPDATE slot SET {_FREED} WHERE rater = :rater AND state = 'leased'"  # noqa: S608
    connection.execute(sql(statement), {"rater": rater})


def settle(connection: Connection, question: str | None = None) -> None:
    """Slots that nobody can fill are ``void``, those that somebody can are not; of one question, or all.

    Nobody can where a text of the question was withdrawn, or the one rater wanted has answered it elsewhere.
    """
    nobody = (
        "(EXISTS (SELECT 1 FROM named n JOIN erased e ON e.id = n.record WHERE n.question = slot.question)"
        " OR (wanted <> '' AND EXISTS (SELECT 1 FROM seen s WHERE s.question = slot.question"
        " AND s.rater = slot.wanted)))"
    )
    only, values = ("", {}) if question is None else (" AND question = :question", {"question": question})
    opened = f"UPDATE slot SET state = 'open' WHERE state = 'void' AND NOT {nobody}{only}"  # noqa: S608
    voided = (
        "UPDATE slot SET state = 'void', rater = NULL, lease_until = NULL, fence = fence + 1"  # noqa: S608
        f" WHERE state IN ('open', 'leased') AND {nobody}{only}"
    )
    connection.execute(sql(opened), values)
    connection.execute(sql(voided), values)


def held(connection: Connection, rater: str, slot: int, fence: int) -> Lease:
    """The lease that was handed out, whether or not it is still theirs (then ``until`` is 0)."""
    row = connection.execute(
        sql("SELECT id, question, number, rater, fence, lease_until, state FROM slot WHERE id = :id"),
        {"id": slot},
    ).one_or_none()
    if row is None or fence > row.fence:
        raise KeyError(f"slot {slot} was never leased under fence {fence}")
    theirs = (row.rater, row.fence, row.state) == (rater, fence, "leased")
    return Lease(slot, row.question, row.number, rater, fence, row.lease_until if theirs else 0.0)


def counted(connection: Connection, rater: str, **changes: int) -> None:
    """Change what is counted of a rater: ``votes``, ``abstained``, ``late``, ``tries``."""
    changed = ", ".join(f"{name} = {name} + :{name}" for name in changes)
    statement = f"UPDATE rater SET {changed} WHERE rater = :rater"  # noqa: S608 - our words
    connection.execute(sql(statement), {"rater": rater, **changes})


def tries(connection: Connection, rater: str) -> int:
    """How many of a rater's qualification rounds were marked."""
    query = sql("SELECT tries FROM rater WHERE rater = :rater")
    return int(connection.execute(query, {"rater": rater}).scalar_one())


def qualify(connection: Connection, rater: str, at: float | None, before: int | None = None) -> None:
    """One more qualification round is marked, unless there are not ``before`` of them; passed ``at`` that
    time, or not."""
    lock_rater(connection, rater)
    if before is not None and tries(connection, rater) != before:
        return
    counted(connection, rater, tries=1)
    connection.execute(
        sql("UPDATE rater SET qualified = coalesce(qualified, :at) WHERE rater = :rater"),
        {"at": at, "rater": rater},
    )


def _values(lease: Lease) -> dict[str, object]:
    return {"slot": lease.slot, "fence": lease.fence, "rater": lease.rater}


def _on_postgresql(connection: Connection, words: str) -> str:
    # SQLite's transaction holds the only write lock there is.
    return words if connection.dialect.name == "postgresql" else ""
