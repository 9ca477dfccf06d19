"""Flat answer tokens and steps. Mutants: sequences counted as rows, prompt tokens counted, rows of one group
torn apart, a row left out of a pass, KL averaged over the wrong rows."""

from __future__ import annotations

import numpy as np
import pytest

from accord.errors import PlanError
from accord.maths.rollouts import Spoken, column_of, divergences_of, steps_of
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
