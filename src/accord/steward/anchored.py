"""Anchored: a method that raises answers, held near the base by the base's own answers to something else.

    loss = inner's − weight · Σ log π(answer | prompt) / tokens   over the anchor's rows of each step

The anchor's rows (column ``anchor``) never reach the inner method: neither its figures nor what it withholds
count them. Each term has its own denominator, so ``weight`` is what it says whatever the inner method
accepts. Where that accepts nothing there is no step, and nothing to be held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import ConfigDict, Field, SkipValidation, field_serializer, model_validator

from accord.maths.batches import likelihood_batch
from accord.part import Part, named
from accord.ports import Memory, Method, Needs, Out, Shape
from accord.problems import problem
from accord.records.rows import Batch, Floats, Row, Window
from accord.steward.mixing import ANCHOR

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Anchored"]

_TABLE = 'a method that raises single answers, as inner = { name = "best_of_n" }'


class Anchored(Part):
    """The inner method, and ``weight`` times the cross-entropy of the anchor's rows."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    inner: SkipValidation[Method] = Field(description=_TABLE)
    weight: float = Field(default=0.1, gt=0)

    @model_validator(mode="after")
    def _raises_answers(self) -> Self:
        inner: object = self.inner
        if not isinstance(inner, Part):
            raise problem(["inner"], str(inner), _TABLE)
        needs, kind = self.inner.needs(), type(inner).__name__
        if self.inner.rows.unit != "answer" or needs.scores or needs.critic or needs.mismatched:
            raise problem(["inner"], kind, _TABLE)
        columns = {*needs.columns, *(one.column for one in needs.reads)}
        empty, _ = self.inner.batch(Window(0, (), dict.fromkeys(columns, ())), {}, np.random.default_rng(0))
        if set(empty.weights) != {"nll"} or set(empty.tokens) != {"weight"} or empty.rows:
            raise problem(["inner"], kind, _TABLE, "its loss is not a likelihood alone")
        return self

    @field_serializer("inner")
    def _named(self, inner: Method) -> dict[str, object]:
        return named(inner)

    @property
    def rows(self) -> Shape:
        return self.inner.rows

    @property
    def pushes_down(self) -> bool:
        return self.inner.pushes_down

    def needs(self) -> Needs:
        return self.inner.needs()

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        held = [row for row in window.rows if row.columns.get(ANCHOR)]
        batch, memory = self.inner.batch(_without_anchor(window), memory, rng)
        batch = replace(batch, scalars={**batch.scalars, "anchors": float(len(held))})
        if not held or not batch.steps:
            return batch, memory
        return self._joined(batch, likelihood_batch(held, 1, len(held), rng, {}), len(held)), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        totals = dict(self.inner.loss(out, batch))
        if ANCHOR in batch.tokens:
            # The same likelihood, of the other rows: each row has a weight in one of the two columns alone.
            held = replace(batch, tokens={"weight": batch.tokens[ANCHOR]})
            totals[ANCHOR] = self.inner.loss(out, held)["nll"]
        return totals

    def _joined(self, batch: Batch, beside: Batch, count: int) -> Batch:
        """One batch: every step of the inner method, and with each its share of the anchor's rows."""
        first = int(max(batch.row_S.max(initial=-1), max(int(s.max()) for s in batch.steps))) + 1
        own_T, held_T = batch.tokens["weight"], beside.tokens["weight"]
        parts = _dealt(count, len(batch.steps))
        tokens_R = np.bincount(beside.row_S, weights=beside.lengths_S(), minlength=count)
        steps = [np.concatenate([s, first + p]) for s, p in zip(batch.steps, parts, strict=True)]
        counts = [
            {**c, ANCHOR: float(tokens_R[part].sum())} for c, part in zip(batch.counts, parts, strict=True)
        ]
        return replace(
            batch,
            sequences=(*batch.sequences, *beside.sequences),
            row_S=np.concatenate([batch.row_S, first + beside.row_S]),
            steps=tuple(steps),
            counts=tuple(counts),
            weights={**batch.weights, ANCHOR: self.weight},
            tokens={
                "weight": np.concatenate([own_T, np.zeros_like(held_T)]),
                ANCHOR: np.concatenate([np.zeros_like(own_T), held_T]),
            },
        )


def _dealt(count: int, steps: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Which anchor rows go with each step: all of them dealt out, and at least one with each.

    >>> [part.tolist() for part in _dealt(5, 2)], [part.tolist() for part in _dealt(1, 2)]
    ([[0, 2, 4], [1, 3]], [[0], [0]])
    """
    if count < steps:
        return [np.array([k % count], dtype=np.int64) for k in range(steps)]
    return [np.arange(k, count, steps, dtype=np.int64) for k in range(steps)]


def _without_anchor(window: Window) -> Window:
    """The window as the inner method sees it; what was measured goes by sequences."""
    kept_S = [not row.columns.get(ANCHOR) for row in window.rows for e in row.episodes for _ in e.sequences()]
    return replace(
        window,
        rows=tuple(_plain(row) for row in window.rows if not row.columns.get(ANCHOR)),
        measured={name: _of(column, kept_S) for name, column in window.measured.items()},
    )


def _of(column: Sequence[Floats], kept_S: Sequence[bool]) -> tuple[Floats, ...]:
    return tuple(one for one, kept in zip(column, kept_S, strict=True) if kept)


def _plain(row: Row) -> Row:
    return replace(row, columns={name: value for name, value in row.columns.items() if name != ANCHOR})
