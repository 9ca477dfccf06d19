"""Group: one call on every rank. It ends the same way on all: each has its result, or all have given up.

An error of one rank is raised on rank 0 as if there were one process; the others forget the call and wait for
the next. What cannot be taken back (a rank that is gone, Ctrl-C in the middle of a call) ends the group.
"""

from __future__ import annotations

import asyncio
import pickle
import threading
import traceback
import weakref
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor

from accord.engines.ranks.followers import Followers, Lost
from accord.engines.ranks.wire import Wire
from accord.errors import AccordError, ContractError

__all__ = ["Abandoned", "Group", "Place"]

T = TypeVar("T")


class Abandoned(Exception):
    """On a follower: this call is given up, on all ranks; another one may come."""


class Place(NamedTuple):
    """Which rank this is of how many, its threads, the folder they meet in, and how long it may wait."""

    rank: int
    size: int
    threads: int
    folder: Path
    timeout: float


class _Failure(NamedTuple):
    """An error on its way to other ranks: Accord's own and Python's as they are, others by their text."""

    kind: type[Exception]
    args: tuple[object, ...]
    told: dict[str, object]
    trace: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        trace = "".join(traceback.format_exception(error))
        if isinstance(error, AccordError):
            return cls(type(error), error.args, dict(vars(error)), trace)
        if type(error).__module__ == "builtins":
            return cls(type(error), tuple(map(str, error.args)), {}, trace)
        return cls(RuntimeError, (f"{type(error).__qualname__}: {error}",), {}, trace)

    def error(self) -> Exception:
        made = self.kind.__new__(self.kind, *self.args)
        vars(made).update(self.told)
        made.add_note(f"on another rank:\n{self.trace}")
        return made


@dataclass
class _Joint:
    """What this rank found in a call, and then what each did."""

    mine: object = None
    parts: list[Any] = field(default_factory=list[Any])


class Group:
    """The ranks of one learner, seen from one of them. Rank 0 has ``followers``, and makes the calls."""

    def __init__(self, place: Place, followers: Followers | None = None) -> None:
        self.place, self._followers = place, followers
        self._wires: list[Wire] = []
        self._turn = threading.Lock()
        self._end = weakref.finalize(self, _end, self._wires, followers)

    @property
    def pids(self) -> list[int]:
        """The process ids of the followers."""
        return self._followers.pids if self._followers else []

    def join(self) -> None:
        """Meet the others, once all are there."""
        place, watch = self.place, self._followers.watch if self._followers else lambda: None
        self._wires.append(Wire(place.folder, place.rank, place.size, place.timeout, watch))

    def close(self) -> None:
        """End the other processes. Further calls raise."""
        self._end()

    def each(self, name: str, given: tuple[object, ...], work: Callable[[], T]) -> T:
        """The learner's method ``name`` on every rank, which is ``work`` here. Returns this rank's result."""
        with self._called(name, given):
            return work()

    def together(self, name: str, given: tuple[object, ...], work: Callable[[], T]) -> list[T]:
        """The same, with what every rank found, by rank."""
        with self._called(name, given) as joint:
            joint.mine = work()
        return cast("list[T]", joint.parts)

    async def awaited(
        self, name: str, given: tuple[object, ...], work: Callable[[], Awaitable[T]]
    ) -> list[T]:
        """The same for work that lets others run in between; these wait with calls of their own."""
        while self._turn.locked():
            await asyncio.sleep(0.001)
        with self._called(name, given) as joint:
            joint.mine = await work()
        return cast("list[T]", joint.parts)

    @contextmanager
    def agreed(self) -> Generator[None]:
        """Within a call: all ranks get through this part, or all give the call up."""
        try:
            yield
        except Exception as error:
            if self._wires:
                self.everyone(_Failure.of(error))
            raise
        self.everyone(None)

    def everyone(self, mine: T) -> list[T]:
        """Within a call: what each rank gave. Raises where one gave up, unless this one did."""
        with self._wired() as wire:
            found = wire.everyone(mine)
        failed = next((given for given in found if isinstance(given, _Failure)), None)
        if failed is not None and not isinstance(mine, _Failure):
            raise failed.error()
        return found

    def add(self, tensor: Tensor) -> None:
        """Within a call: each rank's numbers become their sum over all."""
        with self._wired() as wire:
            wire.add(tensor)

    @contextmanager
    def _called(self, name: str, given: tuple[object, ...]) -> Generator[_Joint]:
        with self._turn:
            self._tell(name, given)
            joint, threads = _Joint(), torch.get_num_threads()
            # Only for the call: what rank 0 does alone (a base, a judge) may take all cores meanwhile.
            torch.set_num_threads(self.place.threads)
            try:
                yield joint
            except Exception as error:
                if self._wires:
                    self.everyone(_Failure.of(error))
                if self.place.rank:
                    raise Abandoned(name) from error
                raise
            except BaseException as error:
                self._fail(error)
                raise
            else:
                joint.parts = self._parts(name, joint.mine)
            finally:
                torch.set_num_threads(threads)

    def _parts(self, name: str, mine: object) -> list[object]:
        if not self.place.rank:
            return self.everyone(mine)
        try:
            return self.everyone(mine)
        except Exception as error:
            raise Abandoned(name) from error

    def _tell(self, name: str, given: tuple[object, ...]) -> None:
        """To the followers, if this is rank 0. Nothing is sent that cannot be."""
        if not self._wires:
            raise Lost("the processes of this learner were ended; open a learner anew, or accord resume RUN")
        if self._followers is None:
            return
        try:
            message = pickle.dumps((name, given), pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            promise = "loss can be sent to other processes: a method of a Part, or a function of a module"
            raise ContractError("the method", promise, str(error)) from error
        try:
            self._followers.tell(message)
        except BaseException as error:
            self._fail(error)
            raise

    @contextmanager
    def _wired(self) -> Generator[Wire]:
        """The wire for one exchange; one that does not come to its end ends the group."""
        try:
            yield self._wires[0]
        except RuntimeError as error:
            lost = self._followers.lost(str(error).strip()) if self._followers else error
            self._fail(lost)
            raise lost from error
        except BaseException as error:
            self._fail(error)
            raise

    def _fail(self, error: BaseException) -> None:
        if self._end.detach():
            _end(self._wires, self._followers, error)


def _end(wires: list[Wire], followers: Followers | None, broken: BaseException | None = None) -> None:
    """Followers first: an exchange that is not over ends with their connections, and closing waits for it."""
    if followers is not None:
        followers.close(broken)
    while wires:
        wires.pop().close()
