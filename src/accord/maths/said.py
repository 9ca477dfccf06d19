"""What an answer says, by its exact words: which option it names, whether it says a text. No judge, no model.

Words are compared as ``plain`` cuts them. A limit of exact words: who says the same in other words, or names
an option to set it aside at length, is not understood. An option right behind a "not" is not named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["option_named", "option_said", "plain", "sayable", "says"]

_WORD = re.compile(r"[^\W_]*[^\W\d_][^\W_]*(?:['’][^\W_]+)*|(?:(?<!\w)[-−])?\d+(?:[.,:/]\d+)*%?")
_GROUPED = re.compile(r"^-?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")
_ARTICLES = frozenset({"a", "an", "the"})
_DENIES = frozenset({"not", "never", "isn't", "aren't", "wasn't", "no", "neither", "nor", "cannot", "can't"})

# A letter that stands alone in front, or is announced. "A dog" begins with an article.
_FIRST = re.compile(r"^\W*([A-H])(?=[).:,\]*]|\s*$|[ \t]*\n)")
_ANNOUNCED = re.compile(
    r"(?i:\b(?:answer|option|choice|choose|pick)(?: is)?):? ?\W{0,3}([A-H])\b(?!['’]| [a-z])"
)
_NEEDS = re.compile(r"(?i)\bof (?:these|the following|those|the options)\b|\bfollowing\b|\bbelow\b|_{2,}")
_FEW = 4  # words


def plain(text: str) -> tuple[str, ...]:
    """Words in lower case, without articles and marks; numbers keep sign, fraction and clock, and lose the
    commas between thousands.

    >>> plain("The answer is 86,400 (a day)."), plain("-5 1/36"), plain("A")
    (('answer', 'is', '86400', 'day'), ('-5', '1/36'), ('a',))
    """
    found = [w.replace("’", "'").replace("−", "-") for w in _WORD.findall(text.casefold())]
    words = [w.replace(",", "") if _GROUPED.match(w) else w for w in found]
    kept = tuple(w for w in words if w not in _ARTICLES)
    return kept or tuple(words)


def says(text: str, target: str) -> bool:
    """Whether the words of ``target`` stand in the text in a row, and not right behind a "not".

    >>> says("It is the river Nile.", "Nile"), says("Not the Nile.", "Nile"), says("Nilotic.", "Nile")
    (True, False, False)
    """
    return bool(_named(plain(text), {plain(target): 0}))


def option_named(text: str, options: Sequence[str]) -> int | None:
    """The place of the one option whose words an answer says; None for none or several.

    One within a longer one that is named is not named by that.

    >>> [option_named(text, ["tin", "tin oxide"]) for text in ("Tin!", "It's tin oxide.", "Tin or tin oxide")]
    [0, 1, None]
    """
    named = _named(plain(text), {plain(option): i for i, option in enumerate(options)})
    return named.pop() if len(named) == 1 else None


def option_said(text: str, options: Sequence[str]) -> int | None:
    """The same where the options stand under letters: a letter names one too, unless the words say another.

    >>> [option_said(text, ["tin", "salt"]) for text in ("B", "(B) salt", "It is salt.", "A. salt", "A salt")]
    [1, 1, 1, None, 1]
    """
    letter = _FIRST.match(text) or _ANNOUNCED.search(text)
    place = ord(letter[1]) - ord("A") if letter else len(options)
    if place >= len(options):
        return option_named(text, options)
    named = _named(plain(text), {plain(option): i for i, option in enumerate(options)})
    return place if named <= {place} else None


def sayable(question: str, answer: str) -> bool:
    """Whether a question can be put without its options, and answered in four words or fewer.

    >>> sayable("Which metal is liquid?", "mercury"), sayable("Which of these is a metal?", "tin")
    (True, False)
    """
    return not _NEEDS.search(question) and 1 <= len(plain(answer)) <= _FEW


def _named(words: tuple[str, ...], options: dict[tuple[str, ...], int]) -> set[int]:
    """The places of all options that stand in these words; at each word the longest one."""
    longest = sorted((option for option in options if option), key=len, reverse=True)
    found: set[int] = set()
    at = 0
    while at < len(words):
        here = next((o for o in longest if words[at : at + len(o)] == o), None)
        if here is not None and (at == 0 or words[at - 1] not in _DENIES):
            found.add(options[here])
        at += len(here) if here is not None else 1
    return found
