"""Lessons: answers that were written down or drawn, as rows, and what a method teaches of them.

Mutants: the end of an answer that stays in ``chosen``, a weight that is lost, scores of another answer, all
answers in one group, what the method remembers that is not handed on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from accord.engines.scripted import Scripted
from accord.maths.grids import STEPS
from accord.methods.constrained import Constrained
from accord.methods.grpo import GRPO
from accord.methods.sft import SFT
from accord.ports import How, Memory, Needs, Task
from accord.records.rows import Window
from accord.studies.lessons import chosen, judged, shown, taught
from accord.worlds.absent import Absent

WORLD = Absent(rate=0.0)
TABLE = Scripted(words=WORLD.alphabet, sees="last", lr=20.0)
OLD = Needs(frozenset({"old_logp"}))


def test_a_method_teaches_each_prompt_what_is_scored() -> None:
    method = GRPO(n=16, beta=0.0)
    learner = TABLE.learner("scripted", Task("cell", 0, method.needs()))
    one, two = WORLD.open().reset("1"), WORLD.words.asked(("#", "A"), STEPS)
    wanted = {one.id: "down", two.id: "left"}
    groups = asyncio.run(learner.sampler().sample([one, two], 16, How("w", 1.0, 1)))
    rows = judged(groups, lambda prompt, said: float(said.text == wanted[prompt.id]))
    assert [row.group for row in rows] == [0] * 16 + [1] * 16
    said = [r.text for group in groups for r in group.responses]
    assert [row.columns["score"] for row in rows] == [
        float(word == ("down" if place < 16 else "left")) for place, word in enumerate(said)
    ]
    taught(learner, method, Window(0, rows), 0)
    asked = shown(learner.sampler(), [(one, "down"), (two, "left"), (one, "left")])
    right, other, wrong = np.exp(np.concatenate(learner.measure(asked, OLD)["old_logp"]))
    assert min(right, other) > 0.9 > 0.1 > wrong


def test_what_a_method_remembers_is_handed_on() -> None:
    method = Constrained(inner=GRPO(n=4, beta=0.0), limits={"odd": 0.5}, control="naive")
    learner = TABLE.learner("scripted", Task("cell", 0, method.needs()))
    memory: Memory | None = None
    for index, price in enumerate((0.025, 0.05)):
        groups = asyncio.run(learner.sampler().sample([WORLD.open().reset("1")], 4, How("w", 1.0, 1)))
        rows = judged(groups, lambda prompt, said: 0.0)
        costly = tuple(replace(row, columns={**row.columns, "cost:odd": 1.0}) for row in rows)
        memory, _ = taught(learner, method, Window(index, costly), 0, memory)
        assert memory["multipliers"]["odd"]["value"] == pytest.approx(price)  # type: ignore[index, call-overload]


def test_soft_labels_come_to_their_shares_and_the_end_is_no_choice() -> None:
    prompt = WORLD.open().reset("1")
    learner = TABLE.model_copy(update={"lr": 8.0}).learner("scripted", Task("cell", 0))
    sampler = learner.sampler()
    assert chosen(sampler, prompt, "left").tokens == (2,)
    rows = shown(sampler, [(prompt, "up"), (prompt, "left")], weights=[0.75, 0.25])
    taught(learner, SFT(rows_per_step=2, epochs=200), Window(0, rows), 0)
    assert np.exp(np.concatenate(learner.measure(rows, OLD)["old_logp"])) == pytest.approx(
        [0.75, 0.25], abs=1e-3
    )
