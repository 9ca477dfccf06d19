"""A stage whose score is made of two asks, from the plan to the figures: shares, base answers, records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from accord.errors import PlanError
from accord.pipeline import run
from accord.plan import Plan
from accord.records import Judgment, Question, Reading, Response
from accord.stores.runlog import read_log

REWARD = """
def half(prompts, answers):
    return [0.5 for _ in answers]


def never_base(prompts, answers):
    return [0.0 if a == "the base answer" else 1.0 for a in answers]
"""


def plan(*asks: dict[str, Any], **stage: Any) -> Plan:
    fields: dict[str, Any] = {
        "name": "teach",
        "windows": 1,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 2, "max_tokens": 2},
        "ask": list(asks),
        "method": {"name": "rloo", "n": 2},
        "learner": {"name": "scripted", "words": ["a", "b", "c"], "longest": 2, "lr": 0.1},
        "guard": {"probes": 2, "answers": 2, "max_tokens": 2, "indicator": [{"name": "diversity"}]},
    }
    return Plan.model_validate(
        {"name": "p", "purpose": "explore", "model": "scripted", "stage": [fields | stage]}
    )


def ask(name: str, fn: str, **told: Any) -> dict[str, Any]:
    overseer = {"name": "program", "fn": f"reward.py:{fn}"}
    return {"name": name, "column": "score", "collapse": "distribution", "overseer": overseer, **told}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reward.py").write_text(REWARD, "utf-8")
    rows = [{"prompt": f"Why {i}?", "reference": "the base answer"} for i in range(3)]
    (tmp_path / "ask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_score_of_a_stage_is_made_of_its_shares(place: Path) -> None:
    """Half of .5 and half of 4, for every answer. Kills: shares that the plan has and the run has not."""
    both = (ask("each", "half", share=0.5), ask("against", "never_base", share=0.5))
    held_out = {"prompts": "ask.jsonl", "n": 1, "max_tokens": 2}
    outcome = run(plan(*both, held_out=held_out), runs=place / "runs", name="r", store="none")
    assert outcome.action == "done"
    log = read_log(place / "runs" / "r" / "teach")
    readings = [r for r in log.records("reading") if isinstance(r, Reading) and r.name == "held_out.score"]
    assert {r.value for r in readings} == {2.25}
    responses = {r.id: r for r in cast("list[Response]", log.records("response"))}
    questions = {q.id: q for q in cast("list[Question]", log.records("question"))}
    judged = [questions[j.question] for j in cast("list[Judgment]", log.records("judgment"))]
    compared = [q for q in judged if len(q.responses) == 2]
    assert len(judged) == 2 * len(compared)
    assert {responses[q.responses[1]].text for q in compared} == {"the base answer"}


def test_data_without_base_answers_is_told_before_anything_is_judged(place: Path) -> None:
    (place / "ask.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n', "utf-8")
    with pytest.raises(PlanError, match="no field beside the prompt"):
        run(plan(ask("against", "never_base")), runs=place / "runs", name="r", store="none")


def test_groups_that_nobody_told_of_stop_the_stage_before_anything_is_judged(place: Path) -> None:
    lone = ask("each", "half", collapse="per_group")
    with pytest.raises(PlanError, match="nobody told of a group"):
        run(plan(lone), runs=place / "runs", name="r", store="none")
    assert not (place / "runs" / "r" / "teach" / "checkpoints").exists()
