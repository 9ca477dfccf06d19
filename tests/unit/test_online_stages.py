"""Whole stages of methods that learn from answers they draw themselves: conditional, and pairs of both kinds.

On a tiny model: what is foretold is what comes, what is on disk is what was learnt, and a held-out figure is
there where it means something.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from accord.engines.local.learner import LocalLearner
from accord.engines.local.tiny import byte_tokenizer
from accord.errors import PlanError
from accord.pipeline import run
from accord.plan import Plan
from accord.ports import Ahead
from accord.records import Episode, Reading, Response, StepEvent
from accord.stores.runlog import LogView, read_log
from accord.testing import save_tiny

REWARD = "def letters(prompts, answers):\n    return [sum(c.islower() for c in a) / 8 for a in answers]\n"
EACH = {"name": "each", "column": "score", "collapse": "distribution"}
PAIRS = {"name": "pairs", "column": "p", "collapse": "distribution"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("online")
    save_tiny(here / "tiny", layers=1, width=16)
    (here / "reward.py").write_text(REWARD, "utf-8")
    rows: list[dict[str, Any]] = [{"prompt": f"Why {i}?"} for i in range(5)]
    rows.append({"prompt": [{"role": "system", "content": "Speak."}, {"role": "user", "content": "Who?"}]})
    (here / "ask.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return here


@pytest.fixture
def seen(place: Path, monkeypatch: pytest.MonkeyPatch) -> list[Ahead]:
    """What learners were told to come."""
    told: list[Ahead] = []
    foresee = LocalLearner.foresee

    def noted(self: LocalLearner, ahead: Ahead) -> list[str]:
        told.append(ahead)
        return foresee(self, ahead)

    monkeypatch.chdir(place)
    monkeypatch.setattr(LocalLearner, "foresee", noted)
    return told


def plan(method: dict[str, Any], ask: dict[str, Any] = EACH, **stage: Any) -> Plan:
    overseer = {"name": "program", "fn": "reward.py:letters"}
    fields: dict[str, Any] = {
        "name": "teach",
        "windows": 2,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 3, "max_tokens": 7},
        "ask": [{**ask, "overseer": overseer}],
        "method": method,
        "learner": {"name": "local", "decode": "float32", "precision": "float32", "rank": 2, "lr": 1e-3},
        "guard": {"probes": 2, "answers": 2, "max_tokens": 4, "indicator": [{"name": "diversity"}]},
    }
    return Plan.model_validate(
        {"name": "p", "purpose": "explore", "model": "./tiny", "stage": [fields | stage]}
    )


def done(place: Path, name: str, of: Plan) -> LogView:
    outcome = run(of, runs=place / "runs", name=name, store="none")
    assert outcome.action == "done"
    return read_log(place / "runs" / name / "teach")


def events(log: LogView, name: str) -> list[StepEvent]:
    return [e for e in cast("list[StepEvent]", log.records("event")) if e.name == name]


def test_conditional_learns_its_own_answers_behind_their_marks(place: Path, seen: list[Ahead]) -> None:
    marks = ["Bad.", "Good."]
    log = done(place, "conditional", plan({"name": "conditional", "n": 4, "marks": marks, "unmarked": 0.2}))
    (ahead,) = seen
    assert len(ahead.batch.sequences) == 12, "the estimate is of a window that nobody marked"
    told = [event.scalars for event in events(log, "window")]
    assert {one["rows"] for one in told} == {12.0}
    updates = events(log, "update")
    pushed = ("pushed_down", "pushed_answers", "negative_mass")
    assert updates and all(event.scalars[name] == 0 for event in updates for name in pushed)
    responses = {r.id: r for r in cast("list[Response]", log.records("response"))}
    tokenizer: Any = byte_tokenizer()
    opening = {"Bad.": 0, "Good.": 0, "": 0}
    for episode in cast("list[Episode]", log.records("episode")):
        drawn = responses[episode.responses[0]]
        (now,), (answer,) = episode.prompt_tokens, episode.tokens
        before, after = tokenizer.decode(drawn.prompt_tokens), tokenizer.decode(now)
        mark = next((m for m in marks if f"<|system|>{m}" in after), "")
        opening[mark] += 1
        assert answer == drawn.tokens
        assert not any(m in before for m in marks), "answers are drawn without a mark"
        plain = after.replace(f"<|system|>{mark}\nSpeak.", "<|system|>Speak.").replace(
            f"<|system|>{mark}<eos>", ""
        )
        assert plain == before
    assert sum(opening.values()) == 24
    assert opening[""] >= sum(one["unmarked"] for one in told) > 0
    assert opening["Bad."] > 4 and opening["Good."] > 4


@pytest.mark.parametrize(
    ("name", "ask", "method", "foretold"),
    [
        ("scored", EACH, {"n": 4}, 3),
        ("soft", EACH, {"n": 2, "soft": True}, 3),
        ("compared", PAIRS, {"n": 4}, 6),
    ],
)
def test_online_dpo_learns_pairs_of_its_own_answers(
    place: Path, seen: list[Ahead], name: str, ask: dict[str, Any], method: dict[str, Any], foretold: int
) -> None:
    held_out = {"held_out": {"prompts": "ask.jsonl", "n": 2, "max_tokens": 7}} if ask is EACH else {}
    log = done(place, name, plan({"name": "online_dpo", "rows_per_step": 2, **method}, ask, **held_out))
    (ahead,) = seen
    assert len(ahead.batch.sequences) == 2 * foretold, "made-up answers differ, so the estimate has its pairs"
    assert sum(len(step) for step in ahead.batch.steps) == foretold
    updates = events(log, "update")
    assert updates[0].scalars["loss/dpo"] == pytest.approx(0.6931, abs=1e-3), "π is π_ref at the start"
    assert any(event.scalars["loss/margin"] != 0 for event in updates)
    for event in updates:
        assert event.scalars["pushed_answers"] == 0.5, "one answer of every pair"
        assert 0 < event.scalars["pushed_down"] < 1 and 0 < event.scalars["negative_mass"] < 1
    readings = [r for r in cast("list[Reading]", log.records("reading")) if r.name == "held_out.score"]
    assert len(readings) == (2 if held_out else 0)


def test_a_held_out_figure_of_comparisons_is_refused(place: Path, seen: list[Ahead]) -> None:
    held_out = {"prompts": "ask.jsonl", "n": 2, "max_tokens": 7}
    with pytest.raises(PlanError, match=r"stage\[0\]\.held_out") as error:
        run(plan({"name": "online_dpo"}, PAIRS, held_out=held_out), runs=place / "runs", store="none")
    assert "scores single answers" in str(error.value)
    assert not seen
