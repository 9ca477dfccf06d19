"""Who signs: the archive that a command works in, and the private key of the person at it."""

from __future__ import annotations

import time
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.keys import ask_passphrase
from accord.errors import Refused

if TYPE_CHECKING:
    from accord.keep.archive import Archive
    from accord.keep.keys import Signer
    from accord.progress import Progress

__all__ = ["ARCHIVE", "ArchiveFolder", "By", "Key", "opened_archive", "own_key", "signer_of"]

ARCHIVE = Path("archive")
ArchiveFolder = Annotated[
    Path, typer.Option("--archive", metavar="DIR", help="The archive that keeps models.")
]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Whose key signs [default: the only one].")
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The private key, where it lies elsewhere.")
]


def opened_archive(folder: Path, progress: Progress) -> Archive:
    """The archive in a folder. Refused where there is none yet: the first key makes it."""
    from accord.keep.archive import Archive

    if not (folder / "root").is_dir():
        raise Refused(
            f"{folder}: no archive is there, and without a key that it knows nothing is kept\n"
            f"  make both: {_make(folder)}"
        )
    return Archive.open(folder, time.time, progress)


def own_key(archive: Archive) -> Path | None:
    """The private key of this user that has a role in the archive now, if it is the only one."""
    from datetime import UTC, datetime

    from accord.keep.entries import public_of
    from accord.keep.keys import keys_folder, public_key

    _, roles = public_of(archive)
    now = datetime.now(UTC)
    halves = [file.with_name(f"{file.name}.pem") for file in sorted(keys_folder().glob("*.key"))]
    known = [half for half in halves if half.is_file() and roles.at(public_key(half).id, now)]
    return known[0].with_suffix("") if len(known) == 1 else None


def signer_of(archive: Archive, by: str | None, private: Path | None) -> Signer:
    """The key that signs, opened; its passphrase is asked for. Refused where it is not clear which one."""
    from accord.keep.keys import load_key, private_file

    file = private or (private_file(by) if by else own_key(archive))
    if file is None:
        raise Refused(
            "no key, or more than one, of yours has a role in this archive now, and somebody has to sign\n"
            f"  name yours with --by NAME; or make one: {_make(archive.folder)}"
        )
    locked = file.is_file() and b"ENCRYPTED" in file.read_bytes()
    return load_key(file, ask_passphrase(file) if locked else None)


def _make(folder: Path) -> str:
    place = ["--archive", str(folder)] if folder != ARCHIVE else []
    return join(["accord", "keep", "key", "--by", "NAME", *place])
