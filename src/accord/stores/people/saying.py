"""What raters and adjudicators say, amend and take back; each is one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accord.errors import Refused
from accord.overseers.human import human_config
from accord.records import Judgment, Question
from accord.stores.database import sql
from accord.stores.people import journal
from accord.stores.people.journal import Entry, Stands
from accord.stores.people.kept import project
from accord.stores.people.leases import lock_rater, release_all, settle, tries
from accord.stores.people.posting import APART, lengths, question
from accord.stores.people.said import Lease, Receipt, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["adjudicate", "amend", "check", "seat", "seat_of", "submit", "undo"]

_LEAST_SALT = 16


def check(connection: Connection, judgment: Judgment, asked: str, rater: str, config: str | None) -> None:
    """Refused, with the field, unless this is a rater's own answer to that question."""
    problem = _problem(judgment, asked, rater, config)
    if problem is None:
        posted = question(connection, asked)
        problem = judgment.problem_with(posted, lengths(connection, posted)) or _shown(judgment, posted)
    if problem:
        raise Refused(f"{problem}\n  nothing was kept; send it again with this put right")


def _problem(judgment: Judgment, asked: str, rater: str, config: str | None) -> str | None:
    if judgment.question != asked:
        return f"question: is {judgment.question[:12]}, and {asked[:12]} was asked"
    if (judgment.by.type, judgment.by.name) != ("person", rater):
        return f"by: is the {judgment.by.type} {judgment.by.name!r}, and the person {rater!r} answers"
    if config is not None and judgment.by.config != config:
        return "by.config: is not that of this queue and slot (human_config of the queue's id and the number)"
    if len(judgment.salt) < _LEAST_SALT:
        return f"salt: needs {_LEAST_SALT} random characters or more, or its id could be guessed back"
    return None


def _shown(judgment: Judgment, posted: Question) -> str | None:
    if sorted(judgment.shown) != sorted(posted.responses):
        return "shown: the answers of the question in the order they were shown, each once"
    return None


def seat(connection: Connection, queue: str, lease: Lease) -> str:
    """The config of whoever answers the slot of this lease; KeyError where no such slot was leased."""
    row = connection.execute(
        sql("SELECT question, number, fence, wanted FROM slot WHERE id = :id"), {"id": lease.slot}
    ).one_or_none()
    if row is None or (row.question, row.number) != (lease.question, lease.number) or row.fence < lease.fence:
        raise KeyError(f"slot {lease.slot} was never leased so")
    if row.wanted not in ("", lease.rater):
        raise Refused(f"slot {lease.slot}: is for another rater\n  lease a question of your own")
    return human_config(queue, lease.number)


def seat_of(connection: Connection, queue: str, rater: str, of: str) -> tuple[str, str]:
    """The question and the config of a judgment that a rater gave in a slot; KeyError for any other."""
    row = connection.execute(
        sql(
            "SELECT question, slot FROM judgment_event WHERE judgment = :of AND rater = :rater"
            " AND slot IS NOT NULL AND kind <> 'withdraw' ORDER BY seq DESC LIMIT 1"
        ),
        {"of": of, "rater": rater},
    ).one_or_none()
    if row is None:
        raise KeyError(f"{rater} gave no judgment {of}")
    return row.question, human_config(queue, row.slot)


def submit(connection: Connection, now: float, lease: Lease, judgment: Judgment, key: str) -> Receipt:
    """Close the slot if the fence fits, write the event once, note that the question was seen."""
    lock_rater(connection, lease.rater)
    row = connection.execute(
        sql(
            "UPDATE slot SET state = 'closed', lease_until = NULL WHERE id = :slot AND fence = :fence"
            " AND rater = :rater AND state = 'leased' RETURNING round, EXISTS (SELECT 1 FROM slot o"
            " WHERE o.question = slot.question AND o.wanted = :rater AND o.id <> slot.id) AS elsewhere"
        ),
        {"slot": lease.slot, "fence": lease.fence, "rater": lease.rater},
    ).one_or_none()
    client_key = f"{lease.rater}:{key}"
    entry = Entry(
        "submit" if row else "late", lease.question, lease.number, lease.rater, judgment, client_key
    )
    seq = journal.add(connection, now, entry)
    if seq is None:
        return _again(connection, client_key, row is not None)
    standing: Standing = "late" if row is None else "vote" if row.round == "main" else "qualification"
    abstained = judgment.abstention is not None
    place = (lease.question, lease.number, lease.rater, judgment.id)
    journal.stand(connection, Stands(seq, *place, now, standing, abstained))
    values = {"question": lease.question, "rater": lease.rater}
    connection.execute(
        sql(
            "INSERT INTO seen (question, rater) VALUES (:question, :rater)"
            " ON CONFLICT (question, rater) DO NOTHING"
        ),
        values,
    )
    connection.execute(sql("DELETE FROM draft WHERE question = :question AND rater = :rater"), values)
    if row is None or row.elsewhere:
        settle(connection, lease.question)
    return Receipt("late" if row is None else "stored", judgment.id)


def _again(connection: Connection, client_key: str, closed: bool) -> Receipt:
    """The receipt of what this key stood for the first time. A key that is spent closes no other slot."""
    if closed:
        raise Refused("key: was used for another question\n  every answer needs a key of its own")
    found = connection.execute(
        sql("SELECT judgment FROM judgment_event WHERE client_key = :key"), {"key": client_key}
    ).scalar_one()
    return Receipt("again", str(found))


def amend(connection: Connection, now: float, of: str, judgment: Judgment, key: str) -> Receipt:
    """Put another judgment in the place of a vote. Its slot stays closed."""
    rater = judgment.by.name
    lock_rater(connection, rater)
    client_key = f"{rater}:{key}"
    rows = journal.standing(
        connection, "rater = :rater AND judgment = :judgment AND standing = 'vote'", rater=rater, judgment=of
    )
    if not rows:
        known = connection.execute(
            sql("SELECT 1 FROM judgment_event WHERE client_key = :key"), {"key": client_key}
        ).scalar()
        if known:
            return _again(connection, client_key, closed=False)
        raise KeyError(f"{of} is no standing vote of {rater}")
    old = rows[-1]
    entry = Entry("amend", old.question, old.slot, rater, judgment, client_key, replaces=of)
    seq = journal.add(connection, now, entry)
    if seq is None:
        return _again(connection, client_key, closed=False)
    journal.fall(connection, old)
    abstained = judgment.abstention is not None
    journal.stand(connection, old._replace(seq=seq, judgment=judgment.id, at=now, abstained=abstained))
    return Receipt("stored", judgment.id)


def undo(connection: Connection, now: float, rater: str, ttl: float) -> Lease | None:
    """Take the newest judgment back and hold its slot again."""
    lock_rater(connection, rater)
    rows = journal.standing(
        connection,
        "rater = :rater AND seq = (SELECT max(seq) FROM judgment_current WHERE rater = :rater"
        " AND standing <> 'adjudicated')",
        rater=rater,
    )
    if not rows or _marked(connection, rows[0]):
        return None
    last = rows[0]
    release_all(connection, rater)
    row = None
    if last.slot is not None and last.standing != "late":
        row = connection.execute(
            sql(
                "UPDATE slot SET state = 'leased', fence = fence + 1, lease_until = :until"
                " WHERE question = :question AND number = :number AND rater = :rater AND state = 'closed'"
                " RETURNING id, question, number, rater, fence, lease_until"
            ),
            {"until": now + ttl, "question": last.question, "number": last.slot, "rater": rater},
        ).one()
        # Of a late one, or one from elsewhere, the question stays seen: its slot is not theirs.
        connection.execute(
            sql("DELETE FROM seen WHERE question = :question AND rater = :rater"),
            {"question": last.question, "rater": rater},
        )
    entry = Entry("withdraw", last.question, last.slot, rater, last.judgment, f"undo:{last.seq}", note="undo")
    journal.add(connection, now, entry)
    journal.fall(connection, last)
    settle(connection, last.question)
    return _still(connection, Lease(*row)) if row else None


def _marked(connection: Connection, last: Stands) -> bool:
    """Whether its mark may have been seen: who knows what was wrong could put it right.

    Of a qualification round when it is over; of gold as soon as anything else was said after it.
    """
    if last.standing == "vote" and last.slot is not None and last.slot >= APART:
        newest = sql("SELECT max(seq) FROM judgment_event WHERE rater = :rater")
        return int(connection.execute(newest, {"rater": last.rater}).scalar_one()) != last.seq
    wanted = project(connection).qualification
    if last.standing != "qualification" or wanted is None:
        return False
    where = "rater = :rater AND standing = 'qualification'"
    given = len(journal.standing(connection, where, rater=last.rater))
    return given <= tries(connection, last.rater) * wanted.asked


def _still(connection: Connection, lease: Lease) -> Lease | None:
    state = connection.execute(sql("SELECT state FROM slot WHERE id = :id"), {"id": lease.slot}).scalar_one()
    return lease if state == "leased" else None


def adjudicate(connection: Connection, now: float, asked: str, judgment: Judgment) -> None:
    """Beside the votes, in no slot. The same judgment again is the same event."""
    rater = judgment.by.name
    lock_rater(connection, rater)
    entry = Entry("adjudicate", asked, None, rater, judgment, f"adjudicate:{judgment.id}")
    seq = journal.add(connection, now, entry)
    if seq is None:
        return
    abstained = judgment.abstention is not None
    journal.stand(connection, Stands(seq, asked, None, rater, judgment.id, now, "adjudicated", abstained))
