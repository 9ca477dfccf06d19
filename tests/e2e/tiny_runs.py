"""Runs small enough to be repeated: a plan that takes a second, and the command line in processes that die.

A process is forked from a server that has the heavy imports done, so that killing and resuming a run twenty
times takes a minute. What it does is ``accord.cli.main``; only the interpreter's start is shared.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Blade", "Ended", "Running", "accord", "graded", "judged", "start", "tiny_plan", "toml", "write_files"]

GRADED = "TINY_RUNS_GRADED"  # the environment variable that names the file in which gradings are noted
_HEAVY = ["torch", "transformers", "peft", "safetensors.torch", "sqlalchemy", "alembic.command", "jinja2"]
_OURS = ["accord.pipeline", "accord.cli.app", "accord.engines.local.learner", "accord.stores.index", "e2e.tiny_runs"]

_REWARD = f'''
import json, os

def few_capitals(prompts, answers):
    """Notes each answer it grades, before it says anything: one write per call, one line per answer."""
    if name := os.environ.get("{GRADED}"):
        lines = "".join(json.dumps([p, a]) + "\\n" for p, a in zip(prompts, answers))
        file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, lines.encode())
        os.close(file)
    return [sum(c.islower() for c in a) / max(1, len(a)) for a in answers]

def first_sign(prompts, answers):
    """1 for one first sign only: what a policy collapses on."""
    return [float(a[:1] in "aeiou" and a[:1] != "") for a in answers]

def flat(prompts, answers):
    return [0.5 for _ in answers]
'''
_PROMPTS = ("Why is the sky blue?", "Name a river.", "Qu'est-ce que le pain ?", "何ですか", "Say hi 🙂", "2 + 2 =",
            "Who is there?", "Tell me a word.", "Left or right?", "Is it late?", "What is snow?", "One more.")  # fmt: skip


# A plan


def write_files(folder: Path, layers: int = 1) -> Path:
    """A tiny model, prompts, completions and rewards in ``folder``; all that ``tiny_plan`` names."""
    from accord.engines.local.tiny import save_tiny

    folder.mkdir(parents=True, exist_ok=True)
    save_tiny(folder / "tiny", seed=0, layers=layers, width=16)
    (folder / "reward.py").write_text(_REWARD, encoding="utf-8")
    rows = [{"prompt": text} for text in _PROMPTS]
    pairs = [{"prompt": text, "completion": text[:4].lower() + " ok"} for text in _PROMPTS]
    for name, table in (("ask", rows[:8]), ("held_out", rows[8:]), ("say", pairs)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def tiny_plan(**changed: Any) -> dict[str, Any]:
    """Two stages: best of n under LoRA with held-out prompts, then all weights from a file. Both are guarded.

    ``changed`` replaces keys of the first stage; ``only=True`` leaves the second one away.
    """
    only = changed.pop("only", False)
    first: dict[str, Any] = {
        "name": "amplify",
        "windows": 2,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 4, "max_tokens": 10},
        "ask": [
            {
                "name": "each",
                "column": "score",
                "collapse": "distribution",
                "overseer": {"name": "program", "fn": "reward.py:few_capitals"},
            }
        ],
        "method": {"name": "best_of_n", "n": 3, "rows_per_step": 2},
        "learner": {"name": "local", "lr": 0.01, "rank": 2, "decode": "float32"},
        "guard": {"probes": 3, "answers": 3, "max_tokens": 8},
        "held_out": {"prompts": "held_out.jsonl", "n": 2, "max_tokens": 10},
        "checkpoint": {"every": 1, "keep": 2},
    }
    second = {
        "name": "imitate",
        "windows": 2,
        "source": {"name": "offline", "data": "say.jsonl", "per_window": 6},
        "method": {"name": "sft", "epochs": 2, "rows_per_step": 3},
        "learner": {
            "name": "local",
            "adapter": "full",
            "lr": 0.003,
            "warmup": 3,
            "weight_decay": 0.1,
            "decode": "float32",
        },
        "guard": {"probes": 3, "answers": 3, "max_tokens": 8, "every": 2},
        "checkpoint": {"every": 3, "keep": 1},
    }
    stages = [first | changed] if only else [first | changed, second]
    return {"name": "tiny", "purpose": "explore", "seed": 7, "model": "tiny", "stage": stages}


def toml(plan: Mapping[str, Any]) -> str:
    """The plan as a file says it."""
    import tomli_w

    return tomli_w.dumps(plan)


# The command line in a process


class Ended(NamedTuple):
    """How a process ended: its exit code (negative: the signal), and all it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Blade:
    """Ends the process at its ``at``-th change of a file, without a warning; 0 only counts.

    ``torn``: where that change is a write, half of it happens. The count is left in ``count``.
    """

    count: Path
    at: int = 0
    torn: bool = False

    def hang(self) -> None:
        """Watch this process: whatever makes, renames, removes, writes or syncs a file passes here."""
        seen = 0

        def passes(what: str) -> bool:
            nonlocal seen
            seen += 1
            if self.at and seen == self.at:
                self.count.write_bytes(f"{seen} {what}".encode())
                return True
            return False

        def heard(event: str, given: tuple[Any, ...]) -> None:
            writes = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
            changes = event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")
            mine = isinstance(given[0], (str, os.PathLike)) and str(self.count) in str(given[0])
            if (writes or changes) and not mine and passes(f"{event} {given[0]}"):
                os.kill(os.getpid(), signal.SIGKILL)

        def end_of_writing(write: Callable[..., int]) -> Callable[..., int]:
            def pwrite(file: int, data: Any, offset: int) -> int:
                if passes("pwrite"):
                    write(file, bytes(data)[: len(data) // 2 if self.torn else 0], offset)
                    os.kill(os.getpid(), signal.SIGKILL)
                return write(file, data, offset)

            return pwrite

        sync = os.fsync

        def fsync(file: int) -> None:
            if passes("fsync"):
                os.kill(os.getpid(), signal.SIGKILL)
            sync(file)

        os.pwrite, os.fsync = end_of_writing(os.pwrite), fsync
        sys.addaudithook(heard)
        self._tell = lambda: self.count.write_text(str(seen))
