"""What a stage is told to come: the source's and the method's own rows, nobody asked, nothing recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.engines.local.learner import LocalLearner
from accord.pipeline import resume, run
from accord.plan import Plan
from accord.ports import Ahead
from accord.progress import Silent
from accord.records import Judgment, Prompt, Response
from accord.stores.runlog import read_log
from accord.testing import save_tiny

REWARD = """
import os
def counted(prompts, answers):
    with open(os.environ["ASKED"], "a") as file:
        file.write("x" * len(answers))
    return [float(len(a)) for a in answers]
"""


class Heard(Silent):
    """Keeps what is said; stops the run at a note, as a person would."""

    def __init__(self, until: str = "") -> None:
        self.said: list[str] = []
        self._until = until

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, done: float = 1, note: str = "") -> None:
        if self._until and note.startswith(self._until):
            raise KeyboardInterrupt

    @property
    def estimates(self) -> int:
        return sum(text.startswith("memory: about") for text in self.said)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    save_tiny(tmp_path / "tiny", layers=1, width=16)
    (tmp_path / "reward.py").write_text(REWARD, "utf-8")
    rows = [{"prompt": f"Why {i}?", "completion": "So. " * (i + 1)} for i in range(6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows), "utf-8")
    return tmp_path


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


def plan(**stage: object) -> Plan:
    fields: dict[str, object] = {
        "name": "teach",
        "windows": 2,
        "source": {"name": "offline", "data": "rows.jsonl", "per_window": 4},
        "method": {"name": "sft", "rows_per_step": 3},
        "learner": {"name": "local", "decode": "float32", "precision": "float32", "rank": 2},
        "guard": {"probes": 2, "answers": 3, "max_tokens": 6, "indicator": [{"name": "diversity"}]},
    }
    table = {"name": "p", "purpose": "explore", "model": "./tiny", "stage": [fields | stage]}
    return Plan.model_validate(table)


def rollouts() -> Plan:
    overseer = {"name": "program", "fn": "reward.py:counted"}
    return plan(
        source={"name": "rollouts", "prompts": "rows.jsonl", "per_window": 2, "max_tokens": 7},
        ask=[{"name": "each", "column": "score", "collapse": "distribution", "overseer": overseer}],
        method={"name": "grpo", "n": 3, "epochs": 2},
    )


def test_rows_from_data_are_the_first_window(here: Path, seen: list[Ahead]) -> None:
    heard = Heard()
    run(plan(), runs=here / "runs", name="r", store="none", progress=heard)
    (ahead,) = seen
    assert [len(step) for step in ahead.batch.steps] == [3, 1]
    assert ahead.windows == 2
    first = next(iter(read_log(here / "runs" / "r" / "teach").records("episode")))
    assert first.id in {e.id for row in ahead.window.rows for e in row.episodes}
    assert [(d.times, d.prompts, d.n, d.max_tokens, d.by_source) for d in ahead.drawings] == [
        (4, 2, 3, 6, False)  # the start, two windows, and the base once
    ]
    assert len(ahead.beside) == 1
    at = next(i for i, text in enumerate(heard.said) if text.startswith("memory: about"))
    assert heard.said[at + 1].startswith("time: about")
    assert heard.said[at + 2].startswith("the first row: 10 tokens of prompt")
    assert heard.said[at + 3].endswith("<eos>⟧")


def test_drawn_answers_are_as_long_as_they_may_be_and_nobody_is_asked(here: Path, seen: list[Ahead]) -> None:
    heard = Heard(until="the guard looks")
    with pytest.raises(KeyboardInterrupt):
        run(rollouts(), runs=here / "runs", name="r", store="none", progress=heard)
    (ahead,) = seen
    assert heard.estimates == 1
    assert {len(e.tokens[0]) for row in ahead.window.rows for e in row.episodes} == {7}
    assert len(ahead.batch.sequences) == 6
    assert len(ahead.batch.steps) == 2
    assert [(d.times, d.prompts, d.n, d.max_tokens) for d in ahead.drawings if d.by_source] == [(2, 2, 3, 7)]
    assert any(text.startswith("the first prompt, 10 tokens") for text in heard.said)
    assert not (here / "asked").exists(), "no overseer was asked"
    log = read_log(here / "runs" / "r" / "teach")
    assert not [line.record for line in log.lines if isinstance(line.record, (Prompt, Response, Judgment))]


def test_a_resumed_stage_is_not_estimated_again(here: Path) -> None:
    heard = Heard(until="window 2 of 2")
    with pytest.raises(KeyboardInterrupt):
        run(rollouts(), runs=here / "runs", name="r", store="none", progress=heard)
    assert heard.estimates == 1
    again = Heard()
    assert resume(here / "runs" / "r", progress=again).action == "done"
    assert again.estimates == 0


def test_an_engine_without_estimates_needs_nothing(here: Path, seen: list[Ahead]) -> None:
    table = {"name": "scripted", "words": ["So.", "No."], "p": {f"Why {i}?": [0.5, 0.5] for i in range(6)}}
    heard = Heard()
    (here / "rows.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Why {i}?", "completion": "So."}) + "\n" for i in range(6)), "utf-8"
    )
    scripted = plan(learner=table).model_copy(update={"model": "scripted"})
    run(scripted, runs=here / "runs", name="r", store="none", progress=heard)
    assert heard.estimates == 0
    assert not seen
