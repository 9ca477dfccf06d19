"""Rows of TRL's six types, plain, conversational and as HH transcripts."""

from __future__ import annotations

from typing import Any

import pytest

from accord.stores.foreign.conversations import Unfit, split_texts, transcript
from accord.stores.foreign.rows import BLANK, DataRow, kind_of_fields, row_of

HH = "\n\nHuman: Why is the sky blue?\n\nAssistant: Light.\n\nHuman: And red?\n\nAssistant:"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def read(**fields: Any) -> DataRow:
    return row_of(fields, kind_of_fields(fields))


def said(row: DataRow) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in row.prompt.messages]


TALK = [user("Why?"), bot("So."), user("How?")]
ASKED = [("user", "Why?"), ("assistant", "So."), ("user", "How?")]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"prompt": "a"}, "prompt"),
        ({"prompt": "a", "text": "b", "messages": [], "labels": [1], "label": 1, "p": 1}, "prompt"),
        ({"prompt": "a", "completion": None, "chosen": None}, "prompt"),
        ({"prompt": "a", "completion": "b"}, "completion"),
        ({"prompt": "a", "completion": "b", "label": None}, "completion"),
        ({"prompt": "a", "completion": "b", "label": False}, "label"),
        ({"completion": "b", "rejected": "c"}, "completion"),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "label": 1, "messages": []}, "preference"),
        ({"chosen": "b", "rejected": "c"}, "preference"),
        ({"prompt": "a", "completions": ["b"], "labels": [True]}, "steps"),
        ({"messages": []}, "text"),
        ({"text": "a"}, "text"),
    ],
)
def test_the_fields_of_a_row_are_its_type(fields: dict[str, Any], kind: str) -> None:
    assert kind_of_fields(fields) == kind


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"prompt": "a", "chosen": "b"}, "no rejected"),
        ({"prompt": "a", "rejected": "b", "chosen": None}, "no chosen"),
        ({"question": "a", "response": "b"}, 'columns = { prompt = "question", completion = "response" }'),
        ({"conversations": []}, 'messages = "conversations"'),
        ({"label": True}, "keys label"),
        ({}, r"keys (none)"),
    ],
)
def test_what_is_no_row_says_which_keys_it_has(fields: dict[str, Any], found: str) -> None:
    with pytest.raises(Unfit) as error:
        kind_of_fields(fields)
    assert found in error.value.found


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": TALK, "completion": [bot("Thus.")]},
        {"prompt": TALK, "completion": "Thus."},
        {"completion": [*TALK, bot("Thus.")]},
        {"prompt": [user("Why?")], "completion": [*TALK, bot("Thus.")]},
        {"prompt": "Why?", "completion": [bot("So."), user("How?"), bot("Thus.")]},
        {"messages": [*TALK, bot("Thus.")]},
        {"text": "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: How?\n\nAssistant: Thus."},
        {"completion": "Human: Why?\n\nAssistant: So.\n\nHuman: How?\n\nAssistant: Thus.\n"},
        {"prompt": "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: How?\n\nAssistant:", "completion": " Thus."},
    ],
)
def test_the_last_answer_is_learnt_and_earlier_ones_are_context(fields: dict[str, Any]) -> None:
    row = read(**fields)
    assert (said(row), row.answers, row.completion, row.lacks) == (ASKED, ("Thus.",), "Thus.", "")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": TALK, "chosen": [bot("Thus.")], "rejected": [bot("No.")]},
        {"prompt": TALK, "chosen": "Thus.", "rejected": "No."},
        {"chosen": [*TALK, bot("Thus.")], "rejected": [*TALK, bot("No.")]},
        {"prompt": "Why?", "chosen": [*TALK, bot("Thus.")], "rejected": [*TALK, bot("No.")]},
        {
            "chosen": "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: How?\n\nAssistant: Thus.",
            "rejected": "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: How?\n\nAssistant: No.",
        },
    ],
)
def test_the_prompt_of_a_pair_is_what_both_begin_with(fields: dict[str, Any]) -> None:
    row = read(**fields)
    assert (said(row), row.answers, row.completion, row.lacks) == (ASKED, ("Thus.", "No."), None, "")


def test_plain_texts_share_a_prompt_up_to_a_whole_word() -> None:
    row = read(chosen="The sky is blue.", rejected="The sky is black.")
    assert (said(row), row.answers) == ([("user", "The sky is")], ("blue.", "black."))
    assert split_texts("a b", "a b c") == ("a b", "", "c")
    assert split_texts("Blue", "Bluegreen") == ("", "Blue", "Bluegreen")
    assert split_texts("Q: 1\nyes", "Q: 1\nno") == ("Q: 1", "yes", "no")
    with pytest.raises(Unfit, match="beginning that"):
        read(chosen="Yes.", rejected="No.")


def test_a_transcript_is_known_by_its_beginning() -> None:
    turns = transcript(HH)
    assert turns
    assert [(m.role, m.content) for m in turns] == [
        ("user", "Why is the sky blue?"),
        ("assistant", "Light."),
        ("user", "And red?"),
        ("assistant", ""),
    ]
    for text in (
        "Human: a word",
        "I said:\n\nHuman: Why?\n\nAssistant: So.",
        "\n\nAssistant: So.",
        "",
        "Humans",
    ):
        assert transcript(text) is None
    twice = transcript("\n\nHuman: a\n\nAssistant: b\n\nAssistant: c") or ()
    assert [m.role for m in twice] == ["user", "assistant", "assistant"], "the data are not mended in silence"


def test_a_prompt_waits_for_its_answer() -> None:
    assert said(read(prompt=HH))[-1] == ("user", "And red?")
    assert said(read(prompt="\n\nHuman: Why?")) == [("user", "Why?")]
    assert said(read(prompt="Human: a word")) == [("user", "Human: a word")]


def test_a_plain_text_is_an_answer_to_nothing() -> None:
    row = read(text="Once upon a time.\n", weight=2)
    assert (row.prompt.messages, row.answers, row.columns) == (
        BLANK,
        ("Once upon a time.\n",),
        {"weight": 2.0},
    )
    for mark in ("<|im_start|>user\nWhy?", "<s>[INST] Why? [/INST]", "<start_of_turn>user"):
        with pytest.raises(Unfit, match="chat template"):
            read(text=mark)


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "identical pair"),
        ({"chosen": "Why? b", "rejected": "Why? b"}, "identical pair"),
        ({"chosen": [*TALK, bot("b")], "rejected": [*TALK, bot("b")]}, "identical pair"),
        ({"chosen": f"{HH} b", "rejected": f"{HH}  b "}, "identical pair"),
        ({"prompt": "a", "chosen": "b", "rejected": " "}, "empty completion"),
        ({"chosen": f"{HH} b", "rejected": HH}, "empty completion"),
        ({"chosen": "Why? b", "rejected": "Why?"}, "empty completion"),
        ({"chosen": "", "rejected": "Why?"}, "empty completion"),
        ({"prompt": "a", "completion": ""}, "empty completion"),
        ({"prompt": "a", "completion": "\n", "label": True}, "empty completion"),
        ({"prompt": "a", "completions": [], "labels": []}, "empty completion"),
        ({"prompt": "a", "completions": ["b", ""], "labels": [True, False]}, "empty completion"),
        ({"text": " "}, "empty completion"),
        ({"messages": [*TALK, bot("")]}, "empty completion"),
        ({"messages": TALK}, "no answer at the end"),
        ({"prompt": TALK, "completion": [bot("a"), user("b")]}, "no answer at the end"),
        ({"chosen": [*TALK, bot("a")], "rejected": [user("x"), bot("b")]}, "answers to different prompts"),
        ({"chosen": TALK[:2], "rejected": [*TALK, bot("b")]}, "answers to different prompts"),
    ],
)
def test_rows_that_teach_nothing_say_why(fields: dict[str, Any], lacks: str) -> None:
    assert read(**fields).lacks == lacks


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"completion": "b"}, '"prompt"'),
        ({"completion": [bot("b")]}, '"prompt"'),
        ({"prompt": "a", "completion": 3}, '"completion" as text'),
        ({"prompt": "a", "completion": []}, '"completion" as text'),
        ({"prompt": "a", "completion": ["b"]}, "messages as"),
        ({"prompt": "a", "completion": [user("other"), bot("b")]}, "begins with it"),
        ({"prompt": "a", "chosen": f"{HH} b", "rejected": "c"}, "begins with it"),
        ({"prompt": "", "chosen": "b", "rejected": "c"}, '"prompt" as text'),
        ({"messages": [{"role": "robot", "content": "a"}]}, "the role system, user, assistant or tool"),
        ({"messages": [{"from": "human", "value": "a"}]}, "messages as"),
        ({"messages": "a"}, '"messages" as text or as a list'),
        ({"text": ["a"]}, '"text" as text'),
        ({"prompt": "a", "completion": "b", "label": "good"}, '"label" as true or false'),
        ({"prompt": "a", "completion": "b", "label": 0.5}, '"label" as true or false'),
        ({"prompt": "a", "completion": "b", "score": "5"}, '"score" as a number'),
        ({"prompt": "a", "completion": "b", "score": float("nan")}, '"score" as a number'),
        ({"prompt": "a", "completion": "b", "score": float("inf")}, '"score" as a number'),
        ({"prompt": "a", "completion": "b", "score": True}, '"score" as a number'),
        ({"prompt": "a", "completion": "b", "weight": -1}, '"weight" as a number of 0 or more'),
        ({"prompt": "a", "chosen": "b", "rejected": "c", "p": 1.5}, '"p" as a number from 0 to 1'),
        ({"prompt": "a", "completions": "b", "labels": [True]}, '"completions" as a list'),
        ({"prompt": "a", "completions": ["b", 3], "labels": [True, True]}, '"completions" as a list'),
        ({"prompt": "a", "completions": ["b"], "labels": [True, False]}, '"labels" as a list'),
        ({"prompt": "a", "completions": ["b"], "labels": [2]}, '"labels" as true or false'),
        ({"prompt": "a", "slice": 7}, "text and values of JSON"),
    ],
)
def test_a_row_that_is_not_what_its_type_says(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(Unfit) as error:
        read(**fields)
    assert expected in error.value.expected


def test_numbers_and_judgments_leave_the_prompt_and_the_rest_stays() -> None:
    told = {"annotator": "x", "group": "y", "rationale": "z", "disagreement": 0.5, "outcome": None}
    rest = {"truth": 4, "score": 2, "nothing": None}
    row = read(prompt="a", chosen="b", rejected="c", p=0.75, weight=2, slice="s", **told, **rest)
    assert row.columns == {"p": 0.75, "weight": 2.0}
    assert row.judged == {k: v for k, v in told.items() if v is not None}
    assert (row.prompt.slice, row.prompt.columns) == ("s", rest | {"outcome": None})
    alone = read(prompt="a", **told, **rest, p=1, weight=2)
    assert alone.columns == alone.judged == {}
    assert alone.prompt.columns == told | rest | {"p": 1, "weight": 2}, "a prompt's columns are a program's"
    graded = read(prompt="a", completion="b", score=2, **{"cost:harm": 0.5}, annotator="x", group="y")
    assert graded.columns == {"score": 2.0, "cost:harm": 0.5}
    assert graded.judged == {"annotator": "x", "group": "y"}
    assert read(prompt="a", completion="b", group="y").prompt.columns == {"group": "y"}


def test_equal_prompts_are_one_whoever_judged_their_answers() -> None:
    one, two = (
        read(prompt="a", chosen="b", rejected="c", annotator=who, p=p) for who, p in (("x", 1), ("y", 0))
    )
    assert one.prompt.id == two.prompt.id


def test_steps_keep_their_labels() -> None:
    row = read(prompt="a", completions=["one", "two"], labels=[True, 0])
    assert (row.answers, row.labels, row.completion) == (("one", "two"), (True, False), None)
    assert read(prompt="a", completions=["one"], labels=[False]).completion is None
    some = read(prompt="a", completions=["one", "two"], labels=[None, 1])
    assert (some.labels, some.lacks) == ((None, True), ""), "a step of which nobody says anything is kept"
    assert read(prompt="a", completions=["one", "two"], labels=[None, None]).lacks == "no labelled step"
