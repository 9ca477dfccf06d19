"""The files that say what a storage root is: the same everywhere, so any of them can be written again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from accord.keep.faults import Fault
from accord.keep.ocfl import root_files
from accord.keep.recovery import begin
from accord.keep.sound import plain
from accord.keep.steps import Steps
from accord.keep.transfer import Place

__all__ = ["check_roots"]

_NONE = "0" * 64  # the key of no object
_DEPTH = 3  # folders on the way to one
_TUPLE, _KEY = re.compile(r"[0-9a-f]{3}"), re.compile(r"[0-9a-f]{64}")


def check_roots(places: Sequence[Place], repair: bool, steps: Steps) -> tuple[list[Path], list[Fault]]:
    """Those that were repaired, and what is wrong with others, in all places; what stands in a root beside
    them and beside objects is named, and left."""
    mended: list[Path] = []
    faults: list[Fault] = []
    for place in places:
        for name, data in root_files().items():
            file = place.folder / "root" / name
            if plain(file) == data:
                continue
            if repair and file.parent.is_dir():
                _write(place, file, data, steps)
                mended.append(file)
            else:
                says = "damaged: it is the same in every archive, and not here"
                faults.append(Fault("contradicted", str(file), says))
        faults += _strays(place, place.folder / "root")
    return mended, faults


def _strays(place: Place, folder: Path, depth: int = 0) -> Iterator[Fault]:
    own = {name.partition("/")[0] for name in root_files()} if depth == 0 else set[str]()
    for path in sorted(folder.iterdir()):
        if path.name in own:
            continue
        way = path.is_dir() and not path.is_symlink()
        if way and depth < _DEPTH and _TUPLE.fullmatch(path.name):
            yield from _strays(place, path, depth + 1)
        elif not (way and depth == _DEPTH and _KEY.fullmatch(path.name) and path == place.object(path.name)):
            says = "is no object of the archive: put there by hand; look at it, and move it away"
            yield Fault("contradicted", str(path), says)


def _write(place: Place, file: Path, data: bytes, steps: Steps) -> None:
    work = place.folder / "work"
    here = begin(steps, work, _NONE)
    steps.write(here / "fresh", data)
    if file.exists() or file.is_symlink():
        kept = work / "quarantine" / "root" / uuid4().hex[:16]
        for folder in (kept.parent.parent, kept.parent, kept):
            if not folder.is_dir():
                steps.make_folder(folder)
                steps.sync_folder(folder.parent)
        steps.publish(file, kept / file.name)
    steps.publish(here / "fresh", file)
    steps.remove(here)
