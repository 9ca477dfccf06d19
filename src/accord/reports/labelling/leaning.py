"""Position bias, self-consistency and gold, of everybody and of each rater; and who should be looked at.

The order of the answers is a hash of rater and question, so the one shown first wins half of the time unless
the place itself counts. A repeat shows them in the other order: the same verdict twice is consistent, the
same *place* twice is not. Gold is marked by what is known; skips and disputed questions count for neither.

Somebody is put before a person where one-sided 95 % bounds (Clopper and Pearson) leave no other reading:
gold under .8, consistency under .7, or one place over .6 of the time†. Nothing follows from that by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from accord.maths.intervals import clopper_pearson
from accord.stores.people.surveying import Line, Survey

__all__ = ["Flag", "Leaning", "Share", "flags", "leanings", "share"]

GOLD, CONSISTENT, PLACE = 0.8, 0.7, 0.6
Measure = Literal["gold", "consistency", "place"]
_ONE_SIDED = 0.90  # the level of the two-sided interval each of whose bounds is a one-sided 95 % one


class Share(NamedTuple):
    """``hits`` of ``n`` with the exact 95 % interval; of nothing it is unknown, and the interval says so."""

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """None of nothing."""
        return self.hits / self.n if self.n else None


class Leaning(NamedTuple):
    """``first``: how often the answer shown first won, of comparisons of two that somebody won. ``same``:
    repeats with the same verdict; ``same_place``: those where one place won both times. ``gold``: right ones.
    """

    first: Share
    same: Share
    same_place: Share
    gold: Share


class Flag(NamedTuple):
    """Something about a rater that a person should look at: the share, its bound, and what it is held to."""

    rater: str
    what: Measure
    share: Share
    bound: float
    limit: float


class _Counts:
    """Hits and n of each measure, as they come in."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = {name: [0, 0] for name in Leaning._fields}

    def add(self, name: str, hit: bool) -> None:
        self.of[name][0] += hit
        self.of[name][1] += 1

    def leaning(self) -> Leaning:
        return Leaning(*(share(*self.of[name]) for name in Leaning._fields))


def share(hits: int, n: int) -> Share:
    """
    >>> share(0, 2).high, share(0, 0)
    (0.841886116991581, Share(hits=0, n=0, low=0.0, high=1.0))
    """
    found = clopper_pearson(hits, n) if n else None
    return Share(hits, n, found.low, found.high) if found else Share(0, 0, 0.0, 1.0)


def leanings(survey: Survey, marks: Callable[[Line], bool | None]) -> tuple[Leaning, Mapping[str, Leaning]]:
    """Of everybody, and by rater. ``marks``: whether a line is right; None where it is no gold, or does not
    count."""
    everybody, by_rater = _Counts(), dict[str, _Counts]()
    by_id = {line.judgment: line for line in survey.lines}
    for line in survey.lines:
        if line.standing != "vote":
            continue
        both = (everybody, by_rater.setdefault(line.rater, _Counts()))
        for name, hit in _told(survey, line, by_id, marks):
            for counts in both:
                counts.add(name, hit)
    return everybody.leaning(), {rater: counts.leaning() for rater, counts in by_rater.items()}


def _told(
    survey: Survey, line: Line, by_id: Mapping[str, Line], marks: Callable[[Line], bool | None]
) -> Iterable[tuple[str, bool]]:
    """What one judgment adds to which measure."""
    if len(line.shown) == 2 and len(line.tiers) == 2:
        yield "first", line.tiers[0] == line.shown[:1]
    if line.for_one and not line.abstention:
        question = survey.questions.get(line.question)
        earlier = by_id.get(question.revisits or "") if question and not question.evidence else None
        if earlier is not None and earlier.rater == line.rater and earlier.tiers and line.tiers:
            yield "same", _tiers(earlier) == _tiers(line)
            if len(line.shown) == len(line.tiers) == len(earlier.tiers) == 2:
                place = line.shown.index(line.tiers[0][0])
                yield "same_place", place == earlier.shown.index(earlier.tiers[0][0])
        right = marks(line)
        if right is not None:
            yield "gold", right


def _tiers(line: Line) -> list[list[str]]:
    return [sorted(tier) for tier in line.tiers]


def flags(by_rater: Mapping[str, Leaning]) -> list[Flag]:
    """Raters of whom a bound leaves no other reading; a person decides what that means.

    Of 8 gold questions 3 right may at most be .71 of all; of 8 with 5 right it may be .89:

    >>> none, few = share(0, 0), share(3, 8)
    >>> found = flags({"r": Leaning(none, none, none, few), "s": Leaning(none, none, none, share(5, 8))})
    >>> [(flag.rater, flag.what, round(flag.bound, 3)) for flag in found]
    [('r', 'gold', 0.711)]
    """
    found: list[Flag] = []
    for rater, own in sorted(by_rater.items()):
        measured: tuple[tuple[Measure, Share, float], ...] = (
            ("gold", own.gold, GOLD),
            ("consistency", own.same, CONSISTENT),
        )
        for what, of, limit in measured:
            if of.n and (high := clopper_pearson(of.hits, of.n, _ONE_SIDED).high) < limit:
                found.append(Flag(rater, what, of, high, limit))
        if own.first.n:
            low, high = clopper_pearson(own.first.hits, own.first.n, _ONE_SIDED)[1:]
            if low > PLACE:
                found.append(Flag(rater, "place", own.first, low, PLACE))
            elif high < 1 - PLACE:
                found.append(Flag(rater, "place", own.first, high, 1 - PLACE))
    return found
