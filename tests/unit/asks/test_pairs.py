"""Pairs: a Compare question per pair; p is the share that prefers the first, in whatever order listed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from accord import catalog
from accord.asks.pairs import Pairs
from accord.errors import PlanError
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
    """One vote a letter: 1 the first, 2 the second, = a tie, 0 both bad, - an abstention."""
    one, two = question.responses
    made: dict[str, Verdict | None] = {
        "1": Ranked(tiers=((one,), (two,))),
        "2": Ranked(tiers=((two,), (one,))),
        "=": Ranked(tiers=((two, one),)),
        "0": Ranked(tiers=((one, two),), acceptable=()),
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
        ("1000", 1.0, 1.0, 1),
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
        for judged in (
            [],
            votes(question, "--"),
            votes(question, "00"),
            [said(question, Graded(scores={"score": 1.0}))],
        ):
            table = ask.columns(GROUPS, judged)
            assert table.missing.all()
            assert np.isnan(table.values["p"]).all()
            assert table.parents == ((), (), ())


def test_an_overseer_may_list_the_answers_in_any_order() -> None:
    """Mutant: reading the first tier as "the first answer wins"."""
    question = SHARE.questions(GROUPS)[0]
    assert SHARE.columns(GROUPS, votes(question, "2")).values["p"][0] == 0.0


def test_strength_counts_as_a_margin_only_where_it_is_asked_for() -> None:
    """Much better (3), then a plain vote for the other: σ(3) and 0, of two votes."""
    ask = Pairs(column="p", collapse="distribution", strength="bt_margin")
    question, *_ = ask.questions(GROUPS)
    assert question.instrument.allows == ("tie", "abstention", "strength")
    one, two = question.responses
    judged = [said(question, Ranked(tiers=((one,), (two,)), strength=3)), *votes(question, "-2")[1:]]
    assert ask.columns(GROUPS, judged).values["p"][0] == pytest.approx(0.952574 / 2, abs=1e-6)
    plain, *_ = SHARE.questions(GROUPS)
    told = [j.model_copy(update={"question": plain.id}) for j in judged]
    assert SHARE.columns(GROUPS, told).values["p"][0] == 0.5


def test_ratings_are_of_answers_and_pairs_that_share_none_have_no_order() -> None:
    """a : b = 3 : 1 is finite. d with e and f with g are two fits of one prompt, which nothing joins."""
    ask = Pairs(column="score", collapse="bt")
    ab, de, fg = ask.questions(GROUPS)
    judged = [*votes(ab, "1112"), *votes(de, "12"), *votes(fg, "12")]
    table = ask.columns(GROUPS, judged)
    assert [len(m) for m in table.members] == [1] * 8
    half = math.log(3) / 2
    assert table.values["score"][:2] == pytest.approx([half, -half])
    assert table.missing[2:].all()
    assert ask.columns(GROUPS, judged[:-2]).missing.tolist() == [
        False,
        False,
        True,
        False,
        False,
        *[True] * 3,
    ]


def test_groups_of_raters_have_a_row_for_each_pair() -> None:
    ask = Pairs(column="p", collapse="per_group").grouped({"0": "a", "1": "b", "2": "b"})
    question, *_ = ask.questions(GROUPS)
    table = ask.columns(GROUPS, votes(question, "1222"))
    assert table.members == SHARE.columns(GROUPS, []).members * 2
    assert table.values["p"][[0, 3]].tolist() == [1.0, 0.0]
    assert table.values["weight"].tolist() == [1, 0, 0, 2, 0, 0], "who is in no group has no say"
    assert table.values["group"].tolist() == [0, 0, 0, 1, 1, 1]
    assert ask.lacks_groups is False
    assert Pairs(column="p", collapse="per_group").lacks_groups


@pytest.mark.parametrize(
    ("name", "told", "path", "allowed"),
    [
        ("pairs", {"column": "p", "collapse": "bt"}, "column", '"score"'),
        ("pairs", {"column": "score", "collapse": "majority"}, "column", '"p"'),
        ("pairs", {"column": "p", "collapse": "quantile"}, "collapse", '"majority", "per_group" or "bt"'),
        ("against", {"column": "score", "collapse": "bt"}, "collapse", '"distribution", "majority" or "per_'),
        ("against", {"column": "score", "collapse": "quantile"}, "collapse", '"distribution", "majority" or'),
        ("all_pairs", {"column": "score", "collapse": "quantile"}, "collapse", '"per_group" or "bt"'),
        ("each", {"column": "score", "collapse": "bt"}, "collapse", '"per_group" or "quantile"'),
        ("each", {"column": "cost:x", "collapse": "per_group"}, "collapse", '"majority" or "quantile"'),
        ("steps", {"column": "score", "collapse": "bt"}, "collapse", '"per_group" or "quantile"'),
        ("steps", {"column": "score"}, "collapse", '"per_group" or "quantile"'),
    ],
)
def test_a_way_to_collapse_that_an_ask_does_not_know_is_told_with_the_others(
    name: str, told: dict[str, str], path: str, allowed: str
) -> None:
    with pytest.raises(PlanError) as caught:
        catalog.build("asks", {"name": name, **told}, "ask[0]")
    assert caught.value.path == f"ask[0].{path}"
    assert allowed in caught.value.allowed
    assert told.get(path) == caught.value.value
