"""Base-rank shift: how often the policy says what the base would hardly have said (2312.01552).

    share = #{tokens of the answers that are not among the base's ``beyond`` most probable} / #{tokens}

and the change is the same share of the base's own answers to the same prompts, taken off.

Deliberate differences from the reference:

1. It marks tokens of greedy answers of an aligned model (4.8–7.8 % shifted); here tokens are sampled at the
   answers' temperature, which raises the level. So the change counts, not the level.
2. The paper counts ranks from 1 and calls those above 3 shifted; a Sampler counts from 0, so the test is
   ``rank ≥ beyond``.
3. Stylistic tokens are not told apart from content.
4. Prompts without a token on either side are left out of both; with fewer than two left it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.indicators import Fresh, Sides, Tier, against_base, silent, told_by_base
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import NotMeasured, Reading
from accord.records.rows import Floats

__all__ = ["BaseRank", "exits"]


def exits(ranks_S: Sequence[Floats], beyond: int) -> Floats:
    """1 for each token of a prompt's answers whose rank (from 0) is ``beyond`` or more, else 0.

    The third choice of the base (rank 2) is among its three; the fourth (rank 3) is not.

    >>> exits([np.array([0.0, 2.0]), np.array([3.0])], beyond=3).tolist()
    [0.0, 0.0, 1.0]
    """
    return (np.concatenate(ranks_S) >= beyond).astype(np.float64)


class BaseRank(Fresh, Part):
    """The share of sampled tokens beyond the base's most probable ones, against the base's own share."""

    name: ClassVar[str] = "base_rank"
    tier: ClassVar[Tier] = "warning"
    wants: ClassVar[frozenset[str]] = frozenset({"rank"})  # only the base is asked for ranks
    times: ClassVar[int] = 2  # the base reads the policy's answers and its own

    beyond: int = Field(default=3, ge=1)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured when the base cannot rank, cuts text otherwise, or too few prompts have tokens."""
        told = await told_by_base(look, base, draw, "rank")
        if isinstance(told, str):
            return silent(self, look, told)
        ours_P = [exits(ranks_S, self.beyond) for ranks_S in told.ours_P]
        base_P = [exits(ranks_S, self.beyond) for ranks_S in told.base_P]
        outcomes = [float(tokens_T.mean()) for tokens_T in ours_P]
        sides = Sides(
            told.pairs, ours_P, base_P, outcomes, ruler=told.tokenizer, unit="share of tokens", cost=told.cost
        )
        return against_base(self, look, draw, sides)
