"""A disk that is full, closed or damaged: one message, and the run goes on to the same end once it is mended.

The disks are small file systems in memory, mounted by the test; where that is not permitted they are skipped.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.processes import Blade, Ended, accord
from e2e.sameness import differences
from e2e.tiny_runs import tiny_plan, write_plan


class Disk:
    """A file system of a few kilobytes at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"this user may not mount a file system: {done.stderr.strip()}")

    def change(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True)

    def used(self) -> int:
        return shutil.disk_usage(self.folder).used


@pytest.fixture
def disk(place: Path) -> Iterator[Disk]:
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("needs Linux and its mount")
    folder = place / "disk"
    folder.mkdir()
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], capture_output=True)


def begin(files: Path, place: Path, runs: Path, *words: str | Path) -> Ended:
    plan = write_plan(place / "plan.toml", tiny_plan())
    return accord("run", plan, "--runs", runs, "--name", "tiny", *words, at=files)


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", [8, 200, 1200])
def test_a_full_disk_stops_a_run_and_a_larger_one_ends_it_the_same(
    kilobytes: int, disk: Disk, files: Path, place: Path, whole: Path, said: Callable[..., Ended]
) -> None:
    disk.mount(f"size={kilobytes}k")
    stopped = said(begin(files, place, disk.folder), 2, "space")
    assert str(disk.folder) in stopped.err
    run = disk.folder / "tiny"
    if (run / "run.json").exists():  # as long as the disk is full, a repeat says the same and harms nothing
        said(accord("resume", run, at=files), 2, "space")
    disk.change("size=20m")
    if (run / "run.json").exists():
        done = accord("resume", run, at=files)
    else:
        done = begin(files, place, disk.folder)
    assert done.code == 0, done
    assert differences(whole, run) == []


def test_a_closed_disk(disk: Disk, files: Path, place: Path, whole: Path, said: Callable[..., Ended]) -> None:
    disk.mount("size=20m,ro")
    said(begin(files, place, disk.folder), 2, str(disk.folder), "read-only")
    disk.change("rw")
    blade = Blade(place / "note" / "changes", at=150)
    blade.note.parent.mkdir()
    plan = place / "plan.toml"
    killed = accord("run", plan, "--runs", disk.folder, "--name", "tiny", at=files, blade=blade)
    assert killed.code == -9
    disk.change("ro")
    run = disk.folder / "tiny"
    said(accord("resume", run, at=files), 2, str(run), "read-only")
    said(accord("report", run, at=files), 2, "read-only")
    shown = accord("report", run, "--json", at=files)
    assert shown.code == 0, "what only reads needs no disk to write to"
    disk.change("rw")
    assert accord("resume", run, at=files).code == 0
    assert differences(whole, run) == []


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_leads_to_the_same_end(
    files: Path, place: Path, whole: Path, said: Callable[..., Ended]
) -> None:
    runs = place / "runs"
    plan = write_plan(place / "plan.toml", tiny_plan())
    blade = Blade(place / "note" / "changes", at=170)
    blade.note.parent.mkdir()
    killed = accord("run", plan, "--runs", runs, "--name", "tiny", at=files, blade=blade)
    assert killed.code == -9
    saved = sorted((runs / "tiny/amplify/checkpoints").glob("[0-9]*"))
    assert len(saved) > 1, "there is one to go back to"
    weights = saved[-1] / "learner" / "weights.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-5] ^= 1
    weights.write_bytes(damaged)
    said(accord("resume", runs / "tiny", at=files), 1, str(weights), "damaged", f"remove {saved[-1]}")
    shutil.rmtree(saved[-1])
    assert accord("resume", runs / "tiny", at=files).code == 0
    assert differences(whole, runs / "tiny") == []
