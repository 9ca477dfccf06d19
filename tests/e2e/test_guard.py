"""The guard stops a run that is sick, with its evidence on disk, and only a person lets it go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from e2e.processes import Ended, accord
from e2e.tiny_runs import GUARD, asking, tiny_plan
from safetensors.numpy import load_file

from accord.records import Decision, Reading, StepEvent
from accord.stores.runlog import LogView, read_log

WINDOWS = 16
LOOKING = [{"name": name} for name in ("reverse_kl", "base_rank", "diversity")]


def collapsing(fn: str, lr: float) -> dict[str, Any]:
    """One sign per answer, all weights trained; the guard asks every probe four times."""
    return tiny_plan(
        only=True,
        windows=WINDOWS,
        ask=asking(fn),
        source={"name": "rollouts", "prompts": "ask.jsonl", "per_window": 8, "max_tokens": 1},
        method={"name": "best_of_n", "n": 8, "rows_per_step": 4},
        learner={"name": "local", "adapter": "full", "lr": lr, "decode": "float32", "precision": "float32"},
        # What is tested is a rule that compares; pages of panels have proofs of their own.
        guard={"probes": 8, "answers": 4, "max_tokens": 1, "indicator": LOOKING},
        checkpoint={"every": 4, "keep": 2},
    )


def log(place: Path) -> LogView:
    view = read_log(place / "runs" / "tiny" / "amplify")
    assert not view.problems
    return view


def accepting(decision: dict[str, Any]) -> list[str]:
    return ["--accept", decision["id"][:12], "--by", "A. Person", "--reason", "I want to see how it ends"]


def test_a_planted_collapse_pauses_with_its_evidence_on_disk(
    run: Callable[..., Ended], said: Callable[..., Ended], files: Path, place: Path
) -> None:
    paused = run(collapsing("one_answer", 0.04), "--json")
    assert paused.code == 5, paused
    told = json.loads(paused.out)
    decision = told["decision"]
    assert told["action"] == decision["action"] == "pause"
    assert decision["rule"] == "fell:diversity" and "diversity fell by" in decision["reason"]

    view = log(place)
    events = cast("list[StepEvent]", view.records("event"))
    assert max(event.window for event in events) + 1 < WINDOWS, "it was stopped before the loop's end"
    assert decision["id"] in {one.id for one in view.records("decision")}
    readings = {one.id: cast(Reading, one) for one in view.records("reading")}
    (evidence,) = (readings[parent] for parent in decision["parents"])
    assert evidence.name == "diversity" and evidence.step == decision["step"]
    answers = {one.id for one in view.records("response")}
    assert evidence.parents and set(evidence.parents) <= answers, "the answers it rests on are there too"
    assert (place / "runs/tiny/report.html").is_file() and not (place / "runs/tiny/amplify/model").exists()

    run_folder = place / "runs" / "tiny"
    refused = said(
        accord("resume", run_folder, at=files), 2, "paused", "diversity fell", f"accord resume {run_folder}"
    )
    assert f"--accept {decision['id'][:12]} --by NAME --reason TEXT" in refused.err
    assert len(log(place).lines) == len(view.lines), "a refusal leaves nothing behind"
    another = ["--accept", "0123456789ab", "--by", "A", "--reason", "B"]
    said(accord("resume", run_folder, *another, at=files), 2, decision["id"][:12])
    lame = accord("resume", run_folder, "--accept", decision["id"], "--by", "A. Person", at=files)
    assert lame.code == 1 and "--reason is missing" in lame.err

    # Accepted on this evidence; the next audit is new evidence, and the collapse is still there.
    again = accord("resume", run_folder, *accepting(decision), "--json", at=files)
    assert again.code == 5, again
    newer = json.loads(again.out)["decision"]
    assert newer["step"] > decision["step"] and newer["parents"] != decision["parents"]
    accepted = [one for one in cast("list[Decision]", log(place).records("decision")) if one.accepts]
    assert [(one.accepts, one.by, one.reason) for one in accepted] == [
        (decision["id"], "A. Person", "I want to see how it ends")
    ]


def test_its_healthy_twin_is_left_alone(run: Callable[..., Ended], place: Path) -> None:
    done = run(collapsing("indifferent", 1e-4), "--json")
    assert done.code == 0, done
    assert json.loads(done.out)["decision"] is None
    stops = [
        one for one in cast("list[Decision]", log(place).records("decision")) if one.action != "continue"
    ]
    assert stops == []


@pytest.mark.parametrize("breaks", [0, 2, 4])
def test_an_indicator_that_raises_pauses_and_a_person_lets_it_go_on(
    breaks: int, run: Callable[..., Ended], said: Callable[..., Ended], files: Path, place: Path
) -> None:
    plan = tiny_plan(only=True)
    indicators = [{"name": "diversity"}, {"name": "strangers:Thermometer", "breaks": breaks}]
    plan["stage"][0]["guard"]["indicator"] = indicators
    paused = run(plan)
    assert paused.code == 5, paused
    assert "indicator thermometer raised ZeroDivisionError: the mercury is gone" in paused.out
    assert "Traceback" not in paused.err + paused.out
    (fault,) = (e for e in cast("list[StepEvent]", log(place).records("event")) if e.name == "fault")
    (decision,) = cast("list[Decision]", log(place).records("decision"))
    assert decision.parents == (fault.id,) and decision.rule == "fault" and decision.step == breaks
    assert f"accord resume {place}/runs/tiny --accept {decision.id} --by NAME --reason TEXT" in paused.out

    run_folder = place / "runs" / "tiny"
    said(accord("resume", run_folder, at=files), 2, "paused", "the mercury is gone", "--accept")
    done = accord("resume", run_folder, *accepting({"id": decision.id}), "--json", at=files)
    assert done.code == 0, done
    assert json.loads(done.out)["action"] == "done" and (run_folder / "amplify/model").is_dir()
    acceptance = cast(Decision, log(place).records("decision")[-1])
    assert (acceptance.accepts, acceptance.by) == (decision.id, "A. Person")
    report = json.loads(accord("report", run_folder, "--json", at=files).out)
    assert any("A. Person" in json.dumps(one) for one in report["stages"][0]["guard"]["acceptances"])


def sick_method(at: list[int]) -> dict[str, Any]:
    method = {"name": "strangers:SometimesNan", "n": 3, "rows_per_step": 2, "at": at}
    checkpoint = {"every": 1, "keep": 9}
    return tiny_plan(only=True, windows=3, method=method, guard=GUARD, checkpoint=checkpoint)


def weights(place: Path, step: int) -> dict[str, bytes]:
    """Weights and moments of the first checkpoint at a step."""
    learner = place / "runs" / "tiny" / "amplify" / "checkpoints" / f"{step:08d}.000" / "learner"
    names = ("weights", "optimizer")
    return {
        f"{name}/{key}": tensor.tobytes()
        for name in names
        for key, tensor in load_file(learner / f"{name}.safetensors").items()
    }


def test_a_loss_that_is_no_number_pauses_and_a_second_one_halts(
    run: Callable[..., Ended], said: Callable[..., Ended], files: Path, place: Path
) -> None:
    paused = run(sick_method([2]), "--json")
    assert paused.code == 5, paused
    decision = json.loads(paused.out)["decision"]
    assert decision["rule"] == "non_finite" and "nothing was applied" in decision["reason"]
    updates = [e for e in cast("list[StepEvent]", log(place).records("event")) if e.name == "update"]
    assert [(e.step, e.scalars["applied"]) for e in updates] == [(1, 1.0), (2, 0.0)]
    assert weights(place, 2) == weights(place, 1), "neither a weight nor a moment moved"
    assert any(b"\0" * len(w) != w for w in weights(place, 1).values())

    run_folder = place / "runs" / "tiny"
    halted = accord("resume", run_folder, *accepting(decision), "--json", at=files)
    assert halted.code == 6, halted
    last = json.loads(halted.out)["decision"]
    assert last["action"] == "halt" and "step 4" in last["reason"] and "step 2" in last["reason"]
    assert set(last["parents"]) <= {e.id for e in log(place).records("event")}
    for words in ([], accepting(last)):
        said(accord("resume", run_folder, *words, at=files), 2, "halted at step 4", "begin a new one")


def test_a_person_may_go_on_after_a_loss_that_was_no_number(
    run: Callable[..., Ended], files: Path, place: Path
) -> None:
    paused = run(sick_method([2]), "--json")
    decision = json.loads(paused.out)["decision"]
    well = {"TINY_RUNS_WELL": "1"}
    done = accord("resume", place / "runs/tiny", *accepting(decision), "--json", at=files, env=well)
    assert done.code == 0, done
    updates = [e for e in cast("list[StepEvent]", log(place).records("event")) if e.name == "update"]
    assert [e.scalars["applied"] for e in updates] == [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]
