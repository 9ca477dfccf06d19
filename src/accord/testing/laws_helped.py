"""The laws of overseers whose judge is helped: ``Assisted`` by a critic, ``Amplified`` by answers to parts.

``accord.testing.laws`` puts them, over scripted leaves: ``Heeding`` is a judge whose every verdict shows what
it was shown, ``Pointing`` a critic. ``twos`` and what follows it are splits as a plan names them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import cast

from accord.overseers import Made, remade
from accord.overseers.amplified import Amplified, most_calls
from accord.overseers.assisted import Assisted, agreed
from accord.ports import Desk
from accord.records import (
    Abstention,
    Critiqued,
    Judgment,
    Kind,
    Mark,
    Point,
    Prompt,
    Question,
    Record,
    Response,
    Verdict,
    digest,
)
from accord.records.rows import Group
from accord.testing.leaves import Leaf, alike, judged, same
from accord.testing.promises import promised

__all__ = ["Heeding", "Pointing", "chain", "check_amplified", "check_assisted", "halves", "threes", "twos"]

Splitting = Generator[str, str, str | None]
_CRITIQUE, _REVISE = frozenset({Kind.CRITIQUE}), frozenset({Kind.REVISE})
_SPANS = 2


class Heeding(Leaf):
    """A leaf that does not mind the order, and grades otherwise for every text it is shown beside."""

    def _verdict(self, question: Question, desk: Desk) -> Verdict:
        beside = [_text(desk.read(record)) for record in question.evidence]
        told = self.model_copy(update={"name": digest([self.name, *beside])})
        return Leaf._verdict(told, question, desk)


class Pointing(Leaf):
    """A critic with three points against each answer. ``beyond``: they end behind it.

    ``without``: the text of an answer of which it abstains, for the reason ``why``; so it does where it is
    ``silent``.
    """

    beyond: bool = False
    without: str | None = None
    why: Abstention = "refused"

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        said = await super().judge(question, desk)
        if said.abstention or _text(desk.read(question.responses[0])) == self.without:
            return said.model_copy(update={"verdict": None, "abstention": self.why, "confidence": None})
        return said

    def _verdict(self, question: Question, desk: Desk) -> Verdict:
        answer = question.responses[0]
        text = _text(desk.read(answer))
        mark = Mark(response=answer, start=0, end=len(text) + self.beyond) if text else None
        severities = [1 + int(digest([text, str(i)])[:4], 16) % 4 for i in range(3)]
        found = [Point(mark=mark, severity=s, text=f"fault {i}") for i, s in enumerate(severities)]
        return Critiqued(points=tuple(found) if text else ())


def twos(question: str, answers: Sequence[str]) -> Splitting:
    """Two parts; the second has what came of the first, and the answers."""
    first = yield f"one part of {question}"
    yield f"the other part of {question}, after {first}, {' and '.join(answers)}"
    return None


def threes(question: str) -> Splitting:
    """Three parts."""
    for part in range(3):
        yield f"part {part} of {question}"
    return None


def halves(question: str) -> Splitting:
    """One part, and what it makes of it."""
    part = yield f"half of {question}"
    return f"twice {part}"


def chain(question: str) -> Splitting:
    """The same question again, without end."""
    while True:
        yield question


# Assisted


def check_assisted(overseer: Assisted, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """ContractError with the first law that is broken."""
    judge = Heeding(kinds=overseer.answers)
    unaided = judged(judge, questions, groups)

    def over(critic: type[Leaf], **told: object) -> Assisted:
        leaf = critic.model_validate({"kinds": _CRITIQUE, **told})
        return remade(overseer, lambda one: one, inner=judge, critic=leaf, spans=_SPANS)

    promise = "with a silent critic it says what the judge says"
    for silent in (over(Leaf), over(Pointing, silent=True)):
        _check_same(overseer, promise, judged(silent, questions, groups), unaided)
    late = judged(over(Pointing, silent=True, why="timeout"), questions, groups)
    kept = all(j.abstention == "timeout" for j in late)
    promised(overseer, "where a critic could not be asked there is no verdict", kept, late[0].verdict)
    beyond = judged(over(Pointing, beyond=True), questions, groups)
    kept = all(j.abstention == "error" for j in beyond)
    promised(overseer, "a point beyond the end of an answer is an error", kept, beyond[0].verdict)
    texts = {r.id: r.text for group in groups for r in group.responses}
    for question, alone in zip(questions, unaided, strict=True):
        if len({texts[one] for one in question.responses}) > 1:
            partly = over(Pointing, without=texts[question.responses[0]])
            promise = "a critic that declines of one answer is silent of all"
            _check_same(overseer, promise, judged(partly, [question], groups), [alone])
    for question in questions:
        _check_shown(overseer, over(Pointing), question, groups)
    _check_heeded(overseer, over(Pointing), questions, groups)


def _check_shown(overseer: Assisted, helped: Assisted, question: Question, groups: Sequence[Group]) -> None:
    judge, critic = cast(Leaf, helped.inner), cast(Leaf, helped.critic)
    del judge.asked[:]
    written: list[Record] = []
    (said,) = judged(helped, [question], groups, written)
    one = all(len(q.responses) == 1 for q in critic.asked)
    promised(overseer, "the critic is asked about one answer at a time", one, critic.asked)
    verdicts = [one.verdict for one in written if isinstance(one, Judgment)]
    made = [point for verdict in verdicts if isinstance(verdict, Critiqued) for point in verdict.points]
    shown = judge.asked[-1].evidence[len(question.evidence) :]
    few = len(shown) == min(len(made), helped.spans)
    promised(overseer, "the judge is shown as many points as it is told of", few, len(shown))
    _check_said(overseer, question, shown, written)
    worst = sorted((point.severity for point in made), reverse=True)[: helped.spans]
    told = [float(mark.tag.rpartition(" ")[2]) for mark in said.marks]
    promised(overseer, "marks are the spans that were shown, the severest", told == worst, said.marks)
    share = agreed(question, said) if question.asks is Kind.COMPARE and worst else 0.0
    known = share is not None and 0 <= share <= 1
    promised(overseer, "of a comparison it can be told how far the judge agreed", known, share)


# Amplified


def check_amplified(overseer: Amplified, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """ContractError with the first law that is broken."""
    judge = Heeding(kinds=overseer.answers)

    def over(split: str, depth: int, **told: object) -> tuple[Amplified, list[Question]]:
        """With two parts of a question at the most, and what is asked of who answers them."""
        leaf = Leaf.model_validate({"kinds": _REVISE, **told})
        settings = {"inner": judge, "answerer": leaf, "model": "", "branching": 2, "depth": depth}
        return remade(overseer, lambda one: one, split=f"{__name__}:{split}", **settings), leaf.asked

    flat, asked = over("twos", 0)
    promise = "at depth 0 it says what the judge says, and nobody else is asked"
    _check_same(overseer, promise, judged(flat, questions, groups), judged(judge, questions, groups))
    promised(overseer, promise, not asked, len(asked))
    for depth in (1, 2, 3):
        deep, asked = over("twos", depth)
        judged(deep, questions[:1], groups)
        promise = f"with two parts of everything, {depth} deep, there are {most_calls(2, depth)} calls"
        promised(overseer, promise, len(asked) == most_calls(2, depth), len(asked))
        later = [q.instrument.wording for q in asked if q.instrument.wording.startswith("the other")]
        sent = all("after a better text than 0" in wording for wording in later)
        promised(overseer, "a split is sent the answer to what it yielded", sent, later)
    for split in ("threes", "chain"):
        many, asked = over(split, 2)
        (said,) = judged(many, questions[:1], groups)
        refused = said.abstention == "budget" and len(asked) <= most_calls(2, 2)
        promised(overseer, "more parts than it is told of are refused", refused, said.verdict)
    mute, _ = over("twos", 2, silent=True)
    del judge.asked[:]
    silent = all(j.abstention == "refused" for j in judged(mute, questions, groups)) and not judge.asked
    promised(overseer, "where a part has no answer nobody is asked to judge", silent, len(judge.asked))
    for question in questions:
        _check_parts(overseer, over("twos", 1)[0], question, groups)
        _check_returned(overseer, over("halves", 2)[0], question, groups)
    _check_heeded(overseer, over("twos", 1)[0], questions, groups)


def _check_parts(overseer: Amplified, helped: Amplified, question: Question, groups: Sequence[Group]) -> None:
    written: list[Record] = []
    shown = _shown_last(helped, question, groups, written)
    promise = "the judge is shown every part before its answer"
    kinds = [type(one) for one in shown]
    promised(overseer, promise, kinds == [Prompt, Response] * 2, kinds)
    paired = all(a.id == cast(Response, b).prompt for a, b in zip(shown[::2], shown[1::2], strict=True))
    promised(overseer, promise, paired, shown)
    _check_said(overseer, question, [one.id for one in shown[1::2]], written)


def _check_returned(
    overseer: Amplified, helped: Amplified, question: Question, groups: Sequence[Group]
) -> None:
    texts = [one.text for one in _shown_last(helped, question, groups, []) if isinstance(one, Response)]
    wanted = ["twice a better text than 0", "twice twice a better text than 0"]
    promised(overseer, "what a split returns is the answer to what it split", texts == wanted, texts)


def _shown_last(
    helped: Amplified, question: Question, groups: Sequence[Group], written: list[Record]
) -> list[Record]:
    """What the judge was shown beside the answers."""
    judged(helped, [question], groups, written)
    records = {record.id: record for record in written}
    asked = cast(Leaf, helped.inner).asked[-1]
    return [records[one] for one in asked.evidence[len(question.evidence) :]]


# How


def _check_said(overseer: Made, question: Question, shown: Sequence[str], written: Sequence[Record]) -> None:
    texts = {one.id for one in written if isinstance(one, Response) and question.id in one.parents}
    promised(overseer, "what is shown is a text whose parent is the question", texts >= set(shown), shown)


def _check_heeded(
    overseer: Made, helped: Made, questions: Sequence[Question], groups: Sequence[Group]
) -> None:
    """Over a judge that heeds every word, so that what it is shown may not hang on the order."""
    straight = [q for q in questions if q.asks is Kind.COMPARE]
    round_ = [q.model_copy(update={"responses": q.responses[::-1]}) for q in straight]
    promise = "turned answers are judged beside the same texts"
    for one, two in zip(judged(helped, straight, groups), judged(helped, round_, groups), strict=True):
        promised(overseer, promise, alike(one, two), f"{one.verdict} and {two.verdict}")


def _check_same(overseer: Made, promise: str, said: Sequence[Judgment], wanted: Sequence[Judgment]) -> None:
    for one, two in zip(said, wanted, strict=True):
        promised(overseer, promise, same(one, two), f"{one.verdict or one.abstention}")


def _text(record: Record) -> str:
    return record.text if isinstance(record, Response | Prompt) else record.id
