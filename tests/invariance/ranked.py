"""What other processes import for ``test_ranks.py``: losses, and a rank 0 to kill."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accord.engines.local import Local
from accord.engines.ranks import Ranks
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import How, Needs, Task
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row

SETTINGS: dict[str, Any] = {
    "lr": 1e-3,
    "rank": 4,
    "weight_decay": 0.1,
    "decode": "float32",
    "precision": "float32",
    "device": "cpu",
}


_PLAIN = Needs()


def nll(out: Any, batch: Batch) -> Mapping[str, torch.Tensor]:
    return {"nll": -(torch.as_tensor(batch.tokens["weight"]) * out.logp_T).sum()}


def not_a_number(out: Any, batch: Batch) -> Mapping[str, torch.Tensor]:
    return {"nll": nll(out, batch)["nll"] * float("nan")}


@dataclass(frozen=True)
class Breaks:
    """Raises in the process ``pid``, or everywhere but there."""

    pid: int
    there: bool

    def loss(self, out: Any, batch: Batch) -> Mapping[str, torch.Tensor]:
        if (os.getpid() == self.pid) is self.there:
            raise ArithmeticError(f"told to raise over {len(batch.row_S)} rows")
        return nll(out, batch)


@dataclass(frozen=True)
class Spoils:
    """Moves weights behind the learner's back, everywhere but in the process ``pid``."""

    pid: int

    def loss(self, out: Any, batch: Batch) -> Mapping[str, torch.Tensor]:
        if os.getpid() != self.pid:
            out._head.weight.data.mul_(1.001)
        return nll(out, batch)


@dataclass(frozen=True)
class Dies:
    """Ends its process, unless that is the process ``pid``."""

    pid: int

    def loss(self, out: Any, batch: Batch) -> Mapping[str, torch.Tensor]:
        if os.getpid() != self.pid:
            print("told to die", flush=True)  # noqa: T201 - what the error is to repeat
            os.kill(os.getpid(), 9)
        return nll(out, batch)


def one(model: Path, needs: Needs = _PLAIN, **told: Any) -> Any:
    return Local(**SETTINGS | told).learner(str(model), Task("run/stage", 0, needs))


def two(model: Path, needs: Needs = _PLAIN, **told: Any) -> Any:
    return Ranks(local=Local(**SETTINGS | told), timeout=240).learner(str(model), Task("run/stage", 0, needs))


def rank_zero(model: str, ends: str) -> Any:
    """Trains on two ranks: until it is killed, or a few steps. Returns the learner, still open."""
    learner = two(Path(model))
    row = Row((Episode.single(learner.sampler().encode(Prompt.of("a"), "b")),))
    batch = likelihood_batch([row, row], 1, 2, np.random.default_rng(0), {})
    print(learner._group.place.folder, *learner._group.pids, flush=True)  # noqa: T201
    step = 0
    while ends == "killed" or step < 3:
        assert learner.update(batch, 0, SFT().loss).applied
        asyncio.run(learner.sampler().sample([Prompt.of("a"), Prompt.of("b")], 2, How("key", 1.0, 3)))
        step += 1
    return learner


def gone(pid: int) -> bool:
    """Whether the process ended; one that nobody has waited for yet has ended too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def soon(seen: Callable[[], bool], patience: float = 120) -> bool:
    latest = time.monotonic() + patience
    while not seen() and time.monotonic() < latest:
        time.sleep(0.02)
    return seen()


if __name__ == "__main__":
    kept = rank_zero(*sys.argv[1:])  # to the very end of the program
