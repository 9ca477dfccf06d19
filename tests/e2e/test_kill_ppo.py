"""PPO killed between two steps of one Batch, or while it answers, resumes to the bit, critic included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import accord, start
from e2e.sameness import differences
from e2e.tiny_runs import GUARD, folder_in_memory, tiny_plan, write_plan


def a_plan() -> dict[str, Any]:
    """Two windows of two epochs of two steps each, a checkpoint after every one."""
    method = {"name": "ppo", "n": 2, "epochs": 2, "rows_per_step": 4}
    return tiny_plan(only=True, method=method, guard=GUARD)


@pytest.fixture(scope="module")
def uncut(files: Path) -> Iterator[Path]:
    """A run that nobody killed."""
    with folder_in_memory() as folder:
        file = write_plan(folder / "plan.toml", a_plan())
        ended = accord("run", file, "--runs", folder / "runs", "--name", "tiny", at=files)
        assert ended.code == 0, ended.err
        yield folder / "runs" / "tiny"


def test_the_critic_is_trained_and_saved(uncut: Path) -> None:
    from safetensors import safe_open

    (first, *_), last = (
        sorted((uncut / "amplify" / "checkpoints").glob("[0-9]*")),
        sorted((uncut / "amplify" / "checkpoints").glob("[0-9]*"))[-1],
    )
    with safe_open(next(last.rglob("weights.safetensors")), "np") as weights:
        names = set(weights.keys())
        assert any(name.startswith("critic.") for name in names)
        assert abs(weights.get_tensor("critic.score.weight")).max() > 0, "it starts at 0"
    assert first != last


@pytest.mark.parametrize(
    "met", ["checkpoints/00000001.*/manifest.json", "checkpoints/00000004.*/manifest.json", "episodes/*"]
)
def test_a_killed_run_comes_out_the_same(met: str, uncut: Path, files: Path) -> None:
    with folder_in_memory() as folder:
        file = write_plan(folder / "plan.toml", a_plan())
        words = ["run", str(file), "--runs", str(folder / "runs"), "--name", "tiny"]
        running = start(words, files)
        stage = folder / "runs" / "tiny" / "amplify"
        assert running.until(lambda: any(stage.glob(met)))
        running.kill()
        assert running.end().code == -9
        assert not (stage / "model").exists(), "it was killed on the way"
        ended = accord("resume", folder / "runs" / "tiny", at=files)
        assert ended.code == 0, ended.err
        assert differences(uncut, folder / "runs" / "tiny") == []
