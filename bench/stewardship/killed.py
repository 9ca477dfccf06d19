"""Is anything lost when a process that keeps, adds or repairs is killed? ``kill -9`` before each step.

A step is a write, fsync, rename, new file, new folder or removal below ``root/`` or ``work/`` of the archive
and of its copy. For each of them the process is forked, and kills itself there with SIGKILL. Then, before
anything is mended: what was readable is. The archive is opened as the next command opens it, ocfl-py looks
through it, and the same is done again, which must come to its end.

A killed process loses nothing that it would not lose on a disk: this says nothing about a power cut.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.keep.archives import NOON, validated, weights
from unit.keep.examples import role, signer
from unit.keep.kept import WHY, flip, folder_of, held, make, put
from unit.keep.runs import archive_of, model, replaying, terms

from accord.engines.local.templates import render
from accord.keep.archive import Archive
from accord.keep.copies import Copies
from accord.keep.entries import entry_ids
from accord.keep.intake import taken_in
from accord.keep.keeping import Told, held_entry, keep
from accord.keep.steps import Before, Steps
from accord.keep.verifying import Wanted, verify
from accord.progress import Silent
from accord.stores.files import file_sha256

__all__ = ["CASES", "Killed", "killed"]

_URN = "urn:accord:family:1"
_MEND = Wanted(every=True, repair=True, threads=1)


class Killed(NamedTuple):
    """What was killed, before how many steps, and after how many of them all was as it should be.

    ``torn``: how often an object stood half changed until the next open. ``wrong``: what was not, in words.
    """

    what: str
    places: int
    well: int
    torn: int
    wrong: tuple[str, ...]


class Case(NamedTuple):
    """An archive below ``before``, what is done to it, and when that is complete.

    ``readable``: what has to be the same at once, without mending; ``complete``: what lacks, in words;
    ``damaged``: it is not sound before, so ocfl-py is asked only once it is mended.
    """

    what: str
    before: Path
    do: Callable[[Path, Steps], None]
    readable: Callable[[Path], object]
    complete: Callable[[Path], str]
    objects: int
    damaged: bool = False


def killed(case: Case, folder: Path, every: int = 1) -> Killed:
    """Kill it before each of its steps, or every so-manieth."""
    logging.getLogger().setLevel(logging.WARNING)  # ocfl-py tells the root logger of every archive
    steps: list[str] = []
    work = folder / "work"
    case.do(_fresh(case, work), Steps(lambda what, path: steps.append(f"{what} {path.name}")))
    if lacks := case.complete(work):
        raise RuntimeError(f"{case.what}, killed nowhere: {lacks}")
    known = case.readable(case.before)
    well, torn, wrong = 0, 0, list[str]()
    for number in range(0, len(steps), every):
        lacks, half = _one(case, _fresh(case, work), number, known)
        torn += half
        well += not lacks
        wrong += [f"step {number} ({steps[number]}): {lacks}"] if lacks else []
    shutil.rmtree(work)
    return Killed(case.what, len(range(0, len(steps), every)), well, torn, tuple(wrong))


def _one(case: Case, work: Path, number: int, known: object) -> tuple[str, bool]:
    """What is not as it should be after a kill before this step; and whether an object was half changed."""
    if not _dies(lambda: case.do(work, Steps(_kills(number)))):
        return "the process was not killed", False
    try:
        if case.readable(work) != known:
            return "what was readable is not, or is another", False
        half = not case.damaged and not _sound(work)
        case.do(work, Steps())
        if lacks := case.complete(work):
            return f"done again: {lacks}", half
        if (found := validated(work / "archive")) != case.objects:
            return f"ocfl-py finds {found} objects of {case.objects}", half
    except Exception as error:  # noqa: BLE001 - whatever is raised here is what was to be found
        return f"{type(error).__name__}: {error}"[:300], False
    return "", half


def _sound(work: Path) -> bool:
    """Whether ocfl-py finds no fault yet; after the archive was opened it must find none."""
    try:
        _ = validated(work / "archive")
        return True
    except AssertionError:
        return False
    finally:
        Archive.open(work / "archive", lambda: NOON)
        _ = validated(work / "archive")


def _fresh(case: Case, work: Path) -> Path:
    """The archive as it was, in links: whatever is written is a new file."""
    if work.exists():
        shutil.rmtree(work)
    shutil.copytree(case.before, work, copy_function=os.link)
    return work


def _kills(step: int) -> Before:
    left = [step]

    def before(what: str, path: Path) -> None:
        del what, path
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    return before


def _dies(do: Callable[[], None]) -> bool:
    """Whether a forked process that does it ends by SIGKILL."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            do()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


# Cases


def _adding(folder: Path, stands: bool) -> Case:
    folder.mkdir(parents=True)
    old = weights(folder / "old.safetensors", {"frozen": b"f" * 70_000, "trained": b"1" * 70_000})
    new = weights(folder / "new.safetensors", {"frozen": b"f" * 70_000, "trained": b"2" * 70_000})
    archive = Archive.make(folder / "before" / "archive", lambda: NOON)
    number = 2 if stands else 1
    if stands:
        archive.add(_URN, {"m.safetensors": old, "c.json": b"{}"}, WHY, whole=True)

    def do(work: Path, steps: Steps) -> None:
        opened = Archive.open(work / "archive", lambda: NOON, steps=steps)
        if _URN in opened.objects() and len(opened.versions(_URN)) == number:
            return
        opened.add(_URN, {"m.safetensors": new, "c.json": b"{}"}, WHY, whole=True)

    def readable(work: Path) -> object:
        reader = Archive(work / "archive", lambda: NOON, Silent(), Steps(), patience=0)
        names = reader.state(_URN, 1) if stands else {}
        return {name: reader.read(_URN, name, 1) for name in names}

    def complete(work: Path) -> str:
        reader = Archive.open(work / "archive", lambda: NOON)
        versions = reader.versions(_URN)
        if len(versions) != number:
            return f"{len(versions)} versions of {number}"
        found = {one.name: one.sha256 for one in reader.extract(_URN, work / "out").files}
        return "" if found["m.safetensors"] == file_sha256(new) else "another model is in it"

    what = "a version of an object that stands" if stands else "a new object"
    return Case(f"add, {what}", folder / "before", do, readable, complete, 1)


def _keeping(folder: Path, descends: bool) -> Case:
    """``accord keep`` of a base, or of what descends from one: archive, statements, drill, copy."""
    before = folder / "before"
    archive = archive_of(before, signer(), role(signer()), lambda: NOON)
    base = taken_in(model(folder / "base"), lambda _: (), render)
    copies = Copies(2).enlist(archive, before / "copy", lambda: NOON, Silent())
    assert len(copies.places) == 1
    (archive.folder / "keys" / "copies.toml").write_text('asked = 2\n[[copy]]\npath = "../copy"\n')
    given, told = base, Told("base")
    if descends:
        keep(archive, base, told, terms(signer(), lambda: NOON, replaying()))
        given = taken_in(model(folder / "tuned", b"\2" * 64), lambda _: (), render)
        told = Told("tuned", family=base.manifest)

    def do(work: Path, steps: Steps) -> None:
        opened = Archive.open(work / "archive", lambda: NOON, steps=steps)
        keep(opened, given, told, terms(signer(), lambda: NOON, replaying()))

    def readable(work: Path) -> object:
        reader = Archive(work / "archive", lambda: NOON, Silent(), Steps(), patience=0)
        old = Archive(before / "archive", lambda: NOON, Silent(), Steps(), patience=0)
        return {
            (urn, name): reader.read(urn, name, kept.number)
            for urn in old.objects()
            for kept in old.versions(urn)
            for name in old.state(urn, kept.number)
        }

    entries = 2 if descends else 1

    def complete(work: Path) -> str:
        opened = Archive.open(work / "archive", lambda: NOON)
        found = [held_entry(opened, one) for one in entry_ids(opened)]
        if len(found) != entries or any(one.chain.faults for one in found):
            return f"{len(found)} entries of {entries}, faults {[one.chain.faults for one in found]}"
        mine = next(one for one in found if one.name == told.name)
        if len(mine.chain.statements) != 3 or mine.drilled is None:
            return f"{len(mine.chain.statements)} statements of 3"
        if len(opened.versions(mine.home.family)) != entries or len(opened.versions(mine.entry)) != 2:
            return "a version too many"
        checked = verify(opened.folder, Wanted(every=True, threads=1), lambda: NOON)
        return "" if checked.code == 0 and checked.copies == 2 else f"verify: {checked.faults}"

    what = "what descends from a kept base" if descends else "a base"
    return Case(f"keep {what}", before, do, readable, complete, 2 if not descends else 3)


_HURT = ("inventory.json", "inventory.json.sha512", "v2/inventory.json", "v1/content/model.safetensors/00001")


def _repairing(folder: Path, what: str) -> Case:
    made = make(folder / "before", copies=1)
    good = held(made.folder)
    (home,) = (folder_of(made.folder, urn) for urn in (made.family,))
    if what == "files":
        for name in _HURT:
            put(home / name, flip((home / name).read_bytes(), 1000))
    elif what == "the last version":
        for name in ("inventory.json", "inventory.json.sha512"):
            put(home / name, (home / "v1" / name).read_bytes())
        shutil.rmtree(home / "v2")
    else:
        shutil.rmtree(home.parents[2])
    left = held(made.folder)
    sound = {path: data for path, data in left.items() if good[path] == data}
    broken = {data for path, data in left.items() if path not in sound}

    def do(work: Path, steps: Steps) -> None:
        verify(work / "archive", _MEND, lambda: NOON, Silent(), steps)

    def readable(work: Path) -> object:
        now = held(work / "archive")
        aside = {p.read_bytes() for p in (work / "archive" / "work").rglob("*") if p.is_file()}
        if not sound.items() <= now.items():
            return "what was sound is not as it was"
        return "" if broken <= aside | set(now.values()) else "what was damaged is gone"

    def complete(work: Path) -> str:
        same = held(work / "archive") == good == held(work / "copy-0")
        return "" if same else "not as it was before the damage"

    return Case(f"repair of {what}", folder / "before", do, readable, complete, 2, damaged=True)


CASES: dict[str, Callable[[Path], Case]] = {
    "a new object": lambda folder: _adding(folder, stands=False),
    "one that stands": lambda folder: _adding(folder, stands=True),
    "keep a base": lambda folder: _keeping(folder, descends=False),
    "keep a descendant": lambda folder: _keeping(folder, descends=True),
    "repair of files": lambda folder: _repairing(folder, "files"),
    "repair of a version": lambda folder: _repairing(folder, "the last version"),
    "repair of an object": lambda folder: _repairing(folder, "the whole object"),
}
