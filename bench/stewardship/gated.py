"""Does the evidence gate refuse, can it be passed by what it names, and does one changed bit void it?

A folder with a plan for ``ppo``, a tiny model, prompts, a reward and values, and nothing else. ``accord run``
refuses; then ``accord gate`` is asked, and every command that it names is run as it stands there, until it
passes. Where a person is to say something (who answers, which gold), the world here says it. Then the plan
runs. Last, one bit at a time is flipped in what the Decision stands on, and the run's look-up is asked again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shlex
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.steward.test_requirements import laid_down

from accord.cli import main
from accord.errors import AccordError
from accord.permitted import permitted
from accord.pipeline import settled
from accord.plan import read_plan
from accord.progress import Silent
from accord.stores.gates import DECISIONS, last_ruling

__all__ = ["Gated", "gated"]

_ROUNDS = 6
_PROMPTS = 220  # 200 are asked for
_GOLD = "\n\ndef gold(prompts, answers):\n    return [sum(c in 'aeiou' for c in a) / 8 for a in answers]\n"
_PLAN = "plan-stated.toml"
# What a Decision stands on, beside the plan: the file, and what it is called on the page.
_EVIDENCE = {
    _PLAN: "the plan",
    "values.toml": "the values",
    "cases.jsonl": "prompts of the values",
    "checks.py": "the checks of the values",
    "tiny/model.safetensors": "the base's weights",
    "tiny/config.json": "the base's config",
    "tiny/tokenizer.json": "the base's tokenizer",
    "asked.jsonl": "the prompts that are trained on",
    "reward.py": "the reward",
    "plan-stated.retirement.toml": "the retirement policy",
    f"gates/{DECISIONS}": "the Decision and its Permit",
}


class Gated(NamedTuple):
    """What came of it. ``refused``: the exit code of a run with nothing; ``gaps``: what its gate names as
    missing; ``written``: how many files that left; ``commands``: those that were run; ``ran``: the exit code
    of the run after that. Of ``flipped`` bits so many ``voided`` it, and so many leave all that is read the
    ``same``; ``by`` what was flipped. ``left``: what stayed missing."""

    refused: int
    gaps: int
    written: int
    commands: tuple[str, ...]
    passed: bool
    left: str
    ran: int
    flipped: int
    voided: int
    same: int
    by: dict[str, tuple[int, int]]
    wrong: tuple[str, ...]


def gated(folder: Path, bits: int, seed: int) -> Gated:
    """All of it in this folder; ``bits`` are flipped in each file."""
    place = folder / "place"
    place.mkdir(parents=True)
    laid_down(place)
    rows = [{"prompt": f"question {i} ?"} for i in range(_PROMPTS)]
    (place / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (place / "truth.py").write_text(_GOLD, "utf-8")
    with _inside(place, folder / "keys"):
        before = _files(place)
        refused, _ = _said("run plan.toml")
        written = len(_files(place) - before)
        gaps, commands, left = _supplied(place)
        passed = not left
        ran = _said(f"run {_PLAN} --name one --store none --quiet")[0] if passed else -1
        by, same, wrong = _flipped(place, bits, seed) if passed else ({}, 0, ())
    flipped, voided = (sum(one[i] for one in by.values()) for i in (0, 1))
    return Gated(
        refused,
        gaps,
        written,
        commands,
        passed and ran == 0,
        left,
        ran,
        flipped,
        voided,
        same,
        by,
        tuple(wrong),
    )


def _supplied(place: Path) -> tuple[int, tuple[str, ...], str]:
    """How many of the five were missing at first, what was run, and what was missing still at the end."""
    command, gaps, done = "accord gate plan.toml --values values.toml", -1, list[str]()
    missing: list[dict[str, Any]] = []
    for _ in range(_ROUNDS):
        code, said = _said(f"{command.removeprefix('accord ')} --json --quiet")
        try:
            told = json.loads(said)
        except json.JSONDecodeError:
            return gaps, tuple(done), f"{command}: exit {code}: {said[:300]}"
        missing = [one for one in told["requirements"] if one["status"] == "missing"]
        gaps = len(missing) if gaps < 0 else gaps
        if not missing:
            return gaps, (*done, command), ""
        for step in (step for one in missing for step in one["steps"]):
            name = _shown(step, place)
            if name not in done and (fresh := _run(step)):
                done.append(name)
                command = fresh if fresh.startswith("accord gate") else command
    return gaps, tuple(done), "; ".join(f"{one['name']}: {one['says']}" for one in missing)


def _run(step: str) -> str:
    """Run one step as it stands; the gate's own next words where it is about those."""
    if found := re.search(r"write (\S+):\n(.*)", step, re.DOTALL):
        lines = [line.strip().replace('"NAME"', '"A. Person"') for line in found[2].splitlines()]
        Path(found[1]).write_text("\n".join(lines) + "\n", "utf-8")
        return step
    typed = step[step.index("accord ") :].replace("FILE.py:function", "truth.py:gold")
    if "--stated" in typed:
        _said(typed.removeprefix("accord "))
        return f"accord gate {shlex.split(typed)[-1]} --values values.toml"
    if typed.startswith("accord gate"):
        return typed  # the next question, in full
    if typed.startswith("accord keep"):
        _said("keep key --by A.Person --role demonstration")
    if typed.startswith("accord run"):
        typed += " --effort quick --store none"
    code, _ = _said(f"{typed.removeprefix('accord ')} --quiet")
    return typed if code == 0 else ""  # it is named again, and tried again


def _shown(step: str, place: Path) -> str:
    """As the page shows it: no folder of this machine, on one line."""
    text = " ".join(step.replace(f"{place}/", "").split())
    return re.sub(r"^.*?(accord |write )", r"\1", text)


def _flipped(place: Path, bits: int, seed: int) -> tuple[dict[str, tuple[int, int]], int, list[str]]:
    """For each file how many bits, and how many of them void the Decision; how many change nothing that is
    read; what let a run begin all the same."""
    draw = random.Random(f"gate/{seed}")
    if not _allowed(place):
        raise RuntimeError("the Decision does not hold before anything was changed")
    read = _read(place)
    by: dict[str, tuple[int, int]] = {}
    same, wrong = 0, list[str]()
    for name, what in _EVIDENCE.items():
        drawn = draw.sample(range(8 * (place / name).stat().st_size), bits)
        found = {bit: _after(place, place / name, bit, read) for bit in drawn}
        by[what] = (bits, sum(one == "void" for one in found.values()))
        same += sum(one == "the same" for one in found.values())
        wrong += [f"{name}, bit {bit}" for bit, one in found.items() if one == "open"]
    if not _allowed(place):
        raise RuntimeError("what was put back is not what was there")
    return by, same, wrong


def _after(place: Path, file: Path, bit: int, read: object) -> Literal["void", "the same", "open"]:
    """What a flipped bit does to the Decision; the file is as it was afterwards. ``read``: what was read of
    the place before; a bit may stand where nothing is read, as in a path that an earlier Decision names."""
    whole = file.read_bytes()
    file.write_bytes(_with(whole, bit))
    try:
        if not _allowed(place):
            return "void"
        return "the same" if file.name in (_PLAN, DECISIONS) and _read(place) == read else "open"
    finally:
        file.write_bytes(whole)


def _read(place: Path) -> tuple[str, list[object]]:
    """The plan as it is told apart from others, and the Ruling on it, every field of it."""
    plan = settled(read_plan(place / _PLAN), [place]).hash
    ruling = last_ruling(place / "gates" / DECISIONS, plan)
    if ruling is None:
        raise RuntimeError("no Decision on the plan that was passed")
    return plan, [one.body() for one in (ruling.decision, ruling.permit, *ruling.signed)]


def _with(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def _allowed(place: Path) -> bool:
    """Whether ``accord run`` would begin the plan now."""
    try:
        plan = settled(read_plan(place / _PLAN), [place])
        return permitted(plan, place / "gates", Silent()) is not None
    except AccordError:
        return False


def _files(folder: Path) -> set[str]:
    found = (one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    return {one for one in found if "__pycache__" not in one}


def _said(words: str) -> tuple[int, str]:
    """What a command exits with, and says on its output."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(words))
    return code, out.getvalue() or err.getvalue()


@contextlib.contextmanager
def _inside(place: Path, keys: Path) -> Generator[None]:
    """In this folder, with keys of its own."""
    before, known = Path.cwd(), os.environ.get("ACCORD_KEYS")
    os.chdir(place)
    os.environ["ACCORD_KEYS"] = str(keys)
    try:
        yield
    finally:
        os.chdir(before)
        if known is None:
            del os.environ["ACCORD_KEYS"]
        else:
            os.environ["ACCORD_KEYS"] = known
