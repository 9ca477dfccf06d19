"""Typicality: α is recovered from choices and from scores; what it does to diversity is bounded by the KL.

Mutants these kill: a sign, a column in another's place, length left out, pairs resampled for prompts, a fit
that runs away and is given out, weights π₀ᵗ⁺¹ for π₀ᵗ, other numbers drawn for either side of a fall.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.maths.intervals import Interval
from accord.maths.typicality import by_choice, by_score, fall, reach, sharpened, spent
from accord.records.rows import Floats


def choices(
    rng: np.random.Generator, alpha: float, length: float, pairs: int = 1000
) -> tuple[Floats, Floats]:
    """Pairs whose first is preferred by α nats of likelihood and by length, which come together."""
    tokens_R = rng.normal(size=pairs) * 10
    logp_R = -1.5 * tokens_R + rng.normal(size=pairs) * 4
    p_R = 1 / (1 + np.exp(-(alpha * logp_R + length * tokens_R)))
    return np.stack([logp_R, tokens_R], axis=1), (rng.random(pairs) < p_R).astype(np.float64)


def told(found: Interval | str) -> Interval:
    assert isinstance(found, Interval), found
    return found


@pytest.mark.parametrize(("alpha", "length"), [(0.3, 0.4), (0.0, 0.2), (-0.2, -0.3)])
def test_alpha_is_recovered_from_choices(alpha: float, length: float) -> None:
    rng = np.random.default_rng(2)
    delta_RC, p_R = choices(rng, alpha, length)
    names = [str(i) for i in range(p_R.size)]
    found = told(by_choice(delta_RC, p_R, names, rng))
    assert found.low < alpha < found.high
    assert found.high - found.low < 0.2
    if alpha == 0.0:
        bare = told(by_choice(delta_RC[:, :1], p_R, names, rng))
        assert bare.high < 0, "length passes for likelihood where it is not held equal"
    turned = told(by_choice(-delta_RC, 1 - p_R, names, np.random.default_rng(0)))
    assert turned.value == pytest.approx(found.value), "which of a pair comes first is nothing"


def test_the_interval_is_over_prompts() -> None:
    rng = np.random.default_rng(2)
    delta_RC, p_R = choices(rng, 0.3, 0.0, pairs=40)
    alone = told(by_choice(delta_RC, p_R, [str(i) for i in range(40)], np.random.default_rng(0)))
    names = [str(i) for _ in range(25) for i in range(40)]
    many = told(by_choice(np.tile(delta_RC, (25, 1)), np.tile(p_R, 25), names, np.random.default_rng(0)))
    assert many.value == pytest.approx(alone.value)
    assert many.high - many.low == pytest.approx(alone.high - alone.low), "copies of pairs are no evidence"


def test_what_cannot_be_fitted_is_said() -> None:
    rng, names = np.random.default_rng(0), list("abcd")
    x = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert "separated" in str(by_choice(x, np.ones(4), names, rng))
    assert "as likely as each other" in str(by_choice(0 * x, np.array([0.0, 1, 0, 1]), names, rng))
    assert "needs 2" in str(by_choice(x, np.ones(4), ["a"] * 4, rng))
    flat = np.array([[0.0, 1.0], [0.0, 2.0]])
    assert "as likely as each other" in str(by_score([np.arange(2.0)] * 3, [flat] * 3, rng))
    same = np.array([[-1.0, 1.0], [-2.0, 2.0], [-3.0, 3.0]])
    assert "cannot be told apart" in str(by_score([np.arange(3.0)] * 3, [same] * 3, rng))
    twice = [np.array([[-1.0, 1.0, 2.0], [-2.0, 5.0, 10.0], [-4.0, 3.0, 6.0]])] * 3
    score_P = [np.array([1.0, 2.0, 4.0])] * 3
    assert told(by_score(score_P, twice, rng)).value == pytest.approx(-1.0), "others may say the same"
    assert "0 prompts" in str(by_score([np.full(3, np.nan)] * 3, [same] * 3, rng))


@pytest.mark.parametrize("alpha", [0.4, 0.0])
def test_alpha_is_recovered_from_scores_within_prompts(alpha: float) -> None:
    rng = np.random.default_rng(3)
    columns: list[Floats] = []
    scores: list[Floats] = []
    for _ in range(100):
        size = rng.integers(5, 40, size=8).astype(np.float64)
        logp = -1.5 * size + 3 * rng.normal(size=8)
        columns.append(np.stack([logp, size], axis=1))
        scores.append(alpha * logp + 0.5 * size + rng.normal(size=8) + 50 * rng.normal())
    found = told(by_score(scores, columns, rng))
    assert found.low < alpha < found.high and found.high - found.low < 0.15


def test_a_sharper_base_is_less_diverse_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(4)
    words = [f"w{i}" for i in range(200)]
    tokens_P = [[[words[k] for k in rng.integers(200, size=12)] for _ in range(8)] for _ in range(20)]
    logp_P = [np.linspace(0, -3, 8)] * 20
    sharp = fall(tokens_P, logp_P, 5.0, np.random.default_rng(0))
    assert sharp.low > 0.5, "of eight answers about one is left; some repeat in an even draw too"
    assert fall(tokens_P, logp_P, 0.0, np.random.default_rng(0)).value == 0.0
    assert fall(tokens_P, [np.zeros(8)] * 20, 5.0, np.random.default_rng(0)).value == 0.0
    milder = fall(tokens_P, logp_P, 0.5, np.random.default_rng(0))
    assert 0.0 < milder.value < sharp.value


def test_the_planned_kl_bounds_how_sharp() -> None:
    logp_P = [np.linspace(0, -6, 16), np.linspace(0, -2, 16)]
    t = reach(logp_P, 50.0, 0.5)
    assert spent(logp_P, t) == pytest.approx(0.5, abs=1e-6)
    assert reach(logp_P, 0.01, 0.5) == 0.01
    assert reach(logp_P, -1.0, 0.5) == 0.0
    assert spent(logp_P, 1e6) == pytest.approx(math.log(16)), "no more can be spent on sixteen answers"
    assert reach(logp_P, math.inf, 9.0) == 1e3
    assert sharpened(np.log([0.5, 0.25]), 2.0) == pytest.approx([0.8, 0.2])
