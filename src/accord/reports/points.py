"""Points: arms of a study as a chart that stands alone: every seed a point, the mean with its interval.

A file of its own, unlike the charts of a page (``svg.py``): it carries its style, and reads in light and
dark. What it shows is also said as a sentence for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from accord.reports.svg import ticks
from accord.reports.words import visible

__all__ = ["Arm", "points"]

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW, _FLOOR = 640.0, 150.0, 24.0, 44.0, 34.0, 46.0
_EDGE = 12.0  # where the title begins: a question is longer than the axis
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.axis{fill:#666}.grid{stroke:#ddd}"
    ".mean{fill:#0b5fa5}.whisker{stroke:#0b5fa5;stroke-width:2.5}.seed{fill:#0b5fa5;fill-opacity:.4}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.axis{fill:#aaa}.grid{stroke:#444}"
    ".mean,.seed{fill:#6db3f2}.whisker{stroke:#6db3f2}}"
)


class Arm(NamedTuple):
    """One row: the mean of all seeds, its interval, and each seed. Without figures ``note`` says why."""

    name: str
    mean: float | None
    low: float | None
    high: float | None
    seeds: tuple[float, ...]
    note: str = ""


def points(title: str, axis: str, arms: Sequence[Arm]) -> str:
    """The chart as the text of an SVG file. The axis goes from 0, or below it, to 1, or above it."""
    known = [one for arm in arms for one in (arm.low, arm.high, *arm.seeds) if one is not None]
    low, high = min([0.0, *known]), max([1.0, *known])
    height = _TOP + _ROW * len(arms) + _FLOOR
    floor = height - _FLOOR + 6

    def across(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    parts = [_text(_EDGE, 20, title, "", "start")]
    for mark in ticks(low, high):
        x = _px(across(mark))
        parts.append(f'<line class="grid" x1="{x}" y1="{_px(_TOP - 10)}" x2="{x}" y2="{_px(floor)}"/>')
        parts.append(_text(across(mark), floor + 16, f"{mark:g}", "axis", "middle"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, height - 6, axis, "axis", "middle"))
    for place, arm in enumerate(arms):
        y = _TOP + _ROW * place + _ROW / 2 - 6
        parts.append(_text(_LEFT - 12, y + 4, arm.name, "", "end"))
        if arm.mean is None:
            parts.append(_text(_LEFT + 8, y + 4, arm.note, "axis", "start"))
            continue
        if arm.low is not None and arm.high is not None:
            ends = f'x1="{_px(across(arm.low))}" y1="{_px(y)}" x2="{_px(across(arm.high))}" y2="{_px(y)}"'
            parts.append(f'<line class="whisker" {ends}/>')
        parts += [
            f'<circle class="seed" cx="{_px(across(one))}" cy="{_px(y + 9)}" r="3"/>' for one in arm.seeds
        ]
        parts.append(f'<circle class="mean" cx="{_px(across(arm.mean))}" cy="{_px(y)}" r="5"/>')
    box = f"0 0 {_px(_WIDTH)} {_px(height)}"
    said = escape(visible(f"{title}: {'; '.join(_said(arm) for arm in arms)}"), quote=True)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{said}" viewBox="{box}">'
    return f"{head}<style>{_STYLE}</style>{''.join(parts)}</svg>\n"


def _said(arm: Arm) -> str:
    if arm.mean is None:
        return f"{arm.name}: {arm.note}"
    ends = "" if arm.low is None or arm.high is None else f" ({arm.low:.2f} to {arm.high:.2f})"
    return f"{arm.name} {arm.mean:.2f}{ends}"


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{_px(x)}" y="{_px(y)}" text-anchor="{anchor}">{escape(visible(text))}</text>'


def _px(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
