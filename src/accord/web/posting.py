"""Rows of a data file as questions for people.

Pairs are compared (the ask ``pairs``), single answers graded (``each``), and a prompt without an answer asks
for one. A plan with the source ``labelled``, whose ask has the same words, finds what people said.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.errors import Unreadable
from accord.ports import Ask
from accord.records import Instrument, Kind, Prompt, Question, Record, Response
from accord.records.rows import Group
from accord.stores.foreign.prompts import read_data

__all__ = ["Posted", "questions_in"]


class Posted(NamedTuple):
    """Questions with all the texts they name; the file they are from, and what was read of it, in a line."""

    questions: list[Question]
    records: list[Record]
    file: Path
    told: str


def questions_in(source: str, wording: str = "") -> Posted:
    """A question for each row of a file. Unreadable names the line that is no row, and a type without answers
    that a person could judge."""
    data = read_data(source, setting="FILE")
    if data.kind in ("steps", "text"):
        expected = "rows of pairs, of a prompt and its answer, or of prompts"
        raise Unreadable(source, expected, f"rows of type {data.kind}")
    groups = [_group(row.prompt, row.answers) for row in data.rows]
    ask: Ask | None = None
    if data.kind == "preference":
        ask = Pairs(
            column="p",
            collapse="distribution",
            wording=wording,
            allows=("tie", "acceptability", "abstention"),
        )
    elif data.kind != "prompt":
        ask = Each(column="score", collapse="distribution", wording=wording)
    found = ask.questions(groups) if ask else [_wanted(group.prompt, wording) for group in groups]
    questions = list({question.id: question for question in found}.values())
    texts: list[Record] = [record for group in groups for record in (group.prompt, *group.responses)]
    return Posted(
        questions, list({record.id: record for record in texts}.values()), Path(data.file), data.told
    )


def _wanted(prompt: Prompt, wording: str) -> Question:
    return Question(
        asks=Kind.REVISE,
        prompt=prompt.id,
        responses=(),
        instrument=Instrument(wording=wording),
        parents=(prompt.id,),
    )


def _group(prompt: Prompt, answers: Sequence[str]) -> Group:
    # Two equal answers of one row are two facts, told apart by their place.
    said = (Response(prompt=prompt.id, text=t, finish="data", index=k) for k, t in enumerate(answers))
    return Group(prompt, tuple(said))
