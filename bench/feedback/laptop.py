"""RLHF with people, end to end on this machine: ``python bench/feedback/laptop.py``

What docs/feedback.md walks through, with its plan and real processes: ``accord label --fill`` has
SmolLM2-135M answer 40 questions twice each, ``accord serve`` asks about the pairs, a scripted rater who
prefers the shorter answer judges them over HTTP, ``accord run`` trains a reward model and DPO on what was
said, and ``accord explain --trace`` walks from a figure of each stage back to a single judgment. Printed:
minutes, the reward model's accuracy on pairs it was not trained on (before and after), and the path.

Exits 1 where a command fails, or a path misses the people's judgment.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from calling import Caller, shorter

__all__ = ["Found", "main", "walked"]

ROOT = Path(__file__).resolve().parents[2]

_PLAN = re.compile(r"<!-- file: people\.toml -->\n```toml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROMPTS = "short-questions"


class Found(NamedTuple):
    """What came of it. ``seconds`` by command; ``read``: the reward model on held-out pairs, at each step."""

    pairs: int
    said: int
    seconds: dict[str, float]
    read: list[dict[str, Any]]
    paths: list[dict[str, Any]]

    @property
    def sound(self) -> bool:
        """Whether every stage's path comes to a judgment that a person gave here."""
        heard = [any("(a person)" in step["says"] for step in path["steps"]) for path in self.paths]
        # A rater judges some pairs twice, in swapped order.
        return len(heard) == 2 and all(heard) and self.said >= self.pairs


def walked(folder: Path, pairs: int, settings: Sequence[str] = ()) -> Found:
    """Fill, answer, train, and walk back, in ``folder``."""
    page = (ROOT / "docs" / "feedback.md").read_text(encoding="utf-8")
    plan = _PLAN.search(page)
    assert plan is not None, "docs/feedback.md has the plan of the walkthrough"
    (folder / "people.toml").write_text(plan[1], encoding="utf-8")
    seconds: dict[str, float] = {}
    began = time.monotonic()

    def step(name: str) -> None:
        nonlocal began
        seconds[name] = time.monotonic() - began
        began = time.monotonic()

    fill = ["label", "--fill", "people.toml", "--prompts", _PROMPTS, "--max-tokens", "40"]
    filled = json.loads(_accord([*fill, "--questions", str(pairs), "--json"], folder))
    step("fill")
    said = _answered(folder)
    step("answer")
    changed = [word for setting in settings for word in ("--set", setting)]
    _accord(["run", "people.toml", "--name", "people", *changed], folder)
    step("train")
    paths = json.loads(_accord(["explain", "people", "--trace", "--json"], folder))["stages"]
    step("walk back")
    return Found(filled["posted"] + filled["there"], said, seconds, _read(folder), paths)


def _accord(words: Sequence[str], folder: Path) -> str:
    command = [sys.executable, "-m", "accord", *words]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"accord {' '.join(words)} ended with {done.returncode}")
    return done.stdout


def _answered(folder: Path) -> int:
    """How many questions a scripted rater answered over HTTP."""
    command = [sys.executable, "-m", "accord", "serve", "--store", "labels.db", "--port", "0", "--json"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        caller = Caller(told["url"], told["link"], "A. Rater")
        said = caller.answer_all(shorter)
        caller.close()
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(120)
    return len(said)


def _read(folder: Path) -> list[dict[str, Any]]:
    """Accuracy and loss (nats per pair) of every evaluation of the reward model, in order."""
    from accord.records import Reading
    from accord.stores.runlog import read_log

    found = read_log(folder / "runs" / "people" / "rm").records("reading")
    return [
        {"figure": one.name, "step": one.step, "value": one.value, "pairs": one.n}
        for one in found
        if isinstance(one, Reading) and one.name in ("eval.accuracy", "eval.preference")
    ]


def lines(found: Found) -> list[str]:
    """What happened, for people."""
    took = ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in found.seconds.items())
    total = sum(found.seconds.values()) / 60
    told = [
        f"{found.pairs} pairs; {found.said} judged over HTTP by a scripted rater who prefers the shorter",
        f"{total:.1f} minutes in all: {took}",
    ]
    for one in found.read:
        told.append(
            f"{one['figure']} at step {one['step']}: {one['value']:.3f}, on {one['pairs']} held-out pairs"
        )
    for path in found.paths:
        told.append(f"from a figure to a judgment, stage {path['stage']}:")
        for step in path["steps"]:
            text = " ".join(step["text"].split())
            told.append(f"  {step['kind']} {step['record'][:12]}: {step['says']}")
            told += [f"    {text[:90]}"] if text else []
    return told


def main(argv: list[str] | None = None) -> int:
    """Walk it, tell it, judge it."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--pairs", type=int, default=40)
    words.add_argument(
        "--folder", type=Path, help="an empty folder to keep it all in (default: none is kept)"
    )
    words.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="change the plan")
    words.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    given: Any = words.parse_args(argv)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    with tempfile.TemporaryDirectory(prefix="accord-laptop-") as place:
        folder = given.folder or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        found = walked(folder, given.pairs, given.set)
    if given.json:
        print(json.dumps(found._asdict(), indent=1))
    else:
        print(*lines(found), sep="\n")
    return int(not found.sound)


if __name__ == "__main__":
    raise SystemExit(main())
