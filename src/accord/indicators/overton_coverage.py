"""Overton coverage: the share of the base's ways of answering that the policy still meets (2406.17692).

    #{clusters of base answers of mass ≥ .05 of which one answer has a sentence within ``cut`` of the medoid}
    ───────────────────────────────────────────────────────────────────────────────────────────────────────
                            #{clusters of base answers of mass ≥ .05}

A policy that says several things at once loses raw diversity and keeps this.

Deliberate differences from the reference:

1. It asks judges for the views an answer takes; here clusters stand for them: average linkage over 1 −
   Jaccard of word pairs, within one prompt. Another wording of the same view is another cluster, so that the
   figure is low for base and policy alike; only the change says anything.
2. Clusters come from the first half of the base's answers. Its second half and the same places of the
   policy's answers are held against them: so the base has a figure of its own, and a twin has the same.
3. ``cut`` is a first guess, not the 95 % quantile over paraphrases, of which no panel is shipped: texts that
   share a tenth of their word pairs are one way of saying it.
4. A whole answer counts as one of its sentences. Prompts on which the base said nothing in its first half
   are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.indicators import Pair, Said, Sides, uneven
from accord.maths.coverage import clusters, covered
from accord.maths.diversity import WORDS
from accord.part import Part
from accord.records.rows import Group

__all__ = ["OvertonCoverage", "met"]


def met(base_G: Sequence[str], ours_G: Sequence[str], cut: float, mass: float) -> float | None:
    """The share of the clusters of one group that some answer of another meets; None without a cluster.

    Two clusters of the base, one of which is met.

    >>> met(["it is good", "no idea at all"], ["Well. it is good"], cut=0.5, mass=0.05)
    0.5
    """
    said = [text for text in base_G if text.strip()]
    found = [one for one in clusters(said, cut) if len(one.members) >= mass * len(said)]
    if not found:
        return None
    return float(covered(ours_G, [said[one.medoid] for one in found], cut).mean())


class OvertonCoverage(Said, Part):
    """The share of clusters of base answers that the policy's answers meet, against the base's other half."""

    name: ClassVar[str] = "overton_coverage"

    cut: float = Field(default=0.9, gt=0, lt=1)
    mass: float = Field(default=0.05, ge=0, lt=1)

    async def compared(self, pairs: Sequence[Pair]) -> Sides | str:
        """None unless two probes have two answers or more each, as many as from the base."""
        if why := uneven(pairs, "halves need 2"):
            return why
        known = [(two, share) for two in pairs if (share := self._shares(two)) is not None]
        if len(known) < 2:
            return f"the base said something in its first half to {len(known)} probes; an interval needs 2"
        return Sides(
            pairs=[two for two, _ in known],
            ours_P=[np.array([ours]) for _, (ours, _) in known],
            base_P=[np.array([theirs]) for _, (_, theirs) in known],
            outcomes=[1 - ours for _, (ours, _) in known],
            ruler=WORDS,
            unit="share of clusters",
        )

    def _shares(self, two: Pair) -> tuple[float, float] | None:
        half = len(two.base.responses) // 2
        first, rest = _texts(two.base)[:half], slice(half, None)
        ours, theirs = (met(first, _texts(group)[rest], self.cut, self.mass) for group in two)
        return None if ours is None or theirs is None else (ours, theirs)


def _texts(group: Group) -> list[str]:
    return [response.text for response in group.responses]
