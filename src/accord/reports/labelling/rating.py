"""Who is preferred to whom, where answers come from several policies; and whether choosing questions helped.

Items are the policies whose answers were compared. Votes count on questions whose slots are all closed, since
those that close fast are others than those that do not. Whether an arm helps is asked of held-out questions
of the random arm (``accord.maths.arms``): half of them, by a hash of their ids. That needs answers that stand
in several questions, or policies: a fit of answers that are met once predicts nothing of others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from accord.maths.arms import Helps, arm_gain
from accord.maths.intervals import Interval, Ints
from accord.maths.rating_intervals import (
    Accepted,
    Ballots,
    NoInterval,
    Sure,
    acceptability,
    all_fits,
    difference,
)
from accord.maths.ratings import Votes
from accord.maths.selection import RANDOM, pool_size
from accord.records import Question
from accord.stores.people.surveying import Line, Survey

__all__ = ["Arm", "Rated", "Ratings", "Reading", "arms", "ratings"]

LEAST_VOTES, LEAST_HELD_OUT = 30, 10
MOST = 30  # policies that a page shows


class Reading(NamedTuple):
    """One way to read the votes: log π over the first item's, with its interval where there is one; why there
    is none, else."""

    name: str
    differences: tuple[Interval | None, ...]
    values: tuple[float, ...]
    why: str


class Rated(NamedTuple):
    """A policy, the votes that it was in, and how often its answers were good enough."""

    name: str
    votes: int
    accepted: Accepted | None


class Ratings(NamedTuple):
    """``items``: the one met most often first, the others are over or under it. ``unclosed``: the share of
    votes left out, because other slots of their question were still open. ``why``: there are none, and why.
    """

    items: tuple[Rated, ...]
    readings: tuple[Reading, ...]
    votes: int
    unclosed: float
    why: str


class Arm(NamedTuple):
    """An active arm against the random one. ``why``: it cannot be told yet; else ``helps`` tells."""

    name: str
    votes: int
    random: int
    held_out: int
    helps: Helps | None
    why: str


class _Pairs(NamedTuple):
    """Votes on pairs of items, and the line and question of each."""

    votes: Votes
    lines: list[Line]
    questions: list[Question]


def ratings(survey: Survey, rng: np.random.Generator) -> Ratings:
    """Of all policies that met in a comparison."""
    names = _policies(survey)
    pairs = _pairs(survey, names)
    met = np.concatenate([pairs.votes.first_V, pairs.votes.second_V])
    if met.size == 0:
        why = "no two answers of different policies were compared"
        return Ratings((), (), 0, 0.0, why)
    counts = np.bincount(met, minlength=len(names))
    order = sorted((i for i in range(len(names)) if counts[i]), key=lambda i: (-counts[i], i))
    kept = order[:MOST]
    closed = {id_: s.open == s.leased == 0 and s.closed > 0 for id_, s in survey.slots.items()}
    selections = [question.selection for question in pairs.questions]
    random = np.array([s is not None and s.arm == "random" for s in selections])
    ballots = Ballots(
        pairs.votes,
        _numbered([line.rater for line in pairs.lines]),
        np.array([s.propensity if s else np.nan for s in selections]),
        np.array([float(pool_size(s)) if s else np.nan for s in selections]),
        random,
        np.array([closed.get(question.id, False) for question in pairs.questions]),
        np.full(len(pairs.lines), -1),
    )
    try:
        fits = all_fits(ballots, len(names), RANDOM)
    except ArithmeticError as error:  # long chains of few votes do not come to rest
        return Ratings((), (), len(pairs.lines), 0.0, str(error))
    ways = (("all votes", fits.unweighted), ("weighted", fits.weighted), ("random arm", fits.random_only))
    drawn = any(s is not None for s in selections)
    readings = [_reading(name, fit, kept) for name, fit in ways if name == "all votes" or drawn]
    by_name = list(names)
    good = _accepted(survey, names, rng)
    items = tuple(Rated(by_name[i], int(counts[i]), good[i]) for i in kept)
    return Ratings(items, tuple(readings), len(pairs.lines), fits.unclosed, "")


def _reading(name: str, fit: Sure | NoInterval | None, kept: list[int]) -> Reading:
    if fit is None:
        return Reading(name, (), (), "no vote on a question whose slots are all closed")
    values = tuple(float(fit.ratings.log_pi_K[i] - fit.ratings.log_pi_K[kept[0]]) for i in kept)
    if isinstance(fit, NoInterval):
        return Reading(name, tuple(None for _ in kept), values, fit.why)
    return Reading(name, tuple(difference(fit, i, kept[0]) for i in kept), values, "")


def _policies(survey: Survey) -> dict[str, int]:
    """Numbers of the policies of answers that are in a question; an answer without one came with data."""
    answers = {answer for question in survey.questions.values() for answer in question.responses}
    found = sorted({survey.policies.get(answer, "data") for answer in answers})
    return {name: number for number, name in enumerate(found)}


def _pairs(survey: Survey, items: Mapping[str, int], by_policy: bool = True) -> _Pairs:
    """Every comparison of two answers whose items differ, once for each who said something."""
    rows: list[tuple[int, int, float, float, float]] = []
    lines: list[Line] = []
    questions: list[Question] = []
    for line in survey.lines:
        if line.standing != "vote" or line.for_one or line.said != "ranked" or len(line.shown) != 2:
            continue
        question = survey.questions[line.question]
        one, two = (
            items[survey.policies.get(answer, "data") if by_policy else answer]
            for answer in question.responses
        )
        if one == two:
            continue
        tied, won = len(line.tiers) == 1, line.tiers[0][0] == question.responses[0]
        rows.append((one, two, float(won and not tied), float(not won and not tied), float(tied)))
        lines.append(line)
        questions.append(question)
    columns = list(zip(*rows, strict=True)) or [()] * 5
    first, second, *said = columns
    votes = Votes(np.array(first, int), np.array(second, int), *(np.array(one, float) for one in said))
    return _Pairs(votes, lines, questions)


def _accepted(survey: Survey, items: Mapping[str, int], rng: np.random.Generator) -> list[Accepted | None]:
    """Good enough or not, where somebody said of a comparison that none is; else of a win that it is."""
    item: list[int] = []
    good: list[bool] = []
    rater: list[str] = []
    for line in survey.lines:
        if line.standing != "vote" or line.for_one or line.said != "ranked":
            continue
        question = survey.questions[line.question]
        if "acceptability" not in question.instrument.allows:
            continue
        for answer in question.responses:
            item.append(items[survey.policies.get(answer, "data")])
            good.append(not line.bad)
            rater.append(line.rater)
    if not item:
        return [None] * len(items)
    return list(acceptability(np.array(item), np.array(good), _numbered(rater), len(items), rng))


def _numbered(names: list[str]) -> Ints:
    return np.unique(np.array(names), return_inverse=True)[1]


def arms(survey: Survey, rng: np.random.Generator) -> list[Arm]:
    """Every active arm that chose a question."""
    chosen = {q.selection.arm for q in survey.questions.values() if q.selection}
    active = sorted(chosen - {"random"})
    if not active:
        return []
    items, by_policy = _items(survey)
    pairs = _pairs(survey, items, by_policy)
    arm_V = np.array([q.selection.arm if q.selection else "" for q in pairs.questions], dtype=object)
    question_V = _numbered([q.id for q in pairs.questions]) if pairs.questions else np.zeros(0, int)
    held_V = np.array([a == "random" and _held_out(q) for a, q in zip(arm_V, pairs.questions, strict=True)])
    held_V = held_V.astype(bool)
    random_V = (arm_V == "random") & ~held_V
    held_out = len(np.unique(question_V[held_V]))
    found: list[Arm] = []
    for name in active:
        own_V = arm_V == name
        counts = (int(own_V.sum()), int(random_V.sum()), held_out)
        alone = len(items) < 2
        why = "no answer stands in two questions, and all are of one policy" if alone else _too_few(counts)
        helps = None
        if not why:
            own, random, held = (pairs.votes.take(which) for which in (own_V, random_V, held_V))
            try:
                helps = arm_gain(own, random, held, question_V[held_V], len(items), rng)
            except ArithmeticError as error:
                why = str(error)
        found.append(Arm(name, *counts, helps, why))
    return found


def _items(survey: Survey) -> tuple[Mapping[str, int], bool]:
    """What is rated, and whether by policy: answers, where one stands in two questions; else policies."""
    seen: dict[str, int] = {}
    for question in survey.questions.values():
        if question.revisits is None:
            for answer in question.responses:
                seen[answer] = seen.get(answer, 0) + 1
    if any(count > 1 for count in seen.values()):
        return {answer: number for number, answer in enumerate(seen)}, False
    return _policies(survey), True


def _held_out(question: Question) -> bool:
    return int(question.id[-1], 16) % 2 == 0


def _too_few(counts: tuple[int, int, int]) -> str:
    active, random, held_out = counts
    if min(active, random) < LEAST_VOTES:
        return f"too few votes to tell: {active} of this arm, {random} of the random one; {LEAST_VOTES} each"
    if held_out < LEAST_HELD_OUT:
        return f"too few held-out questions of the random arm: {held_out} of {LEAST_HELD_OUT}"
    return ""
