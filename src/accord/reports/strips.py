"""Strips: a share before and now on one line from 0 to 1, with its target, small enough for a table."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from accord.reports.words import percent, visible

__all__ = ["Mark", "strip"]

_WIDTH, _HEIGHT, _SIDE = 190.0, 34.0, 8.0


class Mark(NamedTuple):
    """A share with its interval; ``kind`` is before or now."""

    kind: str
    value: float
    low: float
    high: float


def strip(marks: Sequence[Mark], target: float) -> str:
    """The drawing; its content stands in words in ``aria-label``."""
    told = ", ".join(f"{m.kind} {percent(m.value)} ({percent(m.low)} to {percent(m.high)})" for m in marks)
    said = escape(visible(f"{told or 'not measured'}; target {percent(target)}"), quote=True)
    floor = _HEIGHT - 5
    parts = [_line("grid", 0.0, 1.0, floor)]
    parts += [
        f'<line class="grid" x1="{_px(_at(x))}" y1="{_px(floor - 3)}" x2="{_px(_at(x))}" y2="{_px(floor)}"/>'
        for x in (0.0, 0.5, 1.0)
    ]
    at = _px(_at(target))
    parts.append(f'<line class="limit" x1="{at}" y1="1" x2="{at}" y2="{_px(floor)}"/>')
    for place, mark in enumerate(marks):
        y = 8.0 + 12.0 * place if len(marks) > 1 else 14.0
        kind = "before" if mark.kind == "before" else ""
        parts.append(_line(f"whisker {kind}", mark.low, mark.high, y))
        parts.append(f'<circle class="dot {kind}" cx="{_px(_at(mark.value))}" cy="{_px(y)}" r="3.6"/>')
    box = f"0 0 {_px(_WIDTH)} {_px(_HEIGHT)}"
    return f'<svg class="strip" role="img" aria-label="{said}" viewBox="{box}">{"".join(parts)}</svg>'


def _line(kind: str, low: float, high: float, y: float) -> str:
    return f'<line class="{kind}" x1="{_px(_at(low))}" y1="{_px(y)}" x2="{_px(_at(high))}" y2="{_px(y)}"/>'


def _at(share: float) -> float:
    return _SIDE + min(max(share, 0.0), 1.0) * (_WIDTH - 2 * _SIDE)


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
