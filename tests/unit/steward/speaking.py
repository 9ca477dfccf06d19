"""A model that keeps a principle as often as it is told to, by the question, and notes what it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from accord.ports import How, Sampler, Scored
from accord.progress import Progress
from accord.records import Prompt, Response
from accord.records.rows import Group, Text


@dataclass
class Speaker:
    """An engine with one model. ``shares``: by the last word of a question how often an answer keeps the
    principle, by itself and told.

    As a judge it sees which answer keeps it where it ``judges``, and else finds all options alike.
    At the call ``stops_at`` it raises, as a machine that is switched off.
    """

    shares: dict[str, tuple[float, float]]
    can: frozenset[str] = frozenset({"sample", "logp"})
    policy: str = "speaker"
    stops_at: int = -1
    judges: bool = False
    asked: list[str] = field(default_factory=list[str])

    def check(self, model: str) -> None:
        """Every name is this model's."""

    def sampler(self, model: str, progress: Progress) -> Sampler:
        del model, progress
        return _Sampler(self)

    def note(self, what: str) -> None:
        if len(self.asked) == self.stops_at:
            raise RuntimeError("switched off")
        self.asked.append(what)


@dataclass
class _Sampler:
    engine: Speaker

    @property
    def can(self) -> frozenset[str]:
        return self.engine.can

    @property
    def policy(self) -> str:
        return self.engine.policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        tokens = tuple(map(_number, (*text.split(), "end")))
        told = {"prompt": prompt.id, "text": text, "tokens": tokens, "prompt_tokens": (1,)}
        return Response.model_validate({**told, "finish": "data", "tokenizer": "words"})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        if not how.key.startswith("pace"):
            for prompt in prompts:
                self.engine.note(f"{how.key} {n} {prompt.id}")
        return [Group(p, tuple(self._drawn(p, i, how) for i in range(n))) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        found: list[Scored] = []
        for prompt, response in texts:
            if "comes next" not in prompt.text:
                self.engine.note(f"score {prompt.id} {response.text}")
            level = -1.0 if response.text.startswith("kept") else -2.0
            if "Reply with" in prompt.text:
                size = len(response.tokens) or 2
                right = self.engine.judges and _chooses(prompt.text) == response.text
                found.append(Scored(dict.fromkeys(want, np.full(size, -0.05 if right else -1.5)), "words"))
                continue
            found.append(Scored(dict.fromkeys(want, np.full(len(response.tokens), level)), "words"))
        return found

    def _drawn(self, prompt: Prompt, index: int, how: How) -> Response:
        seed = hashlib.sha256(f"{how.key}/{prompt.id}/{index}".encode()).hexdigest()[:32]
        u = np.random.default_rng(int(seed, 16)).random()
        told = prompt.messages[0].role == "system"
        share = self.engine.shares.get(prompt.text.split()[-1], (0.5, 0.5))[told]
        text = "kept" if u < share else "not so"
        body = self.encode(prompt, text).model_dump()
        told_by = {"policy": self.policy, "seed": seed, "index": index, "finish": "stop"}
        return Response.model_validate({**body, **told_by})


def _chooses(paper: str) -> str:
    """What a judge who sees it replies: the letter of the answer that is kept, or 1 where the only one is."""
    if "Which answer" in paper:
        return "A" if paper.index("kept") < paper.index("left") else "B"
    return str(int("not so" not in paper))


def _number(word: str) -> int:
    return int(hashlib.sha256(word.encode()).hexdigest()[:6], 16)
