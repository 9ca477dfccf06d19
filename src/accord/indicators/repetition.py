"""Repetition: how much of an answer stood in it before, as where a reward can be gamed (2401.10020).

    share = 1 − #{different runs of 4 words} / #{runs of 4 words} of an answer

and the mean over answers, against the base's answers to the same prompts. The gaming surface's other figures
need verdicts, which probes have not; they are read off each window (``accord.maths.surface``) and judged by
the rule ``gaming``. Deliberate differences:

1. Words are those of ``maths.diversity``, so that models of other tokenizers can be compared.
2. Answers of fewer than 4 words have no run and are left out; with fewer than two probes left on both sides
   it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.indicators import Pair, Said, Sides, few
from accord.maths.diversity import WORDS, words
from accord.maths.surface import repeated
from accord.part import Part
from accord.records.rows import Floats, Group

__all__ = ["Repetition"]


class Repetition(Said, Part):
    """The share of runs of words that repeat within an answer, against the base's own."""

    name: ClassVar[str] = "repetition"

    n: int = Field(default=4, ge=1)

    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """None unless two probes have an answer of ``n`` words on both sides."""
        found = [(two, self._shares(two.ours), self._shares(two.base)) for two in pairs]
        known = [one for one in found if one[1].size and one[2].size]
        if why := few(known, f"have answers of {self.n} words"):
            return why
        return Sides(
            pairs=[two for two, _, _ in known],
            ours_P=[ours for _, ours, _ in known],
            base_P=[theirs for _, _, theirs in known],
            outcomes=[float(ours.mean()) for _, ours, _ in known],
            ruler=WORDS,
            unit="share of runs",
        )

    def _shares(self, group: Group) -> Floats:
        shares = [repeated(words(response.text), self.n) for response in group.responses]
        return np.array([share for share in shares if share is not None], dtype=np.float64)
