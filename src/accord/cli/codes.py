"""What a command says by its exit code."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Exit"]


class Exit(IntEnum):
    """One number per kind of ending, the same for every command.

    ``ERROR`` is all that a person mends by writing something else: a plan, a file, a command line (a usage
    error too, unlike elsewhere), and a fault of Accord itself. ``REFUSED`` is what Accord will not do as
    asked, however it is written, until what the message names is there.
    """

    DONE = 0
    ERROR = 1
    REFUSED = 2
    BAD = 3
    UNCHECKED = 4
    PAUSED = 5
    HALTED = 6
    INTERRUPTED = 130
