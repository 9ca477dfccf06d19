"""RankSampler: a view of the learner's weights that answers and scores on all ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TypeVar

from accord.engines.local.sampler import LocalSampler
from accord.engines.ranks.shares import Piece, balanced, shares
from accord.ports import How, Scored
from accord.records import Prompt
from accord.records.rows import Group as Answered
from accord.records.rows import Text

if TYPE_CHECKING:
    from accord.engines.ranks.group import Group

__all__ = ["RankSampler"]

T = TypeVar("T")


class RankSampler(LocalSampler):
    """Prompts and texts are shared out whole. Answers are those of one process: each has its own seed."""

    _group: Group

    def shared(self, group: Group) -> Self:
        """This view, over the ranks of ``group``."""
        self._group = group
        return self

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Answered]:
        self._fresh()
        sizes = [len(self._opened.render(p)) + n * how.max_tokens for p in prompts]
        pieces = [Piece(size, (i,)) for i, size in enumerate(sizes)]
        taken, sample = balanced(pieces, self._group.place.size), super().sample

        async def work() -> list[Answered]:
            mine = [prompts[i] for i in taken[self._group.place.rank]]
            return await sample(mine, n, how) if mine else []

        parts = await self._group.awaited("sample", (tuple(prompts), n, how, self.forced), work)
        mine = len(parts[self._group.place.rank])
        self._progress.advance((len(prompts) - mine) * n)
        return _in_order(taken, parts)

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        self._fresh()
        taken, score = shares([[self._sequence(t)] for t in texts], self._group.place.size), super().score

        async def work() -> list[Scored]:
            return await score([texts[i] for i in taken[self._group.place.rank]], want)

        return _in_order(taken, await self._group.awaited("score", (tuple(texts), want), work))


def _in_order(taken: Sequence[Sequence[int]], parts: Sequence[Sequence[T]]) -> list[T]:
    """What each rank found of what it took, as it was asked for."""
    placed: dict[int, T] = {}
    for mine, part in zip(taken, parts, strict=True):
        placed |= zip(mine, part, strict=True)
    return [placed[i] for i in range(len(placed))]
