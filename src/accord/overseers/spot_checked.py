"""SpotChecked: a share of the questions goes to an overseer who is better and dearer.

    u(question) < p  →  gold,   else  cheap        u uniform, by seed, prompt and the answers in any order

One of the two judges each question, the other is not asked. Which one it was is in the judgment's note, and
its judgment is the parent, so what checks found, and what they cost, can be counted.

1. The draw does not hang on what was said: whoever answers cannot tell what will be checked.
2. Turned round, a question keeps its lot. A larger p with the same seed checks the same questions and more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

from pydantic import Field, model_validator

from accord.overseers import Inner, Made, generator, unordered
from accord.part import Part
from accord.ports import Desk
from accord.problems import problem
from accord.records import CHECKED, Judgment, Kind, Question

__all__ = ["SpotChecked"]


class SpotChecked(Made, Part):
    """``cheap`` judges, but for a share ``p`` of the questions, which ``gold`` judges."""

    cheap: Inner
    gold: Inner
    p: float = Field(ge=0, le=1)
    seed: int = 0

    @model_validator(mode="after")
    def _both_answer(self) -> Self:
        if not self.answers:
            allowed = "an overseer that answers what cheap answers"
            raise problem(["gold"], type(self.gold).__name__, allowed, "each question may go to either")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.cheap.answers & self.gold.answers

    def checks(self, question: Question) -> bool:
        """Whether this question goes to gold."""
        return float(generator(self.seed, "spot check", *unordered(question)).random()) < self.p

    def checked(self, questions: Iterable[Question]) -> int:
        """How many of these questions go to gold."""
        return sum(self.checks(question) for question in questions)

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        checks = self.checks(question)
        said = await desk.ask(self.gold if checks else self.cheap, question)
        return self.taken_over(question, said, CHECKED if checks else "cheap")
