"""What the proofs share: the files of a tiny plan, a folder for one test, and a run that is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import Ended, accord
from e2e.tiny_runs import folder_in_memory, tiny_plan, write_files, write_plan


@pytest.fixture(scope="session")
def files() -> Iterator[Path]:
    """A tiny model, prompts, rewards and parts. Commands are given from here; nobody writes here."""
    with folder_in_memory() as folder:
        yield write_files(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder for the plan and the runs of one test."""
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture(scope="session")
def whole(files: Path) -> Iterator[Path]:
    """The run ``tiny`` of ``tiny_plan``, which nobody interrupted. Not to be changed."""
    with folder_in_memory() as folder:
        plan = write_plan(folder / "plan.toml", tiny_plan())
        ended = accord("run", plan, "--runs", folder / "runs", "--name", "tiny", at=files)
        assert ended.code == 0, ended.err
        yield folder / "runs" / "tiny"


@pytest.fixture
def said() -> Callable[..., Ended]:
    """Checks that a command ended with one clear message, and returns what it said."""

    def check(ended: Ended, code: int, *parts: str) -> Ended:
        assert ended.code == code, ended
        assert "Traceback" not in ended.out + ended.err, ended.err
        assert "bug in accord" not in ended.err, ended.err
        messages = [line for line in ended.err.splitlines() if line.startswith("accord: ")]
        assert len(messages) == 1, ended.err
        told = ended.err[ended.err.index("accord: ") :]
        assert len(told.splitlines()) <= 8, told
        for part in parts:
            assert part in told, f"{part!r} is not in {told!r}"
        return ended

    return check


@pytest.fixture
def run(files: Path, place: Path) -> Callable[..., Ended]:
    """``accord run`` of a plan given as a table, as the run ``tiny`` in this test's runs folder."""

    def begin(plan: dict[str, Any], *words: str, **more: Any) -> Ended:
        file = write_plan(place / "plan.toml", plan)
        return accord("run", file, "--runs", place / "runs", "--name", "tiny", *words, at=files, **more)

    return begin
