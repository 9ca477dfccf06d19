"""How long the prompts and answers of data may be, and what happens to those that are longer.

Every cut is made in the text, which is then rendered and tokenised as any other. A prompt loses its oldest
turns, then the first words of the user message that is left; a system message stays. The Response is still to
the whole Prompt, and its ``prompt_tokens`` are what of it is read. An answer ends behind the last word that
fits (a letter, where no word fits), without the token that ends an answer, and its finish is ``length``. What
cannot be cut to size is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, NamedTuple

from accord.errors import Refused
from accord.ports import Sampler
from accord.records import Message, Prompt, Response
from accord.records.rows import Group

__all__ = ["Fitted", "Limits", "Truncate", "fitted"]

Truncate = Literal["refuse", "drop", "cut_prompt_left", "cut_answer", "cut_both"]


class Limits(NamedTuple):
    """Tokens that a rendered prompt, and an answer with its end, may have (None: any number)."""

    prompt: int | None
    answer: int | None
    truncate: Truncate


class Fitted(NamedTuple):
    """A prompt and its answers within the limits; None where they cannot be."""

    group: Group | None
    cut: bool


def fitted(prompt: Prompt, answers: Sequence[str], policy: Sampler, limits: Limits) -> Fitted:
    """The answers encoded, cut where the limits say so. Refused where they say to refuse."""
    responses = tuple(policy.encode(prompt, text) for text in answers)
    found = len(responses[0].prompt_tokens), max(len(r.tokens) for r in responses)
    long_prompt, long_answer = (
        most is not None and size > most for size, most in zip(found, limits[:2], strict=True)
    )
    if not long_prompt and not long_answer:
        return Fitted(Group(prompt, responses), False)
    if limits.truncate == "refuse":
        what, most = ("prompt", limits.prompt) if long_prompt else ("answer", limits.answer)
        raise Refused(
            f"the {what} of {found[not long_prompt]:,} tokens after {prompt.text[:60]!r} is longer than "
            f"max_{what}_tokens = {most}\n"
            '  set it higher, or truncate = "drop", "cut_prompt_left", "cut_answer" or "cut_both"'
        )
    shorter = prompt
    if long_prompt:
        cuts = limits.truncate in ("cut_prompt_left", "cut_both")
        shorter = _prompt(prompt, limits.prompt or 0, policy) if cuts else None
    if shorter is None or (long_answer and limits.truncate not in ("cut_answer", "cut_both")):
        return Fitted(None, False)
    ends = [_answer(shorter, text, limits.answer, policy) for text in answers]
    kept = tuple(end for end in ends if end is not None)
    if len(kept) < len(ends):
        return Fitted(None, False)
    own = {"prompt": prompt.id, "parents": (prompt.id,)}
    return Fitted(Group(prompt, tuple(r.model_copy(update=own) for r in kept)), True)


def _prompt(prompt: Prompt, most: int, policy: Sampler) -> Prompt | None:
    """The prompt's end: whole turns that fit, from a user message on, else the last words of the last one."""

    def beginning(messages: Sequence[Message]) -> Prompt:
        return Prompt(
            messages=(*head, *messages), allowed=prompt.allowed, slice=prompt.slice, columns=prompt.columns
        )

    def fits(shorter: Prompt) -> bool:
        return len(policy.encode(shorter, "").prompt_tokens) <= most

    head = prompt.messages[:1] if prompt.messages[0].role == "system" else ()
    turns = prompt.messages[len(head) :]
    starts = [at for at, message in enumerate(turns) if message.role == "user"]
    for at in starts:
        if fits(shorter := beginning(turns[at:])):
            return shorter
    if not starts:
        return None
    last, rest = turns[starts[-1]], turns[starts[-1] + 1 :]
    words = [word.start() for word in re.finditer(r"\S+", last.content)]
    whole = [beginning((last.model_copy(update={"content": last.content[at:]}), *rest)) for at in words]
    place = bisect_right(whole, False, lo=1, key=fits) if words else 0
    return whole[place] if place < len(whole) else None


def _answer(prompt: Prompt, text: str, most: int | None, policy: Sampler) -> Response | None:
    """The whole answer if it fits, else its longest beginning whose tokens begin those of the whole."""
    whole = policy.encode(prompt, text)
    if most is None or len(whole.tokens) <= most:
        return whole

    def said(end: int) -> tuple[int, ...]:
        return policy.encode(prompt, text[:end]).tokens[:-1]  # without the token that ends an answer

    words = [word.end() for word in re.finditer(r"\S+", text)]
    for ends in (words, range(1, len(text) + 1)):
        place = bisect_right(ends, most, key=lambda end: len(said(end)))
        # Cut inside a word, a text may have other tokens than the whole; so may one cut before a space.
        for end in reversed(ends[max(0, place - _TRIES) : place]):
            tokens = said(end)
            if tokens and tokens == whole.tokens[: len(tokens)]:
                return whole.model_copy(update={"text": text[:end], "tokens": tokens, "finish": "length"})
    return None


_TRIES = 16  # how far back to look for a place where the tokens agree
