"""Rows of TRL's six types as feedback: what each says becomes the judgment of whoever said it.

| type | question | verdict |
|---|---|---|
| ``preference`` | Compare the two | the chosen one first; with ``p``, a spread |
| ``label`` (unpaired) | Label: good enough or not | the label |
| ``steps`` | Grade each step, those before it beside it | 1 or 0; of null, nothing |
| ``completion``, ``text`` | Revise nothing: a demonstration | the text; with ``score``, Grade it instead |
| ``prompt`` | Revise nothing | nothing yet |

The answers of a comparison stand in the order of their ids, so that two people who differ answered one
question. A row is checked whole before any of it counts; rows that teach nothing (no answer, twice the same)
are left out and counted, as wherever such files are read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from accord.records import By, Graded, Kind, Labelled, Question, Ranked, Revised, Spread, digest
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.exports.counted import ACCEPTABLE, GOOD_ENOUGH, RIGHT_STEP
from accord.stores.foreign.imports.brought import Brought, Gathered, Row, by_of, source_of
from accord.stores.foreign.rows import DataRow, kind_of_fields, row_of
from accord.stores.foreign.rows import Kind as RowKind
from accord.stores.foreign.tables import sifted_rows

__all__ = ["bring_trl"]


def bring_trl(file: Path, rejecting: bool = False) -> Brought:
    """The feedback in a file of one of TRL's six types: JSON lines (.gz), a JSON array, or Parquet.

    Unreadable names file, line and field of the first row that does not fit; ``rejecting``: such rows are
    left out and handed back. All rows are of the first one's type.
    """
    source = source_of(file)
    gathered = Gathered(rejecting)
    first: list[tuple[int, RowKind]] = []

    def take(row: Row) -> None:
        kind = kind_of_fields(row.fields)
        if first and first[0][1] != kind:
            keys = ", ".join(name for name, value in row.fields.items() if value is not None)
            number, expected = first[0]
            raise Unfit(f'a row of type "{expected}", as in line {number}', f'type "{kind}": keys {keys}')
        _take(row, kind, source)
        first.append((row.number or 0, kind))

    for number, row in sifted_rows(file):
        gathered.row(file, number, row, take)
    return gathered.done(file, "TRL's types")


def _take(row: Row, kind: RowKind, source: str) -> None:
    read = row_of(row.fields, kind)
    if read.lacks:
        row.lost[f"rows dropped: {read.lacks}"] += 1
        return
    by = by_of(read.judged.get("annotator"), source)
    for name in ("group", "disagreement", "outcome"):
        row.lost[f"columns {name}"] += name in read.judged
    row.lost["weights"] += read.columns.get("weight", 1.0) != 1.0
    row.lost["costs"] += sum(name.startswith("cost:") for name in read.columns)
    _TAKERS[kind](row, read, by, source)


def _rationale(read: DataRow) -> str:
    found = read.judged.get("rationale", "")
    if not isinstance(found, str):
        raise Unfit('"rationale" as text', repr(found)[:80])
    return found


def _preference(row: Row, read: DataRow, by: By, source: str) -> None:
    chosen, rejected = (row.answer(read.prompt, text) for text in read.answers)
    question = row.ask(Kind.COMPARE, read.prompt, sorted((chosen, rejected)))
    p = read.columns.get("p")
    verdict = Ranked(tiers=((chosen,), (rejected,))) if p is None else Spread(p={chosen: p, rejected: 1 - p})
    row.say(question, by, verdict, source, rationale=_rationale(read))


def _label(row: Row, read: DataRow, by: By, source: str) -> None:
    question = row.ask(Kind.LABEL, read.prompt, [row.answer(read.prompt, read.answers[0])], GOOD_ENOUGH)
    tag = ACCEPTABLE[0 if read.columns["label"] else 1]
    row.say(question, by, Labelled(tags=(tag,)), source, rationale=_rationale(read))
    row.lost["scores beside a label"] += "score" in read.columns


def _steps(row: Row, read: DataRow, by: By, source: str) -> None:
    # Two answers that begin alike are two answers: their steps are told apart by the whole.
    seed = digest(list(read.answers))[:16]
    steps = [row.answer(read.prompt, text, k, seed) for k, text in enumerate(read.answers)]
    said = _rationales(read, len(steps))
    for k, (step, right) in enumerate(zip(steps, read.labels, strict=True)):
        question = row.ask(Kind.GRADE, read.prompt, [step], RIGHT_STEP, steps[:k])
        if right is not None:
            row.say(question, by, Graded(scores={"score": float(right)}), source, rationale=said[k])


def _rationales(read: DataRow, steps: int) -> list[str]:
    """The rationale of each step; one text for all of them belongs to the first."""
    found = read.judged.get("rationale", "")
    if isinstance(found, str):
        return [found] + [""] * (steps - 1)
    texts = cast("list[object]", found) if isinstance(found, list) else []
    if len(texts) != steps or not all(isinstance(text, str) for text in texts):
        raise Unfit('"rationale" as text, or as a list of texts, one for each step', repr(found)[:80])
    return cast("list[str]", texts)


def _completion(row: Row, read: DataRow, by: By, source: str) -> None:
    score = read.columns.get("score")
    if score is None:
        row.say(_demonstration(row, read), by, Revised(text=read.answers[0]), source)
        return
    question = row.ask(Kind.GRADE, read.prompt, [row.answer(read.prompt, read.answers[0])])
    row.say(question, by, Graded(scores={"score": score}), source, rationale=_rationale(read))


def _prompt(row: Row, read: DataRow, by: By, source: str) -> None:
    del by, source
    _demonstration(row, read)


def _demonstration(row: Row, read: DataRow) -> Question:
    return row.ask(Kind.REVISE, read.prompt, [])


_TAKERS: dict[RowKind, Callable[[Row, DataRow, By, str], None]] = {
    "preference": _preference,
    "label": _label,
    "steps": _steps,
    "completion": _completion,
    "text": _completion,
    "prompt": _prompt,
}
