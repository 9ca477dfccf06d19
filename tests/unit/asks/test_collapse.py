"""What every way to collapse keeps, whatever is said: order, symmetry, juries, abstentions, missing rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.asks.against import Against
from accord.asks.all_pairs import AllPairs
from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.feedback import leaves
from accord.ports import Ask, Grouped
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Ranked, Record, Spread, Verdict
from accord.records.rows import Columns, Group
from accord.testing import a_response

RATERS = {f"r{i}": "town" if i % 2 else "country" for i in range(6)}
WAYS: list[Any] = [
    *(Pairs(column="p", collapse=way) for way in ("distribution", "majority", "per_group")),
    Pairs(column="p", collapse="distribution", strength="bt_margin"),
    *(AllPairs(column="score", collapse=way) for way in ("distribution", "majority", "per_group", "bt")),
    *(AllPairs(column="score", collapse=way, nway=True) for way in ("distribution", "majority", "bt")),
    *(Against(column="score", collapse=way) for way in ("distribution", "majority", "per_group")),
    *(Each(column="score", collapse=way) for way in ("distribution", "majority", "per_group", "quantile")),
]
NAMED = [pytest.param(w, id=f"{type(w).__name__}-{w.collapse}-{k}") for k, w in enumerate(WAYS)]


def a_prompt(text: str, *answers: str) -> Group:
    prompt = Prompt.of(text, reference="the base answer")
    return Group(prompt, tuple(a_response(prompt, said, i) for i, said in enumerate(answers)))


GROUPS = [a_prompt("Why?", "a", "b", "c"), a_prompt("How?", "d", "e")]
weights = st.lists(st.integers(0, 8), min_size=3, max_size=3).filter(any)


@st.composite
def verdicts(draw: st.DrawFn, question: Question) -> Verdict | None:
    """A ranking with or without ties, strength and both bad, a soft label, a grade, or an abstention."""
    answers = question.responses
    if draw(st.integers(0, 5)) == 0:
        return None
    if question.asks is Kind.GRADE:
        return Graded(scores={"a": draw(st.floats(-3, 3)), "b": draw(st.floats(-3, 3))})
    if draw(st.booleans()):
        some = draw(weights)[: len(answers)]
        total = sum(some)
        if not total:
            return None
        return Spread(p={a: w / total for a, w in zip(answers, some, strict=False)})
    order = draw(st.permutations(answers))
    cut = draw(st.integers(0, len(order) - 1))
    tiers = (tuple(order),) if cut == 0 else (tuple(order[:cut]), tuple(order[cut:]))
    strength = None
    if len(answers) == 2 and draw(st.booleans()):
        strength = 0 if cut == 0 else draw(st.integers(1, 3)) * (1 if order[0] == answers[0] else -1)
    bad = draw(st.integers(0, 3)) == 0
    return Ranked(tiers=tiers, strength=strength, acceptable=() if bad else None)


@st.composite
def ballots(draw: st.DrawFn, ask: Ask, most: int = 4) -> list[Judgment]:
    found: list[Judgment] = []
    for question in ask.questions(GROUPS):
        for rater in range(draw(st.integers(0, most))):
            found.append(said(question, draw(verdicts(question)), f"r{rater}"))
    return found


def said(question: Question, verdict: Verdict | None, by: str, kind: Any = "person", **more: Any) -> Judgment:
    told: Any = {"verdict": verdict} if verdict is not None else {"abstention": "unclear"}
    return Judgment(question=question.id, by=By(type=kind, name=by, config=by), **told, **more)


def grouped(ask: Any) -> Any:
    assert isinstance(ask, Grouped)
    return ask.grouped(RATERS)


def same(one: Columns, two: Columns) -> bool:
    return (
        one.members == two.members
        and [set(p) for p in one.parents] == [set(p) for p in two.parents]
        and all(np.array_equal(one.values[n], two.values[n], equal_nan=True) for n in one.values)
        and one.values.keys() == two.values.keys()
    )


@pytest.mark.parametrize("way", NAMED)
@settings(max_examples=8)
@given(st.data())
def test_the_order_of_judgments_shows_nowhere(way: Any, data: st.DataObject) -> None:
    """To the last bit: kills sums that are rounded on the way, and the newest vote standing for all."""
    ask = grouped(way)
    judged = data.draw(ballots(ask))
    assert same(ask.columns(GROUPS, judged), ask.columns(GROUPS, data.draw(st.permutations(judged))))


@pytest.mark.parametrize("way", NAMED)
@settings(max_examples=8)
@given(st.data())
def test_abstentions_never_move_a_number_and_what_is_missing_is_no_number(
    way: Any, data: st.DataObject
) -> None:
    """Kills: an abstention counted as ½ or 0, or in the denominator; NaN made a number."""
    ask = grouped(way)
    judged = data.draw(ballots(ask))
    table = ask.columns(GROUPS, judged)
    silent = [said(q, None, f"r{n}") for q in ask.questions(GROUPS) for n in (7, 1)]
    assert same(table, ask.columns(GROUPS, [*silent, *judged]))
    assert same(table, ask.columns(GROUPS, [j for j in judged if j.verdict is not None]))
    for name, column in table.values.items():
        if name not in ("weight", "group"):
            assert np.array_equal(np.isnan(column), table.missing)
    assert all(not missing or not parents or way.collapse == "bt" for missing, parents in rows(table))
    assert all(parents for missing, parents in rows(table) if not missing)


def rows(table: Columns) -> list[tuple[bool, tuple[str, ...]]]:
    return list(zip(table.missing.tolist(), table.parents, strict=True))


@pytest.mark.parametrize("way", [p for p in NAMED if not isinstance(p.values[0], Each)])
@settings(max_examples=8)
@given(st.data())
def test_a_jury_says_what_its_members_say(way: Any, data: st.DataObject) -> None:
    """Through ``leaves``, juries in juries too. Kills: a jury taken for one vote, a vote counted twice."""
    ask = grouped(way)
    judged = data.draw(ballots(ask))
    store: dict[str, Record] = {j.id: j for j in judged}
    juries: list[Judgment] = []
    for question in ask.questions(GROUPS):
        members = [j for j in judged if j.question == question.id]
        if not members:
            continue
        everybody = Spread(p={r: 1 / len(question.responses) for r in question.responses})
        for part in (members[::2], [*members[1::2], *members[:1]]):
            ids = (question.id, *(j.id for j in part))
            inner = said(question, everybody, "Jury", "protocol", parents=ids, note=str(len(part)))
            if part:
                store[inner.id] = inner
                outer = said(question, everybody, "Jury 2", "protocol", parents=(question.id, inner.id))
                juries.append(outer if data.draw(st.booleans()) else inner)
                store[juries[-1].id] = juries[-1]
    found = leaves(juries, store.__getitem__)
    assert {j.id for j in found} == {j.id for j in judged}
    assert same(ask.columns(GROUPS, found), ask.columns(GROUPS, judged))


def turned(question: Question, judgment: Judgment, about: Question) -> Judgment:
    """The same vote on the question with its answers the other way round."""
    verdict = judgment.verdict
    if isinstance(verdict, Ranked) and verdict.strength is not None:
        verdict = verdict.model_copy(update={"strength": -verdict.strength})
    return said(about, verdict, judgment.by.name)


@pytest.mark.parametrize("way", NAMED[:4])
@settings(max_examples=10)
@given(st.data())
def test_exchanging_two_answers_exchanges_p(way: Any, data: st.DataObject) -> None:
    """Mutants: the first listed wins, a strength read towards the winner, ties given to the first."""
    ask = grouped(way)
    other = [Group(g.prompt, (g.responses[1], g.responses[0], *g.responses[2:])) for g in GROUPS]
    judged = data.draw(ballots(ask))
    about = dict(zip((q.id for q in ask.questions(GROUPS)), ask.questions(other), strict=True))
    own = {q.id: q for q in ask.questions(GROUPS)}
    there = [turned(own[j.question], j, about[j.question]) for j in judged]
    before, after = ask.columns(GROUPS, judged), ask.columns(other, there)
    assert after.values["p"] == pytest.approx(1 - before.values["p"], abs=1e-12, nan_ok=True)
    assert np.array_equal(after.missing, before.missing)
    assert np.array_equal(after.values["weight"], before.values["weight"])


@settings(max_examples=10)
@given(st.data())
def test_where_votes_are_whole_one_question_of_all_answers_says_what_each_pair_says(
    data: st.DataObject,
) -> None:
    """A ranking asked as one question, and its pairs asked one by one, give the same win shares."""
    together = AllPairs(column="score", collapse="distribution", nway=True)
    apart = AllPairs(column="score", collapse="distribution")
    orders = list(permutations([r.id for r in GROUPS[0].responses]))
    chosen = data.draw(st.lists(st.sampled_from(orders), min_size=1, max_size=4))
    (one,), pairs = together.questions(GROUPS[:1]), apart.questions(GROUPS[:1])
    whole = [said(one, Ranked(tiers=tuple((r,) for r in order)), str(k)) for k, order in enumerate(chosen)]
    split = [ranked(pair, order, str(k)) for pair in pairs for k, order in enumerate(chosen)]
    whole_R = together.columns(GROUPS[:1], whole).values["score"]
    assert whole_R == pytest.approx(apart.columns(GROUPS[:1], split).values["score"], abs=1e-12)
    assert whole_R.mean() == pytest.approx(0.5)


def ranked(pair: Question, order: Sequence[str], by: str) -> Judgment:
    tiers = tuple((answer,) for answer in order if answer in pair.responses)
    return said(pair, Ranked(tiers=tiers), by)
