"""What a run cost: a pure fold over its records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from accord.records.events import Reading
from accord.records.feedback import Judgment
from accord.records.record import Cost, Record
from accord.records.texts import Response

__all__ = ["Account", "account"]


class Account(NamedTuple):
    """Totals of a set of records."""

    answers: int = 0
    answer_tokens: int = 0
    judgments: int = 0
    abstentions: int = 0
    judging: Cost = Cost()
    measuring: Cost = Cost()


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
                total = total._replace(
                    judgments=total.judgments + 1,
                    abstentions=total.abstentions + (record.abstention is not None),
                    judging=total.judging + record.cost,
                )
            case Reading():
                total = total._replace(measuring=total.measuring + record.cost)
            case _:
                pass
    return total
