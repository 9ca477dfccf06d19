"""A plan that runs in a second or two, with all the files it names: what the proofs here repeat and break."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

__all__ = [
    "GRADED",
    "GUARD",
    "WAITS",
    "asking",
    "folder_in_memory",
    "graded",
    "judged",
    "tiny_plan",
    "write_files",
    "write_plan",
]

# Environment variables: the file in which gradings are noted; a file without which grading waits, having made
# the file of this name with ``.reached`` behind it.
GRADED, WAITS = "TINY_RUNS_GRADED", "TINY_RUNS_WAITS"

_REWARD = f'''
import json, os, time

def small_letters(prompts, answers):
    """The share of small letters. Notes every answer before it grades it, one line each, in one write."""
    if gate := os.environ.get("{WAITS}"):
        open(f"{{gate}}.reached", "w").close()
        while not os.path.exists(gate):
            time.sleep(0.01)
    if name := os.environ.get("{GRADED}"):
        lines = "".join(json.dumps([p, a]) + "\\n" for p, a in zip(prompts, answers))
        file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(file, lines.encode())
        os.close(file)
    return [sum(c.islower() for c in a) / max(1, len(a)) for a in answers]

def one_answer(prompts, answers):
    """Pays for one fixed answer, "e", and for nearness to it: a policy that is paid so collapses."""
    return [1 / (1 + abs(ord(a[0]) - ord("e"))) + (a == "e") if a else 0.0 for a in answers]

def indifferent(prompts, answers):
    return [0.5 for _ in answers]
'''
_PROMPTS = (
    "Why is the sky blue?",
    "Name a river.",
    "Qu'est-ce que le pain ?",
    "何ですか",
    "Say hi 🙂",
    "2 + 2 =",
    "Who is there?",
    "Tell me a word.",
    "Left or right?",
    "Is it late?",
    "What is snow?",
    "One more.",
)


_SOME = [{"name": name} for name in ("reverse_kl", "diversity", "forward_kl", "sycophancy")]
GUARD: dict[str, Any] = {"probes": 3, "answers": 3, "max_tokens": 8, "items": 2, "indicator": _SOME}
"""With an indicator or two of each kind, for stages whose guard is not the point."""


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A folder that is gone afterwards. In memory where that can be: syncing a disk takes most of a tiny run.

    A killed process loses nothing there that it would not lose on a disk.
    """
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="accord-tiny-", dir=memory if memory.is_dir() else None))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def write_files(folder: Path) -> Path:
    """A tiny model, prompts, completions and rewards in ``folder``: all that ``tiny_plan`` names."""
    from accord.engines.local.tiny import save_tiny

    folder.mkdir(parents=True, exist_ok=True)
    save_tiny(folder / "tiny", seed=0, layers=1, width=16)
    (folder / "reward.py").write_text(_REWARD, encoding="utf-8")
    shutil.copy(Path(__file__).with_name("own_parts.py"), folder / "strangers.py")
    asked = [{"prompt": text} for text in _PROMPTS]
    said = [{"prompt": text, "completion": f"{text[:4].lower()} ok"} for text in _PROMPTS]
    other = [{"prompt": f"{text} Please.", "completion": f"{text[:3].lower()} so"} for text in _PROMPTS[:5]]
    for name, rows in (("ask", asked[:8]), ("held_out", asked[8:]), ("say", said), ("other", other)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return folder


def tiny_plan(only: bool = False, **changed: Any) -> dict[str, Any]:
    """Two stages: best of n under LoRA with held-out prompts, then all weights on completions from a file,
    evaluated on others.

    ``changed`` replaces tables of the first stage; ``only`` leaves the second one away.
    """
    first: dict[str, Any] = {
        "name": "amplify",
        "windows": 2,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 4, "max_tokens": 10},
        "ask": asking("small_letters"),
        "method": {"name": "best_of_n", "n": 3, "rows_per_step": 2},
        "learner": {"name": "local", "lr": 0.01, "rank": 2, "decode": "float32", "precision": "float32"},
        "guard": {"probes": 3, "answers": 3, "max_tokens": 8, "items": 2},
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
            "schedule": "cosine",
            "warmup": 3,
            "weight_decay": 0.1,
            "decode": "float32",
            "precision": "float32",
        },
        "guard": {**GUARD, "every": 2},
        "eval": {"source": {"name": "offline", "data": "other.jsonl"}, "every": 3, "keep": "best"},
        "checkpoint": {"every": 3, "keep": 1},
    }
    stages = [first | changed] if only else [first | changed, second]
    return {"name": "tiny", "purpose": "explore", "seed": 7, "model": "tiny", "stage": stages}


def asking(fn: str) -> list[dict[str, Any]]:
    """The first stage's ask, with another reward."""
    overseer = {"name": "program", "fn": f"reward.py:{fn}"}
    return [{"name": "each", "column": "score", "collapse": "distribution", "overseer": overseer}]


def write_plan(file: Path, plan: Mapping[str, Any]) -> Path:
    """The plan as a TOML file beside the files it names."""
    import tomli_w

    file.write_text(tomli_w.dumps(plan), encoding="utf-8")
    return file


def graded(note: Path) -> Counter[tuple[str, str]]:
    """What the reward graded, as it noted it itself: (prompt, answer), counted."""
    if not note.exists():
        return Counter()
    lines = note.read_text(encoding="utf-8").splitlines()
    return Counter(cast("tuple[str, str]", tuple(json.loads(line))) for line in lines)


def judged(run: Path) -> Counter[tuple[str, str]]:
    """The texts of all judgments that a run has on disk: (prompt, answer), counted."""
    from accord.records import Judgment, Prompt, Question, Response
    from accord.stores.runlog import read_log

    found: Counter[tuple[str, str]] = Counter()
    for stage in sorted(path.parent for path in run.glob("*/judgments")):
        view = read_log(stage)
        texts = {line.record.id: line.record for line in view.lines}
        for record in view.records("judgment"):
            question = cast(Question, texts[cast(Judgment, record).question])
            prompt = cast(Prompt, texts[question.prompt])
            found.update((prompt.text, cast(Response, texts[r]).text) for r in question.responses)
    return found
