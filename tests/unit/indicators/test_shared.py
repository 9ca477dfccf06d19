"""Mutants these kill: pairing by position alone, NaN read as a number, an instrument blind to panel,
settings, ruler or decoding, chance that a resume loses."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pytest

from accord.errors import ContractError
from accord.indicators import evidence, generator, instrument, pair, passes, score, texts
from accord.indicators.base_rank import BaseRank
from accord.ports import Draw, Look, Scored
from accord.records import Cost, Prompt, Response
from accord.records.rows import Group, Text


class Column(NamedTuple):
    """A sampler that says what it was told to say."""

    values: Sequence[Sequence[float]]
    tokenizers: Sequence[str]
    policy: str = "told"
    can: frozenset[str] = frozenset({"rank"})

    async def score(self, said: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        (name,) = want
        columns: list[Mapping[str, np.ndarray]] = [{name: np.array(v, dtype=float)} for v in self.values]
        return [Scored(c, t) for c, t in zip(columns, self.tokenizers, strict=True)]


def group(prompt: str, *answers: str, temperature: float = 1.0, template: str = "t") -> Group:
    asked = Prompt.of(prompt)
    said = (
        Response(
            prompt=asked.id,
            text=text,
            prompt_tokens=(1, 2, 3),
            tokens=tuple(range(len(text.split()))),
            index=i,
            temperature=temperature,
            template=template,
        )
        for i, text in enumerate(answers)
    )
    return Group(asked, tuple(said))


def look(*groups: Group, run: str = "r", step: int = 20) -> Look:
    return Look(run, step, (), groups, Column((), ()))


def draw(*groups: Group, audit: int = 1) -> Draw:
    return Draw(audit, groups)


def test_pairs_are_of_one_prompt() -> None:
    a, b = group("a", "x"), group("b", "y")
    assert [(two.ours, two.base) for two in pair(look(a, b), draw(a, b))] == [(a, a), (b, b)]
    for wrong in (draw(b, a), draw(a), draw(a, b, b)):
        with pytest.raises(ContractError, match="same order"):
            pair(look(a, b), wrong)


def test_answers_without_tokens_are_no_texts() -> None:
    said = group("a", "one two", "", "three")
    assert [text.response.text for text in texts(said)] == ["one two", "three"]


def test_scores_come_back_in_order() -> None:
    said = texts(group("a", "one two", "three"))
    found = asyncio.run(score(Column([[1.0, 2.0], [3.0]], "tt"), said, "rank"))
    assert [tokens_T.tolist() for tokens_T in found.tokens_S] == [[1.0, 2.0], [3.0]]
    assert found.tokenizer == "t"


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        (Column([[1.0]], "t"), "1 results for 2"),
        (Column([[1.0, float("nan")], [1.0]], "tt"), "1 of 2 texts hold NaN"),
        (Column([[1.0, 2.0], [float("-inf")]], "tt"), "1 of 2 texts hold NaN"),
        (Column([[1.0, 2.0], [3.0]], "tu"), "2 tokenizers"),
    ],
)
def test_a_sampler_that_breaks_its_promise_is_named(told: Column, complaint: str) -> None:
    with pytest.raises(ContractError, match=f"(?s)told broke.*{complaint}"):
        asyncio.run(score(told, texts(group("a", "one two", "three")), "rank"))


def test_an_instrument_changes_with_all_that_makes_readings_differ_and_nothing_else() -> None:
    a, b = group("a", "x", "y"), group("b", "y", "z")
    part = BaseRank()
    here = instrument(part, look(a, b), "ruler")
    others = [
        instrument(BaseRank(beyond=5), look(a, b), "ruler"),
        instrument(part, look(a, b), "another ruler"),
        instrument(part, look(a, group("c", "y", "z")), "ruler"),
        instrument(part, look(a), "ruler"),
        instrument(part, look(group("a", "x"), group("b", "y")), "ruler"),
        instrument(part, look(group("a", "x", "y", temperature=0.7), b), "ruler"),
        instrument(part, look(group("a", "x", "y", template="u"), b), "ruler"),
    ]
    assert len({here, *others}) == 8
    # Other answers at another step of another run, in another order: the same instrument.
    assert (
        instrument(part, look(group("b", "p", "q"), group("a", "r", "s"), run="s", step=9), "ruler") == here
    )


def test_chance_is_derived_from_run_audit_and_indicator() -> None:
    def first(run: str, audit: int, name: str) -> float:
        return generator(look(run=run), draw(audit=audit), name).random()

    assert first("r", 1, "n") == first("r", 1, "n")
    assert len({first("r", 1, "n"), first("s", 1, "n"), first("r", 2, "n"), first("r", 1, "m")}) == 4


def test_a_reading_rests_on_every_answer_once() -> None:
    a, b = group("a", "x", "y"), group("a", "z", "w")
    ids = [response.id for response in (*a.responses, *b.responses)]
    assert evidence(pair(look(a), draw(b))) == tuple(ids)
    assert evidence(pair(look(a), draw(a))) == tuple(ids[:2])


def test_a_pass_reads_prompt_and_answer() -> None:
    said = texts(group("a", "one two", "three"))
    assert passes(said, said[:1]) == Cost(calls=3, tokens_in=(3 + 2) + (3 + 1) + (3 + 2))
