"""A panel of the user's own: three ways to score it, each with 1 as the adverse end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.errors import ContractError, PlanError
from accord.indicators.own import Own
from accord.ports import How, Panelled, Scored
from accord.records import Prompt, Response
from accord.records.panels import Item
from accord.records.rows import Group, Text
from accord.testing import check_panelled

ITEMS = (
    Item(Prompt.of("Which river?"), ("Nile", "Rhine"), "Nile", "rivers"),
    Item(Prompt.of("Which metal?"), ("salt", "tin"), "tin"),
    Item(Prompt.of("Say why.", "open"), slice="open", more={"target": "because"}),
)
HOW = How("k", 1.0, 8)


class Says:
    """Says one thing, and finds the letter A likelier."""

    can = frozenset({"sample", "logp"})
    policy = "says"

    def __init__(self, text: str = "A") -> None:
        self.text = text

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, tokens=(*map(ord, text[:1]), 0), tokenizer="letters")

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        assert n == 1
        return [Group(p, (Response(prompt=p.id, text=self.text),)) for p in prompts]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        assert want == {"logp"}
        p = {"A": 0.6, "B": 0.3}
        return [Scored({"logp": np.array([math.log(p[t.response.text]), -2.0])}, "letters") for t in texts]


def seen(own: Own, *items: Item, text: str = "A") -> tuple[float | None, ...]:
    sampler: Any = Says(text)
    return asyncio.run(own.observe(items, sampler, HOW)).outcomes[own.criteria[0]]


@pytest.mark.parametrize("name", ["choice", "exact", "a function"])
def test_it_keeps_the_promises_of_its_port(name: str, tmp_path: Path) -> None:
    how = scorer(tmp_path, "return 0.5") if name == "a function" else name
    sampler: Any = Says()
    check_panelled(Own(panel="p.jsonl", scorer=how), sampler, (*ITEMS[:2], ITEMS[0]))


def scorer(folder: Path, body: str) -> str:
    (folder / "mine.py").write_text(f"def fn(item, answer):\n    {body}\n", "utf-8")
    return f"{folder}/mine.py:fn"


def test_it_is_named_by_its_file_and_reports() -> None:
    own = Own(panel="a/b/good-manners.jsonl", scorer="exact")
    assert isinstance(own, Panelled)
    assert (own.name, own.criteria, own.tier) == ("own", ("good-manners",), "report")


def test_choice_takes_items_with_a_right_option_and_reads_letters() -> None:
    own = Own(panel="p.jsonl", scorer="choice")
    assert [own.takes(item) for item in ITEMS] == [True, True, False]
    assert (own.wants, own.draws) == ({"logp"}, 1)
    assert seen(own, *ITEMS[:2]) == (0.0, 1.0)


def test_exact_compares_what_is_said_with_the_answer_or_the_target() -> None:
    own = Own(panel="p.jsonl", scorer="exact")
    assert [own.takes(item) for item in (*ITEMS, Item(Prompt.of("?")))] == [True, True, True, False]
    assert (own.wants, own.draws) == (set(), 8)
    assert seen(own, *ITEMS, text=" “Because!”") == (1.0, 1.0, 0.0)
    assert seen(own, *ITEMS, text="NILE.") == (0.0, 1.0, 1.0)


def test_a_function_gets_the_line_of_the_panel_and_may_abstain(tmp_path: Path) -> None:
    body = "return None if item['slice'] == 'open' else 0.25 * len(item['options']) * (answer == 'A')"
    own = Own(panel="p.jsonl", scorer=scorer(tmp_path, body))
    assert all(own.takes(item) for item in ITEMS)
    assert seen(own, *ITEMS) == (0.5, 0.5, None)
    given = Own(panel="p.jsonl", scorer=scorer(tmp_path, "return float(item['target'] == 'because')"))
    assert seen(given, ITEMS[2]) == (0.0,)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("return 1.5", "1.5"),
        ("return -0.1", "-0.1"),
        ("return float('nan')", "nan"),
        ("return 'good'", "ValueError"),
        ("return item['nothing']", "KeyError"),
    ],
)
def test_what_is_no_score_is_named(tmp_path: Path, body: str, found: str) -> None:
    own = Own(panel="p.jsonl", scorer=scorer(tmp_path, body))
    with pytest.raises(ContractError, match=found) as caught:
        seen(own, *ITEMS)
    assert "1 good" in str(caught.value)


def test_an_edited_scorer_is_another_instrument_and_another_folder_is_not(tmp_path: Path) -> None:
    one = Own(panel="p.jsonl", scorer=scorer(tmp_path, "return 1.0")).config
    assert Own(panel="elsewhere/p.jsonl", scorer=scorer(tmp_path, "return 1.0")).config == one
    assert Own(panel="p.jsonl", scorer=scorer(tmp_path, "return 0.0")).config != one
    assert Own(panel="p.jsonl", scorer="exact").config != Own(panel="p.jsonl", scorer="choice").config


@pytest.mark.parametrize(
    "name", ["exactly", "a b:c d", ":fn", "nowhere.py:fn", "no.module:fn", "json:nothing"]
)
def test_a_scorer_that_is_none_is_refused_when_its_hash_is_read(name: str) -> None:
    with pytest.raises(PlanError, match="exact, choice"):
        str(Own(panel="p.jsonl", scorer=name).config)


def test_a_file_that_raises_while_it_is_imported_is_an_error_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "torn.py").write_text("1 / 0\n", "utf-8")
    with pytest.raises(PlanError, match="ZeroDivisionError"):
        str(Own(panel="p.jsonl", scorer=f"{tmp_path}/torn.py:fn").config)
