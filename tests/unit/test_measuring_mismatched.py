"""Mismatched answers: each prompt with the answer to another one, measured one array per row.

Mutants: an answer left with its own question, rotation by rows where a prompt stands several times, the
other's prompt with this answer, columns in another order, a column left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.engines.local import Local
from accord.errors import PlanError
from accord.measuring import Measuring, imagined, mismatched
from accord.methods.kto import KTO
from accord.ports import Needs, Task
from accord.records import Episode, Prompt
from accord.records.rows import Floats, Row, Window
from accord.testing import save_tiny

NEEDS = Needs(frozenset({"ref_logp", "old_logp"}), mismatched=True)


def row(asked: int, *said: int, **told: Any) -> Row:
    plain = {"prompt": f"p{asked}", "prompt_tokens": ((1, asked),), "tokens": (said,)}
    episode = Episode.model_validate({**plain, "responses": (f"r{said}",), **told})
    return Row((episode,), {"label": 1.0}, group=asked)


def pairs(rows: Sequence[Row]) -> list[tuple[int, tuple[int, ...]]]:
    (episodes,) = zip(*(row.episodes for row in rows), strict=True)
    return [(e.prompt_tokens[0][1], e.tokens[0]) for e in episodes]


def test_each_prompt_takes_the_next_answer_to_another_prompt() -> None:
    rows = [row(7, 1), row(8, 2, 2), row(9, 3)]
    assert pairs(mismatched(rows)) == [(7, (2, 2)), (8, (3,)), (9, (1,))]
    twice = [row(7, 1), row(7, 2), row(8, 3), row(7, 4)]
    assert pairs(mismatched(twice)) == [(7, (3,)), (7, (3,)), (8, (4,)), (7, (3,))]


def test_one_question_in_two_records_is_one_prompt() -> None:
    """Other fields of a data row make another Prompt of the same words: its answers do answer it."""
    rows = [row(7, 1), row(7, 2, prompt="p7 with another id"), row(8, 3)]
    assert pairs(mismatched(rows)) == [(7, (3,)), (7, (3,)), (8, (1,))]


def test_it_is_asked_under_the_prompt_s_own_terms() -> None:
    first = row(7, 1, temperature=0.5, allowed=(1, 2))
    (found, _) = mismatched([first, row(8, 2)])
    assert (found.episodes[0].temperature, found.episodes[0].allowed) == (0.5, (1, 2))
    assert found.episodes[0].prompt == "p7"
    assert found.episodes[0].sequences()[0].answer == (False, False, True)


def test_a_window_of_one_prompt_has_nothing_to_compare_with() -> None:
    for rows in ([row(7, 1)], [row(7, 1), row(7, 2)]):
        with pytest.raises(PlanError, match="two prompts or more") as error:
            mismatched(rows)
        assert error.value.path == "source.per_window"
    assert mismatched([]) == []


def test_columns_are_one_array_per_row_as_long_as_the_other_answer() -> None:
    rows = [row(7, 1), row(8, 2, 2, 2)]
    found = imagined(rows, NEEDS)
    assert {name: [len(a) for a in column] for name, column in found.items()} == {
        "ref_logp": [1, 3],
        "old_logp": [1, 3],
        "mismatched_ref_logp": [3, 1],
        "mismatched_old_logp": [3, 1],
    }
    assert imagined(rows, Needs(frozenset({"ref_logp"}))).keys() == {"ref_logp"}


class Listening:
    """A learner that measures by the tokens it is shown, and lists them."""

    def __init__(self) -> None:
        self.asked: list[list[tuple[int, ...]]] = []

    def measure(self, rows: Sequence[Row], needs: Needs) -> Mapping[str, tuple[Floats, ...]]:
        sequences = [s for row in rows for e in row.episodes for s in e.sequences()]
        self.asked.append([s.tokens for s in sequences])
        base = {"ref_logp": 0.0, "old_logp": 0.5}
        return {
            name: tuple(np.full(sum(s.answer), base[name] + s.tokens[1]) for s in sequences)
            for name in needs.columns
        }


def test_a_window_gets_both_the_rows_own_columns_and_the_mismatched() -> None:
    learner: Any = Listening()
    window = Window(3, (row(7, 1), row(8, 2, 2)))
    found = Measuring().of(window, KTO(), learner, 0)
    assert learner.asked == [[(1, 7, 1), (1, 8, 2, 2)], [(1, 7, 2, 2), (1, 8, 1)]]
    assert [a.tolist() for a in found.measured["old_logp"]] == [[7.5], [8.5, 8.5]]
    assert [a.tolist() for a in found.measured["mismatched_old_logp"]] == [[7.5, 7.5], [8.5]]
    assert [a.tolist() for a in found.measured["mismatched_ref_logp"]] == [[7.0, 7.0], [8.0]]
    assert (found.index, found.rows) == (window.index, window.rows)


def test_the_local_engine_measures_them_as_it_measures_rows(tmp_path: Path) -> None:
    """At the start π is π_ref; each array is what a row of that prompt and that answer would have."""
    engine = Local(precision="float32", device="cpu")
    made = engine.learner(str(save_tiny(tmp_path)), Task("run/stage", 0, KTO().needs(), "data"))
    said = [made.sampler().encode(Prompt.of(p), a) for p, a in (("Why?", "So."), ("And how so?", "x"))]
    rows = tuple(Row((Episode.single(r),), {"label": 1.0}, group=g) for g, r in enumerate(said))
    found = Measuring().of(Window(0, rows), KTO(), made, 0).measured
    swapped = [said[1 - k].model_copy(update={"prompt_tokens": said[k].prompt_tokens}) for k in range(2)]
    alone = made.measure([Row((Episode.single(r),)) for r in swapped], NEEDS)
    for name in ("ref_logp", "old_logp"):
        for ours, theirs in zip(found[f"mismatched_{name}"], alone[name], strict=True):
            assert ours == pytest.approx(theirs, abs=1e-6)
    assert np.abs(found["mismatched_old_logp"][0] - found["old_logp"][1]).max() > 1e-3, "its prompt matters"
