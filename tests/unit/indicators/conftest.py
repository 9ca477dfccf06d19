"""A sampler whose every number a test can work out: words are tokens, a table gives their probabilities."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from accord.ports import Draw, Indicator, Look, Scored
from accord.records import NotMeasured, Prompt, Reading, Response
from accord.records.rows import Group, Text

WORDS = "abcdefgh"


class Table(NamedTuple):
    """Draws nothing; scores each word of an answer by the same table, whatever came before it."""

    p: Mapping[str, float]
    policy: str = "base"
    can: frozenset[str] = frozenset({"sample", "logp", "rank"})
    tokenizer: str = "letters"
    asked: list[frozenset[str]] = []

    async def score(self, said: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        assert want <= self.can
        self.asked.append(want)
        return [Scored({name: self._column(text, name) for name in want}, self.tokenizer) for text in said]

    def _column(self, text: Text, name: str) -> np.ndarray:
        words = [WORDS[token] for token in text.response.tokens]
        if name == "logp":
            return np.array([math.log(self.p[word]) for word in words])
        return np.array([float(sum(q > self.p[word] for q in self.p.values())) for word in words])


def table(policy: str = "base", **changes: object) -> Table:
    """Probabilities 1/2, 1/4, … of the letters a, b, …, unless told otherwise."""
    p = {word: 2.0 ** -(i + 1) for i, word in enumerate(WORDS)}
    return Table(p=p, policy=policy, asked=[])._replace(**changes)


def groups(*answers: Sequence[str], policy: str = "base") -> tuple[Group, ...]:
    """One probe for each argument, which lists the answers to it."""
    made: list[Group] = []
    for i, texts in enumerate(answers):
        prompt = Prompt.of(f"probe {i}")
        said = (
            Response(
                prompt=prompt.id,
                text=text,
                prompt_tokens=(0,) * 10,
                tokens=tuple(WORDS.index(word) for word in text.split()),
                policy=policy,
                index=k,
                tokenizer="letters",
            )
            for k, text in enumerate(texts)
        )
        made.append(Group(prompt, tuple(said)))
    return tuple(made)


Read = Callable[..., Reading | NotMeasured]


@pytest.fixture
def tables() -> Callable[..., Table]:
    return table


@pytest.fixture
def read() -> Read:
    """Read once: what the policy said and what the base said, and, where it matters, the two samplers."""

    def once(
        indicator: Indicator,
        ours: Sequence[Sequence[str]],
        base: Sequence[Sequence[str]],
        policy: Table | None = None,
        pi_0: Table | None = None,
    ) -> Reading | NotMeasured:
        look = Look("run", 40, (), groups(*ours, policy="policy"), policy or table("policy"))
        return asyncio.run(indicator.read(look, pi_0 or table(), Draw(2, groups(*base))))

    return once
