"""The first row as a person reads it: mask, end and line breaks show, and nothing steers a terminal."""

from __future__ import annotations

import pytest

from accord.engines.local.models import Opened, open_model
from accord.engines.local.sample_text import masked_text
from accord.records import Episode, Prompt
from accord.records import Sequence as Masked
from accord.testing import save_tiny


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return open_model(save_tiny(tmp_path_factory.mktemp("model")))


def row(opened: Opened, asked: str, said: str) -> Masked:
    return Episode.single(opened.encoded(Prompt.of(asked), said)).sequences()[0]


def test_the_answer_is_marked_with_its_end(opened: Opened) -> None:
    assert masked_text(opened.tokenizer, row(opened, "Why?", "So.")) == [
        "the first row: 8 tokens of prompt, 4 of answer, in ⟦⟧",
        "  │ <bos><|user|>Why?<eos><|assistant|>⟦So.<eos>⟧",
    ]


def test_a_mask_that_is_wrong_shows(opened: Opened) -> None:
    sequence = row(opened, "Why?", "So.")
    late = sequence._replace(answer=(*sequence.answer[1:], False))
    assert masked_text(opened.tokenizer, late)[1].endswith("Why?<eos>⟦<|assistant|>So.⟧<eos>")
    turns = sequence._replace(answer=tuple(i % 6 == 5 for i in range(len(sequence.answer))))
    assert masked_text(opened.tokenizer, turns)[1].count("⟦") == sum(turns.answer)


def test_an_answer_that_is_drawn_is_not_shown(opened: Opened) -> None:
    lines = masked_text(opened.tokenizer, row(opened, "Why?", "So."), learnt=False)
    assert lines == [
        "the first prompt, 8 tokens; its answers are drawn",
        "  │ <bos><|user|>Why?<eos><|assistant|>",
    ]


def test_line_breaks_show_and_control_characters_are_named(opened: Opened) -> None:
    lines = masked_text(opened.tokenizer, row(opened, "a\nb\x1b[2J", "c\u202ed"))
    assert lines[1:] == ["  │ <bos><|user|>a↵", "  │ b\\u001b[2J<eos><|assistant|>⟦c\\u202ed<eos>⟧"]


def test_a_long_stretch_shows_its_two_ends(opened: Opened) -> None:
    text = masked_text(opened.tokenizer, row(opened, "Why?", "begin" + "x" * 3000 + "end"))[1]
    assert "⟦beginxxx" in text
    assert text.endswith("xxxend<eos>⟧")
    assert " … 1,913 characters … " in text
    assert len(text) < 1300
