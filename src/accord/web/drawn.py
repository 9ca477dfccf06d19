"""A stage as its page shows it: state, figures in words, charts with their tables. Pure; ``shelf.py`` reads.

The charts are those of the report, drawn here on the server: they look the same in both, need no script, and
each has its numbers beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from markupsafe import Markup

from accord.progress import duration
from accord.reports.charts import Drawn, draw_curve, draw_evidence, draw_measured
from accord.reports.document import Decided, Guarded, State
from accord.reports.logs import StageLog
from accord.reports.series import curves_of
from accord.reports.watch import Indicated, Tiered, Watched
from accord.reports.words import Scale, counted, number, percent, points, power, signed
from accord.web.shelf import Look

__all__ = ["Badge", "Drawing", "Fact", "Live", "Row", "badge_of", "charted", "live_of", "roughly"]

_MARKS: dict[State, str] = {
    "running": "good",
    "finished": "good",
    "imported": "good",
    "paused": "bad",
    "halted": "bad",
}
_OF_UPDATES = ("objective", "grad_norm")
_FIGURES = {"objective": "Objective", "grad_norm": "Gradient norm", "score": "Score", "gold": "Gold"}
_OFTEN, _SELDOM = 5, 30  # seconds
_WIDE, _HIGH = 120.0, 14.0
_LEAST = 1e-3  # an e-value under it is drawn there


class Badge(NamedTuple):
    """A state in one word, and whether it is ``good``, ``bad`` or neither."""

    word: str
    mark: str


class Fact(NamedTuple):
    """A figure. ``of``: how much of it there is at most, for a bar; ``mark`` as a Badge's."""

    label: str
    value: str
    note: str = ""
    done: float | None = None
    of: float = 1.0
    mark: str = ""


class Row(NamedTuple):
    """One indicator at the newest audit. ``gauge``: its e-value against the threshold, drawn."""

    title: str
    name: str
    last: str
    base: str
    change: str
    span: str
    e: str
    gauge: Markup | None
    acts: str
    why: str
    mark: str


class Drawing(NamedTuple):
    """The charts of a stage: two to begin with, all others in groups. ``noted``: what updates leave out."""

    top: tuple[Drawn, ...]
    groups: tuple[tuple[str, tuple[Drawn, ...]], ...]
    noted: str


class Live(NamedTuple):
    """What is shown anew while the run goes on, ``every`` so many seconds; 0: never.

    ``said``: read out when it changes.
    """

    badge: Badge
    says: str
    why: str
    said: str
    every: int
    facts: tuple[Fact, ...]
    rows: tuple[Row, ...]
    pages_at: str
    tier: tuple[tuple[str, str], ...]
    pressure: tuple[tuple[str, str], ...]
    decisions: tuple[Decided, ...]
    drawing: Drawing


def badge_of(state: State) -> Badge:
    return Badge(state, _MARKS.get(state, ""))


def roughly(seconds: float) -> str:
    """How long ago something was, in one unit.

    >>> roughly(12.3), roughly(3599), roughly(7260), roughly(200_000)
    ('12 s', '59 min', '2 h', '2 days')
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 2 * 86_400 else f"{whole // 86_400} days"


def live_of(look: Look, drawing: Drawing) -> Live:
    """Everything in words."""
    view, guard = look.view, look.guard
    decided = sorted((*guard.decisions, *guard.acceptances), key=_by_place(look.log), reverse=True)
    says, _, why = view.says.removeprefix(view.state).partition(": ")
    return Live(
        badge=badge_of(view.state),
        says=says,
        why=why.removeprefix("page: "),  # the rule of that name says so again
        said=f"{view.run}: {view.state}{says}; {counted(len(decided), 'decision')}",
        every=0 if view.over else _OFTEN if view.state == "running" else _SELDOM,
        facts=tuple(_facts(view)),
        rows=tuple(_row(one, view.tier) for one in view.indicators),
        pages_at=power(view.tier.threshold) if view.tier else "",
        tier=tuple(_tier(view.tier)) if view.tier else (),
        pressure=tuple(_pressure(view)),
        decisions=tuple(decided),
        drawing=drawing,
    )


def charted(log: StageLog, guard: Guarded) -> Drawing:
    """Every chart of the stage, those first that say whether it learns and whether the guard saw a shift."""
    armings = guard.paging.armings if guard.paging else ()
    evidence = [_named(one) for arming in armings[-1:] for one in draw_evidence(arming, many=False)]
    curves = [draw_curve(curve) for curve in curves_of(log)]
    measured = [one for one in map(draw_measured, guard.indicators) if one is not None]
    kept, newest = len(log.updates()), max((event.step for event in log.updates()), default=0)
    groups = (
        ("Training", tuple(curves[1:])),
        ("Indicators against the base", tuple(measured)),
        ("E-values", tuple(evidence[1:])),
    )
    return Drawing(
        top=tuple(map(_inline, (*evidence[:1], *curves[:1]))),
        groups=tuple((title, tuple(map(_inline, charts))) for title, charts in groups if charts),
        noted=f"Over updates: the newest {kept:,} of {newest:,}; the report has all."
        if newest > kept
        else "",
    )


def _inline(one: Drawn) -> Drawn:
    return one._replace(svg=Markup(one.svg))  # noqa: S704 - made by accord.reports.svg, texts escaped there


def _named(one: Drawn) -> Drawn:
    return one._replace(title=f"E-value: {one.title[0].lower()}{one.title[1:]}")


def _by_place(log: StageLog) -> Callable[[Decided], int]:
    order = {one.id: place for place, one in enumerate(log.decisions)}
    return lambda one: order[one.record]


def _facts(view: Watched) -> Iterator[Fact]:
    pace, tier = view.pace, view.tier
    windows = f"{pace.window:,} of {pace.windows:,}"
    speed = f"{_seconds(pace.window_seconds)} each" if pace.window_seconds is not None else ""
    yield Fact("Windows", windows, speed, done=float(pace.window), of=float(max(pace.windows, 1)))
    each = f"{_seconds(pace.update_seconds)} each" if pace.update_seconds is not None else ""
    yield Fact("Updates", f"{pace.update:,}", each)
    if pace.left is not None:
        yield Fact("Time left", duration(pace.left), "at the pace of the last windows")
    if pace.silent is not None:
        yield Fact("Last line", roughly(pace.silent), "ago")
    if tier is not None:
        mark = _grave(tier.mean, tier.threshold)
        yield Fact("Mean e-value", power(tier.mean), f"pages at {power(tier.threshold)}", mark=mark)
    for name, value in view.figures.items():
        told = _FIGURES.get(name, name.replace("_", " "))
        yield Fact(told, number(value), "last update" if name in _OF_UPDATES else "last window")


def _seconds(seconds: float) -> str:
    return f"{number(seconds, 2)} s" if seconds < 10 else duration(seconds)


def _grave(e: float, threshold: float) -> str:
    return "bad" if e >= threshold else "warn" if e >= threshold / 10 else ""


def _row(one: Indicated, tier: Tiered | None) -> Row:
    scale = Scale(one.share)
    known = one.low is not None and one.high is not None
    acts = [f"tolerated: {one.tolerance}"] if one.tolerance else []
    acts += [one.acts] if one.acts else []
    acts += [f"{percent(one.unjudged)} of its items have no outcome"] if one.unjudged else []
    threshold = tier.threshold if tier else None
    grave = _grave(one.e, threshold) if one.e is not None and threshold else ""
    return Row(
        title=one.title,
        name=one.name,
        last=scale.level(one.value),
        base=scale.level(one.base),
        change=_moved(one.change, one.share),
        span=f"{_moved(one.low, one.share)} to {_moved(one.high, one.share)}" if known else "",
        e="" if one.e is None else power(one.e),
        gauge=_gauge(one.e, threshold, grave) if one.e is not None and threshold else None,
        acts="; ".join(acts),
        why=one.why,
        mark=grave or ("warn" if one.beyond else ""),
    )


def _moved(value: float | None, share: bool) -> str:
    """A difference, in points or to three digits; one of less than a millionth as 0."""
    if value is not None and abs(value) < 1e-6:
        return "0"
    return points(value) if share else signed(value)


def _gauge(e: float, threshold: float, mark: str) -> Markup:
    """A bar from where e-values begin, 1, to where this one is, on a scale of powers up to the threshold."""
    low, high = math.log10(_LEAST), math.log10(threshold) + 0.6

    def across(value: float) -> float:
        power_of = min(max(math.log10(max(value, _LEAST)), low), high)
        return round((power_of - low) / (high - low) * _WIDE, 1)

    start, at, limit = across(1.0), across(e), across(threshold)
    return Markup(
        '<svg class="gauge" viewBox="0 0 {w} {h}" aria-hidden="true">'
        '<rect class="track" x="0" y="4" width="{w}" height="6" rx="3"/>'
        '<rect class="bar {mark}" x="{x}" y="4" width="{n}" height="6" rx="3"/>'
        '<line class="base" x1="{s}" x2="{s}" y1="1" y2="13"/>'
        '<line class="limit" x1="{t}" x2="{t}" y1="0" y2="14"/></svg>'
    ).format(
        w=_WIDE, h=_HIGH, x=min(start, at), n=max(abs(at - start), 1.5), s=start, t=limit, mark=mark or "calm"
    )


def _tier(tier: Tiered) -> Iterator[tuple[str, str]]:
    """What the page tier may spend, and who takes part."""
    yield "Highest so far", power(tier.highest)
    audits = "1 audit" if tier.audits == 1 else f"{tier.audits:,} audits"
    yield "Looked", f"{audits}{f' of arming {tier.arming}' if tier.arming > 1 else ''}"
    yield "δ spent", f"{number(tier.spent)} of {number(tier.delta)}: the chance of any false page"
    for name, why in tier.left.items():
        yield f"Takes no part: {name}", why
    for name, box in tier.judged.items():
        yield f"Judged: {name}", box


def _pressure(view: Watched) -> Iterator[tuple[str, str]]:
    for name, value in view.pressure.items():
        yield f"{name[0].upper()}{name[1:]}", percent(value)
