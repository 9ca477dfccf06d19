"""How long work tells whoever waits for it that it goes on: Progress, and Silent for when nobody watches."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


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
