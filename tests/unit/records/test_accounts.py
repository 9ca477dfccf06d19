"""What a run cost, summed over its records.

Mutants: an abstention of a person counted as a label, a refused read as a truth, a record twice, a machine's
time as a person's, a cheap judgment as a spot check.
"""

from __future__ import annotations

from typing import cast

import pytest

from accord.overseers import Inner
from accord.overseers.spot_checked import SpotChecked
from accord.records import By, Cost, Judgment, Kind, Question, Ranked, Times, TruthRead, account
from accord.records.rows import Group
from accord.testing import a_group
from accord.testing.leaves import Leaf, judged

MINUTE = Times(shown=100.0, submitted=160.0, active=40.0)


def said(kind: str, question: str, **more: object) -> Judgment:
    by = By.model_validate({"type": kind, "name": "ann", "config": "c"})
    given = {"verdict": Ranked(tiers=(("a",), ("b",)))} if "abstention" not in more else {}
    return Judgment.model_validate({"question": question, "by": by, **given, **more})


def read(purpose: str, number: int, refused: str = "") -> TruthRead:
    return TruthRead(vault="v", item="1", purpose=purpose, by="me", number=number, refused=refused)


def test_people_are_counted_by_what_they_said_and_how_long_they_were_at_it() -> None:
    label = said("person", "q1", times=MINUTE)
    found = account(
        [
            label,
            label,
            said("person", "q2", times=MINUTE, abstention="refused"),
            said("person", "q3"),
            said("model", "q1", times=MINUTE, cost=Cost(calls=2)),
        ]
    )
    assert (found.judgments, found.abstentions, found.labels) == (4, 1, 2)
    assert found.human_seconds == 80.0, "an abstention takes a person time as well"
    assert found.judging.calls == 2


def test_truths_are_counted_by_purpose_and_a_refused_read_is_none() -> None:
    found = account([read("leaf", 1), read("leaf", 2), read("score", 3), read("fit", 4, "nobody said so")])
    assert found.truths == {"leaf": 2, "score": 1}
    assert account([]).truths == {}


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_spot_checks_are_those_that_went_to_gold(p: float) -> None:
    overseer = SpotChecked(cheap=cast(Inner, Leaf()), gold=cast(Inner, Leaf(best=1)), p=p)
    groups: list[Group] = [a_group(f"What of {number}?", "no", "yes, it is") for number in range(30)]
    questions = [
        Question(asks=Kind.COMPARE, prompt=g.prompt.id, responses=tuple(r.id for r in g.responses))
        for g in groups
    ]
    found = account(judged(overseer, questions, groups))
    assert found.spot_checks == overseer.checked(questions)
    assert (found.spot_checks == 0, found.spot_checks == 30) == (p == 0, p == 1)
