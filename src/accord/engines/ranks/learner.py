"""RankLearner: a LocalLearner that computes its share of the rows and adds up with the other ranks.

Counts are those of the whole step, so gradients and totals add exactly; after the sum every rank holds the
same bits and makes the same optimizer step. A rank without rows adds zeros.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from accord.engines.local.learner import Dtypes, LocalLearner
from accord.engines.ranks.sampler import RankSampler
from accord.engines.ranks.shares import shares
from accord.errors import ContractError, Refused
from accord.ports import Ahead, Loss, Needs, StepOutcome, Task
from accord.records import ModelRef
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Floats, Row

if TYPE_CHECKING:
    from accord.engines.local import Local
    from accord.engines.local.models import Opened
    from accord.engines.ranks.group import Group

__all__ = ["RankLearner"]

_BUCKET = 1 << 24  # numbers that are summed at once: 64 MiB of float32


class RankLearner(LocalLearner):
    """The port ``Learner`` on every rank; called on rank 0, and on the others through ``group``."""

    def __init__(self, config: Local, opened: Opened, task: Task, dtypes: Dtypes, group: Group) -> None:
        super().__init__(config, opened, task, dtypes)
        self._group = group
        self._processes = group.place.size

    @property
    def notes(self) -> list[str]:
        place = self._group.place
        each = f"{place.threads} thread{'s' if place.threads > 1 else ''} each"
        return [f"{place.size} processes share the rows, {each}", *super().notes]

    def foresee(self, ahead: Ahead) -> list[str]:
        """Every rank measures its share beside the others, and does what its memory demands."""
        foresee, size = super().foresee, self._group.place.size

        def work() -> list[str]:
            try:
                return foresee(self._shared(ahead))
            except Refused as refused:  # the settings it names stand one table deeper here
                raise Refused(str(refused).replace("learner.", "learner.local.")) from refused

        # Models beside the policy are rank 0's alone, and cannot be sent.
        told = self._group.together("foresee", (ahead._replace(beside=()),), work)
        return [f"for each of {size} processes, with its share of the rows:", *told[0]]

    def sampler(self) -> RankSampler:
        return RankSampler(
            self._opened,
            self.version,
            self._forward,
            decoder=self._decoder,
            current=lambda: self.version,
            progress=self._task.progress,
        ).shared(self._group)

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        sequences_R = [_sequences(row) for row in rows]
        taken = shares(sequences_R, self._group.place.size)
        mine, measured = [rows[r] for r in taken[self._group.place.rank]], super().measure
        parts = self._group.together("measure", (tuple(rows), needs), lambda: measured(mine, needs))
        starts = np.cumsum([0, *(len(sequences) for sequences in sequences_R)])
        order = np.argsort([s for share in taken for r in share for s in range(starts[r], starts[r + 1])])
        columns = {name: [column for part in parts for column in part[name]] for name in parts[0]}
        return {name: tuple(found[int(place)] for place in order) for name, found in columns.items()}

    def update(self, batch: Batch, step: int, loss: Loss, done: float = 0.0) -> StepOutcome:
        alone, updated = _alone(batch, step), super().update
        given = (alone, 0, _sendable(loss), done)
        return self._group.each("update", given, lambda: updated(alone, 0, loss, done))

    def gradients(self, batch: Batch, step: int, loss: Loss) -> dict[str, Tensor]:
        alone, found = _alone(batch, step), super().gradients
        given = (alone, 0, _sendable(loss))
        return self._group.each("gradients", given, lambda: found(alone, 0, loss))

    def evaluate(self, batch: Batch, step: int, loss: Loss) -> Mapping[str, float]:
        alone, evaluated = _alone(batch, step), super().evaluate
        given = (alone, 0, _sendable(loss))
        parts = self._group.together("evaluate", given, lambda: evaluated(alone, 0, loss))
        return {name: sum(part[name] for part in parts) for name in parts[0]}

    def save(self, to: Path) -> ModelRef:
        self.check_equal()
        return super().save(to)

    def check_equal(self) -> None:
        """ContractError, on rank 0, unless all ranks hold the same weights to the bit."""
        sums = self._group.together("check_equal", (), self._checksum)
        different = [rank for rank, found in enumerate(sums) if found != sums[0]]
        if different and not self._group.place.rank:
            promise = "after the same sums every rank holds the same weights"
            raise ContractError("the engine ranks", promise, f"others on rank {different}")

    def restore(self, ref: ModelRef) -> None:
        there, restored = ref.model_copy(update={"path": str(Path(ref.path).resolve())}), super().restore
        self._group.each("restore", (there,), lambda: restored(there))

    def read(self, at: Path) -> RankSampler:
        there, read = at.resolve(), super().read
        self._group.each("read", (there,), lambda: read(there))
        return self.sampler()

    def close(self) -> None:
        """End the other processes now; they end anyway when nothing refers to this learner any more."""
        self._group.close()

    def _accumulate(self, batch: Batch, step: int, loss: Loss) -> tuple[Batch, dict[str, float], Floats]:
        seen, self._seen.rows = self._seen.rows, []
        try:
            with self._group.agreed():
                part, totals, felt_2T = super()._accumulate(batch, step, loss)
        finally:
            found, self._seen.rows = self._seen.rows, seen
        if self._task.needs.scores:
            self._seen.keep([row for rows in self._group.everyone(found) for row in rows])
        return part, *self._added(totals, felt_2T)

    def _micro_batches(self, part: Batch) -> list[list[int]]:
        """Those of this rank's rows, by their places in ``part``, where their pressures belong."""
        mine = self._mine(part)
        return [[mine[i] for i in micro] for micro in super()._micro_batches(part.take(mine))]

    def _mine(self, part: Batch) -> list[int]:
        rows: list[list[Masked]] = [[] for _ in range(int(part.row_S.max(initial=-1)) + 1)]
        for row, sequence in zip(part.row_S, part.sequences, strict=True):
            rows[int(row)].append(sequence)
        place = self._group.place
        return shares(rows, place.size)[place.rank]

    def _shared(self, ahead: Ahead) -> Ahead:
        """What this rank will have of it."""
        place, batch, window = self._group.place, ahead.batch, ahead.window
        steps = tuple(step[np.array(self._mine(batch.take(step)), dtype=np.int64)] for step in batch.steps)
        taken = shares([_sequences(row) for row in window.rows], place.size)[place.rank]
        drawings = tuple(d._replace(prompts=-(-d.prompts // place.size)) for d in ahead.drawings)
        return ahead._replace(
            window=replace(window, rows=tuple(window.rows[r] for r in taken)),
            batch=replace(batch, steps=steps),
            drawings=drawings,
            read=ahead.read // place.size,
        )

    def _added(self, totals: dict[str, float], felt_2T: Floats) -> tuple[dict[str, float], Floats]:
        """Totals, pressure and log π over all ranks; gradients too, in the parameters. A rank has zeros where
        a token is another's.

        A weight that no rank has a gradient of keeps none: the optimizer leaves it, and decays nothing.
        """
        names, trained = sorted(totals), list(self._trained.values())
        has_P = [float(parameter.grad is not None) for parameter in trained]
        sums = np.concatenate([[totals[name] for name in names], has_P, felt_2T.ravel()])
        self._group.add(torch.as_tensor(sums))  # the tensor is these numbers, not a copy of them
        reached = sums[len(names) : len(names) + len(trained)]
        for bucket in _buckets([p for p, count in zip(trained, reached, strict=True) if count]):
            flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in bucket])
            flat = flat.cpu()
            self._group.add(flat)
            start = 0
            for parameter in bucket:
                parameter.grad = flat[start : start + parameter.numel()].view_as(parameter).to(parameter)
                start += parameter.numel()
        felt_2T = sums[len(names) + len(trained) :].reshape(2, -1)
        return dict(zip(names, sums[: len(names)].tolist(), strict=True)), felt_2T

    def _checksum(self) -> int:
        found = 0
        for parameter in self._trained.values():
            found = zlib.crc32(parameter.detach().cpu().contiguous().numpy().data, found)
        return found


def _sequences(row: Row) -> list[Masked]:
    return [s for e in row.episodes for s in e.sequences()]


def _alone(batch: Batch, step: int) -> Batch:
    """The batch with the rows of one step only: what the others need of it."""
    rows = batch.steps[step]
    whole = np.arange(len(rows), dtype=np.int64)
    return replace(batch.take(rows), steps=(whole,), counts=(batch.counts[step],))


def _sendable(loss: Loss) -> Loss:
    owner: object = getattr(loss, "__self__", loss)
    module = getattr(owner, "__module__", "")
    if module == "__main__":
        promise = "loss can be found by other processes: its class or function stands in a module"
        raise ContractError("the method", promise, "it stands in the program itself; move it to a file")
    return loss


def _buckets(parameters: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    for parameter in parameters:
        if bucket and sum(p.numel() for p in bucket) + parameter.numel() > _BUCKET:
            yield bucket
            bucket = []
        bucket.append(parameter)
    if bucket:
        yield bucket
