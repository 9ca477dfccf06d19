"""Mutants these kill: > for ≥ at the rank, a mean of shares for the share of tokens, policy and base swapped,
the policy's ranks for the base's, outcomes of the wrong side."""

from __future__ import annotations

import pytest

from accord.indicators.base_rank import BaseRank
from accord.records import Cost, NotMeasured, Reading


def test_the_fourth_choice_is_beyond_three_and_the_third_is_not(read, tables) -> None:
    assert read(BaseRank(), ["c", "c"], ["a", "a"]).value == 0.0
    assert read(BaseRank(), ["d", "d"], ["a", "a"]).value == 1.0
    assert read(BaseRank(beyond=2), ["c", "c"], ["a", "a"]).value == 1.0


def test_share_base_and_change_by_hand(read, tables) -> None:
    policy = tables("policy")
    found = read(BaseRank(), [["a d d", "e"], ["a b", ""]], [["a", "a"], ["b a h", "a"]], policy)
    # Policy: 3 of 4 tokens and 0 of 2. Base: 0 of 2 and 1 of 4.
    assert isinstance(found, Reading)
    assert found.value == pytest.approx(3 / 6)
    assert found.base == pytest.approx(1 / 6)
    assert found.change == pytest.approx(2 / 6)
    # Resamples are prompt 1 twice (.75 − 0), both, or prompt 2 twice (0 − .25).
    assert (found.low, found.high) == (0.0, 0.75)
    assert (found.change_low, found.change_high) == (-0.25, 0.75)
    assert found.outcomes == (0.75, 0.0)
    assert (found.n, found.unit, found.name, found.step, found.run) == (
        2,
        "share of tokens",
        "base_rank",
        40,
        "run",
    )
    # 7 texts with tokens after 10 tokens of prompt each, 12 tokens said.
    assert found.cost == Cost(calls=7, tokens_in=7 * 10 + 12)
    assert policy.asked == []


def test_items_are_prompts_and_parents_answers(read) -> None:
    found = read(BaseRank(), [["a"], ["b"]], [["a"], ["b"]])
    assert len(found.items) == len(set(found.items)) == 2
    assert len(found.parents) == 4


def test_a_reading_repeats_to_the_bit(read) -> None:
    said = [["a d"], ["b"], ["h a a"], ["c d e f"], ["a"]]
    assert read(BaseRank(), said, said).id == read(BaseRank(), said, said).id


def test_prompts_without_tokens_on_one_side_are_left_out(read) -> None:
    found = read(BaseRank(), [["d"], ["a"], [""]], [["a"], ["a"], ["h"]])
    assert (found.n, found.base, found.value) == (2, 0.0, 0.5)


@pytest.mark.parametrize(
    ("ours", "base", "changes", "reason"),
    [
        ([["d"], [""]], [["a"], ["a"]], {}, "1 probes have answers with tokens"),
        ([["d"], ["d"]], [["a"], [""]], {}, "1 probes have answers with tokens"),
        ([], [], {}, "0 probes"),
        ([["d"], ["d"]], [["a"], ["a"]], {"can": frozenset({"sample", "logp"})}, "base base gives no ranks"),
        ([["d"], ["d"]], [["a"], ["a"]], {"tokenizer": "bytes"}, "different tokenizers"),
    ],
)
def test_what_it_cannot_read_it_does_not_measure(read, tables, ours, base, changes, reason) -> None:
    found = read(BaseRank(), ours, base, pi_0=tables(**changes))
    assert isinstance(found, NotMeasured)
    assert reason in found.reason
    assert (found.run, found.step, found.name) == ("run", 40, "base_rank")


def test_the_policy_needs_no_ranks(read, tables) -> None:
    assert isinstance(read(BaseRank(), ["d", "a"], ["a", "a"], tables("policy", can=frozenset())), Reading)


def test_cost_counts_both_sides() -> None:
    assert BaseRank().cost(10, 4, 100) == Cost(calls=80, tokens_in=8000)
    assert BaseRank().wants == {"rank"}
