"""Provenance: is the base of a plan kept, so that what is trained from it can always be held against it?

It is where the archive has a family with exactly its files and an entry for it, or where it is a model that
``accord pull`` knows and its files are those of its card, no more and no fewer: anyone can fetch it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from accord.engines.local.models import find_model
from accord.engines.pull import CARD, KNOWN, file_digest, read_card
from accord.errors import PlanError, Refused, Unreadable
from accord.folders import models_folder
from accord.keep.archive import Archive
from accord.keep.intake import manifest_of
from accord.keep.manifest import Manifest, entry_id
from accord.keep.sifting import OURS
from accord.progress import Progress

__all__ = ["Clock", "Origin", "entry_of", "kept_entry", "origin_of"]

Clock = Callable[[], float]
_FAMILY = "urn:accord:family:"


class Origin(NamedTuple):
    """Whether a base can be had again, in words, by which entry of the archive or digest; ``folder``: where
    it lies here, None where it is on no disk of ours."""

    there: bool
    says: str
    evidence: str = ""
    folder: Path | None = None


def origin_of(model: str, archive: Path, progress: Progress, clock: Clock = time.time) -> Origin:
    """Where a base can be had again. Nothing is written."""
    try:
        folder = find_model(model)
    except (PlanError, Refused) as error:
        return Origin(False, str(error).splitlines()[0])
    if not isinstance(folder, Path):
        return Origin(False, f"{model} is the id of a model on a hub, which may change there or go")
    folder = folder.resolve()
    if folder.parent == models_folder().resolve() and folder.name in KNOWN:
        return _pulled(folder, progress)
    if not archive.is_dir():
        return Origin(False, f"no archive stands in {archive}", folder=folder)
    try:
        manifest = manifest_of(folder, progress)
    except Unreadable as error:
        return Origin(False, f"it cannot be kept: {' '.join(str(error).split())}", folder=folder)
    entry = entry_of(manifest, Archive.open(archive, clock, progress))
    if entry is None:
        return Origin(False, f"{archive} has no entry for these files of {model}", folder=folder)
    return Origin(True, f"kept in {archive} as {entry}", entry, folder)


def entry_of(manifest: Manifest, archive: Archive) -> str | None:
    """The entry of the model with exactly these files, in whatever family it is kept."""
    objects = archive.objects()
    for family in (one for one in objects if one.startswith(_FAMILY)):
        entry = entry_id(manifest, family)
        if entry not in objects:
            continue
        for version in archive.versions(family):
            files = archive.manifest(family, version.number).files
            if tuple(one for one in files if not one.name.startswith(f"{OURS}/")) == manifest.files:
                return entry
    return None


def kept_entry(entry: str, archive: Path, progress: Progress, clock: Clock = time.time) -> bool:
    """Whether the archive has this entry."""
    return archive.is_dir() and entry in Archive.open(archive, clock, progress).objects()


def _pulled(folder: Path, progress: Progress) -> Origin:
    known = KNOWN[folder.name]
    listed = read_card(folder)
    inside = {one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file()}
    if more := sorted(inside - listed.keys() - {CARD}):
        return Origin(False, f"{folder / more[0]} is no file that its card lists", folder=folder)
    progress.begin(f"hash {folder.name}", float(sum(size for size, _ in listed.values())))
    for name, (size, sha256) in listed.items():
        if not (folder / name).is_file() or file_digest(folder / name) != sha256:
            return Origin(False, f"{folder / name} is not what its card says it is", folder=folder)
        progress.advance(size, name)
    progress.end()
    source = f"{known.package}=={known.version}, its file {known.member} with SHA-256 {known.member_sha256}"
    return Origin(True, f"{len(listed)} files as their card lists them, from {source}", known.member_sha256)
