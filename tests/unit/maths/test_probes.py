"""Probes against what was planted, and against formulas written down a second way.

Mutants these kill: the sign of a gradient, the penalty left out or on the bias, a half that is not centred by
itself, a probe that does not undo its scale, ties that count one, a direction that faces the false.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from accord.maths.probes import Probe, contrast, difference, logistic, placements, towards
from accord.maths.recovered import auroc
from accord.records.rows import Floats

Fit = Callable[[Floats, Floats], Probe]
FITS: dict[str, Fit] = {"logistic": logistic, "difference": difference}
WIDTH = 8


def planted(count: int, rng: np.random.Generator, strength: float = 3.0) -> tuple[Floats, Floats, Floats]:
    """States that lie farther along one direction where the label is 1; labels; the direction."""
    true_N = (rng.random(count) < 0.4) * 1.0
    along_D = rng.normal(size=WIDTH)
    along_D /= np.sqrt(along_D @ along_D)
    return rng.normal(size=(count, WIDTH)) + strength * true_N[:, None] * along_D, true_N, along_D


@pytest.mark.parametrize("name", FITS)
def test_a_planted_direction_is_found(name: str) -> None:
    x, true, along = planted(600, np.random.default_rng(0))
    probe = FITS[name](x[:400], true[:400])
    cosine = probe.weight_D @ along / np.sqrt(probe.weight_D @ probe.weight_D)
    assert cosine > 0.95
    # Two normal distributions 3 apart: Φ(3/√2) = .983 for the best there is.
    assert 0.96 < placements(probe(x[400:]), true[400:]).mean() < 0.999


@pytest.mark.parametrize("name", FITS)
def test_shuffled_labels_find_nothing(name: str) -> None:
    rng = np.random.default_rng(1)
    x, true, _ = planted(900, rng)
    areas = [
        placements(FITS[name](x[:600], rng.permutation(true[:600]))(x[600:]), true[600:]).mean()
        for _ in range(100)
    ]
    # One of them may lie anywhere, for the planted direction is the largest there is; their mean does not.
    assert abs(np.mean(areas) - 0.5) < 0.08 and np.std(areas) > 0.05


@pytest.mark.parametrize("name", FITS)
def test_a_shift_of_all_states_changes_nothing_that_is_said(name: str) -> None:
    x, true, _ = planted(200, np.random.default_rng(2))
    shift = np.linspace(-50, 50, WIDTH)
    plain, moved = FITS[name](x, true), FITS[name](x + shift, true)
    assert np.abs(plain.weight_D - moved.weight_D).max() < 1e-4
    assert np.abs(plain(x) - moved(x + shift)).max() < 1e-3


def test_a_scale_of_a_column_changes_nothing_that_logistic_says() -> None:
    x, true, _ = planted(200, np.random.default_rng(3))
    scale = np.array([1, 10, 0.1, 3, 1, 1, 100, 1.0])
    assert np.abs(logistic(x, true)(x) - logistic(x * scale, true)(x * scale)).max() < 1e-3
    still = np.hstack([x, np.full((200, 1), 7.0)])
    assert logistic(still, true).weight_D[-1] == 0


def test_logistic_is_least_and_its_bias_is_free() -> None:
    x, true, _ = planted(300, np.random.default_rng(4))
    z = (x - x.mean(0)) / x.std(0)
    probe = logistic(z, true, strength=0.1)

    def loss(weight: Floats, bias: float) -> float:
        p = 1 / (1 + np.exp(-(z @ weight + bias)))
        said = -(true * np.log(p) + (1 - true) * np.log(1 - p)).mean()
        return float(said + 0.05 * weight @ weight)

    least = loss(probe.weight_D, probe.bias)
    for at in range(WIDTH):
        for step in (-1e-2, 1e-2):
            assert loss(probe.weight_D + step * np.eye(WIDTH)[at], probe.bias) > least
    assert min(loss(probe.weight_D, probe.bias + step) for step in (-1e-2, 1e-2)) > least
    # With the bias free, what is expected is what is there.
    assert (1 / (1 + np.exp(-probe(z)))).mean() == pytest.approx(true.mean(), abs=1e-4)


def test_difference_is_its_formula_and_is_zero_half_way() -> None:
    x, true, _ = planted(100, np.random.default_rng(5))
    probe = difference(x, true)
    high, low = x[true == 1].mean(0), x[true == 0].mean(0)
    assert np.allclose(probe.weight_D, high - low)
    assert probe((high + low)[None] / 2)[0] == pytest.approx(0, abs=1e-9)
    assert probe(high[None])[0] == pytest.approx(-probe(low[None])[0])


def test_contrast_finds_what_differs_within_pairs_without_labels() -> None:
    rng = np.random.default_rng(6)
    x, _, along = planted(400, rng, 0.0)
    true, word = (rng.random(400) < 0.5) * 1.0, rng.normal(size=WIDTH) * 20
    towards_truth = 3 * (2 * true - 1)[:, None] * along
    yes, no = x + towards_truth + word, x + rng.normal(size=x.shape) * 0.3 - towards_truth
    probe = contrast(yes[:300], no[:300], np.random.default_rng(0))
    area = placements(probe(yes[300:] - no[300:]), true[300:]).mean()
    assert max(area, 1 - area) > 0.97, "whatever the words look like, and to whichever end"
    faced = probe.facing(yes[:300] - no[:300], true[:300])
    assert placements(faced(yes[300:] - no[300:]), true[300:]).mean() > 0.97
    again = contrast(yes[:300] + word, no[:300] - word, np.random.default_rng(0))
    assert np.abs(again.weight_D - probe.weight_D).max() < 1e-4, "each half is centred by itself"


def test_a_given_direction_faces_the_true() -> None:
    x, true, along = planted(300, np.random.default_rng(7))
    for direction in (along, -along):
        probe = towards(direction, x, true)
        assert placements(probe(x), true).mean() > 0.95
    assert np.array_equal(np.abs(towards(-along, x, true).weight_D), np.abs(along))


def test_placements_are_the_area_by_parts() -> None:
    rng = np.random.default_rng(8)
    score, true = rng.integers(6, size=60) * 1.0, (rng.random(60) < 0.3) * 1.0
    each = placements(score, true)
    by_hand = [np.mean((s > score[true == 0]) + (s == score[true == 0]) / 2) for s in score[true == 1]]
    assert np.allclose(each, by_hand) and each.mean() == pytest.approx(auroc(score, true)[0])


@pytest.mark.parametrize("fit", FITS.values())
def test_what_cannot_be_fitted(fit: Fit) -> None:
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="of both kinds"):
        fit(x, np.ones(4))
    with pytest.raises(ValueError, match="one each"):
        fit(x, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="no number"):
        fit(np.full((2, 1), np.nan), np.array([0.0, 1.0]))
