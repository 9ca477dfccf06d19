"""Figures: from outcomes to readings, and what stands beside each: noise floor, smallest shift, slices.

A change is the model's outcome less the base's on the same items, with an interval over items. The smallest
shift is that of a guard with its defaults, resampled from the base's outcomes (``accord.maths.detecting``).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from accord.auditing.looking import RUN, UNREAD, Base, Kept, Way, name_of
from accord.auditing.programme import Course
from accord.maths.detecting import Pool, Schedule, minimum_detectable, probes_needed
from accord.maths.intervals import Interval, cluster_mean, share_of
from accord.maths.noise import halves, two_draws
from accord.maths.resampling import Figure, figured, figured_apart, figured_change
from accord.maths.spending import arming_delta
from accord.pages import TOLERANCES, Tolerance
from accord.plan import GuardTable
from accord.ports import Pooled
from accord.records import NotMeasured, Reading, digest
from accord.records.rows import Floats
from accord.sources import seeded

__all__ = ["Beside", "Floor", "Slice", "beside", "floor_of", "levels", "read", "sliced"]

_DELTA = 0.01  # of a pipeline; one stage has all of it
_UNIT = "outcome, 1 adverse"


class Floor(NamedTuple):
    """How far two looks at the base came apart. ``way``: two draws of items or answers, or halves of one."""

    value: float
    low: float
    high: float
    way: Way


class Beside(NamedTuple):
    """What stands beside a criterion of a base. ``smallest``: the least lasting rise that would page within
    ``audits`` audits of ``probes`` items in 9 of 10 runs, None for none up to .5; ``doubled`` is twice the
    tolerance, and ``needed`` the probes an audit with which that would page. Without a ``tolerance`` it
    reports, and pages nothing."""

    noise: Floor | None
    tolerance: str = ""
    smallest: float | None = None
    doubled: float | None = None
    needed: int | None = None
    probes: int = 0
    audits: int = 0


class Slice(NamedTuple):
    """A figure of the items of one slice; without an interval where there is one item."""

    value: float
    low: float | None
    high: float | None
    change: float | None
    change_low: float | None
    change_high: float | None
    n: int


def read(course: Course, kept: Kept | str, base: Kept | str | None) -> list[Reading | NotMeasured]:
    """One reading for each criterion of a course; a level where there is no base."""
    gap = kept if isinstance(kept, str) else base if isinstance(base, str) else None
    names = [f"{course.indicator.name}.{criterion}" for criterion in course.indicator.criteria]
    if gap is not None or isinstance(kept, str) or isinstance(base, str):
        return [NotMeasured(run=RUN, name=name, step=0, reason=gap or UNREAD) for name in names]
    return [_reading(course, c, kept, base) for c in course.indicator.criteria]


def levels(reading: Reading | NotMeasured) -> Reading | NotMeasured:
    """The reading without what only a base gives it a meaning."""
    none: dict[str, None] = dict.fromkeys(("base", "change", "change_low", "change_high"))
    return reading.model_copy(update=none) if isinstance(reading, Reading) else reading


def sliced(course: Course, reading: Reading, kept: Kept) -> dict[str, Slice]:
    """The figures of each slice of the panel that items were drawn from; nothing where there is only one, or
    where a figure is no mean of its items."""
    if isinstance(course.indicator, Pooled):
        return {}
    slices = [item.slice for item in kept.items]
    outcome, anchor = np.array(reading.outcomes), np.array(reading.anchors)
    found: dict[str, Slice] = {}
    for name in sorted(set(slices)) if len(set(slices)) > 1 else ():
        at = np.array([one == name for one in slices])
        level = _interval(outcome[at], reading.name, "level", name)
        moved = _interval((outcome - anchor)[at], reading.name, "change", name) if anchor.size else None
        found[name or "(none)"] = Slice(*level, *(moved or (None, None, None)), n=int(at.sum()))
    return found


def beside(course: Course, base: Base, audits: int) -> dict[str, Beside]:
    """For each criterion what two looks at the base tell of it."""
    key = name_of(course)
    kept, again = base.kept[key], base.again.get(key)
    if isinstance(kept, str):
        return {}
    found: dict[str, Beside] = {}
    for criterion in course.indicator.criteria:
        name = f"{course.indicator.name}.{criterion}"
        first_I = _anchors(kept, criterion)
        noise = _noise(course, criterion, first_I, again)
        tolerance = TOLERANCES.get(name)
        found[name] = (
            Beside(noise) if tolerance is None else _detected(course, name, first_I, tolerance, audits)
        )
        found[name] = found[name]._replace(noise=noise)
    return found


def floor_of(reading: Reading | NotMeasured, way: Way) -> Floor | None:
    """The noise floor in the reading of a base beside itself."""
    if isinstance(reading, NotMeasured) or reading.change is None:
        return None
    low, high = reading.change_low, reading.change_high
    return None if low is None or high is None else Floor(reading.change, low, high, way)


def _reading(course: Course, criterion: str, kept: Kept, base: Kept | None) -> Reading:
    indicator, name = course.indicator, f"{course.indicator.name}.{criterion}"
    given = kept.observed.outcomes[criterion]
    outcome = np.array([1.0 if x is None else x for x in given])
    figure = _figure(course, criterion)
    level = _level(figure, outcome, name)
    told: dict[str, object] = {}
    if base is not None:
        anchor = _anchors(base, criterion)
        moved = _change(figure, outcome, anchor, name)
        level_0 = float(anchor.mean()) if figure is None else figure(anchor)
        told = {"base": level_0, "change": moved.value, "anchors": tuple(anchor.tolist())}
        told |= {"change_low": moved.low, "change_high": moved.high}
    panel, ruler = course.panel.digest, kept.observed.ruler
    fields: dict[str, object] = {
        "run": RUN,
        "name": name,
        "step": 0,
        "instrument": digest({"config": indicator.config, "panel": panel, "ruler": ruler}),
        "value": level.value,
        "low": level.low,
        "high": level.high,
        "unit": _UNIT,
        "n": len(outcome),
        "items": tuple(item.id for item in kept.items),
        "outcomes": tuple(outcome.tolist()),
        "unjudged": tuple(i for i, x in enumerate(given) if x is None),
        "cost": kept.observed.cost,
        "parents": tuple(dict.fromkeys(r.id for group in kept.observed.said for r in group.responses)),
    }
    return Reading.model_validate({**fields, **told})


def _figure(course: Course, criterion: str) -> Figure | None:
    """What a criterion's figure is of all outcomes, where it is no mean."""
    indicator = course.indicator
    return partial(indicator.pooled, criterion) if isinstance(indicator, Pooled) else None


def _level(figure: Figure | None, outcome_I: Floats, name: str) -> Interval:
    rng = seeded(RUN, "interval", name)
    return share_of(_each(outcome_I), rng) if figure is None else figured(figure, outcome_I, rng)


def _change(figure: Figure | None, outcome_I: Floats, anchor_I: Floats, name: str) -> Interval:
    rng = seeded(RUN, "interval", name)
    if figure is None:
        return cluster_mean(_each(outcome_I - anchor_I), rng)
    return figured_change(figure, outcome_I, anchor_I, rng)


def _noise(course: Course, criterion: str, first_I: Floats, again: Kept | str | None) -> Floor | None:
    """How far two looks at the base come apart: two draws of items, or halves of one."""
    rng = seeded(RUN, "noise", f"{course.indicator.name}.{criterion}")
    figure = _figure(course, criterion)
    if isinstance(again, Kept):
        second_I = _anchors(again, criterion)
        if figure is None:
            return Floor(*two_draws(first_I, second_I, rng), way="two draws")
        return Floor(*figured_apart(figure, second_I, first_I, rng), way="two draws")
    if first_I.size < 4:
        return None
    if figure is None:
        return Floor(*halves(first_I, rng), way="halves")
    return Floor(*figured_apart(figure, first_I[1::2], first_I[::2], rng), way="halves")


def _anchors(kept: Kept, criterion: str) -> Floats:
    """The base's outcomes; what it cannot judge counts as 0, so the change is at its largest."""
    return np.array([0.0 if x is None else x for x in kept.observed.outcomes[criterion]])


def _each(values_I: Floats) -> list[Floats]:
    return [values_I[i : i + 1] for i in range(values_I.size)]


def _interval(values_I: Floats, *what: str) -> tuple[float, float | None, float | None]:
    if values_I.size < 2:
        return float(values_I.mean()), None, None
    found: Interval = cluster_mean(_each(values_I), seeded(RUN, "slice", *what))
    return found


def _detected(course: Course, name: str, base_I: Floats, tolerance: Tolerance, audits: int) -> Beside:
    """The smallest shift a guard with its defaults would page, in the criterion's own units."""
    armed = {table.name for table in GuardTable().indicator} | {course.indicator.name}
    indicators = armed & {one.partition(".")[0] for one in TOLERANCES}
    probes = max(1, round(GuardTable().items * course.indicator.share))
    among = len(indicators) * len(course.indicator.criteria)
    schedule = Schedule(audits, probes, tolerance.tau, among, 1 / arming_delta(_DELTA, 0))
    # A tolerated rise divides outcomes by 1 + rise before they are compared.
    scale = 1 + (tolerance.rise or 0.0)
    pool = Pool(tolerance.differences(base_I, base_I), tolerance.differences(np.ones_like(base_I), base_I))
    smallest = minimum_detectable(pool, schedule, seeded(RUN, "smallest", name))
    doubled = 2 * _tau(tolerance, base_I)
    needed = probes_needed(pool, schedule, doubled / scale, seeded(RUN, "needed", name))
    return Beside(
        noise=None,
        tolerance=str(tolerance),
        smallest=None if smallest is None else smallest * scale,
        doubled=doubled,
        needed=needed,
        probes=probes,
        audits=audits,
    )


def _tau(tolerance: Tolerance, base_I: Floats) -> float:
    """The tolerance as a rise of the mean outcome."""
    if tolerance.rise is not None:
        return tolerance.rise * float(base_I.mean())
    if tolerance.fall is not None:
        return tolerance.fall * float(1 - base_I.mean())
    return tolerance.tau
