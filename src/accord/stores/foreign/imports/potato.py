"""What Potato's annotators said: ``annotated_instances.jsonl`` (1.x) or ``user_state.json`` (2.x) of each.

| Potato | here |
|---|---|
| pairwise, ``selection`` A, B or tie; one per dimension | Compare: Ranked |
| pairwise on a scale, ``scale_value`` below 0 for A | Compare: Ranked; whole numbers up to 3 as strength |
| ranking, ``rank_order`` as ``B,D=A,C`` | Compare: Ranked |
| likert, slider | Grade: the number, under the scheme's name |
| radio, multiselect | Label: the labels chosen |
| highlights | Label: their names, and a mark for each |
| best-worst, free texts, anything else | counted: a judgment does not hold it |

The scheme's name is the question's wording. Files of Potato 2 hold no texts: these are in the data that was
annotated (``items``), under ``responses``, ``left`` and ``right``, or ``text``, beside a ``prompt`` if there
is one. Texts of 1.x stand in the file as they were shown; a list that ``list_as_text`` unfolded is folded
again. The formats are those of Potato's documentation and source (github.com/davidjurgens/potato).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import Unreadable
from accord.records import By, Graded, Instrument, Kind, Labelled, Mark, Message, Prompt, Ranked
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.imports.brought import Brought, Gathered, Row, by_of, source_of
from accord.stores.foreign.rows import BLANK
from accord.stores.foreign.tables import Fields, raw_rows, sifted_fields, sifted_rows

__all__ = ["bring_potato", "is_potato"]

_LINES, _STATE = "annotated_instances.jsonl", "user_state.json"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SCALE = re.compile(r"(?:scale_)?(\d{1,3})")
_BREAK = re.compile(r"<br\s*/?>")
_PREFIX = re.compile(r"([A-Z]|\d{1,2})\. ")
_STRONGEST = 3
_UNCHECKED = (None, False, "false", "")
_ORDERS = frozenset({"rank_order", "scale_value", "selection"})
_FREE = frozenset({"text_box", "free_response", "justification"})

_Labels = Mapping[str, Mapping[str, object]]


class _Seen(NamedTuple):
    """What one annotator had before them: the prompt, the texts, and their ids."""

    prompt: Prompt
    texts: tuple[str, ...]
    ids: tuple[str, ...]

    def named(self, letter: str) -> str:
        """The id of the text called A, B, …"""
        place = _LETTERS.find(letter) if len(letter) == 1 else -1
        if not 0 <= place < len(self.ids):
            raise Unfit(f"one of {', '.join(_LETTERS[: len(self.ids)])}", repr(letter)[:80])
        return self.ids[place]


def is_potato(file: Path, fields: Mapping[str, object]) -> bool:
    """Whether a file, by its name or its first row, is one of Potato's."""
    return file.name in (_LINES, _STATE) or "label_annotations" in fields


def bring_potato(path: Path, rejecting: bool = False, items: Path | None = None) -> Brought:
    """The feedback in one such file, or in a folder of one for each annotator. ``items``: what was annotated.

    Unreadable names file, line and field of the first row that does not fit; ``rejecting``: such rows are
    left out and handed back.
    """
    known = _items(items)
    gathered = Gathered(rejecting)
    for file in _files(path):
        source = source_of(file)
        for number, row in _rows(file):

            def take(row: Row, file: Path = file, source: str = source) -> None:
                _take(row, _annotator(row, file), source, known)

            gathered.row(file, number, row, take)
    return gathered.done(path, "Potato's")


# Files


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    lines = sorted(path.glob(f"**/{_LINES}"))
    states = [file for file in sorted(path.glob(f"**/{_STATE}")) if file.parent / _LINES not in lines]
    if not lines and not states:
        raise Unreadable(path, f"a folder of Potato's, with {_LINES} or {_STATE} for each annotator")
    return sorted(lines + states)


def _rows(file: Path) -> Iterator[tuple[int, Fields | Unreadable]]:
    """A row for each instance that somebody judged; of a state in the order of the instances."""
    if file.name != _STATE:
        yield from sifted_rows(file)
        return
    try:
        state = cast(object, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable(file, "a JSON file of Potato", str(error)) from error
    if not isinstance(state, dict):
        raise Unreadable(file, "one JSON object", str(state)[:80])
    state = cast(Fields, state)
    labels, spans = (_object(file, state, f"instance_id_to_{name}_to_value") for name in ("label", "span"))
    for number, name in enumerate(dict.fromkeys((*labels, *spans)), start=1):
        row: Fields = {"id": name, "user_id": state.get("user_id")}
        said = {"label_annotations": labels.get(name), "span_annotations": spans.get(name)}
        yield number, sifted_fields(file, number, row | said)


def _object(file: Path, fields: Mapping[str, object], name: str) -> Fields:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(file, f'"{name}" as an object', repr(value)[:80])
    return cast(Fields, value)


def _items(file: Path | None) -> dict[str, Fields]:
    found: dict[str, Fields] = {}
    if file is None:
        return found
    for number, row in raw_rows(file):
        if row.get("id") is None:
            raise Unreadable(file, '"id" of the instance', f"keys {', '.join(row)}", number)
        found[str(row["id"])] = row
    return found


def _annotator(row: Row, file: Path) -> object:
    """Who the row is of; the folder of an annotator's own file bears their name."""
    named = row.fields.get("user_id") or row.fields.get("user")
    return named or (file.resolve().parent.name if file.name in (_LINES, _STATE) else None)


# Rows


def _take(row: Row, annotator: object, source: str, items: Mapping[str, Fields]) -> None:
    by = by_of(annotator, source)
    name = str(row.fields.get("id", ""))
    seen = _seen(row, items.get(name), name)
    for scheme, labels in _labels(row.fields.get("label_annotations")).items():
        try:
            _scheme(row, seen, scheme, labels, by, source)
        except Unfit as unfit:
            raise Unfit(f"label_annotations.{scheme}: {unfit.expected}", unfit.found) from unfit
    spans = _spans(row.fields.get("span_annotations"))
    for scheme, marked in spans.items():
        _highlights(row, seen, scheme, marked, by, source)
    row.lost["time spent"] += bool(row.fields.get("behavioral_data"))


def _seen(row: Row, item: Fields | None, name: str) -> _Seen:
    given = row.fields.get("displayed_text") if item is None else _text_of(item)
    if given is None:
        advice = "Potato 2 keeps texts in the data that was annotated: name that file by --items"
        raise Unfit(f"the text of instance {name!r}", f"none; {advice}")
    asked = None if item is None else item.get("prompt") or item.get("context")
    messages = (Message(role="user", content=asked),) if isinstance(asked, str) else BLANK
    prompt = Prompt(messages=messages)
    texts = _texts(given)
    return _Seen(prompt, texts, tuple(row.answer(prompt, text, k) for k, text in enumerate(texts)))


def _text_of(item: Fields) -> object:
    if item.get("responses") is not None:
        return item["responses"]
    if item.get("left") is not None and item.get("right") is not None:
        return [item["left"], item["right"]]
    return item.get("text")


def _texts(given: object) -> tuple[str, ...]:
    if isinstance(given, dict):
        given = list(cast("dict[str, object]", given).values())
    if isinstance(given, list):
        texts = cast("list[object]", given)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise Unfit("texts to judge", repr(texts)[:80])
        return tuple(cast("list[str]", texts))
    if not isinstance(given, str) or not given.strip():
        raise Unfit("a text to judge", repr(given)[:80])
    return _folded(given)


def _folded(text: str) -> tuple[str, ...]:
    """The texts of a list that ``list_as_text`` unfolded; any other text is one.

    >>> _folded("A. Yes.<br>B. No."), _folded("A. Yes.<br>C. No.")
    (('Yes.', 'No.'), ('A. Yes.<br>C. No.',))
    """
    parts = _BREAK.split(text)
    heads = [match[1] if (match := _PREFIX.match(part)) else None for part in parts]
    counted = (list(_LETTERS[: len(parts)]), [str(k) for k in range(len(parts))])
    if len(parts) < 2 or heads not in counted:
        return (text,)
    return tuple(part[part.index(" ") + 1 :] for part in parts)


def _labels(given: object) -> _Labels:
    """By scheme and label; Potato writes an object, or a list of pairs of a label and its value."""
    found: dict[str, dict[str, object]] = {}
    if isinstance(given, dict):
        for scheme, labels in cast("dict[str, object]", given).items():
            if not isinstance(labels, dict):
                raise Unfit(f"label_annotations.{scheme}: labels with their values", str(labels)[:80])
            found[scheme] = cast("dict[str, object]", labels)
    elif isinstance(given, list):
        for label, value in _pairs(cast("list[object]", given), "label_annotations"):
            found.setdefault(str(label.get("schema", "")), {})[str(label.get("name", ""))] = value
    elif given is not None:
        raise Unfit('"label_annotations" as an object', repr(given)[:80])
    return found


def _pairs(given: Sequence[object], field: str) -> Iterator[tuple[Fields, object]]:
    for pair in given:
        two = cast("list[object]", pair) if isinstance(pair, list) else []
        if len(two) != 2 or not isinstance(two[0], dict):
            raise Unfit(f"{field}: pairs of an object and its value", str(cast(object, pair))[:80])
        yield cast(Fields, two[0]), two[1]


# What a scheme asks


def _scheme(
    row: Row, seen: _Seen, scheme: str, labels: Mapping[str, object], by: By, source: str
) -> None:  # size: a scheme, its labels, and what every row brings
    said = {name: value for name, value in labels.items() if value not in _UNCHECKED}
    row.lost["free texts"] += len(said.keys() & _FREE)
    said = {name: value for name, value in said.items() if name not in _FREE}
    rationale = labels.get("justification")
    more = {"rationale": rationale} if isinstance(rationale, str) and rationale else {}
    row.lost["free texts"] -= bool(more)
    if not said:
        return
    if said.keys() >= {"best", "worst"}:
        row.lost["best and worst, which leave the others without an order"] += 1
    elif (ranked := _ranked(row, seen, said)) is not None:
        for name, verdict in ranked.items():
            wording = f"{scheme}: {name}" if name else scheme
            question = row.ask(Kind.COMPARE, seen.prompt, seen.ids, Instrument(wording=wording))
            row.say(question, by, verdict, source, **more)
    elif (grade := _grade(said)) is not None:
        instrument = Instrument(wording=scheme, dimensions=(scheme,))
        question = row.ask(Kind.GRADE, seen.prompt, seen.ids, instrument)
        row.say(question, by, Graded(scores={scheme: grade}), source, **more)
    else:
        question = row.ask(Kind.LABEL, seen.prompt, seen.ids, Instrument(wording=scheme))
        row.say(question, by, Labelled(tags=tuple(said)), source, **more)


def _ranked(row: Row, seen: _Seen, said: Mapping[str, object]) -> dict[str, Ranked] | None:
    """Orders by dimension, one without a name where there are none; None where it is no comparison."""
    if (orders := sorted(said.keys() & _ORDERS)) and len(seen.ids) < 2:
        raise Unfit(f"{orders[0]}: two texts or more", f"one: {seen.texts[0]!r}"[:80])
    if "rank_order" in said:
        tiers = [tier.split("=") for tier in str(said["rank_order"]).split(",")]
        return {"": Ranked(tiers=tuple(tuple(seen.named(one.strip()) for one in tier) for tier in tiers))}
    if "scale_value" in said:
        return {"": _scaled(row, seen, said["scale_value"])}
    if "selection" in said:
        return {"": _selected(seen, said["selection"])}
    if len(seen.ids) == 2 and all(value in ("A", "B", "tie") for value in said.values()):
        return {name: _selected(seen, value) for name, value in said.items()}
    return None


def _selected(seen: _Seen, value: object) -> Ranked:
    if value == "tie":
        return Ranked(tiers=(seen.ids,))
    best = seen.named(str(value))
    return Ranked(tiers=((best,), tuple(one for one in seen.ids if one != best)))


def _scaled(row: Row, seen: _Seen, value: object) -> Ranked:
    """Below 0 the left text is better; our strength is positive towards it."""
    number = _number(value)
    if number is None or len(seen.ids) != 2:
        raise Unfit("scale_value: a number, of two texts", repr(value)[:80])
    if number == 0:
        return Ranked(tiers=(seen.ids,), strength=0)
    tiers = tuple((one,) for one in (seen.ids if number < 0 else reversed(seen.ids)))
    fits = number == int(number) and abs(number) <= _STRONGEST
    row.lost["strengths that are not 1, 2 or 3"] += not fits
    return Ranked(tiers=tiers, strength=-int(number) if fits else None)


def _grade(said: Mapping[str, object]) -> float | None:
    """The number of a scale: the name of the one point that was chosen, or the value of a slider."""
    if len(said) != 1:
        return None
    name, value = next(iter(said.items()))
    if name == "slider":
        if (number := _number(value)) is None:
            raise Unfit("slider: a number", repr(value)[:80])
        return number
    point = _SCALE.fullmatch(name)
    return float(point[1]) if point else None


def _number(value: object) -> float | None:
    """A finite one, or None."""
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# Highlights


def _spans(given: object) -> dict[str, list[Fields]]:
    """Highlights by scheme: 1.x writes a list of them, 2.x pairs, some of its exports objects by scheme."""
    found: dict[str, list[Fields]] = {}
    if isinstance(given, dict):
        for scheme, spans in cast("dict[str, object]", given).items():
            listed = cast("list[object]", spans) if isinstance(spans, list) else [None]
            if not all(isinstance(one, dict) for one in listed):
                raise Unfit(f"span_annotations.{scheme}: a list of objects", str(cast(object, spans))[:80])
            found[scheme] = cast("list[Fields]", listed)
    elif isinstance(given, list):
        for one in cast("list[object]", given):
            span = cast(Fields, one) if isinstance(one, dict) else next(_pairs([one], "span_annotations"))[0]
            found.setdefault(str(span.get("schema", "")), []).append(span)
    elif given is not None:
        raise Unfit('"span_annotations" as a list', repr(given)[:80])
    return {scheme: spans for scheme, spans in found.items() if spans}


def _highlights(
    row: Row, seen: _Seen, scheme: str, spans: Sequence[Fields], by: By, source: str
) -> None:  # size: a scheme, its spans, and what every row brings
    if len(seen.ids) > 1:
        row.lost["highlights in one of several texts"] += len(spans)
        return
    marks = tuple(_mark(seen, span) for span in spans)
    question = row.ask(Kind.LABEL, seen.prompt, seen.ids, Instrument(wording=scheme or "highlights"))
    tags = tuple(dict.fromkeys(mark.tag for mark in marks))
    row.say(question, by, Labelled(tags=tags), source, marks=marks)


def _mark(seen: _Seen, span: Fields) -> Mark:
    start, end = span.get("start"), span.get("end")
    whole = isinstance(start, int) and isinstance(end, int) and not isinstance(start, bool)
    text = seen.texts[0]
    if not whole or not 0 <= cast(int, start) < cast(int, end) <= len(text):
        raise Unfit(f"span_annotations: start and end within {len(text)} characters", f"{start!r}..{end!r}")
    said = span.get("span", span.get("text"))
    start, end = cast(int, start), cast(int, end)
    if isinstance(said, str) and text[start:end] != said:
        raise Unfit(f"span_annotations: the characters {start}..{end}: {text[start:end]!r}", repr(said)[:80])
    if not isinstance(said, str) and any(ord(letter) > 0xFFFF for letter in text):
        # A browser counts such a character twice, so without the words nobody knows where this lies.
        raise Unfit("span_annotations: the words of a span, as the text has characters beyond U+FFFF", "none")
    tag = span.get("annotation", span.get("name", span.get("label", "")))
    return Mark(response=seen.ids[0], start=start, end=end, tag=str(tag))
