"""Each answer is scored once, with everything anyone wants, and forgotten when told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from accord.ports import How, Scored
from accord.records import Prompt, Response
from accord.records.rows import Group, Text
from accord.remembered import Remembered


class Counting:
    """A sampler that says how often, and for what, it was asked."""

    can = frozenset({"logp", "rank"})
    policy = "counting"

    def __init__(self) -> None:
        self.asked: list[tuple[list[str], frozenset[str]]] = []

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        raise AssertionError("nobody asked for samples")

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        self.asked.append(([t.response.text for t in texts], want))
        return [Scored({name: np.array([float(len(t.response.text))]) for name in want}, "t") for t in texts]


def _texts(*said: str) -> list[Text]:
    prompt = Prompt.of("why?")
    return [Text(prompt, Response(prompt=prompt.id, text=text, tokens=(1,))) for text in said]


def test_an_answer_is_scored_once_for_all_columns() -> None:
    inner = Counting()
    sampler = Remembered(inner, frozenset({"logp", "rank", "hidden"}))
    texts = _texts("a", "bb")
    logp = asyncio.run(sampler.score(texts, frozenset({"logp"})))
    rank = asyncio.run(sampler.score([texts[1], *_texts("ccc")], frozenset({"rank"})))
    assert [float(s.columns["logp"][0]) for s in logp] == [1.0, 2.0]
    assert [float(s.columns["rank"][0]) for s in rank] == [2.0, 3.0]
    assert all(set(s.columns) == {"logp"} for s in logp)
    # What the inner sampler cannot do is never asked of it; what is known is not asked again.
    assert inner.asked == [(["a", "bb"], frozenset({"logp", "rank"})), (["ccc"], frozenset({"logp", "rank"}))]


def test_what_is_not_kept_is_scored_again() -> None:
    inner = Counting()
    sampler = Remembered(inner, frozenset({"logp"}))
    texts = _texts("a", "bb")
    asyncio.run(sampler.score(texts, frozenset({"logp"})))
    sampler.keep(frozenset({texts[0].response.id}))
    asyncio.run(sampler.score(texts, frozenset({"logp"})))
    assert [said for said, _ in inner.asked] == [["a", "bb"], ["bb"]]


@pytest.mark.parametrize("want", [frozenset({"rank"}), frozenset({"logp", "rank"})])
def test_a_column_outside_the_union_goes_straight_through(want: frozenset[str]) -> None:
    inner = Counting()
    sampler = Remembered(inner, frozenset({"logp"}))
    asyncio.run(sampler.score(_texts("a"), want))
    assert inner.asked == [(["a"], want)]
