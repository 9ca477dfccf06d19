"""Each law of overseers made of others catches an overseer that breaks it, and nothing else."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from accord.errors import ContractError
from accord.overseers import Made, generator, shares
from accord.overseers.both_orders import BothOrders
from accord.overseers.constitution import Constitution
from accord.overseers.hindsight import Hindsight
from accord.overseers.jury import Jury
from accord.overseers.noisy import Noisy
from accord.ports import Desk
from accord.records import Cost, Judgment, Kind, Question, Ranked, Spread
from accord.testing import a_group, check_overseer
from accord.testing.leaves import Leaf

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
COMPARES = Leaf(kinds=frozenset({Kind.COMPARE}))
GRADES = Leaf(kinds=frozenset({Kind.GRADE}))
SOMETHING = "accord.testing.leaves:something"


class Invents(BothOrders):
    """A tie where nobody said anything."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said if said.verdict else self.signed(question, Ranked(tiers=(question.responses,)))


class FirstOnly(BothOrders):
    """One order is enough for it."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return self.taken_over(question, await desk.ask(self.inner, question))


class Softens(BothOrders):
    """What is the same in both orders is made a spread."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        p = shares(question, said)
        return said if p is None else said.model_copy(update={"verdict": Spread(p=p)})


class NeverInConflict(BothOrders):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return self.signed(question, Ranked(tiers=(question.responses,))) if said.abstention else said


class BooksTwice(Constitution):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return (await super().judge(question, desk)).model_copy(update={"cost": Cost(calls=1)})


class DrawsByOrder(Constitution):
    """Another principle where the same answers are listed the other way round."""

    def drawn(self, question: Question) -> int:
        return int(generator(self.seed, question.id).integers(len(self.principles)))


class AllAtOnce(Constitution):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        told = question.instrument.model_copy(update={"principles": self.principles})
        under = question.model_copy(update={"instrument": told})
        return self.taken_over(question, await desk.ask(self.inner, under))


class Certain(Constitution):
    @property
    def _reasons(self) -> bool:
        return False


class Miscounts(Constitution):
    def firings(self, questions: Any) -> dict[str, int]:
        return dict.fromkeys(self.principles, 0)


class Foresight(Hindsight):
    """Without an outcome it asks all the same."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        lost = said.abstention == "no_outcome"
        return self.taken_over(question, await desk.ask(self.inner, question)) if lost else said


class Keeps(Hindsight):
    """The outcome is sampled, and not shown."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said if said.abstention else self.taken_over(question, await desk.ask(self.inner, question))


class Claims(Hindsight):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"type": "hindsight"})})


class Collapses(Jury):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        p = shares(question, said)
        if p is None or len(self.members) == 1:
            return said
        best = max(p, key=lambda option: p[option])
        tiers = ((best,), tuple(r for r in question.responses if r != best))
        return said.model_copy(update={"verdict": Ranked(tiers=tiers)})


class FirstMember(Jury):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        for member in self.members:
            said = await desk.ask(member, question)
            if said.verdict is not None or len(self.members) == 1:
                return self.taken_over(question, said)
        return self.signed(question, "no_quorum")


class AnyQuorum(Jury):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        found = [shares(question, await desk.ask(one, question)) for one in self.members]
        spoke = [p for p in found if p is not None]
        if len(self.members) == 1 or not spoke:
            return await super().judge(question, desk)
        return self.signed(question, Spread(p={o: sum(p[o] for p in spoke) / len(spoke) for o in spoke[0]}))


class Spreads(Jury):
    """A jury of one is made a spread too, without its confidence."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said.model_copy(update={"confidence": None})


class Certainly(Noisy):
    """Takes the better one, whatever it was told."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        sure = self.model_copy(update={"epsilon": 0.0, "temperature": 1e-9, "bias": 0.0})
        said = await Noisy.judge(sure, question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"config": self.config})})


class Unopposed(Noisy):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        one = self.model_copy(update={"opposed": 0.0})
        said = await Noisy.judge(one, question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"config": self.config})})


class SeesEverything(Noisy):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        one = self.model_copy(update={"delta": 0.0})
        said = await Noisy.judge(one, question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"config": self.config})})


TIMES = count()


class Moody(Constitution):
    """Never the same principle twice."""

    def drawn(self, question: Question) -> int:
        return next(TIMES) % len(self.principles)


class LeavesSomethingRunning(Constitution):
    """Asks in a task of its own, which nobody calls off."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        asking = asyncio.ensure_future(super().judge(question, desk))
        return await asyncio.shield(asking)


PRINCIPLES = ("be kind", "be brief", "be honest")
LIST: list[tuple[type[Made], dict[str, Any], str]] = [
    (Invents, {"inner": COMPARES}, "abstention never becomes a verdict"),
    (FirstOnly, {"inner": COMPARES}, "makes a leaf that leans equivariant"),
    (Softens, {"inner": COMPARES}, "changes nothing over a leaf"),
    (NeverInConflict, {"inner": COMPARES}, "abstention never becomes a verdict"),
    (BooksTwice, {"inner": COMPARES, "principles": PRINCIPLES}, "cost covers"),
    (DrawsByOrder, {"inner": COMPARES, "principles": PRINCIPLES}, "turned answers give the turned verdict"),
    (AllAtOnce, {"inner": COMPARES, "principles": PRINCIPLES}, "put under one principle"),
    (Certain, {"inner": COMPARES, "principles": PRINCIPLES}, r"held within \[.4, .6\]"),
    (Miscounts, {"inner": COMPARES, "principles": PRINCIPLES}, "firings are counted"),
    (Moody, {"inner": COMPARES, "principles": PRINCIPLES}, "judged as each one alone|turned verdict"),
    (LeavesSomethingRunning, {"inner": COMPARES, "principles": PRINCIPLES}, "broken off leaves nothing"),
    (Foresight, {"inner": COMPARES, "reveal": "full", "fn": SOMETHING}, "no_outcome"),
    (Keeps, {"inner": COMPARES, "reveal": "full", "fn": SOMETHING}, "shown what came of every answer"),
    (Claims, {"inner": COMPARES, "reveal": "full", "fn": SOMETHING}, "only what saw an outcome"),
    (Collapses, {"members": (COMPARES, Leaf(name="b"))}, "never collapsed"),
    (FirstMember, {"members": (COMPARES, Leaf(name="b"))}, "order of the members"),
    (AnyQuorum, {"members": (COMPARES, Leaf(name="b"))}, "below the quorum"),
    (Spreads, {"members": (COMPARES, Leaf(name="b"))}, "a jury of one"),
    (Certainly, {"inner": GRADES, "epsilon": 0.5}, "as often as the formula says"),
    (Unopposed, {"inner": GRADES}, "an opposed rater"),
    (SeesEverything, {"inner": GRADES}, "too near is a tie"),
]


@pytest.mark.parametrize(("broken", "settings", "law"), LIST, ids=[kind.__name__ for kind, _, _ in LIST])
def test_each_law_catches_who_breaks_it(broken: type[Made], settings: dict[str, Any], law: str) -> None:
    leans = issubclass(broken, Noisy)
    with pytest.raises(ContractError, match=law):
        check_overseer(broken(**settings), GROUPS, leans=leans)
    whole = broken.__mro__[1]
    check_overseer(whole(**settings), GROUPS, leans=leans)


def test_a_rater_who_leans_is_no_equivariant_one() -> None:
    with pytest.raises(ContractError, match="turned answers give the turned verdict"):
        check_overseer(Noisy(inner=GRADES, bias=99.0), GROUPS)
