"""The laws of overseers that choose who is asked, or weigh what was said: ``SpotChecked``, ``Calibrated``,
``Budget``. Put to them over scripted leaves, by ``accord.testing.laws``.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from accord.overseers import Made, remade
from accord.overseers.budget import Budget
from accord.overseers.calibrated import Calibrated
from accord.overseers.jury import Jury
from accord.overseers.spot_checked import SpotChecked
from accord.ports import Overseer
from accord.records import Judgment, Kind, Question, Record, Spread
from accord.records.rows import Group
from accord.testing.leaves import Leaf, alike, desk_with, judged, same
from accord.testing.promises import promised
from accord.worker import Worker

__all__ = ["check_budget", "check_calibrated", "check_spot_checked"]

_NEAR = 1e-9
_MANY = 60  # versions of one question


def _leaf(like: Made, **told: object) -> Overseer:
    return cast(Overseer, Leaf.model_validate({"kinds": like.answers, **told}))


def _same(overseer: Made, promise: str, said: Sequence[Judgment], wanted: Sequence[Judgment]) -> None:
    for one, two in zip(said, wanted, strict=True):
        promised(overseer, promise, same(one, two), f"{one.verdict or one.abstention}")


def _versions(question: Question, n: int = _MANY) -> list[Question]:
    """Questions that differ in nothing that a leaf minds."""
    told = question.instrument
    return [
        question.model_copy(update={"instrument": told.model_copy(update={"version": str(i)})})
        for i in range(n)
    ]


# SpotChecked


def check_spot_checked(overseer: SpotChecked, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """None or all of the questions are those of one overseer; the draw is that of ``checks``, and ``p``."""
    for silent in (False, True):
        cheap, gold = _leaf(overseer, name="cheap", silent=silent), _leaf(overseer, name="gold", best=None)
        for p, one, promise in (
            (0.0, cheap, "with p = 0 it says what cheap says"),
            (1.0, gold, "with p = 1 it says what gold says"),
        ):
            made = remade(overseer, lambda one: one, cheap=cheap, gold=gold, p=p)
            _same(overseer, promise, judged(made, questions, groups), judged(one, questions, groups))
    cheap, gold = Leaf(kinds=overseer.answers, name="cheap"), Leaf(kinds=overseer.answers, name="gold")
    made = remade(overseer, lambda one: one, cheap=cheap, gold=gold, p=0.5)
    judged(made, questions, groups)
    asked = ([q.id for q in cheap.asked], [q.id for q in gold.asked])
    drawn = [[q.id for q in questions if made.checks(q) is checks] for checks in (False, True)]
    promised(overseer, "each question goes to one of them, as it is drawn", asked == (*drawn,), asked)
    promised(overseer, "checks are counted as they are made", made.checked(questions) == len(gold.asked))
    others = [q.model_copy(update={"prompt": f"{i}"}) for q in questions for i in range(_MANY)]
    few, many = (remade(made, lambda one: one, p=p) for p in (0.3, 0.6))
    nested = all(many.checks(q) for q in others if few.checks(q))
    promised(overseer, "a larger share checks the same questions and more", nested)
    for share in (few, many):
        room = 5 * (share.p * (1 - share.p) / len(others)) ** 0.5
        found = share.checked(others) / len(others)
        promised(overseer, "the share that is checked is p", abs(found - share.p) < room, found)


# Calibrated


def check_calibrated(overseer: Calibrated, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """What labels say is what it gives; order is kept, both sides sum to one, and a second fit is none."""
    by_worth: dict[float, list[float]] = defaultdict(list)
    for p, right in overseer.labels:
        for share, told in ((p, right), (1 - p, 1 - right)):
            by_worth[round(overseer.worth(share), 9)].append(told)
    for worth, labels in by_worth.items():
        share = sum(labels) / len(labels)
        promised(
            overseer, "of labels worth p the share p is right", abs(share - worth) < 1e-6, (worth, share)
        )
    grid = [i / 100 for i in range(101)] + [p for p, _ in overseer.labels]
    sided = all(abs(overseer.worth(p) + overseer.worth(1 - p) - 1) < _NEAR for p in grid)
    promised(overseer, "g(1 − p) = 1 − g(p)", sided)
    given: list[tuple[float, float]] = []
    for leaning in (-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0):
        leaf = _leaf(overseer, leaning=leaning)
        made = remade(overseer, lambda one: one, inner=leaf)
        said, plain = judged(made, questions, groups), judged(leaf, questions, groups)
        for question, one, own in zip(questions, said, plain, strict=True):
            given += [(_given(own, answer), _given(one, answer)) for answer in question.responses]
    ordered = sorted(given)
    kept = all(two[1] >= one[1] - _NEAR for one, two in pairwise(ordered))
    promised(overseer, "order is kept weakly", kept, ordered)
    worth = all(abs(g - overseer.worth(p)) < _NEAR for p, g in given)
    promised(overseer, "it gives to an answer what its p is worth", worth, ordered)
    with TemporaryDirectory() as folder:
        rows = ({"p": overseer.worth(p), "right": right} for p, right in overseer.labels)
        file = Path(folder) / "refitted.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        once = remade(overseer, lambda one: one, inner=_leaf(overseer, leaning=0.7))
        again = type(overseer)(inner=cast(Overseer, once), labelled=str(file))
        promise = "refitted on the same labels it is the identity"
        said = zip(judged(again, questions, groups), judged(once, questions, groups), strict=True)
        for one, two in said:
            sure = abs((one.confidence or 0.0) - (two.confidence or 0.0)) < _NEAR
            promised(overseer, promise, alike(one, two) and sure, one.verdict)


def _given(said: Judgment, answer: str) -> float:
    return said.verdict.p[answer] if isinstance(said.verdict, Spread) else -1.0


# Budget


def check_budget(overseer: Budget, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """The first questions are answered, as many as the budget has places for, and no other is asked."""
    asked = _versions(questions[0], 6)
    plain = judged(_leaf(overseer), asked, groups)

    def under(places: int, spare: int = 0, inner: Overseer | None = None) -> Budget:
        leaf = inner or _leaf(overseer)
        return remade(overseer, lambda one: one, inner=leaf, n=places * overseer.most + spare)

    for places in (0, 1, 4, 6, 9):
        leaf = Leaf(kinds=overseer.answers)
        made = under(places, overseer.most - 1, cast(Overseer, leaf))
        for together in (True, False):
            said = judged(made, asked, groups, together=together)
            promise = "the first n are answered, as the inner overseer answers them"
            _same(overseer, promise, said[:places], plain[:places])
            spent = all(j.abstention == "budget" for j in said[places:])
            promised(
                overseer, "past n it abstains budget, with 0 always", spent, [j.abstention for j in said]
            )
        in_order = [q.id for q in leaf.asked] == [q.id for q in asked[:places]] * 2
        promised(overseer, "questions are charged in their order, and past n nobody is asked", in_order)
    for inner, outer in ((2, 4), (4, 2), (3, 3), (0, 5)):
        nested = under(outer, inner=cast(Overseer, under(inner)))
        least = judged(under(min(inner, outer)), asked, groups)
        _same(overseer, "a budget of a budget is the smaller one", judged(nested, asked, groups), least)
    _check_resumed(overseer, under(3), asked, groups)
    _check_given_back(overseer, under(1), asked, groups)
    _check_bound(overseer, asked, groups)


def _check_resumed(
    overseer: Budget, made: Budget, asked: Sequence[Question], groups: Sequence[Group]
) -> None:
    whole = judged(made, asked, groups)
    for done in range(len(asked) + 1):
        written: list[Record] = []
        judged(made, asked[:done], groups, written)
        # Of those in work a kill leaves some and not others.
        for kept in (written, [r for r in written if not _of(r, asked[0])]):
            desk = desk_with(groups, None)
            desk.hold(kept)
            with Worker() as worker:
                who = cast(Overseer, made)
                said = [worker.run(desk.ask(who, question)) for question in asked]
            _same(overseer, "a run that is resumed counts on", said, whole)


def _of(record: Record, question: Question) -> bool:
    return isinstance(record, Judgment) and record.question == question.id


def _check_given_back(
    overseer: Budget, made: Budget, asked: Sequence[Question], groups: Sequence[Group]
) -> None:
    leaf = Leaf(kinds=overseer.answers, blocks=True)
    blocked = remade(made, lambda one: one, inner=leaf)

    async def broken_off() -> bool:
        desk = desk_with(groups, None)
        first = asyncio.ensure_future(desk.ask(cast(Overseer, blocked), asked[0]))
        while not leaf.asked:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        second = asyncio.ensure_future(desk.ask(cast(Overseer, blocked), asked[1]))
        for _ in range(9):
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        return len(leaf.asked) == 2

    with Worker() as worker:
        promised(overseer, "a question that was broken off is not charged", worker.run(broken_off()))


def _check_bound(overseer: Budget, asked: Sequence[Question], groups: Sequence[Group]) -> None:
    kinds = overseer.answers & {Kind.COMPARE, Kind.GRADE, Kind.LABEL}
    if overseer.unit != "calls" or asked[0].asks not in kinds:
        return
    two = Jury(members=tuple(cast(Overseer, Leaf(kinds=kinds, name=str(i))) for i in range(2)))
    for most, held in ((1, False), (2, True)):
        made = remade(overseer, lambda one: one, inner=two, n=100, most=most)
        for said in judged(made, asked[:1], groups):
            promise = "a question that took more than most is an error, and no other is"
            promised(overseer, promise, (said.abstention == "error") is not held, said.verdict)
