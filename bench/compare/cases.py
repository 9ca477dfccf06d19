"""What is compared with what: cases, sides, the targets, and what is tried to make a peer fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["CASES", "ENGINES", "Axis", "Case", "Side", "axes", "sides", "variant_name"]


class Side(NamedTuple):
    """One program of a case. ``environment``: accord, trl or vllm; ``tuned``: by trial, else as given."""

    name: str
    environment: str
    script: str
    variant: Mapping[str, Any]
    tuned: bool = False


class Case(NamedTuple):
    """``rows`` per step; ``lengths``: fixed or ragged, where answers are drawn; ``targets`` by side."""

    method: str
    adapter: str
    rows: int
    lengths: str
    about: str
    targets: Mapping[str, float]


class Axis(NamedTuple):
    """One thing to try on a peer, every value in turn; the fastest stays."""

    name: str
    values: Sequence[Any]


_PAIRS = "8 HH pairs of at most 256 tokens"
_GENERATE = {"generate": 5.0, "vllm": 2.0}

CASES: dict[str, Case] = {
    "rollout_fixed": Case(
        "rollout", "none", 64, "fixed", "8 HH prompts, 8 answers each, 64 tokens", _GENERATE
    ),
    "rollout_ragged": Case(
        "rollout", "none", 64, "ragged", "8 HH prompts, 8 answers each, 8–64 tokens", _GENERATE
    ),
    "grpo": Case("grpo", "lora", 32, "fixed", "4 HH prompts, 8 answers each, 48 tokens", {"trl-tuned": 4}),
    "grpo_ragged": Case(
        "grpo", "lora", 32, "ragged", "4 HH prompts, 8 answers each, 8–48 tokens", {"trl-tuned": 4}
    ),
    "dpo": Case("dpo", "lora", 8, "", _PAIRS, {"trl-tuned": 2}),
    "reward_model": Case("reward_model", "full", 8, "", _PAIRS, {"trl-tuned": 1.5}),
    "sft": Case("sft", "full", 8, "", "8 HH conversations of at most 256 tokens", {"trl-tuned": 1.5}),
}

ENGINES: dict[str, Mapping[str, Any]] = {
    # Parity is measured in float32 on both sides; times with what each engine chooses by itself.
    "parity": {"precision": "float32", "decode": "float32"},
    "time": {},
}


def sides(case: Case) -> list[Side]:
    """Accord first, then its peers."""
    ours = Side("accord", "accord", "compare/ours.py", {"engine": ENGINES["time"]})
    if case.method == "rollout":
        precision = {"precision": "bfloat16"}
        return [
            ours,
            Side("generate", "trl", "peers/rollout_generate.py", precision, tuned=True),
            Side("vllm", "vllm", "peers/rollout_vllm.py", precision, tuned=True),
        ]
    script, plain = "peers/trl_train.py", {"precision": "autocast"}
    return [
        ours,
        Side("trl-default", "trl", script, {**plain, "checkpointing": True}),
        Side("trl-tuned", "trl", script, plain, tuned=True),
    ]


def axes(case: Case, side: Side) -> list[Axis]:
    """What is tried, one after another; None is the peer's own default.

    Full training keeps float32 masters on every side, so bare bf16 weights are tried with adapters only.
    """
    wait = Axis("wait", [None, "passive"])
    if side.name == "vllm":
        return [Axis("bind", [None, "all", "nobind"]), wait]
    if side.name == "generate":
        return [Axis("precision", ["bfloat16", "float32"]), Axis("cache", [None, "static"]), wait]
    found = [Axis("precision", ["autocast", "float32", *(["bfloat16"] if case.adapter == "lora" else [])])]
    if case.method == "grpo":
        found.append(
            Axis("generation", [None, "static", *(["continuous"] if case.lengths == "fixed" else [])])
        )
    # Rows per device: eight by default; all at once or fewer, the rest accumulated.
    return [*found, Axis("rows", [None, *([16, 32] if case.rows == 32 else [4, 2])]), wait]


def variant_name(variant: Mapping[str, Any]) -> str:
    """A variant in words.

    >>> variant_name({"precision": "autocast", "rows": 8, "cache": None, "checkpointing": True, "engine": {}})
    'autocast, rows 8, checkpointing'
    """
    words: list[str] = []
    for key, value in variant.items():
        if value in (None, False, {}):
            continue
        words.append(key if value is True else str(value) if key == "precision" else f"{key} {value}")
    return ", ".join(words)
