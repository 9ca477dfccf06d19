"""What a run cost: a pure fold over its records.

What people said lies in the database where they said it, not among a run's records; for their labels and
their time these records have to be among those that are summed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from accord.records.events import Reading
from accord.records.feedback import Judgment
from accord.records.record import Cost, Record
from accord.records.texts import Response
from accord.records.truth import TruthRead

__all__ = ["CHECKED", "Account", "account"]

CHECKED = "spot check: gold"
"""How the note of a judgment begins that went to the better overseer of two."""


class Account(NamedTuple):
    """Totals of a set of records. ``labels``: verdicts of people; ``human_seconds``: how long they were at
    it, abstentions included; ``spot_checks``: questions that went to the better overseer; ``truths``: how
    many were given, by purpose."""

    answers: int = 0
    answer_tokens: int = 0
    judgments: int = 0
    abstentions: int = 0
    judging: Cost = Cost()
    measuring: Cost = Cost()
    labels: int = 0
    human_seconds: float = 0.0
    spot_checks: int = 0
    truths: Mapping[str, int] = {}


def account(records: Iterable[Record]) -> Account:
    """Sum what ``records`` say was spent; each record counts once, however often it is listed.

    >>> account([Response(prompt="p", text="ab", tokens=(1, 2))]).answer_tokens
    2
    """
    total, seen = Account(), set[str]()
    for record in records:
        if record.id in seen:
            continue
        seen.add(record.id)
        match record:
            case Response():
                total = total._replace(
                    answers=total.answers + 1, answer_tokens=total.answer_tokens + len(record.tokens)
                )
            case Judgment():
                person = record.by.type == "person"
                at_it = record.times.active if person and record.times is not None else 0.0
                total = total._replace(
                    judgments=total.judgments + 1,
                    abstentions=total.abstentions + (record.abstention is not None),
                    judging=total.judging + record.cost,
                    labels=total.labels + (person and record.verdict is not None),
                    human_seconds=total.human_seconds + at_it,
                    spot_checks=total.spot_checks + record.note.startswith(CHECKED),
                )
            case TruthRead() if not record.refused:
                given = total.truths.get(record.purpose, 0) + 1
                total = total._replace(truths={**total.truths, record.purpose: given})
            case Reading():
                total = total._replace(measuring=total.measuring + record.cost)
            case _:
                pass
    return total
