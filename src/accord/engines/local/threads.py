"""Generators side by side, one core each: no product waits for another core."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch

__all__ = ["side_by_side"]

T = TypeVar("T")


class _Ended(NamedTuple):
    error: BaseException | None


def side_by_side(parts: Sequence[Iterator[T]], cores: int) -> Iterator[T]:
    """What the parts yield, as it comes; the first error of any ends all.

    ``cores`` is what torch goes back to: the number of threads is each thread's own for OpenMP, but MKL's is
    the whole process's.
    """
    found: queue.Queue[T | _Ended] = queue.Queue()
    stop = threading.Event()

    def work(part: Iterator[T]) -> None:
        torch.set_num_threads(1)
        error: BaseException | None = None
        try:
            for item in part:
                found.put(item)
                if stop.is_set():
                    break
        # Whatever a part raises is raised again where its items are read.
        except BaseException as raised:  # noqa: BLE001
            error = raised
        found.put(_Ended(error))

    threads = [threading.Thread(target=work, args=(part,), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        left = len(threads)
        while left:
            item = found.get()
            if isinstance(item, _Ended):
                left -= 1
                if item.error is not None:
                    raise item.error
            else:
                yield item
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        torch.set_num_threads(cores)
