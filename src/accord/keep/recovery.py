"""What a kill can leave behind, and how the next one to come finishes or removes it.

A version of an object is put in place by three renames: its folder, the new inventory over the old, the new
sidecar over the old. Before the first nothing is visible. After it, everything needed for the other two lies
in the version's own folder, so they are repeated from there: the version is never taken back.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from accord.errors import Refused, Unreadable
from accord.keep.ocfl import DECLARED, INVENTORY, SIDECAR, Inventory, read_inventory, sidecar
from accord.keep.steps import Steps
from accord.progress import Progress
from accord.stores.files import write_at

__all__ = [
    "begin",
    "current",
    "leftovers",
    "locked",
    "prepare",
    "publish_object",
    "seal",
    "settle",
    "swing",
]

_EVERY = 0.05
_VERSION = re.compile(r"v[1-9][0-9]*")
_IN_FLIGHT = re.compile(r"([0-9a-f]{64})-[0-9a-f]{32}")


@contextmanager
def locked(folder: Path, key: str, patience: float, progress: Progress) -> Generator[None]:
    """Alone at one object, whichever process it is. Refused when another does not end within ``patience``."""
    path = folder / key
    folder.mkdir(parents=True, exist_ok=True)  # an archive that was brought back may lack it
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        waited = 0.0
        while not _taken(lock):
            holder = os.pread(lock, 64, 0).decode("ascii", "replace").strip() or "unknown"
            if waited >= patience:
                raise Refused(f"{path}: process {holder} writes to this object\n  wait for it, or end it")
            if not waited:
                progress.say(f"waits for process {holder}, which writes to the same object of the archive")
            time.sleep(_EVERY)
            waited += _EVERY
        os.ftruncate(lock, 0)
        write_at(lock, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(lock)  # and with it the lock, as when the process is killed


def begin(steps: Steps, work: Path, key: str) -> Path:
    """A new folder in ``work`` for what is in flight to this object."""
    folder = work / f"{key}-{uuid4().hex}"
    steps.make_folder(folder)
    steps.sync_folder(work)
    return folder


def leftovers(work: Path) -> list[tuple[str, Path]]:
    """What was in flight when someone was killed, or still is: the object's key, and where it lies."""
    matches = [(_IN_FLIGHT.fullmatch(path.name), path) for path in sorted(work.iterdir())]
    return [(match[1], path) for match, path in matches if match]


def prepare(steps: Steps, work: Path, data: bytes) -> None:
    """The inventory ``data`` and its sidecar, on disk in the folder ``work``."""
    steps.write(work / INVENTORY, data)
    steps.write(work / SIDECAR, sidecar(data))
    steps.sync_folder(work)


def swing(steps: Steps, work: Path, folder: Path) -> None:
    """What was prepared in ``work`` replaces the inventory and the sidecar of the object in ``folder``."""
    steps.publish(work / INVENTORY, folder / INVENTORY)
    steps.publish(work / SIDECAR, folder / SIDECAR)


def current(folder: Path) -> tuple[Inventory, bytes]:
    """The inventory of an object as a reader may trust it, and its bytes; changes nothing.

    Unreadable when it does not fit its sidecar, unless that is the sidecar of the version before: a kill
    between the last two renames leaves it so, and the version's own folder vouches for the inventory.
    """
    data = mark = b""
    for _ in range(3):  # between the two reads another process may have replaced both
        data, mark = _bytes(folder / INVENTORY), _bytes(folder / SIDECAR)
        if mark == sidecar(data):
            return read_inventory(data, folder / INVENTORY), data
    found = f"{sidecar(data).split()[0].decode('ascii')[:20]}… instead of {mark[:20]!r}…"
    damaged = Unreadable(folder / INVENTORY, f"the SHA-512 that {SIDECAR} has", f"{found}: damaged")
    try:
        inventory = read_inventory(data, folder / INVENTORY)
    except Unreadable:
        raise damaged from None
    own, last = folder / f"v{inventory.head}", folder / f"v{inventory.head - 1}"
    if (
        (last / SIDECAR).is_file()
        and (own / INVENTORY).is_file()
        and mark == _bytes(last / SIDECAR)
        and data == _bytes(own / INVENTORY)
        and sidecar(data) == _bytes(own / SIDECAR)
    ):
        return inventory, data
    raise damaged


def seal(steps: Steps, version: Path, data: bytes) -> None:
    """The folder of a version gets its inventory and its sidecar, and all in it is on disk."""
    prepare(steps, version, data)
    for folder in _folders(version):
        steps.sync_folder(folder)


def publish_object(steps: Steps, work: Path, root: Path, inside: Path, data: bytes) -> None:
    """The sealed versions in ``work`` become a new object, with the inventory ``data``, in ``root/inside``.

    One rename for the object and the missing part of the path to it: no folder of a root stands empty.
    """
    way = [*reversed(inside.parents), inside][1:]
    fresh, versions = work / inside, [path for path in work.iterdir() if _VERSION.fullmatch(path.name)]
    for part in way:
        steps.make_folder(work / part)
    for version in versions:
        steps.rename(version, fresh / version.name)
    steps.write(fresh / DECLARED[0], DECLARED[1])
    prepare(steps, fresh, data)
    for folder in [inside, *inside.parents]:
        steps.sync_folder(work / folder)
    for part in way:
        if (root / part).is_dir():
            continue
        try:
            steps.publish(work / part, root / part)
            return
        except OSError as error:
            # Another process has just made this folder, for another object: one step further down.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    raise Refused(f"{root / inside}: was made meanwhile\n  add again")


def settle(steps: Steps, work: Path, key: str, folder: Path) -> Inventory | None:
    """The object is as if no one had been killed at it; its inventory, or None where none stands.

    The caller holds the lock. Unreadable, and nothing touched, when what lies there cannot come from a kill.
    """
    found = _rolled_forward(steps, work, key, folder) if folder.exists() else None
    for at, path in leftovers(work):
        if at == key:
            steps.remove(path)
    return found


def _rolled_forward(steps: Steps, work: Path, key: str, folder: Path) -> Inventory:
    inventory, data = current(folder)
    following = folder / f"v{inventory.head + 1}"
    if following.is_symlink() or following.exists():
        inventory, data = _following(following, inventory)
    if _bytes(folder / SIDECAR) != sidecar(data):
        here = begin(steps, work, key)
        prepare(steps, here, data)
        swing(steps, here, folder)
    return inventory


def _following(folder: Path, before: Inventory) -> tuple[Inventory, bytes]:
    """The inventory of a version that was renamed in, and whose object does not know it yet."""
    data = _bytes(folder / INVENTORY)
    if _bytes(folder / SIDECAR) != sidecar(data):
        raise Unreadable(folder / INVENTORY, f"the SHA-512 that {SIDECAR} has", "another: damaged")
    inventory = read_inventory(data, folder / INVENTORY)
    if inventory.id != before.id or inventory.versions[:-1] != before.versions:
        raise Unreadable(folder, f"the version after {before.head} of {before.id}", "another history")
    for path in inventory.content.values():
        if not (folder.parent / path).is_file():
            raise Unreadable(folder.parent / path, "content that the inventory names", "no such file")
    return inventory, data


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        found = f"{error.strerror}\n  accord verify --repair looks for a sound copy"
        raise Unreadable(path, "a part of an object of the archive", found) from None


def _folders(top: Path) -> Iterator[Path]:
    """The folder and all below it, those below first."""
    for path in sorted(top.iterdir()):
        if path.is_dir():
            yield from _folders(path)
    yield top


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
