"""Cells of a CSV file that a spreadsheet shows as text, whatever somebody wrote into them."""

from __future__ import annotations

__all__ = ["cell"]

# A spreadsheet takes a cell that begins so for a formula, or drops the sign and then finds one. Full-width
# forms of the signs are taken for the signs themselves by some (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell(text: str) -> str:
    r"""``text`` so that no spreadsheet computes it: an apostrophe before what would begin a formula.

    It must also be quoted as CSV asks for, which the writer does; a line break inside stays in its cell.

    >>> cell("=1+1"), cell("-2"), cell("\tx"), cell("a=b"), cell("")
    ("'=1+1", "'-2", "'\tx", 'a=b', '')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text
