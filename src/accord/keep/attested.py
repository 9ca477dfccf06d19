"""What statements say of where a model is kept, read from an entry wherever it lies whole."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from accord.keep.faults import Fault
from accord.keep.keys import Keys
from accord.keep.manifest import Manifest, entry_id
from accord.keep.ocfl import Inventory
from accord.keep.predicates import Dialogue, Evidence, Home
from accord.keep.retirement import Standing
from accord.keep.roles import Roles
from accord.keep.sound import Agreed, plain
from accord.keep.statements import Chain, read_chain

__all__ = [
    "STATEMENTS",
    "TRANSCRIPTS",
    "Homed",
    "breaches",
    "checked_chain",
    "contradictions",
    "envelopes",
    "homes",
    "misplaced",
    "whole",
    "withdrawn",
]

STATEMENTS, TRANSCRIPTS = "statements/", "transcripts/"


class Homed(NamedTuple):
    """A statement that was checked, and where it says that its model is kept."""

    where: str
    home: Home


def envelopes(agreed: Agreed, folders: Sequence[Path]) -> dict[str, bytes]:
    """The statements of an entry's newest version, by file name, as they lie whole in any of ``folders``."""
    return {name.removeprefix(STATEMENTS): data for name, data in whole(agreed, folders, STATEMENTS)}


def whole(agreed: Agreed, folders: Sequence[Path], *under: str) -> Iterator[tuple[str, bytes]]:
    """Files of an entry's newest version whose names begin so, as they lie whole in one of ``folders``."""
    newest = agreed.newest
    if newest is None:
        return
    for name, digest in newest.versions[-1].state.items():
        if not name.startswith(under):
            continue
        for folder in folders:
            data = plain(folder / newest.content[digest])
            if data is not None and hashlib.sha512(data).hexdigest() == digest:
                yield name, data
                break


def homes(chain: Chain) -> tuple[Homed, ...]:
    """Where the statements of a chain say that its model is kept; only those whose signature holds."""
    return tuple(
        Homed(signed.where, signed.predicate.origin.home)
        for signed in chain.statements
        if isinstance(signed.predicate, Evidence) and signed.predicate.origin is not None
    )


def checked_chain(
    urn: str, files: Mapping[str, bytes], keys: Keys, roles: Roles, model: Manifest | None
) -> tuple[Chain, tuple[Fault, ...]]:
    """The chain of an entry, and what is wrong with it, each fault beginning with the entry's id."""
    chain = read_chain(files, keys, roles, model)
    faults = [fault._replace(where=f"{urn}/{STATEMENTS}{fault.where}") for fault in chain.faults]
    if not files:
        faults.append(Fault("cannot be checked", urn, "has no statement: nobody has signed what it is about"))
    elif not homes(chain):
        says = "no statement that holds says where its model is kept"
        faults.append(Fault("cannot be checked", urn, says))
    elif model is not None:
        faults += misplaced(urn, model, homes(chain)[-1].home)
    return chain, tuple(faults)


def misplaced(urn: str, model: Manifest, home: Home) -> Iterator[Fault]:
    """Where the entry is not that of this model in this family: sound statements, put into another one."""
    if entry_id(model, home.family) != urn:
        yield Fault("contradicted", urn, "is the entry of another model or family than it names")


def withdrawn(urn: str, entry: Inventory) -> Iterator[Fault]:
    """What an earlier version of an entry has and the newest one has not. An entry only grows: a version that
    leaves the last statement out, and nobody has to sign it, would take a model back to an earlier state."""
    last, told = entry.versions[-1].state, set[str]()
    for number, version in enumerate(entry.versions, start=1):
        for name in sorted(name for name, digest in version.state.items() if last.get(name) != digest):
            if name not in told:
                says = f"stands in version {number}, and no more as it was in version {entry.head}: taken out"
                yield Fault("contradicted", f"{urn}/{name}", says)
            told.add(name)


def contradictions(urn: str, chain: Chain, families: Mapping[str, Agreed]) -> Iterator[Fault]:
    """Where a statement names a family, a version or an inventory that is not there."""
    for where, home in homes(chain):
        at, family = f"{urn}/{STATEMENTS}{where}", families.get(home.family)
        if family is None:
            says = f"names {home.family}, which lies nowhere: removed by hand"
            yield Fault("contradicted", at, says)
            continue
        if family.against:
            continue  # told already
        mark = family.marks[home.version - 1] if home.version <= family.head else None
        if home.version > family.head:
            says = f"names version {home.version} of {home.family}, which has {family.head}: removed by hand"
            yield Fault("contradicted", at, says)
        elif mark and hashlib.sha512(mark.data).hexdigest() != home.inventory_sha512:
            says = f"signs another inventory of version {home.version} than {home.family} has"
            yield Fault("contradicted", at, says)


def breaches(chain: Chain, found: Standing, names: Collection[str]) -> Iterator[Fault]:
    """What breaks the rules of retirement in a chain that stands as ``found``, and the transcripts that it
    names and that are not among the ``names`` of the entry's files."""
    # A step that cannot be checked is no step here, and the one after it then seems to skip it.
    unknown = any(one.kind == "cannot be checked" for one in chain.faults)
    for one in found.faults:
        yield Fault("cannot be checked" if unknown else one.kind, f"{STATEMENTS}{one.where}", one.says)
    held = found.interviewed.sessions if found.interviewed else ()
    named = [(one.transcript, "the interview's statement") for one in held]
    talks = [one.predicate for one in chain.statements if isinstance(one.predicate, Dialogue)]
    named += [(one, "the statement of a dialogue") for talk in talks for one in talk.transcripts]
    for digest, by in named:
        if (name := f"{TRANSCRIPTS}{digest}.json") not in names:
            yield Fault("contradicted", name, f"is named by {by}, and is not there")
