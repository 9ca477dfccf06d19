"""Cut real data into token batches once, for both sides: same tokens, same order, same lengths.

HH transcripts become conversations in the model's own chat template; a pair is kept where prompt and longer
answer have at most 256 tokens together. Forced lengths are drawn here, from a fixed seed. Runs in Accord's
environment: ``python prepare.py JOB`` with ``model``, ``data``, ``out``.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILE = "hh_harmless_test_800.jsonl.gz"
LIMIT = 256
STEPS = 8  # batches prepared; longer measurements begin again at the first
PAIRS, GROUPS, ROLLOUTS, GROUP = 8, 4, 8, 8
ANSWER, LONGEST = 48, 64
_HUMAN, _ASSISTANT = "\n\nHuman:", "\n\nAssistant:"


def turns(transcript: str) -> list[tuple[str, str]]:
    """(role, text) of each turn; ValueError where the transcript does not begin with the person.

    >>> turns("\\n\\nHuman: Hi\\n\\nAssistant: Hello. What\\nnow?")
    [('user', 'Hi'), ('assistant', 'Hello. What\\nnow?')]
    """
    if not transcript.startswith(_HUMAN):
        raise ValueError(f"a transcript begins with {_HUMAN!r}, found {transcript[:20]!r}")
    found: list[tuple[str, str]] = []
    for part in transcript.replace(_ASSISTANT, "\0a").replace(_HUMAN, "\0u").split("\0")[1:]:
        found.append(({"a": "assistant", "u": "user"}[part[0]], part[1:].strip()))
    return found


def pairs(file: Path) -> Iterator[tuple[list[tuple[str, str]], str, str]]:
    """(turns before the answer, chosen, rejected) of each pair that differs in its last answer alone."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            chosen, rejected = turns(row["chosen"]), turns(row["rejected"])
            if chosen[:-1] != rejected[:-1] or not chosen[-1][1] or not rejected[-1][1] or chosen == rejected:
                continue
            yield chosen[:-1], chosen[-1][1], rejected[-1][1]


def work(opened: Any, file: Path) -> dict[str, Any]:
    """The prepared tokens. ``opened`` renders prompts and cuts answers as Accord does everywhere."""
    from accord.records import Message, Prompt

    rows: list[dict[str, Any]] = []
    for before, chosen, rejected in pairs(file):
        messages = [Message.model_validate({"role": role, "content": text}) for role, text in before]
        prompt = list(opened.render(Prompt(messages=tuple(messages))))
        said = [list(opened.words(text)) for text in (chosen, rejected)]
        if len(prompt) + max(map(len, said)) <= LIMIT:
            dumped = [message.model_dump() for message in messages]
            rows.append({"messages": dumped, "prompt": prompt, "chosen": said[0], "rejected": said[1]})
    if len(rows) < PAIRS:
        raise SystemExit(f"{file} has {len(rows)} pairs of at most {LIMIT} tokens; {PAIRS} are needed")
    draw = np.random.default_rng(0)
    return {
        "end": opened.end,
        "stops": sorted(opened.stop),
        "pairs": [_take(rows, step, PAIRS, ("prompt", "chosen", "rejected")) for step in range(STEPS)],
        "groups": _prompts(rows, GROUPS, ANSWER, draw),
        "rollouts": _prompts(rows, ROLLOUTS, LONGEST, draw),
    }


def _prompts(
    rows: Sequence[dict[str, Any]], count: int, longest: int, draw: np.random.Generator
) -> list[list[dict[str, Any]]]:
    """Prompts with the lengths of their answers, and real answers for where both sides need the same ones."""
    found: list[list[dict[str, Any]]] = []
    for step in range(STEPS):
        batch = _take(rows, step, count, ("messages", "prompt"))
        for place, row in enumerate(batch):
            ragged = draw.integers(8, longest + 1, GROUP).tolist()
            row["lengths"] = {"fixed": [longest] * GROUP, "ragged": ragged}
            texts = [rows[(step * count + place + i) % len(rows)]["chosen"] for i in range(GROUP)]
            row["completions"] = [text[:longest] for text in texts]
        found.append(batch)
    return found


def _take(
    rows: Sequence[dict[str, Any]], step: int, count: int, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    return [{name: rows[(step * count + i) % len(rows)][name] for name in names} for i in range(count)]


def main() -> None:
    from accord.engines.local import calm_threads

    calm_threads()
    from accord.engines.local.models import open_model

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    file = Path(job["data"]) / FILE
    if not file.is_file():
        raise SystemExit(
            f"{file} is not there; the bench needs the first 800 pairs of HH-RLHF harmless-base/test"
        )
    Path(job["out"]).write_text(json.dumps(work(open_model(job["model"]), file)), encoding="utf-8")


if __name__ == "__main__":
    main()
