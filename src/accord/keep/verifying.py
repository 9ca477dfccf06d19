"""Verification: bytes, structure, signatures, order, copies, and what was taken away. ``accord verify``.

Entries come first, for they say which inventories of families were signed. What was removed by hand is known
from three sides: a copy still has it, an earlier check saw it, or a statement names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from accord.errors import Refused, Unreadable
from accord.keep.archive import Archive
from accord.keep.attested import (
    TRANSCRIPTS,
    breaches,
    checked_chain,
    contradictions,
    envelopes,
    homes,
    whole,
    withdrawn,
)
from accord.keep.copies import Copies
from accord.keep.entries import RECORDS, misnamed
from accord.keep.examining import Examination, How, unread
from accord.keep.faults import Fault, worst
from accord.keep.fixity import Checks, Pace, Reader, due
from accord.keep.keys import Keys, public_keys
from accord.keep.manifest import Manifest
from accord.keep.ocfl import object_key
from accord.keep.outgoing import own_files
from accord.keep.recovery import locked
from accord.keep.retirement import standing
from accord.keep.roles import Roles
from accord.keep.roots import check_roots
from accord.keep.statements import Chain
from accord.keep.steps import Steps
from accord.keep.transfer import Place
from accord.progress import Progress, Silent
from accord.stores.files import disk

__all__ = ["Verified", "Wanted", "overdue", "verify"]

_ENTRY = "urn:accord:entry:"
_SILENT = Silent()


class Wanted(NamedTuple):
    """What to verify. ``only``: every byte of an entry, and of the family that it names; else ``every`` byte,
    or else those that are due. ``anew``: nothing counts that a run which was killed had read. ``pace``: bytes
    a second at most."""

    only: str = ""
    every: bool = False
    repair: bool = False
    pace: float | None = None
    threads: int = 2
    anew: bool = False


class Verified(NamedTuple):
    """All that was found. ``objects`` were looked at; of them ``files`` and ``size`` bytes were read again,
    and ``left`` files were not: that was done, or they were written, within 90 days.

    ``copies``: in how many places each of them lies whole, at the least, of those ``asked`` for.
    """

    faults: tuple[Fault, ...]
    mended: tuple[Path, ...]
    notes: tuple[str, ...]
    chains: Mapping[str, Chain]
    objects: int
    files: int
    size: int
    left: int
    resumed: bool
    copies: int
    asked: int

    @property
    def code(self) -> int:
        """0, 3 or 4, as a command ends."""
        return worst(self.faults)


def verify(
    folder: Path,
    wanted: Wanted,
    clock: Callable[[], float],
    progress: Progress = _SILENT,
    steps: Steps | None = None,
) -> Verified:
    """Check an archive and its copies, and with ``repair`` mend in each what another one has whole.

    What was read is in ``fixity/`` before it counts; after a kill the same again goes on from there.
    """
    if not (folder / "root").is_dir():
        raise Refused(f"{folder}: holds no archive\n  name one with --archive")
    steps = steps or Steps()
    with disk(folder), locked(folder / "work" / "locks", "fixity", 0.0, progress):
        copies, unread = _listed(folder / "keys" / "copies.toml")
        places = (Place("", folder), *copies.places)
        mended, faults = check_roots(places, wanted.repair, steps)
        for place in places:
            # What a killed writer left is finished; where that cannot be, it is found wanting below.
            with suppress(Refused, Unreadable, OSError):
                Archive.open(place.folder, clock, progress, steps)
        checks = Checks(folder / "fixity", clock)
        found = Examination(places, checks, clock, steps, progress)
        keys, roles, wrong = _people(folder / "keys")
        found.mended, found.faults = mended, [*faults, *unread, *wrong]
        return _Verification(Archive(folder, clock, progress, steps, 60.0), found, checks, places).run(
            wanted, copies, keys, roles
        )


def overdue(archive: Archive, clock: Callable[[], float]) -> tuple[Fault, ...]:
    """The objects that were not read whole within 90 days. Reads no content, and writes nothing."""
    checks = Checks(archive.folder / "fixity", clock)
    found: list[Fault] = []
    for urn in archive.objects():
        last = checks.last("", object_key(urn))
        created = datetime.fromisoformat(archive.versions(urn)[0].created).timestamp()
        if due(last, created, clock()):
            found.append(Fault("cannot be checked", urn, unread(last, created, clock())))
    return tuple(found)


class _Verification:
    def __init__(
        self, archive: Archive, found: Examination, checks: Checks, places: tuple[Place, ...]
    ) -> None:
        self._archive, self._found, self._checks, self._places = archive, found, checks, places

    def run(self, wanted: Wanted, copies: Copies, keys: Keys, roles: Roles) -> Verified:
        found, checks = self._found, self._checks
        known = found.survey()
        entries = [key for key in known if found.id(key).startswith(_ENTRY)]
        chosen = self._named(entries, wanted.only) if wanted.only else ""
        every = wanted.every or (not chosen and checks.unfinished("all"))
        resumed = checks.begin(chosen or ("all" if every else "due"), wanted.anew)
        how = How(not (chosen or every), wanted.repair)
        others = [key for key in known if key not in entries]
        entries = [chosen] if chosen else entries
        chains: dict[str, Chain] = {}
        with Reader(wanted.threads, Pace(wanted.pace), found.progress) as reader:
            found.look(reader, entries, how, {})
            for key in entries:
                chains[found.id(key)] = checked_chain(found.id(key), self._files(key), keys, roles, None)[0]
            signed = _signed(chains)
            others = [key for key in others if not chosen or found.id(key) in signed]
            found.look(reader, others, how, signed)
        self._statements(entries, chains, keys, roles)
        self._copies(copies, chains)
        if not chosen:
            self._unnamed(others, signed)
        checks.end()
        return Verified(
            tuple(dict.fromkeys(found.faults)),
            tuple(found.mended),
            tuple(found.notes),
            chains,
            len(entries) + len(others),
            found.files,
            found.size,
            found.left,
            resumed,
            min(found.whole.values(), default=len(self._places)),
            copies.asked,
        )

    def _named(self, entries: list[str], given: str) -> str:
        """The key of the entry with this id, or whose id's last part begins so and no other's."""
        ids = {self._found.id(key): key for key in entries}
        near = [urn for urn in ids if urn == given or urn.rpartition(":")[2].startswith(given)]
        if len(near) == 1:
            return ids[near[0]]
        which = f"{len(near)} entries have an id that begins so" if near else "no entry has that id"
        raise Refused(f"{given}: {which}\n  accord keep list names them all")

    def _files(self, key: str) -> dict[str, bytes]:
        return envelopes(self._found.agreed[key], [place.object(key) for place in self._places])

    def _statements(self, entries: list[str], chains: dict[str, Chain], keys: Keys, roles: Roles) -> None:
        """Signatures, order, and whether the models that statements are about are those that are kept."""
        found = self._found
        families = {found.id(key): agreed for key, agreed in found.agreed.items()}
        for key in entries:
            urn = found.id(key)
            newest = found.agreed[key].newest
            if found.agreed[key].against or newest is None:
                continue  # told already
            model = self._model(chains[urn])
            chains[urn], faults = checked_chain(urn, self._files(key), keys, roles, model)
            found.faults += [*faults, *contradictions(urn, chains[urn], families)]
            found.faults += withdrawn(urn, newest)
            broken = breaches(chains[urn], standing(chains[urn]), newest.versions[-1].state)
            found.faults += [fault._replace(where=f"{urn}/{fault.where}") for fault in broken]
            found.faults += self._misnamed(key)

    def _misnamed(self, key: str) -> Iterator[Fault]:
        """Records and transcripts that are whole and not what the statements that name them were about."""
        urn, folders = self._found.id(key), [place.object(key) for place in self._places]
        for name, data in whole(self._found.agreed[key], folders, RECORDS, TRANSCRIPTS):
            if why := misnamed(urn, name, data):
                yield Fault("contradicted", f"{urn}/{name}", why)

    def _unnamed(self, others: list[str], signed: Mapping[str, Mapping[int, set[str]]]) -> None:
        """Versions that nobody signed: what a killed ``accord keep`` left, or what somebody put there."""
        found = self._found
        for key in others:
            bare = sorted(set(range(1, found.agreed[key].head + 1)) - signed.get(found.id(key), {}).keys())
            if bare:
                numbers = ", ".join(map(str, bare))
                found.notes.append(f"{found.id(key)}: no statement that holds names version {numbers}")

    def _model(self, chain: Chain) -> Manifest | None:
        """The files that the statements have to be about, where the family is sound enough to say."""
        for _, home in homes(chain):
            lies = str(self._places[0].object(object_key(home.family)))
            if any(fault.where.startswith(lies) for fault in self._found.faults):
                continue  # told already, and what follows from it would be no news
            with suppress(Refused, Unreadable, OSError):
                return own_files(self._archive.manifest(home.family, home.version))
        return None

    def _copies(self, copies: Copies, chains: Mapping[str, Chain]) -> None:
        """Those that are not there, and too few of them. A demonstration needs no more than one."""
        found = self._found
        for fault in copies.faults():
            lasts = [self._checks.last(fault.where, key) for key in found.agreed]
            late = [key for key, last in zip(found.agreed, lasts, strict=True) if due(last, 0.0, found.now)]
            read = f"; {len(late)} objects there are overdue to be read" if late else ""
            found.faults.append(fault._replace(says=f"{fault.says}{read}"))
        if not found.whole:
            found.notes.append("nothing is kept here yet")
            return
        number = min(found.whole.values())
        line = f"{number} of {copies.asked} copies; one process writes all copies, so its faults reach all"
        signed = [one for chain in chains.values() for one in chain.statements]
        demonstration = bool(signed) and all(one.demonstration for one in signed)
        if number >= copies.asked or demonstration:
            found.notes.append(line)
        else:
            where = str(self._archive.folder / "keys" / "copies.toml")
            remedy = "make another one: accord keep copy DIR"
            found.faults.append(Fault("cannot be checked", where, f"{line}; {remedy}"))


def _listed(file: Path) -> tuple[Copies, tuple[Fault, ...]]:
    """The copies, none where the list of them cannot be read; and what is wrong with it."""
    try:
        return Copies.read(file), ()
    except Unreadable as error:
        return Copies(), (_unread(error),)


def _people(folder: Path) -> tuple[Keys, Roles, tuple[Fault, ...]]:
    """Public keys, roles, and what is wrong with either."""
    keys = public_keys(folder)
    try:
        return keys, Roles.read(folder), keys.faults
    except Unreadable as error:
        return keys, Roles(), (*keys.faults, _unread(error))


def _unread(error: Unreadable) -> Fault:
    return Fault("contradicted", error.file, f"expected {error.expected}; found {error.found}")


def _signed(chains: Mapping[str, Chain]) -> dict[str, dict[int, set[str]]]:
    """By family and version the digests of inventories that statements name."""
    signed: dict[str, dict[int, set[str]]] = {}
    for chain in chains.values():
        for _, home in homes(chain):
            signed.setdefault(home.family, {}).setdefault(home.version, set()).add(home.inventory_sha512)
    return signed
