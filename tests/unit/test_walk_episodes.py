"""Stages on worlds, from the plan to the log: two windows of grpo on the calculator, killed and taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accord import episodes
from accord.pipeline import resume, run
from accord.plan import Plan
from accord.progress import Silent
from accord.records import Episode, Prompt, Response, StepEvent
from accord.stores.runlog import LogView, read_log
from accord.testing import save_tiny

WORDS = ["answer:", "calc:", "6"]
WORLD = {"name": "calculator", "forms": ["pens"], "largest": 2, "turns": 3}  # 2 * 2 + 2, whatever the seed
REWARD = "def size(prompts, answers):\n    return [float(len(a)) for a in answers]\n"


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def plan(**changed: Any) -> Plan:
    """Two windows of two questions, six episodes each, by a table whose answers are two words."""
    words = {"words": WORDS, "shortest": 2, "longest": 2, "lr": 4.0}
    stage: dict[str, Any] = {
        "name": "reckon",
        "windows": 2,
        "source": {"name": "episodes", "world": WORLD, "per_window": 2, "seeds": 8, "max_turns": 3},
        "method": {"name": "grpo", "n": 6, "rows_per_step": 6},
        "learner": {"name": "scripted", **words},
        "guard": {"indicator": [], "probes": 2, "answers": 1, "max_tokens": 4},
        "checkpoint": {"every": 1},
    }
    table = {"name": "p", "purpose": "explore", "model": changed.pop("model", "scripted")}
    return Plan.model_validate({**table, "stage": [stage | changed]})


def log_of(folder: Path) -> LogView:
    return read_log(folder / "r" / "reckon")


def facts(folder: Path) -> dict[str, set[str]]:
    return {kind: {r.id for r in log_of(folder).records(kind)} for kind in ("prompt", "response", "episode")}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    assert run(plan(), runs=folder, name="r", store="none").action == "done"
    return folder


def test_grpo_learns_from_episodes_on_the_calculator(whole: Path) -> None:
    log = log_of(whole)
    played: Any = log.records("episode")
    assert len(played) == 24
    assert {len(e.tokens) for e in played} == {1, 2, 3}
    said = {r.id: r for r in log.records("response")}
    asked = {p.id: p for p in log.records("prompt")}
    tools = 0
    for episode in played:
        assert isinstance(episode, Episode)
        (sequence,) = episode.sequences()
        for k, id_ in enumerate(episode.responses):
            response, prompt = said[id_], asked[said[id_].prompt]
            assert isinstance(response, Response)
            assert isinstance(prompt, Prompt)
            assert (response.prompt_tokens, response.tokens) == (episode.prompt_tokens[k], episode.tokens[k])
            called = response.text.startswith("calc:")
            assert episode.costs["calls"][k] == float(called)
            tools += prompt.messages[-1].role == "tool"
        assert sum(sequence.answer) == sum(map(len, episode.tokens))
    assert tools, "the calculator spoke"
    events = [e for e in log.records("event") if isinstance(e, StepEvent)]
    windows = [e for e in events if e.name == "window"]
    assert [(e.scalars["rows"], e.scalars["missing"]) for e in windows] == [(12.0, 0.0)] * 2
    updates = [e for e in events if e.name == "update"]
    assert updates
    assert all(e.scalars["applied"] == 1 for e in updates)
    rewards = {r for e in played for r in e.rewards}
    assert rewards == {0.0, 1.0}


@pytest.mark.parametrize("stop", [3, 40])
def test_a_stage_killed_among_turns_goes_on_as_if_it_had_not_been(
    whole: Path, tmp_path: Path, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, count = episodes._Playing.answer, [0]

    def killed(self: Any, response: Response) -> None:
        count[0] += 1
        if count[0] == stop:
            raise KeyboardInterrupt
        answer(self, response)

    with monkeypatch.context() as patch:
        patch.setattr(episodes._Playing, "answer", killed)
        with pytest.raises(KeyboardInterrupt):
            run(plan(), runs=tmp_path / "cut", name="r", store="none")
    assert resume(tmp_path / "cut" / "r").action == "done"
    assert facts(tmp_path / "cut") == facts(whole)
    one, two = (
        (folder / "r" / "reckon" / "model" / "scripted.json").read_bytes()
        for folder in (tmp_path / "cut", whole)
    )
    assert one == two


def test_a_language_model_plays_with_its_last_answers_judged(tmp_path: Path) -> None:
    """Estimated beforehand, with answers as long as they may be in as many turns as there may be."""
    save_tiny(tmp_path / "tiny", layers=1, width=16, context=2048)
    (tmp_path / "reward.py").write_text(REWARD, "utf-8")
    overseer = {"name": "program", "fn": "reward.py:size"}
    heard = Heard()
    local = plan(
        model="./tiny",
        source={
            "name": "episodes",
            "world": WORLD,
            "per_window": 2,
            "seeds": 9,
            "max_tokens": 5,
            "max_turns": 2,
        },
        ask=[{"name": "each", "column": "score", "collapse": "distribution", "overseer": overseer}],
        method={"name": "grpo", "n": 3},
        learner={"name": "local", "decode": "float32", "precision": "float32", "rank": 2},
    )
    assert run(local, runs=tmp_path / "runs", name="r", store="none", progress=heard).action == "done"
    assert sum(text.startswith("memory: about") for text in heard.said) == 1
    assert "episodes of the world Calculator, seeds 0 to 8, at most 2 answers each" in heard.said
    log = log_of(tmp_path / "runs")
    played: Any = log.records("episode")
    assert len(played) == 12
    said: Any = {r.id: r for r in log.records("response")}
    for episode in played:
        assert len(episode.sequences()) == 1
        assert len(episode.tokens) == 2
        last = said[episode.responses[-1]]
        read = (*said[episode.responses[0]].prompt_tokens, *said[episode.responses[0]].tokens)
        assert last.prompt_tokens[: len(read)] == read
    judged = {q for j in log.records("judgment") for q in j.parents}
    questions: Any = [q for q in log.records("question") if q.id in judged]
    assert {q.responses[0] for q in questions} == {e.responses[-1] for e in played}
    assert any(e.name == "update" for e in log.records("event") if isinstance(e, StepEvent))
