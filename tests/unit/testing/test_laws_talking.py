"""Each law of overseers whose models speak catches one that breaks it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from accord.errors import ContractError
from accord.maths.talking import NAMES, shown
from accord.overseers import Speaking
from accord.overseers.consult import Consult
from accord.overseers.debate import Debate, Turn
from accord.records import Cost, Judgment, Kind, Question
from accord.testing import a_group, check_overseer
from accord.testing.checks_feedback import questions_about
from accord.testing.laws_talking import Voice, check_consult, check_debate, unlike
from accord.testing.leaves import Leaf

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
COMPARE = questions_about(GROUPS, Kind.COMPARE)
LEAF: Any = Leaf(kinds=frozenset({Kind.COMPARE}))


class Sequential(Debate):
    """Who speaks second has read the first."""

    async def spoken(self, question: Question, talk: Any, before: Any, now: int, desk: Any) -> list[Turn]:
        turns: list[Turn] = []
        for side, who in zip(NAMES, self.seats(question), strict=True):
            asked = self.asked(talk, (*before, *turns), now, side)
            turns.append(Turn(now, side, await self.said(who, asked, [talk.key, now, side], desk)))
        return turns


class Forgets(Debate):
    """Earlier rounds are not read."""

    async def spoken(self, question: Question, talk: Any, before: Any, now: int, desk: Any) -> list[Turn]:
        return await super().spoken(question, talk, (), now, desk)


class Switches(Debate):
    """They change sides after each round."""

    async def spoken(self, question: Question, talk: Any, before: Any, now: int, desk: Any) -> list[Turn]:
        turned = talk._replace(answers=talk.answers[::-1]) if now % 2 == 0 else talk
        return await super().spoken(question, turned, before, now, desk)


class BySeat(Debate):
    def seats(self, question: Question) -> tuple[str, str]:
        return self.speakers


class NoLot(Debate):
    """The same speaker for the same answer each time."""

    def named(self, question: Question) -> Any:
        return tuple(sorted(question.responses))

    def seats(self, question: Question) -> Any:
        return tuple(sorted(self.speakers))


class ByOrder(Debate):
    def named(self, question: Question) -> Any:
        return question.responses


class NewDraws(Debate):
    """What is said is drawn by the question, in whatever order its answers are listed."""

    async def said(self, model: str, asked: Any, key: Any, desk: Any) -> Any:
        return await desk.say(self._voices[model], asked)


class Insists(Debate):
    """At least one round."""

    async def judge(self, question: Question, desk: Any) -> Judgment:
        said = await Debate.judge(self.model_copy(update={"rounds": self.rounds or 1}), question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"config": self.config})})


class Fusses(Debate):
    """The judge is told that nothing was said."""

    async def heard(self, question: Question, talk: Any, desk: Any) -> Any:
        asked, note = await super().heard(question, talk, desk)
        return (
            (shown(question, talk, [], "Nobody spoke."), note) if note.startswith("nobody") else (asked, note)
        )


def changed(kind: Any, change: Callable[[Question], Question]) -> Any:
    """A debate, or a consultation, whose judge is asked something else after what was said."""

    class Changed(kind):
        async def heard(self, question: Question, talk: Any, desk: Any) -> Any:
            asked, note = await super().heard(question, talk, desk)
            return (change(asked) if asked.evidence else asked), note

    return Changed


def worded(change: Callable[[str], str]) -> Callable[[Question], Question]:
    def reworded(asked: Question) -> Question:
        told = asked.instrument.model_copy(update={"wording": change(asked.instrument.wording)})
        return asked.model_copy(update={"instrument": told})

    return reworded


def under_a_principle(asked: Question) -> Question:
    told = asked.instrument.model_copy(update={"principles": ("fair play",)})
    return asked.model_copy(update={"instrument": told})


class Loose(Debate):
    """Capitals are taken for small letters in what may be quoted."""

    async def heard(self, question: Question, talk: Any, desk: Any) -> Any:
        loose = (*talk.sources, *(text.swapcase() for text in talk.sources))
        return await super().heard(question, talk._replace(sources=loose), desk)


class Overcharges(Debate):
    async def judge(self, question: Question, desk: Any) -> Judgment:
        return (await super().judge(question, desk)).model_copy(update={"cost": Cost(tokens_out=1)})


class AllHonest(Consult):
    def drawn(self, question: Question) -> Any:
        return "honest" if self.arm == "drawn" else self.arm


class ArmByOrder(Consult):
    def drawn(self, question: Question) -> Any:
        return ("honest", "dishonest")[question.id < "8"] if self.arm == "drawn" else self.arm


class OneArm(Consult):
    """The adviser is told to be honest in both arms."""

    def asked(self, talk: Any, arm: Any) -> Any:
        return super().asked(talk, "honest")


class TellsTheArm(Consult):
    async def heard(self, question: Question, talk: Any, desk: Any) -> Any:
        asked, note = await super().heard(question, talk, desk)
        return worded(lambda told: f"{told} {self.drawn(question)}")(asked) if asked.evidence else asked, note


class Miscounts(Consult):
    def arms(self, questions: Any) -> Any:
        return {"honest": 100, "dishonest": 100}


def without(first: int, last: int | None) -> Callable[[Question], Question]:
    return lambda asked: asked.model_copy(update={"evidence": asked.evidence[first:last]})


LIST: list[tuple[type[Speaking], str]] = [
    (Sequential, "nothing of this one"),
    (Forgets, "have read the earlier rounds"),
    (Switches, "stays so in every round"),
    (BySeat, "two seats exchanged"),
    (NoLot, "half of the time"),
    (ByOrder, "order in which the answers are listed"),
    (NewDraws, "order in which the answers are listed"),
    (Insists, "without rounds nobody speaks"),
    (Fusses, "nobody says a word"),
    (Loose, "to the letter"),
    (changed(Debate, worded(lambda told: told.replace("unverified", "verified"))), "to the letter"),
    (changed(Debate, without(0, -1)), "shown every one"),
    (changed(Debate, without(2, None)), "shown every one"),
    (changed(Debate, under_a_principle), "two identical honest debaters"),
    (Overcharges, "in the books"),
    (AllHonest, "by lot"),
    (ArmByOrder, "the arm does not hang"),
    (OneArm, "told the arm that was drawn"),
    (TellsTheArm, "not told the arm"),
    (Miscounts, "arms are counted"),
    (changed(Consult, without(0, -1)), "shown every one"),
    (changed(Consult, under_a_principle), "two identical honest debaters"),
]


@pytest.mark.parametrize(("broken", "law"), LIST, ids=[f"{n}-{k.__name__}" for n, (k, _) in enumerate(LIST)])
def test_each_law_catches_who_breaks_it(broken: Any, law: str) -> None:
    with pytest.raises(ContractError, match=law):
        if issubclass(broken, Debate):
            check_debate(broken(inner=LEAF, speakers=("m", "m")), COMPARE, GROUPS)
        else:
            check_consult(broken(inner=LEAF, adviser="m"), COMPARE, GROUPS)


@pytest.mark.parametrize(
    "whole",
    [
        Debate(inner=LEAF, speakers=("m", "n"), rounds=1, seed=4),
        Consult(inner=LEAF, adviser="m", arm="dishonest"),
    ],
    ids=["debate", "consult"],
)
def test_who_keeps_them_is_not_caught(whole: Speaking) -> None:
    check_overseer(whole.seated({name: Voice(name, unlike, []) for name in ("m", "n")}), GROUPS)
