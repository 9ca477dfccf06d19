"""A prompt that has begun in tokens is another fact than one that has not; the latter are as before."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from accord.records import Begun, Message, Prompt, digest, read_record

TALK = (
    Message(role="user", content="Why?"),
    Message(role="assistant", content="So."),
    Message(role="user", content="And?"),
)
BEGUN = Begun(tokenizer="t", tokens=(1, 2, 3))


def test_a_prompt_without_tokens_has_the_id_it_always_had() -> None:
    messages = [{"role": "user", "content": "Why?"}]
    plain = Prompt.of("Why?")
    assert plain.id == digest({"kind": "prompt", "v": 1, "fields": {"messages": messages}})
    assert plain.body() == {"messages": messages}
    assert read_record("prompt", {"messages": messages}) == plain


def test_tokens_are_part_of_the_fact_and_come_back() -> None:
    prompt = Prompt(messages=TALK, begun=BEGUN)
    assert prompt.body()["begun"] == {"tokenizer": "t", "tokens": [1, 2, 3]}
    again = read_record("prompt", prompt.body())
    assert (again, again.id) == (prompt, prompt.id)
    others = [
        Prompt(messages=TALK),
        Prompt(messages=TALK, begun=Begun(tokenizer="t", tokens=(1, 2))),
        Prompt(messages=TALK, begun=Begun(tokenizer="u", tokens=(1, 2, 3))),
    ]
    assert len({p.id for p in (prompt, *others)}) == 4


def test_tokens_hold_an_answer() -> None:
    with pytest.raises(ValidationError, match="nothing was answered"):
        Prompt(messages=TALK[:1], begun=BEGUN)
    with pytest.raises(ValidationError):
        Begun(tokenizer="t", tokens=())


@pytest.mark.parametrize(("count", "answered"), [(0, 0), (1, 0), (2, 2), (3, 2)])
def test_answered_counts_up_to_the_last_answer(count: int, answered: int) -> None:
    assert Prompt(messages=TALK[:count]).answered == answered


def test_a_conversation_goes_on_by_its_answer_and_what_follows() -> None:
    """What the answer was worth in tokens is for whoever drew it to say."""
    first = Prompt(messages=TALK[:1], slice="s", allowed=(1, 2), columns={"a": 1})
    on = first.then("So.", TALK[2])
    assert on == Prompt(messages=TALK, slice="s", allowed=(1, 2), columns={"a": 1})
    assert on.id != first.id
    assert Prompt(messages=TALK, begun=BEGUN).then("Now.").begun is None
