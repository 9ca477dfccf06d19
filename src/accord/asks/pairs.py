"""Compare answers two by two: Compare → ``p``, the share that prefers the first; one row per pair.

Answers of a prompt are paired in order (1 with 2, 3 with 4, …); an odd one is left over. ``weight`` is the
number of votes. ``distribution``: p = (votes for + ½ ties) / votes; ``majority``: p ∈ {0, ½, 1}. A pair that
nobody judged is missing, never a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from accord.part import Part
from accord.ports import Columns
from accord.records import Instrument, Judgment, Kind, Question, Ranked, Spread
from accord.records.rows import Group

__all__ = ["Pairs"]


class Pairs(Part):
    """One Compare question per pair of answers."""

    column: Literal["p"]
    collapse: Literal["distribution", "majority"]
    wording: str = ""

    def questions(self, groups: Sequence[Group]) -> list[Question]:
        instrument = Instrument(wording=self.wording)
        return [
            Question(
                asks=Kind.COMPARE,
                prompt=group.prompt.id,
                responses=(first.id, second.id),
                instrument=instrument,
                parents=(group.prompt.id, first.id, second.id),
            )
            for group in groups
            for first, second in zip(group.responses[::2], group.responses[1::2], strict=False)
        ]

    def columns(self, groups: Sequence[Group], judgments: Sequence[Judgment]) -> Columns:
        questions = self.questions(groups)
        first = {q.id: q.responses[0] for q in questions}
        votes: dict[str, list[tuple[float, str]]] = {}
        for judgment in judgments:
            p = _preference(judgment, first[judgment.question]) if judgment.question in first else None
            if p is not None:
                votes.setdefault(judgment.question, []).append((p, judgment.id))
        cast = [votes.get(q.id, []) for q in questions]
        p_R = np.array([float(np.mean([p for p, _ in c])) if c else np.nan for c in cast], dtype=np.float64)
        if self.collapse == "majority":
            p_R = np.where(np.isnan(p_R), np.nan, (np.sign(p_R - 0.5) + 1) / 2)
        return Columns(
            members=tuple(q.responses for q in questions),
            values={self.column: p_R, "weight": np.array([float(len(c)) for c in cast], dtype=np.float64)},
            missing=np.isnan(p_R),
            parents=tuple(tuple(j for _, j in c) for c in cast),
        )


def _preference(judgment: Judgment, first: str) -> float | None:
    """The vote for the question's first answer in [0, 1], in whatever order the overseer listed them."""
    match judgment.verdict:
        case Ranked(tiers=tiers):
            if len(tiers) == 1:
                return 0.5
            return 1.0 if first in tiers[0] else 0.0
        case Spread(p=p):
            return p[first]
        case _:
            return None
