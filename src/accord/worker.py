"""Worker: one thread with an event loop, for overseers and samplers that wait.

The training loop is synchronous; what it awaits runs here, so it also works inside a notebook, whose own
event loop is busy.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Self, TypeVar

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """``run(coroutine)`` waits for its result. Ctrl-C cancels what is running and is raised here."""

    def __init__(self) -> None:
        # The thread makes and closes its own loop: Ctrl-C is raised in the main thread only, so it can never
        # leave half a loop behind.
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="accord-worker", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready.set()
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def run(self, work: Coroutine[object, object, T]) -> T:
        self._ready.wait()
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, patience: float = 30) -> None:
        """Stop the loop and wait so long for the thread to end."""
        self._ready.wait()
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # After Ctrl-C nobody waits for an overseer that does not come back; its thread dies with the process.
        self.close(30 if kind is None else 1)
