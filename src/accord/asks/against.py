"""Compare every answer with a base answer to the same prompt: Compare → ``score``, a row per answer.

The base answer stands in the data: the field ``base`` of each row, which a model wrote beforehand or a person
did. ``distribution``: score = logit p clipped to ±4, p as in ``pairs`` for the answer; ``per_group``: that of
each group of raters; ``majority``: ±4, or 0 where nobody has one. What every rater prefers is worth 4 and not
∞, so that it can be averaged. An answer nobody judged is missing, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from accord.asks import Allows, Apart, Strength, asked, by_answer, cast, compared, comparing
from accord.errors import PlanError
from accord.maths.votes import clipped_logit, most, shares
from accord.part import Part
from accord.ports import Columns
from accord.records import Judgment, Kind, Prompt, Question, Response
from accord.records.rows import Group

__all__ = ["Against"]


class Against(Part, Apart):
    """One Compare question per answer. PlanError for a prompt without a base answer."""

    column: Literal["score"]
    collapse: Literal["distribution", "majority", "per_group"]
    base: str = Field(default="reference", min_length=1)
    wording: str = ""
    allows: Allows = ("tie", "abstention")
    strength: Strength = None

    def quoted(self, groups: Sequence[Group]) -> list[Response]:
        return list({group.prompt.id: self._base(group.prompt) for group in groups}.values())

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = compared(self.wording, self.allows, self.strength)
        base = {group.prompt.id: self._base(group.prompt).id for group in groups}
        return [
            asked(Kind.COMPARE, group.prompt.id, (response.id, base[group.prompt.id]), instrument)
            for group in groups
            for response in group.responses
        ]

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        questions = self.questions(groups)

        def table(said: Sequence[Judgment]) -> Columns:
            votes = [vote for vote in cast(questions, said, self.strength) if vote.mass]
            p = shares(votes)
            found = {q.responses[0]: p.get((q.responses[0], q.responses[1]), math.nan) for q in questions}
            if self.collapse == "majority":
                found = {answer: most(x) for answer, x in found.items()}
            score = {answer: clipped_logit(x) for answer, x in found.items()}
            return by_answer(self.column, groups, score, comparing(votes))

        return self.apart(judgments, table) if self.collapse == "per_group" else table(judgments)

    def _base(self, prompt: Prompt) -> Response:
        text = prompt.columns.get(self.base)
        if not isinstance(text, str):
            has = ", ".join(sorted(prompt.columns)) or "no field beside the prompt"
            advice = f"{prompt.text[:60]!r} has {has}; columns of the source names a field anew"
            raise PlanError("ask.base", self.base, "a field of every row that holds the base answer", advice)
        return Response(prompt=prompt.id, text=text, finish="data", parents=(prompt.id,))
