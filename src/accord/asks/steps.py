"""Grade every step of an answer: Grade → ``score``, a row per step, which becomes the step's label.

For answers that the data holds in steps (``accord.stepwise``): the answers of a group are the steps of one,
in order. A question is about one step; the steps before it are shown beside it as evidence, and what follows
is not, so that a step is judged by what it could know. A source writes the grades into the places of the
file's labels, which ``process_reward_model`` reads: 1 is right, 0 wrong, a share of raters lies between.
``distribution``: the mean grade; ``per_group``: that of each group of raters; ``majority``: the median;
``quantile``: the q-quantile. A step nobody graded is missing, never wrong: it is read, and teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from pydantic import Field

from accord.asks import Apart, asked, graded, one_grade
from accord.errors import PlanError
from accord.part import Part
from accord.ports import Columns
from accord.records import Instrument, Judgment, Kind, Question
from accord.records.rows import Group

__all__ = ["Steps", "in_order"]


def in_order(group: Group) -> bool:
    """Whether each answer of the group begins where the one before it ends, as the steps of one answer do.

    >>> from accord.testing import a_group
    >>> whole = a_group("Why?", "a", "b")
    >>> first, second = whole.responses
    >>> then = second.model_copy(update={"prompt_tokens": first.prompt_tokens + first.tokens})
    >>> in_order(whole), in_order(whole._replace(responses=(first, then)))
    (False, True)
    """
    return all(
        later.prompt_tokens == before.prompt_tokens + before.tokens
        for before, later in pairwise(group.responses)
    )


class Steps(Part, Apart):
    """One Grade question per step."""

    column: Literal["score"]
    collapse: Literal["distribution", "majority", "per_group", "quantile"]
    q: float = Field(default=0.1, gt=0, lt=1)
    wording: str = "Is this step right, given those before it?"
    scale: tuple[float, float] = (0.0, 1.0)

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = Instrument(wording=self.wording, scale=self.scale)
        found: list[Question] = []
        for group in groups:
            if not in_order(group):
                advice = "process_reward_model learns from answers in steps; for whole answers ask each"
                raise PlanError(
                    "ask.name", "steps", "answers in steps, as rows with completions have them", advice
                )
            steps = tuple(response.id for response in group.responses)
            found += [
                asked(Kind.GRADE, group.prompt.id, (step,), instrument, steps[:k])
                for k, step in enumerate(steps)
            ]
        return found

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        questions = self.questions(groups)

        def table(said: Sequence[Judgment]) -> Columns:
            return graded(
                self.column, questions, said, lambda grades: one_grade(grades, self.collapse, self.q)
            )

        return self.apart(judgments, table) if self.collapse == "per_group" else table(judgments)
