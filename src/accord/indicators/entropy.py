"""Entropy: how open the policy still is about its next token, against the base (2505.22617).

    H = mean over tokens of fresh answers of −Σ_v π(v|y_<t) log π(v|y_<t),   nats per token

and the change is the same mean over the base's own answers to the same prompts, taken off. What reward was
bought with it, R = −a·e^H + b, needs rewards and stands with the rule ``entropy_price`` (``accord.signs``).

Deliberate differences from the reference:

1. On answers to the guard's probes at the temperature they were drawn at, not on the training batch.
2. Prompts without a token on either side are left out of both; with fewer than two left it is not measured.
3. The outcome of a prompt is the share of the base's entropy on it that is gone, clipped to [0, 1]; 0 where
   the base has none.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from accord.indicators import (
    Fresh,
    Sides,
    Tier,
    against_base,
    by_probe,
    cut_apart,
    few,
    passes,
    score,
    silent,
    spoken,
    texts,
    unable,
)
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import NotMeasured, Reading
from accord.records.rows import Floats

__all__ = ["Entropy", "lost"]


def lost(ours_T: Floats, base_T: Floats) -> float:
    """The share of the base's mean entropy that is gone: 1 nat where there were 4 is three quarters.

    >>> lost(np.array([0.5, 1.5]), np.array([4.0])), lost(np.array([2.0]), np.array([1.0]))
    (0.75, 0.0)
    """
    before = float(base_T.mean())
    return float(np.clip(1 - ours_T.mean() / before, 0, 1)) if before > 0 else 0.0


class Entropy(Fresh, Part):
    """Entropy of the next token on the policy's answers, against the base's on its own."""

    name: ClassVar[str] = "entropy"
    tier: ClassVar[Tier] = "warning"
    wants: ClassVar[frozenset[str]] = frozenset({"entropy"})
    times: ClassVar[int] = 2  # each reads its own answers; the base's are read once and kept

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured without the entropies of both, one tokenizer, and two probes that have tokens."""
        pairs = spoken(look, draw)
        if why := unable("entropy", policy=look.policy, base=base) or few(pairs):
            return silent(self, look, why)
        mine, yours = [two.ours for two in pairs], [two.base for two in pairs]
        ours, theirs = texts(*mine), texts(*yours)
        now, before = await score(look.policy, ours, "entropy"), await score(base, theirs, "entropy")
        if why := cut_apart(now.tokenizer, before.tokenizer):
            return silent(self, look, why)
        ours_P = [np.concatenate(tokens_S) for tokens_S in by_probe(now.tokens_S, mine)]
        base_P = [np.concatenate(tokens_S) for tokens_S in by_probe(before.tokens_S, yours)]
        sides = Sides(
            pairs,
            ours_P,
            base_P,
            outcomes=[lost(*both) for both in zip(ours_P, base_P, strict=True)],
            ruler=now.tokenizer,
            unit="nats/token",
            cost=passes(ours, theirs),
        )
        return against_base(self, look, draw, sides)
