"""Keeping: a model that was taken in goes into its family, what is known of it is signed, and it runs again.

The order is what makes it safe to repeat. First all that can be refused; then the model, one version of its
family; then the statements about it, in one addition to its entry; then the drill, and the statement of it;
then copies. Whoever was killed in between repeats the command: what stands is found by what it holds, and
nothing is added twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from accord.errors import Refused
from accord.keep.adding import Onto, alone_at
from accord.keep.archive import Archive, Why
from accord.keep.cards import provenance
from accord.keep.copies import Copies
from accord.keep.entries import (
    REFERENCE,
    STATEMENTS,
    Held,
    public_of,
    read_entry,
    record_file,
    transcript_file,
)
from accord.keep.evidence import Training, drill_said
from accord.keep.faults import Fault
from accord.keep.intake import Incoming
from accord.keep.keys import Signer
from accord.keep.manifest import Manifest, entry_id, family_id
from accord.keep.outgoing import own_files
from accord.keep.predicates import Bound, Bytes, Evidence, Home, Named, Origin, Predicate
from accord.keep.revival import TOKENS, Asked, Drill, Reference, Replays, drill
from accord.keep.roles import Role
from accord.keep.sifting import OURS
from accord.keep.statements import entitled, statement
from accord.progress import Progress, Silent
from accord.records import Decision, Prompt, Record

__all__ = ["Done", "Terms", "Told", "drilled", "held_entry", "keep"]

_SILENT = Silent()
_FILLED = {"manifest_sha512", "previous", "date"}
_NONE = Decision(run="drill", step=0, action="pause", rule="drill")  # for whom may sign a drill at all


class Told(NamedTuple):
    """What is known of a model beside its files, by whoever knows the runs; of an import only its name.

    ``family``: the files of its base, None where it is one itself. ``beside``: what is kept beside the
    weights, by name. ``said``: what was found out about it; ``records``: what that rests on, and
    ``transcripts`` that it names.
    """

    name: str
    run: str | None = None
    base: Named | None = None
    family: Manifest | None = None
    plan: str | None = None
    values: str | None = None
    environment: str | None = None
    data: tuple[Named, ...] = ()
    beside: Mapping[str, bytes] = {}
    said: tuple[Predicate, ...] = ()
    records: tuple[Record, ...] = ()
    transcripts: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def training(self) -> Training:
        """What every statement says of it."""
        return "known" if self.run else "unknown"


class Terms(NamedTuple):
    """Who signs and when; and how it is drilled: ``replays`` is None where nothing here can load a model."""

    signer: Signer
    clock: Callable[[], float]
    replays: Replays | None = None
    prompts: tuple[Prompt, ...] = ()
    tokens: int = TOKENS

    @property
    def asked(self) -> Asked:
        """What a reference set is made of."""
        return Asked(self.prompts, self.tokens)

    def role(self, archive: Archive, said: Iterable[Predicate]) -> Role:
        """As what the key signs all of this now. Refused where it may not."""
        roles, now = public_of(archive)[1], self.clock()
        found = [entitled(self.signer, roles, one, now) for one in said]
        return found[0]


class Done(NamedTuple):
    """A kept model: its entry as it stands now, what was added to it this time, its drill of this time (None:
    it is pending, or was held before), and what is wrong with its copies."""

    held: Held
    added: tuple[str, ...]
    drill: Drill | None
    copies: Copies
    faults: tuple[Fault, ...]


def keep(
    archive: Archive, incoming: Incoming, told: Told, terms: Terms, progress: Progress = _SILENT
) -> Done:
    """Keep the model, or finish keeping it. Refused, before anything is written, where the key may not sign
    what is to be said, and where what stands in its entry is contradicted."""
    work = _Keeping(archive, incoming, told, terms, progress)
    first, fresh = Bytes.of(incoming.manifest), Onto(incoming.manifest, told.name)
    role = terms.role(archive, (first, *told.said))
    _ = fresh.signed([first], terms.signer, terms.clock())  # refuses a key that signs no bytes
    why = Why(f"kept: {told.name}", role.person)
    stood = _count(work.before())
    version = work.standing()
    if version is None:
        version = archive.add(work.family, work.files(), why, whole=True).number
        if own_files(archive.manifest(work.family, version)) != incoming.manifest:
            raise Refused(f"{told.name}: its files were changed while they were archived\n  keep it again")
    with alone_at(archive, work.entry, progress):
        before = work.before()
        said = [one for one in (first, work.provenance(version), *told.said) if not _stands(one, before)]
        if said:
            onto = Onto.of(before)._replace(name=told.name) if before else fresh
            files = onto.signed(said, terms.signer, terms.clock())
            files.update(record_file(one) for one in told.records)
            files.update(map(transcript_file, told.transcripts))
            archive.add(work.entry, files, why, whole=False)
    held, done = held_entry(archive, work.entry), None
    if held.drilled is None and terms.replays is not None:
        done, held = drilled(archive, held, terms, progress)
    copies = Copies.read(archive.folder / "keys" / "copies.toml")
    faults = [fault for urn in (work.family, work.entry) for fault in copies.write(archive, urn, progress)]
    added = tuple(one.where for one in held.chain.statements[stood:])
    return Done(held, added, done, copies, tuple(dict.fromkeys(faults)))


def drilled(archive: Archive, held: Held, terms: Terms, progress: Progress = _SILENT) -> tuple[Drill, Held]:
    """Hold a drill, sign what it came to, and add that to the entry; and the entry as it stands then.

    Refused before the model is loaded where the key may not sign it, or where no engine is there. What others
    added while it was held stays in its place: the drill follows it.
    """
    if terms.replays is None:
        raise Refused(f"{held.entry}: nothing here can load a model\n  pip install 'accord[train]'")
    _check(held)
    origin = provenance(held.chain)
    training: Training = "known" if origin and origin.purpose == "model" else "unknown"
    role = terms.role(archive, [drill_said(_NONE, "failed", (), training)])
    done = drill(archive, held, terms.replays, terms.asked, progress)
    with alone_at(archive, held.entry, progress):
        held = held_entry(archive, held.entry)
        _check(held)
        if done.fresh is not None and REFERENCE in held.names:
            what = "another process made its reference set meanwhile, and that one counts"
            raise Refused(f"{held.entry}: {what}\n  accord revive {held.entry} --drill")
        number = 1 + sum(_is_drill(one.predicate) for one in held.chain.statements)
        decision = done.decision(held.entry, number)
        said = drill_said(decision, done.verdict, done.rests_on, training)
        files = Onto.of(held).signed([said], terms.signer, terms.clock())
        files.update([record_file(decision)])
        if done.fresh is not None:
            files[REFERENCE] = done.fresh.encode()
        archive.add(held.entry, files, Why(f"drill {number}: {done.verdict}", role.person), whole=False)
        return done, held_entry(archive, held.entry)


def held_entry(archive: Archive, entry: str) -> Held:
    """The entry as it stands, checked with the keys of its archive."""
    keys, roles = public_of(archive)
    return read_entry(archive, entry, keys, roles)


class _Keeping(NamedTuple):
    archive: Archive
    incoming: Incoming
    told: Told
    terms: Terms
    progress: Progress

    @property
    def family(self) -> str:
        return family_id(self.told.family or self.incoming.manifest)

    @property
    def entry(self) -> str:
        return entry_id(self.incoming.manifest, self.family)

    def before(self) -> Held | None:
        """The entry as it stands; None where there is none. Refused where nothing can be added to it."""
        if self.entry not in self.archive.objects():
            return None
        found = held_entry(self.archive, self.entry)
        _check(found)
        _check_training(found, self.told)
        said, now = drill_said(_NONE, "failed", (), self.told.training), self.terms.clock()
        # Refuses a clock that was set back.
        _ = statement(self.incoming.manifest, said, found.chain.last, name=self.told.name, at=now)
        return found

    def standing(self) -> int | None:
        """The newest version with these files and, but for its reference set, these beside them."""
        if self.family not in self.archive.objects():
            return None
        beside = self.told.beside
        wanted = {f"{OURS}/{name}": hashlib.sha256(data).hexdigest() for name, data in beside.items()}
        for kept in reversed(self.archive.versions(self.family)):
            found = self.archive.manifest(self.family, kept.number)
            others = {one.name: one.sha256 for one in found.files if one.name.startswith(f"{OURS}/")}
            others.pop(f"{OURS}/{REFERENCE}", None)
            if own_files(found) == self.incoming.manifest and others == wanted:
                return kept.number
        return None

    def files(self) -> dict[str, Path | bytes]:
        """What the version holds: the model, what is kept beside it, and what it says when it is asked."""
        beside = {f"{OURS}/{name}": data for name, data in self.told.beside.items()}
        found: dict[str, Path | bytes] = {**self.incoming.named, **beside}
        if self.terms.replays is None:
            return found
        name, file = next(iter(self.incoming.named.items()))
        folder = file.parents[len(PurePosixPath(name).parts) - 1]
        made = self.terms.replays(folder, self.terms.asked, self.progress)
        if isinstance(made, str):
            self.progress.say(f"{self.told.name} says nothing to be kept beside it: {made}")
        else:
            found[f"{OURS}/{REFERENCE}"] = Reference.of(self.terms.asked, made).encode()
        return found

    def provenance(self, version: int) -> Evidence:
        """Where the model comes from, and where it is kept."""
        told, digest = self.told, self.archive.inventory_sha512(self.family, version)
        origin = Origin(
            purpose="model" if told.run else "imported",
            home=Home(family=self.family, version=version, inventory_sha512=digest),
            environment=told.environment,
            run=told.run,
            plan=told.plan,
            values=told.values,
            data=told.data,
            base=told.base,
        )
        return Evidence(training=told.training, kind="provenance", origin=origin)


def _check(held: Held) -> None:
    """Nothing is added to what is contradicted or unknown: it would be named as what came before."""
    if held.chain.faults:
        raise Refused(
            f"{held.entry}: {held.chain.faults[0]}\n  see what is wrong: accord verify {held.entry}"
        )


def _check_training(held: Held, told: Told) -> None:
    said = {one.predicate.training for one in held.chain.statements if isinstance(one.predicate, Bound)}
    if said - {told.training}:
        raise Refused(
            f"{held.entry}: was kept as {held.name}, its training {', '.join(sorted(said))}; what was signed "
            f"stands, and its training {told.training} would contradict it\n  accord verify {held.entry}"
        )


def _stands(said: Predicate, held: Held | None) -> bool:
    """Whether it was said before, whenever that was."""
    return held is not None and any(_plain(one.predicate) == _plain(said) for one in held.chain.statements)


def _plain(said: Predicate) -> object:
    return said.type, said.model_dump(exclude=_FILLED if isinstance(said, Bound) else None)


def _is_drill(said: Predicate) -> bool:
    return isinstance(said, Evidence) and said.kind == "drill"


def _count(held: Held | None) -> int:
    return sum(name.startswith(STATEMENTS) for name in held.names) if held else 0
