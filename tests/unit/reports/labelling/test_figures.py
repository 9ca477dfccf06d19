"""Figures of a labelling project, over surveys made by hand, so that each number can be counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from accord.maths.agreement import Alpha, Undefined
from accord.maths.arms import NO_EVIDENCE
from accord.records import Instrument, Kind, Question, Selection
from accord.reports.labelling import figures, rating
from accord.reports.labelling.covering import Work, finish
from accord.reports.labelling.figures import groups_of
from accord.reports.labelling.leaning import Leaning, flags, share
from accord.stores.foreign.exports.shares import cells_shown
from accord.stores.people.surveying import Line, Slots, Survey

NOW = 1e6
ALLOWS = Instrument(allows=("tie", "acceptability", "abstention"))


def pair(number: int, arm: str = "", **more: Any) -> Question:
    chosen = Selection(arm=arm, propensity=0.01, selector="s", pool="100-x", seed=number) if arm else None
    fields = {"prompt": f"p{number}", "responses": (f"a{number}", f"b{number}"), "selection": chosen} | more
    return Question(asks=Kind.COMPARE, instrument=ALLOWS, **fields)


def line(question: Question, rater: str, says: str = "a", **more: Any) -> Line:
    """``says``: a, b, tie, bad, or a reason to skip; the answers were shown in the question's order."""
    a, b = question.responses[:2]
    tiers = {"a": ((a,), (b,)), "b": ((b,), (a,)), "tie": ((a, b),), "bad": ((a, b),)}.get(says, ())
    fields: dict[str, Any] = {
        "judgment": f"{question.id}{rater}",
        "rater": rater,
        "question": question.id,
        "slot": 0,
        "at": NOW - 1000.0,
        "standing": "vote",
        "shown": question.responses,
        "said": "ranked" if tiers else "",
        "tiers": tiers,
        "scores": {},
        "tags": (),
        "bad": says == "bad",
        "abstention": "" if tiers else says,
        "active": 0.0,
    }
    return Line(**(fields | more))


def survey(
    questions: list[Question], lines: list[Line], policies: Mapping[str, str] | None = None, **slots: Slots
) -> Survey:
    of = {q.id: Slots(closed=2) for q in questions if q.revisits is None} | {
        q.id: slots[q.prompt] for q in questions if q.prompt in slots
    }
    return Survey(7, {q.id: q for q in questions}, {"p0": "maths"}, policies or {}, of, 0, lines)


def of(found: Survey, minimum: int = 0) -> Any:
    return figures(found, minimum, NOW, lambda _: None)


def test_nothing_said_is_nothing_known() -> None:
    found = of(survey([], []))
    assert found.agreement == found.flags == found.gains == found.days == ()
    assert found.leaning.first.value is None
    assert found.finish.at is None
    assert found.ratings.why


def test_coverage_counts_slots_of_everybody_and_questions_that_are_complete() -> None:
    """Kills: a question that is complete though a slot is open, or void; votes of repeats in coverage."""
    questions = [pair(i) for i in range(4)]
    again = pair(0, revisits="x")
    lines = [line(questions[0], "r"), line(again, "r", slot=1000)]
    slots = {"p1": Slots(open=1, closed=1), "p2": Slots(void=2), "p3": Slots(leased=1, closed=1)}
    found = of(survey([*questions, again], lines, **slots))
    assert found.done.row.slots == Slots(open=1, leased=1, closed=4, void=2)
    assert (found.done.row.questions, found.done.row.complete, found.done.row.votes) == (4, 1, 1)
    assert [(row.name, row.questions, row.complete) for row in found.strata] == [("", 3, 0), ("maths", 1, 1)]
    assert found.judged == 2


def test_agreement_is_of_what_everybody_was_asked_and_says_when_it_is_undefined() -> None:
    """Kills: gold or repeats in α; an α of 1 or 0 where all say the same."""
    questions = [pair(i) for i in range(6)]
    same = [line(q, rater, "tie") for q in questions for rater in "rs"]
    (alone,) = of(survey(questions, same)).agreement
    assert isinstance(alone.found, Undefined)
    assert (alone.found.why, alone.found.raw, alone.found.verdicts) == ("unanimous", 1.0, 12)
    half = [line(q, r, "b" if r == "s" and i % 2 else "a") for i, q in enumerate(questions) for r in "rs"]
    gold = pair(9)
    apart = [line(gold, r, "a", slot=1000 + k) for k, r in enumerate("rs")]
    (found,) = of(survey([*questions, gold], half + apart)).agreement
    assert isinstance(found.found, Alpha)
    assert found.found.value == pytest.approx(0.0)
    assert found.found.verdicts == 12
    assert [(one.most, one.votes) for one in of(survey(questions, half)).divided] == [(1, 2)] * 3


def test_grades_have_an_alpha_of_each_dimension_and_labels_theirs() -> None:
    grade = [Question(asks=Kind.GRADE, prompt=f"g{i}", responses=(f"a{i}",)) for i in range(3)]
    label = [Question(asks=Kind.LABEL, prompt=f"l{i}", responses=(f"a{i}",)) for i in range(3)]

    def told(question: Question, rater: str, **more: Any) -> Line:
        return line(pair(0), rater)._replace(
            question=question.id, judgment=question.id + rater, tiers=(), shown=(), **more
        )

    lines = [
        told(q, r, said="graded", scores={"kind": i, "brief": i + (r == "s" and i == 1)})
        for i, q in enumerate(grade)
        for r in "rs"
    ]
    lines += [told(q, r, said="labelled", tags=(f"t{i}",)) for i, q in enumerate(label) for r in "rst"]
    found = {one.what: one.found for one in of(survey([*grade, *label], lines)).agreement}
    assert set(found) == {"grades: kind", "grades: brief", "labels"}
    assert found["grades: kind"].value == pytest.approx(1.0)
    assert found["grades: brief"].value < 1
    assert (found["labels"].value, found["labels"].verdicts) == (pytest.approx(1.0), 9)


def test_place_and_repeats() -> None:
    """Kills: the question's order for the one that was shown, ties as wins, another's first verdict."""
    questions = [pair(i) for i in range(4)]
    shown = [("b0", "a0"), ("a1", "b1"), ("a2", "b2"), ("a3", "b3")]
    first = [line(q, "r", shown=s) for q, s in zip(questions, shown, strict=True)]
    first[3] = line(questions[3], "r", "tie")
    again = [pair(i, revisits=first[i].judgment) for i in range(4)]
    says = ["a", "b", "a", "tie"]
    repeats = [
        line(q, "r", said, shown=one.shown[::-1], slot=1000)
        for q, said, one in zip(again, says, first, strict=True)
    ]
    others = line(pair(5, revisits=first[0].judgment), "s", "b", slot=1000)
    asked = [*questions, *again, pair(5, revisits=first[0].judgment)]
    found = of(survey(asked, [*first, *repeats, others]))
    own = found.by_rater["r"]
    assert (own.same.hits, own.same.n) == (3, 4)
    assert (own.same_place.hits, own.same_place.n) == (1, 3)
    # First: b0 lost, a1, a2 won. Again: first was a0, b1, b2; a0 and b1 won, b2 lost.
    assert (own.first.hits, own.first.n) == (4, 6)
    assert found.by_rater["s"].same.n == 0
    assert (found.leaning.same.hits, found.leaning.same.n) == (3, 4)


def test_a_flag_needs_a_bound_that_leaves_no_other_reading() -> None:
    """Kills: a two-sided bound, a share held to the limit instead of its bound, one side of a place only."""
    none = share(0, 0)
    leaning = {
        "few": Leaning(share(4, 5), none, none, share(1, 3)),
        "gold": Leaning(none, none, none, share(12, 20)),
        "first": Leaning(share(40, 50), none, none, none),
        "last": Leaning(share(10, 50), none, none, none),
        "random": Leaning(share(25, 50), share(20, 40), none, none),
        "good": Leaning(share(26, 50), share(38, 40), none, share(40, 40)),
    }
    found = {(flag.rater, flag.what) for flag in flags(leaning)}
    # 12 of 20 may be .783 by a one-sided bound; by a two-sided one they may be .809, and would pass.
    assert found == {("gold", "gold"), ("first", "place"), ("last", "place"), ("random", "consistency")}


def test_skips_minimum_time_and_finish() -> None:
    questions = [pair(i) for i in range(12)]
    lines = [line(q, "r", active=10.0 * (i + 1)) for i, q in enumerate(questions[:11])]
    lines += [line(questions[0], "s", "unclear"), line(questions[1], "s", "unclear", standing="late")]
    found = of(survey(questions, lines, p0=Slots(open=4, closed=2)), minimum=5)
    assert found.skipped == (("unclear", 1),)
    assert [work[:6] for work in found.works] == [
        ("r", 11, 0, 60.0, NOW - 1000, 0),
        ("s", 1, 1, None, NOW - 1000, 4),
    ]
    assert (found.judged, found.late) == (12, 1)
    # An hour is the shortest pace: 12 votes in it, four slots to go.
    assert found.finish.at == pytest.approx(NOW + 4 * 3600 / 12)
    assert finish(survey(questions, lines[:9], p0=Slots(open=4)), NOW).at is None


def voted(n: int, arm: str, better: float, seed: int) -> tuple[list[Question], list[Line], dict[str, str]]:
    """n questions between two policies by ten raters, the first of which wins so often."""
    rng = np.random.default_rng(seed)
    questions = [pair(seed * 1000 + i, arm) for i in range(n)]
    lines = [
        line(q, f"r{k}", "a" if rng.random() < better else "b")
        for q in questions
        for k in rng.choice(10, 2, replace=False)
    ]
    policies = {q.responses[0]: "good" for q in questions} | {q.responses[1]: "plain" for q in questions}
    return questions, lines, policies


def test_policies_are_rated_with_an_interval_over_raters_on_closed_questions() -> None:
    """Kills: an order turned round, votes on open questions counted, both bad that is no tie."""
    questions, lines, policies = voted(80, "random", 0.75, 1)
    open_ = pair(5000)
    policies |= {"a5000": "good", "b5000": "plain"}
    lines.append(line(open_, "r1", "b"))
    lines += [line(questions[i], f"s{i}", "bad") for i in range(3)]
    found = of(survey([*questions, open_], lines, policies, p5000=Slots(open=1))).ratings
    assert [item.name for item in found.items] == ["good", "plain"]
    assert [reading.name for reading in found.readings] == ["all votes", "weighted", "random arm"]
    interval = found.readings[0].differences[1]
    assert interval is not None
    assert interval.low < -np.log(3) < interval.high < 0
    assert found.unclosed == pytest.approx(1 / 164)
    assert found.items[0].accepted is not None
    assert found.items[0].accepted.share == pytest.approx(161 / 164)


def test_one_policy_has_no_rating() -> None:
    questions = [pair(i) for i in range(3)]
    found = of(survey(questions, [line(q, "r") for q in questions])).ratings
    assert found.items == ()
    assert "different policies" in found.why


def test_ratings_that_do_not_come_to_rest_say_so_and_all_else_is_there(monkeypatch: Any) -> None:
    """Sixty policies, each compared with the next one only. Kills: an error in place of every figure."""
    questions: list[Question] = []
    lines: list[Line] = []
    policies: dict[str, str] = {}
    for n in range(240):
        question = pair(n, "random" if n % 2 else "split")
        policies |= {f"a{n}": f"m{n % 60:02}", f"b{n}": f"m{n % 60 + 1:02}"}
        questions.append(question)
        lines += [line(question, "r", "b" if n < 60 else "a")]

    def restless(*_: Any) -> None:
        raise ArithmeticError("it moves on")

    monkeypatch.setattr(rating, "arm_gain", restless)
    found = of(survey(questions, lines, policies))
    assert "compare items across the chain" in found.ratings.why
    assert [arm.why for arm in found.gains] == ["it moves on"]
    assert found.judged == 240


def test_an_arm_that_adds_nothing_is_said_to_and_one_with_too_few_votes_too() -> None:
    """Kills: an interval that holds 0 and "helps"; arms compared on the votes they were fitted to."""
    parts = [voted(60, "random", 0.7, 1), voted(40, "split", 0.7, 2), voted(3, "bridge", 0.7, 3)]
    questions = [q for part in parts for q in part[0]]
    lines = [one for part in parts for one in part[1]]
    policies = {k: v for part in parts for k, v in part[2].items()}
    found = {arm.name: arm for arm in of(survey(questions, lines, policies)).gains}
    assert found["split"].helps is not None
    assert found["split"].helps.said == NO_EVIDENCE
    assert found["split"].helps.votes == min(found["split"].votes, found["split"].random)
    assert 10 <= found["split"].held_out < 60
    assert found["bridge"].helps is None
    assert "6 of this arm" in found["bridge"].why
    alone = of(survey(questions, lines)).gains[0]
    assert "no answer stands in two questions" in alone.why


def test_groups_of_fewer_than_k_are_hidden_and_one_more() -> None:
    works = tuple(Work(f"r{i}", 10, 0, None, NOW, 0) for i in range(9))
    of_age = ["old"] * 4 + ["young"] * 4 + ["rare"]
    members = {f"r{i}": {"age": age} for i, age in enumerate(of_age)} | {"nobody": {"age": "old"}}
    shown, hidden = groups_of(members, works, lambda sizes, voters: cells_shown(sizes, voters, 3))
    assert [tuple(one) for one in shown] == [("age", "old", 4)], "and no sum, whose growth would name people"
    assert hidden == {"age": 2}
