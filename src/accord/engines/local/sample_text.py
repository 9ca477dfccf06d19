"""A row as a person reads it: its tokens as text, and which of them are the answer that is learnt."""

from __future__ import annotations

import unicodedata
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from accord.records import Sequence as Masked

__all__ = ["masked_text"]

_OPEN, _SHUT = "⟦", "⟧"
_MOST, _HEAD, _TAIL = 1200, 800, 300  # characters of one stretch: whole up to _MOST, else its two ends


def masked_text(tokenizer: object, sequence: Masked, learnt: bool = True) -> list[str]:
    """Lines: how many tokens are prompt and answer, then the text with the answer in ⟦ ⟧.

    Special tokens show by their names, so the template and the end of the answer can be seen, and line breaks
    as ↵. ``learnt`` False: the answer is still to be drawn, and only the prompt is shown.
    """
    said = sum(sequence.answer)
    asked = len(sequence.tokens) - said
    text = ""
    for answer, part in groupby(zip(sequence.answer, sequence.tokens, strict=True), key=lambda pair: pair[0]):
        if answer and not learnt:
            continue
        words = _written(tokenizer, [token for _, token in part])
        text += f"{_OPEN}{words}{_SHUT}" if answer else words
    if learnt:
        told = f"the first row: {asked:,} tokens of prompt, {said:,} of answer, in {_OPEN}{_SHUT}"
    else:
        told = f"the first prompt, {asked:,} tokens; its answers are drawn"
    return [told, *(f"  │ {line}" for line in text.split("\n") if line)]


def _written(tokenizer: object, tokens: list[int]) -> str:
    text = cast(
        str,
        cast(Any, tokenizer).decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False),
    )
    if len(text) > _MOST:
        text = f"{text[:_HEAD]} … {len(text) - _HEAD - _TAIL:,} characters … {text[-_TAIL:]}"
    return "".join(_sign(sign) for sign in text)


def _sign(sign: str) -> str:
    """Line breaks stay and can be seen; what would steer a terminal or turn the writing is named."""
    if sign == "\n":
        return "↵\n"
    if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\u{ord(sign):04x}"
    return sign
