"""Mutants these kill: EAD of all answers pooled for the mean over prompts, 1 − EAD for EAD, groups of unequal
size compared, silence as diversity."""

from __future__ import annotations

import pytest

from accord.indicators.diversity import Diversity, spread
from accord.records import Cost, NotMeasured, Reading

ANSWERS = ["a b c d e f", "g h a c e b"]


def test_value_base_and_change_by_hand(read) -> None:
    ours, base = [ANSWERS, [ANSWERS[0]] * 2], [ANSWERS, ANSWERS]
    found = read(Diversity(), ours, base)
    varied, same = spread(ANSWERS), spread([ANSWERS[0]] * 2)
    # 8 different words of 12 and no other run twice; equal answers: one of two everywhere.
    assert (varied, same) == (pytest.approx((8 / 12 + 4) / 5, abs=2e-4), pytest.approx(0.5, abs=2e-4))
    assert isinstance(found, Reading)
    assert found.value == pytest.approx((varied + same) / 2)
    assert found.base == pytest.approx(varied)
    assert found.change == pytest.approx((same - varied) / 2)
    assert (found.change_low, found.change_high) == pytest.approx((same - varied, 0.0))
    assert found.outcomes == pytest.approx((1 - varied, 1 - same))
    assert (found.unit, found.n, found.name, found.cost) == ("EAD on words", 2, "diversity", Cost())
    assert len(found.parents) == 8


def test_prompts_do_not_lend_each_other_variety(read) -> None:
    # Each prompt has its own fixed answer: over all prompts they differ, to each prompt they do not.
    fixed = [["a b c"] * 4, ["d e f"] * 4, ["f g h"] * 4]
    assert read(Diversity(), fixed, fixed).value == pytest.approx(0.25, abs=1e-3)


def test_outcomes_stay_in_range_where_nothing_repeats(read) -> None:
    found = read(Diversity(), [["a b c d", "e f g h"]] * 2, [["a", "b"]] * 2)
    assert found.value > 1.0
    assert found.outcomes == (0.0, 0.0)


def test_silence_is_no_variety(read) -> None:
    found = read(Diversity(), [["", ""], ["", ""]], [ANSWERS, ANSWERS])
    assert (found.value, found.outcomes) == (0.0, (1.0, 1.0))


@pytest.mark.parametrize(
    ("ours", "base", "reason"),
    [
        ([["a"], ["b"]], [["a"], ["b"]], "1 answers to each probe; diversity needs 2"),
        ([["a", "b"]], [["a", "b"]], "1 probes"),
        ([["a", "b"], ["a", "b"]], [["a", "b", "c"], ["a", "b", "c"]], "groups of 2 to 3"),
        ([["a", "b"], ["a"]], [["a", "b"], ["a", "b"]], "groups of 1 to 2"),
    ],
)
def test_what_it_cannot_read_it_does_not_measure(read, ours, base, reason) -> None:
    found = read(Diversity(), ours, base)
    assert isinstance(found, NotMeasured)
    assert reason in found.reason


def test_it_asks_no_model(read, tables) -> None:
    policy, base = tables("policy", can=frozenset()), tables(can=frozenset())
    assert isinstance(read(Diversity(), [ANSWERS] * 2, [ANSWERS] * 2, policy, base), Reading)
    assert policy.asked == base.asked == []
    assert Diversity().wants == frozenset()
    assert Diversity().cost(10, 4, 100) == Cost()
