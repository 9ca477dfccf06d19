"""Killed at a named place, between two steps of one Batch or at an epoch's end, a run resumes to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from e2e.processes import accord
from e2e.sameness import differences
from e2e.tiny_runs import folder_in_memory, tiny_plan, write_plan

KILLED = -9


def a_plan(better: str, **told: Any) -> dict[str, Any]:
    """Two windows of two epochs of two steps each, evaluated every three; ``higher`` keeps the worst loss."""
    plan = tiny_plan()
    stage = plan["stage"][1] | {"method": {"name": "strangers:Mortal", "epochs": 2, "rows_per_step": 3}}
    stage["checkpoint"] = {"every": 1, "keep": 1}
    stage["eval"] = stage["eval"] | {"by": "nll", "better": better} | told
    return plan | {"stage": [stage]}


class Whole(NamedTuple):
    run: Path
    plan: dict[str, Any]


@pytest.fixture(scope="module", params=["lower", "higher"])
def uncut(request: pytest.FixtureRequest, files: Path) -> Iterator[Whole]:
    """A run that nobody killed."""
    with folder_in_memory() as folder:
        plan = a_plan(request.param)
        file = write_plan(folder / "plan.toml", plan)
        ended = accord("run", file, "--runs", folder / "runs", "--name", "tiny", at=files)
        assert ended.code == 0, ended.err
        yield Whole(folder / "runs" / "tiny", plan)


@pytest.mark.parametrize(
    ("dies", "step", "place"),
    [
        ("update 1", 1, 1),  # between two steps of one Batch
        ("update 2", 2, 2),  # at the end of its first epoch
        ("update 4", 4, None),  # at the end of the window, before the next one's first update
        ("update 7", 7, 3),
        ("evaluation 0", None, None),  # before anything was saved
        ("evaluation 2", 2, 2),  # after the third update, which no checkpoint has
        ("evaluation 6", 8, None),  # the last one, once every update is made
    ],
)
def test_a_run_killed_there_comes_out_the_same(
    dies: str, step: int | None, place: int | None, uncut: Whole, files: Path, place_of_run: Path
) -> None:
    runs = place_of_run / "runs"
    file = write_plan(place_of_run / "plan.toml", uncut.plan)
    ended = accord("run", file, "--runs", runs, "--name", "tiny", at=files, env={"TINY_RUNS_DIES": dies})
    assert ended.code == KILLED, ended
    saved = sorted((runs / "tiny" / "imitate" / "checkpoints").glob("[0-9]*"))
    state = json.loads((saved[-1] / "state.json").read_text("utf-8")) if saved else {"step": None}
    assert state["step"] == step
    if place is not None:
        assert state["place"] == place
        assert (saved[-1] / "batch.npz").is_file(), "the Batch is saved with its columns"
    ended = accord("resume", runs / "tiny", at=files)
    assert ended.code == 0, ended.err
    assert differences(uncut.run, runs / "tiny") == []


def test_both_ways_of_keeping_are_met(uncut: Whole) -> None:
    """Whether the last weights are the best or not: with one of the two, the result is an earlier step."""
    from accord.records import Entry
    from accord.stores.runlog import read_log

    (entry,) = read_log(uncut.run / "imitate").records("entry")
    assert isinstance(entry, Entry)
    worse = uncut.plan["stage"][0]["eval"]["better"] == "higher"
    assert (entry.step, entry.kept) == (8, 0 if worse else None)


@pytest.fixture
def place_of_run() -> Iterator[Path]:
    with folder_in_memory() as folder:
        yield folder
