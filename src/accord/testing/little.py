"""Little worlds: all answers can be listed, so expectations are sums and optima are known.

A ``Little`` holds P prompts with the same A answers, the logits of π_ref in each of C contexts (what was said
before) over V tokens, and a reward for each answer. ``Tables`` is what is trained in it: logits of the policy
and, for methods that read them, scores by answer and head, values by context, and scores of each token said
in a context. All arrays are float64.
Axes: ``_P`` prompts, ``_A`` answers, ``_C`` contexts, ``_V`` tokens, ``_K`` heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord.records import Episode, Prompt, Response
from accord.records.rows import Floats

__all__ = ["Little", "Tables", "bandit", "strings"]

Ints = NDArray[np.int64]


class Tables(NamedTuple):
    """What is trained: logits of the policy, scores of a reward model, values of a critic; and what a model
    that judges steps says of each token, in its context."""

    logits_PCV: Floats
    scores_PAK: Floats
    values_PC: Floats
    steps_PCVK: Floats

    @property
    def largest(self) -> float:
        """The largest entry in absolute value; of a gradient."""
        return max(float(np.abs(part).max(initial=0.0)) for part in self)


@dataclass(frozen=True, eq=False)
class Little:
    """``answers``: the tokens of each. ``reference_PCV``: logits of π_ref, −∞ for what cannot be said."""

    answers: tuple[tuple[int, ...], ...]
    reference_PCV: Floats
    reward_PA: Floats

    @cached_property
    def contexts(self) -> tuple[tuple[int, ...], ...]:
        """All that can stand before a token, shortest first."""
        before = {answer[:t] for answer in self.answers for t in range(len(answer))}
        return tuple(sorted(before, key=lambda context: (len(context), context)))

    @cached_property
    def places(self) -> tuple[tuple[Ints, Ints], ...]:
        """For each answer the contexts it goes through and the tokens it chooses there."""
        index = {context: c for c, context in enumerate(self.contexts)}
        return tuple(
            (np.array([index[a[:t]] for t in range(len(a))], np.int64), np.array(a, np.int64))
            for a in self.answers
        )

    @cached_property
    def known(self) -> dict[tuple[int, ...], tuple[int, int]]:
        """Prompt and answer by the tokens of the two together."""
        places = product(range(self.prompts), range(len(self.answers)))
        return {self.episode(p, a).sequences()[0].tokens: (p, a) for p, a in places}

    @property
    def prompts(self) -> int:
        return self.reward_PA.shape[0]

    def start(self, heads: int = 0) -> Tables:
        """π_ref itself; scores and values of 0."""
        shape = self.reference_PCV.shape
        scores, steps = np.zeros((*self.reward_PA.shape, heads)), np.zeros((*shape, heads))
        return Tables(self.reference_PCV.copy(), scores, np.zeros(shape[:2]), steps)

    def logp_PCV(self, tables: Tables) -> Floats:
        """log π of each token in each context."""
        return _log_softmax(tables.logits_PCV)

    def tokens_logp(self, tables: Tables) -> list[list[Floats]]:
        """log π of the tokens of each answer to each prompt."""
        logp = self.logp_PCV(tables)
        return [[logp[p][at] for at in self.places] for p in range(self.prompts)]

    def tokens_support(self, tables: Tables) -> list[list[Floats]]:
        """1 where a token of an answer lies in the smallest set of probability .95 of its context, else 0."""
        p = np.exp(self.logp_PCV(tables))
        over_PCV = np.where(p[..., None, :] > p[..., :, None], p[..., None, :], 0.0).sum(axis=-1)
        inside = (over_PCV < 0.95).astype(np.float64)
        return [[inside[prompt][at] for at in self.places] for prompt in range(self.prompts)]

    def shares(self, tables: Tables) -> Floats:
        """π(y|x), one row per prompt."""
        return np.exp(np.array([[of.sum() for of in row] for row in self.tokens_logp(tables)]))

    def mass(self, share_PA: Floats) -> Floats:
        """How probable it is to come through each context and choose each token there."""
        found = np.zeros(self.reference_PCV.shape)
        for share_P, (at, token) in zip(share_PA.T, self.places, strict=True):
            found[:, at, token] += share_P[:, None]
        return found

    def tables(self, share_PA: Floats) -> Tables:
        """The policy with these shares of answers (all over 0), each row normalised."""
        mass = self.mass(share_PA)
        with np.errstate(divide="ignore"):
            logits = np.log(mass / mass.sum(axis=2, keepdims=True))
        return self.start()._replace(logits_PCV=logits)

    def values(self, beta: float) -> Floats:
        """β log Z of each prefix: the value of each context under the optimum, one row per prompt."""
        share = self.shares(self.start())
        gain, mass = (self.mass(s).sum(axis=2) for s in (share * np.exp(self.reward_PA / beta), share))
        return beta * np.log(gain / mass)

    def episode(self, prompt: int, answer: int, index: int = 0) -> Episode:
        """Draw ``index`` of an answer to a prompt."""
        return _episode(prompt, self.answers[answer], index)

    def stepped(self, prompt: int, answer: int, labels: Sequence[float | None]) -> Episode:
        """The same answer with each of its tokens as a turn of its own, and what is said of each."""
        whole = self.episode(prompt, answer)
        asked, said = whole.prompt_tokens[0], whole.tokens[0]
        return Episode(
            prompt=whole.prompt,
            responses=tuple(f"{whole.responses[0]}/{k}" for k in range(len(said))),
            prompt_tokens=tuple((*asked, *said[:k]) for k in range(len(said))),
            tokens=tuple((token,) for token in said),
            rewards=tuple(labels),
        )


def bandit(seed: int = 0, *, arms: int = 4, prompts: int = 1) -> Little:
    """One token, an arm, and it is over: random π_ref and r.

    >>> bandit().contexts, len(bandit().answers)
    (((),), 4)
    """
    return _world([(arm,) for arm in range(arms)], seed, prompts)


def strings(seed: int = 0, *, bits: int = 3, prompts: int = 1) -> Little:
    """All strings of up to ``bits`` bits (tokens 1 and 2), each ended by token 0: random π_ref and r.

    After the last bit only the end can follow: it has probability 1, and counts as a token like any other.

    >>> len(strings().answers), len(strings().contexts), strings().answers[:2]
    (15, 15, ((0,), (1, 0)))
    """
    said = [s for length in range(bits + 1) for s in product((1, 2), repeat=length)]
    return _world([(*s, 0) for s in said], seed, prompts)


def _world(answers: Sequence[tuple[int, ...]], seed: int, prompts: int) -> Little:
    rng = np.random.default_rng(seed)
    width = 1 + max(max(answer) for answer in answers)
    rewards = rng.normal(size=(prompts, len(answers)))
    bare = Little(tuple(answers), np.zeros((prompts, 1, width)), rewards)
    possible = np.zeros((len(bare.contexts), width), dtype=np.bool_)
    for at, token in bare.places:
        possible[at, token] = True
    logits = np.where(possible, rng.normal(size=(prompts, *possible.shape)), -np.inf)
    return Little(tuple(answers), logits, rewards)


def _log_softmax(logits: Floats) -> Floats:
    top = logits.max(axis=-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=-1, keepdims=True))


@cache
def _episode(prompt: int, tokens: tuple[int, ...], index: int) -> Episode:
    asked = Prompt.of(f"prompt {prompt}")
    said = Response(
        prompt=asked.id,
        text=" ".join(map(str, tokens)),
        prompt_tokens=(1000 + prompt,),
        tokens=tokens,
        policy="little",
        index=index,
    )
    return Episode.single(said)
