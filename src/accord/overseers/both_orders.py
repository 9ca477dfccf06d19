"""BothOrders: asks about two answers in both orders, so that their places cannot decide.

    p_A = ½ [P(first | A, B) + P(second | B, A)]        gap = |P(first | A, B) − P(second | B, A)|

The average is taken here and nowhere else: as near as can be to whoever reads the answers, and once on any
path of overseers. The gap stands in the judgment's note.

1. Where both orders say the same, that verdict is kept as it is, so over an overseer that does not mind the
   order it changes nothing.
2. Answers of the same text are a tie, and nobody is asked: what a reader would say of them is about places.
3. Where the winner flips and the gap is over .3, it abstains (``order_conflict``). An overseer that abstains
   in one of the orders has not compared them; of two reasons the first by the alphabet is given.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Self

from pydantic import model_validator

from accord.overseers import Inner, Made, inside, shares, silent
from accord.part import Part
from accord.ports import Desk
from accord.problems import problem
from accord.records import Judgment, Kind, Question, Ranked, Response, Spread, Verdict

__all__ = ["Both", "BothOrders", "averaged"]

_GAP = 0.3


class Both(NamedTuple):
    """p_A, the gap, and whether the two orders contradict each other."""

    p: float
    gap: float
    conflict: bool


def averaged(first: float, second: float) -> Both:
    """From P(A) where A was shown first, and where it was shown second.

    >>> averaged(0.75, 0.5)
    Both(p=0.625, gap=0.25, conflict=False)
    >>> averaged(0.75, 0.25)
    Both(p=0.5, gap=0.5, conflict=True)
    """
    gap = abs(first - second)
    return Both((first + second) / 2, gap, gap > _GAP and (first - 0.5) * (second - 0.5) < 0)


class BothOrders(Made, Part):
    """The inner overseer's mean verdict over both orders of two answers."""

    inner: Inner

    @model_validator(mode="after")
    def _once_on_a_path(self) -> Self:
        if Kind.COMPARE not in self.inner.answers:
            raise problem(["inner"], type(self.inner).__name__, "an overseer that compares answers")
        if any(isinstance(one, BothOrders) for one, _ in inside(self.inner)):
            advice = "orders are averaged once, around whoever reads the answers"
            raise problem(["inner"], "both_orders", "an overseer without both_orders inside", advice)
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if len(question.responses) != 2:
            raise ValueError(f"both orders are those of two answers, not of {len(question.responses)}")
        one, other = question.responses
        if one == other or _text(desk, one) == _text(desk, other) is not None:
            return self.signed(question, Ranked(tiers=(question.responses,)), "the answers are identical")
        turned = question.model_copy(update={"responses": (other, one)})
        said = await asyncio.gather(desk.ask(self.inner, question), desk.ask(self.inner, turned))
        if (abstains := silent(said)) is not None:
            return self.taken_over(question, abstains)
        p = [shares(question, j) for j in said]
        if p[0] is None or p[1] is None:
            raise ValueError(f"{type(self.inner).__name__} gave a verdict that compares nothing")
        both = averaged(p[0][one], p[1][one])
        told = f"gap {both.gap:.3g} between the orders"
        if both.conflict:
            return self.signed(question, "order_conflict", told)
        verdict = said[0].verdict
        if verdict is None or not _same(verdict, said[1].verdict):
            verdict = Spread(p={one: both.p, other: (p[0][other] + p[1][other]) / 2})
        return self.signed(question, verdict, told).model_copy(update={"confidence": _confidence(*said)})


def _same(said: Verdict, turned: Verdict | None) -> bool:
    """Whether the other order gave the same; strength counts towards whoever is listed first."""
    if not (isinstance(said, Ranked) and isinstance(turned, Ranked)):
        return said == turned
    tiers = [set(tier) for tier in said.tiers] == [set(tier) for tier in turned.tiers]
    strength = said.strength == (None if turned.strength is None else -turned.strength)
    good = [None if v.acceptable is None else set(v.acceptable) for v in (said, turned)]
    return tiers and strength and good[0] == good[1]


def _confidence(one: Judgment, other: Judgment) -> float | None:
    if one.confidence is None or other.confidence is None:
        return None
    return (one.confidence + other.confidence) / 2


def _text(desk: Desk, answer: str) -> str | None:
    record = desk.read(answer)
    return record.text if isinstance(record, Response) else None
