"""A small archive with all that ``accord verify`` looks at: a family of two versions, an entry, copies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from unit.keep import examples
from unit.keep.archives import NOON, weights

from accord.keep.archive import Archive, Why
from accord.keep.copies import Copies
from accord.keep.keys import Signer
from accord.keep.manifest import Manifest, entry_id, family_id
from accord.keep.ocfl import object_folder, object_key
from accord.keep.outgoing import own_files
from accord.keep.predicates import Bytes, Evidence, Home, Predicate
from accord.keep.roles import Role, RoleName, enrol
from accord.keep.verifying import Verified, Wanted, verify
from accord.progress import Silent

WHY = Why("kept", "Ada")
DAY = 86_400.0


class Kept(NamedTuple):
    """Where it lies. ``base`` and ``entry`` are ids of a family and of the entry of its second version."""

    folder: Path
    copies: tuple[Path, ...]
    family: str
    entry: str

    @property
    def places(self) -> tuple[Path, ...]:
        return (self.folder, *self.copies)

    def archive(self, at: float = NOON) -> Archive:
        return Archive.open(self.folder, lambda: at)

    def verify(self, wanted: Wanted | None = None, at: float = NOON) -> Verified:
        return verify(self.folder, wanted or Wanted(every=True), lambda: at)

    def moved(self, to: Path) -> Kept:
        """The same elsewhere, to break: nothing is shared with this one."""
        shutil.copytree(self.folder.parent, to)
        inside = [to / path.relative_to(self.folder.parent) for path in self.places]
        return self._replace(folder=inside[0], copies=tuple(inside[1:]))


def make(folder: Path, copies: int = 2, *, role: RoleName = "steward", signer: Signer | None = None) -> Kept:
    """Everything below ``folder``, with copies named from there, so that it can be moved as a whole."""
    signer = signer or examples.signer()
    archive = Archive.make(folder / "archive", lambda: NOON)
    old = weights(folder / "old.safetensors", {"frozen": b"f" * 90, "trained": b"1" * 70_000})
    new = weights(folder / "new.safetensors", {"frozen": b"f" * 90, "trained": b"2" * 70_000})
    files: Mapping[str, Path | bytes] = {"model.safetensors": old, "config.json": b'{"a": 1}'}
    archive.add("urn:accord:family:0", files, WHY, whole=True)
    family = family_id(archive.manifest("urn:accord:family:0"))
    shutil.rmtree(archive.folders()[0].parents[2])
    archive.add(family, files, WHY, whole=True)
    plan = {"accord/plan.toml": b"name = 'a'\n"}
    archive.add(family, {**files, "model.safetensors": new, **plan}, Why("tuned", "Ada"), whole=True)
    model = own_files(archive.manifest(family))
    entry = entry_id(model, family)
    said: list[Predicate] = [Bytes.of(model), provenance(archive, family, 2), examples.AUDIT]
    add(archive, entry, model, *said, signer=signer)
    enrol(
        folder / "archive" / "keys",
        signer.public,
        Role(signer.id, "A. Person", role, examples.role(signer).start),
    )
    made = Copies(copies + 1)
    for number in range(copies):
        made = made.enlist(archive, folder / f"copy-{number}", lambda: NOON, Silent())
    text = "".join(f'\n[[copy]]\npath = "../copy-{number}"\n' for number in range(copies))
    (folder / "archive" / "keys" / "copies.toml").write_text(f"asked = {copies + 1}\n{text}")
    for path in folder.glob("*.safetensors"):
        path.unlink()
    return Kept(folder / "archive", tuple(folder / f"copy-{n}" for n in range(copies)), family, entry)


def provenance(archive: Archive, family: str, version: int) -> Evidence:
    """Signed by whoever adds it: this version is where the model is kept."""
    home = Home(family=family, version=version, inventory_sha512=archive.inventory_sha512(family, version))
    assert examples.PROVENANCE.origin is not None
    origin = examples.PROVENANCE.origin.model_copy(update={"home": home})
    return examples.PROVENANCE.model_copy(update={"origin": origin})


def add(archive: Archive, entry: str, model: Manifest, *said: Predicate, signer: Signer) -> None:
    """The statements, each in an addition of its own."""
    chain = examples.entry(*said, manifest=model, by=[signer] * len(said))
    for name, data in chain.items():
        archive.add(entry, {f"statements/{name}": data}, Why(f"add {name}", "Ada"), whole=False)


def held(place: Path) -> dict[str, bytes]:
    """Every file below ``root``, by its path from there."""
    found: dict[str, bytes] = {}
    for above, _, names in os.walk(place / "root"):
        for name in names:
            path = Path(above) / name
            found[path.relative_to(place / "root").as_posix()] = path.read_bytes()
    return found


def folder_of(place: Path, urn: str) -> Path:
    return place / "root" / object_folder(object_key(urn))


def at(where: str | Path, urn: str) -> str:
    """What a fault names, by its path below the object."""
    return str(where).partition(f"{object_key(urn)}/")[2]


def put(path: Path, data: bytes) -> None:
    """Another file of that name: those that are linked to it elsewhere stay as they are."""
    path.unlink()
    path.write_bytes(data)


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
