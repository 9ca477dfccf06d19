"""``accord run METHOD FILE`` and ``accord import config``: words into a plan; and one run that is real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from accord.cli import main
from accord.plan import Plan, read_plan
from accord.testing import save_tiny

SMALL = ["source.max_tokens=6", "guard.probes=2", "guard.answers=3", "guard.max_tokens=6", "learner.rank=2"]
SMALL += ["guard.items=2"]


class Outcome(NamedTuple):
    run: str = "x-1"
    folder: Path = Path("runs/x-1")
    action: str = "done"
    decision: None = None
    report: Path | None = None
    stages: list[str] = ["a"]
    headline: str = "done"


def write_data(folder: Path, rows: int = 40) -> None:
    asked = [f"What is {i} plus {i}?" for i in range(rows)]
    kinds: dict[str, dict[str, Any]] = {
        "pairs": {"chosen": "Four.", "rejected": "Five."},
        "answers": {"completion": "Four."},
        "ask": {"truth": 4},
    }
    for name, fields in kinds.items():
        lines = (json.dumps({"prompt": text, **fields}) + "\n" for text in asked)
        (folder / f"{name}.jsonl").write_text("".join(lines))
    (folder / "my.py").write_text(
        "def small(prompts, answers):\n    return [float(sum(map(str.islower, a))) for a in answers]\n"
        "def known(prompts, answers, truth):\n    return [float(t) for t in truth]\n"
    )


@pytest.fixture
def data(here: Path) -> Path:
    write_data(here)
    return here


def planned(fake: Any, *words: str) -> Plan:
    """The plan that a command line comes to."""
    calls = fake("accord.pipeline.run", Outcome())
    assert main(["run", *words]) == 0
    ((plan,), _) = calls[-1]
    return plan


# Words into a plan


def test_a_method_with_data_and_a_model_is_a_plan(data: Path, fake: Any) -> None:
    plan = planned(fake, "dpo", "pairs.jsonl", "--model", "m", "--steps", "8", "--set", "method.beta=0.2")
    stage = plan.stage[0]
    assert (plan.name, plan.model, plan.purpose, stage.windows) == ("dpo-pairs", "m", "explore", 2)
    assert stage.method.plain() == {"rows_per_step": 8, "beta": 0.2}
    assert stage.source.plain()["data"] == f"{data / 'pairs.jsonl'}:train"
    again = planned(fake, "dpo", "pairs.jsonl", "--model", "m", "--steps", "8", "--set", "method.beta=0.2")
    assert again.hash == plan.hash


def test_rewards_lengths_and_places(data: Path, fake: Any) -> None:
    calls = fake("accord.pipeline.run", Outcome())
    words = ["--reward", "my.py:small", "--reward", "my.py:known=0.5", "--windows", "3", "--eval", "none"]
    assert main(["run", "grpo", "ask.jsonl", "--model", "m", *words, "--out", "there/first"]) == 0
    ((plan,), named) = calls[0]
    assert (named["runs"], named["name"]) == (Path("there"), "first")
    assert plan.stage[0].ask[0].overseer.plain()["weights"] == [1.0, 0.5]
    assert (plan.stage[0].windows, plan.stage[0].held_out) == (3, None)
    plan = planned(fake, "ppo", "ask.jsonl", "--model", "m", "--reward-model", "judge")
    assert plan.stage[0].ask[0].overseer.plain()["models"] == ["judge"]


def test_ranks_share_the_rows_of_every_stage(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    called = fake("accord.pipeline.run", RuntimeError("enough"))
    main(["run", "plan.toml", "--ranks", "3", "--set", "stage.a.learner={name = 'local', rank = 4}"])
    ((plan,), _) = called[0]
    learner = plan.stage[0].learner
    assert (learner.name, learner.settings["processes"]) == ("ranks", 3)
    assert learner.settings["local"]["rank"] == 4
    capsys.readouterr()
    assert main(["run", "plan.toml", "--ranks", "3", "--set", "stage.a.learner={name = 'scripted'}"]) == 1
    assert "this plan names scripted" in " ".join(capsys.readouterr().err.split())
    assert len(called) == 1


def test_the_first_screen_says_what_and_why(
    data: Path, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    planned(fake, "dpo", "pairs.jsonl", "--model", "m", "--set", "method.beta=0.2")
    calls = fake("accord.pipeline.run", Outcome())
    capsys.readouterr()
    assert main(["run", "dpo", "pairs.jsonl", "--model", "m", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["repeat"] == "accord run runs/x-1/plan.toml"
    lines = said.err.splitlines()
    assert lines[0].startswith("UNGATED")
    assert 'purpose = "model"' in lines[1] and "evidence gate comes before step 0" in lines[1]
    assert any(line.split()[:2] == ["learner.lr", "2e-05"] and "LoRA" in line for line in lines)
    assert any("held out" in line for line in lines)
    assert main(["run", "sft", "answers.jsonl", "--model", "m"]) == 0
    assert "pushes nothing down" in capsys.readouterr().err
    assert main(["run", "sft", "answers.jsonl", "--model", "m", "--quiet"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.splitlines()[-1] == "repeat: accord run runs/x-1/plan.toml"
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dpoo", "pairs.jsonl", "--model", "m"], 'did you mean "dpo"?'),
        (["dpo"], "FILE is missing"),
        (["dpo", "pairs.jsonl"], "--model is missing"),
        (["dpo", "pairs.jsonl", "--model", "m", "--steps", "2", "--epochs", "1"], "--steps and --epochs"),
        (
            ["dpo", "pairs.jsonl", "--model", "m", "--out", "a/b", "--name", "c"],
            "--out names the run's folder",
        ),
        (["plan.toml", "--model", "m"], "--model goes with a method"),
        (["plan.toml", "pairs.jsonl"], "FILE goes with a method"),
        (["plan.toml", "--reward", "a:b"], "--reward goes with a method"),
        (["dpo", "answers.jsonl", "--model", "m"], "it holds rows of type completion"),
        (["grpo", "ask.jsonl", "--model", "m"], "--reward my.py:reward"),
        (["dpo", "gone.jsonl", "--model", "m"], "gone.jsonl"),
    ],
)
def test_what_is_missing_or_odd_is_said(
    words: list[str], says: str, data: Path, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake("accord.pipeline.run", Outcome())
    assert main(["run", *words]) == 1
    # typer draws a frame around usage errors where rich is there
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert calls == []


# TRL configs


YAML = "dataset_name: pairs.jsonl\nmodel_name_or_path: m\nlabel_smoothing: 0.0\nuse_peft: true\nbf16: true\n"


def test_a_config_becomes_a_plan_on_stdout(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.yaml").write_text(YAML + "max_steps: 20\nwarmup_steps: 0.1\nbeta: 0.3\nrun_name: mine\n")
    assert main(["import", "config", "run.yaml"]) == 0
    said = capsys.readouterr()
    plan = read_plan(said.out)
    stage = plan.stage[0]
    assert (plan.name, plan.seed, plan.purpose, stage.eval) == ("mine", 42, "explore", None)
    assert stage.method.plain() == {"beta": 0.3, "rows_per_step": 8}
    learner = stage.learner.plain()
    assert (learner["lr"], learner["schedule"], learner["warmup"]) == (1e-6, "linear", 2)
    assert stage.windows * 4 == 20
    assert "not mapped:" in said.err and "bf16" in said.err.partition("not mapped:")[2]
    assert "TRL's default" in said.err


def test_a_config_as_a_file_and_as_json(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.yaml").write_text(YAML)
    words = ["import", "config", "run.yaml", "--eval", "pairs.jsonl", "--out", "new.toml"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    plan = read_plan(Path("new.toml"))
    assert (told["hash"], told["plan"]["stage"][0]["eval"]["keep"]) == (plan.hash, "last")
    assert {one["key"] for one in told["left"]} == {"bf16", "lora_dropout", "lora_target_modules"}
    assert all({"key", "value", "path", "became", "given"} == one.keys() for one in told["mapped"])
    assert main(words) == 1
    assert "a file that is not there yet" in capsys.readouterr().err


def test_a_config_whose_data_are_elsewhere(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run.yaml").write_text(YAML.replace("pairs.jsonl", "trl-lib/pairs"))
    assert main(["import", "config", "run.yaml"]) == 1
    assert "name its file by --data" in capsys.readouterr().err
    assert main(["import", "config", "run.yaml", "--data", "pairs.jsonl", "--model", "other"]) == 0
    assert read_plan(capsys.readouterr().out).model == "other"
    Path("grpo.yaml").write_text("num_generations: 4\nmodel_name_or_path: m\ndataset_name: ask.jsonl\n")
    assert main(["import", "config", "grpo.yaml"]) == 1
    assert "--reward my.py:reward" in capsys.readouterr().err
    assert main(["import", "config", "grpo.yaml", "--reward", "my.py:small"]) == 0
    assert read_plan(capsys.readouterr().out).stage[0].source.plain()["per_window"] == 2


# A run that is real


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with data, a tiny model, and the run of one command line in ``runs``."""
    folder = tmp_path_factory.mktemp("trained")
    write_data(folder)
    save_tiny(folder / "tiny", seed=0, layers=1, width=16)
    words = ["grpo", "ask.jsonl", "--model", "tiny", "--reward", "my.py:small", "--reward", "my.py:known=0.1"]
    sets = [word for setting in SMALL for word in ("--set", setting)]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert main(["run", *words, "--steps", "1", *sets, "--store", "none", "--quiet"]) == 0
    yield folder


def test_a_run_is_repeated_from_the_plan_it_wrote(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained / "runs" / "grpo-ask-1"
    assert (first / "grpo" / "model" / "model.safetensors").is_file()
    assert main(["run", str(first / "plan.toml"), "--runs", str(trained / "again"), "--store", "none"]) == 0
    second = trained / "again" / "grpo-ask-1"
    hashes = [json.loads((run / "run.json").read_text())["plan"] for run in (first, second)]
    assert hashes[0] == hashes[1]
    weights = [(run / "grpo" / "model" / "model.safetensors").read_bytes() for run in (first, second)]
    assert weights[0] == weights[1], "the same plan, the same model"


def test_a_talk_with_the_result_and_its_base(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["chat", "grpo-ask-1", "--runs", str(trained / "runs"), "--max-tokens", "5", "--once", "Hello?"]
    assert main([*words, "--beside", "base", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    result, base = told["models"]
    assert (result["name"], base["name"]) == ("grpo-ask-1", "base tiny")
    assert result["model"] == str(trained / "runs" / "grpo-ask-1" / "grpo" / "model")
    assert base["model"] == str(trained / "tiny")
    assert result["policy"] != base["policy"]
    (turn,) = told["turns"]
    assert [answer["model"] for answer in turn["answers"]] == ["grpo-ask-1", "base tiny"]
