"""A report of every state a run can be in, and of every folder that is none."""

from __future__ import annotations

import fcntl
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.reports.written import AFTER, BEFORE, FixedClock, Script, finished, make_run, plan_of

from accord.errors import Unreadable
from accord.records import Decision
from accord.reports import RunReport, gather, headline, write_report
from accord.stores.runlog import RunLog

OFFLINE = """
name = "cloned"
purpose = "{purpose}"
model = "tiny-base"
[[stage]]
name = "sft"
windows = 2
source = {{ name = "offline", data = "rows.jsonl" }}
method = {{ name = "sft" }}
"""


def written(run: Path) -> tuple[RunReport, str]:
    """The report and its page; both are made, whatever the state."""
    page = write_report(run).read_text(encoding="utf-8")
    assert "Traceback" not in page
    assert "{{" not in page
    report = gather(run)
    json.dumps(report.json(), allow_nan=False)
    assert headline(run) == report.headline
    return report, page


def test_a_finished_run(tmp_path: Path) -> None:
    report, page = written(finished(tmp_path / "brevity-1"))
    assert report.status.state == "finished"
    assert report.headline == (
        "held-out score 50 % → 75 % (change +25 points, 95 % interval +5 to +60; 4 prompts); no page, "
        "and no panel was read, 1 warning, 1 pause accepted by a person"
    )
    assert report.statement in page
    assert "UNGATED" in page
    assert "Improved by 25 points (95 % interval +5 to +60, paired over 4 prompts)." in page
    assert "A. Person" in page
    assert "No rate of false alarms is stated for these rules" in page
    assert "safe" not in page.replace("unsafe-inline", "")
    assert report.stages[0].result.p == 0.75  # of the 16 signs of (1, .5, 0, −.5), 12 leave |sum| ≥ 1
    assert "p = 0.75" in page


def test_before_the_first_stage(tmp_path: Path) -> None:
    report, page = written(make_run(tmp_path / "r"))
    assert report.status.state == "not begun"
    assert report.headline == "not begun; the guard has not looked yet"
    assert "This stage has not begun." in page


def test_no_window_done(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out(BEFORE)
        script.audit()
    report, page = written(run)
    assert report.status.says == (
        "interrupted in window 0 of 2, update 0: it has no result, and no process here writes it"
    )
    assert report.headline.endswith("; held-out score before training 50 %; no page, and no panel was read")
    assert report.stages[0].result.verdict == "one reading"
    assert report.stages[0].curves == ()
    assert "No window was finished yet" in page
    assert any("accord resume r" in line for line, _ in report.commands)


def test_killed_in_a_window(tmp_path: Path) -> None:
    """Answers and judgments are there, but no episode and no event: the window was not finished."""
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out(BEFORE)
        script.audit()
        script.window(0)
        script.update(0)
        prompt = script.answers_of("What now?", ["This.", "That."])
        script.judge(prompt[0], 1.0)
    (run / "amplify" / "events" / ("1" * 32 + "-000000.jsonl.open")).write_text('{"id": "torn')
    report, page = written(run)
    stage = report.stages[0]
    assert stage.status.state == "interrupted"
    assert stage.trained.answers == {"training": 4, "held out": 8, "probes": 7, "unfinished window": 1}
    assert stage.environment.torn == 1
    assert "1 line left unfinished by a killed process" in page


def test_while_it_runs(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.audit()
        report, _ = written(run)
        assert report.headline == "running: window 0 of 2, update 0 so far; no page, and no panel was read"
    assert gather(run).status.state == "interrupted"


def test_a_report_does_not_keep_a_writer_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.audit()
    gather(run)
    with (run / "amplify" / "writer.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(("action", "state"), [("pause", "paused"), ("halt", "halted")])
def test_stopped_by_a_rule(tmp_path: Path, action: str, state: str) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out(BEFORE)
        script.audit()
        script.window(0)
        script.update(0)
        script.audit(diversity=0.1)
        script.decide("pause" if action == "pause" else "halt", "fell:diversity", "diversity fell by 0.7")
    report, page = written(run)
    assert report.status.state == state
    assert report.headline == (
        f"{state} at step 1 by rule fell:diversity: diversity fell by 0.7; "
        "held-out score before training 50 %; no page, and no panel was read"
    )
    resumes = [line for line, _ in report.commands if "resume" in line]
    accept = f"accord resume r --accept {report.status.record[:12]} --by NAME --reason TEXT"
    assert resumes == ([accept] if action == "pause" else [])
    assert "diversity fell by 0.7" in page


def test_several_stages(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", plan_of(stages=("first", "second", "third")))
    for stage, writer in (("first", "1" * 32), ("second", "2" * 32)):
        with Script(run, stage, writer) as script:
            script.held_out(BEFORE)
            script.audit(kl=0.5)
            script.window(0)
            script.update(0)
            script.held_out(AFTER, change=(-0.2, 0.4))
            script.audit(kl=1.0)
            if stage == "first":
                script.finish()
    report, page = written(run)
    states = [stage.status.state for stage in report.stages]
    assert states == ["finished", "interrupted", "not begun"]
    assert report.headline.startswith("stage second: interrupted in window 1 of 2")
    assert "first: held-out score: no change that the interval can tell from zero" in report.headline
    first, second = report.stages[:2]
    assert second.trained.start == "stage:first"
    # The policy of the second stage is not its own base, so its first reading is no noise floor.
    assert first.guard.indicators[0].floor is not None
    assert second.guard.indicators[0].floor is None
    assert "no price is stated" in second.spent.price_says
    assert page.count('<h2 class="stage">') == 3


@pytest.mark.parametrize("purpose", ["explore", "model"])
def test_offline_without_questions(tmp_path: Path, purpose: str) -> None:
    run = make_run(tmp_path / "r", OFFLINE.format(purpose=purpose))
    with Script(run, "sft") as script:
        script.audit()
        script.event("window", rows=4.0, missing=0.0, steps=1.0)
        script.update(0)
        script.audit(kl=0.2)
        script.finish(pushes=False)
    report, page = written(run)
    stage = report.stages[0]
    assert report.headline == "no held-out figure was planned; no page, and no panel was read"
    assert stage.result.verdict == "none"
    assert [curve.key for curve in stage.curves] == ["loss/nll", "grad_norm"]
    assert stage.spent.unused is None
    assert "Supervised fine-tuning" in stage.trained.method
    assert stage.trace[-1].kind == "prompt"
    assert ("UNGATED" in report.stamp) is (purpose == "explore")
    assert ("needed no evidence gate" in report.stamp) is (purpose == "model")
    assert bool(report.needs) is (purpose == "explore")
    assert "none: nothing is asked" in page


def test_pressure_is_a_mean_over_the_updates_that_tell_of_it(tmp_path: Path) -> None:
    """A refused update pressed nothing; one whose learner tells no log π has no mass."""
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.window(0)
        script.update(0, pushed_down=0.5, pushed_answers=0.25, negative_mass=0.125)
        script.update(0, pushed_down=0.1, pushed_answers=0.5)
        script.update(0, pushed_down=1.0, pushed_answers=1.0, negative_mass=1.0, applied=0.0)
        script.update(0, pushed_down=0.3)
    report, page = written(run)
    spent = report.stages[0].spent
    assert (spent.pushed_down, spent.pushed_tokens) == (pytest.approx(0.3), 30)
    assert (spent.pushed_answers, spent.pushed_of, spent.negative_mass) == (0.375, 2, 0.125)
    assert "Answers pushed down" in page and "38 %" in page
    assert "Negative-gradient mass" in page and "12 %" in page


def test_numbers_that_are_none(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.audit()
        script.window(0, score=math.nan)
        script.update(0, nll=math.nan, grad_norm=math.inf, applied=0.0)
        script.update(0, nll=1.0)
        script.audit(missing="no answer had tokens")
    report, page = written(run)
    curves = {curve.key: curve for curve in report.stages[0].curves}
    assert curves["loss/nll"].gaps == (1.0,)
    assert [point.x for point in curves["loss/nll"].points] == [2.0]
    assert curves["score"].points == ()
    assert report.stages[0].trained.refused == 1
    assert "1 update had no finite loss or gradient, and changed nothing" in page
    assert "no answer had tokens" in page
    diversity = next(one for one in report.stages[0].guard.indicators if one.name == "diversity")
    assert diversity.missing[0].reason == "no answer had tokens"
    assert diversity.last is None


def test_thousands_of_updates(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        for k in range(2500):
            script.update(0, nll=100.0 if k == 1234 else 1.0, commit=False)
    report, page = written(run)
    (curve,) = [curve for curve in report.stages[0].curves if curve.key == "loss/nll"]
    assert len(curve.points) == 200
    assert sum(point.n for point in curve.points) == 2500
    assert max(point.high or 0.0 for point in curve.points) == 100.0  # a spike is never averaged away
    assert "2,500 updates in 200 bins" in page


def test_a_log_that_was_changed(tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    (segment,) = (run / "amplify" / "readings").glob("*.jsonl")
    segment.write_text(segment.read_text().replace('"value":0.8', '"value":0.1', 1))
    report, page = written(run)
    problems = report.stages[0].environment.problems
    assert any("its id is" in problem for problem in problems)
    assert not any(str(tmp_path) in problem for problem in problems)
    assert "the log is incomplete or was changed" in page


def test_evidence_of_another_run(tmp_path: Path) -> None:
    """Judgments that were reused from an earlier run stand there; the report says so and shows none."""
    run = finished(tmp_path / "r")
    for segment in (run / "amplify" / "judgments").glob("*"):
        segment.unlink()
    report, _ = written(run)
    stage = report.stages[0]
    assert stage.result.verdict == "improved"
    assert stage.transcripts.shown == ()
    assert [step.kind for step in stage.trace] == ["reading", "judgment"]
    assert stage.trace[1].place == ""


def test_drift_comes_first(tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    (run / "amplify" / "drift.txt").write_text("resumed in another environment: torch: 1 → 2\n")
    report, page = written(run)
    assert report.warnings == ("amplify: resumed in another environment: torch: 1 → 2",)
    assert page.index("torch: 1 → 2") < page.index("What was trained</h2>")


def test_held_out_prompts_that_were_trained_on(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out(BEFORE)
        script.audit()
        script.train_on(next(iter(BEFORE)))
        script.update(0)
        script.held_out(AFTER, change=(0.1, 0.7))
    report, _ = written(run)
    assert report.stages[0].result.seen == 1
    assert any("also trained on" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        ((0.1, 0.4), "improved", "Improved by 25 points"),
        ((-0.5, -0.1), "worsened", "Worsened by"),
        ((-0.1, 0.4), "no change", "With these prompts a change would have had to exceed about 25 points."),
        ((0.0, 0.4), "no change", "No change that the interval can tell from zero"),
        ((-math.inf, math.inf), "no change", "no finite interval"),
        (None, "not paired", "The two are not compared"),
    ],
)
def test_what_is_said_of_a_change(
    tmp_path: Path, change: tuple[float, float] | None, verdict: str, said: str
) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out(BEFORE)
        script.window(0)
        script.update(0)
        script.held_out(AFTER, change=change)
        script.finish()
    report, _ = written(run)
    assert report.stages[0].result.verdict == verdict
    assert said in report.stages[0].result.says


def test_abstentions_are_shown_as_such(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out({"Why?": [("So.", 1.0)], "How?": [("Thus.", 0.0)]})
        script.update(0)
        script.held_out({"Why?": [("So.", 0.0)], "How?": [("Thus.", 0.0)]}, change=(-1.0, 0.0))
        answer = next(iter(script.said.values()))
        script.judge(answer, None, abstains="timeout", by="second")
    report, page = written(run)
    assert report.stages[0].trained.abstentions == 1
    assert "second: abstained, timeout" in page


def test_a_resumed_stage_counts_each_start(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run, writer="1" * 32) as script:
        script.audit()
    with RunLog.open(run / "amplify", "r/amplify", clock=FixedClock(1.8e9), writer="2" * 32) as log:
        log.write(Decision(run="r/amplify", step=0, action="continue", rule="x", reason="y"), step=0)
    trained = gather(run).stages[0].trained
    assert trained.starts == 2
    assert trained.seconds < 60  # not the years between the two


@pytest.mark.parametrize("missing", ["run.json", "plan.toml"])
def test_a_folder_that_is_no_run(tmp_path: Path, missing: str) -> None:
    run = make_run(tmp_path / "r")
    (run / missing).unlink()
    for ask in (gather, headline, write_report):
        with pytest.raises(Unreadable, match=missing):
            ask(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"), [("run.json", "{"), ("run.json", "[]"), ("plan.toml", "a = "), ("plan.toml", "a = 1")]
)
def test_a_run_whose_files_are_damaged(tmp_path: Path, name: str, text: str) -> None:
    run = make_run(tmp_path / "r")
    (run / name).write_text(text)
    with pytest.raises(Unreadable, match=name):
        gather(run)


def test_another_place_for_the_page(tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    page = write_report(run, tmp_path / "new" / "page.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]
    assert not (run / "report.html").exists()


def test_no_torch_and_no_network_in_it(tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    code = (
        "import sys; from pathlib import Path; import accord.reports as r\n"
        "assert 'jinja2' not in sys.modules\n"
        "r.write_report(Path(sys.argv[1])); print(r.headline(Path(sys.argv[1])))\n"
        "heavy = {'torch', 'transformers', 'sqlalchemy', 'fastapi'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run)], capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("held-out score 50 % → 75 %")
    page = (run / "report.html").read_text(encoding="utf-8")
    for outside in ("<script", "http:", "https:", "src=", "@import", "url("):
        assert outside not in page


def test_an_accepted_pause_waits_for_nobody(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.audit()
        script.accept(script.decide("pause", "rose:x", "x rose"), "A. Person", "known")
    report, _ = written(run)
    assert report.status.state == "interrupted"
    assert report.headline.endswith("no page, and no panel was read, 1 pause accepted by a person")
    assert report.stages[0].guard.decisions[0].answer == "accepted by A. Person: known"
