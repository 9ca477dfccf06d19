"""Answers: what a stewardship says to its four questions, in lines for a terminal, from what is on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from accord.records import JSON
from accord.steward.targets import Targets
from accord.stores.chronicle import QUESTIONS, Chronicle

__all__ = ["Faces", "answered"]

_KL = (
    "shares: of the sealed half; KL: forward, from the model that a step began with, in bits a byte; pushed "
    "down, unused: of answers"
)


class Faces(NamedTuple):
    """How lines are made: ``table`` aligns rows, ``broken`` breaks a text behind its head."""

    table: Callable[[Sequence[Mapping[str, object]]], list[str]]
    broken: Callable[[str, str], list[str]]


def answered(question: int, chronicle: Chronicle, targets: Targets, faces: Faces) -> list[str]:
    """The answer to one question, as far as its steps are finished."""
    told = (_learned, _supported, _settled, _permitted)[question]
    return ["", f"{question + 1} · {QUESTIONS[question]}", *told(chronicle, targets, faces)]


def _learned(_: Chronicle, targets: Targets, faces: Faces) -> Iterator[str]:
    """Figures alone: which class each is in is the next answer."""
    lines = list(targets.lines(faces.table, faces.broken))
    yield from lines[: lines.index("")]


def _supported(_: Chronicle, targets: Targets, faces: Faces) -> Iterator[str]:
    lines = list(targets.lines(faces.table, faces.broken))
    yield from lines[lines.index("") + 1 :]


def _settled(chronicle: Chronicle, targets: Targets, faces: Faces) -> Iterator[str]:
    if held := targets.of("held"):
        names = "; ".join(f"{one.principle}, {one.slice}" for one in held)
        yield from faces.broken(f"not trained: held already: {names}", "")
    if targets.contested:
        yield from faces.broken(f"not trained: contested: {', '.join(targets.contested)}", "")
    if unknown := targets.of("no evidence"):
        names = "; ".join(f"{one.principle}, {one.slice}" for one in unknown)
        yield from faces.broken(f"not trained: no evidence: {names}", "")
    if (step := chronicle.of("amplify")) is not None:
        yield from _trained("amplify", step, faces)
    if (step := chronicle.of("dialogue")) is not None:
        yield from _talks(step, faces)
    if (step := chronicle.of("revised")) is not None and "skipped" not in step:
        yield from _trained("its own revised answers", step, faces)
    if (step := chronicle.of("constitution")) is not None:
        yield from _trained("constitution", step, faces)
        if second := step.get("second"):
            yield from faces.broken(f"stage two: {second}", "  ")
    if (step := chronicle.of("result")) is not None:
        yield from _result(step, faces)


def _trained(name: str, step: Mapping[str, JSON], faces: Faces) -> Iterator[str]:
    yield ""
    if "skipped" in step:
        yield from faces.broken(f"{name}: not begun: {step['skipped']}", "")
        return
    yield from faces.broken(f"{name}: {step['why']}", "")
    rows = cast("list[dict[str, str]]", step.get("rows", []))
    spots = [f"{one['principle']}, {one['slice']}" for one in _tables(step.get("within", []))]
    # A variant to a row, and below it a slice to a row: all in one table would be too wide to read.
    yield from faces.table([{key: row[key] for key in row if key not in spots} for row in rows])
    shares = [
        {"share kept": spot, **{row["variant"]: row.get(spot, "") for row in rows}} for spot in spots if rows
    ]
    yield from faces.table(shares)
    if rows:
        yield from faces.broken(_KL, "")
    for one in cast("list[str]", step.get("left", [])):
        yield from faces.broken(f"not amplified: {one}", "")


def _talks(step: Mapping[str, JSON], faces: Faces) -> Iterator[str]:
    yield ""
    if "skipped" in step:
        yield from faces.broken(f"dialogue: not begun: {step['skipped']}", "")
        return
    for one in cast("list[dict[str, JSON]]", step["dialogues"]):
        about = f"dialogue about {one['principle']}, {one['slice']}: {one['outcome']}"
        yield from faces.broken(f"{about}; {one['says']}", "")
        for proposal in _tables(one["proposals"]):
            yield from faces.broken(f"{proposal['resolution']}: {proposal['says']}", "  offered: ")
        if one["proposals"]:  # never broken: it is to be copied
            yield f"  a person answers: {one['command']}"


def _result(step: Mapping[str, JSON], faces: Faces) -> Iterator[str]:
    yield ""
    yield from faces.broken(str(step["says"]), "")
    rows = [
        {
            "principle": one["principle"],
            "slice": one["slice"],
            "target": f"{one['target']:g}",
            "before": _share(one["before"]),
            "now": _share(one["after"]),
            "change": _span(one),
            "would have seen": _seen(one),
            "came to": one["way"],
        }
        for one in _tables(step["moved"])
    ]
    yield from faces.table(rows)
    yield from faces.broken(f"model: {step['model']}", "")


def _permitted(chronicle: Chronicle, _: Targets, faces: Faces) -> Iterator[str]:
    step = chronicle.of("gate")
    if step is None:
        return
    if "skipped" in step:
        yield from faces.broken(f"none is asked for: {step['skipped']}", "")
        return
    names = "; ".join(f"{one['principle']}, {one['slice']}" for one in _tables(step["left"]))
    yield from faces.broken(f"left below target: {names}. Nothing was pushed; a push would be:", "")
    yield f"  {step['plan']} ({step['method']})"
    for one in _tables(step["requirements"]):
        yield from faces.broken(f"{one['name']}: {one['status']}; {one['says']}", "  ")
        if one["status"] == "missing":
            for command in cast("list[str]", one["steps"]):
                yield from (f"      {line}" for line in command.splitlines())  # never broken: to be copied
    yield "  then:"
    yield from (f"      {command}" for command in cast("list[str]", step["commands"]))


def _tables(value: JSON) -> list[dict[str, JSON]]:
    return cast("list[dict[str, JSON]]", value)


def _share(value: JSON) -> str:
    if value is None:
        return "not measured"
    one = cast("dict[str, float]", value)
    return f"{one['value']:.2f} [{one['low']:.2f}, {one['high']:.2f}]"


def _seen(one: Mapping[str, JSON]) -> str:
    """The least change that would have been seen, where none was."""
    return f"{one['seen']:.2f}" if one["way"] == "no change seen" else ""


def _span(one: Mapping[str, JSON]) -> str:
    if one["change"] is None:
        return ""
    change, low, high = (cast(float, one[key]) for key in ("change", "low", "high"))
    return f"{change:+.2f} [{low:+.2f}, {high:+.2f}]"
