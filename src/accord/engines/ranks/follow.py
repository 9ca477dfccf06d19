"""What a follower runs: ``python -m accord.engines.ranks.follow``; ``followers.py`` starts it, nobody else.

Calls come through the standard input, one pickled (name, arguments) each, from the process that started this
one. When that ends, however it ends, so does the input, and this process at once.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast

from accord.engines.local import calm_threads
from accord.engines.ranks.followers import HEAD

if TYPE_CHECKING:
    from accord.engines.ranks.learner import RankLearner
    from accord.engines.ranks.start import Begin

__all__ = ["follow"]


def follow() -> None:
    """Open the learner that the first message describes; then make every call that is told."""
    # A Ctrl-C in the terminal reaches all processes; what becomes of it is rank 0's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _broken
    inbox: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_read, args=(_input(), inbox), daemon=True).start()
    calm_threads()
    import torch

    from accord.engines.ranks.group import Abandoned

    begin = cast("Begin", pickle.loads(inbox.get()))  # noqa: S301 - from the process that started this one
    torch.set_num_threads(begin.place.threads)
    learner = begin.joined()
    while True:
        name, given = cast("tuple[str, tuple[Any, ...]]", pickle.loads(inbox.get()))  # noqa: S301
        try:
            _made(learner, name, given)
        except Abandoned:
            traceback.print_exc()


def _made(learner: RankLearner, name: str, given: tuple[Any, ...]) -> None:
    match name, given:
        case "sample", (*asked, forced):
            view = learner.sampler()
            view.forced = forced
            asyncio.run(view.sample(*asked))
        case "score", _:
            asyncio.run(learner.sampler().score(*given))
        case _:
            getattr(learner, name)(*given)


def _broken(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An error outside of any call: printed, and the end, before gloo's threads can make it an abort."""
    traceback.print_exception(kind, error, trace)
    os._exit(1)


def _input() -> IO[bytes]:
    """The pipe under a number of its own, so that nothing else reads from it."""
    pipe = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def _read(pipe: IO[bytes], inbox: queue.Queue[bytes]) -> None:
    """Every whole message; at the end of the pipe there is nobody left to follow."""
    while len(head := pipe.read(HEAD)) == HEAD:
        length = int.from_bytes(head, "big")
        message = pipe.read(length)
        if len(message) < length:
            break
        inbox.put(message)
    # Not sys.exit: the main thread may be in a long pass, and gloo's threads abort an orderly end.
    os._exit(0)


if __name__ == "__main__":
    follow()
