"""evaluate beside log-probabilities. Mutants: a score's derivative given to a value, weights left out,
made-up numbers that depend on the place in the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accord.engines.scripted.losses import Beside, evaluate
from accord.errors import PlanError
from accord.records import Episode
from accord.records.rows import Batch
from accord.testing import a_window


def a_batch() -> Batch:
    """Two sequences of 1 and 2 answer tokens."""
    sequences = [Episode.sequences(row.episodes[0])[0] for row in a_window([[1.0, 2.0]]).rows]
    return Batch(
        tuple(sequences), np.arange(2), (np.arange(2),), ({"a": 2.0, "b": 1.0},), {"a": 1.0, "b": 3.0}
    )


def loss(out: Any, batch: Batch) -> Any:
    del batch
    return {"a": (out.logp_T * out.value_T).sum(), "b": (out.score_SK[:, 0] * out.score_SK[:, 1]).sum()}


GIVEN = Beside(np.array([[2.0, 3.0], [5.0, 7.0]]), np.array([0.5, -1.0, 4.0]))


def test_derivatives_by_all_that_was_given() -> None:
    found = evaluate(loss, a_batch(), np.array([-1.0, -2.0, -3.0]), {"a": 0.5, "b": 3.0}, "torch", GIVEN)
    assert found.totals == {"a": -0.5 + 2.0 - 12.0, "b": 6.0 + 35.0}
    assert found.pressure_T.tolist() == [0.25, -0.5, 2.0]
    assert found.value_T.tolist() == [-0.5, -1.0, -1.5]
    assert found.score_SK.tolist() == [[9.0, 6.0], [21.0, 15.0]]


def test_what_a_loss_does_not_read_has_no_derivative() -> None:
    found = evaluate(
        lambda out, _: {"a": out.logp_T.sum()}, a_batch(), np.zeros(3), {"a": 1.0}, "torch", GIVEN
    )
    assert not found.score_SK.any() and not found.value_T.any()
    alone = evaluate(
        lambda out, _: {"a": out.score_SK.sum()}, a_batch(), np.zeros(3), {"a": 1.0}, "torch", GIVEN
    )
    assert not alone.pressure_T.any()


def test_scores_of_tokens_have_derivatives_of_their_own() -> None:
    def stepped(out: Any, batch: Batch) -> Any:
        del batch
        return {"a": (out.score_TK**2).sum(), "b": (out.score_TK[:, 0] * out.logp_T).sum()}

    given = GIVEN._replace(score_TK=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    found = evaluate(stepped, a_batch(), np.array([-1.0, -2.0, -3.0]), {"a": 0.5, "b": 2.0}, "torch", given)
    assert found.totals == {"a": 91.0, "b": -22.0}
    assert found.score_TK.tolist() == [[1 - 2, 2], [3 - 4, 4], [5 - 6, 6]]
    assert found.pressure_T.tolist() == [2.0, 6.0, 10.0]
    assert not found.score_SK.any()
    bare = evaluate(stepped, a_batch(), np.zeros(3), {"a": 1.0, "b": 0.0}, "torch", Beside.made_up(a_batch()))
    assert bare.totals["a"] > 0, "made-up numbers are not all 0"


@pytest.mark.parametrize("name", ["score_SK", "value_T", "score_TK"])
def test_numpy_is_for_losses_of_log_probabilities_alone(name: str) -> None:
    with pytest.raises(PlanError, match=f"this loss reads {name}"):
        evaluate(lambda out, _: {"a": getattr(out, name).sum()}, a_batch(), np.zeros(3), {"a": 1.0}, "numpy")
    found = evaluate(lambda out, _: {"a": (out.logp_T**2).sum()}, a_batch(), np.ones(3), {"a": 1.0}, "numpy")
    assert found.pressure_T == pytest.approx([2.0] * 3, abs=1e-6)
    assert (found.score_SK.shape, found.value_T.shape) == ((2, 1), (3,))


def test_made_up_numbers_follow_from_the_sequence_alone() -> None:
    whole = a_batch()
    numbers, turned = Beside.made_up(whole, 3), Beside.made_up(whole.take([1, 0]), 3)
    assert turned.score_SK.tolist() == numbers.score_SK[[1, 0]].tolist()
    assert turned.value_T.tolist() == numbers.value_T[[1, 2, 0]].tolist()
    assert turned.score_TK is not None and numbers.score_TK is not None
    assert turned.score_TK.tolist() == numbers.score_TK[[1, 2, 0]].tolist()
    assert len(np.unique(numbers.score_TK)) > 6
    assert len(np.unique(numbers.score_SK)) > 2 and len(np.unique(numbers.value_T)) == 3
    assert Beside.made_up(whole, 0).score_SK.shape == (2, 0)
