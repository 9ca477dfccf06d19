"""Flat answer tokens and steps. Mutants: sequences counted as rows, prompt tokens counted, rows of one group
torn apart, a row left out of a pass, KL averaged over the wrong rows, counts that forget what is not
computed."""

from __future__ import annotations

import numpy as np
import pytest

from accord.errors import PlanError
from accord.maths.rollouts import (
    Passes,
    Spoken,
    column_of,
    divergences_of,
    figures_of,
    groups_of,
    lessons,
    steps_of,
)
from accord.records import Episode
from accord.records.rows import Row, Window
from accord.testing import a_window


def two_turns(*, apart: bool) -> Episode:
    """Two answers of 2 and 1 tokens; the second prompt extends all before it, or starts anew."""
    second = (9, 9) if apart else (1, 2, 3, 8)
    return Episode(
        prompt="p",
        responses=("a", "b"),
        prompt_tokens=((1,), second),
        tokens=((2, 3), (4,)),
        rewards=(None, 1.0),
    )


def window(*, apart: bool, measured: bool = False) -> Window:
    rows = (Row((two_turns(apart=apart),), {"score": 1.0}), a_window([[0.0, 1.0]]).rows[1])
    cuts = [2, 1, 2] if apart else [3, 2]
    columns = {"old_logp": np.arange(5.0), "ref_logp": np.zeros(5)} if measured else {}
    return Window(0, rows, {n: tuple(np.split(c, np.cumsum(cuts)[:-1])) for n, c in columns.items()})


@pytest.mark.parametrize("apart", [True, False])
def test_turns_of_an_episode_are_one_row_of_answer_tokens(apart: bool) -> None:
    spoken = Spoken.of(window(apart=apart))
    assert len(spoken.sequences) == (3 if apart else 2)
    assert spoken.row_T.tolist() == [0, 0, 0, 1, 1]
    assert spoken.length_R.tolist() == [3, 2]
    assert spoken.last_T().tolist() == [2, 4]
    assert spoken.sum_R(np.arange(5.0)).tolist() == [3.0, 7.0]
    sequences, row_S = spoken.only(np.array([False, True]))
    assert sequences == spoken.sequences[-1:]
    assert row_S.tolist() == [0]


@pytest.mark.parametrize("apart", [True, False])
def test_divergences_by_answer_and_by_token(apart: bool) -> None:
    given = window(apart=apart, measured=True)
    found = divergences_of(Spoken.of(given), given)
    assert found["k1"] == pytest.approx((0 + 1 + 2 + 3 + 4) / 2)
    assert found["k1_token"] == pytest.approx((0 + 1 + 2 + 3 + 4) / 5)
    k3 = [np.exp(-x) - 1 + x for x in range(5)]
    assert found["k3"] == pytest.approx(sum(k3) / 2)
    assert found["k3_token"] == pytest.approx(sum(k3) / 5)
    bare = window(apart=apart)
    assert divergences_of(Spoken.of(bare), bare) == {}, "what was not measured has no figure"


def test_a_pass_takes_every_row_once_and_groups_together() -> None:
    group = np.array([4, 0, 4, 2, 0, 2, 4])
    rows = np.array([0, 1, 2, 3, 5, 6])
    orders = set()
    for seed in range(8):
        steps = [*steps_of(rows, group, 4, np.random.default_rng(seed))]
        assert [len(step) for step in steps] == [4, 2]
        order = np.concatenate(steps)
        assert sorted(order.tolist()) == rows.tolist()
        assert (np.diff(group[order]) != 0).sum() == 2, "three groups, each in one piece"
        orders.add(tuple(order.tolist()))
    assert len(orders) > 1, "the order is drawn"
    assert [len(step) for step in steps_of(rows, group, None, np.random.default_rng(0))] == [6]
    assert not [*steps_of(rows[:0], group, None, np.random.default_rng(0))]


def test_a_column_that_no_ask_fills_is_a_plan_error() -> None:
    given = a_window([[1.0, None]])
    assert column_of(given, "score") == pytest.approx([1.0, np.nan], nan_ok=True)
    with pytest.raises(PlanError, match='an ask whose column is "cost:harm"'):
        column_of(given, "cost:harm")


def test_lessons_are_of_all_rows_that_stay_and_compute_those_that_are_taught() -> None:
    length, group = np.array([1, 2, 0, 4, 5, 6]), np.array([0, 0, 1, 1, 2, 2])
    stays = np.array([True, True, True, False, True, True])
    taught = np.array([False, True, True, False, False, False])
    found = lessons(length, group, stays, taught, Passes(2, 2), np.random.default_rng(0))
    assert all(3 not in step.rows for step in found), "row 3 has left"
    told = [place for step in found for place in step.places.tolist()]
    assert told.count(0) == 2, "row 1 is row 0 of the batch, and comes once in each of two passes"
    assert all(length[step.rows[taught[step.rows]]].any() for step in found), "no step without a token"
    whole = lessons(length, group, stays, taught, Passes(1, None), np.random.default_rng(0))
    assert [sorted(step.rows.tolist()) for step in whole] == [[0, 1, 2, 4, 5]]
    assert sorted(whole[0].places.tolist()) == [0, 1]
    assert not lessons(length, group, stays, taught & False, Passes(3, None), np.random.default_rng(0))


def test_figures_of_groups() -> None:
    window = a_window([[1.0, 3.0], [2.0, 2.0], [None, 5.0]])
    assert groups_of(window).tolist() == [0, 0, 1, 1, 2, 2]
    stays, equal = np.arange(6) < 4, np.array([False, False, True, True, False, False])
    found = figures_of(window, stays, equal)
    wanted = {"rows": 6, "missing": 1, "groups": 3, "groups_dropped": 1, "groups_equal": 1, "score": 13 / 5}
    assert found == pytest.approx({**wanted, "score_std": np.std([1, 3, 2, 2, 5])})
    assert "score" not in figures_of(a_window([[None]]), stays[:1] & False, equal[:1])
