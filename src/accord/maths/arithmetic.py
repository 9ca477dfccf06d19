"""The exact value of an arithmetic expression that somebody wrote. A reader of its own: nothing is run."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["LONGEST", "value"]

LONGEST = 200  # characters of an expression; it also bounds how large a value can be
_DEEPEST = 20
_SIGNS = re.compile(r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<sign>[-+*/()])|(?P<other>\S))")


def value(text: str) -> Fraction:
    """What ``text`` comes to: whole numbers and decimals, + − * / and parentheses, as a fraction.

    ValueError, in words for whoever wrote it, where it is no such expression, too long or nested too deep.

    >>> value("12 * (3 + 4) - -1 / 2"), value(".5 / 3")
    (Fraction(169, 2), Fraction(1, 6))
    """
    if len(text) > LONGEST:
        raise ValueError(f"an expression has at most {LONGEST} characters")
    reader = _Reader(_read(text))
    found = reader.total(0)
    if reader.sign:
        raise ValueError(f"{reader.sign!r} stands where + - * / or the end is due")
    return found


def _read(text: str) -> list[str]:
    """Numbers and signs in their order."""
    found: list[str] = []
    for match in _SIGNS.finditer(text):
        if match["other"]:
            raise ValueError(f"{match['other']!r} is neither a number nor one of + - * / ( )")
        found.append(match["number"] or match["sign"])
    return found


class _Reader:
    """Reads from left to right; each method takes what belongs to it and leaves ``sign`` at what follows."""

    def __init__(self, signs: list[str]) -> None:
        self._rest = signs[::-1]

    @property
    def sign(self) -> str:
        """What comes next; "" at the end."""
        return self._rest[-1] if self._rest else ""

    def total(self, depth: int) -> Fraction:
        """Terms, added and subtracted."""
        found = self._product(depth)
        while self.sign in ("+", "-"):
            found += self._product(depth) if self._rest.pop() == "+" else -self._product(depth)
        return found

    def _product(self, depth: int) -> Fraction:
        found = self._factor(depth)
        while self.sign in ("*", "/"):
            by, other = self._rest.pop(), self._factor(depth)
            if by == "/" and other == 0:
                raise ValueError("nothing can be divided by 0")
            found = found * other if by == "*" else found / other
        return found

    def _factor(self, depth: int) -> Fraction:
        negative = False
        while self.sign in ("+", "-"):
            negative ^= self._rest.pop() == "-"
        if self.sign in ("", "*", "/", ")"):
            stands = f"before {self.sign!r}" if self.sign else "at the end"
            raise ValueError(f"a number is lacking {stands}")
        word = self._rest.pop()
        found = self._inside(depth + 1) if word == "(" else Fraction(word)
        return -found if negative else found

    def _inside(self, depth: int) -> Fraction:
        if depth > _DEEPEST:
            raise ValueError(f"parentheses nest at most {_DEEPEST} deep")
        found = self.total(depth)
        if self.sign != ")":
            raise ValueError("a parenthesis is not closed")
        self._rest.pop()
        return found
