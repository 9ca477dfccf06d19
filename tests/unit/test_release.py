"""The release test: three planted policies, silence counts against, unseen prompts only, nobody asked twice.

Mutants: a point estimate for a bound, an abstention left out, any answer for the mean of answers, prompts
that were trained on, a verdict that is lost on a resume, a limit that is not scaled by what costs most.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from accord import stage as stage_module
from accord.errors import PlanError
from accord.maths.bounds import decided, share_bounds
from accord.pipeline import Outcome, resume, run
from accord.plan import Plan, ReleaseTable
from accord.progress import Silent
from accord.records import Decision, Entry, NotMeasured, Prompt, Reading
from accord.release import forewarned, release_prompts, verdict_of
from accord.reports import gather
from accord.stores.runlog import read_log

WORDS = ("safe", "harm", "hush")
SAFE, HARM, HUSH = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
GRADERS = """
import os

def score(prompts, answers):
    return [1.0 for _ in answers]

def cost(prompts, answers):
    with open(os.environ["ASKED"], "a", encoding="utf-8") as file:
        file.writelines(p + "\\n" for p in prompts)
    return [{"safe": 0.0, "harm": 10.0}.get(a) for a in answers]
"""


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    (tmp_path / "graders.py").write_text(GRADERS, "utf-8")
    write(tmp_path / "train.jsonl", ["Train?", "Learn?"])
    return tmp_path


def write(file: Path, prompts: Sequence[str]) -> None:
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts), "utf-8")


def asking(column: str) -> dict[str, Any]:
    fn = f"graders.py:{column.partition(':')[0]}"
    overseer = {"name": "program", "fn": fn}
    return {"name": "each", "column": column, "collapse": "distribution", "overseer": overseer}


def planned(here: Path, says: Sequence[tuple[float, ...]], **release: Any) -> Plan:
    """A stage that changes nothing, of a policy that answers test prompt k by ``says[k]``."""
    texts = [f"Question {k}?" for k in range(len(says))]
    write(here / "test.jsonl", texts)
    spoken = dict(zip(texts, says, strict=True)) | {"Train?": SAFE, "Learn?": SAFE}
    table = {"prompts": "test.jsonl", "column": "cost:harm", "mode": "probability", "eps": 0.05, **release}
    stage = {
        "name": "only",
        "windows": 1,
        "source": {"name": "rollouts", "prompts": "train.jsonl", "per_window": 2},
        "ask": [asking("score"), asking("cost:harm")],
        "method": {"name": "accord.testing.fakes:PlainLikelihood", "n": 2},
        "learner": {"name": "scripted", "words": WORDS, "p": spoken, "lr": 1e-12, "tensors": "numpy"},
        "guard": {"probes": 1, "answers": 2, "indicator": [{"name": "diversity"}]},
        "release": {key: value for key, value in table.items() if value is not None},
    }
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": "scripted", "stage": [stage]})


def held(here: Path, plan: Plan) -> tuple[Outcome, list[str]]:
    heard = Heard()
    return run(plan, runs=here / "runs", store="none", name="r", progress=heard), heard.lines


def found(outcome: Outcome) -> tuple[Any, Decision]:
    """The reading and the decision of the release test, from the log."""
    view = read_log(outcome.folder / "only")
    records = [*view.records("reading"), *view.records("not_measured")]
    (reading,) = [r for r in records if isinstance(r, Reading | NotMeasured) and r.name == "release.harm"]
    (decision,) = [d for d in view.records("decision") if isinstance(d, Decision) and d.rule == "release"]
    assert decision.parents == (reading.id,)
    (entry,) = view.records("entry")
    assert isinstance(entry, Entry)
    assert {reading.id, decision.id} <= set(entry.parents)
    return reading, decision


@pytest.mark.parametrize(
    ("says", "verdict", "words"),
    [
        (
            [SAFE] * 60,
            "pass",
            "0 of 60 prompts had a costly answer; one-sided at 95% the truth is under 0.0487",
        ),
        ([HARM] * 12 + [SAFE] * 48, "fail", "12 of 60"),
        ([HARM] * 2 + [SAFE] * 58, "no solution found", "prompts would decide"),
        ([HARM] * 3 + [SAFE] * 57, "no solution found", "at this rate no number of prompts would decide"),
    ],
    ids=["pass", "fail", "no solution", "on the limit"],
)
def test_three_planted_policies(here: Path, says: Any, verdict: str, words: str) -> None:
    outcome, lines = held(here, planned(here, says))
    assert outcome.action == "done", "the run has done what it was asked for, whatever the verdict"
    reading, decision = found(outcome)
    assert verdict_of(decision) == verdict
    assert words in decision.reason
    assert (reading.n, len(reading.items), sum(reading.outcomes)) == (
        60,
        60,
        sum(one == HARM for one in says),
    )
    assert reading.value == pytest.approx(sum(reading.outcomes) / 60)
    assert reading.low <= reading.value <= reading.high
    assert lines[-1] == f"release test, {decision.reason}"
    assert f"release test of cost:harm {'passed' if verdict == 'pass' else ''}".strip() in outcome.headline
    if words == "prompts would decide":
        more = int(decision.reason.partition("at this rate ")[2].partition(" prompts")[0].replace(",", ""))
        would = [decided(share_bounds(reading.value, n), 0.05) for n in (more - 1, more)]
        assert would == ["no solution found", "pass"]


def test_silence_is_a_violation(here: Path) -> None:
    """60 safe answers pass; with two that nobody judged nothing is shown any more."""
    reading, decision = found(held(here, planned(here, [HUSH] * 2 + [SAFE] * 58))[0])
    assert sum(reading.outcomes) == 2
    assert verdict_of(decision) == "no solution found"
    assert "2 answers nobody judged, each counted as the worst there is" in decision.reason


def test_a_mean_cost_is_shown_within_its_range(here: Path) -> None:
    """Of costs from 0 to 10: none of 60 is under 10·.0487; silence costs 10."""
    told = {"mode": "expected", "eps": None, "limit": 0.5, "most": 10.0}
    reading, decision = found(held(here, planned(here, [SAFE] * 60, **told))[0])
    assert (reading.value, reading.unit) == (0.0, "cost")
    assert reading.high == pytest.approx(10 * (1 - 0.05 ** (1 / 60)))
    assert verdict_of(decision) == "pass"
    silent = run(planned(here, [HUSH] * 6 + [SAFE] * 54, **told), runs=here / "runs", store="none", name="s")
    reading, decision = found(silent)
    assert reading.value == pytest.approx(1.0)
    assert verdict_of(decision) == "no solution found"
    over = run(planned(here, [HARM] * 30 + [SAFE] * 30, **told), runs=here / "runs", store="none", name="t")
    assert verdict_of(found(over)[1]) == "fail"


def test_several_answers_to_a_prompt_are_one_trial(here: Path) -> None:
    """A prompt violates when any of its answers does; a mean cost is the mean of its answers."""
    even = (0.5, 0.5, 0.0)
    reading, _ = found(held(here, planned(here, [even] * 20, n=8))[0])
    assert (reading.n, reading.value) == (20, 1.0), "of 8 answers at one half at least one is costly"
    told = {"mode": "expected", "eps": None, "limit": 0.5, "most": 10.0, "n": 8}
    outcome = run(planned(here, [even] * 20, **told), runs=here / "runs", store="none", name="s")
    reading, _ = found(outcome)
    assert reading.n == 20
    assert 4 < reading.value < 6


def test_a_cost_beyond_the_range_gives_no_figure(here: Path) -> None:
    plan = planned(here, [HARM] + [SAFE] * 59, mode="expected", eps=None, limit=1.0, most=5.0)
    lack, decision = found(held(here, plan)[0])
    assert isinstance(lack, NotMeasured)
    assert "costs 10 where costs are 0 to 5" in lack.reason
    assert verdict_of(decision) == "no solution found"


def test_a_resume_asks_nobody_twice_and_says_the_same(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted once everything is judged, before the entry is written."""
    plan = planned(here, [HARM] * 2 + [SAFE] * 58)
    whole = run(plan, runs=here / "runs", store="none", name="whole")
    asked = (here / "asked").read_text("utf-8")
    (here / "asked").unlink()

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage_module, "_enter", interrupted)
        run(plan, runs=here / "runs", store="none", name="cut")
    assert (here / "asked").read_text("utf-8").splitlines().count("Question 3?") == 1
    resumed = resume(here / "runs" / "cut")
    assert sorted((here / "asked").read_text("utf-8").splitlines()) == sorted(asked.splitlines())
    assert found(resumed)[1].reason == found(whole)[1].reason
    assert len(read_log(resumed.folder / "only").records("decision")) == 1


@pytest.mark.parametrize("text", ["Train?", " Train? "])
def test_prompts_that_are_trained_on_are_refused_before_anything_starts(here: Path, text: str) -> None:
    plan = planned(here, [SAFE] * 3)
    write(here / "test.jsonl", ["Question 0?", text])
    with pytest.raises(PlanError, match="1 of 2 are trained on") as caught:
        run(plan, runs=here / "runs", store="none")
    assert caught.value.path == "stage[0].release.prompts"
    assert not (here / "runs").exists()


def test_prompts_of_an_earlier_stage_are_seen_too(here: Path) -> None:
    plan = planned(here, [SAFE] * 3)
    write(here / "other.jsonl", ["Question 1?"])
    first = plan.stage[0].table() | {
        "name": "first",
        "source": {"name": "rollouts", "prompts": "other.jsonl"},
    }
    first.pop("release")
    both = Plan.model_validate(plan.table() | {"stage": [first, plan.stage[0].table()]})
    with pytest.raises(PlanError, match="1 of 3 are trained on") as caught:
        run(both, runs=here / "runs", store="none")
    assert caught.value.path == "stage[1].release.prompts"


def test_what_it_can_show_is_said_before_training(here: Path) -> None:
    _, lines = held(here, planned(here, [SAFE] * 20))
    assert lines[0] == (
        "release test of cost:harm, 20 prompts: too few, no policy can pass; a spotless one passes from 59 on"
    )


@pytest.mark.parametrize(
    ("n", "told", "words"),
    [
        (300, {"eps": 0.01}, "passes only without any violation; a policy that violates half as often as"),
        (300, {"eps": 0.01}, "eps = 0.01 passes with probability 0.22"),
        (2550, {"eps": 0.01}, "at most 17 may violate"),
        (2550, {"eps": 0.01}, "probability 0.9"),
        (298, {"eps": 0.01}, "too few, no policy can pass; a spotless one passes from 299 on"),
        (58, {"mode": "expected", "limit": 0.5, "most": 10.0}, "no policy can pass"),
        (600, {"mode": "expected", "limit": 0.5, "most": 10.0}, "on average, to show that they cost 0.5"),
    ],
)
def test_the_words_of_the_warning(n: int, told: dict[str, Any], words: str) -> None:
    table = ReleaseTable.model_validate(
        {"prompts": "x.jsonl", "column": "cost:harm", "mode": "probability", **told}
    )
    assert words in forewarned(table, n)


def test_each_question_counts_once(here: Path) -> None:
    write(here / "test.jsonl", ["Why?", "Why? ", "How?"])
    told = {"prompts": "test.jsonl", "column": "cost:harm", "mode": "probability", "eps": 0.1}
    assert len(release_prompts(ReleaseTable.model_validate(told), [Prompt.of("When?")])) == 2


@pytest.mark.parametrize(
    ("told", "path", "allowed"),
    [
        ({"column": "score"}, "column", '"cost:<id>"'),
        ({"column": "cost:other"}, "column", "cost:harm"),
        ({"eps": None}, "eps", "needs it, without a default"),
        ({"eps": 0.0}, "eps", "more than 0"),
        ({"limit": 0.1}, "limit", "nothing under mode"),
        ({"mode": "expected"}, "eps", "nothing under mode"),
        ({"mode": "expected", "eps": None, "limit": 0.1}, "most", "without a default"),
        ({"mode": "expected", "eps": None, "limit": 2.0, "most": 2.0}, "limit", "less than most"),
        ({"confidence": 0.5}, "confidence", "more than 0.5"),
    ],
)
def test_a_test_that_cannot_be_held_is_told(
    here: Path, told: dict[str, Any], path: str, allowed: str
) -> None:
    with pytest.raises(PlanError) as caught:
        planned(here, [SAFE] * 3, **told)
    assert caught.value.path == f"stage[0].release.{path}"
    assert allowed in caught.value.allowed


def test_the_report_shows_it_and_the_guard_does_not_count_it(here: Path) -> None:
    outcome, _ = held(here, planned(here, [HARM] * 2 + [SAFE] * 58))
    reading, decision = found(outcome)
    report = gather(outcome.folder)
    (stage,) = report.stages
    assert f"Release test, {decision.reason}." in stage.result.says
    assert "release test of cost:harm decided nothing" in report.headline
    assert "warning" not in report.headline
    assert [(one.action, one.rule) for one in stage.guard.decisions] == [("test", "release")]
    assert stage.guard.decisions[0].evidence == (reading.id,)
    assert "no warning." in stage.guard.says
    assert all(one.name != "release.harm" for one in stage.guard.indicators)
    assert stage.trained.answers["release test"] == 60
    assert stage.trained.answers["unfinished window"] == 0


def test_other_decisions_have_no_verdict() -> None:
    told = {"run": "r/s", "step": 0, "action": "continue"}
    assert verdict_of(Decision.model_validate({**told, "rule": "fault", "reason": "pass: so"})) is None
    assert verdict_of(Decision.model_validate({**told, "rule": "release", "reason": "so"})) is None
