"""The win rate of a stage, from plan to report: read once, resumed, refused early where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.errors import AccordError, PlanError
from accord.pipeline import Outcome, resume, run
from accord.plan import Plan
from accord.progress import Silent
from accord.records import Reading
from accord.reports import gather
from accord.stores.runlog import read_log
from accord.winrate import Umpire

WORDS = ("yes", "no", "so")
GRADES = {"yes": 1.0, "no": 0.0, "so": 0.0}
FIRST = """
from accord.part import Part
from accord.records import By, Judgment, Kind, Ranked


class First(Part):
    @property
    def answers(self):
        return frozenset({Kind.COMPARE})

    async def judge(self, question, desk):
        by = By(type="program", name="first", config=self.config)
        tiers = tuple((r,) for r in question.responses)
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=Ranked(tiers=tiers))
"""
JUDGE = {"name": "accord.testing:ScriptedOverseer", "grades": GRADES}
LEARNER = {"name": "scripted", "words": list(WORDS), "lr": 3.0}
GUARD = {"probes": 2, "indicator": []}


def stages(**versus: Any) -> list[dict[str, Any]]:
    ask = {"name": "each", "column": "score", "collapse": "distribution", "overseer": JUDGE}
    first = {
        "name": "sft",
        "windows": 1,
        "source": {"name": "offline", "data": "say.jsonl", "per_window": 2},
        "method": {"name": "sft"},
        "learner": LEARNER,
        "guard": GUARD,
    }
    second = {
        "name": "tune",
        "windows": 4,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 4, "max_tokens": 2},
        "ask": [ask],
        "method": {"name": "grpo", "n": 6},
        "learner": LEARNER,
        "guard": GUARD,
        "versus": {"model": "stage:sft", "prompts": "other.jsonl", "n": 3, "max_tokens": 2, "overseer": JUDGE}
        | versus,
    }
    return [first, second]


def a_plan(given: list[dict[str, Any]]) -> Plan:
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": "scripted", "stage": given})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "leaning.py").write_text(FIRST, encoding="utf-8")
    asked = [{"prompt": f"{word}?"} for word in ("Why", "How", "Who", "When")]
    rows(tmp_path / "ask.jsonl", asked)
    rows(tmp_path / "other.jsonl", [{"prompt": f"Other {k}?"} for k in range(8)])
    rows(tmp_path / "one.jsonl", asked[:1])
    rows(tmp_path / "say.jsonl", [{**row, "completion": "no"} for row in asked[:2]])
    return tmp_path


def rows(file: Path, of: Sequence[Mapping[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in of), encoding="utf-8")


class Said(Silent):
    """A Progress that remembers what stays."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def readings(outcome: Outcome) -> list[Reading]:
    found = read_log(outcome.folder / "tune").records("reading")
    return [one for one in found if isinstance(one, Reading) and one.name == "versus.sft"]


def test_a_stage_ends_with_its_win_rate(here: Path) -> None:
    """The result has learnt to say yes to the prompts of training alone, so on others it wins nothing yet:
    a table of probabilities does not generalise. The figure is in the log, the line, the report, the entry.
    """
    said = Said()
    outcome = run(a_plan(stages(prompts="ask.jsonl")), runs=here / "runs", store="none", progress=said)
    assert outcome.action == "done"
    (found,) = readings(outcome)
    assert found.value > 0.6
    assert found.low > 0.5
    (entry,) = read_log(outcome.folder / "tune").records("entry")
    assert found.id in entry.parents
    assert found.step == 4
    assert any(line.startswith("against stage:sft: ") for line in said.lines)
    assert "of pairs won against stage:sft" in outcome.headline
    assert "judged by accord.testing:ScriptedOverseer" in outcome.headline
    versus = gather(outcome.folder).stages[1].versus
    assert versus is not None
    assert versus.rate is not None
    assert (versus.rate.record, versus.pairs, versus.prompts) == (found.id, 12, 4)
    assert "It wins more often than it loses." in versus.says
    assert "12 pairs judged in both orders" in versus.says
    assert "4 of these prompts were also trained on." in versus.says
    assert "The stage was trained on this very judge" in versus.judge
    assert gather(outcome.folder).stages[1].trained.answers["win rate"] == 24
    assert outcome.report is not None
    assert "Against stage:sft" in outcome.report.read_text("utf-8")


def test_a_resume_reads_the_win_rate_once_and_asks_nobody_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the model is written: the reading stands."""
    import accord.stage as stage

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def again(*_: object) -> None:
        raise AssertionError("it was read before")

    enter = stage._enter
    monkeypatch.setattr(stage, "_enter", lambda *a: enter(*a) if a[0].stage.name == "sft" else killed())
    with pytest.raises(KeyboardInterrupt):
        run(a_plan(stages()), runs=here / "runs", store="none", name="p")
    before = read_log(here / "runs" / "p" / "tune").records("judgment")
    monkeypatch.setattr(stage, "_enter", enter)
    monkeypatch.setattr(Umpire, "read", again)
    outcome = resume(here / "runs" / "p")
    assert outcome.action == "done"
    (found,) = readings(outcome)
    (entry,) = read_log(outcome.folder / "tune").records("entry")
    assert found.id in entry.parents
    assert [one.id for one in read_log(outcome.folder / "tune").records("judgment")] == [j.id for j in before]


def test_a_reading_that_was_broken_off_is_repeated_to_the_bit(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import accord.stage as stage

    whole = run(a_plan(stages()), runs=here / "whole", store="none", name="p")
    compared = Umpire._compared

    def broken(*given: Any) -> Any:
        compared(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(stage.Umpire, "_compared", broken)
    with pytest.raises(KeyboardInterrupt):
        run(a_plan(stages()), runs=here / "runs", store="none", name="p")
    monkeypatch.setattr(stage.Umpire, "_compared", compared)
    outcome = resume(here / "runs" / "p")
    assert [one.id for one in readings(outcome)] == [one.id for one in readings(whole)]
    judged = [sorted(j.id for j in read_log(o.folder / "tune").records("judgment")) for o in (outcome, whole)]
    assert judged[0] == judged[1]


def test_a_win_rate_that_cannot_be_read_pauses_and_a_person_may_go_on(here: Path) -> None:
    mute = {"name": "accord.testing:ScriptedOverseer", "grades": {"never": 1.0}}
    outcome = run(a_plan(stages(overseer=mute)), runs=here / "runs", store="none")
    assert (outcome.action, outcome.decision and outcome.decision.rule) == ("pause", "fault")
    assert outcome.decision is not None
    assert "versus.sft was not measured: 0 of 8 prompts" in outcome.decision.reason
    versus = gather(outcome.folder).stages[1].versus
    assert versus is not None
    assert versus.rate is None
    assert "was not measured: 0 of 8 prompts" in versus.says
    went_on = resume(outcome.folder, accept=outcome.decision.id[:12], by="A", reason="the judge is mute")
    assert went_on.action == "done"
    assert readings(went_on) == []


@pytest.mark.parametrize(
    ("versus", "path", "words"),
    [
        ({"ask": "grade", "overseer": {"name": "leaning:First"}}, "stage[1].versus.ask", "compare"),
        ({"model": "stage:judge"}, "stage[1].versus.model", "stage:sft"),
        ({"model": "nowhere"}, "stage[1].versus.model", "scripted"),
        ({"ask": "rank"}, "stage[1].versus.ask", '"compare" or "grade"'),
        ({"overseer": {"name": "reward", "models": ["stage:sft"]}}, "stage[1].versus.overseer", "mean"),
    ],
)
def test_a_contest_that_cannot_be_is_told_before_anything_is_written(
    versus: dict[str, Any], path: str, words: str, here: Path
) -> None:
    with pytest.raises(PlanError) as caught:
        run(a_plan(stages(**versus)), runs=here / "runs", store="none")
    assert caught.value.path.startswith(path)
    assert words in str(caught.value)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(("file", "words"), [("one.jsonl", "two prompts"), ("gone.jsonl", r"gone\.jsonl")])
def test_prompts_that_are_not_there_are_told_early(file: str, words: str, here: Path) -> None:
    with pytest.raises(AccordError, match=words):
        run(a_plan(stages(prompts=file)), runs=here / "runs", store="none")
    assert not (here / "runs").exists()


def test_a_reward_model_contests_nothing(here: Path) -> None:
    given = stages()
    rows(here / "pairs.jsonl", [{"prompt": "a", "chosen": "yes", "rejected": "no"}] * 1)
    given[1] |= {
        "source": {"name": "offline", "data": "pairs.jsonl"},
        "method": {"name": "reward_model"},
        "ask": [],
    }
    with pytest.raises(PlanError, match="makes a reward model") as caught:
        run(a_plan(given), runs=here / "runs", store="none")
    assert caught.value.path == "stage[1].versus"
