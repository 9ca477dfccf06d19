"""How long the prompts and answers of data may be, and what happens to those that are longer.

Every cut is made in the text, which is then rendered and tokenised as any other. A prompt loses its oldest
turns, then the first words of the user message that is left; a system message stays. The Response is still to
the whole Prompt, and its ``prompt_tokens`` are what of it is read. An answer ends behind the last word that
fits (a letter, where no word fits), one in steps behind the last whole step that fits, without the token that
ends an answer, and its finish is ``length``. What cannot be cut to size is left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

from accord.errors import Refused
from accord.ports import Sampler
from accord.records import Message, Prompt, Response
from accord.records.rows import Group
from accord.stepwise import stepped

__all__ = ["Fitted", "Limits", "Truncate", "fitted", "fitted_steps"]

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
    found = _Size(len(responses[0].prompt_tokens), max(len(r.tokens) for r in responses))
    if not any(found.over(limits)):
        return Fitted(Group(prompt, responses), False)
    shorter = _read(prompt, found, policy, limits)
    if shorter is None:
        return Fitted(None, False)
    ends = [_answer(shorter, text, limits.answer, policy) for text in answers]
    kept = [end for end in ends if end is not None]
    return _cut(prompt, kept if len(kept) == len(ends) else [])


def fitted_steps(
    prompt: Prompt, steps: Sequence[str], policy: Sampler, limits: Limits, separator: str
) -> Fitted:
    """One answer in steps, a Response for each of those that stay; else as ``fitted``."""
    responses = stepped(prompt, steps, policy, separator)
    found = _Size(len(responses[0].prompt_tokens), sum(len(r.tokens) for r in responses))
    if not any(found.over(limits)):
        return Fitted(Group(prompt, responses), False)
    shorter = _read(prompt, found, policy, limits)
    if shorter is None:
        return Fitted(None, False)
    return _cut(prompt, _steps(stepped(shorter, steps, policy, separator), limits.answer))


class _Size(NamedTuple):
    """Tokens of a prompt, and of the longest answer to it."""

    prompt: int
    answer: int

    def over(self, limits: Limits) -> tuple[bool, bool]:
        """Whether each of them is longer than it may be."""
        prompt, answer = limits.prompt, limits.answer
        return prompt is not None and self.prompt > prompt, answer is not None and self.answer > answer


def _read(prompt: Prompt, found: _Size, policy: Sampler, limits: Limits) -> Prompt | None:
    """What of the prompt is read; None where the row is left out. Refused where the limits say to refuse."""
    long_prompt, long_answer = found.over(limits)
    if limits.truncate == "refuse":
        what, most = ("prompt", limits.prompt) if long_prompt else ("answer", limits.answer)
        raise Refused(
            f"the {what} of {found[not long_prompt]:,} tokens after {prompt.text[:60]!r} is longer than "
            f"max_{what}_tokens = {most}\n"
            '  set it higher, or truncate = "drop", "cut_prompt_left", "cut_answer" or "cut_both"'
        )
    if long_answer and limits.truncate not in ("cut_answer", "cut_both"):
        return None
    if not long_prompt:
        return prompt
    cuts = limits.truncate in ("cut_prompt_left", "cut_both")
    return _prompt(prompt, limits.prompt or 0, policy) if cuts else None


def _cut(prompt: Prompt, kept: Sequence[Response]) -> Fitted:
    """What was kept, as said to the whole prompt."""
    own = {"prompt": prompt.id, "parents": (prompt.id,)}
    group = Group(prompt, tuple(r.model_copy(update=own) for r in kept)) if kept else None
    return Fitted(group, bool(kept))


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


def _steps(steps: Sequence[Response], most: int | None) -> Sequence[Response]:
    """All steps if they fit, else as many whole ones as fit: part of a step has no label."""
    sizes = [len(step.tokens) for step in steps]
    if most is None or sum(sizes) <= most:
        return steps
    sizes[-1] -= 1  # without the token that ends an answer
    count = bisect_right(list(accumulate(sizes)), most)
    if not count:
        return ()
    last = steps[count - 1]
    end = {"tokens": last.tokens[: sizes[count - 1]], "finish": "length"}
    return (*steps[: count - 1], last.model_copy(update=end))


_TRIES = 16  # how far back to look for a place where the tokens agree
