"""Is a flipped bit found, by the name of its file, and repaired to the byte? Is a forged statement refused?

The archive is the small one of the tests (``tests/unit/keep/kept.py``): a family of two versions, an entry of
three statements, copies. ``flips`` turns one bit in a file of each kind, in the archive or in a copy, looks,
repairs and looks again. ``forged`` alters each signed field of each kind of statement, swaps keys and takes
statements out; whoever does so writes the archive anew around it, so no digest tells and only signatures do.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.keep import examples
from unit.keep.archives import NOON
from unit.keep.kept import Kept, flip, folder_of, held, make, provenance, put
from unit.keep.lives import DRILLED
from unit.keep.test_envelopes import altered, leaves
from unit.keep.test_envelopes import put as change
from unit.keep.test_retirement import said as said_of

from accord.keep.archive import Archive, Why
from accord.keep.entries import transcript_file
from accord.keep.keys import Signer
from accord.keep.manifest import Manifest
from accord.keep.outgoing import own_files
from accord.keep.predicates import Bytes, Predicate
from accord.keep.roles import Role, enrol
from accord.keep.verifying import Wanted
from accord.records import canonical

__all__ = ["KINDS", "Flips", "Forged", "flips", "forged", "kind_of"]

KINDS = ("content", "inventory", "sidecar", "envelope")
_LIFE = (("kept", "active"), ("active", "notice"))
_MEND = Wanted(every=True, repair=True)


class Flips(NamedTuple):
    """Of so many flipped bits: those found, with no other file blamed; those repaired. By kind of file, and
    what went wrong in words."""

    flipped: dict[str, int]
    found: dict[str, int]
    repaired: dict[str, int]
    wrong: tuple[str, ...]


def kind_of(path: str) -> str:
    """What a file below ``root`` is; "" for one that an archive has and no object."""
    name = path.rpartition("/")[2]
    if name == "inventory.json.sha512":
        return "sidecar"
    if name == "inventory.json":
        return "inventory"
    if name.endswith(".sigstore.json"):
        return "envelope"
    return "content" if "/content/" in path else ""


def flips(folder: Path, rounds: int, seed: int) -> Flips:
    """So many rounds of one bit in one file of each kind, each in the archive or one of two copies."""
    kept, draw = make(folder / "flips", copies=2), random.Random(f"flips/{seed}")
    good = [held(place) for place in kept.places]
    by = {kind: sorted(path for path in good[0] if kind_of(path) == kind) for kind in KINDS}
    flipped, found, repaired = Counter[str](), Counter[str](), Counter[str]()
    wrong: list[str] = []
    for _ in range(rounds):
        hurt: dict[str, str] = {}
        for kind, paths in by.items():
            path = draw.choice(paths)
            file = draw.choice(kept.places) / "root" / path
            put(file, flip(good[0][path], draw.randrange(8 * len(good[0][path]))))
            hurt[str(file)] = kind
        flipped.update(hurt.values())
        seen = kept.verify()
        blamed = {os.path.normpath(one.where) for one in seen.faults if one.kind == "contradicted"}
        found.update(kind for file, kind in hurt.items() if file in blamed and seen.code == 3)
        wrong += [f"blamed and sound: {os.path.relpath(file, folder)}" for file in blamed - set(hurt)]
        after = kept.verify(_MEND)
        whole = after.code == 0 and [held(place) for place in kept.places] == good
        mended = set(map(os.path.normpath, after.mended))
        repaired.update(kind for file, kind in hurt.items() if file in mended and whole)
        if not whole:  # each round begins with what is sound
            wrong += [f"not repaired: {', '.join(os.path.relpath(file, folder) for file in hurt)}"]
            shutil.rmtree(folder / "flips")
            kept = make(folder / "flips", copies=2)
            good = [held(place) for place in kept.places]
    shutil.rmtree(folder / "flips")
    return Flips(dict(flipped), dict(found), dict(repaired), tuple(wrong))


class Forged(NamedTuple):
    """What was done to the archive, on how many places, and on how many ``accord verify`` ends with 3."""

    what: str
    tried: int
    refused: int
    wrong: tuple[str, ...]


def forged(folder: Path, every: int = 1) -> list[Forged]:
    """Every signed field altered, or every so-manieth; keys swapped, statements from the middle."""
    made = make(folder / "forged", copies=0)
    archive = made.archive()
    model = own_files(archive.manifest(made.family))
    said: list[Predicate] = [
        Bytes.of(model),
        provenance(archive, made.family, 2),
        examples.GATE,
        examples.AUDIT,
        examples.DIALOGUE,
        DRILLED.model_copy(update={"training": "known"}),
        *(said_of(*one).model_copy(update={"training": "known"}) for one in _LIFE),
    ]
    chain = examples.entry(*said, manifest=model)
    forger = _Forger(made, chain, folder / "work")
    if code := forger.code(lambda _: chain):
        raise RuntimeError(f"the chain that nobody touched ends with {code}")
    found = [_altered(forger, name, one, every) for name, one in zip(chain, said, strict=True)]
    found += [_from_the_middle(forger), *_keys(forger, said)]
    shutil.rmtree(folder / "forged")
    return found


class _Forger(NamedTuple):
    """Writes the entry anew in a copy of the archive, with other statements or keys, and verifies that."""

    kept: Kept
    chain: dict[str, bytes]
    work: Path

    def code(self, forge: Callable[[Path], dict[str, bytes]]) -> int:
        """What ``accord verify --all`` ends with."""
        here = self.kept.moved(self.work)
        try:
            files = {f"statements/{name}": data for name, data in forge(here.folder / "keys").items()}
            files.update([transcript_file(b"talk")])  # which the dialogue's statement names
            shutil.rmtree(folder_of(here.folder, here.entry).parents[2], ignore_errors=True)
            archive = Archive.open(here.folder, lambda: NOON)
            archive.add(here.entry, files, Why("forged", "Mallory"), whole=True)
            return here.verify().code
        finally:
            shutil.rmtree(self.work)

    def all(self, what: str, forgeries: Iterator[tuple[str, Callable[[Path], dict[str, bytes]]]]) -> Forged:
        codes = {name: self.code(forge) for name, forge in forgeries}
        wrong = tuple(f"{name}: exit {code}" for name, code in codes.items() if code != 3)
        return Forged(what, len(codes), len(codes) - len(wrong), wrong)


def _altered(forger: _Forger, name: str, predicate: Predicate, every: int) -> Forged:
    """Each field of the signed statement, alone."""
    bundle = json.loads(forger.chain[name])
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))

    def forgeries() -> Iterator[tuple[str, Callable[[Path], dict[str, bytes]]]]:
        for path in [path for path in leaves(payload) if path][::every]:
            tree, other = json.loads(json.dumps(payload)), json.loads(json.dumps(bundle))
            change(tree, path, altered)
            other["dsseEnvelope"]["payload"] = base64.b64encode(canonical(tree).encode()).decode()
            files = {**forger.chain, name: canonical(other).encode()}
            yield "/".join(map(str, path)), lambda _, files=files: files

    word = getattr(predicate, "kind", getattr(predicate, "ends", ""))
    of = f"{predicate.word}, {word}" if word else predicate.word
    return forger.all(f"a field of a statement of {of}", forgeries())


def _from_the_middle(forger: _Forger) -> Forged:
    """Every one but the last, which only a log in other hands would miss."""

    def forgeries() -> Iterator[tuple[str, Callable[[Path], dict[str, bytes]]]]:
        for gone in list(forger.chain)[:-1]:
            files = {name: data for name, data in forger.chain.items() if name != gone}
            yield gone, lambda _, files=files: files

    return forger.all("a statement taken from the middle", forgeries())


def _keys(forger: _Forger, said: list[Predicate]) -> list[Forged]:
    """Another key under the name of the one that signed, the name of another, and statements signed anew by a
    key that the archive knows and that has no such role."""
    mine, other = examples.signer(), examples.signer("mallory")

    def swapped(keys: Path) -> dict[str, bytes]:
        (keys / f"{mine.id}.pem").write_bytes(other.public_pem)
        return forger.chain

    def renamed(keys: Path) -> dict[str, bytes]:
        _known(keys, other)
        return {
            name: data.replace(mine.id.encode(), other.id.encode()) for name, data in forger.chain.items()
        }

    def anew(number: int) -> Callable[[Path], dict[str, bytes]]:
        def forge(keys: Path) -> dict[str, bytes]:
            _known(keys, other)
            by = [other if place == number else mine for place in range(len(said))]
            return examples.entry(*said, manifest=_model(forger), by=by)

        return forge

    closed = ("bytes", "dialogue", "retirement")  # the others an auditor may sign
    resigned = ((one.word, anew(place)) for place, one in enumerate(said) if one.word in closed)
    return [
        forger.all("a public key swapped", iter([("the steward's", swapped)])),
        forger.all("the id of another key claimed", iter([("all", renamed)])),
        forger.all("signed by an auditor, who may not", resigned),
    ]


def _model(forger: _Forger) -> Manifest:
    return own_files(forger.kept.archive().manifest(forger.kept.family))


def _known(keys: Path, signer: Signer) -> None:
    enrol(keys, signer.public, Role(signer.id, "B. Person", "auditor", examples.role(signer).start))
