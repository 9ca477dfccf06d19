"""The Oxford Common File Layout 1.1: inventories, and where the folder of an object lies.

The layout was chosen because it can be read without us: an inventory names for each version which logical
file has which SHA-512, and where content of that digest lies. Reading is strict: an inventory that Accord
would not have written is Unreadable, for what is not understood would be lost with the next version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accord.errors import Refused, Unreadable
from accord.keep.manifest import checked_name

__all__ = [
    "DECLARED",
    "INVENTORY",
    "LAYOUT",
    "SIDECAR",
    "Inventory",
    "Version",
    "object_folder",
    "object_key",
    "read_inventory",
    "root_files",
    "sidecar",
    "stamp",
]

INVENTORY, SIDECAR = "inventory.json", "inventory.json.sha512"
LAYOUT = "0004-hashed-n-tuple-storage-layout"
DECLARED = ("0=ocfl_object_1.1", b"ocfl_object_1.1\n")
_ROOT = ("0=ocfl_1.1", b"ocfl_1.1\n")
_TUPLES, _TUPLE = 3, 3
_TYPE = "https://ocfl.io/1.1/spec/#inventory"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CONTENT = re.compile(r"v[1-9][0-9]*/content/(.+)", re.DOTALL)


@dataclass(frozen=True)
class Version:
    """One version: when, why and by whom; ``state`` has the SHA-512 of each logical file."""

    created: str
    message: str
    name: str
    state: Mapping[str, str]


@dataclass(frozen=True)
class Inventory:
    """All versions of an object, oldest first. ``content``: SHA-512 to the path below the object's folder.

    ``sha256`` has a second digest of those content files that are whole logical files, by content path.
    """

    id: str
    versions: tuple[Version, ...]
    content: Mapping[str, str]
    sha256: Mapping[str, str]

    @property
    def head(self) -> int:
        """The number of the newest version."""
        return len(self.versions)

    def version(self, number: int | None) -> Version:
        """The version of that number, the newest for None; Refused when there is none."""
        wanted = self.head if number is None else number
        if not 1 <= wanted <= self.head:
            raise Refused(f"{self.id}: has no version {wanted}\n  it has 1 to {self.head}")
        return self.versions[wanted - 1]

    def encode(self) -> bytes:
        """The file ``inventory.json``."""
        fixity: dict[str, list[str]] = {}
        for path, digest in sorted(self.sha256.items()):
            fixity.setdefault(digest, []).append(path)
        value = {
            "id": self.id,
            "type": _TYPE,
            "digestAlgorithm": "sha512",
            "head": f"v{self.head}",
            "manifest": {digest: [path] for digest, path in sorted(self.content.items())},
            "versions": {f"v{number}": _block(one) for number, one in enumerate(self.versions, start=1)},
            "fixity": {"sha256": fixity},
        }
        return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


class _User(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    created: str
    message: str
    user: _User
    state: dict[str, list[str]]


class _Fixity(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: dict[str, list[str]]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    type: Literal["https://ocfl.io/1.1/spec/#inventory"]
    digestAlgorithm: Literal["sha512"]
    head: str
    manifest: dict[str, list[str]]
    versions: dict[str, _Block]
    fixity: _Fixity


def read_inventory(data: bytes, file: Path) -> Inventory:
    """The inventory in ``data``, which was read from ``file``; Unreadable when it contradicts itself."""
    try:
        inner = _File.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(file, "an inventory that Accord wrote", f"{where}: {first['msg']}") from None
    try:
        return _checked(inner)
    except (ValueError, Refused) as error:
        raise Unreadable(file, "an inventory that agrees with itself", str(error)) from None


def sidecar(inventory: bytes) -> bytes:
    """The file ``inventory.json.sha512`` for this inventory, as sha512sum reads it."""
    return f"{hashlib.sha512(inventory).hexdigest()}  {INVENTORY}\n".encode("ascii")


def stamp(seconds: float) -> str:
    """A time as inventories have it; earlier ones sort before later ones.

    >>> stamp(1_790_000_000.9)
    '2026-09-21T14:13:20Z'
    """
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def object_key(urn: str) -> str:
    """The name of an object's folder: SHA-256 of its id."""
    return hashlib.sha256(urn.encode("utf-8")).hexdigest()


def object_folder(key: str) -> Path:
    """Where that folder lies below the storage root.

    >>> object_folder(object_key("object-01")).as_posix()[:20]
    '3c0/ff4/240/3c0ff424'
    """
    return Path(*(key[at : at + _TUPLE] for at in range(0, _TUPLES * _TUPLE, _TUPLE)), key)


def root_files() -> dict[str, bytes]:
    """The files that say what a storage root is, by name."""
    layout = {
        "extension": LAYOUT,
        "description": "SHA-256 of the object's id in hexadecimal digits; the first nine of them, by threes, "
        "name three folders, one in the other, and all of them the object's folder in the last.",
    }
    config = {
        "extensionName": LAYOUT,
        "digestAlgorithm": "sha256",
        "tupleSize": _TUPLE,
        "numberOfTuples": _TUPLES,
        "shortObjectRoot": False,
    }
    return {
        _ROOT[0]: _ROOT[1],
        "ocfl_layout.json": (json.dumps(layout, indent=1) + "\n").encode("ascii"),
        f"extensions/{LAYOUT}/config.json": (json.dumps(config, indent=1) + "\n").encode("ascii"),
    }


def _block(version: Version) -> dict[str, object]:
    state: dict[str, list[str]] = {}
    for name, digest in sorted(version.state.items()):
        state.setdefault(digest, []).append(name)
    return {
        "created": version.created,
        "message": version.message,
        "user": {"name": version.name},
        "state": state,
    }


def _checked(file: _File) -> Inventory:
    if list(file.versions) != [f"v{n}" for n in range(1, len(file.versions) + 1)] or not file.versions:
        raise ValueError(f"versions {', '.join(file.versions)} instead of v1, v2, … in order")
    if file.head != f"v{len(file.versions)}":
        raise ValueError(f"head {file.head}, of {len(file.versions)} versions")
    content = {digest: _content(digest, paths, len(file.versions)) for digest, paths in file.manifest.items()}
    if len(set(content.values())) < len(content):
        raise ValueError("two digests for one content file")
    sha256 = {path: digest for digest, paths in file.fixity.sha256.items() for path in paths}
    if not set(sha256) <= set(content.values()):
        raise ValueError("a SHA-256 of a file that the manifest does not name")
    versions = tuple(_version(block, content) for block in file.versions.values())
    return Inventory(file.id, versions, content, sha256)


def _content(digest: str, paths: list[str], head: int) -> str:
    match = _CONTENT.fullmatch(paths[0]) if len(paths) == 1 else None
    if re.fullmatch(r"[0-9a-f]{128}", digest) is None or match is None:
        raise ValueError(f"manifest: {digest[:20]}… to {', '.join(paths)[:200]}")
    checked_name(match[1])
    if int(paths[0].partition("/")[0][1:]) > head:
        raise ValueError(f"{paths[0]} belongs to a version that does not stand")
    return paths[0]


def _version(block: _Block, content: Mapping[str, str]) -> Version:
    state: dict[str, str] = {}
    for digest, names in block.state.items():
        if digest not in content:
            raise ValueError(f"content {digest[:20]}… of {', '.join(names)[:200]} is not in the manifest")
        for name in names:
            if checked_name(name) in state:
                raise ValueError(f"{name} stands twice in one version")
            state[name] = digest
    if not _STAMP.fullmatch(block.created):
        raise ValueError(f"created {block.created}, no time like 2026-01-31T12:00:00Z")
    return Version(block.created, block.message, block.user.name, state)
