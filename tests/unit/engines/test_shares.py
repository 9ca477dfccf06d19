"""Shares of the ranks: every row once, whole prompts, about equal work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.engines.ranks.shares import shares
from accord.records import Sequence

Rows = list[list[Sequence]]


def row(prompt: int, *answers: int) -> list[Sequence]:
    """One sequence for each length of an answer, behind prompt number ``prompt``."""
    front = (prompt,) * (1 + prompt % 7)
    return [Sequence((*front, *range(100, 100 + n)), (False,) * len(front) + (True,) * n) for n in answers]


def size(rows: Rows) -> int:
    return sum(len(s.tokens) for parts in rows for s in parts)


ROWS = st.lists(
    st.builds(
        lambda prompt, answers: row(prompt, *answers),
        st.integers(0, 9),
        st.lists(st.integers(0, 30), min_size=1, max_size=2),
    ),
    max_size=24,
)


@given(ROWS, st.integers(1, 5))
def test_every_row_is_taken_once_and_nobody_takes_much_more(rows: Rows, ranks: int) -> None:
    found = shares(rows, ranks)
    assert len(found) == ranks
    assert sorted(r for share in found for r in share) == list(range(len(rows)))
    assert found == shares(rows, ranks), "the same on every rank"
    # Where no prompt comes twice sizes are plain sums: the fullest rank has a row more than is fair, at most.
    if len({parts[0].tokens[0] for parts in rows}) == len(rows):
        largest = max((size([parts]) for parts in rows), default=0)
        assert max(size([rows[r] for r in share]) for share in found) <= size(rows) / ranks + largest


def test_one_prompt_stays_whole_unless_it_is_more_than_its_share() -> None:
    four = [row(prompt, 3) for prompt in (5, 6, 5, 6)]
    assert shares(four, 2) == [[1, 3], [0, 2]]
    assert [len(share) for share in shares([row(5, 8) for _ in range(8)], 2)] == [4, 4]


@pytest.mark.parametrize("rows", [[], [row(3, 2)]])
def test_a_rank_may_get_nothing(rows: Rows) -> None:
    assert shares(rows, 3) == [list(range(len(rows))), [], []]
