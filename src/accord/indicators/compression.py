"""Compression: how much of a group of answers is new, as zlib sees it (2403.00553).

    bytes of the zlib stream of a group's answers / bytes of the answers

and the mean over prompts, against the base's groups cut to the same sizes. Lower is more alike: what zlib
finds twice, in one answer or in two, it does not write twice. It sees long repeats that EAD counts once each.

Deliberate differences from the reference:

1. It gives bytes per byte of the stream (higher is more repetitive); here the inverse, so that a loss of half
   means what it means for ``diversity``.
2. Longer texts compress better, so the i-th longest answer of either side is cut to the length of the
   shorter of the two: both groups then hold as many characters. What is cut away is not read.
3. Live groups are small. The stream's own bytes (8 or more) weigh on short groups, and equal answers still
   leave about one over their number: a rule that waits for a loss of half needs three answers or more.
4. Probes whose cut groups hold no character are left out; with fewer than two left it is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from accord.indicators import Pair, Said, Sides, Tier, few, uneven
from accord.maths.diversity import zlib_ratio
from accord.part import Part

__all__ = ["Compression", "cut_alike"]

_RULER = "zlib level 9 on UTF-8"


def cut_alike(ours_G: Sequence[str], base_G: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both groups, longest first, each answer cut to the shorter one in its place.

    >>> cut_alike(["abc", "abcdef"], ["uvwxy", "uvwxyz"])
    (['abcdef', 'abc'], ['uvwxyz', 'uvw'])
    """
    mine, yours = (sorted(texts, key=len, reverse=True) for texts in (ours_G, base_G))
    lengths = [min(len(a), len(b)) for a, b in zip(mine, yours, strict=True)]
    cut = [[text[:n] for text, n in zip(side, lengths, strict=True)] for side in (mine, yours)]
    return cut[0], cut[1]


class Compression(Said, Part):
    """What zlib leaves of the answers to each probe, and its change from the base's answers."""

    name: ClassVar[str] = "compression"
    tier: ClassVar[Tier] = "warning"

    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """None unless two probes have two answers or more each, as many as the base, not all empty."""
        if why := uneven(pairs, "likeness needs 2"):
            return why
        cut = [(two, cut_alike(*_said(two))) for two in pairs]
        spoken = [(two, sides) for two, sides in cut if any(sides[0])]
        if why := few(spoken, "have answers on both sides"):
            return why
        ours_P, base_P = ([np.array([1 / zlib_ratio(sides[k])]) for _, sides in spoken] for k in (0, 1))
        outcomes = [float(np.clip(1 - value.item(), 0, 1)) for value in ours_P]
        kept = [two for two, _ in spoken]
        return Sides(kept, ours_P, base_P, outcomes, ruler=_RULER, unit="compressed bytes per byte")


def _said(two: Pair) -> tuple[list[str], list[str]]:
    return [r.text for r in two.ours.responses], [r.text for r in two.base.responses]
