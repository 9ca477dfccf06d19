"""Template collapse: how much an answer still depends on what was asked (I(X;Z) as RAGEN v2 reads it).

    I(X;Z) = mean_i [log π(z_i|x_i) − log (1/N) Σ_j π(z_i|x_j)],   N prompts x of a batch, z_i ∼ π(·|x_i)

At most ln N, where each answer fits its own prompt alone; 0 where any answer would do for any prompt, which a
policy may reach with its entropy unharmed. The change is the same of the base's answers under the base.

Deliberate differences from the reference:

1. On the first answer to each of the first ``batch`` probes, the same at every audit, not on training groups.
2. Only every ``every``-th audit, the base's included, for it reads batch² texts of either model; at the
   others it is not measured, and says so.
3. One outcome for the batch, 1 − I/ln N clipped to [0, 1]: the terms of a batch share their mean. The
   interval is over prompts, as if the batch's marginal were known.
4. Prompts under different ``allowed`` tokens cannot lend each other answers: not measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.indicators import (
    Fresh,
    Pair,
    Sides,
    against_base,
    cut_apart,
    passes,
    score,
    silent,
    spoken,
    texts,
    transplanted,
    unable,
)
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, NotMeasured, Reading, digest
from accord.records.rows import Floats, Group, Text

__all__ = ["TemplateCollapse", "information"]


def information(logp_ZX: Floats) -> Floats:
    """Each answer's term; row i holds log π(z_i|x_j), its own prompt on the diagonal.

    Probabilities of .9 under the own prompt and .1 under the other: ln(.9/.5).

    >>> information(np.log([[0.9, 0.1], [0.1, 0.9]])).round(4).tolist()
    [0.5878, 0.5878]
    """
    return np.diag(logp_ZX) - (np.logaddexp.reduce(logp_ZX, axis=1) - math.log(len(logp_ZX)))


class TemplateCollapse(Fresh, Part):
    """The mutual information of prompts and answers, against the base's own."""

    name: ClassVar[str] = "template_collapse"
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})

    batch: int = Field(default=16, ge=2)
    every: int = Field(default=4, ge=1)

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:  # noqa: ARG002 - one answer to each
        """An audit's share of what every ``every``-th takes; none where there are too few probes."""
        calls = 2 * self.batch**2 // self.every if probes >= self.batch else 0
        return Cost(calls=calls, tokens_in=calls * tokens)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured between its audits, without log-probabilities, and with fewer probes than a batch."""
        if draw.audit % self.every:
            reason = f"read at every {self.every}th audit, and this is audit {draw.audit}"
            return silent(self, look, reason)
        if why := unable("logp", policy=look.policy, base=base):
            return silent(self, look, why)
        pairs = [Pair(_first(two.ours), _first(two.base)) for two in spoken(look, draw)[: self.batch]]
        if len(pairs) < self.batch:
            reason = f"{len(pairs)} probes have answers with tokens; a batch has {self.batch}"
            return silent(self, look, reason)
        if len({two.ours.prompt.allowed for two in pairs}) > 1:
            return silent(self, look, "the probes allow different tokens, so answers cannot be swapped")
        ours = _swapped(texts(*(two.ours for two in pairs)))
        theirs = _swapped(texts(*(two.base for two in pairs)))
        mine, yours = await score(look.policy, ours, "logp"), await score(base, theirs, "logp")
        if why := cut_apart(mine.tokenizer, yours.tokenizer):
            return silent(self, look, why)
        ours_P, base_P = (information(_sums(one.tokens_S, self.batch)) for one in (mine, yours))
        clipped = float(np.clip(ours_P.mean() / math.log(self.batch), 0, 1))
        sides = Sides(
            pairs,
            ours_P=[*ours_P.reshape(-1, 1)],
            base_P=[*base_P.reshape(-1, 1)],
            items=[digest([two.ours.prompt.id for two in pairs])],
            outcomes=[1 - clipped],
            ruler=mine.tokenizer,
            unit="nats/answer",
            cost=passes(ours, theirs),
        )
        return against_base(self, look, draw, sides)


def _first(group: Group) -> Group:
    """With its first answer that has tokens alone."""
    return Group(group.prompt, (texts(group)[0].response,))


def _swapped(said: Sequence[Text]) -> list[Text]:
    """Every answer under every prompt, answer by answer."""
    return [transplanted(one, other.prompt, other.response.prompt_tokens) for one in said for other in said]


def _sums(tokens_S: Sequence[Floats], size: int) -> Floats:
    return np.array([tokens_T.sum() for tokens_T in tokens_S]).reshape(size, size)
