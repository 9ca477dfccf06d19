r"""Conversations in the forms that data files write them: a text, a list of messages, an HH transcript.

An HH transcript is one text whose turns begin with ``\n\nHuman:`` and ``\n\nAssistant:``. It is taken for one
when it begins with ``\n\nHuman:``, or with ``Human:`` and has a turn of the assistant. Its turns lose the
white space around them and are otherwise kept as they stand, two in a row of one speaker included.

The last message of the assistant is the answer; everything before it is the prompt, earlier answers of the
assistant included: they are context, and no loss ever reads them.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from pydantic import ValidationError

from accord.records import Message

__all__ = ["Messages", "Said", "Unfit", "answer_of", "messages_of", "prompt_of", "split_texts", "transcript"]

Messages = tuple[Message, ...]

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}
_MESSAGE = 'messages as {"role", "content"}, the role system, user, assistant or tool'


class Unfit(ValueError):
    """What a row should hold and what it does; whoever knows the file and the line says it there."""

    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(f"expected {expected}, found {found}")


class Said(NamedTuple):
    """An answer and all that stands before it. ``answer`` is None where no assistant has the last word."""

    before: Messages
    answer: str | None


def transcript(text: str) -> Messages | None:
    r"""The turns of an HH transcript; None where the text is none.

    >>> [(m.role, m.content) for m in transcript("\n\nHuman: Why?\n\nAssistant: So.") or ()]
    [('user', 'Why?'), ('assistant', 'So.')]
    >>> transcript("Human: the word alone")
    """
    bare = text.lstrip()
    if not bare.startswith("Human:") or not (text.startswith("\n\nHuman:") or "\n\nAssistant:" in text):
        return None
    pieces = _TURN.split(f"\n\n{bare}")[1:]
    return tuple(
        Message.model_validate({"role": _ROLES[speaker], "content": said.strip()})
        for speaker, said in zip(pieces[::2], pieces[1::2], strict=True)
    )


def messages_of(given: object, name: str) -> Messages:
    """A list of messages; keys that hold null are as if they were not there, as Parquet writes them."""
    if not isinstance(given, list) or not given:
        raise Unfit(f'"{name}" as text or as a list of messages', repr(cast(object, given))[:80])
    found: list[Message] = []
    for index, item in enumerate(cast("list[object]", given)):
        if isinstance(item, dict):
            item = {k: v for k, v in cast("dict[str, object]", item).items() if v is not None}
        try:
            found.append(Message.model_validate(item))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join([name, str(index), *map(str, problem["loc"])])
            raise Unfit(_MESSAGE, f"{where}: {problem['msg']}: {str(item)[:80]}") from error
    return tuple(found)


def prompt_of(given: object) -> Messages:
    """What waits for an answer; a transcript's empty last turn of the assistant is where the answer goes."""
    if not isinstance(given, str):
        return messages_of(given, "prompt")
    if not given.strip():
        raise Unfit('"prompt" as text or as a list of messages', repr(given)[:80])
    turns = transcript(given)
    if turns is None:
        return (Message(role="user", content=given),)
    open_ended = len(turns) > 1 and turns[-1] == Message(role="assistant", content="")
    return turns[:-1] if open_ended else turns


def answer_of(given: object, name: str, prompt: Messages | None) -> Said:
    """The field ``name`` as an answer to ``prompt``, or as a whole conversation that may begin with it.

    Without a prompt a plain text is all answer, behind nothing.
    """
    if isinstance(given, str):
        turns = transcript(given)
        if turns is None:
            return Said(prompt or (), given)
    else:
        turns = messages_of(given, name)
    if prompt:
        if turns[: len(prompt)] != prompt and turns[0].role in ("system", "user"):
            roles = ", ".join(m.role for m in turns)
            raise Unfit(
                f'"{name}" as what the assistant says to "prompt", or as a conversation that begins with it',
                f"another conversation ({roles}): {turns[0].content[:60]!r}",
            )
        turns = turns if turns[: len(prompt)] == prompt else prompt + turns
    if turns[-1].role != "assistant" or len(turns) == len(prompt or ()):
        return Said(turns, None)
    return Said(turns[:-1], turns[-1].content)


def split_texts(chosen: str, rejected: str) -> tuple[str, str, str]:
    """The common beginning of two texts, up to a whole word, and how each goes on.

    >>> split_texts("The sky is blue.", "The sky is black.")
    ('The sky is', 'blue.', 'black.')
    >>> split_texts("Yes.", "No.")
    ('', 'Yes.', 'No.')
    """
    pairs = zip(chosen, rejected, strict=False)
    shared = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(chosen), len(rejected)))
    inside = any(shared < len(t) and not t[shared].isspace() for t in (chosen, rejected))
    while inside and shared and not chosen[shared - 1].isspace():
        shared -= 1
    return chosen[:shared].strip(), chosen[shared:].strip(), rejected[shared:].strip()
