"""Mutants these kill: the arm's own chance as the propensity, argmax, an unscored question that an arm draws,
weights of a silent arm lost, a pool that remembers what was drawn, an order that matters."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from accord.maths.selection import (
    SELECTOR,
    Drawn,
    bridge,
    draw,
    draws,
    pool_of,
    pool_size,
    propensities,
    shares,
    softmax,
    split,
    uncertain,
    weights_of,
)

IDS = ["c", "a", "d", "b"]
SCORES = {"uncertain": np.array([0.3, 0.0, 0.1, 0.0]), "bridge": np.array([0.0, 1.0, math.nan, 1.0])}
WEIGHTS = {"random": 0.2, "uncertain": 0.5, "bridge": 0.3}


def test_a_propensity_is_the_sum_over_arms_by_hand() -> None:
    pool = pool_of(IDS, SCORES, WEIGHTS)
    z = (SCORES["uncertain"] - 0.1) / np.std([0.3, 0.0, 0.1, 0.0])
    u = np.exp(z) / np.exp(z).sum()
    # 0, 1, 1: mean 2/3, deviation √2/3, so z = −√2, √½, √½.
    b = np.exp([-math.sqrt(2), math.sqrt(0.5), -math.inf, math.sqrt(0.5)])
    b /= b.sum()
    wanted = 0.2 / 4 + 0.5 * u + 0.3 * b
    assert pool.ids == ("a", "b", "c", "d")
    assert propensities(pool) == pytest.approx(wanted[[1, 3, 0, 2]])
    assert propensities(pool).sum() == pytest.approx(1)


def test_questions_come_as_often_as_their_propensity_says() -> None:
    pool = pool_of(IDS, SCORES, WEIGHTS)
    drawn = [draw(pool, seed) for seed in range(4000)]
    seen = Counter(one.question for one in drawn)
    for name, p in zip(pool.ids, propensities(pool), strict=True):
        assert seen[name] / 4000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4000))
        assert all(one.selection.propensity == pytest.approx(p) for one in drawn if one.question == name)
    arms = Counter(one.selection.arm for one in drawn)
    assert {arm: n / 4000 for arm, n in arms.items()} == pytest.approx(WEIGHTS, abs=0.03)
    assert not [one for one in drawn if one.question == "d" and one.selection.arm == "bridge"]


def test_a_draw_says_what_it_was_drawn_from() -> None:
    pool = pool_of(IDS, SCORES, WEIGHTS)
    one = draw(pool, 7)
    assert one == draw(pool_of(IDS, SCORES, WEIGHTS), 7)
    order = [3, 1, 0, 2]
    turned = pool_of([IDS[n] for n in order], {a: s[order] for a, s in SCORES.items()}, WEIGHTS)
    assert draw(turned, 7).selection == one.selection
    assert (one.selection.selector, one.selection.seed, pool_size(one.selection)) == (SELECTOR, 7, 4)
    other = pool_of(["a", "b", "c", "e"], SCORES, WEIGHTS)
    assert other.name != pool.name
    # Names that run into one another are other names.
    assert pool_of(["ab", "c"], {}, {"random": 1.0}).name != pool_of(["a", "bc"], {}, {"random": 1.0}).name


def test_several_draws_are_each_from_what_was_left() -> None:
    drawn = draws(IDS, SCORES, WEIGHTS, 3, seed=5)
    assert len({one.question for one in drawn}) == 3
    assert [pool_size(one.selection) for one in drawn] == [4, 3, 2]
    assert [one.selection.seed for one in drawn] == [5, 6, 7]
    left = [name for name in IDS if name != drawn[0].question]
    places = [IDS.index(name) for name in left]
    again = draw(pool_of(left, {a: s[places] for a, s in SCORES.items()}, WEIGHTS), 6)
    assert again == drawn[1]
    assert [one.question for one in draws(IDS, {}, {"random": 1.0}, 9, 0)] != IDS
    assert len(draws(IDS, {}, {"random": 1.0}, 9, 0)) == 4


def test_random_is_alone_where_nothing_scores() -> None:
    silent = {arm: np.full(4, math.nan) for arm in SCORES}
    for scores in (silent, {}):
        pool = pool_of(IDS, scores, WEIGHTS)
        assert (pool.arms, pool.weight_A.tolist()) == (("random",), [1.0])
        assert propensities(pool).tolist() == [0.25] * 4
    half = pool_of(IDS, {**silent, "uncertain": SCORES["uncertain"]}, WEIGHTS)
    assert dict(zip(half.arms, half.weight_A.tolist(), strict=True)) == {"random": 0.5, "uncertain": 0.5}
    assert isinstance(draw(half, 0), Drawn)


def test_every_question_keeps_at_least_the_random_arm_s_chance() -> None:
    scores = np.zeros(200)
    scores[17] = 1e9
    ids = [f"q{n:03}" for n in range(200)]
    p = propensities(pool_of(ids, {"split": scores}, {"random": 0.05, "split": 0.95}))
    assert p.min() >= 0.05 / 200
    assert p[17] == p.max()
    assert p[17] < 0.2, "one that stands out is likely, never sure"
    colder = softmax(scores, temperature=0.1)
    assert colder[17] > softmax(scores)[17]


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({"random": 0.04, "split": 0.96}, "less than 0.05"),
        ({"split": 1.0}, "less than 0.05"),
        ({"random": 0.5, "split": 0.4}, "sum to 1"),
        ({"random": 1.2, "split": -0.2}, "not negative"),
    ],
)
def test_weights_keep_the_floor(weights: dict[str, float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        shares(weights, ["split"])


def test_what_cannot_be_drawn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="2 questions, 1 of them"):
        pool_of(["a", "a"], {}, {"random": 1.0})
    with pytest.raises(ValueError, match="no score for each"):
        pool_of(["a", "b"], {"split": np.zeros(3)}, {"random": 0.5, "split": 0.5})
    with pytest.raises(ValueError, match="temperature"):
        softmax(np.zeros(2), temperature=0)
    one = draw(pool_of(["a"], {}, {"random": 1.0}), 0).selection
    with pytest.raises(ValueError, match="does not say"):
        pool_size(one.model_copy(update={"pool": "abc"}))


def test_scores_of_the_arms() -> None:
    assert uncertain(np.array([[0.1, 0.9], [0.1, 0.1], [0.1, 0.5]])) == pytest.approx([0, 0.32 / 3])
    # A group of one vote is drawn to ½ more than one of nine: (1.5/2, .5/10) lie .35 either side of .4.
    assert split(np.array([[1.0], [0.0]]), np.array([[1.0], [9.0]])) == pytest.approx([0.35**2])
    assert np.isnan(split(np.zeros((2, 1)), np.zeros((2, 1)))).all()
    assert np.isnan(bridge(np.array([0]), np.array([1]), np.zeros(2, int))).all()
    assert softmax(np.full(3, 7.0)).tolist() == [pytest.approx(1 / 3)] * 3
    assert weights_of([]) == {"random": 1.0}
    assert sum(weights_of(["split"]).values()) == pytest.approx(1)
