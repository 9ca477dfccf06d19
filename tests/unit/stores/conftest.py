"""What the tests of the stores share: a clock that stands still, and a disk that is small."""

import os
import subprocess

import postgres
import pytest


class HandClock:
    """Time moves only when a test moves it."""

    def __init__(self):
        self.now = 1000.0

    def wall(self):
        return 1.7e9 + self.now

    def mono(self):
        return self.now


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of its own with 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a tmpfs needs root and a system that allows it")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def closed_disk(small_disk):
    """The same, mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return small_disk


@pytest.fixture(scope="session")
def postgresql():
    """Gives the URL of a new, empty database in a server that runs for these tests only."""
    if reason := postgres.missing():
        pytest.skip(reason)
    with postgres.server("fsync=off") as fresh:
        yield fresh


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("postgresql")()
