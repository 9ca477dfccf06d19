"""All that figures of a labelling project are made of, in one read: questions, slots, what stands.

Plain values without texts, so that a hundred thousand judgments fit and are read in seconds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from accord.records import Question
from accord.stores.database import sql
from accord.stores.people import journal
from accord.stores.people.posting import APART, read_back
from accord.stores.people.said import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

__all__ = ["Line", "Slots", "Survey", "survey"]

_FIELD = {"sqlite": "json_extract(body, '$.{0}')", "postgresql": "body::json ->> '{0}'"}
_NONE: Any = {}


class Line(NamedTuple):
    """One judgment that stands. ``said``: ranked, graded, critiqued, revised, labelled, spread, or nothing
    where it abstains. ``tiers``, ``scores`` and ``tags`` are those of the verdict, if it has them; ``bad``:
    none of the answers is acceptable. ``active``: seconds, 0 where nobody measured them.
    """

    judgment: str
    rater: str
    question: str
    slot: int | None
    at: float
    standing: Standing
    shown: tuple[str, ...]
    said: str
    tiers: tuple[tuple[str, ...], ...]
    scores: Mapping[str, float]
    tags: tuple[str, ...]
    bad: bool
    abstention: str
    active: float

    @property
    def for_one(self) -> bool:
        """In a slot that only this rater could take."""
        return self.slot is not None and self.slot >= APART


class Slots(NamedTuple):
    """How many slots of one question are open, leased, closed and void, of those that anybody may take."""

    open: int = 0
    leased: int = 0
    closed: int = 0
    void: int = 0


class Survey(NamedTuple):
    """``seq``: the last event that is in it. ``strata``: of prompts by id; ``policies``: of responses.

    ``slots``: by question, for anybody; ``for_one``: how many slots wait for one rater each.
    """

    seq: int
    questions: Mapping[str, Question]
    strata: Mapping[str, str]
    policies: Mapping[str, str]
    slots: Mapping[str, Slots]
    for_one: int
    lines: list[Line]


def survey(connection: Connection, now: float) -> Survey:
    """In one transaction, so that all of it is of one moment. A lease that has run out counts as open."""
    asked = connection.exec_driver_sql("SELECT id, body FROM question ORDER BY seq")
    questions = {str(row[0]): cast(Question, read_back("question", row[1])) for row in asked}
    waiting = connection.exec_driver_sql(
        "SELECT count(*) FROM slot WHERE wanted <> '' AND state IN ('open', 'leased')"
    ).scalar_one()
    return Survey(
        journal.newest(connection),
        questions,
        _field(connection, "prompt", "slice"),
        _field(connection, "response", "policy"),
        _slots(connection, now),
        int(waiting),
        _lines(connection),
    )


def _field(connection: Connection, kind: str, field: str) -> dict[str, str]:
    """One field of every record of a kind, where it is not at its default."""
    value = _FIELD[connection.dialect.name].format(field)
    found = connection.execute(
        sql(f"SELECT id, {value} FROM record WHERE kind = :kind"),  # noqa: S608 - our words
        {"kind": kind},
    )
    return {str(row[0]): str(row[1]) for row in found if row[1] is not None}


def _slots(connection: Connection, now: float) -> dict[str, Slots]:
    rows = connection.execute(
        sql(
            "SELECT question, CASE WHEN state = 'leased' AND lease_until < :now THEN 'open' ELSE state END"
            " AS stands, count(*) FROM slot WHERE round = 'main' AND wanted = '' GROUP BY question, stands"
        ),
        {"now": now},
    )
    found: dict[str, Slots] = {}
    for question, state, count in rows:
        found[question] = found.get(question, Slots())._replace(**{str(state): int(count)})
    return found


def _lines(connection: Connection) -> list[Line]:
    rows = connection.exec_driver_sql(
        "SELECT e.body, c.judgment, c.rater, c.question, c.slot, c.at, c.standing FROM judgment_current c"
        " JOIN judgment_event e ON e.seq = c.seq ORDER BY c.seq"
    )
    return [_line(*row) for row in rows]


def _line(body: str, judgment: str, rater: str, question: str, slot: int | None, *when: Any) -> Line:
    # Read without checking it again: it was checked when it came, and there may be very many.
    fields = json.loads(body)
    verdict = fields.get("verdict", _NONE)
    at, standing = when
    return Line(
        judgment,
        rater,
        question,
        slot,
        float(at),
        standing,
        tuple(fields.get("shown", ())),
        verdict.get("type", ""),
        tuple(tuple(tier) for tier in verdict.get("tiers", ())),
        verdict.get("scores", _NONE),
        tuple(sorted(verdict.get("tags", ()))),
        verdict.get("acceptable") == [],
        fields.get("abstention", ""),
        float(fields.get("times", _NONE).get("active", 0.0)),
    )
