"""The laws of overseers that are made of others, put to them over scripted leaves by ``check_overseer``.

Of every such overseer: silence inside is silence outside; over leaves that do not mind the order, turned
answers give the turned verdict; every call is in the books, once; a call that was broken off leaves nothing.
Then the laws of each kind that ships. Same verdict (≡): verdict, confidence and abstention alike.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from itertools import count, permutations
from typing import TypeVar, cast

from accord.overseers import Made, remade
from accord.overseers.amplified import Amplified
from accord.overseers.assisted import Assisted
from accord.overseers.both_orders import BothOrders
from accord.overseers.budget import Budget
from accord.overseers.calibrated import Calibrated
from accord.overseers.constitution import Constitution
from accord.overseers.consult import Consult
from accord.overseers.debate import Debate
from accord.overseers.hindsight import Hindsight
from accord.overseers.jury import Jury
from accord.overseers.noisy import Noisy, prefers
from accord.overseers.spot_checked import SpotChecked
from accord.ports import Overseer
from accord.records import Judgment, Kind, Question, Ranked, Record, Response, Spread
from accord.records.rows import Group
from accord.testing import leaves as scripted
from accord.testing.laws_counted import check_budget, check_calibrated, check_spot_checked
from accord.testing.laws_helped import check_amplified, check_assisted
from accord.testing.laws_talking import check_consult, check_debate
from accord.testing.leaves import Leaf, alike, desk_with, grade, judged, same
from accord.testing.promises import promised
from accord.worker import Worker

__all__ = ["check_laws", "turned"]

_M = TypeVar("_M", bound=Made)
_NEAR = 1e-9
_TURNS = 200  # of the event loop, within which it has asked whom it asks


def turned(question: Question) -> Question:
    return question.model_copy(update={"responses": tuple(reversed(question.responses))})


Asks = Callable[[Kind], list[Question]]


def check_laws(overseer: Overseer, groups: Sequence[Group], asked: Asks, *, leans: bool) -> None:
    """ContractError with the first law that is broken. ``asked`` makes questions of a kind."""
    _check_other_kinds(overseer, groups, asked)
    if isinstance(overseer, Made):
        _check_broken_off(overseer, groups, asked)
        _check_made(overseer, groups, asked, leans=leans)


def _check_made(overseer: Made, groups: Sequence[Group], asked: Asks, *, leans: bool) -> None:
    for kind in sorted(overseer.answers):
        _check_silence(overseer, asked(kind), groups)
        _check_books(overseer, asked(kind), groups)
        if kind is Kind.COMPARE and not leans:
            _check_turned(overseer, asked(kind), groups)
    kind = sorted(overseer.answers)[0]
    match overseer:
        case BothOrders():
            _check_both_orders(overseer, asked(Kind.COMPARE), groups)
        case Jury():
            _check_jury(overseer, asked(kind), groups)
        case Constitution():
            _check_constitution(overseer, asked(kind), groups)
        case Hindsight():
            _check_hindsight(overseer, asked(kind), groups)
        case Noisy():
            _check_noisy(overseer, asked(Kind.COMPARE), groups)
        case Budget():
            check_budget(overseer, asked(kind), groups)
        case Calibrated():
            check_calibrated(overseer, asked(Kind.COMPARE), groups)
        case SpotChecked():
            check_spot_checked(overseer, asked(kind), groups)
        case Amplified():
            check_amplified(overseer, asked(kind), groups)
        case Assisted():
            check_assisted(overseer, asked(kind), groups)
        case Debate():
            check_debate(overseer, asked(Kind.COMPARE), groups)
        case Consult():
            check_consult(overseer, asked(Kind.COMPARE), groups)
        case _:
            pass


# Of every overseer


def _check_other_kinds(overseer: Overseer, groups: Sequence[Group], asked: Asks) -> None:
    for kind in sorted(set(Kind) - overseer.answers):
        for said in judged(overseer, asked(kind)[:1], groups):
            promise = f"a {kind.value} question is refused: it is outside answers"
            promised(overseer, promise, said.verdict is None, said.verdict)


def _check_broken_off(overseer: Made, groups: Sequence[Group], asked: Asks) -> None:
    question = asked(sorted(overseer.answers)[0])[0]
    blocked, leaves = _over(overseer, blocks=True)
    written: list[Record] = []
    desk = desk_with(groups, written)

    async def break_off() -> int:
        before = asyncio.all_tasks()
        asking = asyncio.ensure_future(desk.ask(cast(Overseer, blocked), question))
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if all(leaf.asked for leaf in leaves):
                break
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        for _ in range(3):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks() - before)

    with Worker() as worker:
        running = worker.run(break_off())
    clean = not written and not running and desk.known((question.id, blocked.config)) is None
    found = f"{len(written)} records, {running} tasks that go on"
    promised(overseer, "a call that was broken off leaves nothing", clean, found)


def _check_silence(overseer: Made, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    silent, leaves = _over(overseer, silent=True)
    for question, said in zip(questions, judged(silent, questions, groups), strict=True):
        reached = any(set(q.responses) & set(question.responses) for leaf in leaves for q in leaf.asked)
        kept = said.verdict is None or not reached
        promised(overseer, "an abstention never becomes a verdict", kept, said.verdict)


def _check_books(overseer: Made, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    spending, leaves = _over(overseer)
    written: list[Record] = []
    judged(spending, questions, groups, written)
    booked = sum(r.cost.calls for r in {r.id: r for r in written if isinstance(r, Judgment)}.values())
    names = {r.id for r in written if isinstance(r, Question)}
    said = {r.id for r in written if isinstance(r, Response) and names & set(r.parents)}
    made = sum(len(leaf.asked) for leaf in leaves) + len(said)
    promise = "cost covers what its parents cost and every text it had said, once"
    promised(overseer, promise, booked == made, f"{booked} calls in the books, {made} made")


def _check_turned(overseer: Made, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    fair, _ = _over(overseer)
    straight = judged(fair, questions, groups)
    round_ = judged(fair, [turned(q) for q in questions], groups)
    promise = "over leaves that do not mind the order, turned answers give the turned verdict"
    for one, two in zip(straight, round_, strict=True):
        promised(overseer, promise, alike(one, two), f"{one.verdict} and {two.verdict}")


# Of each kind


def _check_both_orders(overseer: BothOrders, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    leaning, _ = _over(overseer, leaning=0.4)
    straight = judged(leaning, questions, groups)
    round_ = judged(leaning, [turned(q) for q in questions], groups)
    for one, two in zip(straight, round_, strict=True):
        promised(overseer, "makes a leaf that leans equivariant", alike(one, two), two.verdict)
    for told in ({}, {"silent": True}, {"best": 0}):
        fair, (leaf,) = _over(overseer, **told)
        promise = "changes nothing over a leaf that does not mind the order"
        _check_same(overseer, promise, judged(fair, questions, groups), judged(leaf, questions, groups))
    partial, _ = _over(overseer, leaning=9.0)
    for said in judged(partial, questions, groups):
        flips = said.abstention == "order_conflict"
        promised(overseer, "a winner who flips by more than .3 is an order_conflict", flips, said.verdict)


def _check_jury(overseer: Jury, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    kinds = overseer.answers
    for told in ({}, {"silent": True}, {"best": 1}):
        leaf = Leaf.model_validate({"kinds": kinds, **told})
        one = remade(overseer, lambda one: one, members=(leaf,), quorum=None)
        promise = "a jury of one says what its member says"
        _check_same(overseer, promise, judged(one, questions, groups), judged(leaf, questions, groups))
    speaking = tuple(Leaf(kinds=kinds, name=str(i), best=best) for i, best in enumerate((0, 0, 1)))
    told = [
        judged(remade(overseer, lambda one: one, members=members, quorum=None), questions, groups)
        for members in permutations(speaking)
    ]
    for other in told[1:]:
        _check_same(overseer, "the order of the members changes nothing", told[0], other)
    for question, said in zip(questions, told[0], strict=True):
        if question.asks is Kind.COMPARE:
            p = said.verdict.p if isinstance(said.verdict, Spread) else {}
            shares = sorted(p.values())
            kept = len(shares) == 2 and abs(shares[0] - 1 / 3) < _NEAR
            promised(overseer, "votes are a Spread, never collapsed", kept, said.verdict)
    mute = tuple(Leaf(kinds=kinds, name=f"mute {i}", silent=True) for i in range(2))
    for members, quorum, reached in (
        ((speaking[0], *mute), None, False),
        ((*speaking[:2], mute[0]), None, True),
        (speaking, 3, True),
        ((*speaking[:2], mute[0]), 3, False),
    ):
        jury = remade(overseer, lambda one: one, members=members, quorum=quorum)
        for said in judged(jury, questions, groups):
            kept = (said.abstention != "no_quorum") if reached else (said.abstention == "no_quorum")
            promised(overseer, "below the quorum, and only there, it is no_quorum", kept, said.abstention)


def _check_constitution(
    overseer: Constitution, questions: Sequence[Question], groups: Sequence[Group]
) -> None:
    made, (leaf,) = _over(overseer)
    single = remade(made, lambda one: one, principles=("the only one",))
    under = [
        q.model_copy(update={"instrument": q.instrument.model_copy(update={"principles": ("the only one",)})})
        for q in questions
    ]
    promise = "with one principle it says what the inner overseer says under it"
    _check_same(overseer, promise, judged(single, questions, groups), judged(leaf, under, groups))
    before = len(leaf.asked)
    judged(made, questions, groups)
    told = [q.instrument.principles for q in leaf.asked[before:]]
    one = all(len(p) == 1 and p[0] in overseer.principles for p in told) and len(told) == len(questions)
    promised(overseer, "each question is put under one principle", one, told)
    fired = made.firings(questions)
    counted = sum(fired.values()) == len(questions)
    told_counts = {text: [p[0] for p in told].count(text) for text in fired}
    promised(
        overseer,
        "firings are counted as they fire, and sum to the questions",
        counted and fired == told_counts,
        fired,
    )
    if Kind.COMPARE in overseer.answers and questions[0].asks is Kind.COMPARE:
        reasoning, _ = _over(overseer, reasons=True, best=0)
        for said in judged(reasoning, questions, groups):
            p = said.verdict.p.values() if isinstance(said.verdict, Spread) else ()
            held = sorted(round(share, 9) for share in p) == [0.4, 0.6]
            promised(overseer, "what an overseer reasons is held within [.4, .6]", held, said.verdict)


def _check_hindsight(overseer: Hindsight, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    def simulated(name: str) -> tuple[list[Judgment], Leaf]:
        made, (leaf,) = _over(overseer)
        seen = remade(made, lambda one: one, fn=f"{scripted.__name__}:{name}", model="")
        return judged(seen, questions, groups), leaf

    said, leaf = simulated("nothing")
    promise = "where nothing is revealed it says what the inner overseer says"
    _check_same(overseer, promise, said, judged(leaf, questions, groups))
    claimed = [j.by.type for j in said]
    promised(overseer, "only what saw an outcome is signed hindsight", "hindsight" not in claimed, claimed)
    said, leaf = simulated("unknown")
    kept = all(j.abstention == "no_outcome" for j in said) and not leaf.asked
    promised(overseer, "without an outcome nobody is asked: no_outcome", kept, said[0].verdict)
    said, leaf = simulated("something")
    several = all(len(q.evidence) == (2 * n if (n := len(q.responses)) > 1 else 1) for q in leaf.asked)
    shown = several and len(leaf.asked) == len(questions)
    promised(overseer, "who judges is shown what came of every answer", shown, len(leaf.asked))
    promised(overseer, "what saw outcomes is signed hindsight", all(j.by.type == "hindsight" for j in said))


def _check_noisy(overseer: Noisy, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    told = {"epsilon": 0.0, "temperature": 1e-6, "discount": 1.0, "delta": 0.0, "bias": 0.0, "opposed": 0.0}
    question = questions[0]
    versions = [
        question.model_copy(update={"instrument": question.instrument.model_copy(update={"version": str(i)})})
        for i in range(120)
    ]

    def first(n: int, **changed: float) -> float:
        """How often it prefers the first answer, of n questions that differ in nothing that matters."""
        rater = remade(_over(overseer)[0], lambda one: one, **{**told, **changed})
        said = [j.verdict for j in judged(rater, versions[:n], groups)]
        ranks = [v.tiers[0][0] for v in said if isinstance(v, Ranked) and len(v.tiers) > 1]
        return ranks.count(question.responses[0]) / n

    desk = desk_with(groups, None)
    grades = [grade("0", question, desk.read(answer)) for answer in question.responses]
    apart, sure = grades[0] - grades[1], float(grades[0] > grades[1])
    promised(overseer, "without noise the better grade wins", first(5) == sure, first(5))
    promised(overseer, "an opposed rater wants the opposite", first(5, opposed=1.0) == 1 - sure)
    noise: tuple[dict[str, float], ...] = (
        {"epsilon": 0.5, "temperature": 1e-6},
        {"temperature": 0.5, "bias": 0.7},
    )
    for changed in noise:
        p = prefers(apart, changed.get("epsilon", 0.0), changed["temperature"], changed.get("bias", 0.0))
        room, found = 5 * math.sqrt(p * (1 - p) / len(versions)), first(len(versions), **changed)
        promise = "choices come as often as the formula says"
        promised(overseer, promise, abs(found - p) < room, f"{found:.3f}, not {p:.3f}")
    made, _ = _over(overseer)
    for below, wanted in (("tie", None), ("skip", "out_of_support")):
        rater = remade(made, lambda one: one, **{**told, "delta": 9.0, "below": below})
        (said,) = judged(rater, [question], groups)
        tied = isinstance(said.verdict, Ranked) and len(said.verdict.tiers) == 1
        kept = said.abstention == wanted and tied == (wanted is None)
        promised(overseer, "what is too near is a tie or skipped, as it is told", kept, said)


# How


def _over(overseer: _M, **told: object) -> tuple[_M, list[Leaf]]:
    """It over scripted leaves in place of what is directly inside."""
    numbers, leaves = count(), list[Leaf]()

    def leaf(one: Overseer) -> Overseer:
        settings = {"kinds": one.answers, "name": str(next(numbers)), **told}
        leaves.append(Leaf.model_validate(settings))
        return cast(Overseer, leaves[-1])

    return remade(overseer, leaf), leaves


def _check_same(overseer: Made, promise: str, said: Sequence[Judgment], wanted: Sequence[Judgment]) -> None:
    for one, two in zip(said, wanted, strict=True):
        promised(overseer, promise, same(one, two), f"{one.verdict or one.abstention}")
