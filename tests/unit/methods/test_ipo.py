"""ipo: numbers by hand. Mutants: sums for means over tokens, the sign, 1/β for 1/2β, p read as a label, a
loss that goes on falling past its target."""

from __future__ import annotations

import numpy as np
import pytest

from accord.methods.ipo import IPO
from accord.records import Episode
from accord.records.rows import Batch, Row, Window
from accord.testing import check_method, evaluate


def said(*turns: tuple[int, ...]) -> Episode:
    prompts = tuple((1 + k,) for k in range(len(turns)))
    return Episode(prompt="q", responses=tuple(map(str, turns)), prompt_tokens=prompts, tokens=turns)


def taught(method: IPO, **told: float) -> Batch:
    """A first answer of three tokens in two turns, a second of one; every token −1 under π_ref."""
    row = Row((said((5, 6), (7,)), said((8,))), {"p": 1.0, **told})
    measured = (-np.ones(2), -np.ones(1), -np.ones(1))
    batch, _ = method.batch(Window(0, (row,), {"ref_logp": measured}), {}, np.random.default_rng(0))
    return batch


def test_the_distance_of_per_token_means_by_hand() -> None:
    """Means (1 + 2 + 6)/3 = 3 and −1: h = 4; the target of β = .1 is 5, of p = .6 it is 1."""
    for p, weight, expected, slope in ((1.0, 1.0, 1.0, -2.0), (0.6, 2.0, 18.0, 12.0), (0.0, 1.0, 81.0, 18.0)):
        batch = taught(IPO(), p=p, weight=weight)
        scale = {**dict.fromkeys(batch.weights, 0.0), "ipo": 1.0}
        found = evaluate(IPO().loss, batch, np.array([0.0, 1.0, 5.0, -2.0]), scale, "torch")
        assert found.totals["ipo"] == pytest.approx(expected)
        # 2w·(h − target), a third of it on each token of the first answer
        assert found.pressure_T == pytest.approx([slope / 3] * 3 + [-slope])


def test_figures_are_of_per_token_means() -> None:
    batch = taught(IPO(beta=0.5))
    found = evaluate(
        IPO(beta=0.5).loss, batch, np.array([0.0, 1.0, 5.0, -2.0]), dict.fromkeys(batch.weights, 1.0), "torch"
    ).totals
    assert (found["chosen"], found["rejected"], found["margin"]) == pytest.approx((1.5, -0.5, 2.0))
    assert (found["accuracy"], found["both_fell"]) == (1.0, 0.0)


def test_it_has_nothing_to_teach_at_its_target() -> None:
    """dpo would push on; here h = 1/2β = 5 is where it ends."""
    batch = taught(IPO())
    scale = {**dict.fromkeys(batch.weights, 0.0), "ipo": 1.0}
    found = evaluate(IPO().loss, batch, np.array([3.0, 3.0, 3.0, -2.0]), scale, "torch")
    assert found.pressure_T == pytest.approx([0.0] * 4)


def test_it_keeps_the_promises_of_a_method() -> None:
    check_method(IPO(), columns=("p",))
    check_method(IPO(beta=1.0, epochs=2, rows_per_step=1), columns=("p", "weight"))
    assert (IPO().rows.unit, IPO().pushes_down, IPO().needs().columns) == ("pair", True, {"ref_logp"})
