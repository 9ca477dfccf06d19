"""Wire: sums and exchanges between the ranks of one learner, by gloo over this machine's loopback.

The ranks meet through a file, so no port is chosen and nothing listens to other machines. The group is this
object's own, not torch's default one: a learner may follow another in one process.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, distributed

__all__ = ["Wire"]

_LONGEST_PAUSE = 0.02


class Wire:
    """Every rank makes the same calls in the same order. RuntimeError when another is gone or too late.

    ``watch`` is called while this rank waits, and may raise.
    """

    def __init__(
        self, folder: Path, rank: int, size: int, timeout: float, watch: Callable[[], None] = lambda: None
    ) -> None:
        gloo = cast(Any, distributed).ProcessGroupGloo
        options = gloo._Options()
        options._timeout = timedelta(seconds=timeout)
        options._devices = [gloo.create_device(hostname="127.0.0.1")]
        store = cast(Any, distributed).FileStore(str(folder / "meeting"), size)
        self._gloo: Any = gloo(store, rank, size, options)
        self._rank, self._size, self._watch = rank, size, watch

    def add(self, tensor: Tensor) -> None:
        """The sum over all ranks takes the place of each rank's numbers; the same bits on all of them."""
        self._wait(self._gloo.allreduce([tensor]))

    def everyone(self, mine: object) -> list[Any]:
        """What each rank gave, by rank. Its own comes back as it is, the others' as copies."""
        raw = bytearray(pickle.dumps(mine, pickle.HIGHEST_PROTOCOL))
        lengths = [int(length) for length in self._gathered(torch.tensor([len(raw)]))]
        raw += bytes(max(lengths) - len(raw))
        given = self._gathered(torch.frombuffer(raw, dtype=torch.uint8))
        found: list[Any] = []
        for rank, (length, sent) in enumerate(zip(lengths, given, strict=True)):
            told = mine if rank == self._rank else pickle.loads(sent.numpy()[:length].tobytes())  # noqa: S301 - of our own processes
            found.append(told)
        return found

    def close(self) -> None:
        """At once, not when the interpreter ends: gloo's threads would abort the process then."""
        self._gloo = None

    def _gathered(self, mine: Tensor) -> list[Tensor]:
        found = [torch.empty_like(mine) for _ in range(self._size)]
        self._wait(self._gloo.allgather([found], [mine]))
        return found

    def _wait(self, work: Any) -> None:
        """Looking up now and then: torch's own wait hears no Ctrl-C and sees no process end."""
        pause = 5e-5
        while not work.is_completed():
            self._watch()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        work.wait()
