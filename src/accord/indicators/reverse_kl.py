"""Reverse KL: how far the policy has moved from the base, in nats per answer (2203.02155).

    KL(π‖π₀) = E_{y∼π} Σ_t [log π(y_t|y_<t) − log π₀(y_t|y_<t)], estimated on fresh answers of the policy

Deliberate differences from the reference:

1. Per answer, not per token: an answer twice as long that moves as much per token has cost twice as much.
2. k1, not k3: unbiased for whole answers without a condition on π, and additive. Single probes may be
   negative; so may the estimate, when the policy has hardly moved.
3. Both models are read at the temperature the answers were drawn at, and answers end at the token limit: it
   is the KL of that way of answering. A token that ends an answer counts where the Sampler scores it.
4. Answers without a token tell nothing and are left out (counting them as 0 would call a policy that has
   fallen silent unchanged); with fewer than two prompts left it is not measured.
5. The outcome of a prompt is its KL / ``cap``, clipped to [0, 1]: at the default, 1 means 10 nats, the upper
   end of what preference training commonly spends. The value and its interval are not clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.errors import ContractError
from accord.indicators import (
    Fresh,
    Scores,
    Tier,
    by_probe,
    cut_apart,
    few,
    generator,
    instrument,
    pair,
    passes,
    score,
    silent,
    texts,
    unable,
)
from accord.maths.divergences import k1, totals
from accord.maths.intervals import cluster_mean
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import NotMeasured, Reading
from accord.records.rows import Floats

__all__ = ["ReverseKL", "nats_per_answer"]


def nats_per_answer(ours_S: Sequence[Floats], base_S: Sequence[Floats]) -> Floats:
    """Σ_t k1 of each answer, from the log-probabilities of its tokens under the policy and the base.

    Two tokens of probability ½ that the base gave ¼ and ½: ln 2 + 0.

    >>> logs = np.log([0.5, 0.5]), np.log([0.25, 0.5])
    >>> nats_per_answer([logs[0]], [logs[1]]).round(4).tolist()
    [0.6931]
    """
    lengths_S = np.array([answer_T.size for answer_T in ours_S], dtype=np.int64)
    return totals(k1(np.concatenate(ours_S), np.concatenate(base_S)), lengths_S)


class ReverseKL(Fresh, Part):
    """KL from the policy to the base, nats per answer; the base's own is 0, so the change is the value."""

    name: ClassVar[str] = "reverse_kl"
    tier: ClassVar[Tier] = "warning"
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})
    times: ClassVar[int] = 2  # policy and base each read the policy's answers

    cap: float = Field(default=10.0, gt=0)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured without log-probabilities of both, one tokenizer, and two prompts that have tokens."""
        pairs = [two for two in pair(look, draw) if texts(two.ours)]
        if why := unable("logp", policy=look.policy, base=base) or few(pairs):
            return silent(self, look, why)
        groups = [two.ours for two in pairs]
        said = texts(*groups)
        ours, theirs = await score(look.policy, said, "logp"), await score(base, said, "logp")
        if why := cut_apart(ours.tokenizer, theirs.tokenizer):
            return silent(self, look, why)
        nats_P = [np.array(nats_G) for nats_G in by_probe(_nats(look.policy, ours, theirs), groups)]
        kl = cluster_mean(nats_P, generator(look, draw, self.name))
        return Reading(
            run=look.run,
            name=self.name,
            step=look.step,
            instrument=instrument(self, look, ours.tokenizer),
            value=kl.value,
            low=kl.low,
            high=kl.high,
            base=0.0,
            change=kl.value,
            change_low=kl.low,
            change_high=kl.high,
            unit="nats/answer",
            n=len(pairs),
            items=tuple(two.ours.prompt.id for two in pairs),
            outcomes=tuple(float(np.clip(nats_G.mean() / self.cap, 0, 1)) for nats_G in nats_P),
            cost=passes(said, said),
            parents=tuple(text.response.id for text in said),
        )


def _nats(policy: Sampler, ours: Scores, theirs: Scores) -> list[float]:
    """Nats of each answer; ContractError where one tokenizer gave the two models different tokens."""
    lengths = [(a.size, b.size) for a, b in zip(ours.tokens_S, theirs.tokens_S, strict=True)]
    if uneven := [both for both in lengths if both[0] != both[1]]:
        raise ContractError(
            policy.policy,
            "samplers of one tokenizer score the same tokens of an answer",
            f"{len(uneven)} answers differ, the first with {uneven[0][0]} tokens against {uneven[0][1]}",
        )
    return nats_per_answer(ours.tokens_S, theirs.tokens_S).tolist()
