"""Followers: the other processes of a learner, as rank 0 sees them: started, told, watched and ended.

Each reads its calls from a pipe that rank 0 holds, and ends itself when the pipe does: so a ``kill -9`` of
rank 0 leaves nobody behind. What a follower prints goes to a file, which an error names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from accord.errors import AccordError

__all__ = ["HEAD", "Followers", "Lost"]

HEAD = 8  # bytes that tell the length of a message
_TOLD = 6  # lines of a follower's output in an error
_LATE = 2.0  # seconds until the end of a process can be seen, once its connections are gone
_LEAVE = 10.0  # seconds to end by itself, once there is nothing to follow


class Lost(AccordError):
    """Another rank ended, or did not answer in time."""


class Followers:
    """Ranks 1 … ``count``, in a folder of their own for what they print and how they meet."""

    def __init__(self, count: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="accord-ranks-"))
        self._count, self._owner = count, os.getpid()
        self._running: list[subprocess.Popen[bytes]] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process id of each."""
        return [follower.pid for follower in self._running]

    def start(self, first: Callable[[int], bytes]) -> None:
        """All of them; ``first`` is what a rank is told first."""
        # They find what this process finds, whatever made its path: a script's folder, a notebook's.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        for rank in range(1, self._count + 1):
            with self._log(rank).open("wb") as log:
                follower = subprocess.Popen(
                    [sys.executable, "-P", "-u", "-m", "accord.engines.ranks.follow"],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONPATH": path},
                )
            self._running.append(follower)
            self._send(follower, first(rank))

    def until_ready(self, timeout: float) -> None:
        """Waits until each has opened the model."""
        latest = time.monotonic() + timeout
        waiting = [self.folder / f"{rank}.ready" for rank in range(1, self._count + 1)]
        while not all(file.exists() for file in waiting):
            self.watch()
            if time.monotonic() > latest:
                raise self.lost(f"not ready after {timeout:g} s")
            time.sleep(0.01)

    def tell(self, message: bytes) -> None:
        """The same to each. Lost where one is not there to hear it."""
        for follower in self._running:
            self._send(follower, message)

    def watch(self) -> None:
        """Lost when one has ended."""
        if any(follower.poll() is not None for follower in self._running):
            raise self.lost("")

    def lost(self, reason: str) -> Lost:
        """Who ended and how, or else the ``reason``, with the last lines of what they printed."""
        # The end of a connection is known before the end of the process it went to.
        latest = time.monotonic() + _LATE
        while not (ended := self._ended()) and time.monotonic() < latest:
            time.sleep(0.01)
        lines = [f"rank {rank} of {self._count + 1} {how}" for rank, how in ended]
        lines = lines or [f"ranks of this learner do not answer: {reason}"]
        for rank in [rank for rank, _ in ended] or range(1, self._count + 1):
            lines.append(f"  what rank {rank} printed: {self._log(rank)}")
            printed = self._log(rank).read_text(encoding="utf-8", errors="replace").splitlines()
            lines += [f"    {line}" for line in printed[-_TOLD:]]
        lines.append("  mend what ended it, then go on from the newest checkpoint: accord resume RUN")
        return Lost("\n".join(lines))

    def close(self, broken: BaseException | None = None) -> None:
        """End them all, and wait for it: at once, where a call was ``broken`` off in the middle.

        What they printed stays after an error; a Ctrl-C needs no explanation.
        """
        if self._closed or os.getpid() != self._owner:
            return
        self._closed = True
        for follower in self._running:
            if broken is not None:  # it may be in the middle of a long share
                follower.kill()
            with contextlib.suppress(OSError):
                cast("IO[bytes]", follower.stdin).close()
        for follower in self._running:
            try:
                follower.wait(_LEAVE)
            except subprocess.TimeoutExpired:
                follower.kill()
                follower.wait()
        if not isinstance(broken, Exception):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _ended(self) -> list[tuple[int, str]]:
        """Ranks that ended, each with how."""
        codes = [(rank, follower.poll()) for rank, follower in enumerate(self._running, 1)]
        return [(rank, _how(code)) for rank, code in codes if code is not None]

    def _log(self, rank: int) -> Path:
        return self.folder / f"rank-{rank}.log"

    def _send(self, follower: subprocess.Popen[bytes], message: bytes) -> None:
        pipe = cast("IO[bytes]", follower.stdin)
        try:
            pipe.write(len(message).to_bytes(HEAD, "big") + message)
            pipe.flush()
        except OSError as error:
            raise self.lost(str(error)) from error


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
