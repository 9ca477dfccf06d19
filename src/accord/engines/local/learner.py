"""LocalLearner: weights, optimizer and micro-batches of one process; it knows no algorithm.

Updates are exact under any split: every term's total is divided by its count over the whole step before the
first backward pass, and gradients add. Dropout is off, so nothing here draws random numbers after the start.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors
from torch import Tensor

from accord.engines.local.decoder import DecodeCopy, merged
from accord.engines.local.forward import Answers, Forward, budgeted
from accord.engines.local.quiet import quiet
from accord.engines.local.sampler import LocalSampler
from accord.errors import ContractError, PlanError, Unreadable
from accord.ports import Loss, Needs, Sampler, StepOutcome
from accord.progress import Progress
from accord.records import ModelRef
from accord.records.rows import Batch, Floats, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from accord.engines.local import Local
    from accord.engines.local.models import Opened

__all__ = ["LocalLearner", "Start"]

_PLACE = "place"


class Start(NamedTuple):
    """What a learner begins with. ``run`` is ``run/stage``, the first part of every version."""

    opened: Opened
    base: str
    run: str
    seed: int
    progress: Progress


class LocalLearner:
    """The port ``Learner`` over a transformers model on one device."""

    def __init__(self, config: Local, start: Start, dtype: torch.dtype) -> None:
        self._config, self._start = config, start
        self._decode_dtype = dtype
        self._model = start.opened.model
        self._decoder: DecodeCopy | None = None
        if config.adapter == "lora" or dtype != torch.float32:
            self._decoder = DecodeCopy(self._model, dtype)
        if config.adapter == "lora":
            _add_lora(self._model, config, start.seed)
        else:
            self._model.requires_grad_(True)
        self._trained = {n: p for n, p in self._model.named_parameters() if p.requires_grad}
        self._forward = Forward(self._model)
        self._reference: Forward | None = None
        self._optimizer = torch.optim.AdamW(
            list(self._trained.values()),
            lr=config.lr,
            betas=config.betas,
            eps=1e-8,
            weight_decay=config.weight_decay,
        )
        self._step = 0

    @property
    def version(self) -> str:
        return f"{self._start.run}@{self._step}"

    @property
    def notes(self) -> list[str]:
        """Which paths are taken and why, as far as that is known by now; for the first screen."""
        decoding = f"decoding in {str(self._decode_dtype).removeprefix('torch.')}"
        return [note for note in (*self._start.opened.notes, decoding, self._forward.note) if note]

    def sampler(self) -> Sampler:
        return LocalSampler(
            self._start.opened,
            self.version,
            copy=self._decoder,
            current=lambda: self.version,
            progress=self._start.progress,
        )

    def publish(self, sampler: Sampler) -> str:
        if not isinstance(sampler, LocalSampler):
            raise ContractError(
                "the caller of LocalLearner.publish", "hands in a LocalSampler", type(sampler).__name__
            )
        sampler.load(merged(self._model), self.version)
        return self.version

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        unknown = needs.columns - {"old_logp", "ref_logp"}
        if unknown:
            raise PlanError("method", sorted(unknown), "columns this engine measures: old_logp, ref_logp")
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        found: dict[str, tuple[Floats, ...]] = {}
        for name in sorted(needs.columns):
            columns: dict[int, Floats] = {}
            for group in budgeted([len(s.tokens) for s in sequences], self._config.tokens_per_pass):
                part = [sequences[i] for i in group]
                with _adapter(self._model, on=name != "ref_logp"):
                    run = self._reference_pass() if name == "ref_logp" else self._forward
                    logp = run.columns(part, frozenset({"logp"}))["logp"].cpu().numpy()
                cuts = np.cumsum([sum(s.answer) for s in part])[:-1]
                columns.update(zip(group, np.split(logp, cuts), strict=True))
            found[name] = tuple(columns[i] for i in range(len(sequences)))
        return found

    def update(self, batch: Batch, step: int, loss: Loss) -> StepOutcome:
        rows = batch.steps[step]
        counts = batch.counts[step]
        part = batch.take(rows)
        pressure = np.zeros(int(part.lengths_S().sum()))
        # Each answer token carries its place, so that micro-batches in any order fill the same array.
        part = replace(part, tokens={**part.tokens, _PLACE: np.arange(len(pressure), dtype=np.float64)})
        terms: dict[str, float] = dict.fromkeys(counts, 0.0)
        self._optimizer.zero_grad(set_to_none=True)
        for micro in self._micro_batches(part):
            rows_now = part.take(micro)
            if not rows_now.lengths_S().sum():
                continue  # nothing was said, so nothing is learnt
            out, totals = self._backward(rows_now, counts, batch.weights, loss)
            for name, total in totals.items():
                terms[name] += total / counts[name]
            if out.logp_T.grad is not None:
                pressure[rows_now.tokens[_PLACE].astype(np.int64)] = out.logp_T.grad.double().cpu().numpy()
        objective = sum(batch.weights[name] * value for name, value in terms.items())
        norm = float(torch.nn.utils.clip_grad_norm_(list(self._trained.values()), self._config.max_grad_norm))
        applied = math.isfinite(objective) and math.isfinite(norm)
        if applied:
            for group in self._optimizer.param_groups:
                group["lr"] = self._config.lr * min(1.0, (self._step + 1) / max(1, self._config.warmup))
            cast(Any, self._optimizer).step()
        self._step += 1
        self._optimizer.zero_grad(set_to_none=True)
        return StepOutcome(
            terms, objective, norm, applied, pressure, sum(len(s.tokens) for s in part.sequences)
        )

    def save(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        _write(
            {n: p.detach().contiguous().cpu() for n, p in self._trained.items()}, to / "weights.safetensors"
        )
        moments: dict[str, Tensor] = {}
        for name, parameter in self._trained.items():
            for key, value in self._optimizer.state.get(parameter, {}).items():
                moments[f"{name}|{key}"] = torch.as_tensor(value).detach().contiguous().cpu()
        _write(moments, to / "optimizer.safetensors")
        (to / "learner.json").write_text(
            json.dumps({"step": self._step, "base": self._start.base}), encoding="utf-8"
        )
        return ModelRef(name=self.version, path=str(to), base=self._start.base)

    def restore(self, ref: ModelRef) -> None:
        folder = Path(ref.path)
        weights = _read(folder / "weights.safetensors")
        shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        if shapes != {name: tuple(parameter.shape) for name, parameter in self._trained.items()}:
            raise Unreadable(folder, "a checkpoint of this model and adapter", f"{len(shapes)} other tensors")
        if self._decoder is not None:
            self._decoder.forget()
        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(weights[name])
        moments = _read(folder / "optimizer.safetensors")
        self._optimizer.state.clear()
        for joint, value in moments.items():
            name, _, key = joint.rpartition("|")
            parameter = self._trained[name]
            # AdamW keeps its step counter on the CPU, its moments beside the weights.
            self._optimizer.state[parameter][key] = value if key == "step" else value.to(parameter.device)
        self._step = int(json.loads((folder / "learner.json").read_text(encoding="utf-8"))["step"])

    def export(self, to: Path) -> ModelRef:
        to.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            weights = {name: tensor.contiguous() for name, tensor in merged(self._model).items()}
        with torch.device("meta"):
            plain = type(self._model)(self._model.config)
        plain.generation_config = self._model.generation_config
        with quiet(), _told_as_oserror(to):
            cast(Any, plain).save_pretrained(to, state_dict=weights)
        cast(Any, self._start.opened.tokenizer).save_pretrained(to)
        return ModelRef(name=self.version, path=str(to), base=self._start.base)

    def _backward(
        self, part: Batch, counts: Mapping[str, float], weights: Mapping[str, float], loss: Loss
    ) -> tuple[Answers, dict[str, float]]:
        with torch.enable_grad():
            out = self._forward.answers(part.sequences)
            out.logp_T.retain_grad()
            totals = loss(out, part)
            if set(totals) != set(counts):
                raise ContractError(
                    "the method", f"loss returns the terms {sorted(counts)}", f"{sorted(totals)}"
                )
            objective = torch.stack([weights[n] * t / counts[n] for n, t in totals.items()]).sum()
            objective.backward()  # pyright: ignore[reportUnknownMemberType]
        return out, {name: float(total.detach()) for name, total in totals.items()}

    def _micro_batches(self, part: Batch) -> list[list[int]]:
        """Rows of like length together within the token budget; a row's sequences stay together."""
        size = [0] * (int(part.row_S.max(initial=-1)) + 1)
        for s, row in zip(part.sequences, part.row_S, strict=True):
            size[int(row)] += len(s.tokens)
        return list(budgeted(size, self._config.tokens_per_pass))

    def _reference_pass(self) -> Forward:
        if self._config.adapter == "lora":
            return self._forward
        if self._reference is None:
            from accord.engines.local.models import open_model

            self._reference = Forward(open_model(self._start.base).model)
        return self._reference


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    with _told_as_oserror(path):
        cast(Any, safetensors).save_file(tensors, path)


@contextmanager
def _told_as_oserror(path: Path) -> Generator[None]:
    """A full disk as safetensors tells it, in the form that ``disk`` knows."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


def _read(path: Path) -> dict[str, Tensor]:
    return cast(Any, safetensors).load_file(path)


def _add_lora(model: PreTrainedModel, config: Local, seed: int) -> None:
    """Adapters on every linear layer of the body, from a seeded start; everything else stands still."""
    from peft import LoraConfig, inject_adapter_in_model

    body = {id(module) for module in model.base_model.modules()}
    modules = cast("Iterable[tuple[str, object]]", model.named_modules())
    linear = [name for name, m in modules if isinstance(m, torch.nn.Linear) and id(m) in body]
    lora = LoraConfig(r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules=linear)
    with cast(Any, torch.random).fork_rng(devices=[]):
        torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
        inject_adapter_in_model(lora, model)  # pyright: ignore[reportArgumentType]
    model.requires_grad_(False)
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.requires_grad_(True)


@contextmanager
def _adapter(model: PreTrainedModel, on: bool) -> Generator[None]:
    """With ``on`` false the model is the reference it started from, where it has adapters."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [] if on else [m for m in model.modules() if isinstance(m, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
