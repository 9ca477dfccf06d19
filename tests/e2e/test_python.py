"""Python first-class: the nouns of a plan, from a model and prompts to a report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from e2e.sameness import differences
from e2e.tiny_runs import tiny_plan

import accord
from accord.errors import PlanError, Refused
from accord.stores.runlog import read_log


def test_ten_lines_from_model_and_prompts_to_a_report(
    files: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    Path("prompts.jsonl").write_text("".join(f'{{"prompt": "Name number {n}."}}\n' for n in range(9)))
    model, reward = str(files / "tiny"), f"{files}/reward.py:small_letters"

    from accord import Plan, Stage, run
    from accord.engines.local import Local
    from accord.methods.best_of_n import BestOfN
    from accord.overseers.program import Program

    ask = {"name": "each", "column": "score", "collapse": "distribution", "overseer": Program(fn=reward)}
    stage = Stage(
        name="small",
        windows=2,
        source={"name": "rollouts", "prompts": "prompts.jsonl", "per_window": 4, "max_tokens": 8},
        ask=[ask],
        method=BestOfN(n=3, rows_per_step=2),
        learner=Local(lr=0.02),
        guard={"probes": 3, "answers": 3, "max_tokens": 8, "items": 2},
    )
    outcome = run(Plan(name="small", purpose="explore", model=model, stage=[stage]))

    assert (outcome.action, outcome.stages, outcome.decision) == ("done", ["small"], None)
    assert outcome.report == Path("runs/small-1/report.html") and outcome.report.is_file()
    assert "UNGATED" in outcome.report.read_text("utf-8")
    updates = read_log(outcome.folder / "small").records("event")
    assert len(updates) == 6, "two windows and two updates in each"
    from transformers import AutoModelForCausalLM

    trained = AutoModelForCausalLM.from_pretrained(outcome.folder / "small" / "model")
    assert trained.config.hidden_size == 16

    again = accord.resume(outcome.folder)
    assert again.headline == outcome.headline
    table = accord.audit(
        [str(outcome.folder / "small" / "model")],
        model,
        panels=("base",),
        depth="quick",
        prompts=place / "prompts.jsonl",
        answers=3,
    )
    kl = next(reading for reading in next(iter(table.readings.values())) if reading.name == "reverse_kl")
    assert kl.kind == "reading" and kl.low > 0


def test_a_plan_in_python_is_the_plan_in_toml(
    files: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = accord.Plan.model_validate(tiny_plan())
    assert accord.read_plan(plan.toml()) == plan
    monkeypatch.chdir(files)
    first, second = (accord.run(plan, runs=place / name, name="tiny", store="none") for name in ("a", "b"))
    assert differences(first.folder, second.folder) == []
    assert not (place / "a" / "accord.db").exists()


def test_errors_reach_python_as_they_are(files: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(PlanError, match="windws"):
        accord.Stage.model_validate(tiny_plan()["stage"][0] | {"windws": 1})
    plan = accord.Plan.model_validate(tiny_plan(only=True, windows=1))
    accord.run(plan, runs=place, name="tiny")
    with pytest.raises(Refused, match="exists"):
        accord.run(plan, runs=place, name="tiny")
    kept = accord.Plan.model_validate(tiny_plan(only=True, windows=1) | {"purpose": "model"})
    outcome = accord.run(kept, runs=place, name="kept")
    report = json.loads((outcome.folder / "report.json").read_text("utf-8"))
    assert report["purpose"] == "model" and "explores" not in report["stamp"]
    shutil.rmtree(place / "tiny")
    with pytest.raises(Refused, match="holds no run"):
        accord.resume(place / "tiny")
