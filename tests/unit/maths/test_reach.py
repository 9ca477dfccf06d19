"""Rows of a batch found again in their window, and rows taken out of a batch.

Mutants: the order of the window taken for that of the batch, the support of a sequence read from its row, a
step's rows not numbered anew, a denominator that shrinks, an empty step that stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accord.maths.batches import likelihood_batch, without
from accord.maths.reach import asked, distant, episodes_in, opening_R, outside
from accord.records import Episode
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Row, Window


def row(prompt: int, *turns: tuple[int, ...], group: int = 0) -> Row:
    """Turns of which each is asked anew, so that each is a sequence of its own."""
    told = {"prompt": f"p{prompt}", "responses": tuple(f"{prompt}{t}{k}" for k, t in enumerate(turns))}
    asked_first = tuple((100 + prompt, 50 + k) for k in range(len(turns)))
    return Row((Episode(prompt_tokens=asked_first, tokens=turns, **told),), group=group)


ROWS = (row(0, (1, 2)), row(0, (3,), (4, 5)), row(1, (6,)), row(1, (1, 2)))
SUPPORT = tuple(map(np.array, ([1.0, 0.0], [0.0], [1.0, 0.0], [1.0], [0.0, 0.0])))


def batch_of(*rows: int) -> Batch:
    return likelihood_batch([ROWS[r] for r in rows], 1, 9, np.random.default_rng(0), {})


def test_rows_are_found_by_what_was_said_to_what() -> None:
    window = Window(0, ROWS, {"support": SUPPORT})
    batch = batch_of(3, 1, 0)
    whole = np.ones(len(batch.sequences), dtype=np.bool_)
    assert outside(window, batch, whole).tolist() == [1.0, 2 / 3, 0.5]
    first = np.array([True, True, False, True])
    assert outside(window, batch, first).tolist() == [1.0, 1.0, 0.5], "only in what is looked at"
    assert opening_R(batch) == [((101, 50), None, 1.0), ((100, 50), None, 1.0), ((100, 50), None, 1.0)]
    assert episodes_in(window, batch, np.array([False, False, True, False])) == (ROWS[1].episodes[0].id,)
    assert episodes_in(window, batch, ~whole) == ()
    empty = batch_of()
    assert outside(window, empty, np.zeros(0, dtype=np.bool_)).tolist() == opening_R(empty) == []


def test_a_prompt_is_distant_by_the_mean_of_its_answers() -> None:
    """Sums of 1, 2 and of 0, 4: means of 1½ and 2."""
    old = tuple(map(np.array, ([0.5, 0.5], [1.0], [1.0, 0.0], [0.0], [3.0, 1.0])))
    window = Window(0, ROWS, {"old_logp": old, "base_logp": tuple(np.zeros(len(o)) for o in old)})
    assert [len(distant(window, nats)) for nats in (1.4, 1.5, 1.9, 2.0)] == [2, 1, 1, 0]
    assert distant(window, 1.5) == {((101, 50), None, 1.0)}
    pair = Window(
        0, (Row((*ROWS[0].episodes, *ROWS[1].episodes)),), {n: c[:3] for n, c in window.measured.items()}
    )
    assert (len(distant(pair, 1.4)), len(distant(pair, 1.5))) == (1, 0), "by answer, not by row"


def test_what_was_asked_ends_where_the_answer_begins() -> None:
    sequence = Masked((1, 2, 3), (False, False, False), (3,), 0.5)
    assert asked(sequence) == ((1, 2, 3), (3,), 0.5), "nothing was said"


@given(st.data())
def test_what_is_left_is_what_the_whole_says_of_it(data: Any) -> None:
    count = data.draw(st.integers(1, 6))
    rows = [row(r, (10 + r,) * (1 + r % 3)) for r in range(count)]
    size, epochs = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 2))
    whole = likelihood_batch(rows, epochs, size, np.random.default_rng(1), {"x": 1.0})
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    left = without(whole, gone)

    def told(batch: Batch) -> list[tuple[list[tuple[int, ...]], Any]]:
        """The answers of each step that are to be left, with its denominators."""
        steps = [
            ([batch.sequences[r].tokens for r in step], c)
            for step, c in zip(batch.steps, batch.counts, strict=True)
        ]
        out = {rows[r].episodes[0].sequences()[0].tokens for r in np.flatnonzero(gone)}
        kept = [([tokens for tokens in said if tokens not in out], counts) for said, counts in steps]
        return [(said, counts) for said, counts in kept if said]

    assert told(left) == told(whole)
    assert all(len(step) for step in left.steps)
    assert len(left.sequences) == count - int(gone.sum())
    assert len(left.tokens["weight"]) == int(left.lengths_S().sum())
    assert (left.weights, left.scalars) == (whole.weights, whole.scalars)
