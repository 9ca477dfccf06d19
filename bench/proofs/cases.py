"""Rows of what must be shown, as a page tells them: the bar, and in a few words what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from proofs.ledger import Part, Row
from proofs.words import cost, table

__all__ = ["Case", "Rows", "Section", "Told", "cases_page", "outcome"]

Rows = dict[str, list[Row]]
Section = tuple[str, tuple[str, ...], Callable[[Rows], str]]  # its title, the parts it tells of, and how


class Case(NamedTuple):
    """A row of what must be shown.

    ``short``: a part that stands in for it, marked, until it has been run, and what is ``unjudged`` there.
    ``figure``: which figure of an answer says that it is as designed, of a ``least`` share of all answers.
    """

    title: str
    bar: str
    parts: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    short: str = ""
    unjudged: str = ""
    figure: str = "held"
    least: float = 1.0


class Told(NamedTuple):
    """A page of such rows: what stands above them, the rows, the figures, the tests that prove the others."""

    head: str
    cases: Sequence[Case]
    sections: Sequence[Section]
    tested: Mapping[str, Sequence[str]]
    target: str


def cases_page(told: Told, rows: Sequence[Row], parts: Sequence[Part]) -> str:
    """Markdown. What has not been run says so."""
    by = {part.name: [row for row in rows if row.part == part.name] for part in parts}
    tested = {str(row.figures["row"]): row for row in by["proved by tests"]}
    wanted = {part.name: len(part.seeds) for part in parts}
    lines = [[case.title, case.bar, outcome(case, by, tested, wanted)] for case in told.cases]
    quick = "These are the quick rows: a few of everything.\n"
    small = [quick] if any(part.size == "quick" for part in parts) else []
    blocks = [told.head, *small, table(["case", "bar", "outcome"], lines)]
    for title, names, words in told.sections:
        if any(by.get(name) for name in names):
            blocks += [f"### {title}\n", words(by)]
    blocks += [f"### Proved by tests\n\n{_tests(told.tested, tested)}"]
    blocks += ["### Command and time of this part\n", cost(rows, told.target)]
    return "\n".join(blocks)


def outcome(case: Case, by: Rows, tested: dict[str, Row], wanted: dict[str, int]) -> str:
    """In a few words: of each part, and of each test."""
    said: list[str] = []
    for name in case.parts:
        found = by.get(name, [])
        missing = wanted.get(name, 1) - len(found)
        short = by.get(case.short, []) if case.short else []
        if not found and short:
            said.append(
                f"not run; its short form (`{case.short}`, {case.unjudged} not judged): {_verdict(short)}"
            )
        elif not found:
            said.append(_named(case, name, "not run"))
        else:
            told = _verdict(found, case.figure, case.least) + (
                f", {missing} still to run" if missing > 0 else ""
            )
            said.append(_named(case, name, told))
    for name in case.tests:
        row = tested.get(name)
        said.append("tests: not run" if row is None else f"tests: {_passed(row)}")
    return "; ".join(said)


def _named(case: Case, part: str, told: str) -> str:
    return told if len(case.parts) == 1 else f"{part}: {told}"


def _verdict(rows: Sequence[Row], figure: str = "held", least: float = 1.0) -> str:
    held = sum(bool(row.figures[figure]) for row in rows)
    figures = [one for row in rows for one in row.figures.get("rows", [])]
    if figures:
        held, of = sum(bool(one["holds"]) for one in figures), len(figures)
    else:
        of = len(rows)
    if held == of:
        return "as designed"
    return f"as designed: {held} of {of}" if held >= least * of else f"**differs** in {of - held} of {of}"


def _passed(row: Row) -> str:
    f = row.figures
    if "failed" not in f:
        return "there, run by `make test`" if f["held"] else f"**absent**: {', '.join(f['absent'])}"
    passed = f["tests"] - len(f["failed"]) - len(f["skipped"])
    told = f"{passed} of {f['tests']} passed"
    told += f"; **failed**: {', '.join(f['failed'])}" if f["failed"] else ""
    return told + "".join(f"; skipped: {name} ({why})" for name, why in f["skipped"].items())


def _tests(named: Mapping[str, Sequence[str]], tested: dict[str, Row]) -> str:
    lines: list[list[object]] = []
    for name, tests in named.items():
        row = tested.get(name)
        lines.append([name, ", ".join(map(_linked, tests)), "not run" if row is None else _passed(row)])
    return table(["what", "tests", ""], lines)


def _linked(test: str) -> str:
    file, _, name = test.partition("::")
    label = f"`{name}`" if name else f"all of {file}"
    return f"[{label}](../{file})"
