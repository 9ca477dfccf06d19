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

from typing import Literal

import numpy as np

from accord.indicators import evidence, generator, instrument, pair
from accord.maths.diversity import WORDS, ead, words
from accord.maths.intervals import cluster_mean, paired_difference
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, NotMeasured, Reading
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


class Diversity(Part):
    """EAD of the answers to each probe, on words, and its change from the base's answers."""

    @property
    def name(self) -> str:
        return "diversity"

    @property
    def tier(self) -> Literal["page", "warning", "report"]:
        return "warning"

    @property
    def wants(self) -> frozenset[str]:
        return frozenset()

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:  # noqa: ARG002 - the port's signature
        """Nothing beyond the answers themselves: no text is scored."""
        return Cost()

    async def read(
        self,
        look: Look,
        base: Sampler,  # noqa: ARG002 - the base speaks through its answers
        draw: Draw,
    ) -> Reading | NotMeasured:
        """NotMeasured unless two probes or more have two answers or more each, as many as from the base."""
        pairs = pair(look, draw)
        if len(pairs) < 2:
            return self._silent(look, f"{len(pairs)} probes; an interval needs 2")
        sizes = {len(group.responses) for two in pairs for group in two}
        if len(sizes) > 1:
            return self._silent(look, f"groups of {min(sizes)} to {max(sizes)} answers have no common scale")
        if min(sizes) < 2:
            return self._silent(look, f"{min(sizes)} answers to each probe; diversity needs 2")
        ours_P, base_P = [_spread(two.ours) for two in pairs], [_spread(two.base) for two in pairs]
        rng = generator(look, draw, self.name)
        ours, change = cluster_mean(ours_P, rng), paired_difference(ours_P, base_P, rng)
        return Reading(
            run=look.run,
            name=self.name,
            step=look.step,
            instrument=instrument(self, look, WORDS),
            value=ours.value,
            low=ours.low,
            high=ours.high,
            base=float(np.mean(base_P)),
            change=change.value,
            change_low=change.low,
            change_high=change.high,
            unit="EAD on words",
            n=len(pairs),
            items=tuple(two.ours.prompt.id for two in pairs),
            outcomes=tuple(float(np.clip(1 - value.item(), 0, 1)) for value in ours_P),
            parents=evidence(pairs),
        )

    def _silent(self, look: Look, reason: str) -> NotMeasured:
        return NotMeasured(run=look.run, name=self.name, step=look.step, reason=reason)


def _spread(group: Group) -> Floats:
    return np.array([spread([response.text for response in group.responses])])
