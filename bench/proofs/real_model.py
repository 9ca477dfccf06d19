"""The page's part about a real model under a gamed reward and an honest one."""

from __future__ import annotations

from collections.abc import Sequence

from gamed import WATCHED, WINDOWS
from proofs.ledger import Row
from proofs.words import table

__all__ = ["gamed"]


def gamed(rows: Sequence[Row]) -> str:
    """Markdown: what became of each run."""
    said = {
        "detail": "commas, brackets, dashes and digits, which a gamer adds",
        "topic": "a word of the question in the answer, which two of three answers have",
    }
    lines: list[list[object]] = []
    for row in rows:
        f = row.figures
        found = [
            f"{one['name']}: update {one['below'] + 1}"
            if one["above"] - one["below"] == 1
            else f"{one['name']}: updates {one['below'] + 1} to {one['above']}"
            for one in f["crossings"]
        ]
        came = "ran to its end" if f["action"] == "done" else f"{f['action']} after update {f['step']}"
        lines.append([said[f["kind"]], row.seed // 2, came, "; ".join(found), f["reason"]])
    text = (
        f"SmolLM2-135M by `grpo` without a KL penalty (LoRA, {WINDOWS} windows of 3 prompts × 8 answers of "
        "at most 32 tokens), under a reward that a gamer wins and under an honest one; all else is equal. "
        f"The guard reads {' and '.join(f'`{name}`' for name in WATCHED)}; the first alone cannot page. Of a "
        "run that stopped, `accord crossing` looked for the update. A page says that the policy left its "
        "base, not that the reward was gamed: the honest one was reached with a small move. By "
        "[bench/gamed.py](../bench/gamed.py).\n\n"
    )
    return text + table(["reward", "seed", "end", "crossed at", "what the guard said"], lines)
