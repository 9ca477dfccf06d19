"""Where a rater's questions are drawn, and where their lines come from: a terminal, or a pipe."""

from __future__ import annotations

import contextlib
import importlib
import io
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accord.errors import Refused

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Face", "edited"]


class Face(NamedTuple):
    """Where it is drawn, where lines come from (None: no more), and whether a person types them."""

    console: Console
    line: Callable[[str], str | None]
    typed: bool

    @classmethod
    def here(cls, *, aside: bool) -> Face:
        """This terminal, or whatever stands in its place. ``aside``: drawn on stderr."""
        from rich.console import Console

        to = sys.stderr if aside else sys.stdout
        # A terminal that knows few characters is still one, and so is a pipe with a broken one.
        for stream, errors in ((to, "backslashreplace"), (sys.stdin, "replace")):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=errors)
        typed = sys.stdin.isatty() and to.isatty()
        if typed:
            with contextlib.suppress(ImportError):
                importlib.import_module("readline")  # input() edits lines with it
        return cls(Console(file=to, highlight=False, emoji=False), _typed if typed else _piped, typed)


def _typed(prompt: str) -> str | None:
    try:
        return input(prompt)
    except EOFError:
        return None


def _piped(_: str) -> str | None:
    return sys.stdin.readline() or None


def edited(editor: str, text: str) -> str:
    """The text after a person had it in their editor. Refused where the editor failed."""
    with tempfile.TemporaryDirectory(prefix="accord-") as folder:
        file = Path(folder) / "answer.txt"
        file.write_text(text, encoding="utf-8", errors="replace")
        try:
            code = subprocess.run([*shlex.split(editor), str(file)], check=False).returncode  # noqa: S603
        except (OSError, ValueError) as error:
            raise Refused(f"{editor} cannot be started: {error}\n  set EDITOR to one that can") from error
        if code != 0:
            raise Refused(f"{editor} ended with {code}; the text stays as it was")
        return file.read_text(encoding="utf-8", errors="replace").removesuffix("\n")
