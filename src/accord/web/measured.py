"""Figures in words for a page: each with its interval and its n. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from accord.maths.agreement import Undefined
from accord.reports.labelling.agreeing import Agreement
from accord.reports.labelling.covering import Finish
from accord.reports.labelling.leaning import Share
from accord.reports.labelling.rating import Arm, Ratings

__all__ = [
    "Bar",
    "Drawn",
    "agreed",
    "alpha_of",
    "arm_of",
    "bars_of",
    "finish_of",
    "ratings_of",
    "said_share",
    "took",
]

_DAYS = 28  # that are drawn


class Drawn(NamedTuple):
    """A row of figures: what, the value in words, the interval in words, its n; and for the drawing the
    value and both ends as per cent of the scale, None where there is nothing to draw."""

    what: str
    value: str
    interval: str
    n: str
    at: tuple[float, float, float] | None = None


class Bar(NamedTuple):
    """A day: its date, its votes, and how high the bar stands, of 100."""

    day: str
    votes: int
    height: float


def said_share(share: Share, unit: str) -> Drawn:
    """
    >>> from accord.reports.labelling.leaning import share
    >>> said_share(share(1, 2), "repeats")[1:4]
    ('50 %', '1 to 99 %', '1 of 2 repeats')
    >>> said_share(share(0, 0), "repeats").value
    'unknown'
    """
    if share.value is None:
        return Drawn("", "unknown", "", f"no {unit} yet")
    interval = f"{100 * share.low:.0f} to {100 * share.high:.0f} %"
    n = f"{share.hits:,} of {share.n:,} {unit}"
    at = (100 * share.value, 100 * share.low, 100 * share.high)
    return Drawn("", f"{100 * share.value:.0f} %", interval, n, at)


def alpha_of(one: Agreement) -> Drawn:
    """α from 0 to 1 is drawn; below 0 it stands at the left end."""
    found = one.found
    if isinstance(found, Undefined):
        raw = "" if found.raw is None else f"raw agreement {found.raw:.2f}"
        return Drawn(
            one.what,
            f"undefined: {found.why}",
            raw,
            f"{found.verdicts:,} verdicts on {found.questions:,} questions",
        )
    low = "−∞" if found.low == -math.inf else _signed(found.low)
    at = tuple(100 * min(1.0, max(0.0, x)) for x in (found.value, found.low, found.high))
    return Drawn(
        one.what,
        _signed(found.value),
        f"{low} to {_signed(found.high)}; raw agreement {found.raw:.2f}",
        f"{found.verdicts:,} verdicts on {found.questions:,} questions",
        (at[0], at[1], at[2]),
    )


def agreed(votes: int, most: int) -> str:
    """How divided a question is."""
    return f"{most} of {votes} say the same"


def arm_of(one: Arm) -> Drawn:
    """What an active arm gained over the random one."""
    n = f"{one.votes:,} votes, {one.random:,} of the random arm, {one.held_out:,} held-out questions"
    if one.helps is None:
        return Drawn(one.name, "cannot be told yet", one.why, n)
    gain = one.helps.gain
    interval = f"{_signed(gain.value)} nats per vote ({_signed(gain.low)} to {_signed(gain.high)})"
    return Drawn(one.name, one.helps.said, interval, f"{one.helps.votes:,} votes of each; {n}")


def finish_of(finish: Finish) -> str:
    """When, and from what pace.

    >>> finish_of(Finish(None, 7, 3, 2.0))
    'cannot be told yet: 3 answers in the last 7 days are no pace'
    """
    if not finish.left:
        return "every slot is closed"
    if finish.at is None:
        return f"cannot be told yet: {finish.votes} answers in the last 7 days are no pace"
    pace = f"{finish.votes:,} answers in {finish.hours:.0f} h, {finish.left:,} slots to go"
    return f"{datetime.fromtimestamp(finish.at, UTC):%Y-%m-%d %H:%M} UTC, at the pace of late ({pace})"


def ratings_of(ratings: Ratings) -> list[tuple[str, str, str, list[str]]]:
    """Rows of a table: the policy, its votes, both bad, and the rating in each reading over the first's."""
    rows: list[tuple[str, str, str, list[str]]] = []
    for i, item in enumerate(ratings.items):
        bad = "not asked"
        if item.accepted is not None:
            bad = f"{100 * (1 - item.accepted.share):.0f} % ({item.accepted.raters} raters)"
        cells: list[str] = []
        for reading in ratings.readings:
            if not reading.values:
                cells.append("–")
            elif i == 0:
                cells.append("0")
            else:
                found, value = reading.differences[i], reading.values[i]
                told = "no order between these" if math.isnan(value) else _signed(value)
                cells.append(f"{told} ({_signed(found.low)} to {_signed(found.high)})" if found else told)
        rows.append((item.name, f"{item.votes:,}", bad, cells))
    return rows


def bars_of(days: Sequence[tuple[int, int]]) -> list[Bar]:
    """Votes by day, days without one among them, the newest last.

    >>> [bar[1:] for bar in bars_of([(0, 4), (2, 2)])]
    [(4, 100.0), (0, 0.0), (2, 50.0)]
    """
    if not days:
        return []
    of, last = dict(days), days[-1][0]
    shown = range(max(days[0][0], last - _DAYS + 1), last + 1)
    most = max(of.get(day, 0) for day in shown)
    return [
        Bar(
            f"{datetime.fromtimestamp(86_400 * day, UTC):%Y-%m-%d}",
            of.get(day, 0),
            100 * of.get(day, 0) / most,
        )
        for day in shown
    ]


def took(seconds: float | None) -> str:
    """The middle of how long an answer took."""
    return "not measured" if seconds is None else f"{seconds:.0f} s"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
