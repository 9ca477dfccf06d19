"""ScriptedSampler: a table that answers and scores, as one version of its rows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np

from accord.engines.scripted.table import Table, steps
from accord.errors import ContractError
from accord.ports import How, Scored
from accord.progress import Progress, Silent
from accord.records import Episode, Prompt, Response
from accord.records import Sequence as Masked
from accord.records.rows import Floats, Group, Text

__all__ = ["ScriptedSampler", "measures"]


class ScriptedSampler:
    """Answers and scores exactly. ``current`` tells the version now; a view of another one raises."""

    can = frozenset({"sample", "logp", "rank", "entropy", "support"})

    def __init__(
        self,
        table: Table,
        policy: str,
        *,
        current: Callable[[], str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.policy = policy
        self._table = table
        self._current = current or (lambda: self.policy)
        self._progress = progress or Silent()

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(
            prompt=prompt.id,
            text=text,
            prompt_tokens=self._table.render(prompt),
            tokens=self._table.words(text),
            finish="data",
            tokenizer=self._table.tokenizer,
            template="scripted",
            parents=(prompt.id,),
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        self._fresh()
        if how.temperature <= 0 or how.max_tokens < 1 or n < 1:
            asked = f"{how}, n={n}"
            raise ContractError(
                "the caller of ScriptedSampler", "temperature > 0, max_tokens ≥ 1, n ≥ 1", asked
            )
        groups: list[Group] = []
        for prompt in prompts:
            groups.append(Group(prompt, tuple(self._draw(prompt, i, how) for i in range(n))))
            self._progress.advance(n)
            await asyncio.sleep(0)
        return groups

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        self._fresh()
        if not want <= self.can - {"sample"}:
            raise ContractError(
                "the caller of ScriptedSampler", f"asks for {sorted(self.can)}", f"{sorted(want)}"
            )
        found: list[Scored] = []
        for text in texts:
            cells = [measures(logp, token) for logp, token in steps(self._table, self._sequence(text))]
            columns = {
                name: np.array([cell[name] for cell in cells], dtype=np.float64) for name in sorted(want)
            }
            found.append(Scored(columns, self._table.tokenizer))
        return found

    def load(self, table: Table, version: str) -> None:
        """Take over another table; what ``Learner.publish`` calls."""
        self._table, self.policy = table.copy(), version
        self._current = lambda: version

    def _fresh(self) -> None:
        if self._current() != self.policy:
            promise = f"uses {self.policy} before the next update"
            raise ContractError("the caller of a sampler view", promise, self._current())

    def _sequence(self, text: Text) -> Masked:
        response = text.response
        if response.tokenizer != self._table.tokenizer or not response.tokens:
            told = self.encode(text.prompt, response.text).model_dump() | {
                "temperature": response.temperature
            }
            response = Response.model_validate(told)
        return Episode.single(response, text.prompt.allowed).sequences()[0]

    def _draw(self, prompt: Prompt, index: int, how: How) -> Response:
        seed = hashlib.sha256(f"{how.key}\n{prompt.id}\n{index}".encode()).hexdigest()[:32]
        uniform = np.random.Generator(np.random.Philox(key=int(seed, 16))).random(how.max_tokens)
        opening = self._table.render(prompt)
        said: list[int] = []
        measured: list[float] = []
        for u in cast("list[float]", uniform.tolist()):
            logp = self._table.logp((*opening, *said), prompt.allowed, how.temperature)
            mass: Floats = np.cumsum(np.exp(logp))
            # Never past the last token that has any mass, however the sum was rounded.
            last = int(np.flatnonzero(logp > -np.inf)[-1])
            token = min(int(np.searchsorted(mass, u * float(mass[-1]), side="right")), last)
            said.append(token)
            measured.append(float(logp[token]))
            if self._table.over(said, prompt.allowed):
                break
        return Response(
            prompt=prompt.id,
            text=self._table.text(said),
            prompt_tokens=opening,
            tokens=tuple(said),
            finish="stop" if self._table.over(said, prompt.allowed) else "length",
            policy=self.policy,
            seed=seed,
            index=index,
            temperature=how.temperature,
            tokenizer=self._table.tokenizer,
            template="scripted",
            logp=tuple(measured),
            parents=(prompt.id,),
        )


def measures(logp: Floats, token: int) -> dict[str, float]:
    """All that a Sampler may tell of a token, given log π of every token."""
    p = np.exp(logp)
    over = logp > logp[token]
    return {
        "logp": float(logp[token]),
        "rank": float(over.sum()),
        "entropy": float(-(p[p > 0] * logp[p > 0]).sum()),
        "support": float(float(p[over].sum()) < 0.95),
    }
