"""Grade every answer: Grade → ``score``, ``cost:<id>``, or ``gold`` (read, not trained on); a row per answer.

``collapse`` says how several verdicts on one answer become one number, and has no default: ``distribution``
takes the mean grade, ``majority`` the median, ``quantile`` the q-quantile. A verdict's dimensions are
averaged first. An answer nobody graded is missing, never 0. Beside a score stands ``spread`` where a model
graded with several heads: their standard deviation (n − 1), averaged over verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from accord.part import Part
from accord.ports import Columns
from accord.records import Graded, Instrument, Judgment, Kind, Question
from accord.records.rows import Group

__all__ = ["Each"]


class Each(Part):
    """One Grade question per answer."""

    column: str = Field(pattern=r"^(score|gold|cost:[a-z0-9_-]+)$")
    collapse: Literal["distribution", "majority", "quantile"]
    q: float = Field(default=0.1, gt=0, lt=1)
    wording: str = ""

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = Instrument(wording=self.wording)
        return [
            Question(
                asks=Kind.GRADE,
                prompt=group.prompt.id,
                responses=(response.id,),
                instrument=instrument,
                parents=(group.prompt.id, response.id),
            )
            for group in groups
            for response in group.responses
        ]

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        votes: dict[str, list[Judgment]] = {}
        for judgment in judgments:
            votes.setdefault(judgment.question, []).append(judgment)
        questions = self.questions(groups)
        cast = [[j for j in votes.get(q.id, []) if isinstance(j.verdict, Graded)] for q in questions]
        score = np.array([self._collapsed(v) for v in cast], dtype=np.float64)
        values = {self.column: score}
        if self.column == "score" and any(_heads(j) for votes in cast for j in votes):
            values["spread"] = np.array([_spread(v) for v in cast], dtype=np.float64)
        return Columns(
            members=tuple(q.responses for q in questions),
            values=values,
            missing=np.isnan(score),
            parents=tuple(tuple(j.id for j in v) for v in cast),
        )

    def _collapsed(self, votes: Sequence[Judgment]) -> float:
        grades = [
            float(np.mean(list(v.verdict.scores.values()))) for v in votes if isinstance(v.verdict, Graded)
        ]
        if not grades:
            return float("nan")
        match self.collapse:
            case "distribution":
                return float(np.mean(grades))
            case "majority":
                return float(np.median(grades))
            case "quantile":
                return float(np.quantile(grades, self.q))


def _heads(judgment: Judgment) -> list[float]:
    """What the heads of an ensemble said of one answer; a program's parts are no ensemble."""
    verdict = judgment.verdict
    several = judgment.by.type == "model" and isinstance(verdict, Graded) and len(verdict.heads) > 1
    return list(verdict.heads.values()) if several and isinstance(verdict, Graded) else []


def _spread(votes: Sequence[Judgment]) -> float:
    """NaN where no verdict came from several heads."""
    found = [float(np.std(heads, ddof=1)) for vote in votes if (heads := _heads(vote))]
    return float(np.mean(found)) if found else float("nan")
