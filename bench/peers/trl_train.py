"""TRL's own trainers on prepared tokens: seconds per optimizer step, or the loss and gradients of one step.

Runs in the environment of TRL. The trainers are theirs, from the dataset to the optimizer; only what would
tokenise again, draw a reward from text or leave lengths to chance is overridden, each in one method. A step
is the time between the ends of two steps, so that it holds everything: data, generation, reward, update.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from forced import Forced
from job import batch, read_job, write_result
from peft import LoraConfig
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, LogitsProcessorList, TrainerCallback
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")
LORA = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.0, "target_modules": "all-linear", "bias": "none"}
PREFIX = "base_model.model."  # what peft puts before the names of the model it wraps
GROUP = 8
DEVICE = 8  # rows per device where a variant names none: the default of TrainingArguments
ANSWER = 48


class Prepared:
    """Mixed into a trainer: data come tokenised, and the tokens and loss of every step are noted."""

    seen: list[int]
    losses: list[float]

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        loss = super().compute_loss(model, inputs, *rest, **named)
        masks = [inputs[k] for k in ("attention_mask", "prompt_mask", "completion_mask") if k in inputs]
        # A pair's completion mask lies within its attention mask; GRPO's two masks stand side by side.
        self.seen.append(
            int(sum(m.sum() for m in masks))
            if len(masks) == 2 and "prompt_mask" in inputs
            else int(masks[0].sum())
        )
        self.losses.append(float((loss[0] if isinstance(loss, tuple) else loss).detach()))
        return loss


class Sft(Prepared, SFTTrainer):
    """TRL's SFT."""


class Reward(Prepared, RewardTrainer):
    """TRL's reward model."""


class Dpo(Prepared, DPOTrainer):
    """TRL's DPO."""


class Grpo(Prepared, GRPOTrainer):
    """TRL's GRPO: prompts are names of prepared tokens, answers have forced lengths or are given."""

    job: dict[str, Any]

    def _tokenize_prompts(self, prompts: list[str]) -> Any:
        return [list(self._row(name)["prompt"]) for name in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: Any, *rest: Any, **named: Any) -> Any:
        rows = [self._row(name) for name in self._names]
        if self.job["do"] == "parity":
            given = {name: iter(self._row(name)["completions"]) for name in dict.fromkeys(self._names)}
            return [list(next(given[name])) for name in self._names], None
        if self.job["variant"].get("generation") != "continuous":
            taken = {
                name: iter(row["lengths"][self.job["lengths"]])
                for name, row in zip(self._names, rows, strict=True)
            }
            self._forced.lengths = [next(taken[name]) for name in self._names]
        return super()._generate_single_turn(prompt_ids, *rest, **named)

    def _generate(self, prompts: list[str]) -> Any:
        self._names = list(prompts)
        return super()._generate(prompts)

    def _row(self, name: str) -> Any:
        step, place = name.split("/")
        return batch(self.job, "groups", int(step))[int(place)]


class _Draws:
    """Sets the processor anew for each call of ``generate``."""

    lengths: list[int]

    def __init__(self, generate: Any, end: int, stops: list[int]) -> None:
        self._generate, self._end, self._stops = generate, end, stops

    def __call__(self, *given: Any, **named: Any) -> Any:
        forced = LogitsProcessorList([Forced(self.lengths, self._end, self._stops)])
        return self._generate(*given, logits_processor=forced, **named)


class Watch(TrainerCallback):
    """When each step ended; in a parity job the gradients before the optimizer takes them."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.gradients: dict[str, torch.Tensor] = {}
        self.keep = False

    def on_pre_optimizer_step(self, *_: Any, **named: Any) -> None:
        if self.keep:
            self.gradients = {
                name.removeprefix(PREFIX): p.grad.detach().float().contiguous().clone()
                for name, p in named["model"].named_parameters()
                if p.grad is not None
            }

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ends.append(time.perf_counter())


def main() -> None:
    job = read_job()
    watch = Watch()
    with TemporaryDirectory() as place:
        trainer = build(job, place, watch)
        trainer.seen, trainer.losses = [], []
        if job.get("init"):
            _start_from(trainer.model, load_file(Path(job["init"]) / "weights.safetensors"))
        watch.keep = job["do"] == "parity"
        began = time.perf_counter()
        trainer.train()
    if job["do"] == "parity":
        save_file(watch.gradients, job["gradients"])
        write_result(job, PACKAGES, loss=sum(trainer.losses), tokens=trainer.seen)
        return
    per = len(trainer.seen) // len(watch.ends)
    tokens = [sum(trainer.seen[i : i + per]) for i in range(0, len(trainer.seen), per)]
    seconds = [b - a for a, b in pairwise([began, *watch.ends])]
    write_result(job, PACKAGES, seconds=seconds[1:], tokens=tokens[1:])


def build(job: dict[str, Any], place: str, watch: Watch) -> Any:
    """The trainer of a case, as its documentation says to make one."""
    case, variant = job["method"], job["variant"]
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    lora = LoraConfig(**LORA, task_type="CAUSAL_LM") if job["adapter"] == "lora" else None
    named = {"model": job["model"], "processing_class": tokenizer, "callbacks": [watch], "peft_config": lora}
    settings = arguments(job, place)
    rows = Dataset.from_list(list(_rows(job)))
    if case == "sft":
        return Sft(args=SFTConfig(**settings, max_length=None), train_dataset=rows, **named)
    if case == "reward_model":
        if tokenizer.pad_token_id == tokenizer.eos_token_id:
            # transformers takes the last token that is no padding: with pad = EOS that is one before the end.
            tokenizer.pad_token = next(t for t in tokenizer.all_special_tokens if t != tokenizer.eos_token)
        return Reward(args=RewardConfig(**settings, max_length=None), train_dataset=rows, **named)
    if case == "dpo":
        return Dpo(args=DPOConfig(**settings, max_length=None, beta=0.1), train_dataset=rows, **named)
    return _grpo(job, settings, rows, named, variant)


def _grpo(job: dict[str, Any], settings: Any, rows: Dataset, named: Any, variant: dict[str, Any]) -> Any:
    settings.pop("train_sampling_strategy")
    extra: dict[str, Any] = {}
    if variant.get("generation") == "continuous":
        # It takes no processors: lengths are forced by leaving it no token that ends an answer.
        extra["use_transformers_continuous_batching"] = True
        extra["generation_kwargs"] = {"eos_token_id": -1}
    elif variant.get("generation"):
        extra["cache_implementation"] = variant["generation"]
    args = GRPOConfig(
        **settings,
        **extra,
        num_generations=GROUP,
        max_completion_length=ANSWER,
        temperature=1.0,
        shuffle_dataset=False,
        beta=0.0,
    )
    trainer = Grpo(args=args, train_dataset=rows, reward_funcs=ramp, **named)
    trainer.job = job
    model = trainer.model
    if variant.get("generation") != "continuous":
        trainer._forced = model.generate = _Draws(model.generate, job["work"]["end"], job["work"]["stops"])
    return trainer


def arguments(job: dict[str, Any], place: str) -> dict[str, Any]:
    """What TrainingArguments a variant means. TRL's defaults stand wherever nothing is named."""
    variant, parity = job["variant"], job["do"] == "parity"
    rows = job["rows"]
    micro = variant.get("rows", DEVICE)
    precision = variant["precision"]
    settings: dict[str, Any] = {
        "output_dir": place,
        "max_steps": job["steps"] + 1,
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": rows // micro,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "constant",
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "dataloader_pin_memory": False,
        "train_sampling_strategy": "sequential",
        "bf16": precision == "autocast",
    }
    if precision == "bfloat16":
        settings["model_init_kwargs"] = {"dtype": "bfloat16"}
    if not variant.get("checkpointing", False):
        settings["gradient_checkpointing"] = False
    if parity:
        settings |= {"max_steps": 1, "max_grad_norm": 0.0}
    return settings


def ramp(completions: list[str], **_: Any) -> list[float]:
    """Rewards 0 … 1 within each group: no group is equal, whatever was said."""
    return [(i % GROUP) / (GROUP - 1) for i in range(len(completions))]


def _rows(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    steps = 1 if job["do"] == "parity" else job["steps"] + 1
    for step in range(steps):
        if job["method"] == "grpo":
            yield from ({"prompt": f"{step}/{i}"} for i in range(len(batch(job, "groups", step))))
            continue
        for pair in batch(job, "pairs", step):
            if job["method"] == "sft":
                ids = pair["prompt"] + pair["chosen"]
                yield {"input_ids": ids, "labels": [-100] * len(pair["prompt"]) + pair["chosen"]}
            elif job["method"] == "reward_model":
                both = {f"{k}_ids": pair["prompt"] + pair[k] for k in ("chosen", "rejected")}
                yield both
            else:
                yield {f"{k}_ids": pair[k] for k in ("prompt", "chosen", "rejected")}


def _start_from(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Adapter or head as Accord began; SystemExit when a name is not there."""
    own = {name.removeprefix(PREFIX): p for name, p in model.named_parameters()}
    unknown = sorted(set(weights) - set(own))
    if unknown:
        raise SystemExit(f"TRL's model has no {unknown[:3]} ({len(unknown)} names)")
    with torch.no_grad():
        for name, value in weights.items():
            own[name].copy_(value)


if __name__ == "__main__":
    main()
