"""Compare answers two by two: Compare → ``p``, the share that prefers the first; one row per pair.

Answers of a prompt are paired in order (1 with 2, 3 with 4, …); an odd one is left over. ``weight`` is the
number of votes. ``distribution``: p = (votes for + ½ ties) / votes; ``per_group``: that of each group of
raters; ``majority``: p ∈ {0, ½, 1}. ``bt``: a row per answer instead, ``score`` = log π by one fit of Bradley
and Terry over all questions of the window; pairs of one prompt that share no answer have no order between
them, so there a score needs n = 2, or answers that stand in several pairs. A pair that nobody judged, or that
everybody found bad, is missing, never a tie; so is an answer without a finite fit. With ``strength =
"bt_margin"`` a vote of strength s counts as p = σ(s); a vote without one counts whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from accord.asks import Allows, Apart, Strength, asked, cast, compared, rated
from accord.maths.votes import most, share
from accord.part import Part
from accord.ports import Columns
from accord.problems import problem
from accord.records import Judgment, Kind, Question
from accord.records.rows import Group

__all__ = ["Pairs"]


class Pairs(Part, Apart):
    """One Compare question per pair of answers."""

    column: Literal["p", "score"]
    collapse: Literal["distribution", "majority", "per_group", "bt"]
    wording: str = ""
    allows: Allows = ("tie", "abstention")
    strength: Strength = None

    @model_validator(mode="after")
    def _rates_answers_or_compares_them(self) -> Self:
        if (self.collapse == "bt") != (self.column == "score"):
            fitting, what = ("score", "an answer") if self.collapse == "bt" else ("p", "a pair")
            advice = f"collapse = {self.collapse!r} gives {what} a number"
            raise problem(["column"], self.column, f'"{fitting}"', advice)
        return self

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = compared(self.wording, self.allows, self.strength)
        return [
            asked(Kind.COMPARE, group.prompt.id, (first.id, second.id), instrument)
            for group in groups
            for first, second in zip(group.responses[::2], group.responses[1::2], strict=False)
        ]

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        questions = self.questions(groups)
        if self.collapse == "bt":
            return rated(self.column, groups, cast(questions, judgments, self.strength))
        if self.collapse == "per_group":
            return self.apart(judgments, lambda said: self._shares(questions, said))
        return self._shares(questions, judgments)

    def _shares(self, questions: Sequence[Question], judgments: Sequence[Judgment]) -> Columns:
        said: dict[str, list[Judgment]] = {}
        for judgment in judgments:
            said.setdefault(judgment.question, []).append(judgment)
        told = [cast([q], said.get(q.id, []), self.strength) for q in questions]
        counted = [[vote for vote in votes if vote.mass] for votes in told]
        p = [share(votes) for votes in counted]
        p_R = np.array([most(x) for x in p] if self.collapse == "majority" else p, dtype=np.float64)
        return Columns(
            members=tuple(question.responses for question in questions),
            values={
                self.column: p_R,
                "weight": np.array([len(votes) for votes in counted], dtype=np.float64),
            },
            missing=np.array([math.isnan(x) for x in p], dtype=np.bool_),
            parents=tuple(tuple(vote.judgment for vote in votes) for votes in counted),
        )
