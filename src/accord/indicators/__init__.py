"""Indicators: numbers with intervals, relative to the base. They measure and never decide (layer 2).

One file each; ``base_rank.py`` is the example to follow. Here, beside this map, stands what every indicator
that reads probes does before and after its own arithmetic: pair the groups, ask a sampler for one column,
name the instrument, derive the generator. Not here: tolerances (``accord.rules``), the arithmetic of
intervals (``accord.maths``), which probes are drawn and what happens when an indicator raises (the guard).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from accord.errors import ContractError
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, digest
from accord.records.rows import Floats, Group, Text

__all__ = ["Pair", "Scores", "evidence", "generator", "instrument", "pair", "passes", "score", "texts"]


class Pair(NamedTuple):
    """The policy's and the base's answers to one probe."""

    ours: Group
    base: Group


class Scores(NamedTuple):
    """One column of one sampler: an array per text, over its tokens, and the tokenizer that cut them."""

    tokens_S: list[Floats]
    tokenizer: str


def pair(look: Look, draw: Draw) -> list[Pair]:
    """Every probe with both its groups, in order. ContractError where the prompts are not the same."""
    ours = [group.prompt.id for group in look.groups]
    base = [group.prompt.id for group in draw.base_groups]
    if ours != base:
        differ = sum(a != b for a, b in zip(ours, base, strict=False)) + abs(len(ours) - len(base))
        raise ContractError(
            "the guard",
            "Draw.base_groups holds the base's answers to the prompts of Look.groups, in the same order",
            f"{len(ours)} probes of the policy, {len(base)} of the base, {differ} of them different",
        )
    return [Pair(*both) for both in zip(look.groups, draw.base_groups, strict=True)]


def texts(group: Group) -> list[Text]:
    """The answers of a group that have tokens, each with its prompt."""
    return [Text(group.prompt, response) for response in group.responses if response.tokens]


async def score(sampler: Sampler, said: Sequence[Text], want: str) -> Scores:
    """What ``sampler`` says of each token of ``said``. ContractError for anything but finite numbers."""
    scored = await sampler.score(said, frozenset({want}))
    promise = f"score gives one finite {want} per token of each text, cut by one tokenizer"
    if len(scored) != len(said):
        raise ContractError(sampler.policy, promise, f"{len(scored)} results for {len(said)} texts")
    tokens_S = [one.columns[want] for one in scored]
    if bad := sum(not np.isfinite(tokens_T).all() for tokens_T in tokens_S):
        raise ContractError(sampler.policy, promise, f"{bad} of {len(said)} texts hold NaN or infinity")
    tokenizers = {one.tokenizer for one in scored}
    if len(tokenizers) > 1:
        raise ContractError(sampler.policy, promise, f"{len(tokenizers)} tokenizers in one call")
    return Scores(tokens_S, tokenizers.pop() if tokenizers else "")


def instrument(part: Part, look: Look, ruler: str) -> str:
    """The hash of what makes readings comparable: settings, ruler, panel and how the answers were drawn.

    ``ruler`` is what cuts the answers into units: a tokenizer's digest or the name of a word rule.
    """
    answers = [response for group in look.groups for response in group.responses]
    return digest(
        {
            "form": "live",
            "config": part.config,
            "ruler": ruler,
            "panel": digest(sorted(group.prompt.id for group in look.groups)),
            "answers": sorted({len(group.responses) for group in look.groups}),
            "temperatures": sorted({response.temperature for response in answers}),
            "templates": sorted({response.template for response in answers}),
        }
    )


def generator(look: Look, draw: Draw, name: str) -> np.random.Generator:
    """Chance for the interval: from (run, audit, indicator) and nothing that a resume could lose."""
    return np.random.default_rng(int(digest([look.run, draw.audit, name]), 16))


def evidence(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The ids of the answers that a reading rests on, each once."""
    both = (group for two in pairs for group in two)
    return tuple(dict.fromkeys(response.id for group in both for response in group.responses))


def passes(*batches: Sequence[Text]) -> Cost:
    """What scoring these texts took: one forward pass each, over prompt and answer."""
    said = [response for batch in batches for _, response in batch]
    return Cost(calls=len(said), tokens_in=sum(len(r.prompt_tokens) + len(r.tokens) for r in said))
