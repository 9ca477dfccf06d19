"""check_method on pairs, scores and critics: it passes what is right and names the promise that is broken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accord.errors import ContractError
from accord.maths.batches import likelihood_batch
from accord.part import Part
from accord.ports import Needs, Shape
from accord.records.rows import Batch, Row, Window
from accord.testing import check_method
from accord.testing.checks_training import windows_for


class Scoring(Part):
    """Scores of the two sides of a pair, two heads; a margin as a figure."""

    @property
    def rows(self) -> Shape:
        return Shape("pair", 1, "data")

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs(scores=2)

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        rows = [row for row in window.rows if not row.missing]
        batch = likelihood_batch(rows, 1, 99, rng, {})
        weights = {"pairs": 1.0, "margin": 0.0}
        counts = tuple(dict.fromkeys(weights, float(len(step))) for step in batch.steps)
        p = np.array([row.columns["p"] for row in rows])
        return replace(batch, rows={"p": p}, weights=weights, counts=counts), memory

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        import torch

        margin = (out.score_SK[0::2] - out.score_SK[1::2]).mean(dim=1)
        p = torch.as_tensor(batch.rows["p"])
        total = -torch.nn.functional.logsigmoid((2 * p - 1) * margin).sum()
        return {"pairs": total, "margin": margin.detach().sum()}


class Valuing(Scoring):
    """Answers, and a critic that is pulled to the value measured."""

    @property
    def rows(self) -> Shape:
        return Shape("answer", 3, "policy")

    def needs(self) -> Needs:
        return Needs(frozenset({"value"}), critic=True)

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        measured = dict(zip(range(len(window.rows)), window.measured["value"], strict=True))
        kept = [i for i, row in enumerate(window.rows) if not row.missing]
        batch = likelihood_batch([window.rows[i] for i in kept], 1, 4, rng, {})
        value = np.concatenate([np.zeros(0), *(measured[i] for i in kept)])
        counts = tuple({"value": c["nll"]} for c in batch.counts)
        return replace(batch, tokens={"value": value}, weights={"value": 1.0}, counts=counts), memory

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        import torch

        return {"value": ((out.value_T - torch.as_tensor(batch.tokens["value"])) ** 2).sum()}


def test_pairs_scores_and_critics_pass() -> None:
    check_method(Scoring())
    check_method(Valuing())


def test_windows_of_pairs() -> None:
    plain, ragged, missing = windows_for(Shape("pair", 1, "data"))
    for window in (plain, ragged, missing):
        assert all(len(row.episodes) == 2 for row in window.rows)
        assert all(row.episodes[0].prompt == row.episodes[1].prompt for row in window.rows)
    p = [row.columns["p"] for row in plain.rows]
    assert min(p) >= 0 and max(p) <= 1 and len(set(p)) > 2
    assert {row.columns["weight"] for row in plain.rows} == {1.0, 2.0}
    assert [row.missing for row in ragged.rows] == [False, False, True, True, False, False]
    assert "weight" not in windows_for(Shape("answer", 2, "policy"))[0].rows[0].columns


def test_measured_values_lie_on_either_side_of_0_and_log_probabilities_do_not() -> None:
    (plain, *_) = windows_for(Shape("answer", 4, "policy"), (), frozenset({"value", "ref_logp"}))
    value, logp = (np.concatenate(plain.measured[name]) for name in ("value", "ref_logp"))
    assert value.min() < 0 < value.max()
    assert logp.max() < 0


class Unsaid(Scoring):
    """Reads scores that needs() does not name."""

    def needs(self) -> Needs:
        return Needs()


class UnsaidCritic(Valuing):
    def needs(self) -> Needs:
        return Needs(frozenset({"value"}))


class Attached(Scoring):
    """A figure that pulls."""

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        return {**super().loss(out, batch), "margin": (out.score_SK[0::2] - out.score_SK[1::2]).sum()}


class Centred(Scoring):
    """Compares with the mean score of whatever is there."""

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        told = super().loss(out, batch)
        away = (out.score_SK - out.score_SK.mean(dim=0)) ** 2
        return {**told, "pairs": told["pairs"] + away.sum()}


class Leaning(Valuing):
    """The same total by any split, but not the same gradient: the first token carries all of it."""

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        total = super().loss(out, batch)["value"]
        first = out.value_T[:1].sum()
        return {"value": total.detach() + first - first.detach()}


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Unsaid, "needs names the scores"),
        (UnsaidCritic, "needs names the critic"),
        (Attached, "figures, without a gradient"),
        (Centred, "totals add"),
        (Leaning, "so is its gradient"),
    ],
)
def test_a_broken_promise_is_named(kind: type[Scoring], promise: str) -> None:
    with pytest.raises(ContractError, match=promise):
        check_method(kind())


class Marks(Part):
    """Opens every prompt by a mark."""

    @property
    def rows(self) -> Shape:
        return Shape("answer", 2, "policy")

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs()

    def marked(self, window: Window, rendered: Any, rng: Any) -> Window:
        return replace(window, rows=tuple(self._written(row, window, rendered) for row in window.rows))

    def _written(self, row: Row, window: Window, rendered: Any) -> Row:
        (one,) = row.episodes
        opened = (rendered(one.prompt, "mark"),)
        return replace(row, episodes=(one.model_copy(update={"prompt_tokens": opened}),))

    def batch(self, window: Window, memory: Any, rng: Any) -> Any:
        return likelihood_batch([row for row in window.rows if not row.missing], 1, 4, rng, {}), memory

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        return {"nll": -out.logp_T.sum()}


class Retold(Marks):
    """Writes into answers too."""

    def _written(self, row: Row, window: Window, rendered: Any) -> Row:
        (one,) = row.episodes
        return replace(row, episodes=(one.model_copy(update={"tokens": ((9, *one.tokens[0]),)}),))


class Rescored(Marks):
    def _written(self, row: Row, window: Window, rendered: Any) -> Row:
        return replace(row, columns={"score": 0.0})


class Counting(Marks):
    """Rows without a verdict say what mark the others get."""

    def _written(self, row: Row, window: Window, rendered: Any) -> Row:
        (one,) = row.episodes
        high = sum(other.columns["score"] > 10 for other in window.rows)
        opened = (rendered(one.prompt, f"mark {high}"),)
        return replace(row, episodes=(one.model_copy(update={"prompt_tokens": opened}),))


class Guessing(Marks):
    def _written(self, row: Row, window: Window, rendered: Any) -> Row:
        (one,) = row.episodes
        opened = (rendered(one.prompt, str(np.random.default_rng().random())),)
        return replace(row, episodes=(one.model_copy(update={"prompt_tokens": opened}),))


def test_marks_stand_in_prompts_alone() -> None:
    check_method(Marks())
    for kind, promise in (
        (Retold, "into prompts alone"),
        (Rescored, "into prompts alone"),
        (Counting, "no say in the marks"),
        (Guessing, "marked is pure"),
    ):
        with pytest.raises(ContractError, match=promise):
            check_method(kind())
