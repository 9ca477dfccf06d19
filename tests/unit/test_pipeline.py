"""Plans settle on absolute files, runs get folders of their own, and nothing is left behind by a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.engines.local.tiny import save_tiny
from accord.errors import AccordError, PlanError, Refused
from accord.guard_steps import GuardSteps
from accord.host_runs import HostRun
from accord.pipeline import resume, run, settled
from accord.plan import Plan, Stage
from accord.records import Entry
from accord.stores.foreign.log_runs import import_logs
from accord.stores.runlog import read_log


def _plan(base: Path | str, **stage: object) -> Plan:
    fields: dict[str, object] = {
        "name": "teach",
        "windows": 1,
        "source": {"name": "offline", "data": "pairs.jsonl", "per_window": 2},
        "method": {"name": "sft"},
        "learner": {"name": "local", "decode": "float32", "precision": "float32", "lr": 1e-3},
        "guard": {"probes": 2, "answers": 3, "max_tokens": 6, "indicator": [{"name": "diversity"}]},
    }
    return Plan.model_validate(
        {
            "name": "p",
            "purpose": "explore",
            "model": str(base),
            "stage": [Stage.model_validate(fields | stage)],
        }
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.jsonl").write_text(
        '{"prompt": "Where?", "completion": "Here."}\n{"prompt": "When?", "completion": "Now."}\n', "utf-8"
    )
    return tmp_path


def test_a_settled_plan_names_files_absolutely_and_leaves_other_names_alone(here: Path) -> None:
    (here / "reward.py").write_text("def f(prompts, answers):\n    return [1.0] * len(answers)\n", "utf-8")
    ask = {
        "name": "each",
        "column": "score",
        "collapse": "distribution",
        "overseer": {"name": "program", "fn": "reward.py:f"},
    }
    plan = settled(_plan("tiny", ask=[ask], held_out={"prompts": "pairs.jsonl:held_out"}), [here])
    stage = plan.stage[0]
    assert stage.source.settings["data"] == str(here / "pairs.jsonl")
    assert stage.ask[0].overseer.settings["fn"] == f"{here / 'reward.py'}:f"
    assert stage.held_out is not None
    assert stage.held_out.prompts == f"{here / 'pairs.jsonl'}:held_out"
    assert plan.model == "tiny"
    save_tiny(here / "tiny")
    assert settled(plan, [here]).model == str(here / "tiny")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"source": {"name": "offline", "data": "nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"source": {"name": "rollouts", "prompts": "short-questions"}}, "offline"),
        ({"guard": {"prompts": "nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"model": "nowhere"}, "nowhere"),
    ],
)
def test_a_plan_that_cannot_run_leaves_nothing_behind(
    here: Path, change: dict[str, object], word: str
) -> None:
    save_tiny(here / "tiny")
    with pytest.raises(AccordError, match=word):
        run(_plan(here / "tiny", **change), runs=here / "runs", store="none")
    assert not list((here / "runs").glob("*")) if (here / "runs").exists() else True


def test_runs_are_numbered_named_and_never_overwritten(here: Path) -> None:
    model = save_tiny(here / "tiny")
    plan = _plan(model)
    assert run(plan, runs=here / "runs", store="none").run == "p-1"
    assert run(plan, runs=here / "runs", store="none").run == "p-2"
    assert run(plan, runs=here / "runs", store="none", name="mine").run == "mine"
    with pytest.raises(Refused, match="accord resume"):
        run(plan, runs=here / "runs", store="none", name="mine")
    with pytest.raises(Refused, match="names a folder"):
        run(plan, runs=here / "runs", store="none", name="../mine")


def test_a_finished_run_resumes_to_its_report_and_accepts_nothing(here: Path) -> None:
    outcome = run(_plan(save_tiny(here / "tiny")), runs=here / "runs", store="none")
    weights = (outcome.folder / "teach" / "model" / "model.safetensors").read_bytes()
    assert outcome.report is not None
    outcome.report.unlink()
    again = resume(outcome.folder)
    assert again.action == "done"
    assert again.report is not None
    assert again.report.is_file()
    assert (outcome.folder / "teach" / "model" / "model.safetensors").read_bytes() == weights
    with pytest.raises(Refused, match="nothing waits"):
        resume(outcome.folder, accept="abc", by="A", reason="because")
    with pytest.raises(Refused, match="--by NAME"):
        resume(outcome.folder, accept="abc")


def test_a_folder_without_a_run_lists_those_beside_it(here: Path) -> None:
    for name in ("p-1", "p-2"):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "run.json").touch()
    with pytest.raises(Refused, match="p-1, p-2"):
        resume(here / "runs" / "p-9")


@pytest.mark.parametrize("accept", [None, "3f9c1a"])
def test_what_was_not_trained_here_is_not_gone_on_with(here: Path, accept: str | None) -> None:
    log = here / "log.jsonl"
    log.write_text('{"loss": 1.5, "grad_norm": 2.0, "learning_rate": 0.1, "step": 1}\n', "utf-8")
    imported = import_logs([log], here / "runs", name="brought", tool="trl").folder
    watched = GuardSteps(HostRun(here / "runs" / "watched"))
    watched.begin(0)
    watched.close()
    for folder, instead in (
        (imported, r"imported log of another tool(?s:.*)accord import logs"),
        (watched.run.folder, r"another trainer(?s:.*)resume_from_checkpoint=True(?s:.*)accept=\("),
    ):
        before = sorted(folder.rglob("*"))
        with pytest.raises(Refused, match=instead) as told:
            resume(folder, accept=accept, by="A. Person", reason="seen")
        assert f"accord report {folder}" in str(told.value)
        assert sorted(folder.rglob("*")) == before


def test_a_model_to_keep_is_not_pushed_down_without_the_gate(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "harsh.py").write_text(
        "from accord.methods.sft import SFT\n\n\n"
        "class Harsh(SFT):\n    @property\n    def pushes_down(self) -> bool:\n        return True\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(here)
    plan = _plan(save_tiny(here / "tiny"), method={"name": "harsh:Harsh"})
    with pytest.raises(Refused, match="evidence gate"):
        run(plan.model_copy(update={"purpose": "model"}), runs=here / "runs", store="none")
    assert not (here / "runs").exists()
    explored = run(plan, runs=here / "runs", store="none")
    (entry,) = read_log(explored.folder / "teach").records("entry")
    assert isinstance(entry, Entry) and not entry.gated


def test_a_plan_error_names_the_place_in_the_plan(here: Path) -> None:
    with pytest.raises(PlanError, match=r"stage\[0\]\.method") as caught:
        run(_plan("tiny", method={"name": "sfft"}), runs=here / "runs", store="none")
    assert 'did you mean "sft"?' in str(caught.value)
