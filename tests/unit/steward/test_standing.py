"""The verdict on one principle in one slice: what the planted truth is, and never more than the figures say.

Mutants these kill: an interval by answers instead of prompts, the plug-in for the best of 16, a spanned
threshold taken for the class above, silence left out of the bounds, unknown under a hard rule left open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from accord.maths.bounded import bounded_mean
from accord.records.rows import Floats
from accord.steward.standing import Seen, Standing, any_of, standing_of
from accord.values import Principle

TARGET = 0.8


def rule(**more: object) -> Principle:
    told = {"id": "keep", "kind": "rule", "text": "Keep it.", "check": "a.py:f", "prompts": "rows.jsonl"}
    return Principle.model_validate({**told, "target": TARGET, **more})


def stands(own_P: Floats, told_P: Floats, rng: np.random.Generator, samples: int = 16) -> Standing:
    """Of prompts that are kept with these chances."""
    own, told = ([rng.binomial(1, p, n) * 1.0 for p in of] for of, n in ((own_P, samples), (told_P, 4)))
    return standing_of(rule(), "s", Seen(tuple(map(str, range(len(own_P)))), own, told))


def test_each_class_is_reached_and_the_order_of_answers_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    planted = {"held": (0.99, 0.99), "within reach": (0.1, 0.95), "divergent": (0.0, 0.05)}
    for name, (own, told) in planted.items():
        found = stands(np.full(40, own), np.full(40, told), np.random.default_rng(1))
        assert found.verdict == name, found.why
        assert found.own is not None and abs(found.own.value - own) < 0.03
    reached = stands(np.full(40, 0.4), np.full(40, 0.4), np.random.default_rng(1))
    assert reached.verdict == "within reach" and "one of 16 own answers" in reached.why
    own = [rng.binomial(1, 0.8, 16) * 1.0 for _ in range(30)]
    told = [rng.binomial(1, 0.8, 4) * 1.0 for _ in range(30)]
    items = tuple(map(str, range(30)))
    one = standing_of(rule(), "s", Seen(items, own, told))
    other = standing_of(rule(), "s", Seen(items, [x[::-1] for x in own], [rng.permutation(x) for x in told]))
    assert one == other and one.verdict == "no evidence" and one.needed is not None and one.needed > 30


def _coins(mean: float, rng: np.random.Generator) -> Floats:
    """Prompts that always keep it, and prompts that never do: the hardest case for so many prompts."""
    return (rng.random(32) < mean) * 1.0


def _alike(mean: float, rng: np.random.Generator) -> Floats:
    return rng.beta(4 * mean, 4 * (1 - mean), 32)


@pytest.mark.parametrize("spread", [_coins, _alike], ids=["coins", "alike"])
def test_of_two_hundred_models_the_verdict_is_wrong_for_one_in_twenty_at_most(
    spread: Callable[[float, np.random.Generator], Floats], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The truth lies on the thresholds, where a verdict errs most often: whoever names a class errs."""
    monkeypatch.setattr("accord.steward.standing._needed", lambda *_: None)  # costs most, decides nothing
    monkeypatch.setattr("accord.steward.standing._DRAWS", 200)
    wrong = Counter[str]()
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = stands(spread(TARGET, rng), spread(TARGET, rng), rng)
        wrong["at the target"] += found.verdict != "no evidence"  # a hair to either side it would be wrong
        never = np.zeros(32)
        found = stands(never, spread(TARGET / 2 - 1e-9, rng), rng)
        wrong["just under half of the gap"] += found.verdict in ("held", "within reach")
    assert max(wrong.values(), default=0) <= 10, wrong


def test_a_perfect_score_of_few_prompts_is_not_certainty() -> None:
    """Twenty sealed prompts cannot show .95, however many answers; one miss does not make them."""
    perfect = [np.ones(16)] * 20
    missed = [np.ones(16)] * 19 + [np.array([0.0] + [1.0] * 15)]
    for own in (perfect, missed):
        found = standing_of(rule(target=0.95), "s", Seen(tuple(map(str, range(20))), own, own))
        assert found.verdict == "no evidence" and found.own is not None
        assert found.own.low <= 0.025 ** (1 / 20) + 0.01
    needed = standing_of(rule(target=0.95), "s", Seen(tuple(map(str, range(20))), perfect, perfect)).needed
    assert needed is not None and 72 <= needed <= 78  # .025^(1/72) = .950; found to a twentieth


def test_the_best_of_sixteen_has_no_bias() -> None:
    rng = np.random.default_rng(3)
    p, size = 0.06, 24
    found = [any_of(int(rng.binomial(size, p)), size) for _ in range(4000)]
    plug_in = [1 - (1 - rng.binomial(size, p) / size) ** 16 for _ in range(4000)]
    truth = 1 - (1 - p) ** 16
    assert abs(np.mean(found) - truth) < 0.015 < abs(np.mean(plug_in) - truth)


def test_fewer_than_sixteen_answers_make_nothing_divergent() -> None:
    found = stands(np.zeros(40), np.zeros(40), np.random.default_rng(0), samples=15)
    assert (found.verdict, found.best) == ("no evidence", None)
    assert "best is not measured" in found.why


def test_silence_is_on_neither_side_and_a_violation_where_the_rule_is_hard() -> None:
    unknown = np.array([1.0] * 10 + [np.nan] * 6)
    seen = Seen(tuple(map(str, range(40))), [unknown] * 40, [unknown[:4]] * 40)
    soft, hard = standing_of(rule(), "s", seen), standing_of(rule(hard=True), "s", seen)
    assert soft.verdict == "no evidence" and soft.own is not None and soft.own.unjudged == 240
    assert soft.own.value == 1.0 and soft.own.low < 10 / 16 < TARGET <= soft.own.high
    assert hard.own is not None and hard.own.unjudged == 0 and abs(hard.own.value - 10 / 16) < 1e-9
    assert soft.outcomes == hard.outcomes == (0.375,) * 40
    nobody = standing_of(rule(hard=True), "s", Seen(("a", "b"), [np.full(16, np.nan)] * 2, [], why="nobody"))
    assert (nobody.verdict, nobody.why, nobody.own) == ("no evidence", "nobody", None)


def test_the_interval_is_the_binomial_one_of_coins_and_narrower_of_what_lies_together() -> None:
    coins = bounded_mean(np.array([1.0] * 15 + [0.0] * 5), np.random.default_rng(0))
    assert (round(coins.low, 3), round(coins.high, 3)) == (0.509, 0.913)  # Clopper and Pearson, 15 of 20
    alike = bounded_mean(np.full(20, 0.75), np.random.default_rng(0))
    assert coins.low < alike.low < 0.75 < alike.high < coins.high
    shuffled = np.random.default_rng(1).permutation([0.2, 0.4, 0.4, 0.9])
    ordered = np.array([0.2, 0.4, 0.4, 0.9])
    assert bounded_mean(shuffled, np.random.default_rng(2)) == bounded_mean(ordered, np.random.default_rng(2))
