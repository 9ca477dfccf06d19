"""Generators side by side, one core each: no product waits for another core."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import torch

__all__ = ["side_by_side"]

T = TypeVar("T")


class _Ended(NamedTuple):
    part: int


def side_by_side(parts: Sequence[Iterator[T]], cores: int) -> Iterator[T]:
    """What the parts yield, as it comes; the first error of any ends all.

    ``cores`` is what torch goes back to: the number of threads is each thread's own for OpenMP, but MKL's is
    the whole process's.
    """
    found: queue.Queue[T | _Ended] = queue.Queue()
    stop = threading.Event()

    def work(number: int) -> None:
        torch.set_num_threads(1)
        try:
            for item in parts[number]:
                found.put(item)
                if stop.is_set():
                    return
        finally:
            found.put(_Ended(number))

    pool = ThreadPoolExecutor(len(parts))
    futures = [pool.submit(work, number) for number in range(len(parts))]
    left = len(parts)
    try:
        while left:
            item = found.get()
            if isinstance(item, _Ended):
                futures[item.part].result()  # raises what the part raised
                left -= 1
            else:
                yield item
    finally:
        stop.set()
        pool.shutdown()
        torch.set_num_threads(cores)
