"""Tables on their way from answers to an optimizer step: Group, Text, Columns, Row, Window, Batch.

These are working data, not Records: they are rebuilt from records, and a Batch is saved in checkpoints only.
Axis suffixes: ``_R`` rows, ``_S`` sequences, ``_T`` answer tokens of all sequences, one after another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.records.texts import Episode, Prompt, Response
from accord.records.texts import Sequence as Masked

__all__ = ["Batch", "Columns", "Floats", "Group", "Row", "Text", "Window"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Group(NamedTuple):
    """One prompt and answers to it."""

    prompt: Prompt
    responses: tuple[Response, ...]


class Text(NamedTuple):
    """One answer in its place: what a Sampler scores."""

    prompt: Prompt
    response: Response


@dataclass(frozen=True)
class Columns:
    """Verdicts as numbers, one row per answer or pair. ``missing`` rows have no number, not a zero.

    Where groups of raters are counted apart, an answer has a row for each: ``groups`` are their names, and
    the column ``group`` says which one a row is of, from 0.
    """

    members: tuple[tuple[str, ...], ...]
    values: Mapping[str, Floats]
    missing: NDArray[np.bool_]
    parents: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...] = ()

    @property
    def group_R(self) -> Ints:
        """Of each row the group of raters, 0 where they are not counted apart."""
        return self.values["group"].astype(np.int64) if self.groups else np.zeros(len(self.members), np.int64)


@dataclass(frozen=True)
class Row:
    """An episode, or a pair of episodes with one first prompt, and what was said of it."""

    episodes: tuple[Episode, ...]
    columns: Mapping[str, float] = field(default_factory=dict[str, float])
    missing: bool = False
    group: int = 0
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """The rows of one batch. ``measured[name][s]`` holds one number per answer token of sequence s."""

    index: int
    rows: tuple[Row, ...]
    measured: Mapping[str, tuple[Floats, ...]] = field(default_factory=dict[str, tuple[Floats, ...]])

    def column(self, name: str) -> Floats:
        """One number per row; NaN where the row is missing."""
        return np.array([np.nan if r.missing else r.columns[name] for r in self.rows], dtype=np.float64)


@dataclass(frozen=True)
class Batch:
    """What a Method decided about a window: sequences, columns, and the rows of each optimizer step.

    ``counts[k][term]`` is the denominator of that term in step k over all ranks, known before the first
    backward pass; so objective = Σ weight · total / count, however the rows are split.
    ``parents``: episodes that a figure of ``scalars`` counts, so that they are found again.
    """

    sequences: tuple[Masked, ...]
    row_S: Ints
    steps: tuple[Ints, ...]
    counts: tuple[Mapping[str, float], ...]
    weights: Mapping[str, float]
    rows: Mapping[str, Floats] = field(default_factory=dict[str, Floats])
    tokens: Mapping[str, Floats] = field(default_factory=dict[str, Floats])
    scalars: Mapping[str, float] = field(default_factory=dict[str, float])
    parents: tuple[str, ...] = ()

    def lengths_S(self) -> Ints:
        """Answer tokens of each sequence."""
        return np.array([sum(s.answer) for s in self.sequences], dtype=np.int64)

    def take(self, rows: Sequence[int] | Ints) -> Batch:
        """The same batch with these rows only, in this order. Counts stay those of the whole."""
        rows = np.asarray(rows, dtype=np.int64)
        if len(np.unique(rows)) != len(rows):
            raise ValueError(f"a row is taken once, got {rows.tolist()}")
        lengths = self.lengths_S()
        starts: Ints = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        chosen = [int(s) for r in rows for s in np.flatnonzero(self.row_S == r)]
        spans: list[Ints] = [np.arange(starts[s], starts[s + 1], dtype=np.int64) for s in chosen]
        index_T: Ints = np.concatenate(spans) if spans else np.zeros(0, dtype=np.int64)
        place = {int(r): i for i, r in enumerate(rows)}
        return replace(
            self,
            sequences=tuple(self.sequences[s] for s in chosen),
            row_S=np.array([place[int(self.row_S[s])] for s in chosen], dtype=np.int64),
            rows={name: column[rows] for name, column in self.rows.items()},
            tokens={name: column[index_T] for name, column in self.tokens.items()},
        )
