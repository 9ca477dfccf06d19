"""Noisy: a simulated rater who errs in known ways, over an overseer that grades (2111.03026).

    P(A) = ε/2 + (1 − ε) · σ(clip(Δ, ±50)/T + b)        Δ = grade(A) − grade(B)

One choice is drawn from it. ε/2 of the answers are flips; ``temperature`` T: how much a difference in grade
moves the rater; ``bias`` b: towards whoever is listed first. A grade of several steps is Σ γ^(last − t) ·
score_t, γ = ``discount``: a rater who has half forgotten how it began.

1. Where |Δ| < ``delta`` the rater sees no difference, and says ``tie`` or skips (``out_of_support``).
2. ``opposed``: the share of raters who want the opposite, Δ turned round. Which one answers is drawn for each
   question; with 0 or 1 it is one rater of one group, of whom a jury can be made with different ``seed``.
3. The draw is a function of the question's id and ``seed``: asked again, the rater says the same; the same
   answers listed the other way round are another question, as for a person.
4. B-Pref's γ is over the whole segment; here a single score has nothing to be forgotten, and scores that are
   not numbered steps have no order, so with γ < 1 they are refused.
"""

from __future__ import annotations

import asyncio
import math
from typing import Literal, Self

from pydantic import Field, model_validator

from accord.overseers import Inner, Made, generator, silent
from accord.part import Part
from accord.ports import Desk
from accord.problems import problem
from accord.records import Graded, Judgment, Kind, Question, Ranked

__all__ = ["Noisy", "prefers"]

_MOST = 50.0


def prefers(delta: float, epsilon: float, temperature: float, bias: float = 0.0) -> float:
    """P(A) for a difference of grades. ln 3 is odds of three to one; of a tenth flips, 5 in 100 are for B.

    >>> round(prefers(math.log(3), 0.0, 1.0), 6), round(prefers(1e9, 0.1, 1.0), 6)
    (0.75, 0.95)
    """
    logit = min(max(delta, -_MOST), _MOST) / temperature + bias
    # The exponent of a larger number than 700 overflows; there the sigmoid is 0 or 1.
    sigma = 1 / (1 + math.exp(-min(max(logit, -700.0), 700.0)))
    return epsilon / 2 + (1 - epsilon) * sigma


class Noisy(Made, Part):
    """Compares two answers by their grades, with errors."""

    inner: Inner
    epsilon: float = Field(default=0.0, ge=0, le=1)
    temperature: float = Field(default=1.0, gt=0)
    discount: float = Field(default=1.0, gt=0, le=1)
    delta: float = Field(default=0.0, ge=0)
    below: Literal["tie", "skip"] = "tie"
    bias: float = Field(default=0.0, allow_inf_nan=False)
    opposed: float = Field(default=0.0, ge=0, le=1)
    seed: int = 0

    @model_validator(mode="after")
    def _reads_grades(self) -> Self:
        if Kind.GRADE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that grades answers")
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if len(question.responses) != 2:
            raise ValueError(f"a noisy rater compares two answers, not {len(question.responses)}")
        one, other = question.responses
        if one == other:
            return self.signed(question, Ranked(tiers=(question.responses,)))
        said = await asyncio.gather(*(desk.ask(self.inner, _grading(question, r)) for r in (one, other)))
        if (abstains := silent(said)) is not None:
            return self.taken_over(question, abstains)
        draw = generator("noisy", question.id, self.seed)
        opposes, choice = draw.random() < self.opposed, draw.random()
        grades = [self._grade(judgment) for judgment in said]
        apart = (grades[0] - grades[1]) * (-1 if opposes else 1)
        if abs(apart) < self.delta:
            told = f"grades {abs(apart):.3g} apart, under {self.delta:g}"
            tie = Ranked(tiers=(question.responses,))
            return self.signed(question, tie if self.below == "tie" else "out_of_support", told)
        p = prefers(apart, self.epsilon, self.temperature, self.bias)
        tiers = ((one,), (other,)) if choice < p else ((other,), (one,))
        group = ", of the opposed group" if opposes else ""
        return self.signed(question, Ranked(tiers=tiers), f"chose the first with probability {p:.4g}{group}")

    def _grade(self, judgment: Judgment) -> float:
        if not isinstance(judgment.verdict, Graded):
            raise ValueError(f"{type(self.inner).__name__} was asked for a grade and gave none")
        scores = judgment.verdict.scores
        if len(scores) == 1 or self.discount == 1:
            return math.fsum(scores.values())
        if not all(name.isdecimal() for name in scores):
            raise ValueError(f"discount weighs numbered steps, not the scores {', '.join(scores)}")
        steps = sorted(scores, key=int)
        last = len(steps) - 1
        return math.fsum(self.discount ** (last - t) * scores[name] for t, name in enumerate(steps))


def _grading(question: Question, answer: str) -> Question:
    """One of the two answers to be graded, in an instrument that does not speak of two."""
    instrument = question.instrument.model_copy(update={"wording": "", "options": (), "examples": ()})
    told = {"asks": Kind.GRADE, "responses": (answer,), "instrument": instrument, "revisits": None}
    return question.model_copy(update={**told, "parents": (question.prompt, answer), "selection": None})
