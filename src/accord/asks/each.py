"""Grade every answer: Grade → ``score``, ``cost:<id>``, or ``gold`` (read, not trained on); a row per answer.

``collapse`` says how several verdicts on one answer become one number, and has no default: ``distribution``
takes the mean grade, ``per_group`` that of each group of raters, ``majority`` the median, ``quantile`` the
q-quantile. A verdict's dimensions are averaged first. An answer nobody graded is missing, never 0. Beside a
score stands ``spread`` where a model graded with several heads: their standard deviation (n − 1), averaged
over verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from accord.asks import Apart, asked, graded, one_grade
from accord.part import Part
from accord.ports import Columns
from accord.problems import problem
from accord.records import Graded, Instrument, Judgment, Kind, Question
from accord.records.rows import Group

__all__ = ["Each"]


class Each(Part, Apart):
    """One Grade question per answer; ``dimensions`` and ``scale`` are for people, who see a scale."""

    column: str = Field(pattern=r"^(score|gold|cost:[a-z0-9_-]+)$")
    collapse: Literal["distribution", "majority", "per_group", "quantile"]
    q: float = Field(default=0.1, gt=0, lt=1)
    wording: str = ""
    dimensions: tuple[str, ...] = ()
    scale: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _one_cost_an_answer(self) -> Self:
        if self.collapse == "per_group" and self.column != "score":
            allowed = '"distribution", "majority" or "quantile"'
            advice = f"per_group gives an answer a number for each group, and {self.column} has one"
            raise problem(["collapse"], self.collapse, allowed, advice)
        return self

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = Instrument(wording=self.wording, dimensions=self.dimensions, scale=self.scale)
        return [
            asked(Kind.GRADE, group.prompt.id, (response.id,), instrument)
            for group in groups
            for response in group.responses
        ]

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        def table(said: Sequence[Judgment]) -> Columns:
            return self._table(groups, said)

        return self.apart(judgments, table) if self.collapse == "per_group" else table(judgments)

    def _table(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        found = graded(
            self.column,
            self.questions(groups),
            judgments,
            lambda grades: one_grade(grades, self.collapse, self.q),
        )
        by_id = {judgment.id: judgment for judgment in judgments}
        cast = [[by_id[judgment] for judgment in parents] for parents in found.parents]
        if self.column == "score" and any(_heads(j) for votes in cast for j in votes):
            spread_R = np.array([_spread(votes) for votes in cast], dtype=np.float64)
            return Columns(found.members, {**found.values, "spread": spread_R}, found.missing, found.parents)
        return found


def _heads(judgment: Judgment) -> list[float]:
    """What the heads of an ensemble said of one answer; a program's parts are no ensemble."""
    verdict = judgment.verdict
    several = judgment.by.type == "model" and isinstance(verdict, Graded) and len(verdict.heads) > 1
    return list(verdict.heads.values()) if several and isinstance(verdict, Graded) else []


def _spread(votes: Sequence[Judgment]) -> float:
    """NaN where no verdict came from several heads."""
    found = [float(np.std(heads, ddof=1)) for vote in votes if (heads := _heads(vote))]
    return float(np.mean(found)) if found else float("nan")
