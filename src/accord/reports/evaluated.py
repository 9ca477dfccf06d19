"""Evaluations in a report: their curves, what they came to, and whose weights were kept on their account."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accord.records import Episode, Reading
from accord.reports.document import Curve, Point
from accord.reports.logs import StageLog
from accord.reports.words import Scale, counted

__all__ = ["evaluated_curves", "held_out_curve", "told_evaluation", "told_kept", "trained_prompts"]

_TITLES = {"nll": "negative log-likelihood per answer token"}


def evaluated_curves(log: StageLog) -> list[Curve]:
    """One curve for each figure of the evaluations, the one they were judged by first."""
    names = dict.fromkeys(one.name for one in log.evaluations)
    return [_curve(log, name, f"Evaluation: {_titled(name)}") for name in names]


def held_out_curve(log: StageLog) -> list[Curve]:
    """The held-out figure over training, where it was read between its start and its end too."""
    if len(log.held_out) < 3:
        return []
    name = log.held_out[0].name
    return [_curve(log, name, f"Held-out {name.removeprefix('held_out.')}")]


def told_evaluation(log: StageLog) -> str:
    """What the evaluations came to, in a line; nothing where there was none.

    Compared are the first one and the one of the weights that are the result, or the newest so far.
    """
    first, last = _ends(log)
    if first is None:
        return ""
    scale, what = Scale(first.unit.startswith("share")), first.name.replace(".", " ", 1)
    if last is None:
        return f"{what} before training {scale.level(first.value)}"
    levels = f"{what} {scale.level(first.value)} → {scale.level(last.value)}"
    if last.change is None:
        return levels
    span = scale.change_span(*_finite(last.change_low, last.change_high))
    inside = f"change {scale.change(last.change)}, {_spanned(span)}; {counted(last.n, 'row')}"
    return f"{levels} ({inside})"


def told_kept(log: StageLog) -> str:
    """Whose weights are the result and why, as sentences; nothing where nothing was evaluated."""
    first, _ = _ends(log)
    if first is None:
        return ""
    told = told_evaluation(log)
    said = [f"On data for evaluation: {told}."]
    made = [event for event in log.events if event.name == "stage" and first.name in event.scalars]
    ended = next((text for event in made if (text := event.text.partition("ends early: ")[2])), "")
    if ended:
        said.append(f"The stage ended early: {ended}.")
    table = log.stage.eval
    if table is None or log.entry is None:
        return " ".join(said)
    of = f"the best of {counted(len(made), 'evaluation')}"
    if table.keep == "last":
        said.append("Kept: the last weights.")
    elif log.entry.kept == first.step:
        said.append(f"Kept: the start itself, update {log.kept}, for it is {of}: nothing was gained.")
    else:
        said.append(f"Kept: {of}, update {log.kept}.")
    return " ".join(said)


def trained_prompts(log: StageLog) -> int:
    """How many prompts of the evaluation stand also among those of the training windows."""
    rows = next((one for one in log.evaluations if one.parents), None)
    if rows is None:
        return 0
    found = (log.response(parent) for parent in rows.parents)
    prompts = {response.prompt for response in found if response is not None}
    trained = {record.prompt for record in log.records.values() if isinstance(record, Episode)}
    asked = (log.prompt(prompt) for prompt in prompts & trained)
    return sum(prompt is not None and bool(prompt.text.strip()) for prompt in asked)


def _ends(log: StageLog) -> tuple[Reading | None, Reading | None]:
    """The first evaluation and the one that speaks for the result, by the figure they are judged by."""
    judged = [one for one in log.evaluations if one.name == log.evaluations[0].name]
    if not judged:
        return None, None
    speaking = [one for one in judged[1:] if log.entry is None or one.step == log.kept]
    return judged[0], speaking[-1] if speaking else None


def _curve(log: StageLog, name: str, title: str) -> Curve:
    readings = [one for one in log.readings if one.name == name]
    share = readings[0].unit.startswith("share")
    points = tuple(_point(one) for one in readings)
    gaps = tuple(float(one.step) for one in log.not_measured if one.name == name)
    notes = [counted(readings[-1].n, "prompt" if name.startswith("held_out.") else "row")]
    drawn = [point for point in points if point.low is not None]
    notes.append("the band is the 95 % interval" if drawn else "no interval could be given")
    if gaps:
        notes.append(f"{counted(len(gaps), 'time')} not measured, marked at the lower edge")
    unit = readings[0].unit or name.partition(".")[2]
    return Curve(name, title, "update", "share" if share else unit, share, points, gaps, "; ".join(notes))


def _point(one: Reading) -> Point:
    low, high = _finite(one.low, one.high)
    return Point(float(one.step), one.value, low, high, record=one.id)


def _finite(low: float | None, high: float | None) -> tuple[float | None, float | None]:
    bounds: Sequence[float | None] = (low, high)
    known = all(bound is not None and math.isfinite(bound) for bound in bounds)
    return (low, high) if known else (None, None)


def _spanned(span: str) -> str:
    return span if span == "no interval" else f"95 % interval {span}"


def _titled(name: str) -> str:
    figure = name.removeprefix("eval.")
    return _TITLES.get(figure, figure.replace("_", " "))
