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
from typing import Literal

import numpy as np
from pydantic import Field

from accord.indicators import evidence, generator, instrument, pair, passes, score, texts
from accord.maths.intervals import cluster_mean, paired_difference
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, NotMeasured, Reading
from accord.records.rows import Floats

__all__ = ["BaseRank", "exits"]


def exits(ranks_S: Sequence[Floats], beyond: int) -> Floats:
    """1 for each token of a prompt's answers whose rank (from 0) is ``beyond`` or more, else 0.

    The third choice of the base (rank 2) is among its three; the fourth (rank 3) is not.

    >>> exits([np.array([0.0, 2.0]), np.array([3.0])], beyond=3).tolist()
    [0.0, 0.0, 1.0]
    """
    return (np.concatenate(ranks_S) >= beyond).astype(np.float64)


class BaseRank(Part):
    """The share of sampled tokens beyond the base's most probable ones, against the base's own share."""

    beyond: int = Field(default=3, ge=1)

    @property
    def name(self) -> str:
        return "base_rank"

    @property
    def tier(self) -> Literal["page", "warning", "report"]:
        return "warning"

    @property
    def wants(self) -> frozenset[str]:
        """Only the base is asked for ranks."""
        return frozenset({"rank"})

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:
        """The base reads the policy's answers and its own; ``tokens`` counts a prompt with its answer."""
        return Cost(calls=2 * probes * answers, tokens_in=2 * probes * answers * tokens)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured when the base cannot rank, cuts text otherwise, or too few prompts have tokens."""
        pairs = [two for two in pair(look, draw) if texts(two.ours) and texts(two.base)]
        if "rank" not in base.can:
            return self._silent(look, f"the base {base.policy} gives no ranks")
        if len(pairs) < 2:
            return self._silent(look, f"{len(pairs)} probes have answers with tokens; an interval needs 2")
        ours = [text for two in pairs for text in texts(two.ours)]
        theirs = [text for two in pairs for text in texts(two.base)]
        scored = await score(base, [*ours, *theirs], "rank")
        if {text.response.tokenizer for text in ours} != {scored.tokenizer}:
            return self._silent(look, "policy and base cut text with different tokenizers")
        rest = iter(scored.tokens_S)
        ours_P = [exits([next(rest) for _ in texts(two.ours)], self.beyond) for two in pairs]
        base_P = [exits([next(rest) for _ in texts(two.base)], self.beyond) for two in pairs]
        rng = generator(look, draw, self.name)
        share, change = cluster_mean(ours_P, rng), paired_difference(ours_P, base_P, rng)
        return Reading(
            run=look.run,
            name=self.name,
            step=look.step,
            instrument=instrument(self, look, scored.tokenizer),
            value=share.value,
            low=share.low,
            high=share.high,
            base=float(np.concatenate(base_P).mean()),
            change=change.value,
            change_low=change.low,
            change_high=change.high,
            unit="share of tokens",
            n=len(pairs),
            items=tuple(two.ours.prompt.id for two in pairs),
            outcomes=tuple(float(tokens_T.mean()) for tokens_T in ours_P),
            cost=passes(ours, theirs),
            parents=evidence(pairs),
        )

    def _silent(self, look: Look, reason: str) -> NotMeasured:
        return NotMeasured(run=look.run, name=self.name, step=look.step, reason=reason)
