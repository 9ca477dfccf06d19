"""Prose on a terminal: lines broken to its width, under what stands before them."""

from __future__ import annotations

import shutil
import textwrap

__all__ = ["broken", "terminal"]

_NARROW, _WIDE = 80, 110


def terminal() -> int:
    """The terminal's width, within what reads well; the widest where there is no terminal."""
    return min(_WIDE, max(_NARROW, shutil.get_terminal_size((_WIDE, 24)).columns))


def broken(text: str, width: int, head: str = "") -> list[str]:
    """The text behind its head, in lines of ``width``; what follows stands under where it began.

    >>> broken("one two three", 13, head="- ")
    ['- one two', '  three']
    """
    lines = textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head))
    return lines or ([head.rstrip()] if head.strip() else [])
