"""Batches that several methods build: which sequences, in which steps, over which counts (pure numpy)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from accord.records.rows import Batch, Row

__all__ = ["likelihood_batch"]


def likelihood_batch(
    rows: list[Row], epochs: int, rows_per_step: int, rng: np.random.Generator, scalars: Mapping[str, float]
) -> Batch:
    """Rows to raise, in a seeded order for each epoch; the last step of an epoch may be smaller.

    Column ``weight`` (default 1) multiplies a row's tokens. Counts hold tokens, so weights do not cancel.

    >>> from accord.records import Episode
    >>> row = Row((Episode(prompt="p", responses=("r",), prompt_tokens=((1,),), tokens=((2, 3),)),))
    >>> b = likelihood_batch([row, row, row], 2, 2, np.random.default_rng(0), {})
    >>> [len(s) for s in b.steps], b.counts[0]  # two steps an epoch; two rows of two answer tokens
    ([2, 1, 2, 1], {'nll': 4.0})
    """
    parts = [(r, s) for r, row in enumerate(rows) for e in row.episodes for s in e.sequences()]
    sequences = tuple(s for _, s in parts)
    row_S = np.array([r for r, _ in parts], dtype=np.int64)
    lengths = [sum(s.answer) for s in sequences]
    weight_S: list[float] = [rows[int(r)].columns.get("weight", 1.0) for r in row_S]
    tokens_R = np.bincount(row_S, weights=lengths, minlength=len(rows)) if rows else np.zeros(0)
    steps: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    for _ in range(epochs):
        order = rng.permutation(len(rows)).astype(np.int64)
        steps += [order[i : i + rows_per_step] for i in range(0, len(rows), rows_per_step)]
    return Batch(
        sequences=sequences,
        row_S=row_S,
        steps=tuple(steps),
        counts=tuple({"nll": float(tokens_R[step].sum())} for step in steps),
        weights={"nll": 1.0},
        tokens={"weight": np.repeat(np.array(weight_S, dtype=np.float64), lengths)},
        scalars=scalars,
    )
