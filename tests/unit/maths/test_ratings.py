"""Mutants these kill: ties as half wins with ν fixed, ν counted once, one-way ties, one component of all,
votes across components in the fit, a cycle that needs as many wins as ties, π of an unrated item as 0."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.maths import ratings as module
from accord.maths.ratings import (
    NO_ORDER,
    NO_TIES,
    ORDER_ONLY,
    Ratings,
    Votes,
    chances,
    existence,
    fit,
    tallied,
)


def said(*rows: tuple[int, int, float, float, float]) -> Votes:
    first, second, win, loss, tie = zip(*rows, strict=True)
    return Votes(np.array(first), np.array(second), *(np.array(c, dtype=float) for c in (win, loss, tie)))


def drawn(log_pi_K: np.ndarray, log_nu: float, votes: int, seed: int) -> Votes:
    rng, items = np.random.default_rng(seed), log_pi_K.size
    i = rng.integers(items, size=votes)
    j = (i + rng.integers(1, items, size=votes)) % items
    win, loss, _ = chances(log_pi_K[i], log_pi_K[j], log_nu)
    at = rng.random(votes)
    won, lost = at < win, (at >= win) & (at < win + loss)
    return Votes(i, j, won * 1.0, lost * 1.0, 1.0 * ~(won | lost))


@pytest.mark.parametrize(
    ("items", "votes", "nu"), [(2, 60, 0.5), (5, 400, 0.3), (12, 2000, 0.6), (7, 900, 3.0)]
)
def test_evalica_finds_the_same(items: int, votes: int, nu: float) -> None:
    import evalica

    cast = drawn(np.random.default_rng(items).normal(size=items), math.log(nu), votes, items)
    found = fit(cast, items)
    names = {0: evalica.Winner.X, 1: evalica.Winner.Y, 2: evalica.Winner.Draw}
    winners = [names[int(k)] for k in np.argmax(np.stack(cast[2:]), axis=0)]
    pairs = cast.first_V.tolist(), cast.second_V.tolist()
    theirs = evalica.newman(*pairs, winners, tie_weight=1.0, tolerance=1e-13, limit=100_000)
    log_pi = np.log([theirs.scores[k] for k in range(items)])
    assert found.log_pi_K == pytest.approx(log_pi - log_pi.mean(), abs=1e-7)
    assert math.exp(found.log_nu) == pytest.approx(theirs.v, abs=1e-7)
    assert found.said == ()


def test_three_items_by_hand() -> None:
    """Expected counts of π = (4, 1, ¼) and ν = ½, in units that make them whole: the fit gives back both.

    Pairs (4, 1) and (1, ¼): Z = 4 + 1 + 2, ties 2/7. Pair (4, ¼): Z = 4 + ¼ + 1, so 16, 1 and 4 of 21.
    """
    found = fit(said((0, 1, 4, 1, 2), (2, 1, 1, 4, 2), (0, 2, 16, 1, 4)), 3)
    assert found.log_pi_K == pytest.approx([math.log(4), 0.0, -math.log(4)], abs=1e-9)
    assert found.log_nu == pytest.approx(math.log(0.5), abs=1e-9)
    assert found.comparable(0, 2)


def slope(cast: Votes, found: Ratings) -> np.ndarray:
    """∂ log-likelihood / ∂ (log π, log ν), by differences; a fit has none."""

    def likelihood(log_pi: np.ndarray, log_nu: float) -> float:
        parts = chances(log_pi[cast.first_V], log_pi[cast.second_V], log_nu)
        return float(sum((n * np.log(p)).sum() for n, p in zip(cast[2:], parts, strict=True) if n.any()))

    step, base = 1e-5, found.log_pi_K
    at = [(base + step * e, base - step * e) for e in np.eye(base.size)]
    by_pi = [likelihood(up, found.log_nu) - likelihood(down, found.log_nu) for up, down in at]
    by_nu = likelihood(base, found.log_nu + step) - likelihood(base, found.log_nu - step)
    return np.array([*by_pi, by_nu if math.isfinite(found.log_nu) else 0.0]) / (2 * step)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10_000), st.booleans())
def test_a_fit_is_where_the_likelihood_is_level(items: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.array(list(itertools.combinations(range(items), 2)))
    counts = rng.integers(1, 30, size=(3, len(pairs))).astype(float)
    cast = Votes(pairs[:, 0], pairs[:, 1], counts[0], counts[1], counts[2] * ties)
    found = fit(cast, items)
    assert np.abs(slope(cast, found)).max() < 1e-4
    assert math.isfinite(found.log_nu) == ties
    assert found.said == (() if ties else (NO_TIES,))


def test_weights_and_turned_pairs_make_no_difference() -> None:
    cast = drawn(np.array([0.5, 0.0, -0.5]), -1.0, 300, 4)
    found = fit(cast, 3)
    turned = Votes(cast.second_V, cast.first_V, cast.loss_V, cast.win_V, cast.tie_V)
    for other in (turned, cast.weighted(np.full(300, 2.5)), cast.take(np.arange(300)[::-1].astype(np.int64))):
        assert fit(other, 3).log_pi_K == pytest.approx(found.log_pi_K, abs=1e-9)
    again = fit(cast, 3, start=found)
    assert again.rounds < found.rounds / 3
    assert again.log_pi_K == pytest.approx(found.log_pi_K, abs=1e-9)


def test_parts_that_never_lost_to_another_are_fitted_apart() -> None:
    """0 and 1 beat 2 and 3 and never lost to them; one ν for both parts; 4 was never judged."""
    cast = said((0, 1, 3, 1, 2), (2, 3, 6, 2, 4), (0, 2, 9, 0, 0), (1, 3, 1, 0, 0))
    found = fit(cast, 5)
    assert found.component_K.tolist() == [0, 0, 1, 1, 2]
    assert found.said == (NO_ORDER,)
    # Each part alone is the hand-worked pair of the docstring: ln 3 apart.
    assert found.log_pi_K[:4] == pytest.approx([math.log(3) / 2, -math.log(3) / 2] * 2, abs=1e-9)
    assert math.isnan(found.log_pi_K[4])
    assert found.log_nu == pytest.approx(-math.log(3) / 2, abs=1e-9)
    assert (found.comparable(0, 1), found.comparable(0, 2), found.comparable(4, 4)) == (True, False, False)


def test_one_side_only_is_no_rating() -> None:
    found = fit(said((0, 1, 5, 0, 0)), 2)
    assert np.isnan(found.log_pi_K).all()
    assert found.said == (NO_ORDER, NO_TIES)


def test_without_ties_it_is_plain_bradley_terry() -> None:
    found = fit(said((0, 1, 3, 1, 0), (1, 2, 3, 1, 0), (0, 2, 9, 1, 0)), 3)
    assert found.log_pi_K == pytest.approx([math.log(3), 0.0, -math.log(3)], abs=1e-9)
    assert (found.log_nu, found.said) == (-math.inf, (NO_TIES,))


def test_ties_that_excuse_every_win_leave_an_order() -> None:
    """0 beat 1, 1 beat 2; each tied with 3 or with one another: no cycle has more wins than ties."""
    cast = said((0, 1, 1, 0, 1), (1, 2, 1, 0, 1), (0, 3, 0, 0, 1), (3, 2, 0, 0, 1))
    found = fit(cast, 4)
    assert found.said == (ORDER_ONLY,)
    assert found.tier_K is not None
    assert found.tier_K.tolist() == [0, 1, 2, 1]
    assert np.isnan(found.log_pi_K).all()
    assert found.log_nu == math.inf
    # With 3 tied only to 0 and 2, two wins and two ties cancel; one tie less and the cycle contradicts.
    shorter = said((0, 1, 1, 0, 0), (1, 2, 1, 0, 0), (0, 2, 0, 0, 1))
    assert existence(tallied(shorter, 3)).tier_K is None
    assert np.isfinite(fit(shorter, 3).log_pi_K).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000))
def test_existence_is_what_a_linear_program_says(seed: int) -> None:
    """A direction (d, e) in which no vote gets less likely, and some more: then there is no finite fit."""
    from scipy.optimize import linprog

    rng, items = np.random.default_rng(seed), 4
    pairs = list(itertools.combinations(range(items), 2))
    counts = rng.integers(0, 2, size=(len(pairs), 3)) * (rng.random((len(pairs), 1)) < 0.7)
    cast = said(*((i, j, *map(float, row)) for (i, j), row in zip(pairs, counts, strict=True)))
    rows: list[np.ndarray] = []  # each ≥ 0; d in front, e behind
    for (i, j), (win, loss, tie) in zip(pairs, counts, strict=True):
        d = np.eye(items)[i] - np.eye(items)[j]
        rows += [np.append(d, 0.0), np.append(d, -2.0)] * bool(win)
        rows += [np.append(-d, 0.0), np.append(-d, -2.0)] * bool(loss)
        rows += [np.append(d, 2.0), np.append(-d, 2.0)] * bool(tie)
    if not rows:
        return
    a = np.array(rows)
    best = linprog(-a.sum(axis=0), A_ub=-a, b_ub=np.zeros(len(a)), bounds=[(-1, 1)] * (items + 1))
    finite = abs(best.fun) < 1e-9 and len(set(fit(cast, items).component_K.tolist())) == 1
    found = existence(tallied(cast, items))
    ours = int(found.component_K.max()) == 0 and found.ties and found.tier_K is None
    assert ours == finite
    if ours:
        assert np.isfinite(fit(cast, items).log_pi_K).all()


def test_it_says_where_it_does_not_come_to_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROUNDS", 3)
    with pytest.raises(ArithmeticError, match="still move"):
        fit(said((0, 1, 3, 1, 2), (1, 2, 9, 1, 1)), 3)


@pytest.mark.parametrize(
    ("cast", "why"),
    [
        (said((0, 0, 1, 0, 0)), "itself"),
        (said((0, 5, 1, 0, 0)), "items 0 to 5"),
        (said((0, 1, -1, 0, 0)), "negative"),
        (said((0, 1, math.nan, 0, 0)), "not finite"),
        (said((0, 1, 1, 0, 0))._replace(win_V=np.ones(2)), "equal columns"),
    ],
)
def test_what_is_no_vote_is_refused(cast: Votes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fit(cast, 2)


def test_no_votes_are_no_ratings() -> None:
    nothing = Votes(np.zeros(0, int), np.zeros(0, int), *[np.zeros(0)] * 3)
    found = fit(nothing, 2)
    assert (found.said, found.component_K.tolist()) == ((NO_ORDER, NO_TIES), [0, 1])
    assert np.isnan(found.log_pi_K).all()
