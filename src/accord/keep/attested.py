"""What statements say of where a model is kept, read from an entry wherever it lies whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from accord.keep.faults import Fault
from accord.keep.keys import Keys
from accord.keep.manifest import Manifest, entry_id
from accord.keep.predicates import Evidence, Home
from accord.keep.roles import Roles
from accord.keep.sound import Agreed, plain
from accord.keep.statements import Chain, read_chain

__all__ = ["STATEMENTS", "Homed", "contradictions", "envelopes", "homes", "read_entry"]

STATEMENTS = "statements/"


class Homed(NamedTuple):
    """A statement that was checked, and where it says that its model is kept."""

    where: str
    home: Home


def envelopes(agreed: Agreed, folders: Sequence[Path]) -> dict[str, bytes]:
    """The statements of an entry's newest version, by file name, as they lie whole in any of ``folders``."""
    newest = agreed.newest
    found: dict[str, bytes] = {}
    for name, digest in newest.versions[-1].state.items() if newest else ():
        if newest is None or not name.startswith(STATEMENTS):
            continue
        for folder in folders:
            data = plain(folder / newest.content[digest])
            if data is not None and hashlib.sha512(data).hexdigest() == digest:
                found[name.removeprefix(STATEMENTS)] = data
                break
    return found


def homes(chain: Chain) -> tuple[Homed, ...]:
    """Where the statements of a chain say that its model is kept; only those whose signature holds."""
    return tuple(
        Homed(signed.where, signed.predicate.origin.home)
        for signed in chain.statements
        if isinstance(signed.predicate, Evidence) and signed.predicate.origin is not None
    )


def read_entry(
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
    elif model is not None and entry_id(model, homes(chain)[-1].home.family) != urn:
        faults.append(Fault("contradicted", urn, "is the entry of another model or family than it names"))
    return chain, tuple(faults)


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
