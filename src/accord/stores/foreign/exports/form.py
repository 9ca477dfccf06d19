"""How a row of TRL's types is written, and whether it would be read back as what it says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import JsonValue

from accord.records import By, Prompt
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.exports.counted import SIGNED, Type
from accord.stores.foreign.exports.given import Fields
from accord.stores.foreign.rows import BLANK, DataRow, kind_of_fields, row_of

__all__ = ["BESIDE", "Draft", "Form", "annotator_of"]

BESIDE = ("weight", "p", "annotator", "rationale", "slice")
"""Columns beside TRL's own, which its trainers pass by."""

_TAKEN = frozenset(
    {*BESIDE, "prompt", "completion", "chosen", "rejected", "label", "completions", "labels", "messages"}
    | {"text", "score", "group", "disagreement", "outcome"}
)
_COST = re.compile(r"cost:[a-z0-9_-]+")


class Draft(NamedTuple):
    """A row before its form is chosen: answers by TRL's column, and what stands beside them."""

    answers: Mapping[str, str]
    label: bool | None = None
    steps: tuple[str, ...] = ()
    labels: tuple[bool, ...] = ()
    numbers: Mapping[str, float] = {}
    annotator: str = ""
    rationale: JsonValue = ""


def annotator_of(by: By) -> str:
    """Who judged, as a column says it: a person's pseudonym alone, all others behind what they are.

    >>> [annotator_of(By(type=t, name=n, config="")) for t, n in (("person", "data:r-1"), ("model", "m"))]
    ['r-1', 'model:m']
    """
    return by.name.removeprefix("data:") if by.type == "person" else f"{by.type}:{by.name}"


class Form:
    """Rows of one type, standard or conversational; what cannot be written is counted in ``lost``."""

    def __init__(self, type_: Type, conversational: bool, lost: Counter[str]) -> None:
        self._type, self._talk, self._lost = type_, conversational, lost

    def rows(self, prompt: Prompt, drafts: Iterable[Draft]) -> list[Fields]:
        """A row for each draft, except those that would be read back as something else."""
        plain = not self._talk and self._type != "language-modelling"
        found: list[Fields] = []
        for draft in drafts:
            if plain and [m.role for m in prompt.messages] != ["user"]:
                self._lost["conversations, which only the conversational form holds"] += 1
                continue
            fields, columns = self._said(prompt, draft), self._columns(prompt)
            if self._type in SIGNED:
                fields |= {"annotator": draft.annotator} if draft.annotator else {}
                fields |= {"rationale": draft.rationale} if draft.rationale else {}
            fields |= ({"slice": prompt.slice} if prompt.slice else {}) | columns
            messages = BLANK if self._type == "language-modelling" and not self._talk else prompt.messages
            expected = Prompt(messages=messages, slice=prompt.slice, columns=columns)
            if why := _misread(fields, expected, draft):
                self._lost[why] += 1
            else:
                self._lost["prompts of plain texts"] += messages != prompt.messages
                found.append(fields)
        return found

    def _said(self, prompt: Prompt, draft: Draft) -> Fields:
        """TRL's own columns, and the numbers beside them."""
        asked: list[JsonValue] = [m.model_dump() for m in prompt.messages]
        if self._type == "language-modelling":
            text = draft.answers["completion"]
            return {"messages": [*asked, _spoken(text)]} if self._talk else {"text": text}
        fields: Fields = {"prompt": asked if self._talk else prompt.messages[0].content}
        for name, text in draft.answers.items():
            fields[name] = [_spoken(text)] if self._talk else text
        if draft.label is not None:
            fields["label"] = draft.label
        if draft.steps:
            fields |= {"completions": list(draft.steps), "labels": list(draft.labels)}
        return {**fields, **draft.numbers}

    def _columns(self, prompt: Prompt) -> Fields:
        kept = {n: v for n, v in prompt.columns.items() if n not in _TAKEN and not _COST.fullmatch(n)}
        self._lost["columns of a prompt under names that are taken"] += len(kept) < len(prompt.columns)
        return kept


def _spoken(text: str) -> JsonValue:
    return {"role": "assistant", "content": text}


def _misread(fields: Fields, expected: Prompt, draft: Draft) -> str:
    """Why a row would not be read back as what it says; empty where it would."""
    try:
        rest: dict[str, object] = dict(fields)
        read: DataRow = row_of(rest, kind_of_fields(rest))
    except Unfit:
        return "texts that these rows cannot hold"
    if read.lacks:
        return f"rows with an {read.lacks}" if read.lacks[0] in "aeiou" else f"rows with {read.lacks}"
    answers = draft.steps or tuple(draft.answers.values())
    same = read.prompt.id == expected.id and read.answers == answers
    return "" if same else "texts that would be read as something else"
