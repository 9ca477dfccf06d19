"""Figures of a report as charts with their tables: what is drawn, and the same numbers to read."""

from __future__ import annotations

import math
from typing import NamedTuple

from accord.reports import svg
from accord.reports.document import Binding, Curve, Figure, Measured, Point, Result
from accord.reports.words import Scale, counted, interval, number, percent

__all__ = ["Drawn", "draw_change", "draw_curve", "draw_levels", "draw_measured"]


class Drawn(NamedTuple):
    """A chart, what it shows, and its table; with ``ids`` the last cell of a row is a record id."""

    title: str
    svg: str
    note: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    ids: bool


def draw_curve(curve: Curve) -> Drawn:
    """A curve of training."""
    told = percent if curve.share else number
    first, last = (curve.points[0], curve.points[-1]) if curve.points else (None, None)
    label = f"{curve.title}, by {curve.x}: "
    label += (
        f"{told(first.y)} at {curve.x} {first.x:g}, {told(last.y)} at {curve.x} {last.x:g}"
        if first and last
        else "no finite value"
    )
    chart = svg.Chart(label, curve.x, curve.y, curve.points, told, gaps=curve.gaps, zero=curve.share)
    binned = any(point.n > 1 for point in curve.points)
    spans = not binned and any(point.low is not None for point in curve.points)
    more = ("lowest", "highest", "values") if binned else ("95 %", "record") if spans else ("record",)
    rows = [_row(point, told, binned, spans) for point in curve.points]
    rows += [(f"{x:g}", "not a number", *("" for _ in more)) for x in curve.gaps]
    return Drawn(
        curve.title, svg.lines(chart), curve.note, (curve.x, curve.y, *more), tuple(rows), not binned
    )


def draw_measured(measured: Measured) -> Drawn | None:
    """The change of an indicator from the base, which is what rules look at; None where it is unknown."""
    scale = Scale(measured.share)
    seen = [one for one in measured.readings if one.change is not None]
    points = tuple(
        Point(float(one.step), one.change, one.change_low, one.change_high)
        for one in seen
        if one.change is not None and math.isfinite(one.change)
    )
    if not points:
        return None
    gaps = tuple(float(one.step) for one in seen if float(one.step) not in {point.x for point in points})
    base = seen[-1].base
    guides = [svg.Guide(f"base: {scale.level(base)}", "base", ((points[0].x, 0.0),))]
    guides += [_limit(binding) for binding in measured.bindings if binding.at]
    last = seen[-1]
    span = scale.change_span(last.change_low, last.change_high)
    label = (
        f"{measured.title}, change from the base by update: "
        f"{scale.change(last.change)} at update {last.step}, 95 % interval {span}"
    )
    unit = "points" if measured.share else measured.unit
    chart = svg.Chart(label, "update", f"change, {unit}", points, scale.bare, tuple(guides), gaps, zero=True)
    rows = tuple(
        (
            f"{one.step:,}",
            scale.level(one.value),
            scale.span(one.low, one.high),
            scale.level(one.base),
            scale.bare(one.change),
            scale.change_span(one.change_low, one.change_high),
            f"{one.n:,}",
            one.record,
        )
        for one in measured.readings
    )
    head = ("update", "level", "95 %", "base", "change", "95 %", "probes", "record")
    note = "; ".join(
        f"{binding.rule} {binding.action} beyond {scale.change(binding.at[-1][1])}"
        for binding in measured.bindings
        if binding.at
    )
    return Drawn(measured.title, svg.lines(chart), note, head, rows, True)


def draw_levels(result: Result) -> Drawn | None:
    """Before and after, each with its interval."""
    scale = Scale(result.share)
    both = [(name, one) for name, one in (("before", result.before), ("after", result.after)) if one]
    if not both:
        return None
    whiskers = [svg.Whisker(name, one.value, one.low, one.high, name) for name, one in both]
    bounds = [b for _, one in both for b in (one.value, one.low, one.high) if b is not None]
    span = _span([bound for bound in bounds if math.isfinite(bound)], result.share)
    said = "; ".join(f"{name} {interval(one.value, one.low, one.high, scale)}" for name, one in both)
    label = f"{result.label}: {said}"
    picture = svg.dots(label, whiskers, percent if result.share else number, span, zero=False)
    rows = tuple((name, *_cells(one, scale), one.record) for name, one in both)
    note = f"{result.label}, averaged over {counted(result.prompts, 'prompt')}"
    return Drawn(
        "Before and after" if len(both) > 1 else "Before",
        picture,
        note,
        ("", "level", "95 % interval", "record"),
        rows,
        True,
    )


def draw_change(result: Result) -> Drawn | None:
    """The paired change with its interval, against zero."""
    change, scale = result.change, Scale(result.share)
    if change is None or change.low is None or change.high is None:
        return None
    if not math.isfinite(change.low + change.high):
        return None
    reach = max(abs(change.low), abs(change.high), abs(change.value), 1e-3) * 1.15
    low, high = min(0.0, -reach if change.low < 0 else -reach / 8), reach if change.high > 0 else reach / 8
    span = scale.change_span(change.low, change.high)
    label = f"paired change {scale.change(change.value)}, 95 % interval {span}"
    one = svg.Whisker("change", change.value, change.low, change.high, "after")
    picture = svg.dots(label, [one], scale.bare, (low, high), zero=True)
    head = ("", "points" if result.share else "change", "95 % interval", "record")
    cells = (scale.bare(change.value), span)
    note = f"after less before, prompt by prompt{', in points' if result.share else ''}"
    return Drawn("Paired change", picture, note, head, (("change", *cells, change.record),), True)


def _span(values: list[float], share: bool) -> tuple[float, float]:
    """From where to where the axis goes: a share from 0, anything else around what there is."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if share:
        return 0.0, min(1.0, 1.1 * max(high, 0.05))
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _cells(figure: Figure, scale: Scale) -> tuple[str, str]:
    return scale.level(figure.value), scale.span(figure.low, figure.high)


def _limit(binding: Binding) -> svg.Guide:
    side = "above" if math.copysign(1.0, binding.at[-1][1]) > 0 else "below"
    return svg.Guide(
        f"{binding.action} {side}", "limit", tuple((float(step), level) for step, level in binding.at)
    )


def _row(point: Point, told: svg.Words, binned: bool, spans: bool) -> tuple[str, ...]:
    x = f"{point.x:,.1f}".removesuffix(".0")
    if spans:
        known = point.low is not None and point.high is not None
        span = f"{_or_blank(point.low, told)} to {_or_blank(point.high, told)}" if known else "no interval"
        return x, told(point.y), span, point.record
    if not binned:
        return x, told(point.y), point.record
    return x, told(point.y), _or_blank(point.low, told), _or_blank(point.high, told), f"{point.n:,}"


def _or_blank(value: float | None, told: svg.Words) -> str:
    return "" if value is None else told(value)
