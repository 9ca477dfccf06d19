"""Bars: what a study must show, as clauses over 95 % intervals that are checked, never read off a table.

A clause is true, false, or not shown either way, where its interval holds the bound. A bar is met where all
of its clauses are, and not met where one is false. Each clause is about one figure; two figures are two
clauses. Intervals are those of ``outcome.py``: over seeds and tasks, arms paired.

``not_below`` and ``ahead`` are the examples to follow for another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from accord.maths.intervals import Interval
from accord.studies.outcome import Series, crossed, paired

__all__ = [
    "Bar",
    "Check",
    "Clause",
    "Outcome",
    "Ruling",
    "above",
    "ahead",
    "below",
    "exactly",
    "holds",
    "in_seeds",
    "near",
    "not_below",
    "ruled",
    "times",
]

Outcome = Literal["met", "not met", "no evidence", "no solution found", "void"]
Arms = Mapping[str, Series]


class Check(NamedTuple):
    """What a clause came to: None where the figures show neither. ``found``: by which figures."""

    held: bool | None
    found: str


class Clause(NamedTuple):
    """One thing that must be shown of one figure. ``check`` is given that figure of each of ``arms``."""

    says: str
    figure: str
    arms: tuple[str, ...]
    check: Callable[[Arms], Check]


class Bar(NamedTuple):
    """All that must be shown, and with how many seeds."""

    clauses: tuple[Clause, ...]
    seeds: int

    def __str__(self) -> str:
        told = "; and ".join(one.says for one in self.clauses)
        return f"{told}, with {self.seeds} seeds or more"


class Ruling(NamedTuple):
    """What it came to, and why. ``checks``: of each clause, also where something else decided; none where the
    cells are void."""

    outcome: Outcome
    why: str
    checks: tuple[Check, ...] = ()


def ruled(
    bar: Bar, found: Mapping[str, Arms], lost: Sequence[str] = (), unsolved: Sequence[str] = ()
) -> Ruling:
    """Whether a bar is met. ``found``: of each figure its arms; ``lost``: cells that crashed or stopped;
    ``unsolved``: cells whose search ended without a solution.

    >>> bar = Bar((not_below("gold", "a", ("b",), 0.05),), seeds=1)
    >>> better, worse = (Series.of({0: {f"task {i}": x for i in range(20)}}) for x in (0.8, 0.2))
    >>> ways = ((better, worse), (worse, better))
    >>> [ruled(bar, {"gold": {"a": one, "b": two}}).outcome for one, two in ways]
    ['met', 'not met']
    >>> ruled(bar, {"gold": {"a": better, "b": worse}}, ("b, seed 3: ValueError",)).outcome
    'not met'
    >>> ruled(bar._replace(seeds=5), {"gold": {"a": better, "b": worse}}).outcome
    'no evidence'
    """
    count = _count(bar.clauses, found)
    checks = tuple(_checked(one, found, count) for one in bar.clauses)
    if lost:
        return Ruling("not met", f"no cell is dropped, and some have no result: {'; '.join(lost)}", checks)
    if unsolved:
        return Ruling("no solution found", "; ".join(unsolved), checks)
    if lacking := _lacking(bar.clauses, found, count):
        return Ruling("no evidence", lacking, checks)
    if count < bar.seeds:
        return Ruling("no evidence", f"{count} seeds of {bar.seeds}", checks)
    why = "; ".join(one.found for one in checks)
    if any(one.held is False for one in checks):
        return Ruling("not met", why, checks)
    return Ruling("met" if all(one.held for one in checks) else "no evidence", why, checks)


def _checked(clause: Clause, found: Mapping[str, Arms], count: int) -> Check:
    """What a clause came to; nothing, where it lacks figures or seeds."""
    if lacking := _lacking((clause,), found, count):
        return Check(None, lacking)
    return clause.check({arm: found[clause.figure][arm] for arm in dict.fromkeys(clause.arms)})


def _lacking(clauses: Sequence[Clause], found: Mapping[str, Arms], count: int) -> str:
    """Which figure of these clauses, or which of so many seeds of it, are not there; "" where none is."""
    spots = _spots(clauses)
    if absent := [f"{arm} has no {figure}" for figure, arm in spots if arm not in found.get(figure, {})]:
        return "; ".join(absent)
    for figure, arm in spots:
        if missing := sorted(set(range(count)) - set(found[figure][arm].seeds)):
            told = ", ".join(map(str, missing))
            return f"{arm} has no {figure} in seed{'s' * (len(missing) > 1)} {told}, and no seed is dropped"
    return ""


def _count(clauses: Sequence[Clause], found: Mapping[str, Arms]) -> int:
    """How many seeds there are: every seed that any arm of the bar has is wanted of all."""
    there = [one for figure, arm in _spots(clauses) if (one := found.get(figure, {}).get(arm)) is not None]
    return 1 + max((seed for one in there for seed in one.seeds), default=-1)


def _spots(clauses: Sequence[Clause]) -> list[tuple[str, str]]:
    """The figures of arms that clauses are about."""
    return list(dict.fromkeys((one.figure, arm) for one in clauses for arm in one.arms))


# Clauses


def above(figure: str, arm: str, least: float) -> Clause:
    """The lower end of the arm's interval is above ``least``.

    >>> above("share", "a", 0.5).check({"a": Series.of({0: {"x": 0.6}, 1: {"x": 0.8}})})
    Check(held=True, found='share of a: 0.700 [0.600, 0.800]')
    """
    says = f"{figure} of {arm} is above {least:g}: the lower end of its 95 % interval"
    return _alone(says, figure, arm, lambda at: _over(at, least))


def below(figure: str, arm: str, most: float) -> Clause:
    """The upper end of the arm's interval is below ``most``."""
    says = f"{figure} of {arm} is below {most:g}: the upper end of its 95 % interval"
    return _alone(says, figure, arm, lambda at: _under(at, most))


def near(figure: str, arm: str, value: float, margin: float) -> Clause:
    """The arm's whole interval lies within ``margin`` of a value: that there is no difference is shown.

    >>> found = {"a": Series.of({0: {"x": 0.1}, 1: {"x": -0.3}})}
    >>> [near("gain", "a", 0, margin).check(found).held for margin in (0.4, 0.2)]
    [True, None]
    """

    def within(at: Interval) -> bool | None:
        ways = (_over(at, value - margin), _under(at, value + margin))
        return False if False in ways else True if all(ways) else None

    says = f"{figure} of {arm} is within {margin:g} of {value:g}: both ends of its 95 % interval"
    return _alone(says, figure, arm, within)


def holds(figure: str, arm: str, value: float) -> Clause:
    """The arm's interval holds a value: nothing speaks against it. That is weak: few tasks hold anything."""
    says = f"the 95 % interval of {figure} of {arm} holds {value:g}"
    return _alone(says, figure, arm, lambda at: at.low <= value <= at.high)


def exactly(figure: str, arm: str, value: float) -> Clause:
    """The figure is this value in every task of every seed."""

    def check(arms: Arms) -> Check:
        other = sum(int((one != value).sum()) for one in arms[arm].values)
        return Check(not other, f"{figure} of {arm}: {arms[arm].total - other} of {arms[arm].total} tasks")

    return Clause(f"{figure} of {arm} is {value:g} in every task of every seed", figure, (arm,), check)


def in_seeds(figure: str, arm: str, least: float, seeds: int) -> Clause:
    """The seed's own mean is ``least`` or more in so many seeds.

    >>> in_seeds("gap", "a", 0.3, 1).check({"a": Series.of({0: {"x": 0.2}, 1: {"x": 0.3}})})
    Check(held=True, found='gap of a: 0.3 or more in 1 of 2 seeds')
    """

    def check(arms: Arms) -> Check:
        means = [float(one.mean()) for one in arms[arm].values]
        good = sum(one >= least for one in means)
        return Check(good >= seeds, f"{figure} of {arm}: {least:g} or more in {good} of {len(means)} seeds")

    return Clause(f"{figure} of {arm} is {least:g} or more in {seeds} seeds or more", figure, (arm,), check)


def ahead(figure: str, arm: str, of: Sequence[str], by: float = 0.0) -> Clause:
    """The arm is above each of the others by more than ``by``, paired.

    >>> arms = {"a": Series.of({0: {"x": 0.9, "y": 0.5}}), "b": Series.of({0: {"x": 0.5, "y": 0.1}})}
    >>> ahead("share", "a", ("b",), 0.3).check(arms)
    Check(held=True, found='a less each, in share: b +0.400 [+0.400, +0.400]')
    """
    more = f" by more than {by:g}" if by else ""
    says = f"{arm} is above {', '.join(of)}{more} in {figure}: the lower end of each paired 95 % interval"
    return _gaps(f"{says} is above {by:g}", figure, arm, of, by)


def not_below(figure: str, arm: str, against: Sequence[str], margin: float) -> Clause:
    """The arm is not below any of the others by more than ``margin``, paired."""
    says = (
        f"{arm} is not below {', '.join(against)} by more than {margin:g} in {figure}: the lower end of each "
        f"paired 95 % interval is above -{margin:g}"
    )
    return _gaps(says, figure, arm, against, -margin)


def times(figure: str, arm: str, of: str, least: float) -> Clause:
    """The arm is more than ``least`` times another, paired. No quotient is taken: the interval is that of
    the arm less so many times the other, which is above 0 where the other is near 0 too.

    >>> arms = {"a": Series.of({0: {"x": 0.9, "y": 0.7}}), "b": Series.of({0: {"x": 0.4, "y": 0.2}})}
    >>> times("share", "a", "b", 2).check(arms)
    Check(held=True, found='a less 2 times b, in share: +0.200 [+0.100, +0.300]')
    """

    def check(arms: Arms) -> Check:
        at = paired(arms[arm], arms[of], times=least)
        held = _over(at, 0.0) if arms[arm].total > 1 else None
        return Check(held, f"{arm} less {least:g} times {of}, in {figure}: {_gap(at)}")

    return Clause(
        f"{arm} is more than {least:g} times {of} in {figure}: the lower end of the paired 95 % interval of "
        f"{arm} less {least:g} times {of} is above 0",
        figure,
        (arm, of),
        check,
    )


def _alone(says: str, figure: str, arm: str, held: Callable[[Interval], bool | None]) -> Clause:
    """A clause about one arm by itself."""

    def check(arms: Arms) -> Check:
        if arms[arm].total == 1:
            return Check(None, f"{figure} of {arm}: {arms[arm].mean:.3f}; one value has no interval")
        at = crossed(arms[arm])
        return Check(held(at), f"{figure} of {arm}: {at.value:.3f} [{at.low:.3f}, {at.high:.3f}]")

    return Clause(says, figure, (arm,), check)


def _gaps(says: str, figure: str, arm: str, others: Sequence[str], bound: float) -> Clause:
    """A clause about one arm less each of several others."""

    def check(arms: Arms) -> Check:
        gaps = {one: paired(arms[arm], arms[one]) for one in others}
        ways = [_over(gap, bound) if arms[arm].total > 1 else None for gap in gaps.values()]
        held = False if False in ways else True if all(ways) else None
        told = ", ".join(f"{one} {_gap(gap)}" for one, gap in gaps.items())
        spans = "" if held is not None else f"; an interval holds {bound:g}"
        return Check(held, f"{arm} less each, in {figure}: {told}{spans}")

    return Clause(says, figure, (arm, *others), check)


def _over(at: Interval, bound: float) -> bool | None:
    return True if at.low > bound else False if at.high < bound else None


def _under(at: Interval, bound: float) -> bool | None:
    return True if at.high < bound else False if at.low > bound else None


def _gap(at: Interval) -> str:
    return f"{at.value:+.3f} [{at.low:+.3f}, {at.high:+.3f}]"
