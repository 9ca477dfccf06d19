"""Mutants these kill: sign of k1, mean for sum over tokens, silence as 0, an unclipped or unscaled outcome,
the base scored on its own answers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.errors import ContractError
from accord.indicators.reverse_kl import ReverseKL, nats_per_answer
from accord.records import Cost, NotMeasured, Reading

LN2 = math.log(2)


@pytest.fixture
def policy(tables):
    """b ↔ a: where the base says a with ½ and b with ¼, it says b with ½ and a with ¼."""
    swapped = dict(tables().p)
    swapped["a"], swapped["b"] = swapped["b"], swapped["a"]
    return tables("policy", p=swapped)


def test_nats_by_hand(read, policy) -> None:
    # "b" costs +ln 2, "a" −ln 2, "c" nothing.
    found = read(ReverseKL(cap=2.0), [["b b b", "b"], ["b a a c", "c"]], [["a", "a"], ["a", "a"]], policy)
    assert isinstance(found, Reading)
    assert found.value == pytest.approx((3 + 1 - 1 + 0) * LN2 / 4)
    assert (found.low, found.high) == pytest.approx((-0.5 * LN2, 2 * LN2))
    assert found.outcomes == pytest.approx((LN2, 0.0))
    assert (found.base, found.change) == (0.0, found.value)
    assert (found.change_low, found.change_high) == (found.low, found.high)
    assert (found.unit, found.n, found.name, found.step) == ("nats/answer", 2, "reverse_kl", 40)
    # Both read 4 texts: 10 tokens of prompt each, 9 tokens said.
    assert found.cost == Cost(calls=8, tokens_in=2 * (4 * 10 + 9))
    assert len(found.parents) == 4


def test_outcomes_are_clipped_and_values_are_not(read, policy) -> None:
    found = read(ReverseKL(cap=2 * LN2), [["b b b b"], ["b"]], [["a"], ["a"]], policy)
    assert found.outcomes == pytest.approx((1.0, 0.5))
    assert found.value == pytest.approx(2.5 * LN2)


def test_an_unchanged_policy_is_at_zero_exactly(read) -> None:
    found = read(ReverseKL(), [["a b c"], ["d"], ["b b"]], [["a"], ["a"], ["a"]])
    assert (found.value, found.low, found.high, found.outcomes) == (0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


def test_answers_without_tokens_are_left_out_and_not_counted_as_zero(read, policy) -> None:
    found = read(ReverseKL(), [["b b", ""], ["b b"], ["", ""]], [["a"], ["a"], ["a"]], policy)
    assert (found.n, found.value) == (2, pytest.approx(2 * LN2))


@pytest.mark.parametrize(
    ("ours", "theirs", "base", "reason"),
    [
        ([["b"], [""]], {}, {}, "1 probes have answers with tokens"),
        ([["b"], ["b"]], {"can": frozenset({"sample"})}, {}, "the policy policy gives no log-prob"),
        ([["b"], ["b"]], {}, {"can": frozenset({"rank"})}, "the base base gives no log-prob"),
        ([["b"], ["b"]], {}, {"tokenizer": "bytes"}, "different tokenizers"),
    ],
)
def test_what_it_cannot_read_it_does_not_measure(read, tables, ours, theirs, base, reason) -> None:
    found = read(ReverseKL(), ours, [["a"], ["a"]], tables("policy", **theirs), tables(**base))
    assert isinstance(found, NotMeasured)
    assert reason in found.reason


def test_a_token_that_the_base_excludes_is_a_broken_contract_and_no_number(read, tables, policy) -> None:
    class Excludes(type(policy)):
        def _column(self, text, name):
            return np.array([-np.inf] * len(text.response.tokens))

    base = Excludes(**tables()._asdict())
    with pytest.raises(ContractError, match="finite logp"):
        read(ReverseKL(), [["b"], ["b"]], [["a"], ["a"]], policy, base)


def test_one_tokenizer_means_the_same_tokens(read, tables, policy) -> None:
    class Shorter(type(policy)):
        def _column(self, text, name):
            return super()._column(text, name)[:-1]

    base = Shorter(**tables()._asdict())
    with pytest.raises(ContractError, match="first with 2 tokens against 1"):
        read(ReverseKL(), [["b b"], ["b b b"]], [["a"], ["a"]], policy, base)


def test_answers_are_summed_apart() -> None:
    found = nats_per_answer(
        [np.array([-1.0, -1.0]), np.array([-2.0])], [np.array([-2.0, -4.0]), np.array([-1.0])]
    )
    assert found.tolist() == [4.0, -1.0]


def test_cost_counts_both_models() -> None:
    assert ReverseKL().cost(10, 4, 100) == Cost(calls=80, tokens_in=8000)
    assert ReverseKL().wants == {"logp"}
