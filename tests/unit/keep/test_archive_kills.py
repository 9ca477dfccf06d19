"""An archive that is stopped before any of its steps.

Mutants killed: the sidecar renamed before the inventory, a content file that is not synced, a folder that is
not, leftovers that stay, a lock that is no lock, a version that a failed disk half shows.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import count
from pathlib import Path

import pytest
from unit.keep.archives import NOON, Killed, full, stop_at, tree, validated, weights

from accord.errors import Refused
from accord.keep.archive import Archive, Why
from accord.keep.manifest import Manifest
from accord.keep.ocfl import object_key
from accord.keep.steps import Steps
from accord.progress import Silent

URN, WHY = "urn:accord:family:1", Why("kept", "Ada")


def linked(folder: Path, to: Path) -> Path:
    """A copy as far as an archive goes, which writes into no file that stands: quicker than copying."""
    return Path(shutil.copytree(folder, to, copy_function=os.link))


@dataclass(frozen=True)
class Case:
    """An archive before a version is added, how it is added, and the same archive after."""

    before: Path
    after: Path
    files: dict[str, Path | bytes]
    number: int
    first: Manifest | None
    tried: set[bool] = field(default_factory=set)

    def add(self, folder: Path, steps: Steps | None = None) -> int:
        archive = Archive(folder, lambda: NOON, Silent(), steps or Steps(), patience=0)
        return archive.add(URN, self.files, WHY, whole=True).number

    def copy(self, to: Path) -> Path:
        return linked(self.before, to)


@pytest.fixture(scope="module", params=["a new object", "one that stands"])
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    old = weights(folder / "old.safetensors", {"frozen": b"f" * 70_000, "trained": b"1" * 70_000})
    new = weights(folder / "new.safetensors", {"frozen": b"f" * 70_000, "trained": b"2" * 70_000})
    archive = Archive.make(folder / "before", lambda: NOON)
    number, first = 1, None
    if request.param == "one that stands":
        archive.add(URN, {"m.safetensors": old, "c.json": b"{}"}, Why("base", "Ada"), whole=True)
        number, first = 2, archive.manifest(URN)
    shutil.copytree(folder / "before", folder / "after")
    made = Case(folder / "before", folder / "after", {"m.safetensors": new, "c.json": b"{}"}, number, first)
    assert made.add(made.after) == number
    assert validated(made.before) == number - 1
    assert validated(made.after) == 1
    return made


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is synced matters to a power cut, not to a kill; ``test_what_a_rename…`` looks at it."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


@cache
def root(folder: Path) -> dict[str, str]:
    return tree(folder / "root")


def whole(case: Case, folder: Path) -> None:
    """Older versions are readable at once; opened again it is one of two sound archives, byte for byte.

    So a retry begins at one of two states of the disk, and both are tried once.
    """
    if case.number == 2:
        reader = Archive(folder, lambda: NOON, Silent(), Steps(), patience=0)
        assert reader.manifest(URN, 1) == case.first
        assert reader.read(URN, "m.safetensors/00001", 1) == b"1" * 70_000
    Archive.open(folder, lambda: NOON)
    left = tree(folder / "root")
    assert left in (root(case.before), root(case.after))
    assert [path.name for path in (folder / "work").iterdir()] == ["locks"]
    done = left == root(case.after)
    if done not in case.tried:
        case.tried.add(done)
        assert case.add(folder) == case.number
        assert tree(folder / "root") == root(case.after)
        assert [path.name for path in (folder / "work").iterdir()] == ["locks"]


def test_a_kill_before_any_step_leaves_what_is_readable_and_the_retry_completes(
    case: Case, tmp_path: Path
) -> None:
    torn = dict[frozenset[tuple[str, str]], Path]()
    for step in count():
        folder = case.copy(tmp_path / str(step))
        try:
            case.add(folder, Steps(stop_at(step)))
        except Killed:
            left = tree(folder / "root")
            if left not in (root(case.before), root(case.after)):
                torn[frozenset(left.items())] = linked(folder, tmp_path / f"torn-{step}")
            whole(case, folder)
        else:
            break
    assert step > 30, "the case is too small to say anything"
    # Torn is only an object that stands, between its renames: the version without, and with its inventory.
    assert len(torn) == (2 if case.number == 2 else 0)
    for left in torn.values():
        assert _recovery_steps(case, left, tmp_path) > 5


def _recovery_steps(case: Case, torn: Path, tmp_path: Path) -> int:
    """Killed before any of its own steps, recovery too is finished by the next; returns their number."""
    for step in count():
        folder = linked(torn, tmp_path / f"{torn.name}-{step}")
        try:
            Archive.open(folder, lambda: NOON, steps=Steps(stop_at(step)))
        except Killed:
            whole(case, folder)
        else:
            assert tree(folder / "root") == root(case.after)
            return step
    raise AssertionError


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "from then on"])
def test_a_full_disk_is_refused_and_shows_nothing_half(case: Case, for_good: bool, tmp_path: Path) -> None:
    names = list[str]()
    case.add(case.copy(tmp_path / "counted"), Steps(lambda what, path: names.append(path.name)))
    first = names.index(f"v{case.number}" if case.number == 2 else "0=ocfl_object_1.1")
    for step in (0, 3, 6, *range(first, len(names))):  # from where it becomes visible on, each one
        folder = case.copy(tmp_path / str(step))
        try:
            with pytest.raises(Refused, match="no space left"):
                case.add(folder, Steps(stop_at(step, full, again=for_good)))
        finally:
            left = tree(folder / "root")
        assert for_good or left in (root(case.before), root(case.after)) or _swung(folder)
        whole(case, folder)


def _swung(folder: Path) -> bool:
    """The new inventory stands beside the old sidecar: too late to take back; the next open finishes it."""
    inventory = next((folder / "root").glob("*/*/*/*/inventory.json"))
    return inventory.read_bytes() == (inventory.parent / "v2" / "inventory.json").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes to what is closed to others")
def test_a_closed_folder_is_refused_and_still_read(case: Case, tmp_path: Path) -> None:
    folder = case.copy(tmp_path / "closed")
    closed = [folder / "root", folder / "work", folder / "work" / "locks"]
    for path in closed:
        path.chmod(0o555)
    try:
        with pytest.raises(Refused, match="permission denied"):
            case.add(folder)
        assert len(Archive.open(folder, lambda: NOON).objects()) == case.number - 1
    finally:
        for path in closed:
            path.chmod(0o755)
    whole(case, folder)


@pytest.mark.parametrize("case", ["one that stands"], indirect=True)
def test_an_archive_on_a_closed_disk_that_a_kill_left_torn_is_read_as_it_was(
    case: Case, tmp_path: Path
) -> None:
    """Of an object that stands: a new one appears by one rename, and is never torn."""
    folder = case.copy(tmp_path / "torn")

    def at_the_sidecar(what: str, path: Path) -> None:
        if what == "rename" and path.name == "inventory.json.sha512":
            raise Killed

    with pytest.raises(Killed):
        case.add(folder, Steps(at_the_sidecar))
    closed = partial(OSError, errno.EROFS, "Read-only file system")
    reader = Archive.open(folder, lambda: NOON, steps=Steps(stop_at(0, closed, again=True)))
    assert [kept.number for kept in reader.versions(URN)] == [1, 2]
    assert reader.read(URN, "m.safetensors/00001") == b"2" * 70_000
    with pytest.raises(Refused, match="read-only"):
        reader.add(URN, {"a": b"a"}, WHY, whole=True)
    whole(case, folder)


def test_what_a_rename_makes_visible_is_on_disk_and_so_is_the_rename(case: Case, tmp_path: Path) -> None:
    folder = case.copy(tmp_path / "archive")
    files, folders, waiting, seen = set[Path](), set[Path](), set[Path](), 0

    def before(what: str, path: Path) -> None:
        nonlocal seen
        if what in ("create", "write"):
            files.add(path)
        if what in ("create", "make_folder", "rename") and not path.is_relative_to(folder / "root"):
            folders.add(path.parent)
        if what == "rename":
            assert not waiting, f"{path} is renamed before the names of the last rename are on disk"
            files.discard(folder / "work" / "incoming")
            if path.is_relative_to(folder / "root"):
                seen += 1
                assert not files, f"{path} becomes visible before {files} are on disk"
                loose = {at for at in folders if at.parent != folder / "work"}
                assert not loose, f"{path} becomes visible before the names in {loose} are on disk"
                waiting.add(path.parent)
        if what == "sync":
            files.discard(path)
        if what == "sync_folder":
            folders.discard(path)
            waiting.discard(path)
        if what == "remove":
            files.discard(path)
            assert path.is_relative_to(folder / "work")

    case.add(folder, Steps(before))
    assert not waiting
    assert seen == (3 if case.number == 2 else 1)


def test_sigkill_frees_the_lock_and_the_next_one_finishes(case: Case, tmp_path: Path) -> None:
    if case.number == 1:
        pytest.skip("one process is slow enough to start; the case above stops at every step")
    folder = case.copy(tmp_path / "archive")
    code = f"""
import os, signal
from pathlib import Path
from accord.keep.archive import Archive, Why
from accord.keep.steps import Steps
archive = Path({str(folder)!r})
def before(what, path):
    if what == "rename" and path.is_relative_to(archive / "root") and path.name == "inventory.json.sha512":
        os.kill(os.getpid(), signal.SIGKILL)
files = {{"m.safetensors": Path({str(case.files["m.safetensors"])!r}), "c.json": b"{{}}"}}
Archive.open(archive, lambda: {NOON}, steps=Steps(before)).add({URN!r}, files, Why("kept", "Ada"), whole=True)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert len(list((folder / "work").iterdir())) == 2
    assert tree(folder / "root") not in (root(case.before), root(case.after))
    whole(case, folder)


def test_a_second_one_at_the_same_object_is_refused_with_words_or_waits(case: Case, tmp_path: Path) -> None:
    folder = case.copy(tmp_path / "archive")
    told = list[str]()

    def before(what: str, path: Path) -> None:
        if what == "write" and not told:
            with pytest.raises(Refused) as refused:
                case.add(folder)
            told.append(str(refused.value))
            Archive.open(folder, lambda: NOON)  # what is in flight is not swept away
            other = Archive(folder, lambda: NOON, Silent(), Steps(), patience=0)
            other.add("urn:accord:family:2", {"b": b"b"}, WHY, whole=True)

    assert case.add(folder, Steps(before)) == case.number
    assert f"process {os.getpid()} writes to this object" in told[0]
    assert validated(folder) == 2


def test_two_processes_add_to_one_object_and_neither_loses_a_version(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    Archive.make(folder, lambda: NOON)
    code = """
import sys
from pathlib import Path
from accord.keep.archive import Archive, Why
archive = Archive.open(Path(sys.argv[1]), lambda: 1_800_000_000.0)
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for number in range(4):
    name = f"{sys.argv[2]}-{number}"
    archive.add("urn:accord:entry:1", {name: name.encode()}, Why(name, "Ada"), whole=False)
    archive.add(f"urn:accord:entry:{name}", {name: name.encode()}, Why(name, "Ada"), whole=False)
"""
    start = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    both = [start([sys.executable, "-c", code, str(folder), name]) for name in ("a", "b")]
    for process in both:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    archive = Archive.open(folder, lambda: NOON)
    assert sorted(archive.state("urn:accord:entry:1")) == sorted(f"{n}-{i}" for n in "ab" for i in range(4))
    assert len(archive.versions("urn:accord:entry:1")) == 8
    assert validated(folder) == 9


def test_two_new_objects_that_share_a_folder_of_the_path_do_not_meet(tmp_path: Path) -> None:
    first = "urn:accord:family:1"
    names = (f"urn:accord:family:{number}" for number in count(2))
    second = next(urn for urn in names if object_key(urn)[:3] == object_key(first)[:3])
    folder = tmp_path / "archive"
    Archive.make(folder, lambda: NOON)
    done = list[str]()

    def before(what: str, path: Path) -> None:
        if what == "rename" and path.is_relative_to(folder / "root") and not done:
            done.append(second)
            Archive.open(folder, lambda: NOON).add(second, {"b": b"b"}, WHY, whole=True)

    archive = Archive.open(folder, lambda: NOON, steps=Steps(before))
    archive.add(first, {"a": b"a"}, WHY, whole=True)
    assert archive.objects() == sorted([first, second])
    assert validated(folder) == 2
