"""Cuts are made in the text: what is left is rendered as any other, and never ends as if it were whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accord.engines.scripted import Scripted
from accord.errors import Refused
from accord.lengths import Limits, Truncate, fitted
from accord.ports import Sampler
from accord.progress import Silent
from accord.records import Message, Prompt
from accord.records.rows import Group

SAMPLER: Sampler = Scripted(words=tuple("abcd"), longest=9, tensors="numpy").sampler("scripted", Silent())
END = 0


def fit(prompt: Prompt, *answers: str, most: tuple[int | None, int | None], truncate: Truncate) -> Any:
    return fitted(prompt, answers, SAMPLER, Limits(*most, truncate))


def talk(*turns: str) -> Prompt:
    """system: … if it begins so, then user and assistant by turns."""
    head = turns[:1] if turns[0].startswith("system") else ()
    roles = ("user", "assistant")
    messages = [Message(role="system", content=t) for t in head]
    messages += [
        Message.model_validate({"role": roles[i % 2], "content": t}) for i, t in enumerate(turns[len(head) :])
    ]
    return Prompt(messages=tuple(messages), columns={"k": 1})


def size(prompt: Prompt) -> int:
    return len(SAMPLER.encode(prompt, "").prompt_tokens)


def test_what_fits_is_as_it_was() -> None:
    prompt = Prompt.of("Why?")
    plain = tuple(SAMPLER.encode(prompt, text) for text in ("a b", "c"))
    for most in ((None, None), (size(prompt), 3)):
        for truncate in ("refuse", "drop", "cut_both"):
            assert fit(prompt, "a b", "c", most=most, truncate=truncate) == (Group(prompt, plain), False)


def test_refusals_name_the_limit_and_the_ways_out() -> None:
    prompt = Prompt.of("Why?")
    with pytest.raises(Refused, match=r"answer of 4 tokens after 'Why\?'(?s:.*)max_answer_tokens = 3"):
        fit(prompt, "a", "a b c", most=(None, 3), truncate="refuse")
    with pytest.raises(
        Refused, match=rf"prompt of {size(prompt)} tokens(?s:.*)max_prompt_tokens = 3(?s:.*)cut_both"
    ):
        fit(prompt, "a b c", most=(3, 3), truncate="refuse")


@pytest.mark.parametrize("truncate", ["drop", "cut_prompt_left"])
def test_a_long_answer_is_left_out_where_answers_are_not_cut(truncate: Truncate) -> None:
    assert fit(Prompt.of("Why?"), "a", "a b c", most=(None, 3), truncate=truncate) == (None, False)


@pytest.mark.parametrize("truncate", ["drop", "cut_answer"])
def test_a_long_prompt_is_left_out_where_prompts_are_not_cut(truncate: Truncate) -> None:
    assert fit(Prompt.of("Why so?"), "a", most=(size(Prompt.of("so?")), 9), truncate=truncate) == (
        None,
        False,
    )


def test_a_cut_answer_does_not_end() -> None:
    prompt = Prompt.of("Why?")
    group, cut = fit(prompt, "a b c d", "b", most=(None, 3), truncate="cut_answer")
    long, short = group.responses
    assert cut
    assert (long.text, long.tokens, long.finish) == ("a b c", (1, 2, 3), "length")
    assert (short.text, short.tokens, short.finish) == ("b", (2, END), "data")
    assert long.prompt_tokens == short.prompt_tokens == SAMPLER.encode(prompt, "").prompt_tokens


def test_the_oldest_turns_leave_first_and_the_system_message_stays() -> None:
    prompt = talk("system s", "first", "a", "second", "b", "third")
    kept = talk("system s", "second", "b", "third")
    group, cut = fit(prompt, "c", most=(size(kept), None), truncate="cut_prompt_left")
    assert cut
    assert group.prompt == prompt, "it is an answer to the whole prompt"
    (response,) = group.responses
    assert response.prompt == prompt.id
    assert response.parents == (prompt.id,)
    assert response.prompt_tokens == SAMPLER.encode(kept, "").prompt_tokens
    assert (response.tokens, response.finish) == ((3, END), "data")
    last, _ = fit(prompt, "c", most=(size(kept) - 1, None), truncate="cut_both")
    assert last.responses[0].prompt_tokens == SAMPLER.encode(talk("system s", "third"), "").prompt_tokens


def test_a_single_turn_loses_its_first_words() -> None:
    prompt, kept = talk("system s", "one two  three"), talk("system s", "two  three")
    for room in (0, 3):
        group, _ = fit(prompt, "c", most=(size(kept) + room, None), truncate="cut_prompt_left")
        assert group.responses[0].prompt_tokens == SAMPLER.encode(kept, "").prompt_tokens
    least = size(talk("system s", "three"))
    assert fit(prompt, "c", most=(least, None), truncate="cut_prompt_left")[0] is not None
    assert fit(prompt, "c", most=(least - 1, None), truncate="cut_prompt_left") == (None, False)


def test_both_are_cut() -> None:
    prompt = talk("one two")
    group, cut = fit(prompt, "a b", "c", most=(size(talk("two")), 2), truncate="cut_both")
    assert cut
    assert [(r.tokens, r.finish) for r in group.responses] == [((1, 2), "length"), ((3, END), "data")]
    assert {r.prompt_tokens for r in group.responses} == {SAMPLER.encode(talk("two"), "").prompt_tokens}


def test_a_real_tokenizer_cuts_behind_words_or_letters(tmp_path: Path) -> None:
    """A token a byte: the text that is left is what its tokens say, also where no word fits."""
    torch = pytest.importorskip("torch")
    del torch
    from accord.engines.local import Local
    from accord.testing import save_tiny

    policy = Local().sampler(str(save_tiny(tmp_path / "tiny")), Silent())
    prompt = Prompt.of("Why?")
    for text, most, left in (
        ("So be it", 5, "So be"),
        ("So be it", 7, "So be"),
        ("So be it", 8, "So be it"),
        ("grünlich", 5, "grün"),
        ("grünlich", 4, "grü"),
        ("grünlich", 3, "gr"),
    ):
        whole = policy.encode(prompt, text).tokens
        group, cut = fitted(prompt, (text,), policy, Limits(None, most, "cut_answer"))
        assert cut
        assert group is not None
        (response,) = group.responses
        assert (response.text, response.finish) == (left, "length")
        assert response.tokens == whole[: len(left.encode())]
        assert whole[-1] not in response.tokens
    nothing = fitted(prompt, ("ü",), policy, Limits(None, 1, "cut_answer"))
    assert nothing == (None, False), "half a letter is no text"
