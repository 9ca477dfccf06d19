"""What asks say becomes rows: a row for each group of raters, grades of steps where their labels stand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.asks.all_pairs import AllPairs
from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.asks.steps import Steps
from accord.episodes import Episodes
from accord.errors import PlanError
from accord.methods.process_reward_model import ProcessRewardModel
from accord.ports import Ask, Feedback, Sampler, Shape
from accord.progress import Silent
from accord.records import By, Graded, Judgment, Question, Ranked
from accord.records.rows import Columns, Group, Window
from accord.sources import Offline, Rollouts, Surroundings, seeded
from accord.testing import Scripted
from accord.worker import Worker
from accord.worlds.guess import Guess

SAMPLER: Sampler = Scripted(words=tuple("abcd"), longest=3, tensors="numpy").sampler("scripted", Silent())
TOWNS = {"r0": "country", "r1": "town"}


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def said(question: Question, by: str, verdict: Any) -> Judgment:
    return Judgment(question=question.id, by=By(type="person", name=by, config=by), verdict=verdict)


def opposed(question: Question) -> list[Judgment]:
    """r0 prefers the first answer and grades 1, r1 the second and 0."""
    if len(question.responses) == 1:
        return [said(question, by, Graded(scores={"": grade})) for by, grade in (("r0", 1.0), ("r1", 0.0))]
    one, two = question.responses
    return [
        said(question, "r0", Ranked(tiers=((one,), (two,)))),
        said(question, "r1", Ranked(tiers=((two,), (one,)))),
    ]


def feedback(ask: Ask, leaves_out: int | None = None) -> Feedback:
    """Two opposed raters judge every question but one."""

    def told(groups: Sequence[Group]) -> Columns:
        asked = [q for k, q in enumerate(ask.questions(groups)) if k != leaves_out]
        return ask.columns(groups, [j for q in asked for j in opposed(q)])

    return told


def window(part: Any, worker: Worker, shape: Shape, told: Feedback) -> Window:
    return part.open(Surroundings("run/stage", 0, shape, worker)).window(0, SAMPLER, told)


def written(folder: Path, rows: list[dict[str, Any]]) -> str:
    (folder / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return str(folder / "rows.jsonl")


def test_pairs_of_a_file_have_a_row_for_each_group_of_raters(tmp_path: Path, worker: Worker) -> None:
    """Nothing is compared across raters, so groups of rows are theirs. Kills: the last group's row alone."""
    data = written(tmp_path, [{"prompt": p, "chosen": "a b", "rejected": "c"} for p in ("one", "two")])
    ask = Pairs(column="p", collapse="per_group").grouped(TOWNS)
    rows = window(Offline(data=data), worker, Shape("pair", 2, "data"), feedback(ask)).rows
    assert [(r.columns["group"], r.columns["p"], r.columns["weight"]) for r in rows] == [
        (0, 1, 1),
        (1, 0, 1),
    ] * 2
    assert len({r.group for r in rows}) == 4
    assert all(len(r.parents) == 1 and not r.missing for r in rows)
    less = window(Offline(data=data), worker, Shape("pair", 2, "data"), feedback(ask, leaves_out=1)).rows
    assert [r.missing for r in less] == [False, False, True, True]


def test_answers_of_the_policy_have_a_row_for_each_group_of_raters(tmp_path: Path, worker: Worker) -> None:
    data = written(tmp_path, [{"prompt": "one"}, {"prompt": "two"}])
    ask = AllPairs(column="score", collapse="per_group").grouped(TOWNS)
    shape = Shape("answer", 2, "policy")
    rows = window(Rollouts(prompts=data), worker, shape, feedback(ask)).rows
    by_group: dict[int, list[float]] = {}
    for row in rows:
        by_group.setdefault(row.group, []).append(row.columns["score"])
    assert sorted(by_group.values()) == [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]
    plain = window(Rollouts(prompts=data), worker, shape, feedback(Each(column="score", collapse="majority")))
    assert [r.group for r in plain.rows] == [0, 0, 1, 1], "without groups of raters a group is a prompt"


STEPPED = [
    {"prompt": "one", "completions": ["a b", "c"], "labels": [True, True]},
    {"prompt": "two", "completions": ["d", "a", "b"], "labels": [False, True, True]},
]


@pytest.mark.parametrize("collapse", ["distribution", "per_group"])
def test_grades_of_steps_stand_before_the_labels_of_the_file(
    tmp_path: Path, worker: Worker, collapse: Any
) -> None:
    """The first step of a row is graded by nobody: no label, though the file has one. The method reads it."""
    ask = Steps(column="score", collapse=collapse).grouped(TOWNS)
    part = Offline(data=written(tmp_path, STEPPED))
    found = window(part, worker, Shape("episode", 1, "data"), feedback(ask, leaves_out=0))
    known = [0.5] if collapse == "distribution" else [1.0, 0.0]
    labels = [row.episodes[0].rewards for row in found.rows]
    graded = [(grade,) * len(label) for label, grade in zip(labels, known * 2, strict=True)]
    # The first question is about the first step of the first row.
    wanted = [(None, *one[1:]) if k < len(known) else one for k, one in enumerate(graded)]
    assert labels == wanted
    assert all(set(row.columns) == ({"group"} if collapse == "per_group" else set()) for row in found.rows)
    batch, _ = ProcessRewardModel(heads=1).batch(found, {}, seeded("x"))
    assert batch.scalars["labelled"] == 4.0 * len(known)
    assert batch.scalars["right"] == 0.5
    assert all(len(row.parents) >= 1 for row in found.rows)


def test_an_answer_none_of_whose_steps_is_graded_is_missing(tmp_path: Path, worker: Worker) -> None:
    ask = Steps(column="score", collapse="distribution")
    part = Offline(data=written(tmp_path, STEPPED[:1]))

    def silent(groups: Sequence[Group]) -> Columns:
        return ask.columns(groups, [])

    (row,) = window(part, worker, Shape("episode", 1, "data"), silent).rows
    assert row.missing
    assert row.episodes[0].rewards == (None, None)


def test_a_cost_of_a_step_has_no_place(tmp_path: Path, worker: Worker) -> None:
    part = Offline(data=written(tmp_path, STEPPED))
    ask = Each(column="cost:harm", collapse="distribution")
    with pytest.raises(PlanError, match="what is said of a step is its label"):
        window(part, worker, Shape("episode", 1, "data"), feedback(ask))


def test_an_episode_is_one_row_whoever_judges_it(worker: Worker) -> None:
    ask = Each(column="score", collapse="per_group").grouped(TOWNS)
    part = Episodes(world=Guess(numbers=6), seeds=2)
    with pytest.raises(PlanError, match="an episode is one row"):
        window(part, worker, Shape("answer", 2, "policy"), feedback(ask))
