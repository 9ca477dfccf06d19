"""Budget: no more calls, or tokens, than ``n`` are spent on the inner overseer in a run.

    it answers the first ⌊n / most⌋ questions that reach it, and abstains (``budget``) on all others

``most`` is what one question may take at most, in ``unit``, counted over everybody inside; it has no default.
Each question is charged that before anybody is asked, so however many are pending at once, and whatever they
then take, n is not passed. They are charged in the order in which they come: outermost, and inside of what
asks at once (``both_orders``, ``jury``, ``constitution``), that is the order of the stage's questions.

1. A question that took more than ``most`` is an error, not a verdict: the bound was wrong, and so was n.
2. The desk counts, and reads off the records what a run that is resumed had charged: a question that was let
   through rests on a judgment, one that was not on none. One that was broken off is not charged.
3. Equal budgets over equal overseers are one, wherever in a stage they stand. A judgment on record from
   another run is repeated, and costs nothing; an abstention for want of budget is asked again there.
4. People take neither calls nor tokens: how many are asked is for the slots of their queue to say.
"""

from __future__ import annotations

from typing import Literal, Protocol, Self, runtime_checkable

from pydantic import Field, model_validator

from accord.errors import ContractError
from accord.overseers import Inner, Made
from accord.part import Part
from accord.ports import Desk, Queued
from accord.problems import problem
from accord.records import Cost, Judgment, Kind, Question

__all__ = ["Budget", "Charging"]


@runtime_checkable
class Charging(Protocol):
    """Beside Desk: it counts for budgets, by their config, in a run and in what a resume had recorded."""

    @property
    def took(self) -> Cost:
        """What was spent under this question by now."""
        ...

    def charge(self, budget: str, question: str, places: int) -> bool:
        """Whether there is a place for this question, which is then taken."""
        ...

    def give_back(self, budget: str, question: str) -> None:
        """A place that was not used."""
        ...


class Budget(Made, Part):
    """The inner overseer, as long as the budget lasts."""

    inner: Inner
    n: int = Field(ge=0)
    unit: Literal["calls", "tokens"]
    most: int = Field(ge=1)

    @model_validator(mode="after")
    def _asks_machines(self) -> Self:
        if isinstance(self.inner, Queued) and self.inner.queues:
            allowed = "an overseer that waits for nobody: people take neither calls nor tokens"
            raise problem(
                ["inner"], type(self.inner).__name__, allowed, "the queue's slots say how many judge"
            )
        return self

    @property
    def answers(self) -> frozenset[Kind]:
        return self.inner.answers

    @property
    def places(self) -> int:
        """How many questions it answers."""
        return self.n // self.most

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if not isinstance(desk, Charging):
            raise ContractError(
                type(desk).__name__, "a desk that a budget is put to counts for it", "no count"
            )
        told = f"{self.most} {self.unit} at most of each of {self.places} questions"
        if not desk.charge(self.config, question.id, self.places):
            return self.signed(question, "budget", f"spent: {told}")
        try:
            said = await desk.ask(self.inner, question)
        except BaseException:
            desk.give_back(self.config, question.id)
            raise
        took = desk.took.calls if self.unit == "calls" else desk.took.tokens_in + desk.took.tokens_out
        if took > self.most:
            raise ValueError(f"a question took {took} {self.unit}, and most = {self.most}")
        return self.taken_over(question, said, told)
