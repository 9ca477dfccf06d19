"""Mutants these kill: σ's slope without its sign or its square, the chosen answer's σ for both, softplus
twice, a null on other pairs or other counts, the null's labels from the fit with spreads, r² upside down."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from accord.maths import hidden_context as module
from accord.maths.hidden_context import (
    Labels,
    authors,
    explained,
    fitted,
    mean_variance,
    null,
    plain_chances,
    risk_averse,
)

LOSSES = {"mean_variance": mean_variance, "authors": authors}


def labels(votes: int, quality: np.ndarray, dispute: np.ndarray, rng: np.random.Generator) -> Labels:
    """Two groups, 1:1, who want the opposite where ``dispute`` is not 0; Bradley–Terry within a group."""
    i, j = np.triu_indices(quality.size, 1)
    side = np.where(rng.random((i.size, votes)) < 0.5, 1.0, -1.0)
    delta = (quality[i] - quality[j])[:, None] + side * (dispute[i] - dispute[j])[:, None]
    p = (rng.random(delta.shape) < 1 / (1 + np.exp(-delta))).mean(axis=1)
    return Labels(i, j, p, np.full(i.size, float(votes)))


def test_the_loss_by_hand() -> None:
    """μ 3 against 1 with σ² = 3 + 1: z = 1, −ln Φ(1) = −ln .8413 = .17275."""
    found = mean_variance(*(np.array([x]) for x in (3.0, math.sqrt(3), 1.0, 1.0)))
    assert found.loss_V[0] == pytest.approx(0.1727538, abs=1e-6)
    slope = -norm.pdf(1) / norm.cdf(1)
    assert found.mu_c_V[0] == pytest.approx(slope / 2)
    assert found.mu_r_V[0] == pytest.approx(-slope / 2)
    assert found.sigma_c_V[0] == pytest.approx(-slope * math.sqrt(3) / 4)
    assert found.sigma_r_V[0] == pytest.approx(-slope / 4)


@pytest.mark.parametrize("name", LOSSES)
def test_slopes_are_those_of_the_loss(name: str) -> None:
    loss, rng, step = LOSSES[name], np.random.default_rng(0), 1e-6
    at = [rng.normal(size=30) * 3, rng.uniform(0.2, 3, 30), rng.normal(size=30) * 3, rng.uniform(0.2, 3, 30)]
    found = loss(*at)
    for k in range(4):
        up, down = ([x + s * step * (n == k) for n, x in enumerate(at)] for s in (1, -1))
        by_difference = (loss(*up).loss_V - loss(*down).loss_V) / (2 * step)
        assert found[1 + k] == pytest.approx(by_difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_far_out_it_stays_finite(name: str) -> None:
    ones = np.ones(2)
    for far in (1e3, 1e6, 1e12):
        beyond = LOSSES[name](np.array([far, -far]), ones, np.zeros(2), ones)
        assert all(np.isfinite(column).all() for column in beyond)
        # −ln Φ falls as z²/2, so its slope by z is z; softplus is a straight line.
        steep = far / math.sqrt(2) if name == "mean_variance" else math.sqrt(2 * math.pi)
        assert beyond.mu_c_V[1] == pytest.approx(-steep / math.sqrt(2), rel=1e-5)
    found = LOSSES[name](np.array([60.0, -60.0]), ones, np.zeros(2), ones)
    assert all(np.isfinite(column).all() for column in found)
    assert found.loss_V[0] < 1e-9
    # −ln Φ(z) = z²/2 + ln|z| + ln √2π + …, with z² = 1800
    tail = 900 + math.log(math.sqrt(1800)) + math.log(2 * math.pi) / 2
    wanted = tail if name == "mean_variance" else math.sqrt(2 * math.pi * 1800)
    assert found.loss_V[1] == pytest.approx(wanted, abs=1e-3)


def test_the_authors_loss_takes_spreads_for_larger_by_half_of_pi() -> None:
    """Near z = 0, where it was matched, both are the same curve for σ·π/2; a fit shows the same."""
    mu, one = np.array([0.01]), np.array([1.0])
    half_pi = one * math.pi / 2
    exact = mean_variance(mu, one, np.zeros(1), one)
    theirs = authors(mu, half_pi, np.zeros(1), half_pi)
    assert theirs.mu_c_V[0] == pytest.approx(exact.mu_c_V[0], rel=0.01)
    x, i, j = np.eye(3), np.array([0, 0, 1]), np.array([1, 2, 2])
    p = norm.cdf(np.array([0.2, 0.4, 0.2]) / math.sqrt(2))
    plain = Labels(i, j, p, np.full(3, 1e6))
    r2 = {name: fitted(x, plain, loss).r2 for name, loss in LOSSES.items()}
    odds = {name: r / (1 - r) for name, r in r2.items()}
    assert odds["mean_variance"] / odds["authors"] == pytest.approx((math.pi / 2) ** 2, rel=0.05)


def test_a_fit_gives_back_what_labels_were_made_from() -> None:
    mu, sigma = np.array([0.0, 0.6, 1.2, -0.7, 0.3]), np.array([0.5, 1.5, 0.8, 1.0, 2.0])
    i, j = np.triu_indices(5, 1)
    p = norm.cdf((mu[i] - mu[j]) / np.sqrt(sigma[i] ** 2 + sigma[j] ** 2))
    found = fitted(np.eye(5), Labels(i, j, p, np.full(10, 1e7)), hold=1e-2)
    scale = np.sqrt((found.sigma_K**2).mean() / (sigma**2).mean())
    assert found.sigma_K / scale == pytest.approx(sigma, rel=0.02)
    assert (found.mu_K - found.mu_K.mean()) / scale == pytest.approx(mu - mu.mean(), abs=0.02)
    assert found.r2 == pytest.approx(explained(mu, sigma), rel=0.02)
    cost = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    assert found.loss == pytest.approx(cost, abs=1e-6)


def test_features_stand_for_answers() -> None:
    """Twelve answers, two features: one raises the mean, one the spread."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(12, 2))
    mu, sigma = x[:, 0], np.log1p(np.exp(0.5413248546 + 0.8 * x[:, 1]))
    i, j = np.triu_indices(12, 1)
    p = norm.cdf((mu[i] - mu[j]) / np.sqrt(sigma[i] ** 2 + sigma[j] ** 2))
    found = fitted(x, Labels(i, j, p, np.full(66, 1e6)), hold=1e-3)
    assert found.weight_F == pytest.approx([1, 0], abs=0.02)
    assert found.raw_F == pytest.approx([0, 0.8], abs=0.02)


def test_the_plain_fit_is_bradley_terry() -> None:
    i, j = np.triu_indices(3, 1)
    p = 1 / (1 + np.exp(-np.array([1.0, 2.0, 1.0])))
    assert plain_chances(np.eye(3), Labels(i, j, p, np.full(3, 1e6))) == pytest.approx(p, abs=1e-4)


QUALITY = np.array([-3, -1, 1, 3, 0, 0, 0, 0], dtype=float)
DISPUTE = np.array([0, 0, 0, 0, 6, -6, 6, -6], dtype=float)


def test_two_opposed_groups_stand_out_from_the_null_and_one_does_not() -> None:
    rng = np.random.default_rng(2)
    two = null(np.eye(8), labels(30, QUALITY, DISPUTE, rng), rng, refits=19)
    one = null(np.eye(8), labels(30, QUALITY, 0 * DISPUTE, rng), rng, refits=19)
    assert two.hidden
    assert (two.r2 < two.low, two.p) == (True, 1 / 20)
    assert not one.hidden
    assert one.r2 < 0.8, "one group alone: noise of votes is no agreement, and r² no share of it"
    assert len(two.r2_B) == 19


def test_the_null_draws_as_many_votes_on_the_same_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Labels] = []
    whole = fitted

    def watched(x: np.ndarray, of: Labels, loss: object, hold: float) -> object:
        seen.append(of)
        return whole(x, of, hold=hold)

    monkeypatch.setattr(module, "fitted", watched)
    told = labels(4, QUALITY[:4], DISPUTE[:4], np.random.default_rng(3))._replace(votes_V=np.full(6, 4.0))
    null(np.eye(4), told, np.random.default_rng(4), refits=19)
    assert len(seen) == 20
    shares = np.array([of.p_V for of in seen[1:]])
    assert set((shares * 4).ravel().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    chance = plain_chances(np.eye(4), told)
    assert shares.mean(axis=0) == pytest.approx(chance, abs=0.3)
    assert all((of.first_V == told.first_V).all() and (of.votes_V == 4).all() for of in seen)


def test_a_risk_averse_reader_takes_the_lower_quantile() -> None:
    mu, sigma = np.array([1.0, 1.3]), np.array([0.1, 1.0])
    low = risk_averse(mu, sigma)
    assert low == pytest.approx(mu - 1.2815515655 * sigma)
    assert low[0] > low[1]
    with pytest.raises(ValueError, match="quantile"):
        risk_averse(mu, sigma, 0.0)


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0/0"):
        explained(np.ones(2), np.zeros(2))
    told = labels(4, QUALITY, DISPUTE, np.random.default_rng(5))
    with pytest.raises(ValueError, match="no 5 % quantile"):
        null(np.eye(8), told, np.random.default_rng(0), refits=10)
    with pytest.raises(ValueError, match="without a vote"):
        null(np.eye(8), told._replace(votes_V=np.full(28, 0.3)), np.random.default_rng(0), refits=19)
