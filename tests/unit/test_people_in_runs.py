"""People in a run, from the plan to the events: with a labelling database, through every way a run can break.

Mutants this kills: a judgment of a person written into the run, an id used before it is locked, a lock that
is not read on resume, an amended judgment in the place of the one that was used, a row of a withdrawn
judgment that is trained on all the same, a question put to people twice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.raters import WORDS, answered

from accord.asks.pairs import Pairs
from accord.checkpoints import save_state
from accord.cli import main
from accord.errors import Refused
from accord.frozen import LOCK, read_lock
from accord.pipeline import Outcome, resume, run
from accord.plan import Plan
from accord.records import Kind, Prompt, Question, Ranked, Response, Revised, StepEvent
from accord.records.rows import Group
from accord.reports.explained import traced
from accord.stores.people import People
from accord.stores.runlog import read_log
from accord.testing import save_tiny

WORDINGS = {"column": "p", "collapse": "distribution", "wording": "Which is better?"}
TABLE = {"name": "scripted", "words": ["yes", "no", "so"], "lr": 2.0}
PAIRS = [("yes", "no so"), ("no", "so yes so"), ("so so", "no"), ("yes no yes", "so")]


def filled(file: Path, slots: int = 1) -> Path:
    """A labelling database with a pair of answers to each of some prompts."""
    groups: list[Group] = []
    for number, (first, second) in enumerate(PAIRS):
        prompt = Prompt.of(f"Q{number}?")
        said = tuple(
            Response(prompt=prompt.id, text=t, finish="data", index=i) for i, t in enumerate((first, second))
        )
        groups.append(Group(prompt, said))
    with People.open(str(file)) as people:
        records = [record for g in groups for record in (g.prompt, *g.responses)]
        people.post(Pairs.model_validate(WORDINGS).questions(groups), records, slots)
    return file


def planned(file: Path, slots: int = 1, **told: Any) -> Plan:
    human: dict[str, Any] = {"name": "human", "queue": str(file)}
    if slots > 1:
        human = {"name": "jury", "members": [{**human, "slot": n} for n in range(slots)]}
    stage = {
        "name": "dpo",
        "windows": 4,
        "source": {"name": "labelled", "queue": str(file), "per_window": 2},
        "ask": [{"name": "pairs", **WORDINGS, "overseer": human}],
        "method": {"name": "dpo"},
        "learner": TABLE,
        "guard": {
            "probes": 2,
            "answers": 1,
            "max_tokens": 2,
            "indicator": [],
            "every": 9,
            "rule": [{"name": "fault"}],
        },
        "checkpoint": {"every": 1, "keep": 9},
        **told,
    }
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": "scripted", "stage": [stage]})


def went(tmp_path: Path, plan: Plan, name: str = "r") -> Outcome:
    return run(plan, runs=tmp_path / "runs", name=name, store="none")


def windows(outcome: Outcome) -> list[StepEvent]:
    events = read_log(outcome.folder / "dpo").records("event")
    return [e for e in events if isinstance(e, StepEvent) and e.name == "window"]


def holds(folder: Path, text: str) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and text.encode() in p.read_bytes()]


@pytest.mark.parametrize("slots", [1, 3])
def test_a_run_learns_what_people_said_and_writes_down_only_ids(tmp_path: Path, slots: int) -> None:
    file = filled(tmp_path / "labels.db", slots)
    for rater in range(slots):
        assert answered(file, rater=f"r-{rater:012d}") == len(PAIRS)
    outcome = went(tmp_path, planned(file, slots))
    assert outcome.action == "done"
    lock = read_lock(outcome.folder / "dpo" / LOCK)
    with People.open(str(file)) as people:
        ids = {said.judgment.id for said in people.current()}
    assert {e["judgment"] for e in lock if "judgment" in e and "made_of" not in e} == ids
    assert len(ids) == slots * len(PAIRS)
    assert {p for window in windows(outcome) for p in window.parents} >= ids
    assert all(window.scalars["rows"] == 2 and window.scalars["missing"] == 0 for window in windows(outcome))
    assert not read_log(outcome.folder / "dpo").records("judgment")
    assert not holds(outcome.folder, WORDS)


class Broken(BaseException):
    """Stands for a kill."""


def broken(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> Path:
    """The folder of a run that ended while it saved for the ``after``-th time."""
    saves = 0

    def save(*args: Any) -> Path:
        nonlocal saves
        saves += 1
        if saves > after:
            raise Broken
        return save_state(*args)

    with monkeypatch.context() as m, pytest.raises(Broken):
        m.setattr("accord.loop.save_state", save)
        went(tmp_path, plan)
    return tmp_path / "runs" / "r"


def test_what_was_amended_since_is_repeated_as_it_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled(tmp_path / "labels.db")
    answered(file)
    folder = broken(planned(file), tmp_path, monkeypatch, 2)
    with People.open(str(file)) as people:
        before = {one.question: one.judgment for one in people.current()}
        for question, judgment in before.items():
            flipped = Ranked(tiers=judgment.verdict.tiers[::-1])  # type: ignore[union-attr]
            amended = judgment.model_copy(update={"verdict": flipped, "salt": "another salt of some length"})
            people.amend(judgment.by.name, judgment.id, amended, f"amend-{question}")
    outcome = resume(folder)
    assert outcome.action == "done"
    used = {p for window in windows(outcome) for p in window.parents}
    assert used == {judgment.id for judgment in before.values()}
    undisturbed = went(tmp_path / "other", planned(file))
    assert not used & {p for window in windows(undisturbed) for p in window.parents}


def test_a_withdrawal_after_step_0_refuses_the_resume_and_leaves_no_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = filled(tmp_path / "labels.db")
    answered(file, rater="r-aaaaaaaaaaaa", limit=2)
    answered(file, rater="r-bbbbbbbbbbbb")
    folder = broken(planned(file, windows=6), tmp_path, monkeypatch, 2)
    with People.open(str(file)) as people:
        gone = people.withdraw_everything("r-bbbbbbbbbbbb")
    assert len(gone.judgments) == 2
    assert {use.by for use in gone.uses} == {"r/dpo"}
    with pytest.raises(Refused) as refused:
        resume(folder)
    for judgment in gone.judgments:
        assert judgment[:12] in str(refused.value)
    assert "'Q2?'" in str(refused.value) and "'Q3?'" in str(refused.value)
    assert "--allow-drift" in str(refused.value)
    outcome = resume(folder, allow_drift=True)
    assert outcome.action == "done"
    rest = [window for window in windows(outcome) if window.window >= 2]
    assert sum(window.scalars["missing"] for window in rest) > 0
    assert not {p for window in rest for p in window.parents} & set(gone.judgments)
    assert "withdrew" in (folder / "dpo" / "drift.txt").read_text()
    with People.open(str(file)) as people:
        people.withdraw_everything("r-aaaaaaaaaaaa")
    assert not holds(tmp_path, WORDS)


def test_people_teach_a_reward_model_and_a_policy_on_real_tokens(tmp_path: Path) -> None:
    """Both stages on a tiny model from one database; a third learns the texts that people wrote."""
    tiny = save_tiny(tmp_path / "tiny", layers=1, width=16)
    file = filled(tmp_path / "labels.db")
    answered(file)
    with People.open(str(file)) as people:
        prompt = Prompt.of("Say it better")
        people.post([Question(asks=Kind.REVISE, prompt=prompt.id, responses=())], [prompt])
    answered(file, lambda question, read: Revised(text="Quite another way to say it"))
    local = {"name": "local", "lr": 1e-3, "precision": "float32", "device": "cpu"}
    plan = planned(file).table()
    (dpo,) = plan["stage"]
    dpo = {**dpo, "learner": local, "windows": 2, "model": str(tiny), "snapshots": {"max_gb": 0.0}}
    dpo["checkpoint"] = {"every": 9, "keep": 1}
    rm = {**dpo, "name": "rm", "method": {"name": "reward_model"}}
    rm = {**rm, "guard": {"indicator": [], "rule": [{"name": "fault"}]}}
    sft = {**dpo, "name": "sft", "method": {"name": "sft"}, "ask": []}
    sft["source"] = {**dpo["source"], "takes": "revised"}
    table = {**plan, "model": str(tiny), "stage": [rm, dpo, sft]}
    outcome = went(tmp_path, Plan.model_validate(table))
    assert outcome.action == "done"
    assert outcome.stages == ["rm", "dpo", "sft"]
    with People.open(str(file)) as people:
        gone = people.withdraw_everything("r-000000000001")
    assert {use.by for use in gone.uses} == {"r/rm", "r/dpo", "r/sft"}
    for walk in traced(outcome.folder):
        assert walk.steps[1].says == "a person's; withdrawn since"
    assert not holds(tmp_path, WORDS)
    assert not holds(tmp_path, "Quite another way")


def test_what_was_dropped_stays_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = filled(tmp_path / "labels.db", slots=2)
    answered(file, rater="r-aaaaaaaaaaaa")
    answered(file, rater="r-bbbbbbbbbbbb")
    folder = broken(planned(file, slots=2), tmp_path, monkeypatch, 2)
    with People.open(str(file)) as people:
        people.withdraw_everything("r-bbbbbbbbbbbb")
    with monkeypatch.context() as m, pytest.raises(Broken):
        m.setattr("accord.loop.Loop._window", lambda _: (_ for _ in ()).throw(Broken()))
        resume(folder, allow_drift=True)
    outcome = resume(folder)  # without the flag: that it drifts has been allowed
    assert outcome.action == "done"
    rest = [window for window in windows(outcome) if window.window >= 2]
    assert rest and all(window.scalars["missing"] == window.scalars["rows"] for window in rest)


def test_a_later_vote_waits_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = filled(tmp_path / "labels.db")
    answered(file, limit=3)
    folder = broken(planned(file), tmp_path, monkeypatch, 2)
    answered(file)
    outcome = resume(folder)
    assert len({p for window in windows(outcome) for p in window.parents}) == 3
    again = went(tmp_path / "other", planned(file))
    assert len({p for window in windows(again) for p in window.parents}) == 4


def test_a_figure_is_walked_back_to_single_judgments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = filled(tmp_path / "labels.db", slots=2)
    answered(file, rater="r-aaaaaaaaaaaa")
    answered(file, rater="r-bbbbbbbbbbbb")
    folder = went(tmp_path, planned(file, slots=2)).folder
    (walk,) = traced(folder)
    assert [one.kind for one in walk.steps] == ["event", "judgment", "question", "response", "prompt"]
    assert walk.steps[1].text == WORDS
    report = (folder / "report.html").read_text()
    assert walk.steps[1].record[:12] in report
    assert "it stands in the database" in report
    assert WORDS not in report
    assert main(["explain", str(folder), "--trace"]) == 0
    assert WORDS in capsys.readouterr().out
    with People.open(str(file)) as people:
        people.withdraw_everything("r-aaaaaaaaaaaa")
        people.withdraw_everything("r-bbbbbbbbbbbb")
    (walk,) = traced(folder)
    assert walk.steps[1].says == "a person's; withdrawn since"
    assert walk.steps[-1].kind == "prompt"
    file.rename(tmp_path / "elsewhere.db")
    (walk,) = traced(folder)
    assert walk.steps[1].says.startswith("a person's; not reachable: queue = ")
