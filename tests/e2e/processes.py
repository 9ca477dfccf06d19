"""The command line in processes that can be interrupted, killed at a file's change, and told apart.

A process is forked from a server that has the heavy imports behind it: twenty runs, killed and resumed, take
a minute instead of ten. What runs in it is ``accord.cli.main``; only the start of the interpreter is shared.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Blade", "Ended", "Running", "accord", "start"]

_SERVED = (
    "torch",
    "transformers",
    "peft",
    "accord.engines.local.learner",
    "accord.pipeline",
    "accord.cli.app",
    "accord.reports",
    "accord.stores.index",
    "e2e.processes",
    "e2e.served",
)


class Ended(NamedTuple):
    """How a process ended: its exit code (negative: the signal), and all that it printed."""

    code: int
    out: str
    err: str


class Blade(NamedTuple):
    """Ends its process at the ``at``-th change of a file, without a warning; 0 only counts.

    ``note`` tells afterwards how many changes there were, and which one was the last. ``torn``: where the
    last one is a write, the first half of it happens.
    """

    note: Path
    at: int = 0
    torn: bool = False


@dataclass
class Running:
    """A process that runs ``accord WORDS``."""

    words: Sequence[str]
    process: ForkServerProcess
    _out: Path
    _err: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()

    def interrupt(self) -> None:
        """Ctrl-C."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGINT)

    def until(self, seen: Callable[[], bool], patience: float = 120) -> bool:
        """Waits until something is seen; False when the process ends before."""
        latest = time.monotonic() + patience
        while not seen():
            if not self.alive:
                return seen()
            if time.monotonic() > latest:
                self.kill()
                raise AssertionError(
                    f"accord {' '.join(self.words)}: not seen in {patience} s\n{self._said()}"
                )
            time.sleep(0.002)
        return True

    def end(self, patience: float = 300) -> Ended:
        """Waits for the end."""
        self.process.join(patience)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"accord {' '.join(self.words)} did not end in {patience} s\n{self._said()}")
        said = self._said()
        shutil.rmtree(self._out.parent)
        return said

    def _said(self) -> Ended:
        out, err = (
            file.read_text(encoding="utf-8") if file.exists() else "" for file in (self._out, self._err)
        )
        return Ended(self.process.exitcode if self.process.exitcode is not None else -1, out, err)


def start(
    words: Sequence[str], at: Path, env: Mapping[str, str] | None = None, blade: Blade | None = None
) -> Running:
    """Begin ``accord WORDS`` in the folder ``at``, in a process of its own."""
    said = Path(tempfile.mkdtemp(prefix="accord-said-"))
    out, err = said / "out", said / "err"
    task = (list(words), str(at), dict(env or {}), (str(out), str(err)), blade)
    process = _server().Process(target=_serve, args=task)
    process.start()
    return Running(words, process, out, err)


def accord(
    *words: str | Path, at: Path, env: Mapping[str, str] | None = None, blade: Blade | None = None
) -> Ended:
    """``accord WORDS`` in the folder ``at``, to its end."""
    return start([str(word) for word in words], at, env, blade).end()


@cache
def _server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_SERVED))
    # One thread each: two processes share few cores, and a resume wants the thread count it began with.
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        context.Process(
            target=int
        ).start()  # the server starts with the first process, and keeps its environment
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context


def _serve(
    words: list[str], at: str, env: dict[str, str], said: tuple[str, str], blade: Blade | None
) -> None:
    """In the process: become a shell's ``accord WORDS``."""
    os.chdir(at)
    os.environ.update(env)
    if "OMP_NUM_THREADS" in env:  # read once per interpreter, and that was in the server
        import torch

        torch.set_num_threads(int(env["OMP_NUM_THREADS"]))
    for number, name in zip((1, 2), said, strict=True):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    from accord.cli import main

    told = _hang(blade) if blade else None
    code = main(words)
    if told:
        told()
    sys.exit(code)


def _hang(blade: Blade) -> Callable[[], None]:
    """Let every change of a file pass by the blade; returns what notes their number at the end."""
    passed, folder = 0, str(blade.note.parent)

    def note(what: str) -> None:
        file = os.open(blade.note, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.write(file, f"{passed} {what}".encode("utf-8", "surrogateescape"))
        os.close(file)

    def falls(what: str) -> bool:
        nonlocal passed
        passed += 1
        if passed != blade.at:
            return False
        note(what)
        return True

    def heard(event: str, given: tuple[Any, ...]) -> None:
        opens = event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR) and os.O_CREAT & given[2]
        changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
        if not (opens or changes) or (isinstance(given[0], str) and given[0].startswith(folder)):
            return
        if falls(f"{event} {os.fspath(given[0])}" if isinstance(given[0], (str, os.PathLike)) else event):
            os.kill(os.getpid(), signal.SIGKILL)

    write, sync = os.pwrite, os.fsync

    def pwrite(file: int, data: Any, offset: int) -> int:
        if falls("a write"):
            write(file, bytes(data)[: len(data) // 2 if blade.torn else 0], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, data, offset)

    def fsync(file: int) -> None:
        if falls("a sync"):
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)

    os.pwrite, os.fsync = pwrite, fsync
    sys.addaudithook(heard)
    return lambda: note("changes in all")
