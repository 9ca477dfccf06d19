"""What the keys of a TRL config become in a plan: one small function per subject (see ``trl.py``)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import PlanError
from accord.records import JSON
from accord.stores.foreign.trl_keys import DEFAULTS

__all__ = ["Left", "Mapped", "Work", "translate"]

_NO_CLIPPING = 1e9  # a norm that no gradient reaches


class Mapped(NamedTuple):
    """A key, what it says, and the setting it became; ``given`` is False where TRL's default said it."""

    key: str
    value: JSON
    path: str
    became: JSON
    given: bool


class Left(NamedTuple):
    """A key that has no counterpart, and why."""

    key: str
    value: JSON
    reason: str


@dataclass
class Work:
    """What was read so far. Every key of ``values`` ends in ``mapped`` or ``left``."""

    values: Mapping[str, JSON]
    method: str
    held_out: bool
    settings: dict[str, JSON] = field(default_factory=dict[str, JSON])
    facts: dict[str, JSON] = field(default_factory=dict[str, JSON])
    mapped: list[Mapped] = field(default_factory=list[Mapped])
    left: list[Left] = field(default_factory=list[Left])

    def get(self, key: str) -> JSON:
        return self.values.get(key, cast(JSON, DEFAULTS[self.method].get(key)))

    def number(self, key: str) -> float:
        """TRL reads ``5e-7`` as a number, where YAML sees a text."""
        value = self.get(key)
        try:
            if isinstance(value, bool):
                raise ValueError
            return float(cast(str, value))
        except (TypeError, ValueError):
            raise PlanError(key, value, "a number", "mend it in the YAML file") from None

    def whole(self, key: str) -> int:
        value = self.number(key)
        if not value.is_integer():
            raise PlanError(key, self.get(key), "a whole number", "mend it in the YAML file")
        return int(value)

    def count(self, key: str) -> int:
        value = self.whole(key)
        if value < 1:
            raise PlanError(key, self.get(key), "1 or more", "mend it in the YAML file")
        return value

    def put(self, path: str, became: JSON, *keys: str, fact: str = "") -> None:
        """The keys together say that ``path`` is ``became``; without any of them TRL's default does."""
        if fact:
            self.facts[fact] = became
        else:
            self.settings[path] = became
        for key in [k for k in keys if k in self.values] or keys[:1]:
            self.mapped.append(Mapped(key, self.get(key), path, became, key in self.values))

    def leave(self, reason: str, *keys: str) -> None:
        """Those of the keys that the file gives, and that were not mapped, have no counterpart."""
        given = [key for key in keys if key in self.values and not self.done(key)]
        self.left += [Left(key, self.values[key], reason) for key in given]

    def always(self, key: str) -> None:
        """The key says what Accord does anyway."""
        self.mapped.append(Mapped(key, self.values[key], "", "as Accord always does", True))

    def done(self, key: str) -> bool:
        return any(key == one.key for one in (*self.mapped, *self.left))


# What every method shares


def _models(work: Work) -> None:
    key = (
        "sft_model_path" if work.method == "ppo" and "sft_model_path" in work.values else "model_name_or_path"
    )
    if isinstance(work.get(key), str):
        work.put("model", work.get(key), key, fact="model")
    if work.method in ("grpo", "ppo"):
        key = "reward_model_name_or_path" if work.method == "grpo" else "reward_model_path"
        if isinstance(work.get(key), str):
            work.put("ask.overseer.models", [work.get(key)], key, fact="reward_models")
        reason = "a reward takes other arguments here: name it by --reward my.py:reward=WEIGHT"
        work.leave(reason, "reward_funcs", "reward_weights")


def _data(work: Work) -> None:
    sets = work.get("datasets")
    if isinstance(sets, list) and sets:
        only = sets[0] if len(sets) == 1 and isinstance(sets[0], dict) else {}
        files = only.get("data_files") or only.get("path")
        if isinstance(files, str) and set(only) <= {"path", "data_files", "split"}:
            work.put("source", files, "datasets", fact="data")
        work.leave("TRL does not read it where datasets are given", "dataset_name")
        if "data" not in work.facts:
            work.leave("one file without columns, fraction or mixture is read; name it by --data", "datasets")
    elif isinstance(work.get("dataset_name"), str):
        work.put("source", work.get("dataset_name"), "dataset_name", fact="data")
    if work.get("dataset_train_split") == "train":
        work.put("source", "all its rows", "dataset_train_split", fact="split")
    work.leave(
        "data are read from files; a split is a file of its own, named by --data", "dataset_train_split"
    )
    name = work.get("run_name") or work.get("output_dir")
    if isinstance(name, str) and (words := Path(name).name):
        kept = re.sub(r"[^A-Za-z0-9._-]", "-", words).lstrip("._-")[:64]
        if kept:
            work.put("name", kept, "run_name" if work.get("run_name") else "output_dir", fact="name")
    work.leave("runs are kept in --runs, under the plan's name", "output_dir", "run_name")
    work.put("seed", work.whole("seed"), "seed", fact="seed")


def _optimizer(work: Work) -> None:
    work.put("learner.lr", work.number("learning_rate"), "learning_rate")
    work.put("learner.weight_decay", work.number("weight_decay"), "weight_decay")
    adam: list[JSON] = [work.number(key) for key in ("adam_beta1", "adam_beta2", "adam_epsilon")]
    work.put("learner.adam", adam, "adam_beta1", "adam_beta2", "adam_epsilon")
    norm = work.number("max_grad_norm")
    work.put("learner.max_grad_norm", norm or _NO_CLIPPING, "max_grad_norm")
    schedules = {
        "constant_with_warmup": "constant",
        "constant": "constant",
        "linear": "linear",
        "cosine": "cosine",
    }
    schedule = schedules.get(str(work.get("lr_scheduler_type")))
    if schedule is None:
        work.leave(f"schedules here: {', '.join(dict.fromkeys(schedules.values()))}", "lr_scheduler_type")
    else:
        work.put("learner.schedule", schedule, "lr_scheduler_type")
    key = "warmup_ratio" if work.get("warmup_ratio") else "warmup_steps"
    warmup = work.number(key)
    if work.get("lr_scheduler_type") == "constant":
        work.leave("this schedule has no warm-up", "warmup_steps", "warmup_ratio")
    elif warmup < 1:
        work.put("learner.warmup, as a share of the steps", warmup, key, fact="rise")
    else:
        work.put("learner.warmup", int(warmup), key)
    work.leave(f"TRL goes by {key}", "warmup_steps", "warmup_ratio")


def _adapter(work: Work) -> None:
    if work.get("use_peft") is True:
        work.put("learner.adapter", "lora", "use_peft")
        work.put("learner.rank", work.whole("lora_r"), "lora_r")
        work.put("learner.alpha", work.whole("lora_alpha"), "lora_alpha")
    else:
        work.put("learner.adapter", "full", "use_peft")
        work.leave(
            "TRL reads it with use_peft only", *(key for key in work.values if key.startswith("lora_"))
        )


def _length(work: Work) -> None:
    if work.method == "ppo" and work.get("total_episodes"):
        per_window = work.count("per_device_train_batch_size") * work.count("gradient_accumulation_steps")
        work.put("windows", math.ceil(work.count("total_episodes") / per_window), "total_episodes")
        work.leave("TRL goes by total_episodes where they are given", "num_train_epochs", "max_steps")
    elif work.whole("max_steps") > 0:
        work.put("steps", work.whole("max_steps"), "max_steps", fact="steps")
        work.leave("TRL goes by max_steps where they are given", "num_train_epochs")
    else:
        work.put("epochs", work.number("num_train_epochs"), "num_train_epochs", fact="epochs")
        work.leave("no limit", "max_steps")


def _saving(work: Work) -> None:
    if "save_steps" in work.values and work.number("save_steps") >= 1:
        work.put("checkpoint.every", work.whole("save_steps"), "save_steps")
    if work.values.get("save_total_limit") is not None:
        work.put("checkpoint.keep", work.whole("save_total_limit"), "save_total_limit")
    work.leave("every run saves, each so many updates", "save_strategy", "save_steps", "save_total_limit")
    keys = ("eval_strategy", "eval_steps", "load_best_model_at_end")
    if not work.held_out:
        work.leave("there is no held-out file: --eval FILE", *keys)
    elif work.method in ("grpo", "ppo"):
        work.leave("held-out prompts are answered before and after; more often by held_out.every", *keys)
    else:
        if work.get("eval_strategy") == "steps" and work.get("eval_steps") and work.number("eval_steps") >= 1:
            work.put("eval.every", work.whole("eval_steps"), "eval_steps", "eval_strategy")
        best = work.get("load_best_model_at_end") is True
        work.put("eval.keep", "best" if best else "last", "load_best_model_at_end")
        work.leave("evaluations are counted in updates", *keys)


# Methods


def _same(pairs: Mapping[str, str], whole: Sequence[str] = ()) -> Callable[[Work], None]:
    """Keys that mean one setting each."""

    def step(work: Work) -> None:
        for key, path in pairs.items():
            if work.get(key) is not None:
                work.put(path, work.whole(key) if key in whole else work.number(key), key)

    return step


def _rows(work: Work) -> None:
    """Rows of one optimizer step, on one process."""
    size = work.count("per_device_train_batch_size") * work.count("gradient_accumulation_steps")
    work.put("method.rows_per_step", size, "per_device_train_batch_size", "gradient_accumulation_steps")


def _one_head(work: Work) -> None:
    """TRL's reward models have one."""
    work.settings["method.heads"] = 1


def _rollouts(work: Work) -> None:
    """GRPO counts completions; a window is what is sampled at once."""
    each, saved = work.count("per_device_train_batch_size"), work.count("gradient_accumulation_steps")
    keys = ["per_device_train_batch_size", "gradient_accumulation_steps"]
    step, sampled = each * saved, each * saved
    if work.get("generation_batch_size") is not None:
        sampled = work.count("generation_batch_size")
        keys.append("generation_batch_size")
    elif work.get("steps_per_generation") is not None:
        sampled = each * work.count("steps_per_generation")
        keys.append("steps_per_generation")
    n = work.count("num_generations")
    if sampled % n:
        advice = f"num_generations is {n}: TRL refuses this too"
        raise PlanError(" x ".join(keys), sampled, "a multiple of num_generations", advice)
    work.put("source.per_window", sampled // n, *keys)
    if sampled != step:
        work.put("method.rows_per_step", step, *keys[:2])


def _preferences(work: Work) -> None:
    kinds = work.get("loss_type")
    kind = kinds[0] if isinstance(kinds, list) and len(kinds) == 1 else kinds
    match kind:
        case "sigmoid":
            work.put("method", "dpo", "loss_type", fact="method")
        case "ipo":
            work.put("method", "ipo", "loss_type", fact="method")
        case "robust":
            work.put("method.robust", work.number("label_smoothing"), "loss_type", "label_smoothing")
        case _:
            work.leave("the losses here are sigmoid, robust and ipo, one at a time", "loss_type")
    if kind != "robust" and "label_smoothing" in work.values and not work.number("label_smoothing"):
        work.always("label_smoothing")
    work.leave("TRL reads it for robust only", "label_smoothing")


def _group_losses(work: Work) -> None:
    kind = work.get("loss_type")
    per = {"dapo": "tokens", "grpo": "sequence", "dr_grpo": "max_tokens"}.get(str(kind))
    if per is None:
        work.leave("the losses here are dapo, grpo and dr_grpo", "loss_type")
    else:
        work.put("method.per", per, "loss_type")
    if per == "max_tokens":
        work.put("method.max_tokens", work.whole("max_completion_length"), "loss_type")
    match work.get("scale_rewards"):
        case True | "group":
            work.put("method.scale_std", True, "scale_rewards")
        case False | "none":
            work.put("method.scale_std", False, "scale_rewards")
        case _:
            work.leave("rewards are scaled within their group or not at all", "scale_rewards")
    work.put("method.mask_cut", work.get("mask_truncated_completions") is True, "mask_truncated_completions")
    if work.number("beta"):
        work.put("method.kl", "loss", "beta")  # where TRL has its penalty; Accord's own is in the reward


def _ppo_batches(work: Work) -> None:
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    sampled = work.count(keys[0]) * work.count(keys[1])
    parts = work.count("num_mini_batches")
    if sampled % parts:
        raise PlanError(
            "num_mini_batches", parts, f"a divisor of {sampled}, the batch", "TRL refuses this too"
        )
    work.put("source.per_window", sampled, *keys)
    work.put("method.rows_per_step", sampled // parts, "num_mini_batches")
    work.put("method.whiten_rewards", work.get("whiten_rewards") is True, "whiten_rewards")


_BY_METHOD: dict[str, tuple[Callable[[Work], None], ...]] = {
    "sft": (_rows,),
    "reward_model": (_rows, _one_head, _same({"center_rewards_coefficient": "method.centering"})),
    "dpo": (_rows, _preferences, _same({"beta": "method.beta"})),
    "grpo": (
        _rollouts,
        _group_losses,
        _same(
            {
                "num_generations": "method.n",
                "num_iterations": "method.epochs",
                "max_completion_length": "source.max_tokens",
                "temperature": "source.temperature",
                "beta": "method.beta",
                "epsilon": "method.clip",
                "epsilon_high": "method.clip_high",
            },
            ("num_generations", "num_iterations", "max_completion_length"),
        ),
    ),
    "ppo": (
        _ppo_batches,
        _same(
            {
                "num_ppo_epochs": "method.epochs",
                "response_length": "source.max_tokens",
                "temperature": "source.temperature",
                "kl_coef": "method.beta",
                "cliprange": "method.clip",
                "cliprange_value": "method.clip_value",
                "vf_coef": "method.value_weight",
                "gamma": "method.gamma",
                "lam": "method.lam",
                "missing_eos_penalty": "method.cut_penalty",
            },
            ("num_ppo_epochs", "response_length"),
        ),
    ),
}


def translate(work: Work) -> None:
    """Everything that some setting stands for; what is not said then has no counterpart."""
    for step in (_models, _data, _optimizer, _adapter, _length, _saving, *_BY_METHOD[work.method]):
        step(work)
