"""Stewardship → one HTML file that needs nothing else: no script, no font, no picture, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from accord import __version__
from accord.reports.document import Figure
from accord.reports.html import environment, filters
from accord.reports.stewarded import Changed, Stewardship, Stood
from accord.reports.strips import Mark, strip
from accord.reports.words import number, percent, points

__all__ = ["render"]

_CLASSES = {"held": "held", "within reach": "reach", "divergent": "diverges", "no evidence": "open"}


class _Row(NamedTuple):
    """A principle in a slice, drawn and in words. ``cells``: figures, and their intervals below them;
    ``kind``: how its class is shown."""

    name: str
    slice: str
    target: str
    n: int
    strip: str
    cells: tuple[tuple[str, str], ...]
    verdict: str
    kind: str
    why: str


def render(report: Stewardship) -> str:
    """The page."""
    template = environment("accord.reports", _filters()).get_template("stewardship.html.j2")
    return template.render(
        report=report,
        stood=[_stood(one) for one in report.stood],
        changes=[_changed(one) for one in report.changes],
        heads=[_heads(step.rows) for step in report.steps],
        spots=[_heads(step.shares) for step in report.steps],
        labels=list(dict.fromkeys(what for run in report.runs for what, _, _ in run.pressure)),
        pressed=[{what: (told, of) for what, told, of in run.pressure} for run in report.runs],
        version=__version__,
    )


def _filters() -> dict[str, Callable[..., object]]:
    return {**filters(), "number": number}


def _stood(one: Stood) -> _Row:
    marks = [_mark("now", one.own)]
    cells = (_share(one.own), _share(one.told), _share(one.best))
    return _Row(
        one.principle,
        one.slice,
        percent(one.target),
        one.n,
        strip([mark for mark in marks if mark], one.target),
        cells,
        one.verdict,
        _CLASSES[one.verdict],
        one.why,
    )


def _changed(one: Changed) -> _Row:
    marks = [_mark("before", one.before), _mark("now", one.after)]
    kind = "lost" if one.way == "fell" else "rose" if one.way == "rose" else "same"
    change = ("not paired", "")
    if one.change is not None:
        change = (points(one.change.value), f"{points(one.change.low)} to {points(one.change.high)}")
    seen = ("–", "")
    if one.way == "no change seen" and one.seen is not None:
        seen = (points(one.seen).removeprefix("+"), "points")
    state = "at its target" if one.reached else "below its target"
    return _Row(
        one.principle,
        one.slice,
        percent(one.target),
        one.n,
        strip([mark for mark in marks if mark], one.target),
        (_share(one.before), _share(one.after), change, seen),
        one.way,
        kind,
        f"{one.class_before} before, {one.class_after} now; {state}",
    )


def _mark(kind: str, one: Figure | None) -> Mark | None:
    if one is None or one.low is None or one.high is None:
        return None
    return Mark(kind, one.value, one.low, one.high)


def _share(one: Figure | None) -> tuple[str, str]:
    if one is None:
        return "not measured", ""
    return percent(one.value), f"{percent(one.low)} to {percent(one.high)}"


def _heads(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns of a table of variants, in order."""
    return list(dict.fromkeys(key for row in rows for key in row))
