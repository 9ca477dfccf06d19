"""Batches of pairs: which pairs can teach, in which steps, and which sequence belongs to which answer.

A row of such a batch is a pair; its answers are numbered 2·row (the first) and 2·row + 1. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from accord.errors import ContractError, PlanError
from accord.records.rows import Batch, Floats, Row, Window
from accord.records.texts import Episode

__all__ = ["Pairs", "answer_S", "last_RA", "pair_batch", "pairs_of", "tokens_A"]

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


class Pairs(NamedTuple):
    """The pairs of a window that can teach, what was measured of them, and how many left for which reason."""

    rows: tuple[Row, ...]
    measured: Mapping[str, tuple[Floats, ...]]
    scalars: Mapping[str, float]


def pairs_of(window: Window) -> Pairs:
    """Missing pairs leave, and those of two identical answers or with an empty one; all are counted.

    PlanError where a row has no ``p``; ContractError where it is no pair, or its numbers are not what they
    should be. A pair of equal preference stays: that raters disagree is data.
    """
    rows: list[Row] = []
    kept: list[int] = []
    left = {"missing": 0.0, "identical": 0.0, "empty": 0.0}
    place = 0
    for row in window.rows:
        size = sum(len(episode.sequences()) for episode in row.episodes)
        reason = _unfit(row)
        if reason is None:
            _checked(row)
            rows.append(row)
            kept += range(place, place + size)
        else:
            left[reason] += 1
        place += size
    measured = {name: tuple(column[s] for s in kept) for name, column in window.measured.items()}
    tied = float(sum(row.columns["p"] == 0.5 for row in rows))
    return Pairs(tuple(rows), measured, {"rows": float(len(window.rows)), **left, "tied": tied})


def pair_batch(
    pairs: Pairs,
    epochs: int,
    rows_per_step: int,
    rng: np.random.Generator,
    weights: Mapping[str, float],
    rows: Mapping[str, Floats] | None = None,
) -> Batch:
    """Pairs in a seeded order for each epoch; the last step of an epoch may be smaller.

    Every term of ``weights`` is divided by the number of pairs of its step. ``rows`` adds columns to ``p``
    and ``weight`` (default 1); what was measured becomes a column of ``tokens``.

    >>> yes, no = (Episode(prompt="q", responses=(r,), prompt_tokens=((1,),), tokens=((2,),)) for r in "yn")
    >>> row = Row((yes, no.model_copy(update={"tokens": ((3, 4),)})), {"p": 1.0})
    >>> b = pair_batch(pairs_of(Window(0, (row,) * 3)), 1, 2, np.random.default_rng(0), {"dpo": 1.0})
    >>> [len(s) for s in b.steps], b.counts, answer_S(b).tolist()
    ([2, 1], ({'dpo': 2.0}, {'dpo': 1.0}), [0, 1, 2, 3, 4, 5])
    """
    count = len(pairs.rows)
    parts = [(r, s) for r, row in enumerate(pairs.rows) for e in row.episodes for s in e.sequences()]
    steps: list[Ints] = []
    for _ in range(epochs):
        order = rng.permutation(count).astype(np.int64)
        steps += [order[i : i + rows_per_step] for i in range(0, count, rows_per_step)]
    columns = {
        "p": np.array([row.columns["p"] for row in pairs.rows], dtype=np.float64),
        "weight": np.array([row.columns.get("weight", 1.0) for row in pairs.rows], dtype=np.float64),
        "first": np.array([len(row.episodes[0].sequences()) for row in pairs.rows], dtype=np.float64),
    }
    return Batch(
        sequences=tuple(s for _, s in parts),
        row_S=np.array([r for r, _ in parts], dtype=np.int64),
        steps=tuple(steps),
        counts=tuple(dict.fromkeys(weights, float(len(step))) for step in steps),
        weights=dict(weights),
        rows=columns | dict(rows or {}),
        tokens={name: np.concatenate([np.zeros(0), *column]) for name, column in pairs.measured.items()},
        scalars=dict(pairs.scalars),
    )


def answer_S(batch: Batch) -> Ints:
    """The answer that each sequence belongs to: 2·row, and one more for the second of the pair."""
    start_R, _ = _spans(batch)
    place_S = np.arange(len(batch.row_S)) - start_R[batch.row_S]
    second_S = place_S >= batch.rows["first"][batch.row_S]
    return (2 * batch.row_S + second_S).astype(np.int64)


def last_RA(batch: Batch) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """The last sequence of each answer, where a reward model reads its score."""
    start_R, size_R = _spans(batch)
    first_R = batch.rows["first"].astype(np.int64)
    return np.stack([start_R + first_R - 1, start_R + size_R - 1], axis=1)


def tokens_A(batch: Batch) -> Floats:
    """How many tokens each answer has, over all its turns."""
    answers = 2 * len(batch.rows["first"])
    return np.bincount(answer_S(batch), weights=batch.lengths_S(), minlength=answers).astype(np.float64)


def _spans(batch: Batch) -> tuple[Ints, Ints]:
    """Where the sequences of each row begin, and how many they are: a row's sequences stand together."""
    size_R = np.bincount(batch.row_S, minlength=len(batch.rows["first"])).astype(np.int64)
    return np.cumsum(size_R) - size_R, size_R


def _unfit(row: Row) -> str | None:
    if len(row.episodes) != 2:
        promise = "the rows of a method that compares are pairs of answers"
        raise ContractError("the source", promise, f"a row of {len(row.episodes)}")
    if row.missing:
        return "missing"
    if _said(row.episodes[0]) == _said(row.episodes[1]):
        return "identical"
    return "empty" if any(not any(episode.tokens) for episode in row.episodes) else None


def _said(episode: Episode) -> tuple[object, object]:
    return episode.prompt_tokens, episode.tokens


def _checked(row: Row) -> None:
    if "p" not in row.columns:
        advice = 'give the stage an ask "pairs", or data with "chosen" and "rejected"'
        raise PlanError(
            "ask", sorted(row.columns), "a column p: the share that prefers the first answer", advice
        )
    p, weight = row.columns["p"], row.columns.get("weight", 1.0)
    if not 0 <= p <= 1:
        raise ContractError("the feedback", "p lies between 0 and 1 where it is not missing", f"{p}")
    if not 0 <= weight < float("inf"):
        raise ContractError("the feedback", "a weight is finite and not under 0", f"{weight}")
