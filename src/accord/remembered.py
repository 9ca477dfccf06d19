"""Remembered: a sampler whose scores are computed once per answer, for all who want some of them.

Several indicators read the same answers; asking for the union of what they want saves whole forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence

from accord.ports import How, Sampler, Scored
from accord.records import Prompt, Response
from accord.records.rows import Group, Text

__all__ = ["Remembered"]


class Remembered:
    """Satisfies the port ``Sampler`` over another; ``union`` is what is computed whenever anything is.

    Memory is one number per answer token and column; ``keep`` drops all but the named answers.
    """

    def __init__(self, inner: Sampler, union: frozenset[str]) -> None:
        self._inner, self._union = inner, union & inner.can
        self._known: dict[str, Scored] = {}

    @property
    def can(self) -> frozenset[str]:
        return self._inner.can

    @property
    def policy(self) -> str:
        return self._inner.policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self._inner.encode(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return await self._inner.sample(prompts, n, how)

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        if not want <= self._union:
            return await self._inner.score(texts, want)
        new = {text.response.id: text for text in texts if text.response.id not in self._known}
        if new:
            found = await self._inner.score(list(new.values()), self._union)
            self._known.update(zip(new, found, strict=True))
        known = [self._known[text.response.id] for text in texts]
        return [Scored({name: k.columns[name] for name in want}, k.tokenizer) for k in known]

    def keep(self, responses: frozenset[str]) -> None:
        """Forget every answer but these."""
        self._known = {name: scored for name, scored in self._known.items() if name in responses}
