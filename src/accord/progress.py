"""How long work tells whoever waits that it goes on: Progress, Silent for when nobody watches, durations."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent", "duration"]


class Progress(Protocol):
    """Phases, one at a time, and lines that stay. Reporting never changes what is done."""

    def begin(self, what: str, total: float | None = None) -> None:
        """A phase starts. ``total`` None: its length is unknown."""
        ...

    def advance(self, done: float = 1, note: str = "") -> None:
        """``done`` more of the phase is finished; ``note`` replaces the phase's last note."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def end(self) -> None:
        """The phase is over."""
        ...


class Silent:
    """A Progress that does nothing."""

    def begin(self, what: str, total: float | None = None) -> None:
        """Nothing."""

    def advance(self, done: float = 1, note: str = "") -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def duration(seconds: float) -> str:
    """A time people can read.

    >>> duration(8.4), duration(95), duration(7260)
    ('8 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
