"""Pairs: a Compare question per pair; p is the share that prefers the first, in whatever order listed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accord.asks.pairs import Pairs
from accord.records import By, Graded, Judgment, Kind, Question, Ranked, Spread, Verdict
from accord.testing import a_group

GROUPS = [a_group("Why?", "a", "b", "c"), a_group("How?", "d", "e", "f", "g"), a_group("One?", "h")]
SHARE = Pairs(column="p", collapse="distribution")
MOST = Pairs(column="p", collapse="majority")


def said(question: Question, verdict: Verdict | None, by: int = 0) -> Judgment:
    told: Any = {"verdict": verdict} if verdict else {"abstention": "unclear"}
    return Judgment(question=question.id, by=By(type="program", name=str(by), config=str(by)), **told)


def test_answers_are_paired_in_order_and_an_odd_one_is_left_over() -> None:
    questions = SHARE.questions(GROUPS)
    first, second = (g.responses for g in GROUPS[:2])
    ids = [(first[0].id, first[1].id), (second[0].id, second[1].id), (second[2].id, second[3].id)]
    assert [q.responses for q in questions] == ids
    assert {q.asks for q in questions} == {Kind.COMPARE}
    assert SHARE.columns(GROUPS, []).members == tuple(ids)


def votes(question: Question, text: str) -> list[Judgment]:
    """One vote a letter: 1 the first, 2 the second, = a tie, - an abstention."""
    one, two = question.responses
    made: dict[str, Verdict | None] = {
        "1": Ranked(tiers=((one,), (two,))),
        "2": Ranked(tiers=((two,), (one,))),
        "=": Ranked(tiers=((two, one),)),
        "-": None,
    }
    return [said(question, made[letter], i) for i, letter in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "share", "most", "weight"),
    [
        ("1", 1.0, 1.0, 1),
        ("2", 0.0, 0.0, 1),
        ("=", 0.5, 0.5, 1),
        ("11=2", 0.625, 1.0, 4),
        ("12", 0.5, 0.5, 2),
        ("22=-", 1 / 6, 0.0, 3),
        ("1---", 1.0, 1.0, 1),
    ],
)
def test_votes_become_a_share(text: str, share: float, most: float, weight: int) -> None:
    question = SHARE.questions(GROUPS)[0]
    table = SHARE.columns(GROUPS, votes(question, text))
    assert table.values["p"][0] == pytest.approx(share)
    assert table.values["weight"].tolist() == [weight, 0, 0]
    assert len(table.parents[0]) == weight
    assert MOST.columns(GROUPS, votes(question, text)).values["p"][0] == most
    assert table.missing.tolist() == [False, True, True]


def test_a_spread_counts_as_its_probability() -> None:
    question = SHARE.questions(GROUPS)[0]
    one, two = question.responses
    judged = [said(question, Spread(p={two: 0.75, one: 0.25})), *votes(question, "-1")[1:]]
    assert SHARE.columns(GROUPS, judged).values["p"][0] == pytest.approx(0.625)


def test_a_pair_that_nobody_judged_is_missing_never_a_tie() -> None:
    question = SHARE.questions(GROUPS)[0]
    for ask in (SHARE, MOST):
        for judged in ([], votes(question, "--"), [said(question, Graded(scores={"score": 1.0}))]):
            table = ask.columns(GROUPS, judged)
            assert table.missing.all()
            assert np.isnan(table.values["p"]).all()
            assert table.parents == ((), (), ())


def test_an_overseer_may_list_the_answers_in_any_order() -> None:
    """Mutant: reading the first tier as "the first answer wins"."""
    question = SHARE.questions(GROUPS)[0]
    assert SHARE.columns(GROUPS, votes(question, "2")).values["p"][0] == 0.0
