"""Feedback as it is: one record per line, read back bit for bit.

The first line says what the file is. Every other holds ``kind``, ``id`` and ``body`` of a record: first
texts, then the questions that name them, then what was said; a judgment's line says besides whose it is
(``rater``), how it ``stands`` (``vote``, ``late`` or ``adjudicated``), and when it was kept (``at``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from pydantic import JsonValue

from accord.records import JSON, Judgment, Record, finite
from accord.stores.foreign.exports.given import Export, Fields, Given, made_of, named_by

__all__ = ["FORMAT", "Kept", "Standing", "line_of", "whole"]

FORMAT = {"accord": "feedback", "v": 1}
"""The first line."""

Standing = Literal["vote", "late", "adjudicated"]


class Kept(NamedTuple):
    """A judgment in its place: whose it is, how it stands, and when it was kept, if that is known."""

    judgment: Judgment
    rater: str
    stands: Standing = "vote"
    at: float | None = None


def whole(given: Given, kept: Sequence[Kept]) -> Export:
    """All of it. What is lost can only be texts that are no more, because somebody withdrew them."""
    lost = Counter[str]()
    records: dict[str, Record] = {}
    for question in given.questions:
        for name in named_by(question, given.records):
            if name in given.records:
                records[name] = given.records[name]
            else:
                lost["texts that were withdrawn"] += 1
    questions = {question.id: question for question in given.questions}
    rows: list[Fields] = [dict(FORMAT)]
    rows += [_record(record) for record in (records | questions).values()]
    for one in kept:
        place: dict[str, JsonValue] = {"rater": one.rater, "stands": one.stands}
        rows.append(_record(one.judgment) | place | ({} if one.at is None else {"at": one.at}))
    return made_of(rows, lost, [one.judgment.id for one in kept])


def line_of(row: Mapping[str, object]) -> str:
    """A row as a line of JSON; a number that JSON does not have stands as its name, as it does in ids."""
    return json.dumps(finite(cast(JSON, row)), ensure_ascii=False, allow_nan=False) + "\n"


def _record(record: Record) -> Fields:
    return {"kind": record.kind, "id": record.id, "body": cast(JsonValue, finite(record.body()))}
