"""The study as a person runs it, in its quick form, on the planted base; and the plans of its arms.

Mutants: an arm that learns from gold, a sealed prompt in a training file, a budget that differs by arm, a
verdict of a quick form, a cell that is done twice, settings that change under finished runs."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from accord import catalog
from accord.cli import main
from accord.engines.local import Local
from accord.errors import PlanError
from accord.plan import Plan
from accord.progress import Silent
from accord.records.portraits import Share, Standing
from accord.studies import Setting, carry_out, read_study, without_rlhf
from accord.studies.arms import Cell, Measured
from accord.studies.grounds import planted
from accord.studies.port import Doing
from accord.studies.without_rlhf import WithoutRLHF
from accord.testing.organisms import aims
from accord.worker import Worker


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the planted base in it; what it came to and its pairs, which no study reads, are left out."""
    runs = tmp_path_factory.mktemp("studies")
    study = cast(WithoutRLHF, read_study("without-rlhf"))
    with pytest.MonkeyPatch.context() as patched:
        for what in ("_measured", "_pairs"):
            patched.setattr(aims, what, lambda *_: ())
        planted(study.base, runs / "study-without-rlhf" / "bases", 0, Silent(), quick=True)
    return runs


def test_the_quick_form_is_a_table_without_a_verdict(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["study", "without-rlhf", "--quick", "--arms", "prompt,dpo", "--runs", str(runs), "--quiet"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["outcome"] is None and set(told["arms"]) == {"prompt", "dpo"}
    assert all(0 <= one["gold"]["value"] <= one["check"]["value"] <= 1 for one in told["arms"].values())
    assert told["arms"]["prompt"]["kl_unrelated"]["value"] > 0.05, "an instruction is a distance too"
    assert told["arms"]["dpo"]["pushed_answers"]["value"] == pytest.approx(0.5)
    assert "pushed_answers" not in told["arms"]["prompt"]
    folder = Path(told["folder"])
    drawn = (folder / "findings.svg").read_text("utf-8")
    assert drawn.count('class="seed"') == 2 and "prompt" in drawn
    assert main(words) == 0, "gone on with: nothing is done twice"
    said = capsys.readouterr().out
    assert "quick: no verdict" in said and "tiny models cannot show" in said and "dpo" in said
    begun = json.loads((folder / "dpo-0" / "run.json").read_text("utf-8"))
    assert {"plan", "store"} <= set(begun), "each arm is a run like any other"
    (folder / "study.toml").write_text("margin = 1.0\n", "utf-8")
    assert main(words) == 4
    assert "not what these runs were settled on" in " ".join(capsys.readouterr().out.split())


def standing(principle: str, part: str, verdict: str, told: bool) -> Standing:
    near = Share(value=0.9, low=0.85, high=0.95, n=12)
    far = Share(value=0.1, low=0.0, high=0.2, n=12)
    fields: dict[str, Any] = {
        "best": far if told else near,
        "halfway": Share(value=0.1, low=0.05, high=0.2, n=12) if told else None,
    }
    return Standing(
        principle=principle, slice=part, target=0.8, own=near, verdict=verdict, why="planted", **fields
    )


def test_every_arm_has_the_same_budget_and_none_sees_gold_or_a_sealed_prompt(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = read_study("without-rlhf")
    assert isinstance(study, WithoutRLHF)
    found = (
        standing("says-please", "land", "held", False),
        standing("kind-greeting", "land", "within reach", False),
        standing("gives-reason", "water", "within reach", True),
    )
    monkeypatch.setattr(without_rlhf, "portrait", lambda *_, **__: SimpleNamespace(standings=found))
    at = Setting(runs / "study-without-rlhf" / "plans", 1, study.arms, None, True)
    with Worker() as worker:
        here = without_rlhf._Seed(study, at, 0, worker, Local(decode="float32", device="cpu"))  # pyright: ignore[reportPrivateUsage]
        spent: dict[str, float] = {}
        for arm in ("best_of_n", "compatible", "compatible_untold", "dpo", "grpo", "ppo"):
            stage, told = here._stage(Cell(arm, 0, at.folder / arm))  # pyright: ignore[reportPrivateUsage]
            spent[arm] = told["judged"]
            plan = Plan.model_validate(
                {
                    "name": "x",
                    "purpose": "explore",
                    "model": here.ground.model,
                    "stage": [{**here._around(), **stage}],  # pyright: ignore[reportPrivateUsage]
                }
            )
            catalog.check(plan)
            assert "gold" not in plan.toml()
        sealed = {p.text for name in here.ground.principles for p in here.ground.sealed(name)}
        critic = here.done(Cell("constitution", 0, at.folder / "constitution-0"))
    assert critic.state == "not possible here" and "words for" in critic.why
    assert len(set(spent.values()) - {spent["dpo"]}) == 1 and spent["dpo"] <= spent["grpo"]
    rows = [json.loads(line) for file in (at.folder / "data").glob("*.jsonl") for line in file.open()]
    assert len(rows) > 200 and not sealed & {row["prompt"] for row in rows}
    told_rows = [row for row in rows if row.get("told")]
    assert told_rows and {row["told"] for row in told_rows} == {"Give a reason with each yes."}


def test_what_a_person_asks_for_wrongly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PlanError, match="without-rlhf"):
        read_study("without-rlfh")
    with pytest.raises(PlanError, match="compatible"):
        carry_out("without-rlhf", runs=tmp_path, arms=["compatibel"], progress=Silent())
    assert main(["study", "without-rlhf", "--quick", "--require", "met"]) == 1
    assert main(["study", "list"]) == 0
    assert "without-rlhf" in capsys.readouterr().out


def test_short_of_what_is_required_is_exit_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(self: WithoutRLHF, at: Setting, seed: int) -> Generator[Doing]:
        def do(cell: Cell) -> Measured:
            place = self.arms.index(cell.arm)
            items = {"gold": {f"t{i}": 0.1 * place + 0.01 * i for i in range(8)}}
            return Measured(cell.arm, seed, "measured", items=items)

        yield do

    monkeypatch.setattr(WithoutRLHF, "opened", opened)
    words = ["study", "without-rlhf", "--runs", str(tmp_path), "--quiet", "--require", "met"]
    assert main(words) == 3
    said = capsys.readouterr().out
    assert "false: compatible less each, in gold: dpo -0.300 [-0.300, -0.300]" in " ".join(said.split())
    assert "\nnot met\n" in said
    assert main([*words[:-2], "--seeds", "2"]) == 0, "an outcome is no error, unless it is required"
    assert "\nnot met\n" in capsys.readouterr().out, "and five seeds stand"
