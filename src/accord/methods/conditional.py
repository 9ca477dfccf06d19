"""Conditional training: say in the prompt how good an answer is, and learn all answers as sft (2302.08582).

The band of a row is that of its score among the scores of the window; the band's mark stands before what the
system message says, except in a share ``unmarked`` of the rows.
loss = −Σ log π(answer | mark, prompt) / answer tokens.
Behind mark q it reaches π_ref(y)·P(q|y)/P(q); without a mark it stays π_ref: what is good is asked for in
words, and nothing is pushed down.
Deliberate differences from the paper:
1. answers are the policy's own, drawn without a mark and marked afterwards; the paper marks a corpus;
2. a band is a quantile of the window, not a score over a fixed threshold, so marks mean "for this policy, on
   these prompts"; equal scores share a band, and scores that are all equal have none: their rows leave;
3. a mark is text of the chat, not a new token: whoever writes the system message can ask for it;
4. which rows stay unmarked is drawn before their scores are looked at, so that they are a fair sample of π.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from accord.errors import PlanError
from accord.maths.batches import likelihood_batch
from accord.maths.rollouts import column_of
from accord.part import Part
from accord.ports import Memory, Needs, Out, Shape
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Conditional", "bands", "opened"]

_UNMARKED = -1.0


def bands(score_R: Floats, count: int) -> NDArray[np.int64]:
    """The band of each score, 0 the lowest of ``count``; −1 without a score, and where all scores are equal.

    A score stands in the middle of those that equal it, and on a border it belongs above. Of four scores in
    three bands, 0 stands at ⅛, each of the 1s at ½, and 5 at ⅞.

    >>> bands(np.array([0.0, 1.0, 1.0, np.nan, 5.0]), 3).tolist(), bands(np.array([2.0, 2.0]), 3).tolist()
    ([0, 1, 1, -1, 2], [-1, -1])
    """
    known_R = ~np.isnan(score_R)
    ordered = np.sort(score_R[known_R])
    below_R, upto_R = (np.searchsorted(ordered, score_R, side=side) for side in ("left", "right"))
    # In whole numbers: a border is met exactly, whatever is divided.
    band_R = count * (below_R + upto_R) // max(1, 2 * ordered.size)
    differ = bool(ordered.size and ordered[0] < ordered[-1])
    return np.where(known_R & differ, band_R, -1).astype(np.int64)


def opened(episode: Episode, prompt: tuple[int, ...]) -> Episode:
    """The episode as if its first prompt had been this one, in every turn; what was answered stays.

    PlanError where a turn does not go on from the first prompt, so that a mark has no place in it.

    >>> turns = {"prompt_tokens": ((1, 2), (1, 2, 5, 3)), "tokens": ((5,), (6,))}
    >>> opened(Episode(prompt="q", responses=("a", "b"), **turns), (9, 2)).prompt_tokens
    ((9, 2), (9, 2, 5, 3))
    """
    first = episode.prompt_tokens[0]
    if any(turn[: len(first)] != first for turn in episode.prompt_tokens):
        advice = f"a turn of episode {episode.id[:12]} begins otherwise, so its mark has no place"
        raise PlanError("method", "conditional", "episodes whose turns go on from their first prompt", advice)
    turns = tuple(prompt + turn[len(first) :] for turn in episode.prompt_tokens)
    return episode.model_copy(update={"prompt_tokens": turns})


class Conditional(Part):
    """Learn every answer behind a mark that says how good it was. ``marks``: the worst first."""

    marks: tuple[str, ...] = Field(default=("Quality: low", "Quality: middle", "Quality: high"), min_length=2)
    unmarked: float = Field(default=0.1, ge=0, lt=1)
    n: int = Field(default=8, ge=1)
    epochs: int = Field(default=1, ge=1)
    rows_per_step: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _marks_can_be_told_apart(self) -> Self:
        if len({mark.strip() for mark in self.marks} - {""}) < len(self.marks):
            raise ValueError("marks are texts, no two of them alike")
        return self

    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n, "policy")

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs()

    def marked(
        self, window: Window, rendered: Callable[[str, str], tuple[int, ...]], rng: np.random.Generator
    ) -> Window:
        """Column ``band``: 0 and up, −1 without a mark, NaN where a row has no band and leaves."""
        found_R = bands(column_of(window, "score"), len(self.marks))
        plain_R = rng.random(len(found_R)) < self.unmarked
        band_R = np.where(plain_R, _UNMARKED, np.where(found_R < 0, np.nan, found_R))
        once = cache(rendered)

        def written(row: Row, band: float) -> Row:
            episodes = row.episodes
            if band >= 0 and not row.missing:
                mark = self.marks[int(band)]
                episodes = tuple(opened(e, once(e.prompt, mark)) for e in episodes)
            return replace(row, episodes=episodes, columns={**row.columns, "band": band})

        rows = zip(window.rows, band_R.tolist(), strict=True)
        return replace(window, rows=tuple(written(row, band) for row, band in rows))

    def batch(self, window: Window, memory: Memory, rng: np.random.Generator) -> tuple[Batch, Memory]:
        score_R = column_of(window, "score")
        # A window that was not marked, as in an estimate, is one without marks.
        band_R = np.array([row.columns.get("band", _UNMARKED) for row in window.rows], dtype=np.float64)
        known_R = ~np.isnan(score_R)
        stays_R = known_R & ~np.isnan(band_R)
        scalars = {
            "rows": float(len(score_R)),
            "missing": float((~known_R).sum()),
            "without_band": float((known_R & ~stays_R).sum()),
            "unmarked": float((stays_R & (band_R == _UNMARKED)).sum()),
            "score": _mean(score_R[known_R]),
            "score_lowest": _mean(score_R[stays_R & (band_R == 0)]),
            "score_highest": _mean(score_R[stays_R & (band_R == len(self.marks) - 1)]),
        }
        rows = [window.rows[r] for r in np.flatnonzero(stays_R)]
        return likelihood_batch(rows, self.epochs, self.rows_per_step, rng, scalars), memory

    def loss(self, out: Out, batch: Batch) -> Mapping[str, Tensor]:
        from accord.maths.tensor.likelihood import nll_total

        return {"nll": nll_total(out.logp_T, batch.tokens["weight"])}


def _mean(value_R: Floats) -> float:
    return float(value_R.mean()) if value_R.size else float("nan")
