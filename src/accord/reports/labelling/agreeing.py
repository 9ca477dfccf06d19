"""How far raters agree, by what they were asked: α of rankings, of grades (each dimension), of labels.

Only questions that were asked of everybody: gold and repeats would count one rater twice, or what is easy on
purpose. Critiques and texts have no α.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from accord.maths.agreement import (
    Alpha,
    Ranking,
    Undefined,
    coded,
    nominal_alpha,
    ordinal_alpha,
    ranking_alpha,
)
from accord.maths.intervals import Floats
from accord.records import Kind, Question
from accord.stores.people.surveying import Line, Survey

__all__ = ["DRAWS", "Agreement", "Divided", "agreements", "divided"]

DRAWS = 999  # resamples behind an interval
_ID = 64  # a score without a dimension is named by the answer's id


class Agreement(NamedTuple):
    """``what`` was agreed on or not, and how far."""

    what: str
    found: Alpha | Undefined


class Divided(NamedTuple):
    """A question on which verdicts differ: how many there are, and how many say what most say."""

    question: str
    votes: int
    most: int


def agreements(survey: Survey, rng: np.random.Generator) -> list[Agreement]:
    """One for each kind of verdict that there is; nothing where nobody gave one."""
    by_question: dict[str, list[Line]] = {}
    for line in survey.lines:
        if line.standing == "vote" and not line.for_one and line.said:
            by_question.setdefault(line.question, []).append(line)
    asked = [(survey.questions[id_], lines) for id_, lines in by_question.items() if id_ in survey.questions]
    found: list[Agreement] = []
    compared = [(q, lines) for q, lines in asked if q.asks is Kind.COMPARE]
    if compared:
        tiers = [[_ranking(question, line) for line in lines if line.tiers] for question, lines in compared]
        found.append(Agreement("comparisons", ranking_alpha(tiers, rng, DRAWS)))
    found += _grades([lines for q, lines in asked if q.asks is Kind.GRADE], rng)
    labelled = [lines for q, lines in asked if q.asks is Kind.LABEL]
    if labelled:
        said = [[" + ".join(line.tags) for line in lines if line.tags] for lines in labelled]
        wide = max(len(row) for row in said)
        found.append(
            Agreement(
                "labels",
                nominal_alpha(coded([[*row, *[None] * (wide - len(row))] for row in said]), rng, DRAWS),
            )
        )
    return found


def divided(survey: Survey, most: int = 200) -> list[Divided]:
    """Questions whose slots are all closed and on which verdicts differ, the most divided first."""
    said: dict[str, Counter[object]] = {}
    for line in survey.lines:
        if line.standing == "vote" and not line.for_one and (line.tiers or line.tags or line.scores):
            tiers = tuple(tuple(sorted(tier)) for tier in line.tiers)
            verdict = (tiers, line.bad, line.tags, tuple(sorted(line.scores.items())))
            said.setdefault(line.question, Counter())[verdict] += 1
    found = [
        Divided(question, verdicts.total(), max(verdicts.values()))
        for question, verdicts in said.items()
        if len(verdicts) > 1 and (slots := survey.slots.get(question)) and not slots.open + slots.leased
    ]
    return sorted(found, key=lambda one: (one.most / one.votes, -one.votes, one.question))[:most]


def _ranking(question: Question, line: Line) -> Ranking:
    place = {answer: k for k, tier in enumerate(line.tiers) for answer in tier}
    return [place[answer] for answer in question.responses]


def _grades(asked: list[list[Line]], rng: np.random.Generator) -> list[Agreement]:
    """Of each dimension; of grades without a name, of which answers have one each, of all together."""
    by_dimension: dict[str, list[list[float]]] = {}
    for lines in asked:
        for name in dict.fromkeys(name for line in lines for name in line.scores):
            told = [line.scores[name] for line in lines if name in line.scores]
            by_dimension.setdefault("" if len(name) == _ID else name, []).append(told)
    return [
        Agreement(f"grades: {name}" if name else "grades", ordinal_alpha(_numbers(rows), rng, DRAWS))
        for name, rows in by_dimension.items()
    ]


def _numbers(rows: list[list[float]]) -> Floats:
    """As wide as the longest row. Who said what makes no difference to α, so columns are places."""
    wide = max(len(row) for row in rows)
    return np.array([[*row, *[math.nan] * (wide - len(row))] for row in rows])
