"""The bar. Mutants: a margin of the wrong sign, one clause that stands
for all, a bound that is held and called shown, a quotient near nought."""

from __future__ import annotations

import pytest
from unit.studies.test_outcome import BAR, series, shares

from accord.studies.bars import (
    Bar,
    Clause,
    above,
    below,
    exactly,
    holds,
    in_seeds,
    near,
    not_below,
    ruled,
    times,
)
from accord.studies.outcome import Series


@pytest.mark.parametrize(
    ("mild", "outcome"), [(0.2, "met"), (0.17, "met"), (0.10, "not met"), (0.15, "no evidence")]
)
def test_the_bar(mild: float, outcome: str) -> None:
    arms = {"mild": shares(mild, noise=0.02), "dpo": shares(0.0), "ppo": shares(0.2, noise=0.02)}
    ruling = ruled(BAR, {"gold": arms})
    assert ruling.outcome == outcome and "ppo" in ruling.why
    assert (ruling.why.endswith("; an interval holds -0.05")) == (outcome == "no evidence")


HALF = {"a": series({0: [0.4, 0.5], 1: [0.5, 0.6]}), "b": series({0: [0.1, 0.2], 1: [0.2, 0.3]})}


@pytest.mark.parametrize(
    ("clause", "held"),
    [
        (above("f", "a", 0.3), True),
        (above("f", "a", 0.5), None),
        (above("f", "a", 0.7), False),
        (below("f", "a", 0.7), True),
        (below("f", "a", 0.5), None),
        (below("f", "a", 0.3), False),
        (near("f", "a", 0.5, 0.2), True),
        (near("f", "a", 0.5, 0.05), None),
        (near("f", "a", 0.9, 0.1), False),
        (holds("f", "a", 0.5), True),
        (holds("f", "a", 0.9), False),
        (exactly("f", "a", 0.5), False),
        (in_seeds("f", "a", 0.5, 1), True),
        (in_seeds("f", "a", 0.5, 2), False),
        (times("f", "a", "b", 1.5), True),
        (times("f", "a", "b", 2.5), None),
        (times("f", "a", "b", 9), False),
    ],
)
def test_each_clause_is_shown_or_refuted_or_neither(clause: Clause, held: bool | None) -> None:
    assert clause.check(HALF).held is held
    assert all(arm in clause.says for arm in clause.arms)


def test_a_bar_is_met_where_every_clause_is() -> None:
    good, open_, bad = above("f", "a", 0.3), above("f", "a", 0.5), above("f", "a", 0.7)
    for clauses, outcome in (
        ((good, good), "met"),
        ((good, open_), "no evidence"),
        ((open_, bad), "not met"),
    ):
        ruling = ruled(Bar(clauses, 2), {"f": HALF})
        assert ruling.outcome == outcome and len(ruling.checks) == 2


def test_every_clause_says_what_it_came_to_whatever_decides() -> None:
    bar = Bar((above("f", "a", 0.3), above("f", "a", 0.7), not_below("f", "b", ("c",), 0.1)), 2)
    for found, lost, unsolved, outcome in (
        ({"f": HALF}, ("c, seed 0: crashed: x",), (), "not met"),
        ({"f": HALF}, (), ("c, seed 0",), "no solution found"),
        ({"f": HALF}, (), (), "no evidence"),
        ({"f": {**HALF, "c": series({1: [0.1]})}}, (), (), "no evidence"),
    ):
        ruling = ruled(bar, found, lost, unsolved)
        assert ruling.outcome == outcome
        assert [one.held for one in ruling.checks] == [True, False, None]
        assert ruling.checks[0].found.startswith("f of a: 0.500 ["), "its own figures are all there"
        assert ruling.checks[2].found.startswith("c has no f")
    fewer = ruled(bar._replace(clauses=bar.clauses[:1], seeds=3), {"f": HALF})
    assert (fewer.outcome, fewer.why, fewer.checks[0].held) == ("no evidence", "2 seeds of 3", True)


def test_one_value_has_no_interval_and_shows_nothing() -> None:
    lone = {"a": Series.of({0: {"x": 1.0}}), "b": Series.of({0: {"x": 0.0}})}
    for clause in (above("f", "a", 0.5), not_below("f", "a", ("b",), 0.1), times("f", "a", "b", 1)):
        assert clause.check(lone).held is None
    assert exactly("f", "a", 1.0).check(lone).held is True
