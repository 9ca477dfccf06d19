"""What others wrote, read so that it can say one thing only, and shown so that it can do nothing."""

from __future__ import annotations

import unicodedata

__all__ = ["UNSEEN", "Twice", "once", "shown"]

UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that nobody sees: controls, marks of direction, halves of pairs."""

_LONGEST = 100  # characters of a key in a message


class Twice(ValueError):
    """A key stands twice in one object, and readers differ on which one counts."""


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON, for ``object_pairs_hook``. Twice where a key stands there twice.

    >>> once([("a", 1), ("b", 2)])
    {'a': 1, 'b': 2}
    """
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise Twice(f"{key[:_LONGEST]!r} stands twice")
        found[key] = value
    return found


def shown(text: str, longest: int | None = None) -> str:
    """A text as it may be printed, of which at most ``longest`` characters are.

    >>> shown("a\\x1b[2Jb"), shown("abcdef", 3)
    ('a⟨U+001B⟩[2Jb', 'abc…')
    """
    cut = text if longest is None or len(text) <= longest else f"{text[:longest]}…"
    return "".join(c if unicodedata.category(c) not in UNSEEN else f"⟨U+{ord(c):04X}⟩" for c in cut)
