"""Compare every answer of a prompt with every other: Compare → ``score``, a row per answer.

Each two answers are one question, or all of them together (``nway``): then a ranking counts as its pairs,
whose weights sum to one vote. ``distribution``: the mean of p over the answers it was compared with, p as in
``pairs``; ``per_group``: that of each group of raters; ``majority``: the share of comparisons won, ½ for an
even one. ``bt``: log π by one fit of Bradley and Terry over all questions of the window, 0 on average over a
prompt. An answer that nobody compared, or that has no finite fit, is missing, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, Self

from pydantic import model_validator

from accord.asks import Allows, Apart, Strength, asked, by_answer, cast, compared, comparing, rated
from accord.maths.votes import shares, win_share
from accord.part import Part
from accord.ports import Columns
from accord.problems import problem
from accord.records import Judgment, Kind, Question
from accord.records.rows import Group

__all__ = ["AllPairs"]


class AllPairs(Part, Apart):
    """One Compare question per two answers of a prompt, or one per prompt."""

    column: Literal["score"]
    collapse: Literal["distribution", "majority", "per_group", "bt"]
    nway: bool = False
    wording: str = ""
    allows: Allows = ("tie", "abstention")
    strength: Strength = None

    @model_validator(mode="after")
    def _strength_is_of_two(self) -> Self:
        if self.nway and self.strength is not None:
            advice = "a ranking of many answers does not say by how much one is better"
            raise problem(["strength"], self.strength, "nothing where nway = true", advice)
        return self

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = compared(self.wording, self.allows, self.strength)
        found: list[Question] = []
        for group in groups:
            answers = tuple(dict.fromkeys(response.id for response in group.responses))
            together = [answers] if self.nway and len(answers) > 1 else list(combinations(answers, 2))
            found += [asked(Kind.COMPARE, group.prompt.id, one, instrument) for one in together]
        return found

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        questions = self.questions(groups)
        if self.collapse == "bt":
            return rated(self.column, groups, cast(questions, judgments, self.strength))

        def table(said: Sequence[Judgment]) -> Columns:
            return self._wins(groups, questions, said)

        return self.apart(judgments, table) if self.collapse == "per_group" else table(judgments)

    def _wins(
        self, groups: Sequence[Group], questions: Sequence[Question], judgments: Sequence[Judgment]
    ) -> Columns:
        votes = [vote for vote in cast(questions, judgments, self.strength) if vote.mass]
        p, score = shares(votes), dict[str, float]()
        prompts: dict[str, dict[str, None]] = {}
        for group in groups:  # an answer may stand in several groups of its prompt
            prompts.setdefault(group.prompt.id, {}).update(dict.fromkeys(r.id for r in group.responses))
        for answers in map(tuple, prompts.values()):
            won_R = win_share(answers, p, majority=self.collapse == "majority")
            score |= dict(zip(answers, won_R.tolist(), strict=True))
        return by_answer(self.column, groups, score, comparing(votes))
