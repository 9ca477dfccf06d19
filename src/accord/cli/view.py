"""What ``accord watch`` shows, as lines of text: for a terminal of any size, or all of it.

Every text of the run passes through ``shown``, which makes invisible and controlling characters readable, and
reaches rich as plain text, never as markup.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from accord.progress import duration
from accord.reports.words import Scale, number, percent, points, power, signed, visible

if TYPE_CHECKING:
    from rich.text import Text

    from accord.reports.document import Decided
    from accord.reports.watch import Indicated, Pace, Tiered, Watched

__all__ = ["lines", "shown"]

_STATES = {"running": "green", "finished": "green", "paused": "bold red", "halted": "bold red"}
_NARROW, _WIDE = 60, 110
_SPOKEN = 3  # lines of an answer on a small terminal, at most


def shown(text: str) -> str:
    """A text of the run on one line, with all that hides, moves or commands spelled out.

    >>> shown("a\\x1b[31m\\nb")
    'a⟨U+001B⟩[31m ⏎ b'
    """
    return " ".join(visible(text).replace("\n", " ⏎ ").replace("\t", " ").split(" "))


def lines(view: Watched, width: int, height: int | None = None) -> list[Text]:
    """The view in lines of ``width`` cells; with ``height`` so many at most, cut; else to be wrapped."""
    head, foot = [*_head(view)], [*_foot(view)]
    pressure = [_line(*_pressure(view))] if view.pressure or view.figures else []
    room = None if height is None else max(0, height - len(head) - len(foot) - len(pressure))
    rows = [*_table(view, width)]
    said, decided = [*_said(view, width, height)], [*_decided(view.decisions)]
    if room is not None:
        decided = decided[-max(1, room // 6) :]
        said = said[: max(0, room - len(decided) - min(len(rows), 6))]
        rows = _cut(rows, room - len(decided) - len(said))
    found = [*head, *rows, *pressure, *said, *decided, *foot]
    if height is None:
        return found
    for line in found:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return found[:height]


def _head(view: Watched) -> Iterator[Text]:
    place = list(view.stages).index(view.stage) + 1
    stage = f" ({place} of {len(view.stages)})" if len(view.stages) > 1 else ""
    style = _STATES.get(view.state, "yellow")
    yield _line((shown(view.run), "bold"), f" · stage {view.stage}{stage} · ", (view.state, style))
    yield _line(_paced(view.pace, view.over))
    if view.state not in ("running", "finished", "paused", "halted"):  # these stand below, with their reason
        yield _line((shown(view.says), style))
    if view.tier is not None:
        yield _line(*_tier(view.tier))
        for name, why in view.tier.left.items():
            yield _line(f"  takes no part: {name}, {shown(why)}")
        for name, box in view.tier.judged.items():
            yield _line(f"  judged: {name}, {shown(box)}")
    if view.problems:
        yield _line((f"the log is incomplete or was changed: {shown(view.problems[-1])}", "red"))


def _paced(pace: Pace, over: bool) -> str:
    parts = [f"window {pace.window} of {pace.windows}", f"update {pace.update}"]
    if pace.update_seconds is not None:
        parts.append(f"{_seconds(pace.update_seconds)} an update")
    if pace.window_seconds is not None:
        parts.append(f"{_seconds(pace.window_seconds)} a window")
    if pace.left is not None:
        parts.append(f"{duration(pace.left)} left")
    if pace.silent is not None and not over:
        parts.append(f"last line {duration(pace.silent)} ago")
    return " · ".join(parts)


def _seconds(seconds: float) -> str:
    return f"{number(seconds, 2)} s" if seconds < 10 else duration(seconds)


def _tier(tier: Tiered) -> list[str | tuple[str, str]]:
    mean = (f"mean e-value {power(tier.mean)}", _grave(tier.mean, tier.threshold))
    parts = [f", pages at {power(tier.threshold)}, highest {power(tier.highest)}"]
    parts.append("1 audit" if tier.audits == 1 else f"{tier.audits:,} audits")
    parts += [f"arming {tier.arming}"] if tier.arming > 1 else []
    parts.append(f"δ {number(tier.spent)} of {number(tier.delta)}")
    return [mean, " · ".join(parts)]


def _grave(e: float, threshold: float) -> str:
    return "bold red" if e >= threshold else "yellow" if e >= threshold / 10 else ""


def _table(view: Watched, width: int) -> list[Text]:
    if not view.indicators:
        return [_line("no indicator has been read yet")]
    wide = [14, 20] if width >= _WIDE else [0, 0]
    fixed = [7, 7, 26, 7, *wide]
    sizes = [max(14, min(40, width - sum(fixed) - sum(map(bool, fixed)))), *fixed]
    head = ["indicator", "last", "base", "change (95 %)", "e-value", "tolerated", "a rule"]
    if width < _NARROW:
        sizes = [max(8, width - 26), 7, 0, 9, 7, 0, 0]
    out = [_cells(head, sizes, "dim")]
    threshold = view.tier.threshold if view.tier else 0.0
    for one in view.indicators:
        if one.why:
            title = _sized(shown(one.title), sizes[0])
            out.append(_line(f"{title} ", (f"not measured: {shown(one.why)}", "yellow")))
        else:
            out.append(_cells(_row(one, width >= _NARROW), sizes, _style(one, threshold)))
    return out


def _row(one: Indicated, spans: bool) -> list[str]:
    scale = Scale(one.share)
    known = one.low is not None and one.high is not None
    span = f" ({_moved(one.low, one.share)} to {_moved(one.high, one.share)})" if spans and known else ""
    change = f"{_moved(one.change, one.share)}{span}"
    lack = f" {percent(one.unjudged)} missing" if one.unjudged else ""
    e = "" if one.e is None else power(one.e)
    levels = [scale.level(one.value), scale.level(one.base)]
    return [f"{shown(one.title)}{lack}", *levels, change, e, one.tolerance, one.acts]


def _moved(value: float | None, share: bool) -> str:
    """A difference, in points or to two digits; one of less than a millionth as 0."""
    if value is not None and abs(value) < 1e-6:
        return "0"
    return points(value) if share else signed(value, 2)


def _style(one: Indicated, threshold: float) -> str:
    if one.e is None:
        return ""
    return _grave(one.e, threshold) or ("yellow" if one.beyond else "")


def _cells(cells: Sequence[str], sizes: Sequence[int], style: str) -> Text:
    from rich.text import Text

    pairs = [(cell, size) for cell, size in zip(cells, sizes, strict=True) if size]
    return Text(" ".join(_sized(cell, size) for cell, size in pairs).rstrip(), style=style)


def _sized(text: str, size: int) -> str:
    """Exactly so many cells; cut texts say so."""
    from rich.cells import cell_len, set_cell_size

    return f"{set_cell_size(text, size - 1)}…" if cell_len(text) > size else set_cell_size(text, size)


def _cut(rows: list[Text], room: int) -> list[Text]:
    if len(rows) <= room:
        return rows
    kept = max(1, room - 1)
    return [*rows[:kept], _line((f"… {len(rows) - kept} more; all with --once", "dim"))][: max(0, room)]


def _pressure(view: Watched) -> list[str | tuple[str, str]]:
    told = [f"{name} {percent(value)}" for name, value in view.pressure.items()]
    told += [f"{name.replace('_', ' ')} {number(value)}" for name, value in view.figures.items()]
    return [("pressure ", "dim"), " · ".join(told)] if view.pressure else [" · ".join(told)]


def _said(view: Watched, width: int, height: int | None) -> Iterator[Text]:
    """The newest transcript: policy and base side by side, or one below the other."""
    spoken = view.spoken
    if spoken is None:
        return
    yield _line(("probe  ", "dim"), f"{shown(spoken.prompt)} ", (f"(update {spoken.step:,})", "dim"))
    most = None if height is None else _SPOKEN if height < 30 else 2 * _SPOKEN
    policy, base = shown(spoken.policy) or "(an empty answer)", shown(spoken.base) or "(an empty answer)"
    if width >= _WIDE:
        half = (width - 3) // 2
        left, right = _wrapped("policy ", policy, half, most), _wrapped("base   ", base, half, most)
        longer = max(len(left), len(right))
        for i in range(longer):
            one, other = (side[i] if i < len(side) else "" for side in (left, right))
            yield _line(f"{_sized(one, half)} │ {_sized(other, half)}".rstrip())
        return
    for label, text in (("policy ", policy), ("base   ", base)):
        yield from (
            _line(line) for line in _wrapped(label, text, width, 1 if height and height < 30 else most)
        )


def _wrapped(label: str, text: str, width: int, most: int | None) -> list[str]:
    """Behind its label; with ``most`` the last line ends in … where there is more."""
    # By characters: a wide one takes two cells, so half as many are taken where there are any.
    size = max(8, width - len(label)) // (1 if text.isascii() else 2)
    found = textwrap.wrap(text, max(4, size), break_on_hyphens=False) or [""]
    if most is not None and len(found) > most:
        found = [*found[: most - 1], f"{found[most - 1]} …"]
    return [f"{label if i == 0 else ' ' * len(label)}{line}" for i, line in enumerate(found)]


def _decided(decisions: Sequence[Decided]) -> Iterator[Text]:
    for one in decisions:
        who = f"{shown(one.by)} accepts" if one.by else f"{one.action} by {shown(one.rule)}"
        style = {"pause": "red", "halt": "bold red", "warning": "yellow"}.get(one.action, "")
        yield _line((f"update {one.step:,} ", "dim"), (f"{who}: ", style), shown(one.reason))


def _foot(view: Watched) -> Iterator[Text]:
    if view.command:
        yield _line(("go on: ", "dim"), view.command)


def _line(*parts: str | tuple[str, str]) -> Text:
    from rich.text import Text

    return Text.assemble(*parts)
