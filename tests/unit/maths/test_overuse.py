"""How far a reward was used: what a window says of it; two curves, found again where they were planted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from accord.maths.overuse import FORMS, LEAST, Fit, Form, fitted, peak, use_of, value_at, withheld
from accord.records.rows import Floats, Window
from accord.testing import a_row, a_window

# a, b and the peak of each form: 3 / (2 · .5) and e^(3/1.5 − 1).
PLANTED: dict[Form, tuple[float, float, float]] = {"best_of_n": (3.0, 0.5, 3.0), "rl": (3.0, 1.5, math.e)}


def rng(*parts: int) -> np.random.Generator:
    return np.random.default_rng(parts)


def grown(form: Form, d: Floats, noise: float = 0.0, seed: int = 0) -> Floats:
    a, b, _ = PLANTED[form]
    return 1.5 + value_at(form, d, a, b) + noise * rng(seed).standard_normal(d.size)


def fit_of(form: Form, d: Floats, reward: Floats) -> Fit:
    found = fitted(form, d, reward, rng(1))
    assert isinstance(found, Fit), found
    return found


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_curve_is_found_again(form: Form) -> None:
    """Kills: the forms exchanged, log₁₀ for ln, a sign of b, no start, a start that is fixed at R[0]."""
    d = np.linspace(0.3, 4.0, 12)  # no point at 0: the start has to be fitted
    found = fit_of(form, d, grown(form, d))
    a, b, top = PLANTED[form]
    assert [found.start, found.a.value, found.b.value] == pytest.approx([1.5, a, b])
    assert found.peak.value == pytest.approx(top)
    assert found.highest == "inside"
    assert found.residual == pytest.approx(0.0, abs=1e-9)
    assert found.at(np.array([0.0, top])) == pytest.approx(grown(form, np.array([0.0, top])))
    other: Form = "rl" if form == "best_of_n" else "best_of_n"
    assert fit_of(other, d, grown(form, d)).residual > 0.05


@pytest.mark.parametrize("form", FORMS)
def test_under_noise_the_intervals_hold_what_was_planted(form: Form) -> None:
    """Kills: the interval of a for that of b, draws that are all one, bounds of another level."""
    d = np.linspace(0.0, 4.0, 24)
    wanted, held = PLANTED[form], np.zeros(3)
    for seed in range(30):
        found = fit_of(form, d, grown(form, d, 0.2, seed))
        spans = (found.a, found.b, found.peak)
        held += [one.low <= true <= one.high for one, true in zip(spans, wanted, strict=True)]
        assert found.residual == pytest.approx(0.2, abs=0.12)
        assert found.peak.high - found.peak.low < 1.0
    assert (held >= 24).all(), held  # of 30 at 95 %; fewer come by chance about once in a thousand


@pytest.mark.parametrize("form", FORMS)
def test_what_still_rises_has_no_peak_in_the_data(form: Form) -> None:
    d = np.linspace(0.0, 3.0, 10)
    bent = fit_of(form, d, value_at(form, d, 2.0, -0.3))
    assert (bent.peak.value, bent.highest) == (math.inf, "end")
    assert bent.b.value == pytest.approx(-0.3)
    late = fit_of("best_of_n", d, value_at("best_of_n", d, 6.0, 0.5))
    assert late.peak.value == pytest.approx(6.0)
    assert late.highest == "end"


def test_what_only_fell_is_not_said_to_rise() -> None:
    """A straight fall has b ≈ 0 of either sign, so a peak at 0 or at ∞; it was highest at the start."""
    d = np.linspace(0.0, 3.0, 10)
    for sign in (-1e-12, 0.0, 1e-12):
        assert fit_of("best_of_n", d, -d + sign * d**2).highest == "start"
    assert fit_of("rl", d, value_at("rl", d, -8.0, 1.0)).highest == "start"


def test_there_is_no_fit_without_points_or_range() -> None:
    d = np.linspace(0.0, 2.0, LEAST)
    assert isinstance(fitted("rl", d, d, rng(1)), Fit)
    assert f"a fit needs {LEAST}" in str(fitted("rl", d[1:], d[1:], rng(1)))
    assert "no range" in str(fitted("rl", d * 0.04, d, rng(1)))
    three = np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0])
    assert "no range" in str(fitted("rl", three, three, rng(1)))


@pytest.mark.parametrize("bad", [np.array([np.nan] * 6), np.array([-1.0] * 6), np.zeros(5)])
def test_what_is_no_distance_is_refused(bad: Floats) -> None:
    with pytest.raises(ValueError, match="not negative"):
        fitted("rl", bad, np.zeros(6), rng(1))


def test_a_peak_too_far_for_a_float_is_infinite() -> None:
    assert peak("rl", 1.0, 1e-6) == math.inf
    assert peak("best_of_n", -1.0, 0.5) == 0.0


def measured(window: Window, now: list[list[float]], ref: list[list[float]]) -> Window:
    columns = {"old_logp": tuple(map(np.array, now)), "ref_logp": tuple(map(np.array, ref))}
    return replace(window, measured=columns)


def test_d_is_the_root_of_the_mean_over_answers() -> None:
    """Answers of 1 and 2 tokens with Σ k1 of .5 and 1: √.75.

    Kills: the mean over tokens (.5), no root, the sign, the guard's reading before the window's own answers.
    """
    window = measured(a_window([[1.0, 0.0]]), [[-1.0], [-1.0, -1.0]], [[-1.5], [-2.0, -1.0]])
    found = use_of(window, window, kl_base=9.0)
    assert found == pytest.approx({"kl_start": 0.75, "d": math.sqrt(0.75), "proxy": 0.5})
    under = use_of(measured(a_window([[1.0]]), [[-2.0]], [[-1.0]]), window, None)
    assert (under["kl_start"], under["d"]) == (-1.0, 0.0)


def test_where_nothing_was_measured_the_guard_is_asked() -> None:
    window = a_window([[1.0, None]])
    assert use_of(window, window, 0.25) == {"kl_base": 0.25, "d": 0.5, "proxy": 1.0}
    assert use_of(window, window, None) == {"proxy": 1.0}


def test_means_are_of_what_is_known() -> None:
    """Row c lacks another verdict, so nothing is learnt from its score; its gold is known.

    Kills: gold dropped with such a row, its score kept, gold that is unknown as 0.
    """
    nan = math.nan
    drawn = Window(
        0,
        (
            a_row("a", score=1.0, spread=0.5, gold=2.0),
            a_row("b", score=3.0, spread=1.5, gold=nan),
            a_row("c", score=9.0, spread=9.0, gold=4.0, missing=True),
        ),
    )
    assert use_of(drawn, drawn, None) == {"proxy": 2.0, "spread": 1.0, "gold": 3.0, "gold_missing": 1.0}


def test_gold_is_withheld_and_nothing_else() -> None:
    window = Window(3, (a_row("a", score=1.0, gold=2.0), a_row("b", score=0.5)))
    seen = withheld(window)
    assert [dict(row.columns) for row in seen.rows] == [{"score": 1.0}, {"score": 0.5}]
    assert [row.episodes for row in seen.rows] == [row.episodes for row in window.rows]
    plain = a_window([[1.0, 2.0]])
    assert withheld(plain) is plain
