"""``accord methods``: what there is to train with, and when to use which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.runs import Json
from accord.cli.show import Screen

if TYPE_CHECKING:
    from accord.method_book import Described, Listed
    from accord.records import JSON

__all__ = ["EXAMPLES", "methods"]

EXAMPLES = {
    "methods": """
      accord methods
      accord methods grpo
      accord methods --json > methods.json
    """,
}


def methods(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One method in full; module:Class too.")
    ] = None,
    json: Json = False,
) -> int:
    """List the methods: what each does, when to use it, what it learns from, how it presses.

    An arrow down marks those that lower the probability of answers on purpose: a model to keep needs the
    evidence gate before them. With NAME its settings, what is measured for it, and an example.
    """
    from accord.method_book import described, listed

    screen, width = Screen(json), terminal()
    if name is not None:
        one = described(name)
        screen.give(one.json(), list(_in_full(one, width)))
        return Exit.DONE
    found = listed()
    rows: list[JSON] = [one.json() for one in found]
    screen.give({"methods": rows}, list(_lines(found, width)))
    return Exit.DONE


def _lines(found: Sequence[Listed], width: int) -> Iterator[str]:
    indent = 4 + max(len(one.name) for one in found)
    for group, members in groupby(found, key=lambda one: one.group):
        yield group
        for one in members:
            head = f"  {one.name}".ljust(indent)
            yield from broken(one.does or one.problem, width, head)
            more = [f"when {one.use}" if one.use else one.rows, f"{_arrow(one)}{one.moves}"]
            more += [one.problem if one.does else ""]
            yield from broken(" · ".join(part for part in more if part), width, " " * indent)
        yield ""
    yield from broken("↓ lowers the probability of answers: a model to keep needs the gate first.", width)
    yield from broken("One method in full: accord methods NAME", width)


def _in_full(one: Described, width: int) -> Iterator[str]:
    yield from broken(f"{one.name}: {one.does or one.problem}", width)
    yield ""
    for paragraph in one.about.split("\n\n"):
        # A formula stands by itself, further in; prose is broken anew.
        for formula, lines in groupby(paragraph.splitlines(), key=lambda line: line.startswith(" ")):
            text = list(lines)
            yield from text if formula else broken(" ".join(text), width)
        yield ""
    told = {
        "use it when": one.use,
        "learns from": one.rows,
        "presses": f"{_arrow(one)}{one.moves}" if one.moves else "",
        "measured": "; ".join(one.measured) or "nothing",
        "not known": one.problem,
    }
    for label, text in told.items():
        if text:
            yield from broken(text, width, label.ljust(14))
    yield ""
    yield from _settings(one, width)
    yield ""
    yield "example"
    yield from (f"  {line}".rstrip() for line in one.example.splitlines())


def _settings(one: Described, width: int) -> Iterator[str]:
    rows = [("setting", "default", "takes")]
    rows += [(s.name, "needed" if s.needed else _plain(s.default), s.takes) for s in one.settings]
    first, second = (2 + max(len(row[column]) for row in rows) for column in (0, 1))
    for name, default, takes in rows:
        yield from broken(takes, width, name.ljust(first) + default.ljust(second))


def _arrow(one: Listed) -> str:
    return "↓ " if one.pushes_down else ""


def _plain(value: JSON) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case _:
            return str(value)
