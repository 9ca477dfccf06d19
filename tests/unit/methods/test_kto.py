"""kto: numbers by hand. Mutants: the sign, β dropped or used twice, a weight given to the other side, z0 not
held at 0, taken from the rows themselves or from missing ones, a mean over tokens for the sum, no reference.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from accord.errors import ContractError, PlanError
from accord.methods.kto import KTO
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing import check_method, evaluate

LN3 = math.log(3)


def said(prompt: int, *tokens: int) -> Episode:
    return Episode(
        prompt=f"q{prompt}", responses=(str(tokens),), prompt_tokens=((prompt,),), tokens=(tokens,)
    )


def row(prompt: int, label: float, missing: bool = False) -> Row:
    """An answer of two tokens."""
    return Row((said(prompt, 5, 6 + prompt),), {"label": label}, missing, prompt)


def window(*rows: Row, gained: tuple[float, ...] = (), crossed: tuple[float, ...] = ()) -> Window:
    """Every token had −1 under π_ref; answers gained so much since, and so did the mismatched ones."""
    gained, crossed = gained or (0.0,) * len(rows), crossed or (0.0,) * len(rows)
    ref = tuple(-np.ones(sum(s.answer)) for r in rows for e in r.episodes for s in e.sequences())
    old = tuple(r + by / max(1, len(r)) for r, by in zip(ref, gained, strict=True))
    three = tuple(-np.ones(3) for _ in rows)
    measured = {"ref_logp": ref, "old_logp": old, "mismatched_ref_logp": three}
    more = {"mismatched_old_logp": tuple(r + by / 3 for r, by in zip(three, crossed, strict=True))}
    return Window(0, rows, {**measured, **more})


def taught(method: KTO, *rows: Row, **told: tuple[float, ...]) -> Batch:
    batch, memory = method.batch(window(*rows, **told), {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    return batch


def logp(*by: float) -> Floats:
    """log π of rows of two tokens that gained so much, in uneven parts."""
    return np.concatenate([[x - 2.0, 0.0] for x in by])


def test_loss_and_pressure_by_hand() -> None:
    """β(s − z0) = ½·(3 − 1)·ln 3: σ = ¾; wanted at λ_D 2, unwanted at λ_U 4, and a row of divided raters."""
    method = KTO(beta=0.5, wanted_weight=2.0, unwanted_weight=4.0)
    batch = taught(method, row(0, 1.0), row(1, 0.0), row(2, 0.5), crossed=(LN3, 2 * LN3, 0.0))
    assert batch.rows["z0"].tolist() == pytest.approx([LN3] * 3)
    assert batch.counts == (dict.fromkeys(batch.weights, 3.0),)
    assert {name for name, weight in batch.weights.items() if weight} == {"kto"}
    scale = {name: weight / 3 for name, weight in batch.weights.items()}
    found = evaluate(method.loss, batch, logp(*[3 * LN3] * 3), scale, "torch")
    assert found.totals["kto"] == pytest.approx(2 / 4 + 4 * 3 / 4 + (2 / 4 + 4 * 3 / 4) / 2)
    # ∂/∂s = β·σ(1−σ)·(−λ_D, λ_U, their mean): ½·3/16 = 3/32, over 3 rows; both tokens of an answer alike.
    each = np.array([-2.0, 4.0, 1.0]) / 32
    assert found.pressure_T == pytest.approx(np.repeat(each, 2))


def test_at_the_start_every_row_costs_half_its_weight() -> None:
    method = KTO(wanted_weight=3.0)
    batch = taught(method, row(0, 1.0), row(1, 0.0))
    found = evaluate(method.loss, batch, logp(0, 0), dict.fromkeys(batch.weights, 1.0), "torch")
    assert found.totals["kto"] == pytest.approx(1.5 + 0.5)
    assert (found.totals["accuracy"], found.totals["margin"]) == (1.0, 0.0)


def test_figures_by_hand_and_without_gradient() -> None:
    """z0 = 1: gains of 3, 0, 1 and 5 stand at 2, −1, 0 and 4 above it."""
    method = KTO(beta=0.5)
    batch = taught(method, row(0, 1.0), row(1, 0.0), row(2, 1.0), row(3, 0.25), crossed=(4.0, 0.0, 0.0, 0.0))
    figures = {name: float(name != "kto") for name in batch.weights}
    found = evaluate(method.loss, batch, logp(3, 0, 1, 5), figures, "torch")
    assert found.totals["accuracy"] == pytest.approx(1 + 1 + 0.5 + 0.25)
    assert found.totals["margin"] == pytest.approx(0.5 * (2 + 1 + 0 + (2 * 0.25 - 1) * 4))
    assert not found.pressure_T.any()


@pytest.mark.parametrize(("crossed", "z0"), [((2.0, -1.0), 0.5), ((-3.0, 1.0), 0.0), ((0.0, 0.0), 0.0)])
def test_z0_is_the_mean_of_the_mismatched_held_at_0(crossed: tuple[float, ...], z0: float) -> None:
    batch = taught(KTO(), row(0, 1.0), row(1, 0.0), gained=(7.0, 9.0), crossed=crossed)
    assert batch.scalars["z0"] == pytest.approx(z0)
    assert batch.rows["z0"].tolist() == pytest.approx([z0, z0])


def test_a_row_that_is_missing_or_says_nothing_leaves_the_loss_and_z0() -> None:
    silent = Row((said(4),), {"label": 1.0}, group=4)
    rows = (row(0, 1.0), row(1, math.nan, missing=True), silent, row(3, 0.0))
    batch = taught(KTO(), *rows, crossed=(1.0, 50.0, 70.0, 3.0))
    assert [s.tokens for s in batch.sequences] == [(0, 5, 6), (3, 5, 9)]
    assert batch.scalars["z0"] == pytest.approx(2.0)
    assert [batch.scalars[name] for name in ("rows", "missing", "empty")] == [4, 1, 1]
    assert batch.rows["label"].tolist() == [1.0, 0.0]
    assert len(batch.tokens["ref_logp"]) == 4


def test_what_the_window_was_like_before_its_first_update() -> None:
    method = KTO(wanted_weight=2.0, unwanted_weight=0.5)
    found = taught(method, row(0, 1.0), row(1, 0.0), row(2, 1.0), gained=(3.0, -2.0, 1.0)).scalars
    assert (found["wanted"], found["unwanted"]) == (pytest.approx(2.0), pytest.approx(-2.0))
    assert found["share_wanted"] == pytest.approx(2 / 3)
    assert found["balance"] == pytest.approx(2 * 2 / (0.5 * 1))
    assert not {"unwanted", "balance"} & taught(method, row(0, 1.0), row(1, 1.0)).scalars.keys()


def test_steps_hold_every_row_once_an_epoch_and_count_their_own() -> None:
    batch = taught(KTO(epochs=2, rows_per_step=2), *(row(k, k % 2) for k in range(5)))
    assert [len(step) for step in batch.steps] == [2, 2, 1] * 2
    assert sorted(np.concatenate(batch.steps[:3]).tolist()) == [0, 1, 2, 3, 4]
    assert [count["kto"] for count in batch.counts] == [2, 2, 1] * 2


def test_rows_without_labels_say_how_to_get_them() -> None:
    plain = Row((said(0, 5),), {"score": 1.0})
    with pytest.raises(PlanError, match=r"source\.labels") as error:
        KTO().batch(window(plain, plain), {}, np.random.default_rng(0))
    assert '"column"' in str(error.value)
    for label in (-0.5, 2.0, math.nan):
        with pytest.raises(ContractError, match="label lies between"):
            taught(KTO(), row(0, label), row(1, 1.0))


@pytest.mark.parametrize(
    "told", [{"beta": 0.0}, {"wanted_weight": 0.0}, {"unwanted_weight": -1.0}, {"epochs": 0}]
)
def test_settings_that_mean_nothing_are_refused(told: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        KTO.model_validate(told)


def test_it_keeps_the_promises_of_a_method() -> None:
    check_method(KTO(), columns=("label",))
    check_method(KTO(wanted_weight=3.0, epochs=2, rows_per_step=1), columns=("label",))


def test_what_it_says_of_itself() -> None:
    needs = KTO().needs()
    assert (KTO().rows.unit, KTO().rows.n, KTO().rows.by, KTO().pushes_down) == ("answer", 1, "data", True)
    assert (needs.columns, needs.mismatched, needs.scores) == ({"ref_logp", "old_logp"}, True, 0)
