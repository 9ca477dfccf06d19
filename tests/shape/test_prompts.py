"""The shipped prompts: as many as they say, each once, each a short question."""

from __future__ import annotations

import json
import re
from collections import Counter

from shape import tree

LINES = (tree.SRC / "data" / "prompts" / "short_questions.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = [json.loads(line) for line in LINES]


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower()))


def test_ten_slices_of_thirty_two() -> None:
    assert {tuple(row) for row in ROWS} == {("prompt", "slice")}
    assert set(Counter(row["slice"] for row in ROWS).values()) == {32}
    assert len(ROWS) == 320


def test_each_is_a_short_question_in_one_line() -> None:
    for row in ROWS:
        text = row["prompt"]
        assert text == text.strip()
        assert text.isascii()
        assert 15 <= len(text) <= 90, text
        assert text[-1] in "?." and text[0].isupper(), text


def test_no_two_ask_the_same() -> None:
    asked = [words(row["prompt"]) for row in ROWS]
    assert len(set(asked)) == len(asked)
    close = [
        (ROWS[i]["prompt"], ROWS[j]["prompt"])
        for i in range(len(asked))
        for j in range(i)
        if len(asked[i] & asked[j]) / len(asked[i] | asked[j]) > 0.75
    ]
    assert not close, close


def test_wording_varies() -> None:
    openings = Counter(" ".join(row["prompt"].split()[:3]) for row in ROWS)
    assert max(openings.values()) <= 40, openings.most_common(3)
    assert len({row["prompt"].split()[0] for row in ROWS}) >= 8
