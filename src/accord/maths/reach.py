"""How near the rows of a batch are to π₀: tokens beyond its nucleus, nats from it (pure numpy).

What π₀ finds of a sequence hangs on the sequence alone, and how far the policy has come hangs on what it was
asked. So rows of a batch are found again in the window they came from by their sequences, whichever of them
a method left out, and in whatever order it put them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.maths.divergences import k1
from accord.maths.pairs import answer_S
from accord.maths.rollouts import Spoken
from accord.records.rows import Batch, Floats, Window
from accord.records.texts import Sequence as Masked

__all__ = [
    "Asked",
    "Bools",
    "Kind",
    "Push",
    "asked",
    "distant",
    "episodes_in",
    "opening_R",
    "outside",
    "preferred_S",
]

Bools = NDArray[np.bool_]
Kind = Literal["advantage", "weight", "pairs"]
# Tokens that stood before an answer, those that it may hold, its temperature.
Asked = tuple[tuple[int, ...], tuple[int, ...] | None, float]


class Push(NamedTuple):
    """How a batch pushes: over 0 up, under 0 down; by answer token or by row, each with its row.

    By the column ``advantage`` or ``weight``; of ``pairs`` every row raises its preferred answer.
    """

    value_X: Floats
    row_X: NDArray[np.int64]
    rows: int

    @classmethod
    def of(cls, batch: Batch, kind: Kind) -> Push:
        rows = len(np.unique(batch.row_S))
        if kind in batch.tokens:
            return cls(batch.tokens[kind], np.repeat(batch.row_S, batch.lengths_S()), rows)
        value_R = np.ones(rows) if kind == "pairs" else batch.rows[kind]
        return cls(value_R, np.arange(rows, dtype=np.int64), rows)

    def rows_with(self, which_X: Bools) -> Bools:
        """Rows with any of these."""
        return np.bincount(self.row_X[which_X], minlength=self.rows) > 0


def asked(sequence: Masked) -> Asked:
    """What the policy was asked, up to where it began to answer.

    >>> asked(Masked((1, 2, 5, 3, 6), (False, False, True, False, True)))
    ((1, 2), None, 1.0)
    """
    begins = sequence.answer.index(True) if any(sequence.answer) else len(sequence.tokens)
    return sequence.tokens[:begins], sequence.allowed, sequence.temperature


def opening_R(batch: Batch) -> list[Asked]:
    """What each row of the batch was asked first."""
    first_R = np.unique(batch.row_S, return_index=True)[1].astype(np.int64)
    return [asked(batch.sequences[int(s)]) for s in first_R]


def preferred_S(batch: Batch) -> Bools:
    """Of pairs, which sequences belong to the preferred answer: the first where p is ½ or more."""
    second_R = (batch.rows["p"] < 0.5).astype(np.int64)
    return answer_S(batch) == 2 * batch.row_S + second_R[batch.row_S]


def outside(window: Window, batch: Batch, looked_S: Bools) -> Floats:
    """Of each row the share of answer tokens beyond π₀'s nucleus, in the sequences that are looked at.

    ``window`` was measured with the column ``support``. A row that says nothing has a share of 0.
    """
    spoken = Spoken.of(window)
    support_S = zip(spoken.sequences, window.measured["support"], strict=True)
    beyond = {sequence: float((support == 0).sum()) for sequence, support in support_S}
    rows, row_S = len(np.unique(batch.row_S)), batch.row_S[looked_S]
    beyond_S = np.array([beyond[s] for s in batch.sequences], dtype=np.float64)[looked_S]
    tokens_R = np.bincount(row_S, weights=batch.lengths_S()[looked_S], minlength=rows)
    return np.bincount(row_S, weights=beyond_S, minlength=rows) / np.maximum(tokens_R, 1)


def distant(window: Window, nats: float) -> frozenset[Asked]:
    """The prompts on which the answers came further than ``nats`` from π₀, by the mean of Σ log π_old/π₀.

    ``window`` was measured with the columns ``old_logp`` and ``base_logp``.
    """
    spoken, found = Spoken.of(window), dict[Asked, list[float]]()
    old_T, base_T = (spoken.measured_T(window, name) for name in ("old_logp", "base_logp"))
    apart_R = spoken.sum_R(k1(old_T, base_T)).tolist()
    for row, apart in zip(window.rows, apart_R, strict=True):
        opening = asked(row.episodes[0].sequences()[0])
        found.setdefault(opening, []).append(apart / len(row.episodes))
    return frozenset(opening for opening, apart in found.items() if sum(apart) / len(apart) > nats)


def episodes_in(window: Window, batch: Batch, chosen_S: Bools) -> tuple[str, ...]:
    """The ids of the episodes that hold these sequences of the batch, all of those that say the same."""
    chosen = dict.fromkeys(batch.sequences[s] for s in np.flatnonzero(chosen_S))
    episodes = (episode for row in window.rows for episode in row.episodes)
    found = (episode for episode in episodes if not chosen.keys().isdisjoint(episode.sequences()))
    return tuple(dict.fromkeys(episode.id for episode in found))
