"""LocalLearner: weights, optimizer and micro-batches of one process; it knows no algorithm.

Updates are exact under any split: every term's total is divided by its count over the whole step before the
first backward pass, and gradients add. Dropout is off, so nothing here draws random numbers after the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from accord.engines.local.adapters import add_lora, merged
from accord.engines.local.critic import Critic
from accord.engines.local.decoder import DecodeCopy, Decoder
from accord.engines.local.forward import Answers, Forward
from accord.engines.local.llama import refusal
from accord.engines.local.micro import micro_batches, passes
from accord.engines.local.reference import ReferenceCache
from accord.engines.local.sampler import LocalSampler
from accord.engines.local.saving import export_model, read_policy, read_state, write_policy, write_state
from accord.engines.local.schedule import factor
from accord.engines.local.scorer import SeenScores, add_scores
from accord.errors import ContractError, PlanError
from accord.ports import Ahead, Loss, Needs, Sampler, StepOutcome, Task
from accord.records import ModelRef
from accord.records.rows import Batch, Floats, Row

if TYPE_CHECKING:
    from accord.engines.local import Local
    from accord.engines.local.models import Opened
    from accord.records import Sequence as Masked

__all__ = ["Dtypes", "LocalLearner"]

_PLACE = "place"
_POLICY = "policy.safetensors"
_MEASURED = frozenset({"old_logp", "ref_logp", "value"})


class Dtypes(NamedTuple):
    """What forward and backward passes compute in, and what answers are decoded in."""

    train: torch.dtype
    decode: torch.dtype


class LocalLearner:
    """The port ``Learner`` over a transformers model on one device."""

    _processes = 1  # that hold as much side by side

    def __init__(self, config: Local, opened: Opened, task: Task, dtypes: Dtypes) -> None:
        self._config, self._opened, self._task, self._dtypes = config, opened, task, dtypes
        self._base = str(opened.folder)
        self._model = opened.model
        plain = self._plain_copy()
        if config.adapter == "lora":
            add_lora(self._model, config.rank, config.alpha, task.seed)
        else:
            self._model.requires_grad_(True)
        if task.needs.scores:
            add_scores(self._model, task.needs.scores, task.seed)
        self._critic = Critic(config, opened, task.seed, dtypes.train) if task.needs.critic else None
        self._policy = {n: p for n, p in self._model.named_parameters() if p.requires_grad}
        self._trained = {**self._policy, **(self._critic.trained if self._critic else {})}
        self._forward = Forward(self._model, dtypes.train)
        self._decoder = Decoder(self._forward, dtypes.decode, plain)
        self._reference: Forward | None = None
        self._seen = SeenScores()
        self._cache = ReferenceCache.of(opened, dtypes.train) if task.by == "data" else None
        groups = [{"params": list(self._policy.values()), "lr": config.lr, "of": "policy"}]
        if self._critic:
            groups.append(
                {"params": list(self._critic.trained.values()), "lr": config.critic_lr, "of": "critic"}
            )
        self._optimizer = torch.optim.AdamW(
            groups, betas=config.adam[:2], eps=config.adam[2], weight_decay=config.weight_decay, fused=True
        )
        self._step = 0

    @property
    def version(self) -> str:
        return f"{self._task.run}@{self._step}"

    @property
    def notes(self) -> list[str]:
        """Which paths are taken and why, as far as that is known by now; for the first screen."""
        return [n for n in (*self._opened.notes, self._decoder.note, self._forward.note) if n]

    def foresee(self, ahead: Ahead) -> list[str]:
        """What the stage takes, and its first row. From now on layers are recomputed if memory demands."""
        from accord.engines.local.foresight import Workshop, foreseen

        shop = Workshop(
            config=self._config,
            opened=self._opened,
            needs=self._task.needs,
            forward=self._forward,
            critic=self._critic,
            decoder=self._decoder,
            answers=self._answers,
            trained=tuple(self._trained.values()),
            train=self._dtypes.train,
            decode=self._dtypes.decode,
            version=self.version,
            processes=self._processes,
        )
        return list(foreseen(shop, ahead).told)

    def sampler(self) -> Sampler:
        return LocalSampler(
            self._opened,
            self.version,
            self._forward,
            decoder=self._decoder,
            current=lambda: self.version,
            progress=self._task.progress,
        )

    def publish(self, sampler: Sampler) -> str:
        if not isinstance(sampler, LocalSampler):
            raise ContractError(
                "the caller of LocalLearner.publish", "hands in a LocalSampler", type(sampler).__name__
            )
        sampler.load(merged(self._model), self.version)
        return self.version

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        known = _MEASURED if self._critic else _MEASURED - {"value"}
        if unknown := needs.columns - known:
            raise PlanError(
                "method", sorted(unknown), f"columns this engine measures: {', '.join(sorted(known))}"
            )
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        found: dict[str, tuple[Floats, ...]] = {}
        for name in sorted(needs.columns):
            if name == "ref_logp" and self._cache is not None:
                found[name] = tuple(self._cache.fill(sequences, self._logp_of_reference))
            elif name == "ref_logp":
                found[name] = tuple(self._logp_of_reference(sequences))
            elif name == "value":
                assert self._critic is not None
                found[name] = tuple(self._each(sequences, self._critic.forward, self._critic.values))
            else:
                found[name] = tuple(self._each(sequences, self._forward, _logp(self._forward, True)))
        return found

    def update(self, batch: Batch, step: int, loss: Loss, done: float = 0.0) -> StepOutcome:
        part, totals, felt_2T = self._accumulate(batch, step, loss)
        counts = batch.counts[step]
        terms = {name: total / counts[name] for name, total in totals.items()}
        objective = sum(batch.weights[name] * value for name, value in terms.items())
        norms = [
            float(torch.nn.utils.clip_grad_norm_(group["params"], self._config.max_grad_norm))
            for group in self._optimizer.param_groups
        ]
        norm = math.hypot(*norms)
        applied = math.isfinite(objective) and math.isfinite(norm)
        if applied:
            scale = factor(self._config, self._step, done)
            for group in self._optimizer.param_groups:
                group["lr"] = scale * (self._config.lr if group["of"] == "policy" else self._config.critic_lr)
            cast(Any, self._optimizer).step()
            self._refresh()
        self._step += 1
        self._optimizer.zero_grad(set_to_none=True)
        tokens = sum(len(s.tokens) for s in part.sequences)
        pressure_T, logp_T = felt_2T
        told_T = logp_T[:0] if np.isnan(logp_T).all() else logp_T
        return StepOutcome(terms, objective, norm, applied, pressure_T, tokens, told_T)

    def gradients(self, batch: Batch, step: int, loss: Loss) -> dict[str, Tensor]:
        """What ``update`` would clip and apply, by the parameter's name; nothing is changed."""
        self._accumulate(batch, step, loss)
        found = {n: p.grad.detach().clone() for n, p in self._trained.items() if p.grad is not None}
        self._optimizer.zero_grad(set_to_none=True)
        return found

    def evaluate(self, batch: Batch, step: int, loss: Loss) -> Mapping[str, float]:
        part, counts = batch.take(batch.steps[step]), batch.counts[step]
        totals = _Totals(counts)
        with torch.no_grad():
            for micro in self._micro_batches(part):
                rows = part.take(micro)
                if len(rows.sequences):
                    totals.add(loss(self._answers(rows.sequences), rows))
        return {name: total / counts[name] for name, total in totals.read().items()}

    def save(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        write_state(
            to,
            self._trained,
            self._optimizer,
            {
                "step": self._step,
                "base": self._base,
                "seen": self._seen.rows,
                "anchored": self._seen.anchored,
                "recompute": self._forward.recompute,
            },
        )
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def restore(self, ref: ModelRef) -> None:
        told = read_state(Path(ref.path), self._trained, self._optimizer)
        self._step = int(told["step"])
        self._seen.rows = [[float(score) for score in row] for row in told.get("seen", [])]
        self._seen.anchored = bool(told.get("anchored", False))
        for body in (self._forward, *([self._critic.forward] if self._critic else [])):
            body.recompute = bool(told.get("recompute", False))
        self._decoder.forget()
        self._refresh()

    @property
    def snapshot_bytes(self) -> int:
        return sum(p.numel() * p.element_size() for p in self._policy.values())

    def snapshot(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        write_policy(to / _POLICY, self._policy, self._step)
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def read(self, at: Path) -> Sampler:
        self._step = read_policy(at / _POLICY, self._policy)
        self._decoder.forget()
        self._refresh()
        return self.sampler()

    def export(self, to: Path) -> ModelRef:
        export_model(self._model, self._opened, to)
        if self._task.needs.scores:
            self._seen.card(self._task.needs.scores).write(to)
        return ModelRef(name=self.version, path=str(to), base=self._base)

    def _accumulate(self, batch: Batch, step: int, loss: Loss) -> tuple[Batch, dict[str, float], Floats]:
        """Gradients of the whole step in the parameters, the totals of its terms; of each answer token the
        pressure, and log π where the loss read it."""
        part, counts = batch.take(batch.steps[step]), batch.counts[step]
        felt_2T = np.zeros((2, int(part.lengths_S().sum())))
        # Each answer token carries its place, so that micro-batches in any order fill the same array.
        part = replace(part, tokens={**part.tokens, _PLACE: np.arange(felt_2T.shape[1], dtype=np.float64)})
        totals = _Totals(counts)
        self._optimizer.zero_grad(set_to_none=True)
        for micro in self._micro_batches(part):
            rows = part.take(micro)
            if not rows.lengths_S().sum():
                continue  # nothing was said, so nothing is learnt
            with torch.enable_grad():
                out = self._answers(rows.sequences)
                found = totals.add(loss(out, rows))
                objective = torch.stack([batch.weights[n] * t / counts[n] for n, t in found.items()]).sum()
                if objective.requires_grad:
                    objective.backward()  # pyright: ignore[reportUnknownMemberType]
            self._seen.add(out)
            place_T = rows.tokens[_PLACE].astype(np.int64)
            felt = out.felt_2T  # both in one transfer; a loss that reads no log π presses nothing
            felt_2T[:, place_T] = [[0.0], [np.nan]] if felt is None else felt.cpu().numpy()
        return part, totals.read(), felt_2T

    def _answers(self, sequences: Sequence[Masked]) -> Answers:
        critic = self._critic
        return self._forward.answers(sequences, (lambda: critic.live(sequences)) if critic else None)

    def _micro_batches(self, part: Batch) -> list[list[int]]:
        return micro_batches(part, self._config.tokens_per_pass, self._forward.share)

    def _each(
        self, sequences: Sequence[Masked], forward: Forward, measured: Callable[[list[Masked]], Tensor]
    ) -> list[Floats]:
        """One array per sequence, measured in passes of the token budget."""
        columns: dict[int, Floats] = {}
        for group in passes(sequences, self._config.tokens_per_pass, forward.share):
            part = [sequences[i] for i in group]
            values = measured(part).double().cpu().numpy()
            cuts = np.cumsum([sum(s.answer) for s in part])[:-1]
            columns.update(zip(group, np.split(values, cuts), strict=True))
        return [columns[i] for i in range(len(sequences))]

    def _logp_of_reference(self, sequences: Sequence[Masked]) -> list[Floats]:
        """Under the weights that the stage started from: adapters off, or a second model."""
        if self._config.adapter == "lora":
            return self._each(sequences, self._forward, _logp(self._forward, False))
        if self._reference is None:
            from accord.engines.local.models import open_model

            model = open_model(self._base).model
            cast(Any, model).to(self._model.device)
            self._reference = Forward(model, self._dtypes.train)
        return self._each(sequences, self._reference, _logp(self._reference, True))

    def _refresh(self) -> None:
        self._forward.refresh()
        if self._critic:
            self._critic.forward.refresh()

    def _plain_copy(self) -> DecodeCopy | None:
        """For a model outside the fast family, while it has no adapters yet; a reward model says nothing."""
        if self._task.needs.scores or not refusal(self._model):
            return None
        if self._config.adapter == "full" and self._dtypes.decode == torch.float32:
            return None
        return DecodeCopy(self._model, self._dtypes.decode)


class _Totals:
    """Terms added up on the device, read once."""

    def __init__(self, counts: Mapping[str, float]) -> None:
        self._names = sorted(counts)
        self._sums: list[Tensor] = []

    def add(self, totals: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if sorted(totals) != self._names:
            raise ContractError("the method", f"loss returns the terms {self._names}", f"{sorted(totals)}")
        self._sums.append(torch.stack([totals[name].detach().double() for name in self._names]))
        return totals

    def read(self) -> dict[str, float]:
        if not self._sums:
            return dict.fromkeys(self._names, 0.0)
        sums = cast("list[float]", cast(Any, torch.stack(self._sums).sum(0)).tolist())
        return dict(zip(self._names, sums, strict=True))


def _logp(forward: Forward, adapted: bool) -> Callable[[list[Masked]], Tensor]:
    return lambda part: forward.columns(part, frozenset({"logp"}), adapted)["logp"]
