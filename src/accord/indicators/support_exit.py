"""Support exit: how many of the policy's tokens lie outside what the base would have said.

    share = #{tokens of the answers outside the smallest set of probability .95 under π₀} / #{tokens}

and the change is the same share of the base's own answers, taken off: about .05 by construction at
temperature 1. A figure of pressure, reported and never judged: leaving π₀'s support may be for the better.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from accord.indicators import Fresh, Sides, against_base, silent, told_by_base
from accord.maths.pressure import support_exit
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import NotMeasured, Reading

__all__ = ["SupportExit"]


class SupportExit(Fresh, Part):
    """The share of sampled tokens outside the base's top-p .95, against the base's own share."""

    name: ClassVar[str] = "support_exit"
    wants: ClassVar[frozenset[str]] = frozenset({"support"})  # only the base is asked for its support
    times: ClassVar[int] = 2  # as for ``base_rank``, and in the same pass

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured when the base cannot tell, cuts text otherwise, or too few prompts have tokens."""
        told = await told_by_base(look, base, draw, "support")
        if isinstance(told, str):
            return silent(self, look, told)
        ours_P = [1 - np.concatenate(inside_S) for inside_S in told.ours_P]
        base_P = [1 - np.concatenate(inside_S) for inside_S in told.base_P]
        outcomes = [support_exit(1 - tokens_T) or 0.0 for tokens_T in ours_P]
        sides = Sides(
            told.pairs, ours_P, base_P, outcomes, ruler=told.tokenizer, unit="share of tokens", cost=told.cost
        )
        return against_base(self, look, draw, sides)
