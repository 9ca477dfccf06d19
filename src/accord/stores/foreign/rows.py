"""A row of a data file in one of TRL's six types, from its fields.

| type | fields |
|---|---|
| ``preference`` | ``chosen``, ``rejected``, perhaps ``prompt``; ``p``: the share that prefers ``chosen`` |
| ``steps`` | ``prompt``, ``completions``, ``labels`` (true or false for each; null: nobody says) |
| ``label`` | ``prompt``, ``completion``, ``label`` (true, false, 1 or 0) |
| ``completion`` | ``prompt``, ``completion`` |
| ``prompt`` | ``prompt`` |
| ``text`` | ``messages``, or ``text`` |

The first type in this order whose fields are there is the row's; a null counts as not there. Rows with
answers may also carry ``weight``; those of single answers ``score`` and ``cost:<id>``; those that say how
good an answer is also what ``JUDGED`` lists. ``slice`` names a part of the prompts. Every other field stays
with the prompt as a column, so that a program that judges answers can read it.

Without a prompt, conversations have the one before their last answer, and two plain texts their common
beginning up to a whole word. A plain ``text`` has none: a chat model can learn it whole only as what it says
to a user who says nothing (``BLANK``), and that is how it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

from pydantic import JsonValue, ValidationError

from accord.records import Message, Prompt
from accord.stores.foreign.conversations import (
    Messages,
    Unfit,
    answer_of,
    messages_of,
    prompt_of,
    split_texts,
    transcript,
)
from accord.stores.foreign.tables import Fields

__all__ = ["BLANK", "JUDGED", "DataRow", "Kind", "kind_of_fields", "renamed", "row_of"]

Kind = Literal["prompt", "completion", "preference", "label", "steps", "text"]

BLANK: Messages = (Message(role="user", content=""),)
JUDGED = ("annotator", "group", "rationale", "disagreement", "outcome")

_FIELDS: Mapping[Kind, tuple[str, ...]] = {
    "preference": ("prompt", "chosen", "rejected"),
    "steps": ("prompt", "completions", "labels"),
    "label": ("prompt", "completion", "label"),
    "completion": ("prompt", "completion"),
    "prompt": ("prompt",),
    "text": ("messages", "text"),
}
_TYPES = (
    '"prompt", with "completion" (and "label"), "chosen" and "rejected", or "completions" and "labels"; '
    'or "messages"; or "text"'
)
_LIKELY = {
    "question": "prompt",
    "query": "prompt",
    "instruction": "prompt",
    "response": "completion",
    "output": "completion",
    "conversation": "messages",
    "conversations": "messages",
}
# Marks of chat templates. As plain text they would be learnt letter by letter, and mean nothing to the model.
_RENDERED = re.compile(r"<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|\[INST\]|<\|user\|>")
_COST = re.compile(r"cost:[a-z0-9_-]+")
_NONE: Mapping[str, float] = MappingProxyType({})


class DataRow(NamedTuple):
    """One row of a data file.

    ``answers``: none, one, chosen and rejected, or the steps, whose ``labels`` say which are right (None:
    nobody says).
    ``lacks``: why the row teaches nothing, and is dropped and counted.
    """

    prompt: Prompt
    answers: tuple[str, ...] = ()
    columns: Mapping[str, float] = _NONE
    labels: tuple[bool | None, ...] = ()
    judged: Mapping[str, JsonValue] = cast("Mapping[str, JsonValue]", _NONE)
    lacks: str = ""

    @property
    def completion(self) -> str | None:
        """The answer of a row that has exactly one."""
        return self.answers[0] if len(self.answers) == 1 and not self.labels else None


class _Read(NamedTuple):
    before: Messages
    answers: tuple[str, ...]
    lacks: str = ""


def kind_of_fields(fields: Fields) -> Kind:
    """The type of a row; Unfit where it has none."""
    has = {name for name, value in fields.items() if value is not None}
    for kind in ("preference", "steps", "label", "completion"):
        if has.issuperset(_FIELDS[kind][1:]):
            return kind
    for name, other in (("chosen", "rejected"), ("rejected", "chosen")):
        if name in has:
            raise Unfit(f'"{name}" beside "{other}"', f"no {other}; keys {', '.join(sorted(has))}")
    if "prompt" in has:
        return "prompt"
    if has & {"messages", "text"}:
        return "text"
    hints = [f'{_LIKELY[name]} = "{name}"' for name in fields if name in _LIKELY]
    hint = f"; a source can rename them: columns = {{ {', '.join(hints)} }}" if hints else ""
    raise Unfit(f"a row with {_TYPES}", f"keys {', '.join(fields) or '(none)'}{hint}")


def renamed(fields: Fields, columns: Mapping[str, str]) -> Fields:
    """The fields with ``columns[name]`` under ``name``, in place of what stood there; others as they are."""
    if lacking := [old for old in columns.values() if old not in fields]:
        raise Unfit(f'"{lacking[0]}", which the setting columns names', f"keys {', '.join(fields)}")
    moved = {name: fields[old] for name, old in columns.items()}
    return {n: v for n, v in fields.items() if n not in columns.values() and n not in columns} | moved


def row_of(fields: Fields, kind: Kind) -> DataRow:
    """The row; Unfit where the fields are not what their type says. Takes what it reads out of ``fields``."""
    given = {name: fields.pop(name, None) for name in _FIELDS[kind]}
    labels: tuple[bool | None, ...] = ()
    match kind:
        case "prompt":
            read = _Read(prompt_of(given["prompt"]), ())
        case "preference":
            read = _preference(given)
        case "completion" | "label":
            read = _single(given["prompt"], given["completion"], "completion")
        case "text":
            read = _text(given)
        case "steps":
            read, labels = _steps(given)
    columns = _columns(fields, kind, given.get("label"))
    judged: dict[str, JsonValue] = {}
    if kind in ("preference", "label", "steps") or "score" in columns:
        judged = {n: cast(JsonValue, fields.pop(n)) for n in JUDGED if fields.get(n) is not None}
    unset = [name for known in _FIELDS.values() for name in known if fields.get(name, 0) is None]
    rest = {name: value for name, value in fields.items() if name not in unset}
    cut = rest.pop("slice", None)
    try:
        prompt = Prompt.model_validate(
            {"messages": read.before, "slice": "" if cut is None else cut, "columns": rest}
        )
        str(prompt.id)  # a number that has no exact JSON form has no id either
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(step) for step in problem["loc"])
        raise Unfit("text and values of JSON", f"{where}: {problem['msg']}") from error
    except ValueError as error:
        raise Unfit("values that JSON can hold exactly", str(error)) from error
    return DataRow(prompt, read.answers, columns, labels, judged, read.lacks)


def _single(prompt: object, given: object, name: str) -> _Read:
    before = None if prompt is None else prompt_of(prompt)
    said = answer_of(given, name, before)
    if not said.before:
        found = f"only {name}: {str(given)[:60]!r}"
        raise Unfit('"prompt", or a conversation that begins with one', found)
    if said.answer is None:
        return _Read(said.before, (), "no answer at the end")
    answer = said.answer.strip() if _is_transcript(prompt) else said.answer
    return _Read(said.before, (answer,), "" if answer.strip() else "empty completion")


def _preference(given: Mapping[str, object]) -> _Read:
    prompt, chosen, rejected = (given[name] for name in _FIELDS["preference"])
    if prompt is None and _is_plain(chosen) and _is_plain(rejected):
        return _plain_pair(cast(str, chosen), cast(str, rejected))
    good, bad = _single(prompt, chosen, "chosen"), _single(prompt, rejected, "rejected")
    if good.lacks or bad.lacks:
        return _Read(good.before, (), good.lacks or bad.lacks)
    if good.before != bad.before:
        return _Read(good.before, (), "answers to different prompts")
    lacks = "identical pair" if good.answers == bad.answers else ""
    return _Read(good.before, good.answers + bad.answers, lacks)


def _plain_pair(chosen: str, rejected: str) -> _Read:
    if not chosen.strip() or not rejected.strip():
        return _Read(BLANK, (), "empty completion")
    if chosen == rejected:
        return _Read(BLANK, (), "identical pair")
    shared, good, bad = split_texts(chosen, rejected)
    if not shared:
        found = f"{chosen[:40]!r} and {rejected[:40]!r}"
        raise Unfit('"prompt", or a beginning that "chosen" and "rejected" share', found)
    lacks = "" if good and bad else "empty completion"
    return _Read((Message(role="user", content=shared),), (good, bad), lacks)


def _text(given: Mapping[str, object]) -> _Read:
    if given["messages"] is not None:
        turns = messages_of(given["messages"], "messages")
        return _single(None, [m.model_dump() for m in turns], "messages")
    text = given["text"]
    if not isinstance(text, str):
        raise Unfit('"text" as text', repr(text)[:80])
    if transcript(text) is not None:
        return _single(None, text, "text")
    if mark := _RENDERED.search(text):
        raise Unfit('"text" without marks of a chat template; conversations as "messages"', repr(mark[0]))
    return _Read(BLANK, (text,), "" if text.strip() else "empty completion")


def _steps(given: Mapping[str, object]) -> tuple[_Read, tuple[bool | None, ...]]:
    steps, labels = given["completions"], given["labels"]
    texts = tuple(cast("list[object]", steps)) if isinstance(steps, list) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise Unfit('"completions" as a list of texts', str(cast(object, steps))[:80])
    truths = cast("list[object]", labels) if isinstance(labels, list) else []
    if len(truths) != len(texts):
        raise Unfit('"labels" as a list, one for each of "completions"', str(cast(object, labels))[:80])
    right = tuple(None if label is None else bool(_truth(label, "labels")) for label in truths)
    texts = cast("tuple[str, ...]", texts)
    empty = not texts or not all(text.strip() for text in texts)
    lacks = "empty completion" if empty else "no labelled step" if set(right) == {None} else ""
    return _Read(prompt_of(given["prompt"]), texts, lacks), right


def _columns(fields: Fields, kind: Kind, label: object) -> dict[str, float]:
    """The numbers that a row carries, taken out of ``fields``."""
    if kind == "prompt":
        return {}
    found = {"label": _truth(label, "label")} if kind == "label" else {}
    names = ["weight"]
    if kind == "preference":
        names.append("p")
    elif kind != "steps":
        names += ["score", *(name for name in fields if _COST.fullmatch(name))]
    for name in names:
        value = fields.pop(name, None)
        if value is not None:
            found[name] = _number(value, name)
    return found


def _truth(value: object, name: str) -> float:
    if isinstance(value, bool | int | float) and value in (0, 1):
        return float(value)
    raise Unfit(f'"{name}" as true or false', f"{value!r}; another field can be renamed with columns")


def _number(value: object, name: str) -> float:
    bounds = {"p": (0.0, 1.0), "weight": (0.0, float("inf"))}
    low, high = bounds.get(name, (-float("inf"), float("inf")))
    inside = {"p": "a number from 0 to 1", "weight": "a number of 0 or more"}.get(name, "a number")
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Unfit(f'"{name}" as {inside}', repr(value)[:80])
    if abs(value) == float("inf"):
        raise Unfit(f'"{name}" as {inside}', repr(value))
    return float(value)


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and transcript(value) is None


def _is_transcript(value: object) -> bool:
    return isinstance(value, str) and transcript(value) is not None
