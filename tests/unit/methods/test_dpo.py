"""dpo: numbers by hand. Mutants: the sign, β dropped or used twice, a mean over tokens for the sum, no
reference, p read as a label, weights in the count, answers swapped, robust without its cap or with two.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from accord.methods.dpo import DPO
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing import check_method, evaluate

LN3 = math.log(3)
WIN, LOSS = math.log(4 / 3), math.log(4)  # ℓ where σ = ¾, and its opposite


def said(*tokens: int) -> Episode:
    return Episode(prompt="q", responses=(str(tokens),), prompt_tokens=((1,),), tokens=(tokens,))


def pair(p: float = 1.0, **told: float) -> Row:
    """The first answer has two tokens, the second one."""
    return Row((said(5, 6), said(7)), {"p": p, **told})


def taught(method: DPO, *rows: Row) -> Batch:
    """One step with every token measured as −1 under π_ref."""
    measured = tuple(-np.ones(n) for _ in rows for n in (2, 1))
    batch, memory = method.batch(
        Window(0, rows, {"ref_logp": measured}), {"kept": 1}, np.random.default_rng(0)
    )
    assert memory == {"kept": 1}
    return batch


def gained(*by: tuple[float, float]) -> Floats:
    """log π where the two answers of each row gained so much; a first answer in uneven halves."""
    return np.concatenate([[a - 3.0, 1.0, b - 1.0] for a, b in by])


def totals(method: DPO, batch: Batch, logp_T: Floats) -> dict[str, float]:
    return evaluate(method.loss, batch, logp_T, dict.fromkeys(batch.weights, 1.0), "torch").totals


def test_soft_labels_weights_and_beta_by_hand() -> None:
    """β h = ½ · 2 ln 3: σ = ¾."""
    method = DPO(beta=0.5)
    batch = taught(method, pair(), pair(0.25, weight=2.0))
    assert batch.counts == (dict.fromkeys(batch.weights, 2.0),)
    assert {name: w for name, w in batch.weights.items() if w} == {"dpo": 1.0}
    scale = {name: w / 2 for name, w in batch.weights.items()}
    found = evaluate(method.loss, batch, gained((LN3, -LN3), (LN3, -LN3)), scale, "torch")
    assert found.totals["dpo"] == pytest.approx(WIN + 2 * (0.25 * WIN + 0.75 * LOSS))
    # ∂/∂s = ±w·β·(σ(βh) − p)/count: ½·(¾ − 1)/2, then 2·½·(¾ − ¼)/2
    assert found.pressure_T == pytest.approx([-0.0625, -0.0625, 0.0625, 0.25, 0.25, -0.25])


def test_figures_by_hand_and_without_gradient() -> None:
    method = DPO(beta=0.5)
    batch = taught(method, pair(), pair(0.25), pair(0.5), pair())
    logp = gained((2.0, -4.0), (2.0, -4.0), (-1.0, -3.0), (0.0, 0.0))
    found = totals(method, batch, logp)
    assert found["accuracy"] == pytest.approx(1 + 0.25 + 0.5 + 0.5)  # equal answers agree by half
    assert found["chosen"] == pytest.approx(1.0 + (0.25 * 1 - 0.75 * 2) - (0.5 * 0.5 + 0.5 * 1.5) + 0)
    assert found["rejected"] == pytest.approx(-2.0 + (0.75 * 1 - 0.25 * 2) - 1.0 + 0)
    assert found["margin"] == pytest.approx(found["chosen"] - found["rejected"])
    assert found["both_fell"] == 1.0, "the third pair: both answers lost probability"
    figures = {name: float(name != "dpo") for name in batch.weights}
    assert not evaluate(method.loss, batch, logp, figures, "torch").pressure_T.any()


def test_at_the_start_it_is_ln_2_whatever_the_label() -> None:
    found = totals(DPO(), taught(DPO(), pair(), pair(0.3), pair(0.0)), gained((0, 0), (0, 0), (0, 0)))
    assert found["dpo"] == pytest.approx(3 * math.log(2))
    assert (found["accuracy"], found["both_fell"]) == (1.5, 0.0)


def test_equal_gains_of_any_size_say_nothing_about_the_pair() -> None:
    one, two = (totals(DPO(), taught(DPO(), pair()), gained((by, by)))["dpo"] for by in (0.0, 30.0))
    assert one == pytest.approx(two)


def test_robust_by_hand() -> None:
    """ε = ¼ takes p = 1 to 3/2: 3/2·ln 4/3 − ½·ln 4; p = ¾ to 1; p = ½ stays."""
    method = DPO(beta=0.5, robust=0.25)
    batch = taught(method, pair(), pair(0.75), pair(0.5))
    found = totals(method, batch, gained(*[(LN3, -LN3)] * 3))["dpo"]
    assert found == pytest.approx(1.5 * WIN - 0.5 * LOSS + WIN + 0.5 * (WIN + LOSS))


@pytest.mark.parametrize("p", [1.0, 0.0])
def test_robust_stops_pushing_at_the_cap_but_never_stops_pulling_back(p: float) -> None:
    """β = .1: the cap stands at |h| = 200."""
    method = DPO(beta=0.1, robust=0.2)
    batch = taught(method, pair(p))
    sign = 2 * p - 1
    for h, pushed in ((199.0, True), (201.0, False), (1e4, False), (-201.0, True), (-1e4, True)):
        logp = gained((sign * h, 0.0))
        found = evaluate(method.loss, batch, logp, {**dict.fromkeys(batch.weights, 0.0), "dpo": 1.0}, "torch")
        assert bool(found.pressure_T.any()) is pushed, h
        if pushed:
            assert np.sign(found.pressure_T[0]) == -sign, "the preferred answer is raised"
        if h > 200:
            assert found.totals["dpo"] == pytest.approx(-20 / 3, abs=1e-6)  # (1 − p′)·20, p′ = 4/3


def test_plain_has_no_cap() -> None:
    batch = taught(DPO(), pair())
    scale = {**dict.fromkeys(batch.weights, 0.0), "dpo": 1.0}
    assert evaluate(DPO().loss, batch, gained((-1e4, 0.0)), scale, "torch").totals["dpo"] == pytest.approx(
        1e3
    )


@pytest.mark.parametrize("told", [{"robust": 0.5}, {"robust": -0.1}, {"beta": 0.0}, {"epochs": 0}])
def test_settings_that_mean_nothing_are_refused(told: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DPO.model_validate(told)


@pytest.mark.parametrize("told", [{}, {"robust": 0.3, "beta": 0.5, "epochs": 2, "rows_per_step": 1}])
def test_it_keeps_the_promises_of_a_method(told: dict[str, float]) -> None:
    check_method(DPO.model_validate(told), columns=("p",))
    check_method(DPO.model_validate(told), columns=("p", "weight"))


def test_what_it_says_of_itself() -> None:
    assert (DPO().rows.unit, DPO().rows.by, DPO().pushes_down) == ("pair", "data", True)
    assert (DPO().needs().columns, DPO().needs().scores) == ({"ref_logp"}, 0)
