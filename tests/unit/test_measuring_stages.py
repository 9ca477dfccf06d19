"""What other models say of a stage's answers, from the plan to the events: who is opened, when, and for what.

Mutants this kills: "" read as the stage's start, a tokenizer that is compared only once answers are drawn, a
teacher taken for a model that answers, an evaluation that renders training prompts only, an estimate of a
window in which everything is withheld.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.assembly import models_asked
from accord.engines.local.learner import LocalLearner
from accord.engines.local.tiny import byte_tokenizer
from accord.errors import AccordError, PlanError
from accord.pipeline import Outcome, run
from accord.plan import Plan, Stage
from accord.ports import Ahead
from accord.records import StepEvent
from accord.stores.runlog import read_log
from accord.testing import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        save_tiny(folder / str(seed), seed, layers=1, width=16)
    save_tiny(folder / "other", 1, layers=1, width=16)
    tokenizer: Any = byte_tokenizer()
    tokenizer.unk_token = "<pad>"
    tokenizer.save_pretrained(folder / "other")
    return folder


PARTS = '''
from accord.ports import Needs, Reads
from accord.testing import PlainLikelihood
from dataclasses import replace
import numpy as np


class Peek(PlainLikelihood):
    """Tells the mean log-probability of its rows at the stage's start and at the plan's base."""

    by: str = "data"

    def needs(self):
        return Needs(frozenset({"ref_logp"}), reads=(Reads("base_logp", "logp"),))

    def batch(self, window, memory, rng):
        batch, memory = super().batch(window, memory, rng)
        means = {name: float(np.concatenate(columns).mean()) for name, columns in window.measured.items()}
        return replace(batch, scalars={**batch.scalars, **means}), memory


class Marks(PlainLikelihood):
    by: str = "data"

    def marked(self, window, rendered, rng):
        def opened(e):
            return e.model_copy(update={"prompt_tokens": (rendered(e.prompt, "Well:"),)})

        rows = (replace(row, episodes=tuple(map(opened, row.episodes))) for row in window.rows)
        return replace(window, rows=tuple(rows))
'''
TABLE = {"name": "scripted", "words": ["yes", "no", "so"], "lr": 2.0}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "measuring_parts.py").write_text(PARTS, "utf-8")
    (tmp_path / "reward.py").write_text(
        "def longer(prompts, answers):\n    return [float(len(a)) for a in answers]\n", "utf-8"
    )
    for name, asked in (("train", "Why? How? Who?"), ("other", "Where? When?")):
        rows = [{"prompt": text, "completion": "yes"} for text in asked.split()]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tmp_path


def stage(name: str, method: dict[str, Any], **told: Any) -> dict[str, Any]:
    source = {"name": "offline", "data": "train.jsonl", "per_window": 3}
    if method["name"] in ("distill", "compatible"):
        source = {"name": "rollouts", "prompts": "train.jsonl", "per_window": 3, "max_tokens": 8}
    plain = {"windows": 3, "source": source, "learner": TABLE, "guard": {"probes": 2, "indicator": []}}
    return {"name": name, "method": method, **plain, **told}


TEACH = stage("teach", {"name": "accord.testing:PlainLikelihood", "by": "data"})


def done(*stages: dict[str, Any], model: str = "scripted") -> Outcome:
    table = {"name": "p", "purpose": "explore", "model": model, "stage": list(stages)}
    outcome = run(Plan.model_validate(table), runs=Path("runs"), store="none")
    assert outcome.action == "done", outcome
    return outcome


def windows(outcome: Outcome, name: str) -> list[StepEvent]:
    found = read_log(outcome.folder / name).records("event")
    return [one for one in found if isinstance(one, StepEvent) and one.name == "window"]


def test_no_name_means_the_model_the_plan_starts_from(here: Path) -> None:
    """A word of three and a sure end; the stage's own start has been taught it before."""
    outcome = done(TEACH, stage("peek", {"name": "measuring_parts:Peek"}, windows=1))
    (seen,) = windows(outcome, "peek")
    assert seen.scalars["base_logp"] == pytest.approx(np.log(1 / 3) / 2)
    assert seen.scalars["ref_logp"] > seen.scalars["base_logp"] + 0.2


def test_the_result_of_an_earlier_stage_can_teach_and_nobody_is_asked(here: Path) -> None:
    follow = {"name": "distill", "teacher": "stage:teach", "n": 8}
    outcome = done({**TEACH, "windows": 8}, stage("follow", follow, model="scripted", windows=12))
    apart = [one.scalars["teacher_kl"] for one in windows(outcome, "follow")]
    assert apart[0] > 0.2
    assert abs(apart[-1]) < apart[0] / 4
    assert not read_log(outcome.folder / "follow").records("judgment")
    assert outcome.report is not None
    assert outcome.report.is_file()


def test_the_models_of_a_method_are_named_with_the_place_that_names_them() -> None:
    table = Stage.model_validate(stage("follow", {"name": "distill", "teacher": "elsewhere"}))
    assert list(models_asked(table)) == [("method", "elsewhere")]
    table = Stage.model_validate(stage("near", {"name": "compatible", "inner": {"name": "best_of_n"}}))
    assert list(models_asked(table)) == [], "the base needs no name"


def test_a_teacher_that_cannot_be_opened_is_told_before_anything_is_written(here: Path) -> None:
    with pytest.raises(AccordError, match="elsewhere"):
        done(stage("follow", {"name": "distill", "teacher": "elsewhere"}))
    with pytest.raises(PlanError, match=r"stage\[0\]\.method\.teacher") as caught:
        done(stage("follow", {"name": "distill"}))
    assert "the student's tokenizer" in str(caught.value)
    with pytest.raises(PlanError, match="one before it"):
        done(stage("follow", {"name": "distill", "teacher": "stage:teach"}), TEACH)
    assert not (here / "runs").exists()


LOCAL = {"name": "local", "decode": "float32", "precision": "float32", "device": "cpu", "rank": 2, "lr": 1e-2}
GUARD = {"probes": 2, "answers": 2, "max_tokens": 6, "indicator": []}


def test_a_teacher_that_reads_other_tokens_or_cannot_read_is_told_before_an_answer_is_drawn(
    here: Path, tiny: Path
) -> None:
    follow = {"name": "distill", "teacher": str(tiny / "other")}
    with pytest.raises(PlanError, match="tokenizer") as caught:
        done(stage("follow", follow, learner=LOCAL, guard=GUARD), model=str(tiny / "0"))
    assert caught.value.path == "stage[0].method"
    log = read_log(here / "runs" / "p-1" / "follow")
    assert not log.records("response")
    pairs = [{"prompt": f"{k}?", "chosen": "good", "rejected": f"bad {k}"} for k in range(2)]
    (here / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs), "utf-8")
    judge = stage("judge", {"name": "reward_model"}, windows=1, learner=LOCAL, guard=GUARD)
    judge["source"] = {"name": "offline", "data": "pairs.jsonl", "per_window": 2}
    follow = stage("follow", {"name": "distill", "teacher": "stage:judge"}, learner=LOCAL, guard=GUARD)
    with pytest.raises(PlanError, match="can tell logp") as caught:
        done(judge, {**follow, "model": str(tiny / "0")}, model=str(tiny / "0"))
    assert caught.value.path == "stage[1].method"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Ahead]:
    """What learners were told to come."""
    told: list[Ahead] = []
    foresee = LocalLearner.foresee

    def noted(self: LocalLearner, ahead: Ahead) -> list[str]:
        told.append(ahead)
        return foresee(self, ahead)

    monkeypatch.setattr(LocalLearner, "foresee", noted)
    return told


def test_a_language_model_follows_another_and_the_estimate_counts_what_that_one_reads(
    here: Path, tiny: Path, seen: list[Ahead]
) -> None:
    follow = stage("follow", {"name": "distill", "teacher": str(tiny / "1"), "n": 2}, windows=2)
    outcome = done({**follow, "learner": LOCAL, "guard": GUARD}, model=str(tiny / "0"))
    (ahead,) = seen
    tokens = sum(len(s.tokens) for row in ahead.window.rows for e in row.episodes for s in e.sequences())
    assert ahead.read == 2 * tokens, "no indicator reads here"
    assert len(ahead.beside) == 1, "the base answers probes, the teacher answers nothing"
    assert len(ahead.batch.sequences) == 6
    assert all(one.scalars["teacher_kl_token"] > 0.05 for one in windows(outcome, "follow"))


def test_what_is_withheld_is_named_by_the_window_s_event_and_not_foretold(
    here: Path, tiny: Path, seen: list[Ahead]
) -> None:
    near = {"name": "compatible", "outside": 0.0, "inner": {"name": "best_of_n", "n": 4, "threshold": 0.0}}
    ask = {"name": "each", "column": "score", "collapse": "distribution"}
    ask = {**ask, "overseer": {"name": "program", "fn": "reward.py:longer"}}
    table = {**stage("near", near, windows=2), "learner": LOCAL, "guard": GUARD, "ask": [ask]}
    outcome = done(table, model=str(tiny / "0"))
    assert len(seen[0].batch.sequences) == 12
    log = read_log(outcome.folder / "near")
    episodes = {one.id: one for one in log.records("episode")}
    for event in windows(outcome, "near"):
        named = [parent for parent in event.parents if parent in episodes]
        assert 0 < event.scalars["withheld"] < 12
        # Answers that say the same are named too.
        said = {(episodes[one].prompt, episodes[one].tokens) for one in named}
        assert len(said) <= event.scalars["withheld"] <= len(named)


def test_an_evaluation_can_mark_prompts_that_are_not_trained_on(here: Path) -> None:
    marks = stage("mark", {"name": "measuring_parts:Marks"}, windows=1)
    outcome = done({**marks, "eval": {"source": {"name": "offline", "data": "other.jsonl"}}})
    assert [one.name for one in read_log(outcome.folder / "mark").records("reading")].count("eval.nll") == 2
