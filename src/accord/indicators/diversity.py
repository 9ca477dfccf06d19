"""Per-input diversity: how much several answers to one prompt differ (EAD: 2202.13587; in RLHF: 2310.06452).

    EAD = mean over n = 1…5 of distinct n-grams / (V · (1 − ((V−1)/V)^n-grams)),   V = 50,257

of the group of answers to a prompt, and the mean over prompts; the change is taken prompt by prompt from the
base's answers to the same prompts.

Deliberate differences from the reference:

1. On words (``maths.diversity.words``), not on GPT-2's tokens: no such tokenizer ships. The word rule is part
   of the instrument, so readings of the two are never compared.
2. Groups of as many answers as the live audit draws, not 16 × 100. Equal answers still leave EAD at about one
   over their number: a collapse of two answers loses at most half, of four three quarters. A rule that waits
   for a loss of half needs three answers or more.
3. A group in which nothing was said has diversity 0; n-grams longer than all answers are left out.
4. The outcome of a prompt is 1 − EAD, clipped to [0, 1]; the value is not clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from accord.indicators import Pair, Said, Sides, Tier, few, uneven
from accord.maths.diversity import WORDS, ead, words
from accord.part import Part
from accord.records.rows import Floats, Group

__all__ = ["Diversity", "spread"]


def spread(texts_G: list[str]) -> float:
    """EAD of the words of one group's answers.

    "yes" and "no" are two words of two; two uniform draws from V give V(1 − (1 − 1/V)²) = 2 − 1/V different
    ones. "yes" twice is one of two.

    >>> round(spread(["yes", "no"]), 3), round(spread(["yes", "yes"]), 3)
    (1.0, 0.5)
    """
    return ead([words(text) for text in texts_G])


class Diversity(Said, Part):
    """EAD of the answers to each probe, on words, and its change from the base's answers."""

    name: ClassVar[str] = "diversity"
    tier: ClassVar[Tier] = "warning"

    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """None unless two probes or more have two answers or more each, as many as from the base."""
        if why := few(pairs, "") or uneven(pairs, "diversity needs 2"):
            return why
        ours_P, base_P = [_spread(two.ours) for two in pairs], [_spread(two.base) for two in pairs]
        outcomes = [float(np.clip(1 - value.item(), 0, 1)) for value in ours_P]
        return Sides(pairs, ours_P, base_P, outcomes, ruler=WORDS, unit="EAD on words")


def _spread(group: Group) -> Floats:
    return np.array([spread([response.text for response in group.responses])])
