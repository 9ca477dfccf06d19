"""Base-rank shift of greedy answers, from models whose every byte is written down.

Mutants that must be killed: ranks of the policy in place of the base's, ``>`` for ``>=`` at the third rank,
the end of an answer or a function word taken for content, answers drawn at temperature 1, the base's own
earlier answer read in place of a fresh one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from accord.errors import ContractError
from accord.indicators.greedy_rank import GREEDY, GreedyRank
from accord.pages import TOLERANCES
from accord.ports import How, Observed, Panelled, Referred
from accord.probing import Prober, Sitting
from accord.records import NotMeasured, Prompt, Reading
from accord.records.panels import Item, Panel
from accord.records.rows import Group
from accord.testing.organisms import Speaker
from accord.worker import Worker

ITEMS = tuple(Item(Prompt.of(f"Say something, number {i}."), answer="ash") for i in range(3))
BASE = {"ash": 0.4, "bay": 0.3, "cod": 0.2, "dew": 0.1}


def speaker(says: Mapping[str, float], name: str = "policy") -> Speaker:
    return Speaker(name, lambda prompt: says)


def seen(policy: Speaker, base: Speaker, *items: Item) -> Observed:
    return asyncio.run(GreedyRank().referred(base).observe(items or ITEMS[:1], policy, How("k")))


@pytest.mark.parametrize(
    ("says", "beyond", "content"),
    [
        ("cod", 0.0, 0.0),  # the base's third choice is among its three
        ("dew", 1 / 4, 1 / 3),  # its fourth is not: d of d, e, w and the end; the end is no content
        ("of", 1 / 3, 0.0),  # a word without content, which the base never says: o of o, f and the end
        ("", 1.0, 0.0),  # ends at once, where the base has four beginnings
    ],
)
def test_tokens_that_the_base_ranks_fourth_or_later_count(says: str, beyond: float, content: float) -> None:
    found = seen(speaker({says: 1.0}), speaker(BASE, "base"))
    assert found.outcomes == {"beyond": (beyond,), "content": (content,)}
    assert [r.text for r in found.said[0].responses] == [says]


def test_content_and_style_of_one_answer_are_told_apart() -> None:
    """Shifted are the two words behind the first: where the base goes on in four other ways."""
    base = {f"the {word}": 0.25 for word in ("ash", "bay", "cod", "dew")}
    base |= {f"the elk {word}": 0.0 for word in ("in", "on", "up")}
    known = {f"the elk{sign}": 0.25 for sign in "!?;:"}
    policy = speaker({"the elk, so": 1.0})
    both = speaker({**{k: v / 2 for k, v in base.items()}, **{k: v / 2 for k, v in known.items()}}, "base")
    found = seen(policy, both)
    # "e" is the base's likeliest behind "the "; "," is none of its four behind "the elk".
    assert found.outcomes == {"beyond": (1 / 12,), "content": (0.0,)}
    other = seen(speaker({"the gnu": 1.0}), speaker({k: 0.25 for k in base if "elk" not in k}, "base"))
    assert other.outcomes == {"beyond": (1 / 8,), "content": (1 / 4,)}, "content: the blank and three letters"


def test_answers_are_greedy_and_one_prompt_is_answered_once() -> None:
    class Counting(Speaker):
        asked: list[tuple[int, How]] = []

        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            self.asked.append((len(prompts), how))
            return await super().sample(prompts, n, how)

    # At temperature 1 it would say "dew" 45 times in 100.
    policy = Counting("policy", lambda prompt: {"ash": 0.55, "dew": 0.45})
    items = [Item(ITEMS[0].prompt, answer=text) for text in ("ash", "bay")] + list(ITEMS[1:])
    found = seen(policy, speaker(BASE, "base"), *items)
    assert found.outcomes["beyond"] == (0.0,) * 4
    assert [(n, how.temperature) for n, how in Counting.asked] == [(3, GREEDY)]
    assert len(found.said) == 4


def test_the_base_reads_what_another_tokenizer_cut() -> None:
    class Otherwise(Speaker):
        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            told = {"tokens": (1,), "tokenizer": "other"}
            groups = await super().sample(prompts, n, how)
            return [Group(p, tuple(r.model_copy(update=told) for r in said)) for p, said in groups]

    found = seen(Otherwise("policy", lambda prompt: {"dew": 1.0}), speaker(BASE, "base"))
    assert found.outcomes == {"beyond": (1 / 4,), "content": (1 / 3,)}


def test_tokens_that_fit_no_word_belong_to_the_piece_they_lie_in() -> None:
    """The text as it is read is not what the tokens spell; all of it is content then, but for the end."""

    class Misread(Speaker):
        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            groups = await super().sample(prompts, n, how)
            return [Group(p, (said[0].model_copy(update={"text": "xerox yawl"}),)) for p, said in groups]

    found = seen(Misread("policy", lambda prompt: {"dew": 1.0}), speaker(BASE, "base"))
    assert found.outcomes == {"beyond": (1 / 4,), "content": (1 / 3,)}


def test_it_says_so_where_nobody_handed_it_a_base() -> None:
    assert isinstance(GreedyRank(), Referred) and isinstance(GreedyRank(), Panelled)
    with pytest.raises(ContractError, match="hands it the base"):
        asyncio.run(GreedyRank().observe(ITEMS, speaker(BASE), How("k")))
    assert GreedyRank().referred(speaker(BASE)).config == GreedyRank().config != GreedyRank(beyond=2).config


def test_the_guard_hands_it_the_base() -> None:
    """A model that opens as the base hardly does is beyond what is tolerated; its twin, another mixture of
    the same openings, is not."""
    sick, twin = speaker({"elm": 0.6, "ash": 0.4}, "sick"), speaker({"cod": 0.6, "ash": 0.4}, "twin")
    with Worker() as worker:
        prober = Prober("run/stage", {"base": Panel("base", ITEMS)}, speaker(BASE, "base"), worker)
        found = {p.policy: prober.read(GreedyRank(), Sitting(0, 1, p, 8)).readings for p in (sick, twin)}
        mute = speaker(BASE, "mute")
        mute.can = frozenset({"sample", "logp"})  # type: ignore[misc]
        silent = Prober("run/stage", {"base": Panel("base", ITEMS)}, mute, worker)
        (lacking, _) = silent.read(GreedyRank(), Sitting(0, 1, sick, 8)).readings
    told = {(policy, r.name): r for policy, readings in found.items() for r in readings}
    for name, change in (("greedy_rank.beyond", 1 / 4), ("greedy_rank.content", 1 / 3)):
        ill, well = told["sick", name], told["twin", name]
        assert isinstance(ill, Reading) and isinstance(well, Reading)
        assert ill.change == pytest.approx(change) and change > TOLERANCES[name].tau
        assert (well.change, ill.base) == (0.0, 0.0)
    assert isinstance(lacking, NotMeasured) and "rank" in lacking.reason


def test_shares_of_no_token_are_none() -> None:
    from accord.indicators.greedy_rank import shares

    assert shares(np.zeros(0), np.zeros(0, dtype=bool), 3) == (0.0, 0.0)
