"""ScriptedLearner: plain gradient descent on the rows of a table that a batch touches."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np

from accord.engines.scripted.losses import evaluate
from accord.engines.scripted.sampler import ScriptedSampler
from accord.engines.scripted.table import FILE, Context, Table, logp_T, places, rows_of, steps
from accord.errors import ContractError, PlanError, Unreadable
from accord.ports import Loss, Needs, Sampler, StepOutcome
from accord.progress import Progress
from accord.records import ModelRef
from accord.records.rows import Batch, Floats, Row

__all__ = ["Pace", "ScriptedLearner"]


class Pace(NamedTuple):
    """``run`` is ``run/stage``, the first part of every version; ``tensors`` is what losses are given."""

    run: str
    lr: float
    tensors: Literal["torch", "numpy"]


_POLICY = "policy.json"


class ScriptedLearner:
    """Owns a table and the one it started from; knows no algorithm."""

    def __init__(self, table: Table, base: str, pace: Pace, progress: Progress) -> None:
        self._table, self._reference = table, table.copy()
        self._base, self._pace, self._progress = base, pace, progress
        self._step = 0

    @property
    def version(self) -> str:
        return f"{self._pace.run}@{self._step}"

    @property
    def notes(self) -> list[str]:
        """What the first screen should say."""
        return ["the scripted engine trains a table of probabilities, not a language model"]

    def sampler(self) -> Sampler:
        current = self.version
        return ScriptedSampler(self._table, current, current=lambda: self.version, progress=self._progress)

    def publish(self, sampler: Sampler) -> str:
        if not isinstance(sampler, ScriptedSampler):
            found = type(sampler).__name__
            raise ContractError("the caller of ScriptedLearner.publish", "hands in a ScriptedSampler", found)
        sampler.load(self._table, self.version)
        return self.version

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        tables = {"old_logp": self._table, "ref_logp": self._reference}
        if unknown := needs.columns - tables.keys():
            raise PlanError("method", sorted(unknown), "columns this engine measures: old_logp, ref_logp")
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        return {name: tuple(logp_T(tables[name], s) for s in sequences) for name in sorted(needs.columns)}

    def evaluate(self, batch: Batch, step: int, loss: Loss) -> Mapping[str, float]:
        part, counts = batch.take(batch.steps[step]), batch.counts[step]
        now_T = np.concatenate([np.zeros(0), *(logp_T(self._table, s) for s in part.sequences)])
        found = evaluate(loss, part, now_T, dict.fromkeys(counts, 1.0), self._pace.tensors)
        return {name: total / counts[name] if counts[name] else 0.0 for name, total in found.totals.items()}

    def update(self, batch: Batch, step: int, loss: Loss, done: float = 0.0) -> StepOutcome:
        del done  # the rate is constant
        part, counts = batch.take(batch.steps[step]), batch.counts[step]
        now_T = np.concatenate([np.zeros(0), *(logp_T(self._table, s) for s in part.sequences)])
        scale = {name: batch.weights[name] / count if count else 0.0 for name, count in counts.items()}
        found = evaluate(loss, part, now_T, scale, self._pace.tensors)
        gradient = self._gradient(part, found.pressure_T)
        norm = math.sqrt(sum(float((row**2).sum()) for row in gradient.values()))
        terms = {name: total / counts[name] if counts[name] else 0.0 for name, total in found.totals.items()}
        objective = sum(batch.weights[name] * value for name, value in terms.items())
        applied = math.isfinite(objective) and math.isfinite(norm)
        if applied:
            for context, slope in gradient.items():
                self._table.rows[context] = self._table.raw(context) - self._pace.lr * slope
        self._step += 1
        tokens = sum(len(s.tokens) for s in part.sequences)
        return StepOutcome(terms, objective, norm, applied, found.pressure_T, tokens, now_T)

    def save(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        tree = {"step": self._step, "now": self._table.written(), "reference": self._reference.written()}
        (to / "learner.json").write_text(json.dumps(tree), encoding="utf-8")
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def restore(self, ref: ModelRef) -> None:
        tree = _read(Path(ref.path) / "learner.json", "what ScriptedLearner.save wrote", "reference")
        now, reference = tree["now"], tree["reference"]
        self._table, self._reference = Table(self._table.start, now), Table(self._table.start, reference)
        self._step = cast(int, tree["step"])

    @property
    def snapshot_bytes(self) -> int:
        return len(self._told_policy())

    def snapshot(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        (to / _POLICY).write_text(self._told_policy(), encoding="utf-8")
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def read(self, at: Path) -> Sampler:
        tree = _read(at / _POLICY, "what ScriptedLearner.snapshot wrote")
        self._table, self._step = Table(self._table.start, tree["now"]), cast(int, tree["step"])
        return self.sampler()

    def _told_policy(self) -> str:
        return json.dumps({"step": self._step, "now": self._table.written()})

    def export(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        (to / FILE).write_text(json.dumps(self._table.written()), encoding="utf-8")
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def _gradient(self, part: Batch, pressure_T: Floats) -> dict[Context, Floats]:
        """∂objective/∂logits: ∂log π(chosen)/∂logits = (1[chosen] − π) / temperature, row by row."""
        gradient: dict[Context, Floats] = {}
        weights = iter(pressure_T.tolist())
        for sequence in part.sequences:
            for at, (logp, token) in zip(places(sequence), steps(self._table, sequence), strict=True):
                slope = -np.exp(logp)
                slope[token] += 1
                context = self._table.seen(sequence.tokens[:at])
                before = gradient.get(context, np.zeros(len(slope)))
                with np.errstate(invalid="ignore"):  # a loss that is not finite is refused, not warned of
                    gradient[context] = before + next(weights) * slope / sequence.temperature
        return gradient


def _read(file: Path, expected: str, *beside: str) -> dict[str, Any]:
    """The step and the rows of the policy, and of what else is named, as they were written."""
    try:
        tree = cast("dict[str, Any]", json.loads(file.read_text(encoding="utf-8")))
        rows = {name: rows_of(tree[name]["rows"]) for name in ("now", *beside)}
        return {**rows, "step": int(tree["step"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(file, expected, str(error)) from error
