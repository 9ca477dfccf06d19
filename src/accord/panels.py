"""Panels: sealed sets of items that the guard draws from, and which of them training sees too (layer 3).

A panel is JSON lines: ``{"prompt", "options"?, "answer"?, "slice"?, …}``; other keys are kept for the
indicator that reads it. Those that ship are sealed: ``data/panels/seals.json`` holds the SHA-256 of each
file, and one that differs is refused, for readings of two panels cannot be compared. A user's own is a path.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import PlanError, Refused, Unreadable, nearest
from accord.records import JSON, Prompt
from accord.records.panels import Item, Panel

__all__ = ["GRAM", "Leak", "leaked", "read_panel", "shipped_panels"]

GRAM = 13  # words in a row that two texts share only where one was copied (2005.14165, appendix C)
_WORD = re.compile(r"[^\W_]+")
_OWN = ("prompt", "options", "answer", "slice")


def shipped_panels() -> dict[str, str]:
    """The panels that ship, and the SHA-256 each was sealed with."""
    text = resources.files("accord").joinpath("data/panels/seals.json").read_text(encoding="utf-8")
    return cast("dict[str, str]", json.loads(text))


def read_panel(name: str) -> Panel:
    """A shipped panel by its name, or a file of items. PlanError for neither; Refused for a broken seal."""
    seals = shipped_panels()
    if name in seals:
        raw = resources.files("accord").joinpath(f"data/panels/{name}.jsonl").read_bytes()
        if (found := hashlib.sha256(raw).hexdigest()) != seals[name]:
            raise Refused(
                f"the panel {name} was changed after it was sealed ({found[:12]} for {seals[name][:12]}): "
                "its readings could not be compared with others; install Accord again"
            )
        return _panel(name, name, raw)
    file = Path(name)
    if not file.is_file():
        hint = nearest(name, seals)
        raise PlanError("panel", name, f"a file of items, or one of {', '.join(sorted(seals))}", hint)
    try:
        return _panel(file.stem, str(file), file.read_bytes())
    except OSError as error:
        raise Unreadable(name, "a file of items", error.strerror or str(error)) from None


@lru_cache(maxsize=64)  # each stage reads them, and nobody changes what was read
def _panel(name: str, file: str, raw: bytes) -> Panel:
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise Unreadable(file, "text in UTF-8", f"byte {error.start} is none") from None
    items = [_item(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    first: dict[str, int] = {}
    for number, item in enumerate(items, start=1):
        if item.id in first:
            raise Unreadable(file, "each item once", f"the same as item {first[item.id]}", number)
        first[item.id] = number
    if not items:
        raise Unreadable(file, "one item or more", "none")
    return Panel(name, tuple(items))


def _item(file: str, number: int, line: str) -> Item:
    def wrong(expected: str, found: object) -> Unreadable:
        return Unreadable(file, expected, json.dumps(found, ensure_ascii=False)[:80], number)

    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise Unreadable(file, "an object in JSON", f"{error.msg}, column {error.colno}", number) from None
    if not isinstance(fields, Mapping):
        raise wrong("an object in JSON", fields)
    given = cast("Mapping[str, JSON]", fields)
    prompt, answer, where = (given.get(key, "") for key in ("prompt", "answer", "slice"))
    options = given.get("options", [])
    if not (isinstance(prompt, str) and prompt.strip()):
        raise wrong('"prompt": a text', prompt)
    if not isinstance(options, list) or any(not isinstance(o, str) or not o.strip() for o in options):
        raise wrong('"options": a list of texts', options)
    told = cast("list[str]", options)
    if len(told) == 1 or len(set(told)) != len(told):
        raise wrong('"options": two or more, all different', told)
    if not isinstance(answer, str) or (answer and told and answer not in told):
        raise wrong('"answer": one of the options', answer)
    if not isinstance(where, str):
        raise wrong('"slice": a text', where)
    more = {key: value for key, value in given.items() if key not in _OWN}
    return Item(Prompt.of(prompt, where), tuple(told), answer, where, more)


class Leak(NamedTuple):
    """Items of a panel that training data hold too. ``panel`` is what is left."""

    panel: Panel
    items: tuple[Item, ...]
    share: float


def leaked(panel: Panel, texts: Iterable[str]) -> Leak:
    """The panel without the items of which 13 words in a row, or the whole shorter prompt, stand in a text.

    >>> panel = Panel("p", (Item(Prompt.of("What is the capital of France?")), Item(Prompt.of("Why?"))))
    >>> left = leaked(panel, ["Q: what is the capital of FRANCE? A: Paris"])
    >>> [item.prompt.text for item in left.panel.items], left.share
    (['Why?'], 0.5)
    """
    wanted: dict[tuple[str, ...], set[int]] = {}
    sizes = set[int]()
    for place, item in enumerate(panel.items):
        words = _words(item.prompt.text)
        size = min(GRAM, len(words))
        # Fewer than four words say nothing about where they come from.
        for gram in _grams(words, size) if size > 3 else ():
            wanted.setdefault(gram, set()).add(place)
            sizes.add(size)
    found = set[int]()
    for text in texts:
        words = _words(text)
        for size in sizes:
            for gram in _grams(words, size):
                found |= wanted.get(gram, set())
    kept = tuple(item for place, item in enumerate(panel.items) if place not in found)
    lost = tuple(panel.items[place] for place in sorted(found))
    return Leak(Panel(panel.name, kept), lost, len(lost) / len(panel.items))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[i : i + size]) for i in range(len(words) - size + 1))
