"""Ledger: results of parts, one line each, appended and flushed; what stands there is not done again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

__all__ = ["Ledger", "Part", "Row", "code_digest"]

ROOT = Path(__file__).resolve().parents[2]
_ORGANISMS = "src/accord/testing/organisms"
# What a result hangs on, by part. A row remembers the digest; the page says how many rows are of other code.
_TIER = (
    "bench/proofs/pagetier.py",
    "src/accord/indicators/*.py",
    "src/accord/maths/sequential.py",
    "src/accord/maths/spending.py",
    "src/accord/pages.py",
    "src/accord/probing.py",
)
_SCRIPTED = (
    *_TIER,
    "bench/proofs/scripted.py",
    *(f"{_ORGANISMS}/{n}.py" for n in ("asked", "scripted", "speech")),
)
_TRAINED = (*_TIER, "bench/proofs/raised.py", *(f"{_ORGANISMS}/{n}.py" for n in ("small_world", "trained")))
_PEOPLE = ("src/accord/stores/people/*.py", "src/accord/stores/database.py", "tests/killing.py")
_WEB = ("src/accord/web/*.py", "src/accord/web/*/*.*")
_RUNS = ("src/accord/frozen.py", "src/accord/replaying.py", "src/accord/withdrawn.py")
_OVERSEERS = ("src/accord/overseers/*.py", "src/accord/desk.py")
_KEPT = ("src/accord/keep/*.py", "tests/unit/keep/archives.py", "tests/unit/keep/kept.py")
_GATE = "src/accord/steward/requirements.py"
_STEWARDED = ("bench/stewardship/planted.py", "src/accord/steward/*.py")
_SIMULATED = "bench/feedback/aggregation.py"
_READ = {
    "answers": ("bench/proofs/answered.py", "src/accord/indicators/*.py", f"{_ORGANISMS}/speech.py"),
    **dict.fromkeys(("trained", "trained twins", "trained nulls"), _TRAINED),
    "honeypots": (*_SCRIPTED, "bench/proofs/honeypots.py", "src/accord/canary.py"),
    **dict.fromkeys(("turnover", "diversity"), ("bench/proofs/overused.py", "src/accord/methods/rloo.py")),
    "small base": (f"{_ORGANISMS}/small_world.py", f"{_ORGANISMS}/trained.py"),
    "alarms": ("bench/sequential.py", "src/accord/maths/cusum.py"),
    "crossings": ("bench/crossing.py", "src/accord/maths/searching.py", "src/accord/maths/locating.py"),
    "gamed": ("bench/gamed.py", *_TIER, "src/accord/crossing.py", "src/accord/methods/grpo.py"),
    **dict.fromkeys(("leaks", "judges", "kills"), ("bench/proofs/faults.py", *_TIER, "src/accord/guard.py")),
    **dict.fromkeys(("raters", "raters, 60 s"), ("bench/feedback/load.py", *_PEOPLE)),
    "kills in a submit": ("bench/feedback/killed.py", *_PEOPLE, *_WEB),
    "proved by tests": ("tests/unit/**/*.py", "tests/web/*.py", *_PEOPLE, *_RUNS, *_WEB),
    "ratings cover": (_SIMULATED, *(f"src/accord/maths/rating{n}.py" for n in ("s", "_intervals"))),
    "alphas cover": (_SIMULATED, "src/accord/maths/agreement.py"),
    **dict.fromkeys(("minority", "two groups"), (_SIMULATED, "src/accord/maths/hidden_context.py")),
    "agreement page": (
        "bench/feedback/page.py",
        "src/accord/maths/*.py",
        "src/accord/reports/labelling/*.py",
    ),
    "planted choice": ("bench/feedback/planted.py", *_OVERSEERS, "src/accord/maths/qualifying.py"),
    "the path": (*_STEWARDED, f"{_ORGANISMS}/aims*.py", *_TIER),
    "unlearnt": ("bench/stewardship/planted.py", f"{_ORGANISMS}/aims*.py", *_TIER),
    "the gate": ("bench/stewardship/gated.py", "src/accord/permitted.py", "src/accord/gating/*.py", _GATE),
    "bit flips": ("bench/stewardship/damaged.py", *_KEPT),
    "forged statements": ("bench/stewardship/damaged.py", *_KEPT),
    "kills in keeping": ("bench/stewardship/killed.py", *_KEPT),
    "refused imports": ("bench/stewardship/refused.py", "tests/unit/keep/test_intake.py", *_KEPT),
    "archive size": ("bench/archive.py", *_KEPT),
    **dict.fromkeys(("verify rate", "verify rate, small"), ("bench/verify.py", *_KEPT)),
    "market": ("bench/feedback/market.py", *_OVERSEERS, "src/accord/worlds/market.py"),
}


class Part(NamedTuple):
    """A question: which seeds it is asked with, and what answers it. ``size``: how much, part of the key."""

    name: str
    seeds: tuple[int, ...]
    size: str
    answer: Callable[[int], dict[str, Any]]


class Row(NamedTuple):
    """One answer. ``seconds`` are of the processor, this process and its children."""

    part: str
    seed: int
    size: str
    code: str
    seconds: float
    figures: dict[str, Any]


@dataclass
class Ledger:
    """A file of rows. A last line that a kill tore is no row."""

    file: Path

    def rows(self) -> list[Row]:
        """The newest row of every (part, seed, size), in the order they first came."""
        if not self.file.is_file():
            return []
        found: dict[tuple[str, int, str], Row] = {}
        for line in self.file.read_text(encoding="utf-8").splitlines():
            try:
                row = Row(**cast("dict[str, Any]", json.loads(line)))
            except (json.JSONDecodeError, TypeError):
                continue
            found[row.part, row.seed, row.size] = row
        return list(found.values())

    def missing(self, parts: Sequence[Part]) -> list[tuple[Part, int]]:
        """What has not been answered yet."""
        done = {(row.part, row.seed, row.size) for row in self.rows()}
        return [(p, seed) for p in parts for seed in p.seeds if (p.name, seed, p.size) not in done]

    def work(self, parts: Sequence[Part], say: Callable[[str], None], anew: bool = False) -> None:
        """Answers what is missing, or ``anew`` everything, and writes every answer at once."""
        left = [(part, seed) for part in parts for seed in part.seeds] if anew else self.missing(parts)
        begun = time.monotonic()
        for number, (part, seed) in enumerate(left, start=1):
            before = _busy()
            figures = part.answer(seed)
            row = Row(part.name, seed, part.size, code_digest(part.name), round(_busy() - before, 2), figures)
            self._append(row)
            minutes = (time.monotonic() - begun) / 60
            ahead = minutes / number * (len(left) - number)
            say(
                f"{part.name} {seed}: {row.seconds:.1f} s; {number} of {len(left)}, "
                f"{minutes:.1f} minutes, some {ahead:.0f} to go"
            )

    def _append(self, row: Row) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        torn = self.file.is_file() and not self.file.read_bytes().endswith(b"\n") and self.file.stat().st_size
        with self.file.open("a", encoding="utf-8") as out:
            out.write(("\n" if torn else "") + json.dumps(row._asdict(), ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())


def code_digest(part: str) -> str:
    """Of the files that the part's results hang on."""
    patterns = _READ.get(part, _SCRIPTED)
    hashed = hashlib.sha256()
    for file in sorted(file for pattern in patterns for file in ROOT.glob(pattern) if file.is_file()):
        hashed.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return hashed.hexdigest()[:12]


def _busy() -> float:
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system
