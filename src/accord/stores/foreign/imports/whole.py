"""The lossless file of feedback, read back: each record has the id that stands beside it, or is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast, get_args

from pydantic import ValidationError

from accord.errors import Unreadable
from accord.records import Judgment, Question, Record, read_record
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.exports.whole import FORMAT, Kept, Standing
from accord.stores.foreign.imports.brought import Brought, Gathered, Row, pseudonym
from accord.stores.foreign.tables import Fields, sifted_rows

__all__ = ["bring_whole", "is_whole"]


def is_whole(fields: Mapping[str, object]) -> bool:
    """Whether a file that begins so is one of ours."""
    return fields.get("accord") == FORMAT["accord"]


def bring_whole(file: Path, rejecting: bool = False) -> Brought:
    """What ``accord export data --as jsonl`` wrote.

    Unreadable names file, line and field of the first line that does not fit; ``rejecting``: such lines are
    left out and handed back.
    """
    gathered = Gathered(rejecting)
    rows = sifted_rows(file)
    first = next(rows, None)
    if first is None or first[1] != FORMAT:
        found = "an empty file" if first is None else str(first[1])[:80]
        raise Unreadable(file, f"{json.dumps(FORMAT)} in the first line", found, 1)
    questions: dict[str, Question] = {}

    def take(row: Row) -> None:
        _take(row, questions)
        questions.update(row.questions)

    for number, row in rows:
        gathered.row(file, number, row, take)
    return gathered.done(file, "feedback")


def _take(row: Row, questions: Mapping[str, Question]) -> None:
    record = _record(row.fields)
    match record:
        case Question():
            row.questions[record.id] = record
        case Judgment():
            asked = questions.get(record.question)
            if asked is None:
                raise Unfit("body.question: a question of an earlier line", record.question[:12])
            if problem := record.problem_with(asked):
                raise Unfit("body: an answer to its question", problem)
            row.kept.append(_kept(row.fields, record))
        case _:
            row.records[record.id] = record


def _record(fields: Fields) -> Record:
    kind, id_, body = fields.get("kind"), fields.get("id"), fields.get("body")
    if not isinstance(kind, str) or not isinstance(body, dict):
        raise Unfit('"kind", "id" and "body" of a record', f"keys {', '.join(fields)}")
    try:
        record = read_record(kind, cast("dict[str, object]", body))
        found = record.id
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(["body", *map(str, problem["loc"])])
        raise Unfit(f"{where}: as this version of Accord writes a {kind}", problem["msg"]) from error
    except ValueError as error:
        raise Unfit(f"kind, body: as this version of Accord writes a {kind}", str(error)) from error
    if found != id_:
        raise Unfit("id: that of the body", f"{str(id_)[:12]}, and the body has {found[:12]}: it was changed")
    return record


def _kept(fields: Fields, judgment: Judgment) -> Kept:
    rater, stands, at = fields.get("rater"), fields.get("stands", "vote"), fields.get("at")
    if not isinstance(rater, str) or pseudonym(rater) != rater:
        raise Unfit("rater: a pseudonym, r- and 12 hexadecimal digits", repr(rater)[:80])
    if stands not in get_args(Standing):
        raise Unfit(f"stands: {', '.join(get_args(Standing))}", repr(stands)[:80])
    if at is not None and (isinstance(at, bool) or not isinstance(at, int | float)):
        raise Unfit("at: seconds since the epoch", repr(at)[:80])
    return Kept(judgment, rater, cast(Standing, stands), None if at is None else float(at))
