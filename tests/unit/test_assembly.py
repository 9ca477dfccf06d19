"""Stages put together: evaluations from plan to report, models of earlier stages, what is said first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.engines.local.tiny import save_tiny
from accord.errors import AccordError, PlanError
from accord.pipeline import Outcome, run
from accord.plan import Plan
from accord.records import Entry, Judgment, ModelRef, NotMeasured, Reading
from accord.reports import gather
from accord.stores.runlog import read_log

PARTS = '''
from accord.part import Part
from accord.records import By, Graded, Judgment, Kind


class Reader(Part):
    """Grades by whether the model it was seated with is one."""

    models: tuple[str, ...]
    _seen: tuple = ()

    @property
    def answers(self):
        return frozenset({Kind.GRADE})

    @property
    def config(self):
        return "reader " + " ".join(self._seen)

    def seated(self, samplers):
        ready = type(self).model_validate(self.model_dump())
        ready._seen = tuple(samplers[name].policy for name in self.models)
        return ready

    async def judge(self, question, desk):
        by = By(type="model", name=", ".join(self.models), config=self.config)
        assert self._seen
        return Judgment(
            question=question.id, by=by, shown=question.responses, verdict=Graded(scores={"score": 1.0})
        )


class Finder(Part):
    """Is told where a model lies."""

    at: str

    @property
    def answers(self):
        return frozenset({Kind.GRADE})

    async def judge(self, question, desk):
        from pathlib import Path

        by = By(type="program", name=self.at, config=self.config)
        score = float((Path(self.at) / "scripted.json").is_file())
        return Judgment(
            question=question.id, by=by, shown=question.responses, verdict=Graded(scores={"score": score})
        )
'''
WORDS = {"name": "scripted", "words": ["yes", "no", "so"], "tensors": "numpy", "lr": 2.0}


class Said:
    """A Progress that remembers what stays."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, what: str, total: float | None = None) -> None:
        assert total is None or total > 0

    def advance(self, done: float = 1, note: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        self.lines.append(text)

    def end(self) -> None:
        pass


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "readers.py").write_text(PARTS, encoding="utf-8")
    rows(tmp_path / "train.jsonl", [("Why?", "yes"), ("How?", "yes"), ("Who?", "yes")])
    rows(tmp_path / "other.jsonl", [("Why?", "yes"), ("Why?", "no"), ("How?", "no"), ("How?", "yes")])
    return tmp_path


def rows(file: Path, of: Sequence[tuple[str, str]]) -> None:
    file.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in of), "utf-8")


def teach(**told: Any) -> dict[str, Any]:
    plain = {
        "name": "teach",
        "windows": 3,
        "source": {"name": "offline", "data": "train.jsonl", "per_window": 3},
        "method": {
            "name": "accord.testing:PlainLikelihood",
            "by": "data",
            "rows_per_step": 1,
            "likely": True,
        },
        "learner": WORDS,
        "guard": {"probes": 2, "indicator": []},
        "checkpoint": {"every": 4, "keep": 1},
        "eval": {"source": {"name": "offline", "data": "other.jsonl"}, "every": 2},
    }
    return {key: value for key, value in {**plain, **told}.items() if value is not None}


def listen(overseer: dict[str, Any], **told: Any) -> dict[str, Any]:
    ask = {"name": "each", "column": "score", "collapse": "distribution", "overseer": overseer}
    plain = {
        "name": "listen",
        "windows": 1,
        "source": {"name": "rollouts", "prompts": "train.jsonl", "per_window": 3},
        "method": {"name": "accord.testing:PlainLikelihood"},
        "learner": WORDS,
        "guard": {"probes": 2, "indicator": []},
        "ask": [ask],
    }
    return {**plain, **told}


def a_plan(*stages: dict[str, Any], model: str = "scripted") -> Plan:
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": model, "stage": list(stages)})


def done(here: Path, *stages: dict[str, Any], progress: Said | None = None, name: str = "p") -> Outcome:
    outcome = run(a_plan(*stages), runs=here / "runs", store="none", progress=progress, name=name)
    assert outcome.action == "done", outcome
    return outcome


def of(folder: Path, kind: str) -> list[Any]:
    return read_log(folder).records(kind)


def test_the_best_of_a_stage_is_its_result_and_the_report_says_so(here: Path) -> None:
    said = Said()
    table = {"source": {"name": "offline", "data": "other.jsonl"}, "every": 2, "keep": "best"}
    outcome = done(here, teach(eval=table), progress=said)
    folder = outcome.folder / "teach"
    readings = [one for one in of(folder, "reading") if one.name == "eval.nll"]
    values = {one.step: one.value for one in readings if isinstance(one, Reading)}
    assert list(values) == [0, 2, 4, 6, 8, 9]
    best = min(values, key=lambda step: values[step])
    assert 0 < best < 9
    (entry,), (model,) = of(folder, "entry"), of(folder, "model")
    assert isinstance(entry, Entry)
    assert isinstance(model, ModelRef)
    assert (entry.step, entry.kept, model.name) == (9, best, f"p/teach@{best}")
    assert {one.id for one in of(folder, "reading") if one.step == best} <= set(entry.parents)
    assert f"keeping step {best}, the best of 6 evaluations" in said.lines
    assert "an evaluation reads 4 rows in 1 window" in said.lines
    assert any("2 of the 2 prompts of the evaluation are also trained on" in line for line in said.lines)
    stage = gather(outcome.folder).stages[0]
    assert f"Kept: the best of 6 evaluations, update {best}." in stage.result.says
    assert outcome.headline.startswith("eval nll ")
    assert [curve.key for curve in stage.curves][:2] == ["eval.nll", "eval.likely"]
    assert any("prompts of the evaluation were also trained on" in w for w in gather(outcome.folder).warnings)
    exported = json.loads(_model(outcome))
    (saved,) = (folder / "checkpoints").glob(f"{best:08d}.*/learner/learner.json")
    assert exported["rows"] == json.loads(saved.read_text("utf-8"))["now"]["rows"]
    assert _model(outcome) != _model(done(here, teach(), name="last"))


def _model(outcome: Outcome) -> str:
    return (outcome.folder / "teach" / "model" / "scripted.json").read_text("utf-8")


def test_a_stage_that_gained_nothing_keeps_its_start(here: Path) -> None:
    """And ends early by its patience. Kills: the start not among what is judged."""
    table = {"source": {"name": "offline", "data": "other.jsonl"}, "every": 1, "keep": "best", "patience": 2}
    rows(here / "train.jsonl", [("Why?", "so"), ("How?", "so")])
    outcome = done(here, teach(eval=table, windows=9))
    (entry,) = of(outcome.folder / "teach", "entry")
    assert (entry.step, entry.kept) == (2, 0)
    says = gather(outcome.folder).stages[0].result.says
    assert "The stage ended early: nll has not improved in 2 evaluations." in says
    assert (
        "Kept: the start itself, update 0, for it is the best of 3 evaluations: nothing was gained." in says
    )


@pytest.mark.parametrize(
    ("stage", "path", "words"),
    [
        (
            listen(
                {"name": "readers:Finder", "at": "x"},
                eval={"source": {"name": "offline", "data": "other.jsonl"}},
            ),
            "stage[0].eval",
            "[stage.held_out]",
        ),
        (
            teach(eval={"source": {"name": "rollouts", "prompts": "other.jsonl"}}),
            "stage[0].eval.source.name",
            "offline",
        ),
        (
            teach(eval={"source": {"name": "offlin", "data": "other.jsonl"}}),
            "stage[0].eval.source.name",
            "offline",
        ),
        (
            teach(
                eval={
                    "source": {"name": "offline", "data": "other.jsonl"},
                    "by": "likly",
                    "better": "higher",
                }
            ),
            "stage[0].eval.by",
            "objective, nll, likely",
        ),
    ],
)
def test_an_evaluation_that_cannot_be_is_told_with_its_place(
    stage: dict[str, Any], path: str, words: str, here: Path
) -> None:
    with pytest.raises(PlanError) as caught:
        run(a_plan(stage), runs=here / "runs", store="none")
    assert caught.value.path == path
    assert words in str(caught.value)


def test_data_of_an_evaluation_that_is_not_there_is_told_before_anything_is_written(here: Path) -> None:
    with pytest.raises(AccordError, match=r"gone\.jsonl"):
        run(
            a_plan(teach(eval={"source": {"name": "offline", "data": "gone.jsonl"}})),
            runs=here / "runs",
            store="none",
        )
    assert not (here / "runs").exists()


def test_overseers_are_seated_with_models_of_earlier_stages(here: Path) -> None:
    """They are known by the weights, so the same models lead to the same judgments wherever the run lies."""
    overseer = {"name": "readers:Reader", "models": ["stage:teach", "scripted"]}
    first = done(here, teach(eval=None), listen(overseer))
    second = done(here / "elsewhere", teach(eval=None), listen(overseer))
    judged = [of(outcome.folder / "listen", "judgment") for outcome in (first, second)]
    assert all(isinstance(one, Judgment) and one.verdict is not None for one in judged[0])
    assert [one.id for one in judged[0]] == [one.id for one in judged[1]]
    (config,) = {one.by.config for one in judged[0]}
    assert config.count("base:") == 2
    assert len(set(config.split()[1:])) == 2, "two models, two weights"
    assert {one.by.name for one in judged[0]} == {"stage:teach, scripted"}
    other = done(here / "third", teach(eval=None, windows=1), listen(overseer))
    (changed,) = {one.by.config for one in of(other.folder / "listen", "judgment")}
    assert changed != config


def test_other_settings_are_given_the_folder(here: Path) -> None:
    outcome = done(here, teach(eval=None), listen({"name": "readers:Finder", "at": "stage:teach"}))
    judged = of(outcome.folder / "listen", "judgment")
    assert {one.by.name for one in judged} == {str(outcome.folder / "teach" / "model")}
    assert {one.verdict.scores["score"] for one in judged} == {1.0}


def test_a_model_of_an_overseer_that_cannot_be_opened_is_told_early(here: Path) -> None:
    overseer = {"name": "readers:Reader", "models": ["nowhere"]}
    with pytest.raises(AccordError, match="nowhere"):
        run(a_plan(listen(overseer)), runs=here / "runs", store="none")
    assert not (here / "runs").exists()


def test_what_a_source_says_of_its_data_is_said(here: Path) -> None:
    with (here / "train.jsonl").open("a") as file:
        file.write(json.dumps({"prompt": "What?", "completion": ""}) + "\n")
    said = Said()
    source = {"name": "offline", "data": "train.jsonl", "per_window": 3, "allow_dropped": 0.5}
    done(here, teach(source=source), progress=said)
    assert any("train.jsonl" in line and "dropped: 1 empty" in line for line in said.lines), said.lines
    assert any("other.jsonl" in line for line in said.lines)


def test_a_source_without_words_has_what_it_left_out_counted() -> None:
    from accord.assembly import _say_of_data

    class Plain:
        dropped = {"identical": 3, "empty": 0, "too long": 1200}

    said, source = Said(), Plain()
    _say_of_data(said, source)  # type: ignore[arg-type]
    assert said.lines == ["rows left out: 3 identical, 1,200 too long"]


def test_a_reward_model_is_evaluated_and_watched_without_probes(here: Path) -> None:
    """It can answer nothing, so there are no audits, and its held-out accuracy decides what is kept."""
    pairs = [{"prompt": f"{k}?", "chosen": f"good {k}", "rejected": f"bad {k}"} for k in range(12)]
    (here / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pairs), "utf-8")
    stage = {
        "name": "judge",
        "windows": 2,
        "source": {"name": "offline", "data": "pairs.jsonl:train", "per_window": 4},
        "method": {"name": "reward_model", "rows_per_step": 2},
        "learner": {
            "name": "local",
            "adapter": "full",
            "lr": 1e-3,
            "decode": "float32",
            "precision": "float32",
        },
        "eval": {
            "source": {"name": "offline", "data": "pairs.jsonl:held_out"},
            "every": 2,
            "by": "accuracy",
            "better": "higher",
            "keep": "best",
        },
    }
    model = save_tiny(here / "tiny", layers=1, width=16)
    said = Said()
    outcome = run(a_plan(stage, model=str(model)), runs=here / "runs", store="none", progress=said)
    assert outcome.action == "done"
    folder = outcome.folder / "judge"
    readings = of(folder, "reading")
    assert {one.name.partition(".")[0] for one in readings} == {"eval"}
    assert [one.step for one in readings if one.name == "eval.accuracy"] == [0, 2, 4]
    assert all(0 <= one.value <= 1 for one in readings if one.name == "eval.accuracy")
    assert not [one for one in of(folder, "not_measured") if isinstance(one, NotMeasured)]
    assert any("a reward model answers no probes" in line for line in said.lines)
    report = gather(outcome.folder)
    assert report.stages[0].guard.audits == 0
    held_out = {**stage, "held_out": {"prompts": "pairs.jsonl"}, "ask": listen({"name": "x"})["ask"]}
    held_out["ask"][0]["overseer"] = {"name": "readers:Finder", "at": "x"}
    with pytest.raises(PlanError, match=r"stage\.eval") as caught:
        run(a_plan(held_out, model=str(model)), runs=here / "runs", store="none")
    assert caught.value.path == "stage[0].held_out"
