"""Each law of overseers whose judge is helped catches one that breaks it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from accord.errors import ContractError
from accord.overseers import Made
from accord.overseers.amplified import Amplified
from accord.overseers.assisted import Assisted
from accord.ports import Desk, How
from accord.records import Critiqued, Judgment, Kind, Prompt, Question, Record, Response
from accord.testing import a_group, check_overseer
from accord.testing.laws_helped import Pointing
from accord.testing.leaves import Leaf

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]


class Edited:
    """A desk at which questions are changed before they are asked, or what is said of them after."""

    def __init__(
        self,
        desk: Desk,
        ask: Callable[[Question], Question] = lambda question: question,
        say: Callable[[Judgment], Judgment] = lambda said: said,
    ) -> None:
        self._desk, self._ask, self._said = desk, ask, say

    def read(self, record: str) -> Record:
        return self._desk.read(record)

    async def ask(self, overseer: Any, question: Question) -> Judgment:
        return self._said(await self._desk.ask(overseer, self._ask(question)))

    async def say(self, sampler: Any, prompt: Prompt, how: How | None = None) -> Response:
        return await self._desk.say(sampler, prompt, how)


def silenced(said: Judgment) -> Judgment:
    """An abstaining critic is taken for one that finds nothing."""
    if said.abstention is None:
        return said
    return said.model_copy(update={"abstention": None, "verdict": Critiqued(points=())})


class Mute(Assisted):
    """Says nothing where its critic does not."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        return said if said.marks or said.abstention else self.signed(question, "refused")


class Unaided(Assisted):
    """Where the critic is not there the judge does without."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        late = said.abstention == "timeout"
        return self.taken_over(question, await desk.ask(self.inner, question)) if late else said


class OneSided(Assisted):
    """Shows what there is against one answer, where the critic declined of the other."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        def kept(said: Judgment) -> Judgment:
            return silenced(said) if said.abstention == "refused" else said

        return await super().judge(question, cast(Desk, Edited(desk, say=kept)))


class Cuts(Assisted):
    """A span that ends behind its answer is cut off there."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        def cut(said: Judgment) -> Judgment:
            if not isinstance(said.verdict, Critiqued):
                return said
            end = len(cast(Response, desk.read(said.shown[0])).text)
            points = [
                p.model_copy(update={"mark": p.mark and p.mark.model_copy(update={"end": end})})
                for p in said.verdict.points
            ]
            return said.model_copy(update={"verdict": Critiqued(points=tuple(points))})

        return await super().judge(question, cast(Desk, Edited(desk, say=cut)))


class Everything(Assisted):
    """All that the critic says."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await Assisted.judge(self.model_copy(update={"spans": 99}), question, desk)
        return said.model_copy(update={"by": said.by.model_copy(update={"config": self.config})})


class Unmarked(Assisted):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        return (await super().judge(question, desk)).model_copy(update={"marks": ()})


class ByPlace(Assisted):
    """What is shown stands in another order where the answers do."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        first = question.responses[0] == min(question.responses)

        def placed(asked: Question) -> Question:
            return asked if first else asked.model_copy(update={"evidence": asked.evidence[::-1]})

        return await super().judge(question, cast(Desk, Edited(desk, ask=placed)))


class Raw(Assisted):
    """Shows the critique itself, not a text."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said: list[str] = []

        def heard(one: Judgment) -> Judgment:
            said.append(one.id)
            return one

        def raw(asked: Question) -> Question:
            count = len(asked.evidence)
            return asked.model_copy(update={"evidence": tuple(sorted(said) * 2)[:count]})

        return await super().judge(question, cast(Desk, Edited(desk, ask=raw, say=heard)))


class Untold(Assisted):
    """Its marks do not say that they are the critic's."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        marks = tuple(m.model_copy(update={"tag": f"fault {m.tag[-1]}"}) for m in said.marks)
        return said.model_copy(update={"marks": marks})


class AllAtOnce(Assisted):
    """The critic is asked about all the answers together."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        def together(asked: Question) -> Question:
            others = tuple(one for one in sorted(question.responses) if one not in asked.responses)
            return asked.model_copy(update={"responses": (*asked.responses, *others)})

        return await super().judge(question, cast(Desk, Edited(desk, ask=together)))


class NeverFlat(Amplified):
    """Splits once where it should not split at all."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        deep = self.model_copy(update={"depth": max(self.depth, 1)})
        return signed_by(self, await Amplified.judge(deep, question, desk))


class Shallow(Amplified):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        flat = self.model_copy(update={"depth": min(self.depth, 1)})
        return signed_by(self, await Amplified.judge(flat, question, desk))


class Deaf(Amplified):
    """The split does not hear what came of its parts."""

    @property
    def splitter(self) -> Any:
        hears = super().splitter

        def deaf(question: str, answers: Any = ()) -> Any:
            running = hears(question, answers) if "twos" in self.split else hears(question)
            part = next(running)
            try:
                while True:
                    yield part
                    part = running.send("?")
            except StopIteration as end:
                return end.value

        return deaf


class Boundless(Amplified):
    async def judge(self, question: Question, desk: Desk) -> Judgment:
        wide = self.model_copy(update={"branching": 9})
        return signed_by(self, await Amplified.judge(wide, question, desk))


class GoesOn(Amplified):
    """Without the parts it judges the whole."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        lost = said.abstention == "refused"
        return self.taken_over(question, await desk.ask(self.inner, question)) if lost else said


class AnswersOnly(Amplified):
    """Answers without what was asked."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        def answers(asked: Question) -> Question:
            kept = tuple(one for one in asked.evidence if isinstance(desk.read(one), Response))
            return asked.model_copy(update={"evidence": kept}) if asked.responses else asked

        return await super().judge(question, cast(Desk, Edited(desk, ask=answers)))


class InOrder(Amplified):
    """The split is told the answers as they are listed."""

    def listed(self, question: Question) -> tuple[str, ...]:
        return question.responses


class Discards(Amplified):
    """What a split returns is nothing to it."""

    @property
    def splitter(self) -> Any:
        found = super().splitter

        def silent(question: str, answers: Any = ()) -> Any:
            yield from found(question, answers) if "twos" in self.split else found(question)

        return silent


def signed_by(overseer: Made, said: Judgment) -> Judgment:
    return said.model_copy(update={"by": said.by.model_copy(update={"config": overseer.config})})


COMPARES = Leaf(kinds=frozenset({Kind.COMPARE}))
HELPED = {"inner": COMPARES, "critic": Pointing(kinds=frozenset({Kind.CRITIQUE}))}
SPLIT = {
    "inner": COMPARES,
    "answerer": Leaf(kinds=frozenset({Kind.REVISE})),
    "split": "accord.testing.laws_helped:twos",
    "depth": 1,
    "branching": 2,
}
LIST: list[tuple[type[Made], str]] = [
    (Mute, "with a silent critic it says what the judge says"),
    (Unaided, "could not be asked there is no verdict"),
    (OneSided, "declines of one answer is silent of all"),
    (Cuts, "beyond the end of an answer"),
    (Everything, "as many points as it is told of"),
    (Unmarked, "marks are the spans"),
    (ByPlace, "turned answers are judged beside the same texts"),
    (Raw, "a text whose parent is the question"),
    (Untold, "can be told how far the judge agreed"),
    (AllAtOnce, "about one answer at a time"),
    (NeverFlat, "at depth 0"),
    (Shallow, "2 deep, there are 6 calls"),
    (Deaf, "is sent the answer"),
    (Boundless, "more parts than it is told of"),
    (GoesOn, "nobody is asked to judge"),
    (AnswersOnly, "every part before its answer"),
    (InOrder, "turned answers are judged beside the same texts"),
    (Discards, "what a split returns"),
]


@pytest.mark.parametrize(("broken", "law"), LIST, ids=[kind.__name__ for kind, _ in LIST])
def test_each_law_catches_who_breaks_it(broken: type[Made], law: str) -> None:
    settings: dict[str, Any] = SPLIT if issubclass(broken, Amplified) else HELPED
    with pytest.raises(ContractError, match=law):
        check_overseer(broken(**settings), GROUPS)


def test_who_breaks_none_passes() -> None:
    whole: dict[type[Made], dict[str, Any]] = {Amplified: SPLIT, Assisted: HELPED}
    for kind, settings in whole.items():
        check_overseer(kind(**settings), GROUPS)


def test_a_critic_with_a_critic_is_a_critic() -> None:
    critic: Any = HELPED["critic"]
    stacked: Any = Assisted(inner=critic, critic=critic)
    assert stacked.answers == {Kind.CRITIQUE}
    check_overseer(stacked, GROUPS)
