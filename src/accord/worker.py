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
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="accord-worker", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[object, object, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, patience: float = 30) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=patience)
            if not self._thread.is_alive():
                self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # After Ctrl-C nobody waits for an overseer that does not come back; its thread dies with the process.
        self.close(30 if kind is None else 1)
