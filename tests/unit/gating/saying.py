"""A base whose answers are a function of the question and of chance, and which notes all that it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from accord.ports import How, Sampler, Scored
from accord.progress import Progress
from accord.records import Prompt, Response
from accord.records.rows import Group, Text

Says = Callable[[Prompt, np.random.Generator], str]


@dataclass
class Base:
    """An engine with one model. ``likes(text)``: the log-probability of a whole answer. At the prompt
    ``stops_at`` it raises, as a machine that is switched off."""

    says: Says
    likes: Callable[[str], float] = lambda text: -len(text.split()) - sum(map(ord, text)) % 17 / 4
    policy: str = "base"
    stops_at: int = -1
    can: frozenset[str] = frozenset({"sample", "logp"})
    asked: list[str] = field(default_factory=list)

    def check(self, model: str) -> None:
        """Every name is this model's."""

    def learner(self, model: str, task: object) -> object:
        raise AssertionError("a gate trains nothing")

    def sampler(self, model: str, progress: Progress) -> Sampler:
        del model, progress
        return _Sampler(self)

    def environment(self) -> dict[str, str]:
        return {}


@dataclass
class _Sampler:
    base: Base

    @property
    def can(self) -> frozenset[str]:
        return self.base.can

    @property
    def policy(self) -> str:
        return self.base.policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        tokens = tuple(_number(word) for word in (*text.split(), "end"))
        told = {"prompt": prompt.id, "text": text, "tokens": tokens, "prompt_tokens": (1,)}
        return Response.model_validate({**told, "finish": "data", "tokenizer": "words"})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        for prompt in prompts:
            if len(self.base.asked) == self.base.stops_at:
                raise RuntimeError("switched off")
            self.base.asked.append(prompt.text)
        return [Group(p, tuple(self._drawn(p, i, how) for i in range(n))) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        found: list[Scored] = []
        for _, response in texts:
            size = len(response.tokens)
            found.append(
                Scored(dict.fromkeys(want, np.full(size, self.base.likes(response.text) / size)), "words")
            )
        return found

    def _drawn(self, prompt: Prompt, index: int, how: How) -> Response:
        seed = hashlib.sha256(f"{how.key}/{prompt.id}/{index}".encode()).hexdigest()[:32]
        text = self.base.says(prompt, np.random.default_rng(int(seed, 16)))
        told = self.encode(prompt, text).model_dump()
        return Response.model_validate(
            {**told, "policy": self.policy, "seed": seed, "index": index, "finish": "stop"}
        )


def _number(word: str) -> int:
    return int(hashlib.sha256(word.encode()).hexdigest()[:6], 16)
