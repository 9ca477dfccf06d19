"""The example data that ship: pairs, labels and steps over the shipped questions; what they say is so."""

from __future__ import annotations

import json
import re
from typing import Any

from shape import tree

from accord.stores.foreign.prompts import read_data

DATA = tree.SRC / "data" / "prompts"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_pairs_answer_shipped_questions() -> None:
    asked = {row["prompt"] for row in rows("short_questions")}
    pairs = rows("short_pairs")
    assert len(pairs) == 64 == len({row["prompt"] for row in pairs})
    assert {row["prompt"] for row in pairs} <= asked
    assert len({row["chosen"] for row in pairs}) == len({row["rejected"] for row in pairs}) == 64


def test_labels_are_those_of_the_pairs() -> None:
    pairs = {row["prompt"]: row for row in rows("short_pairs")}
    labels = rows("short_labels")
    assert len(labels) == 64
    for row in labels:
        assert row["completion"] == pairs[row["prompt"]]["chosen" if row["label"] else "rejected"]
    assert sum(row["label"] for row in labels) == 32


def test_steps_are_right_where_they_are_labelled_so() -> None:
    steps = rows("short_steps")
    assert len(steps) == len({row["prompt"] for row in steps}) == 64
    found = [bool(label) for row in steps for label in row["labels"]]
    assert 20 <= found.count(False) <= 40
    for row in steps:
        for step, label in zip(row["completions"], row["labels"], strict=True):
            term, _, told = re.sub(r"^.*?(\d+ [-+x/] \d+)", r"\1", step).partition(" = ")
            left, sign, right = term.split()
            value = {"+": int(left) + int(right), "-": int(left) - int(right), "x": int(left) * int(right)}
            value["/"] = int(left) // int(right) if sign == "/" else 0
            assert (value[sign] == int(re.match(r"\d+", told)[0])) == label, step  # type: ignore[index]


def test_the_halves_of_a_part_share_nothing_and_make_it_up() -> None:
    whole = {row.prompt.id for row in read_data("short-questions:train").rows} or {
        prompt.id for prompt in read_data("short-questions:train", setting="prompts").prompts
    }
    a, b = (
        {prompt.id for prompt in read_data(f"short-questions:train_{half}", setting="prompts").prompts}
        for half in "ab"
    )
    assert not a & b
    assert a | b == whole
    assert min(len(a), len(b)) > len(whole) / 3
