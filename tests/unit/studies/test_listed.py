"""Listed: a table is the base it was made of, training reaches the optimum that is known, and nothing else.

Mutants: shares read in another order than answers, rows of one prompt given to another, a score that is
turned round, updates that are left out, a copy that is trained with its original.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from accord.maths.enumerating import tilted, variation
from accord.methods.rloo import RLOO
from accord.records import Prompt
from accord.records.rows import Columns, Floats, Group
from accord.studies.listed import Drill, Listed, drilled
from accord.worker import Worker
from accord.worlds.strings import Strings, base, chain, proxy

CONFIG = Strings(symbols=3, length=2)
TEXT = "<act>"


def table() -> Listed:
    first, following = chain(CONFIG)
    symbols = CONFIG.alphabet[:-1]
    return Listed.of({TEXT: [symbols] * 2}, lambda _, said: (following[said[-1]] if said else first).tolist())


def scored(reward_A: Floats, groups: Sequence[Group]) -> Columns:
    said = [one for group in groups for one in group.responses]
    score = reward_A[[CONFIG.place(one.text) for one in said]]
    members = tuple((one.id,) for one in said)
    return Columns(members, {"score": score}, np.zeros(len(said), np.bool_), ((),) * len(said))


def test_a_table_is_the_base_and_its_answers_stand_in_the_order_of_counting() -> None:
    made = table()
    assert made.shares(TEXT) == pytest.approx(base(CONFIG), abs=1e-12)
    assert [" ".join(one) for one in made.answers(TEXT)] == [CONFIG.string(k) for k in range(9)]
    two = {"one": [["x", "y"], ["z"]], "two": [["y", "z"], ["x"]]}
    both = Listed.of(
        two, lambda text, said: (1.0,) if said else (0.75, 0.25) if text == "one" else (0.5, 0.5)
    )
    assert both.shares("one").tolist() == pytest.approx([0.75, 0.25])
    assert both.shares("two").tolist() == [0.5, 0.5]
    assert both.answers("two") == [("y", "x"), ("z", "x")]


def test_training_ends_at_the_optimum_and_leaves_a_copy_alone() -> None:
    start, made, beta = table(), table(), 0.5
    kept = made.copied()
    method = RLOO(n=24, beta=beta)
    drill = Drill(method, partial(scored, proxy(CONFIG)), 70, 2, "test")
    with Worker() as worker:
        windows = list(drilled(drill, made.learner("test", 4.0), lambda _: [Prompt.of(TEXT)], worker))
    best = tilted(base(CONFIG), proxy(CONFIG), beta)
    assert variation(made.shares(TEXT), best) < 0.12 < 0.4 < variation(start.shares(TEXT), best)
    assert kept.shares(TEXT).tolist() == start.shares(TEXT).tolist()
    assert [one.index for one in windows] == list(range(70))
    assert {len(one.rows) for one in windows} == {24}
    (episode,) = windows[0].rows[0].episodes
    assert len(episode.tokens[0]) == 2, "an answer has no end of its own"


def test_what_nobody_judges_is_an_error() -> None:
    drill = Drill(RLOO(n=2), lambda groups: None, 1, 2, "test")
    with Worker() as worker, pytest.raises(ValueError, match="nobody judges the answers of test"):
        list(drilled(drill, table().learner("test", 1.0), lambda _: [Prompt.of(TEXT)], worker))
