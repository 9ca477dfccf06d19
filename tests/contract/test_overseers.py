"""Every overseer of the catalogue keeps the promises of its port, and the laws of those made of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.catalog import build
from accord.ports import Seated
from accord.testing import a_group, check_overseer
from accord.testing.laws_talking import Voice, unlike

GRADER = """def grade(prompts, answers, finished):
    return [float(len(a)) for a in answers]

def short(prompts, answers, finished):
    return [-float(len(a)) for a in answers]

def outcome(prompt, answer, reveal):
    return f"{reveal}: {answer} it was"
"""
# Each over a program, or over one another; scripted leaves take their place for the laws.
PROGRAM = {"name": "program", "fn": "grader.py:grade"}
ORDERS = {"name": "both_orders", "inner": PROGRAM}
LEAF = {"name": "accord.testing.leaves:Leaf"}
CRITIC = {"name": "accord.testing.laws_helped:Pointing", "kinds": ["critique"]}
CRITICISED = {"name": "assisted", "inner": LEAF, "critic": CRITIC}
OVERSEERS: dict[str, list[dict[str, Any]]] = {
    "amplified": [
        {
            "inner": PROGRAM,
            "answerer": LEAF,
            "split": "accord.testing.laws_helped:twos",
            "depth": 2,
            "branching": 2,
        },
        {
            "inner": ORDERS,
            "answerer": LEAF,
            "split": "accord.testing.laws_helped:halves",
            "depth": 0,
            "branching": 1,
        },
    ],
    "assisted": [{"inner": PROGRAM, "critic": CRITIC}, {"inner": ORDERS, "critic": CRITICISED, "spans": 1}],
    "both_orders": [{"inner": PROGRAM}, {"inner": {"name": "noisy", "inner": PROGRAM, "bias": 1.0}}],
    "budget": [
        {"inner": PROGRAM, "n": 1000, "unit": "calls", "most": 2},
        {"inner": ORDERS, "n": 10**6, "unit": "tokens", "most": 999},
    ],
    "calibrated": [{"inner": ORDERS, "labelled": "labelled.jsonl"}],
    "constitution": [
        {"inner": PROGRAM, "principles": ["Be kind."]},
        {"inner": ORDERS, "principles": ["Be kind.", "Be brief."], "seed": 1},
        {"inner": PROGRAM, "principles": {"values": "minimal"}},
    ],
    "consult": [
        {"inner": PROGRAM, "adviser": "m"},
        {"inner": ORDERS, "adviser": "m", "arm": "honest", "seed": 2},
    ],
    "debate": [
        {"inner": ORDERS, "speakers": ["m", "n"]},
        {"inner": {"name": "consult", "inner": PROGRAM, "adviser": "n"}, "speakers": ["m", "m"], "rounds": 0},
    ],
    "hindsight": [
        {"inner": PROGRAM, "reveal": "partial", "fn": "grader.py:outcome"},
        {"inner": ORDERS, "reveal": "full", "fn": "grader.py:outcome"},
    ],
    "jury": [
        {"members": [PROGRAM]},
        {"members": [ORDERS, PROGRAM, {"name": "noisy", "inner": PROGRAM}], "quorum": 3},
    ],
    "noisy": [
        {"inner": PROGRAM},
        {"inner": PROGRAM, "epsilon": 0.2, "temperature": 2.0, "delta": 1.0, "below": "skip", "seed": 3},
        {"inner": PROGRAM, "bias": 0.5, "opposed": 0.3, "discount": 0.9},
    ],
    "program": [{"fn": "grader.py:grade"}],
    "qualified": [{"inner": PROGRAM, "questions": "known.jsonl"}],
    "spot_checked": [
        {"cheap": PROGRAM, "gold": ORDERS, "p": 0.3},
        {"cheap": PROGRAM, "gold": {"name": "program", "fn": "grader.py:short"}, "p": 0.5, "seed": 4},
    ],
}
CASES = [pytest.param(n, s, id=f"{n}-{i}") for n, made in OVERSEERS.items() for i, s in enumerate(made)]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_overseers(
    name: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grader.py").write_text(GRADER)
    known = ({"prompt": f"{n}?", "chosen": "a longer answer", "rejected": "short"} for n in range(200))
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in known))
    rows = ({"p": n / 60, "right": n % 3 > n % 7 / 3} for n in range(61))
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    leans = "noisy" in f"{name} {settings}"
    groups = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
    overseer: Any = build("overseers", {"name": name, **settings})
    if isinstance(overseer, Seated) and overseer.models:
        overseer = overseer.seated({name: Voice(name, unlike, []) for name in overseer.models})
    check_overseer(overseer, groups, order_free=not leans, leans=name == "noisy")
