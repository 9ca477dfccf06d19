"""Compatibility C: how much of what training did, asking does too.

    C = Σ [log π₀(y|c,x) − log π₀(y|x)] / Σ [log π(y|x) − log π₀(y|x)],   y ∼ π(·|x)
      = 1 − KL(π‖π₀(·|c)) / KL(π‖π₀)

c is what the policy is to be aligned to, put as an instruction. 1: training did what asking does; 0: asking
explains nothing of it; below: it moved away from that. Report only, and without a tolerance.

1. The instruction stands before what the system message says; it is the base that reads it, never the policy.
2. Sums run over all answers, tokens as the policy said them; the interval is over prompts. Two hundred are
   wanted for a figure to go by: ``n`` says how many there were.
3. Undefined under .5 nat per answer, and where the prompts cannot tell the distance from 0: not measured,
   with that as the reason. So it is at the base itself; there is no change to it, and no outcome in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from accord.indicators import (
    Fresh,
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
    transplanted,
    unable,
)
from accord.maths.pressure import compatibility
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Message, NotMeasured, Prompt, Reading
from accord.records.rows import Floats, Group

__all__ = ["Compatibility", "instructed"]


def instructed(prompt: Prompt, instruction: str) -> Prompt:
    """The conversation with the instruction before what its system message says.

    >>> [m.content for m in instructed(Prompt.of("Why?"), "Be brief.").messages]
    ['Be brief.', 'Why?']
    """
    told = [m.content for m in prompt.messages[:1] if m.role == "system"]
    first = Message(role="system", content="\n".join([instruction, *told]))
    return prompt.model_copy(update={"messages": (first, *prompt.messages[len(told) :]), "begun": None})


class Compatibility(Fresh, Part):
    """C of the policy's answers to the probes, under ``instruction``."""

    name: ClassVar[str] = "compatibility"
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})
    times: ClassVar[int] = 3  # policy and base, in the pass of ``reverse_kl``; the base once more, instructed

    instruction: str = Field(min_length=1)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        """NotMeasured without log-probabilities of both, one tokenizer, two prompts, or where undefined."""
        if why := unable("logp", policy=look.policy, base=base):
            return silent(self, look, why)
        pairs = [two for two in pair(look, draw) if texts(two.ours)]
        if why := few(pairs):
            return silent(self, look, why)
        prompts = [instructed(two.ours.prompt, self.instruction) for two in pairs]
        opened = [base.encode(prompt, "").prompt_tokens for prompt in prompts]
        groups = [two.ours for two in pairs]
        said = texts(*groups)
        asked = [
            transplanted(text, prompt, tokens)
            for group, prompt, tokens in zip(groups, prompts, opened, strict=True)
            for text in texts(group)
        ]
        ours, plain = await score(look.policy, said, "logp"), await score(base, said, "logp")
        told = await score(base, asked, "logp")
        if why := cut_apart(ours.tokenizer, plain.tokenizer):
            return silent(self, look, why)
        ours_P, plain_P, told_P = (_sums(one.tokens_S, groups) for one in (ours, plain, told))
        rng = generator(look, draw, self.name)
        found = compatibility(told_P - plain_P, ours_P - plain_P, len(said), rng)
        if isinstance(found, str):
            return silent(self, look, found)
        return Reading(
            run=look.run,
            name=self.name,
            step=look.step,
            instrument=instrument(self, look, ours.tokenizer),
            value=found.value,
            low=found.low,
            high=found.high,
            unit="C",
            n=len(pairs),
            cost=passes(said, said, asked),
            parents=tuple(text.response.id for text in said),
        )


def _sums(tokens_S: Sequence[Floats], groups: Sequence[Group]) -> Floats:
    """Per prompt the sum over the tokens of its answers."""
    return np.array([sum(float(tokens_T.sum()) for tokens_T in said) for said in by_probe(tokens_S, groups)])
