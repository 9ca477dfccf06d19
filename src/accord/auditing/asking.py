"""Asking: samplers as an audit uses them. What was answered once is not asked again, and a limit holds.

``Asking`` stands before a model: it looks into the journal, asks what is not there in pieces, and writes each
piece down before it is used. ``Foreseen`` stands in for one: it says nothing and counts what would be asked,
so the cost is known before the first question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np

from accord.auditing.journal import Journal
from accord.ports import How, Sampler, Scored
from accord.progress import Progress
from accord.records import JSON, Cost, Prompt, Response, read_record
from accord.records.rows import Group, Text

__all__ = ["Asking", "Budget", "Foreseen", "Stopped"]

_PIECE = 8192  # tokens that are read between two writes
_ANSWERS = 32  # answers that are drawn between two writes
_FAKE = {"logp": -1.0, "rank": 0.0, "entropy": 1.0, "support": 1.0}  # possible ones, which no one reads
_AT_ONCE = 32  # requests to a server that wait for their answers side by side


class Stopped(Exception):
    """The next question would have gone beyond the limit of tokens. Never leaves ``accord.auditing``."""


@dataclass
class Budget:
    """Counts what is asked, by model. ``limit``: tokens, read and written ones, None for no limit."""

    limit: int | None = None
    spent: dict[str, Cost] = field(default_factory=dict[str, Cost])
    over: bool = False
    _reserved: int = 0

    def reserve(self, tokens: int) -> None:
        """Stopped where so many more would go beyond the limit; from then on always."""
        if self.limit is not None and self.tokens + self._reserved + tokens > self.limit:
            self.over = True
        if self.over:
            raise Stopped
        self._reserved += tokens

    def piece(self, size: int) -> int:
        """So many tokens are asked at once: ``size``, or less under a limit, so that it is come near to."""
        return size if self.limit is None else min(size, self.limit // 4)

    def settle(self, reserved: int, model: str, cost: Cost | None) -> None:
        """What was reserved is over; ``cost`` is what it took, None for a question that failed."""
        self._reserved -= reserved
        if cost is not None:
            self.spent[model] = self.spent.get(model, Cost()) + cost

    @property
    def tokens(self) -> int:
        return sum(cost.tokens_in + cost.tokens_out for cost in self.spent.values())


@dataclass
class Asking:
    """A Sampler that remembers. ``remote``: every answer is a request, and is written down as it comes."""

    inner: Sampler
    journal: Journal
    budget: Budget
    progress: Progress
    remote: bool = False
    _encoded: dict[tuple[str, str], Response] = field(default_factory=dict[tuple[str, str], Response])

    @property
    def can(self) -> frozenset[str]:
        return self.inner.can

    @property
    def policy(self) -> str:
        return self.inner.policy

    def encode(self, prompt: Prompt, text: str) -> Response:
        if (prompt.id, text) not in self._encoded:
            self._encoded[prompt.id, text] = self.inner.encode(prompt, text)
        return self._encoded[prompt.id, text]

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        drawn = (how.key, how.temperature, how.max_tokens, n)
        key = {prompt.id: self._key(*drawn, prompt.id) for prompt in prompts}
        new = {p.id: p for p in prompts if self.journal.known("sample", key[p.id]) is None}
        most = n * how.max_tokens
        size = 1 if self.remote else max(1, self.budget.piece(_ANSWERS * how.max_tokens) // most)
        pieces = [list(new.values())[i : i + size] for i in range(0, len(new), size)]

        async def ask(piece: Sequence[Prompt]) -> Cost:
            groups = await self.inner.sample(piece, n, how)
            told: dict[str, dict[str, JSON]] = {}
            for group in groups:
                took = self._took("sample", key[group.prompt.id], _sampled([group], self.remote))
                told[key[group.prompt.id]] = {"responses": [r.body() for r in group.responses], **took}
            self.journal.write("sample", told)
            return _sampled(groups, self.remote)

        times = n if self.remote else 1
        await self._all(
            [(sum(self._length(p) * times + most for p in one), partial(ask, one)) for one in pieces]
        )
        return [Group(prompt, self._responses(key[prompt.id])) for prompt in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        keys = [self._key(text.prompt.id, text.response.id) for text in texts]
        new = {k: t for k, t in zip(keys, texts, strict=True) if not want <= self._columns(k).keys()}

        async def ask(piece: Sequence[Text]) -> Cost:
            found = await self.inner.score(piece, want)
            told: dict[str, dict[str, JSON]] = {}
            for text, one in zip(piece, found, strict=True):
                key = self._key(text.prompt.id, text.response.id)
                columns = {name: cast(JSON, column.tolist()) for name, column in one.columns.items()}
                took = self._took("score", key, Cost(calls=1, tokens_in=_read(text)))
                told[key] = {"columns": {**self._columns(key), **columns}, "tokenizer": one.tokenizer, **took}
            self.journal.write("score", told)
            return Cost(calls=len(piece), tokens_in=sum(map(_read, piece)))

        pieces = (
            [[t] for t in new.values()]
            if self.remote
            else _pieces(list(new.values()), self.budget.piece(_PIECE))
        )
        await self._all([(sum(map(_read, piece)), partial(ask, piece)) for piece in pieces])
        return [self._scored(key, want) for key in keys]

    async def _all(self, work: Sequence[tuple[int, Callable[[], Coroutine[None, None, Cost]]]]) -> None:
        """Ask piece after piece; of a server many at once. What is under way when one fails is waited for."""
        slots = asyncio.Semaphore(_AT_ONCE if self.remote else 1)
        failed: list[BaseException] = []

        async def one(tokens: int, ask: Callable[[], Coroutine[None, None, Cost]]) -> None:
            async with slots:
                if not failed:
                    try:
                        await self._asked(tokens, ask)
                    except BaseException as error:
                        failed.append(error)
                        raise

        await asyncio.gather(*(one(*piece) for piece in work), return_exceptions=True)
        if failed:
            raise failed[0]

    async def _asked(self, tokens: int, ask: Callable[[], Coroutine[None, None, Cost]]) -> None:
        self.budget.reserve(tokens)
        try:
            cost = await ask()
        except BaseException:
            self.budget.settle(tokens, self.policy, None)
            raise
        self.budget.settle(tokens, self.policy, cost)
        self.progress.advance(cost.tokens_in + cost.tokens_out)

    def _took(self, kind: str, key: str, cost: Cost) -> dict[str, JSON]:
        """Whom it was asked of and what it took, with what was asked under this key before."""
        before = self.journal.known(kind, key) or {}
        whole = Cost.model_validate(before.get("cost", {})) + cost
        return {"by": self.policy, "cost": whole.model_dump(exclude_defaults=True)}

    def _key(self, *parts: str | int | float) -> str:
        return "/".join(map(str, (self.policy, *parts)))

    def _length(self, prompt: Prompt) -> int:
        return len(self.encode(prompt, "").prompt_tokens)

    def _responses(self, key: str) -> tuple[Response, ...]:
        told = self.journal.known("sample", key) or {}
        bodies = cast("Sequence[Mapping[str, object]]", told["responses"])
        return tuple(cast(Response, read_record("response", body)) for body in bodies)

    def _columns(self, key: str) -> Mapping[str, JSON]:
        told = self.journal.known("score", key)
        return cast("Mapping[str, JSON]", told["columns"]) if told else {}

    def _scored(self, key: str, want: frozenset[str]) -> Scored:
        told, columns = self.journal.known("score", key) or {}, self._columns(key)
        found = {name: np.array(columns[name], dtype=np.float64) for name in sorted(want)}
        return Scored(found, str(told["tokenizer"]))


@dataclass
class Foreseen:
    """Stands in for ``like``: says what is as long as may be, and counts it in ``cost``, each thing once.

    ``cuts``: its encode is free; else four bytes count as a token.
    """

    like: Sampler
    name: str
    remote: bool
    cuts: bool
    cost: Cost = field(default_factory=Cost)
    _seen: set[str] = field(default_factory=set[str])
    _encoded: dict[tuple[str, str], Response] = field(default_factory=dict[tuple[str, str], Response])

    @property
    def can(self) -> frozenset[str]:
        return self.like.can

    @property
    def policy(self) -> str:
        return self.name

    def encode(self, prompt: Prompt, text: str) -> Response:
        if (prompt.id, text) not in self._encoded:
            self._encoded[prompt.id, text] = self._cut(prompt, text)
        return self._encoded[prompt.id, text]

    def _cut(self, prompt: Prompt, text: str) -> Response:
        if self.cuts:
            return self.like.encode(prompt, text)
        asked = sum(8 + len(message.content.encode("utf-8", "replace")) // 4 for message in prompt.messages)
        size = -(-len(text.encode("utf-8", "replace")) // 4) + 1  # and the end
        tokens = {"prompt_tokens": (0,) * asked, "tokens": (0,) * size}
        return Response.model_validate({"prompt": prompt.id, "text": text, "tokenizer": "bytes", **tokens})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        groups: list[Group] = []
        for prompt in prompts:
            opening = self.encode(prompt, "")
            told = {"tokens": (0,) * how.max_tokens, "seed": how.key, "policy": self.name}
            texts = (f"{i} {'word ' * how.max_tokens}" for i in range(n))
            said = (opening.model_copy(update={**told, "text": t, "index": i}) for i, t in enumerate(texts))
            group = Group(prompt, tuple(said))
            groups.append(group)
            if (key := f"{how.key}/{prompt.id}") not in self._seen:
                self._seen.add(key)
                self.cost += _sampled([group], self.remote)
        return groups

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        for text in texts:
            said = text.response  # told apart by less than its id, which takes long to make
            if (key := f"{text.prompt.id}/{said.seed}/{len(said.tokens)}/{said.text}") not in self._seen:
                self._seen.add(key)
                self.cost += Cost(calls=1, tokens_in=_read(text))
        return [
            Scored(
                {name: np.full(len(t.response.tokens), _FAKE[name]) for name in want}, t.response.tokenizer
            )
            for t in texts
        ]


def _sampled(groups: Sequence[Group], remote: bool) -> Cost:
    """A server reads the prompt for every answer; here it is read once."""
    said = [r for group in groups for r in group.responses]
    asked = said if remote else [group.responses[0] for group in groups]
    read, wrote = sum(len(r.prompt_tokens) for r in asked), sum(len(r.tokens) for r in said)
    return Cost(calls=len(said), tokens_in=read, tokens_out=wrote)


def _read(text: Text) -> int:
    return len(text.response.prompt_tokens) + len(text.response.tokens)


def _pieces(texts: Sequence[Text], most: int) -> list[list[Text]]:
    """In order, texts of one prompt together: they are read together, and their prompt once."""
    pieces: list[list[Text]] = []
    size = most
    for text in texts:
        fresh = not pieces or text.prompt.id != pieces[-1][-1].prompt.id
        if fresh and size >= most:
            pieces.append([])
            size = 0
        pieces[-1].append(text)
        size += _read(text)
    return pieces
