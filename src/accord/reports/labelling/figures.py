"""All figures of a labelling project, from one survey of its database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from accord.reports.labelling.agreeing import Agreement, Divided, agreements, divided
from accord.reports.labelling.covering import (
    Done,
    Finish,
    Row,
    Work,
    by_arm,
    by_stratum,
    finish,
    skipped,
    total,
    works,
)
from accord.reports.labelling.leaning import Flag, Leaning, flags, leanings
from accord.reports.labelling.rating import Arm, Ratings, arms, ratings
from accord.stores.people.surveying import Line, Survey

__all__ = ["Figures", "Group", "figures", "groups_of"]


class Figures(NamedTuple):
    """``seq``: the last event that is in them; ``at``: when they were computed. ``judged``: votes that stand,
    skips and those in slots for one rater included; ``late`` and ``adjudicated`` stand beside them."""

    seq: int
    at: float
    judged: int
    late: int
    adjudicated: int
    done: Done
    strata: tuple[Row, ...]
    arms: tuple[Row, ...]
    gains: tuple[Arm, ...]
    agreement: tuple[Agreement, ...]
    leaning: Leaning
    by_rater: Mapping[str, Leaning]
    flags: tuple[Flag, ...]
    skipped: tuple[tuple[str, int], ...]
    works: tuple[Work, ...]
    ratings: Ratings
    finish: Finish
    days: tuple[tuple[int, int], ...]
    divided: tuple[Divided, ...]


class Group(NamedTuple):
    """A value that raters said of themselves: how many of those who voted. Never of fewer than k.

    Not how many votes: looked at twice, a sum tells whoever voted in between, and so who is in the group.
    """

    attribute: str
    value: str
    raters: int


def figures(survey: Survey, minimum: int, now: float, marks: Callable[[Line], bool | None]) -> Figures:
    """Computed anew. ``marks``: see ``leaning.py``. Seeded: the same votes give the same intervals."""
    standing = Counter(line.standing for line in survey.lines)
    everybody, by_rater = leanings(survey, marks)
    return Figures(
        survey.seq,
        now,
        standing["vote"],
        standing["late"],
        standing["adjudicated"],
        total(survey),
        tuple(by_stratum(survey)),
        tuple(by_arm(survey)),
        tuple(arms(survey, np.random.default_rng(1))),
        tuple(agreements(survey, np.random.default_rng(2))),
        everybody,
        by_rater,
        tuple(flags(by_rater)),
        tuple(skipped(survey.lines)),
        tuple(works(survey.lines, minimum)),
        ratings(survey, np.random.default_rng(3)),
        finish(survey, now),
        _days(survey),
        tuple(divided(survey)),
    )


def _days(survey: Survey) -> tuple[tuple[int, int], ...]:
    """Votes by day, as whole days since the epoch (UTC)."""
    return tuple(
        sorted(Counter(int(line.at // 86_400) for line in survey.lines if line.standing == "vote").items())
    )


def groups_of(
    members: Mapping[str, Mapping[str, str]],
    works: tuple[Work, ...],
    shown: Callable[[Mapping[str, int], int], list[str]],
) -> tuple[list[Group], dict[str, int]]:
    """Groups of raters who voted, and how many values of each attribute are hidden. ``members``: by rater,
    with consent; ``shown``: which cells may be (``cells_shown`` at k)."""
    voted = {work.rater for work in works}
    found: list[Group] = []
    hidden: dict[str, int] = {}
    for attribute in sorted({name for rater in voted for name in members.get(rater, {})}):
        sizes = Counter(members[rater][attribute] for rater in voted if attribute in members.get(rater, {}))
        may = shown(sizes, len(voted))
        hidden[attribute] = len(sizes) - len(may)
        found += [Group(attribute, value, sizes[value]) for value in may]
    return found, hidden
