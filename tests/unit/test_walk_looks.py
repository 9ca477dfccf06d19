"""Held-out figures between audits and of the result, and rows without a verdict, walked on scripted parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.walks import LAST, RUN, Log, a_walk

from accord.records import NotMeasured, Reading, StepEvent
from accord.testing import PlainLikelihood
from accord.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.mark.parametrize(
    ("every", "when"), [(None, [0, 20]), (2, [0, 8, 16, 20]), (1, [0, 4, 8, 12, 16, 20])]
)
def test_held_out_prompts_are_asked_every_so_many_windows(
    every: int | None, when: list[int], tmp_path: Path, worker: Worker
) -> None:
    log = Log()

    def examine(step: int) -> Reading:
        told: dict[str, Any] = {"run": RUN, "name": "held_out.score", "step": step, "instrument": "x", "n": 2}
        return Reading(**told, value=0.5, low=0.4, high=0.6)

    loop = a_walk(
        tmp_path, worker, log=log, windows=5, examine=examine, examine_every=every, every=99, criterion=LAST
    )
    loop.pace = replace(loop.pace, audit_every=3)
    loop.train()
    assert [one.step for one in log.of(Reading, "held_out.")] == when
    assert [one.step for one in log.of(Reading, "scripted")] == [0, 12, 20]
    assert loop.guard._last_step() == 20


def test_between_two_audits_a_held_out_figure_that_cannot_be_read_pauses(
    tmp_path: Path, worker: Worker
) -> None:
    def examine(step: int) -> Any:
        told: dict[str, Any] = {"run": RUN, "name": "held_out.score", "step": step}
        if step == 0:
            return Reading(**told, instrument="x", n=2, value=0.5, low=0.4, high=0.6)
        return NotMeasured(**told, reason="nobody answered")

    loop = a_walk(tmp_path, worker, windows=5, examine=examine, examine_every=1)
    loop.pace = replace(loop.pace, audit_every=5)
    decision = loop.train()
    assert (decision.action, decision.rule, decision.step) == ("pause", "fault", 4)
    assert "held_out.score was not measured: nobody answered" in decision.reason


def test_a_held_out_figure_is_read_of_the_result(tmp_path: Path, worker: Worker) -> None:
    log, seen = Log(), list[str]()

    def examine(step: int) -> Reading:
        seen.append(loop.learner.version)
        told: dict[str, Any] = {"run": RUN, "name": "held_out.score", "step": step, "instrument": "x", "n": 2}
        return Reading(**told, value=0.5, low=0.4, high=0.6)

    loop = a_walk(tmp_path, worker, log=log, examine=examine)
    loop.train()
    assert seen == [f"{RUN}@0", f"{RUN}@{loop.kept}"]
    assert [one.step for one in log.of(Reading, "held_out.")] == [0, loop.kept]


class Dropping(PlainLikelihood):
    """Says how many rows had no verdict, and how many groups had too few."""

    missing: float
    dropped: float

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        told = {"missing": self.missing, "groups_dropped": self.dropped}
        return replace(batch, scalars={**batch.scalars, **told}), memory


@pytest.mark.parametrize(
    ("missing", "dropped", "found"), [(0.0, 0.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 1.0), (0.0, 9.0, 2.0)]
)
def test_rows_of_dropped_groups_count_as_missing(
    missing: float, dropped: float, found: float, tmp_path: Path, worker: Worker
) -> None:
    """A window of two groups of one row: one without a say is above a fifth, and pauses.

    Kills: groups that were dropped not counted, or counted with rows that they do not have.
    """
    log = Log()
    method = Dropping(by="data", missing=missing, dropped=dropped)
    decision = a_walk(tmp_path, worker, log=log, method=method).train()
    assert (decision.action, decision.rule) == (("pause", "missing") if found else ("continue", "end"))
    assert {e.scalars["missing"] for e in log.of(StepEvent) if e.name == "window"} == {found}
