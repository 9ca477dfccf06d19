"""Micro-batches: every row once, rows with one prompt together, no more tokens than the budget says.

Mutants: a row whose second text has another prompt counted as if it shared, a cluster cut that fits, a row
that is taken apart.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.engines.local.layout import packed
from accord.engines.local.micro import micro_batches, passes
from accord.records import Sequence as Masked
from accord.records.rows import Batch

PROMPTS = [(1, 2, 3, 4, 5, 6), (7,), tuple(range(30)), (1, 2, 3)]


def text(prompt: int, said: int) -> Masked:
    tokens = (*PROMPTS[prompt], *range(100, 100 + said))
    return Masked(tokens, tuple(i >= len(PROMPTS[prompt]) for i in range(len(tokens))))


def batch_of(rows: list[list[Masked]]) -> Batch:
    sequences = [s for row in rows for s in row]
    return Batch(
        sequences=tuple(sequences),
        row_S=np.array([r for r, row in enumerate(rows) for _ in row], dtype=np.int64),
        steps=(np.arange(len(rows)),),
        counts=({"nll": 1.0},),
        weights={"nll": 1.0},
    )


def size(sequences: list[Masked]) -> int:
    return len(packed(sequences, True, torch.device("cpu")).tokens_T)


_ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=3), min_size=1, max_size=12
)


@given(_ROWS, st.sampled_from([16, 40, 100, 4096]))
def test_every_row_stands_in_one_pass_within_the_budget(
    told: list[list[tuple[int, int]]], budget: int
) -> None:
    rows = [[text(p, n) for p, n in row] for row in told]
    for share in (True, False):
        groups = micro_batches(batch_of(rows), budget, share)
        assert sorted(r for g in groups for r in g) == list(range(len(rows)))
        assert all(groups)
        if share:
            held = [size([s for r in g for s in rows[r]]) for g in groups]
            assert all(h <= budget or len(g) == 1 for h, g in zip(held, groups, strict=True)), (held, groups)
        else:
            longest = [max(sum(len(s.tokens) for s in rows[r]) for r in g) for g in groups]
            assert all(n * len(g) <= budget or len(g) == 1 for n, g in zip(longest, groups, strict=True))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=14))
def test_texts_that_are_only_read_come_once_too(told: list[tuple[int, int]]) -> None:
    texts = [text(p, n) for p, n in told]
    for share in (True, False):
        for budget in (16, 64, 4096):
            groups = passes(texts, budget, share)
            assert sorted(i for g in groups for i in g) == list(range(len(texts)))


def test_the_order_does_not_hang_on_anything_but_the_rows() -> None:
    rows = [[text(0, 3)], [text(2, 1)], [text(0, 5)], [text(2, 2)], [text(1, 1)]]
    groups = micro_batches(batch_of(rows), 4096, True)
    assert groups == [[1, 3, 0, 2, 4]], "largest cluster first, its rows in their order"


def test_a_group_of_one_prompt_stays_together_where_it_fits() -> None:
    rows = [[text(2, 4)] for _ in range(8)] + [[text(0, 4)] for _ in range(8)]
    groups = micro_batches(batch_of(rows), 62, True)
    assert groups == [list(range(8)), list(range(8, 16))]


def test_a_prompt_whose_answers_do_not_fit_is_read_once_per_pass() -> None:
    rows = [[text(2, 8)] for _ in range(8)]
    groups = micro_batches(batch_of(rows), 30 + 3 * 8, True)
    assert [len(g) for g in groups] == [3, 3, 2]


def test_two_even_passes_rather_than_a_full_and_a_tiny_one() -> None:
    texts = [Masked((i, *range(9)), (*(False,) * 9, True)) for i in range(12)]
    assert [len(g) for g in passes(texts, 100, True)] == [6, 6]


def test_a_row_larger_than_the_budget_goes_alone() -> None:
    rows = [[text(2, 9), text(2, 9)], [text(1, 1)], [text(1, 2)]]
    for share in (True, False):
        groups = micro_batches(batch_of(rows), 16, share)
        assert [0] in groups


@pytest.mark.parametrize("share", [True, False])
def test_nothing_takes_no_pass(share: bool) -> None:
    assert passes([], 16, share) == []
    assert micro_batches(batch_of([]), 16, share) == []
