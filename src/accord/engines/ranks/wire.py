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
_LENGTH, _FRAME = 8, 1024


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
        raw = pickle.dumps(mine, pickle.HIGHEST_PROTOCOL)
        # The first frame tells the length and holds as much as fits: mostly that is all, in one round.
        head = (len(raw).to_bytes(_LENGTH, "big") + raw)[:_FRAME].ljust(_FRAME, b"\0")
        heads = self._bytes(head)
        lengths = [int.from_bytes(one[:_LENGTH], "big") for one in heads]
        most = max(0, max(lengths) - _FRAME + _LENGTH)
        rests = self._bytes(raw[_FRAME - _LENGTH :].ljust(most, b"\0")) if most else [b""] * self._size
        found: list[Any] = []
        for rank, length in enumerate(lengths):
            given = (heads[rank][_LENGTH:] + rests[rank])[:length]
            found.append(mine if rank == self._rank else pickle.loads(given))  # noqa: S301 - of our own processes
        return found

    def close(self) -> None:
        """At once, not when the interpreter ends: gloo's threads would abort the process then."""
        self._gloo = None

    def _bytes(self, mine: bytes) -> list[bytes]:
        """As many from each rank."""
        sent = torch.frombuffer(bytearray(mine), dtype=torch.uint8)
        found = [torch.empty_like(sent) for _ in range(self._size)]
        self._wait(self._gloo.allgather([found], [sent]))
        return [one.numpy().tobytes() for one in found]

    def _wait(self, work: Any) -> None:
        """Looking up now and then: torch's own wait hears no Ctrl-C and sees no process end."""
        pause = 5e-5
        while not work.is_completed():
            self._watch()
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        work.wait()
