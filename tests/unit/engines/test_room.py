"""What memory is left: the least of what the machine and every control group around the process leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from accord.engines.local.room import held, left, room

MIB = 1 << 20


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    made = tmp_path / "proc"
    (made / "self").mkdir(parents=True)
    (made / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 50 kB\nMemAvailable: 8000 kB\n", "ascii")
    (made / "self" / "cgroup").write_text("0::/outer/inner\n", "ascii")
    return made


def group(folder: Path, limit: str, used: int, cache: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n", "ascii")
    (folder / "memory.current").write_text(f"{used}\n", "ascii")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\nactive_file 7\n", "ascii")


def test_without_limits_the_machine_decides(proc: Path, tmp_path: Path) -> None:
    assert left(0, proc, tmp_path / "none") == 8000 << 10
    group(tmp_path / "groups" / "outer" / "inner", "max", 5 * MIB)
    assert left(0, proc, tmp_path / "groups") == 8000 << 10


def test_the_tightest_group_decides_and_caches_do_not_count_as_used(proc: Path, tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    group(groups / "outer" / "inner", str(6 * MIB), 4 * MIB, cache=MIB)
    assert left(0, proc, groups) == 3 * MIB
    group(groups / "outer", str(7 * MIB), 5 * MIB)
    assert left(0, proc, groups) == 2 * MIB, "a group around it is tighter"
    group(groups / "other", str(MIB), MIB)
    assert left(0, proc, groups) == 2 * MIB, "another group says nothing"
    group(groups, str(8 * MIB), 9 * MIB)
    assert left(0, proc, groups) == 0, "never less than nothing"


def test_the_first_version_of_control_groups_counts_too(proc: Path, tmp_path: Path) -> None:
    (proc / "self" / "cgroup").write_text("5:cpu,cpuacct:/job\n4:memory:/job\n", "ascii")
    folder = tmp_path / "groups" / "memory" / "job"
    folder.mkdir(parents=True)
    for name, text in (
        ("memory.limit_in_bytes", str(4 * MIB)),
        ("memory.usage_in_bytes", str(3 * MIB)),
        ("memory.stat", f"total_inactive_file {MIB}\n"),
    ):
        (folder / name).write_text(text, "ascii")
    assert left(0, proc, tmp_path / "groups") == 2 * MIB


def test_what_is_held_grows_with_what_is_allocated() -> None:
    here = torch.device("cpu")
    before = held(here)
    block = np.ones(64 * MIB, dtype=np.uint8)
    assert 60 * MIB < held(here) - before < 80 * MIB
    assert room(here) > held(here)
    assert block.all()
