"""Tokens are cut once, as the model's own template says, and lengths are drawn from a fixed seed."""

from __future__ import annotations

import gzip
import json

import pytest
from compare.prepare import FILE, GROUP, LIMIT, STEPS, pairs, turns, work

from accord.engines.local.models import open_model
from accord.testing import save_tiny


@pytest.fixture
def prepared(tmp_path):
    rows = [
        {
            "chosen": f"\n\nHuman: Question {i}?\n\nAssistant: Yes, {'very ' * i}much.",
            "rejected": f"\n\nHuman: Question {i}?\n\nAssistant: No {i}.",
        }
        for i in range(12)
    ]
    rows.append({**rows[0], "rejected": rows[0]["chosen"]})  # no difference
    rows.append({**rows[0], "rejected": rows[1]["rejected"]})  # another prompt
    rows.append({**rows[0], "chosen": "\n\nHuman: Question 0?\n\nAssistant: " + "long " * LIMIT})
    with gzip.open(tmp_path / FILE, "wt", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in rows)
    opened = open_model(save_tiny(tmp_path / "model"))
    return opened, tmp_path / FILE, work(opened, tmp_path / FILE)


def test_a_transcript_becomes_turns():
    assert turns("\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d") == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    ]
    with pytest.raises(ValueError, match="begins with"):
        turns("Human: a")


def test_pairs_that_do_not_differ_in_their_last_answer_alone_are_left_out(prepared):
    _, file, _ = prepared
    assert len(list(pairs(file))) == 13  # 12, and the long one


def test_tokens_are_those_of_the_template_and_end_once(prepared):
    opened, _, made = prepared
    assert len(made["pairs"]) == STEPS
    for pair in (pair for batch in made["pairs"] for pair in batch):
        text = opened.tokenizer.decode(pair["prompt"])
        assert text.startswith("<bos><|user|>Question") and text.endswith("<|assistant|>")
        for side in ("chosen", "rejected"):
            assert pair[side].count(made["end"]) == 1 and pair[side][-1] == made["end"]
            assert len(pair["prompt"]) + len(pair[side]) <= LIMIT


def test_lengths_are_fixed_ragged_within_bounds_and_the_same_every_time(prepared):
    opened, file, made = prepared
    for name, longest in [("groups", 48), ("rollouts", 64)]:
        for row in (row for batch in made[name] for row in batch):
            assert row["lengths"]["fixed"] == [longest] * GROUP
            assert len(row["lengths"]["ragged"]) == GROUP
            assert all(8 <= n <= longest for n in row["lengths"]["ragged"])
            assert all(0 < len(text) <= longest for text in row["completions"])
    assert work(opened, file) == made
