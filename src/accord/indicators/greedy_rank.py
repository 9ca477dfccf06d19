"""Base-rank shift of greedy answers: how much of them the base would hardly have said (2312.01552).

    beyond   X = #{tokens of the greedy answer not among the base's ``beyond`` most probable} / #{tokens}
    content  X = the same over the tokens of words that carry content (``accord.maths.style``)

The base's own greedy answers have none of either, so the level is the shift. The deep form of ``base_rank``,
which reads sampled tokens at every audit.

Deliberate differences from the reference:

1. No engine has a temperature of 0: answers are drawn at ``GREEDY``, where a token that is .001 nats less
   likely than the first is drawn once in 20,000 times. A server may raise it (vLLM: to .01).
2. The paper counts ranks from 1 and calls those above 3 shifted; a Sampler counts from 0, so the test is
   ``rank ≥ beyond``. It is read at temperature 1: ranks are the same at any.
3. It sorts tokens into style and content by hand; here by lists of English words. Tokens are laid on words by
   encoding the answer up to the end of each; where that cuts otherwise, the piece up to the next end that
   fits is content if any word in it is.
4. The base cuts the answer itself where the policy has another tokenizer.
5. An answer without a token, or without one of content, has shifted none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PrivateAttr

from accord.errors import ContractError
from accord.indicators import Answered, Tier, drawing, passes, score
from accord.maths.style import pieces
from accord.part import Part
from accord.ports import How, Observed, Sampler
from accord.records import Cost, Prompt
from accord.records.panels import Item
from accord.records.rows import Floats, Group, Text

__all__ = ["GREEDY", "GreedyRank", "shares"]

GREEDY = 1e-4


def shares(ranks_T: Floats, content_T: NDArray[np.bool_], beyond: int) -> tuple[float, float]:
    """The shares of all tokens, and of those of content, whose rank (from 0) is ``beyond`` or more.

    Ranks 0, 3, 5, 2: two of four; of content are the second and the last: one of two.

    >>> shares(np.array([0.0, 3.0, 5.0, 2.0]), np.array([False, True, False, True]), beyond=3)
    (0.5, 0.5)
    """
    shifted_T = ranks_T >= beyond
    content = float(shifted_T[content_T].mean()) if content_T.any() else 0.0
    return float(shifted_T.mean()) if shifted_T.size else 0.0, content


class GreedyRank(Answered, Part):
    """The share of greedy tokens beyond the base's most probable ones; it is handed the base first."""

    name: ClassVar[str] = "greedy_rank"
    panel: ClassVar[str] = "base"
    criteria: ClassVar[tuple[str, ...]] = ("beyond", "content")
    tier: ClassVar[Tier] = "page"
    draws: ClassVar[int] = 1  # nothing is left to chance
    of_base: ClassVar[frozenset[str]] = frozenset({"rank"})

    beyond: int = Field(default=3, ge=1)

    _base: Sampler | None = PrivateAttr(default=None)

    def referred(self, base: Sampler) -> GreedyRank:
        """The same, ready to observe."""
        ready = type(self).model_validate(self.model_dump())
        ready._base = base
        return ready

    def takes(self, item: Item) -> bool:
        """Any prompt; what the base once answered to it is not looked at."""
        return bool(item.prompt.text.strip())

    def cost(self, items: int, tokens: int) -> Cost:
        """A model answers and the base reads it."""
        return Cost(calls=2 * items, tokens_in=2 * items * tokens, tokens_out=64 * items)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        base = self._base
        if base is None:
            raise ContractError("who asks greedy_rank", "hands it the base (``referred``) first", "no base")
        prompts = {item.prompt.id: item.prompt for item in items}
        drawn = await sampler.sample(list(prompts.values()), 1, how._replace(temperature=GREEDY))
        said = [_at_one(group) for group in drawn]
        scored = await score(base, [text for text in said if text.response.tokens], "rank")
        rest = iter(scored.tokens_S)
        found: dict[str, tuple[float, float]] = {}
        for text in said:
            ranks_T = next(rest) if text.response.tokens else np.zeros(0)
            found[text.prompt.id] = self._shares(base, text, ranks_T, scored.tokenizer)
        both = [found[item.prompt.id] for item in items]
        groups = {group.prompt.id: group for group in drawn}
        return Observed(
            {"beyond": tuple(one for one, _ in both), "content": tuple(one for _, one in both)},
            tuple(groups[item.prompt.id] for item in items),
            scored.tokenizer,
            drawing(drawn) + passes(said),
        )

    def _shares(self, base: Sampler, text: Text, ranks_T: Floats, tokenizer: str) -> tuple[float, float]:
        if not (ranks_T >= self.beyond).any():
            return 0.0, 0.0  # and no word has to be found
        tokens = text.response.tokens
        if text.response.tokenizer != tokenizer:
            tokens = base.encode(text.prompt, text.response.text).tokens[: ranks_T.size]
        return shares(ranks_T, _content(base, text.prompt, text.response.text, tokens), self.beyond)


def _at_one(group: Group) -> Text:
    return Text(group.prompt, group.responses[0].model_copy(update={"temperature": 1.0}))


def _content(base: Sampler, prompt: Prompt, text: str, tokens: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which tokens belong to words of content; the end of an answer does not."""
    end = base.encode(prompt, "").tokens
    content_T = np.zeros(len(tokens), dtype=np.bool_)
    start, content = 0, False
    for piece in pieces(text):
        content = content or piece.content
        upto = base.encode(prompt, text[: piece.end]).tokens
        upto = upto[: len(upto) - len(end)]
        if len(upto) > start and tokens[: len(upto)] == upto:
            content_T[start : len(upto)] = content
            start, content = len(upto), False
    if content:
        content_T[start:] = True
        if end and tokens[-len(end) :] == end:
            content_T[-len(end) :] = False
    return content_T
