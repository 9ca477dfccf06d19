"""A folder with prompts, rewards and a plan whose method pushes; and few answers are enough to pass."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.gating.saying import Base, Says

from accord.gating import GateReport, Keeping, gate
from accord.gating.report import Finding
from accord.plan import Plan

PROMPTS, ANSWERS = 16, 6

REWARDS = """
import zlib


def longer(prompts, answers):
    with open("called.txt", "a") as file:
        file.write("x" * len(answers))
    return [float(len(answer.split())) for answer in answers]


def number(prompts, answers):
    return [float(answer.split()[-1]) for answer in answers]


def middling(prompts, answers):
    return [-abs(float(answer.split()[-1]) - 60.0) for answer in answers]


def capped(prompts, answers):
    return [min(float(answer.split()[-1]), 60.0) for answer in answers]


def sorry(prompts, answers):
    return [float("sorry" in answer) + 0.01 * len(answer) for answer in answers]


def agrees(prompts, answers):
    said = [answer.lower().rstrip(" 0123456789") for answer in answers]
    return [float(one in prompt.lower()) for prompt, one in zip(prompts, said)]


def first(prompts, answers):
    return [float(answer.startswith("A")) for answer in answers]


def chance(prompts, answers):
    return [float(zlib.crc32(f"{answer} {prompt}".encode()) % 7) for prompt, answer in zip(prompts, answers)]


def likes(prompts, answers):
    return [-0.5 * len(answer.split()) + 0.01 * len(answer) for answer in answers]


def kept(prompts, answers):
    return [None if answer == "silence" else float(answer == "kept") for answer in answers]


def nobody(prompts, answers):
    return [None for answer in answers]
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("accord.gating.grounds.PROMPTS", PROMPTS)
    monkeypatch.setattr("accord.gating.grounds.ANSWERS", ANSWERS)
    rows = [{"prompt": f"question {i} ?"} for i in range(60)]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    pairs = [{"prompt": f"question {i} ?", "chosen": f"a {i}", "rejected": f"b {i}"} for i in range(60)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), "utf-8")
    (tmp_path / "reward.py").write_text(REWARDS, "utf-8")
    return tmp_path


NO_PANELS = {"rule": [{"name": "page", "tolerances": {"calibration.brier": {"by": 0.03}}}]}
"""A guard whose page tier holds no trait that the gate reads on panels."""


def table(reward: str = "longer", **stage: Any) -> dict[str, Any]:
    """A plan as it stands in TOML; ``stage`` changes its one stage."""
    ask = {"name": "each", "column": "score", "collapse": "distribution"}
    fields: dict[str, Any] = {
        "name": "push",
        "windows": 20,
        "source": {"name": "rollouts", "prompts": "asked.jsonl"},
        "method": {"name": "grpo"},
        "ask": [{**ask, "overseer": {"name": "program", "fn": f"reward.py:{reward}"}}],
    }
    return {"name": "p", "purpose": "model", "model": "base", "stage": [{**fields, **stage}]}


@pytest.fixture
def found(place: Path) -> Callable[..., Finding]:
    """What one check of a plan finds, of a base that says what it is told to."""

    def ask(check: str, says: Says, plan: dict[str, Any] | None = None, **more: Any) -> Finding:
        engine = more.pop("engine", None) or Base(says, **more.pop("base", {}))
        keeping = Keeping(place / "audits", None)
        sizes = {"prompts": PROMPTS, "answers": ANSWERS, **more}
        report = gate(
            Plan.model_validate(plan or table()), checks=[check], engine=engine, keeping=keeping, **sizes
        )
        (finding,) = [one for one in report.findings if one.check == check]
        return finding

    return ask


@pytest.fixture
def whole(place: Path) -> Callable[..., GateReport]:
    """A whole gate, kept in the folder."""

    def ask(engine: Base, plan: dict[str, Any] | None = None, **more: Any) -> GateReport:
        keeping = Keeping(place / "audits", place / "gates", place / "plan.signed.jsonl")
        sizes = {"prompts": PROMPTS, "answers": ANSWERS, **more}
        return gate(Plan.model_validate(plan or table()), engine=engine, keeping=keeping, **sizes)

    return ask
