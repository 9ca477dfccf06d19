"""Lessons: what a cell teaches is what a stage would; a walk is the episode, state by state.

Mutants: the end of an answer that stays in ``chosen``, a weight that is lost, episodes of one seed alike,
a walk that goes on behind the world's end, rewards in another order.
"""

from __future__ import annotations

import numpy as np
import pytest

from accord.engines.scripted import Scripted
from accord.methods.grpo import GRPO
from accord.methods.sft import SFT
from accord.ports import Task
from accord.records.rows import Window
from accord.studies.lessons import Walk, chosen, judged, shown, taught, walked
from accord.worker import Worker
from accord.worlds import play
from accord.worlds.absent import Absent

WORLD = Absent(rate=0.0)
TABLE = Scripted(words=WORLD.alphabet, sees="last", lr=20.0)


def test_a_walk_is_the_episode_and_its_rewards() -> None:
    learner = TABLE.learner("scripted", Task("cell", 0))
    with Worker() as worker:
        rows = walked(WORLD, learner.sampler(), Walk("key", ["1", "2"], 6, 12), worker)
        again = walked(WORLD, learner.sampler(), Walk("key", ["2"], 6, 12), worker)
    assert [row.group for row in rows] == [0] * 6 + [1] * 6
    said = [tuple(WORLD.alphabet[t[0]] for t in row.episodes[0].tokens) for row in rows]
    assert len(set(said)) > 6, "episodes of one seed draw for themselves"
    assert [row.columns for row in again] == [row.columns for row in rows[6:]], "and not by who walks beside"
    for row, words in zip(rows, said, strict=True):
        answers = iter([*words, *["up"] * 100])
        whole = play(WORLD.open(), lambda _, left=answers: next(left), "1").rewards
        assert row.episodes[0].rewards == whole[: len(words)]
        assert row.columns["score"] == sum(one for one in whole[: len(words)] if one)
        assert row.columns["turns"] == len(words) and row.columns["cut"] == float(len(words) < len(whole))


def test_a_method_teaches_a_walk_the_way_that_pays() -> None:
    method = GRPO(n=16, beta=0.0)
    learner = TABLE.learner("scripted", Task("cell", 0, method.needs()))
    scores: list[float] = []
    with Worker() as worker:
        for index in range(8):
            rows = walked(WORLD, learner.sampler(), Walk(f"w{index}", ["1"], 16, 40), worker)
            taught(learner, method, Window(index, rows), 0)
            scores.append(float(np.mean([row.columns["score"] for row in rows])))
    assert scores[-1] > 40 > scores[0], "over the tile: 47"


def test_soft_labels_come_to_their_shares_and_the_end_is_no_choice() -> None:
    prompt = WORLD.open().reset("1")
    learner = TABLE.model_copy(update={"lr": 8.0}).learner("scripted", Task("cell", 0))
    sampler = learner.sampler()
    assert chosen(sampler, prompt, "left").tokens == (2,)
    rows = shown(sampler, [(prompt, "up"), (prompt, "left")], weights=[0.75, 0.25])
    taught(learner, SFT(rows_per_step=2, epochs=200), Window(0, rows), 0)
    found = learner.measure(rows, GRPO(n=2).needs()._replace(columns=frozenset({"old_logp"})))["old_logp"]
    assert np.exp(np.concatenate(found)) == pytest.approx([0.75, 0.25], abs=1e-3)
    assert [row.columns["score"] for row in judged([], lambda p, r: 1.0)] == []
