"""Pairs: what leaves and why, whose sequence is whose, and that a part of a batch says the same.

Mutants: the answers swapped, a turn given to the other answer, measured columns left behind by a row that
left, the first turn's end for the last, steps that share or lose pairs.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.errors import ContractError, PlanError
from accord.maths.pairs import answer_S, last_RA, pair_batch, pairs_of, tokens_A
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window


def said(*turns: tuple[int, ...]) -> Episode:
    """One turn for each tuple of tokens; no prompt extends what stands before, so each is a sequence."""
    return Episode(
        prompt="q",
        responses=tuple(f"{turns}{k}" for k in range(len(turns))),
        prompt_tokens=tuple((1 + k,) for k in range(len(turns))),
        tokens=turns,
    )


def pair(first: Episode, second: Episode, p: float = 1.0, **told: float | bool) -> Row:
    missing = bool(told.pop("missing", False))
    return Row((first, second), {"p": p, **told}, missing)


def ref(*lengths: int) -> tuple[Floats, ...]:
    """Sequence s was measured as 10·s + place."""
    return tuple(10.0 * s + np.arange(n) for s, n in enumerate(lengths))


def batch_of(*rows: Row, measured: tuple[Floats, ...] = (), epochs: int = 1, size: int = 9) -> Batch:
    window = Window(0, rows, {"ref_logp": measured} if measured else {})
    return pair_batch(pairs_of(window), epochs, size, np.random.default_rng(0), {"loss": 1.0, "figure": 0.0})


TALK = pair(said((5, 6), (7,)), said((8,)), 0.75, weight=2.0)
SHORT = pair(said((9, 9, 9)), said((4,), (3,), (2,)))


def test_every_sequence_belongs_to_its_answer_and_scores_are_read_at_the_last() -> None:
    batch = batch_of(TALK, SHORT)
    assert answer_S(batch).tolist() == [0, 0, 1, 2, 3, 3, 3]
    assert last_RA(batch).tolist() == [[1, 2], [3, 6]]
    assert tokens_A(batch).tolist() == [3, 1, 3, 3]
    assert batch.rows["p"].tolist() == [0.75, 1.0]
    assert batch.rows["weight"].tolist() == [2.0, 1.0], "weight is 1 where nobody gave one"


def test_a_part_in_another_order_says_the_same() -> None:
    part = batch_of(TALK, SHORT, TALK).take([1, 0])
    assert answer_S(part).tolist() == [0, 1, 1, 1, 2, 2, 3]
    assert last_RA(part).tolist() == [[0, 3], [5, 6]]
    assert tokens_A(part).tolist() == [3, 3, 3, 1]


def test_what_cannot_teach_leaves_with_what_was_measured_of_it() -> None:
    gone = pair(said((5,)), said((6,)), math.nan, missing=True)
    same = pair(said((5, 6)), said((5, 6)))
    empty = pair(said(()), said((6,)))
    tied = pair(said((5,)), said((6, 6)), 0.5)
    rows = (gone, SHORT, same, empty, tied)
    batch = batch_of(*rows, measured=ref(1, 1, 3, 1, 1, 1, 2, 2, 0, 1, 1, 2))
    assert batch.scalars == {"rows": 5.0, "missing": 1.0, "identical": 1.0, "empty": 1.0, "tied": 1.0}
    assert batch.tokens["ref_logp"].tolist() == [20, 21, 22, 30, 40, 50, 100, 110, 111]
    assert batch.rows["p"].tolist() == [1.0, 0.5], "a tie stays: disagreement is data"
    assert [s.tokens[1:] for s in batch.sequences] == [(9, 9, 9), (4,), (3,), (2,), (5,), (6, 6)]


def test_answers_that_differ_in_their_turns_alone_are_two_answers() -> None:
    once = Episode(prompt="q", responses=("a",), prompt_tokens=((1,),), tokens=((5,),))
    other = Episode(prompt="q", responses=("b",), prompt_tokens=((2,),), tokens=((5,),))
    assert len(pairs_of(Window(0, (pair(once, other),))).rows) == 1


def test_every_pair_comes_once_an_epoch_and_counts_are_pairs() -> None:
    batch = batch_of(*[TALK] * 5, epochs=2, size=2)
    assert [len(s) for s in batch.steps] == [2, 2, 1] * 2
    for epoch in range(2):
        assert sorted(np.concatenate(batch.steps[3 * epoch : 3 * epoch + 3]).tolist()) == [0, 1, 2, 3, 4]
    assert batch.counts == tuple({"loss": float(len(s)), "figure": float(len(s))} for s in batch.steps)
    assert batch.weights == {"loss": 1.0, "figure": 0.0}
    orders = {
        tuple(pair_batch(pairs_of(Window(0, (TALK,) * 5)), 1, 9, np.random.default_rng(s), {}).steps[0])
        for s in range(9)
    }
    assert len(orders) > 1, "the order is drawn"


def test_nothing_to_teach_is_no_step() -> None:
    for rows in ((), (pair(said((5,)), said((5,))),)):
        batch = batch_of(*rows)
        assert (batch.steps, batch.counts, batch.sequences) == ((), (), ())


def test_a_row_without_p_names_the_ask() -> None:
    with pytest.raises(PlanError, match="share that prefers the first") as caught:
        pairs_of(Window(0, (Row((said((5,)), said((6,))), {"score": 1.0}),)))
    assert caught.value.path == "ask"


@pytest.mark.parametrize(
    ("p", "weight"), [(1.1, 1.0), (-0.1, 1.0), (math.nan, 1.0), (1.0, -1.0), (1.0, math.nan), (1.0, math.inf)]
)
def test_numbers_that_are_no_preference_break_the_contract_of_the_feedback(p: float, weight: float) -> None:
    with pytest.raises(ContractError, match="the feedback"):
        pairs_of(Window(0, (pair(said((5,)), said((6,)), p, weight=weight),)))


def test_a_row_that_is_no_pair_breaks_the_contract_of_the_source() -> None:
    with pytest.raises(ContractError, match="pairs of answers"):
        pairs_of(Window(0, (Row((said((5,)),), {"p": 1.0}),)))
