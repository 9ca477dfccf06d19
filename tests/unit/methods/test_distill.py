"""distill: numbers by hand, masks, denominators, figures.

Mutants this kills: the sign, rows for tokens in the count, missing rows taught or counted, the clip used
without being asked for, figures per token for figures per answer, π_old kept where ρ is 1 anyway, an empty
answer as a step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.methods.distill import Distill, towards
from accord.ports import Reads
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Row, Window
from accord.testing import a_response, a_window, evaluate

OLD = [-1.0, -2.0, -3.0]
TEACHER = [-0.5, -2.5, -1.0]


def window(scores: list[list[float | None]] | None = None, old: Any = OLD, teacher: Any = TEACHER) -> Window:
    """By default two answers to one prompt, of one token and of two."""
    plain = a_window(scores or [[1.0, 1.0]])
    cuts = np.cumsum([sum(s.answer) for row in plain.rows for e in row.episodes for s in e.sequences()])[:-1]
    columns = {"old_logp": old, "teacher_logp": teacher}
    return replace(plain, measured={n: tuple(np.split(np.array(c), cuts)) for n, c in columns.items()})


def batch_of(method: Distill, given: Window, seed: int = 0) -> Batch:
    batch, memory = method.batch(given, {"kept": 1}, np.random.default_rng(seed))
    assert memory == {"kept": 1}
    return batch


def test_the_objective_by_hand() -> None:
    """A = ½, −½ and 2 over three tokens: −(½ − ½ + 2)/3, and each token is pulled by its own A."""
    method = Distill(teacher="t")
    batch = batch_of(method, window())
    assert batch.tokens.keys() == {"advantage"}, "with one step per window nothing old is kept"
    assert batch.counts == ({"policy": 3.0},)
    found = evaluate(method.loss, batch, np.full(3, -0.7), {"policy": 1 / 3}, "torch")
    assert found.totals["policy"] / 3 == pytest.approx(-2 / 3)
    assert found.pressure_T == pytest.approx(-np.array([0.5, -0.5, 2.0]) / 3)


def test_figures_say_how_far_the_student_is() -> None:
    """Σ log π/π_T is −½ and ½ − 2 = −1.5, over three tokens −2."""
    figures = batch_of(Distill(teacher="t"), window()).scalars
    assert figures["teacher_kl"] == pytest.approx((-0.5 - 1.5) / 2)
    assert figures["teacher_kl_token"] == pytest.approx(-2 / 3)
    assert (figures["rows"], figures["missing"]) == (2.0, 0.0)


def test_what_a_step_moved_counts_by_its_ratio_and_no_clip_holds_it_unless_told() -> None:
    """ρ = 2 everywhere; at ε = ½ a gain counts as 1.5, a loss in full."""
    now = np.array(OLD) + np.log(2)
    plain, held = Distill(teacher="t", epochs=2), Distill(teacher="t", epochs=2, clip=0.5)
    for method, wanted in ((plain, [-1.0, 1.0, -4.0]), (held, [-0.75, 1.0, -3.0])):
        batch = batch_of(method, window())
        assert len(batch.steps) == 2
        assert batch.tokens["old_logp"].tolist() == OLD
        scale = dict.fromkeys(batch.weights, 1.0)
        found = evaluate(method.loss, batch.take([0, 1]), now, scale, "torch")
        assert found.totals["policy"] == pytest.approx(sum(wanted))
    assert found.totals["clipped"] == 2.0
    assert batch_of(held, window()).weights == {"policy": 1.0, "clipped": 0.0}
    once = Distill(teacher="t", clip=0.5)
    found = evaluate(once.loss, batch_of(once, window()), now, {"policy": 1.0}, "torch")
    assert found.totals == {"policy": pytest.approx(-2.0)}, "ρ = 1, wherever π_old was"


def test_rows_are_cut_into_steps_by_group_and_counted_in_tokens() -> None:
    given = window([[1.0, 1.0], [1.0]], old=[*OLD, -1.0], teacher=[*TEACHER, -1.0])
    batch = batch_of(Distill(teacher="t", rows_per_step=2, epochs=2), given)
    assert sorted(len(step) for step in batch.steps) == [1, 1, 2, 2]
    for step, count in zip(batch.steps, batch.counts, strict=True):
        assert count == {"policy": float(batch.lengths_S()[step].sum())}
    assert (
        len(
            {
                tuple(map(tuple, batch_of(Distill(teacher="t", rows_per_step=1), given, s).steps))
                for s in range(9)
            }
        )
        > 1
    )


def test_a_row_without_a_verdict_leaves_and_an_empty_answer_teaches_nothing() -> None:
    """A stage without asks has no verdicts, and no missing rows."""
    batch = batch_of(Distill(teacher="t"), window([[None, 1.0]]))
    assert batch.tokens["advantage"].tolist() == [-0.5, 2.0]
    assert batch.counts == ({"policy": 2.0},)
    assert (batch.scalars["missing"], batch.scalars["teacher_kl"]) == (1.0, -1.5)
    prompt = Prompt.of("Why?")
    silent = a_response(prompt, "x").model_copy(update={"tokens": ()})
    empty = Window(
        0, (Row((Episode.single(silent),)),), {n: (np.zeros(0),) for n in ("old_logp", "teacher_logp")}
    )
    found = batch_of(Distill(teacher="t"), empty)
    assert (found.steps, found.sequences) == ((), ())
    assert "teacher_kl" not in found.scalars


def test_all_turns_of_an_episode_are_taught() -> None:
    told = {"prompt": "p", "responses": ("a", "b"), "tokens": ((3,), (4, 5))}
    joined, broken = (Episode(prompt_tokens=((1, 2), second), **told) for second in ((1, 2, 3, 7), (9, 7)))
    for episode, cut in ((joined, [np.array(OLD)]), (broken, [np.array(OLD[:1]), np.array(OLD[1:])])):
        measured = {"old_logp": tuple(cut), "teacher_logp": tuple(x + 0.5 for x in cut)}
        batch = batch_of(Distill(teacher="t"), Window(0, (Row((episode,)),), measured))
        assert len(batch.sequences) == len(cut)
        assert batch.tokens["advantage"] == pytest.approx(np.full(3, 0.5))
        assert batch.scalars["teacher_kl"] == pytest.approx(-1.5)


def test_what_it_needs() -> None:
    method = Distill(teacher="stage:big", n=5)
    assert method.needs().columns == {"old_logp"}
    assert method.needs().reads == (Reads("teacher_logp", "logp", "stage:big"),)
    assert (method.rows, method.pushes_down) == (("answer", 5, "policy"), True)
    assert (method.needs().scores, method.needs().critic) == (0, False)
    for told in ({}, {"teacher": ""}, {"teacher": "t", "clip": 1.0}):
        with pytest.raises(ValidationError):
            Distill.model_validate(told)
    with pytest.raises(ValueError, match="other tokens"):
        towards(np.zeros(2), np.zeros(3))
