"""Entries: what an archive holds of one kept model, read back: statements in order, records, state.

An entry is an object of its own: ``statements/`` one chain of envelopes, ``records/`` the Records that these
rest on, by id, ``transcripts/`` what was said, by SHA-256, ``reference.json`` only where the model was kept
before anything could load it. Its model lies in a version of a family, which the provenance statement names.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from accord.errors import Refused, Unreadable
from accord.keep.archive import Archive
from accord.keep.attested import STATEMENTS, TRANSCRIPTS, misplaced, withdrawn
from accord.keep.cards import provenance
from accord.keep.faults import Fault
from accord.keep.keys import Keys, public_keys
from accord.keep.manifest import Manifest
from accord.keep.ocfl import INVENTORY, object_folder, object_key, read_inventory
from accord.keep.outgoing import About, own_files
from accord.keep.predicates import Evidence, Home, Outcome, Retirement, State
from accord.keep.roles import Roles
from accord.keep.sound import begins, plain
from accord.keep.statements import Chain, read_chain
from accord.records import JSON, Decision, Record, read_record

__all__ = [
    "CODING",
    "RECORDS",
    "REFERENCE",
    "STATEMENTS",
    "YEAR",
    "Drilled",
    "Held",
    "entry_ids",
    "found_entry",
    "misnamed",
    "public_of",
    "read_entry",
    "record_file",
    "transcript_file",
]

RECORDS, REFERENCE, CODING = "records/", "reference.json", "coding-"
YEAR = timedelta(days=365)
_ENTRY = "urn:accord:entry:"
_DIGITS = re.compile(r"[0-9a-f]{6,32}")


class Drilled(NamedTuple):
    """The last drill that was signed: what it came to, and when by the signer's clock."""

    outcome: Outcome
    date: str

    def due(self, now: float) -> bool:
        """Whether it is a year old, so that the next one is due."""
        return datetime.fromtimestamp(now, UTC) - datetime.fromisoformat(self.date) >= YEAR


class Held(NamedTuple):
    """One entry. ``model``: the files that its statements are about; ``names``: its own files."""

    entry: str
    name: str
    home: Home
    model: Manifest
    chain: Chain
    records: Mapping[str, Record]
    names: frozenset[str]

    @property
    def state(self) -> State:
        """Where it stands in its life; a model that nobody has moved on is kept."""
        said = [one.predicate for one in self.chain.statements]
        ends: list[State] = [one.ends for one in said if isinstance(one, Retirement)]
        return ends[-1] if ends else "kept"

    @property
    def drilled(self) -> Drilled | None:
        """Its last drill; None while that is pending."""
        said = [one.predicate for one in self.chain.statements]
        drills = [one for one in said if isinstance(one, Evidence) and one.kind == "drill" and one.outcome]
        return Drilled(cast(Outcome, drills[-1].outcome), drills[-1].date) if drills else None

    @property
    def about(self) -> About:
        """What an export takes."""
        decisions = tuple(one for one in self.records.values() if isinstance(one, Decision))
        return About(self.name, self.chain, decisions)


def public_of(archive: Archive) -> tuple[Keys, Roles]:
    """The public keys of an archive and whose they are."""
    folder = archive.folder / "keys"
    return public_keys(folder), Roles.read(folder)


def entry_ids(archive: Archive) -> list[str]:
    """The ids of all entries."""
    return [one for one in archive.objects() if one.startswith(_ENTRY)]


def found_entry(archive: Archive, given: str) -> str:
    """The entry that a person means: its id, six or more of its first digits, or the name it was kept under.

    Refused where there is none, and where there are several.
    """
    ids = entry_ids(archive)
    if given in ids:
        return given
    digits = given.removeprefix(_ENTRY)
    fitting = [one for one in ids if _DIGITS.fullmatch(digits) and one.startswith(f"{_ENTRY}{digits}")]
    unread: list[str] = []
    if not fitting:
        keys, roles = public_of(archive)
        for one in ids:
            try:
                fitting += [one] if read_entry(archive, one, keys, roles).name == given else []
            except (Refused, Unreadable):  # it may be another one that is damaged
                unread.append(one)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Refused(f"{given}: is meant by {len(fitting)} entries\n  name one: {', '.join(fitting)}")
    among = f" that can be read, and {', '.join(unread)} cannot" if unread else ""
    raise Refused(f"{given}: no entry of {archive.folder}{among}\n  accord keep list names them all")


def read_entry(archive: Archive, entry: str, keys: Keys, roles: Roles) -> Held:
    """The entry with every signature checked; all that is wrong is among the faults of its chain.

    Refused where nothing that can be checked says which model it is of.
    """
    names = frozenset(archive.state(entry))
    envelopes = {
        name.removeprefix(STATEMENTS): archive.read(entry, name)
        for name in sorted(names)
        if name.startswith(STATEMENTS)
    }
    chain = read_chain(envelopes, keys, roles)
    origin = provenance(chain)
    if origin is None:
        why = str(chain.faults[0]) if chain.faults else "no statement of where it comes from"
        raise Refused(f"{entry}: {why}\n  see what is wrong: accord verify {entry}")
    home = origin.home
    model = own_files(archive.manifest(home.family, home.version))
    chain = read_chain(envelopes, keys, roles, model)
    own = withdrawn(entry, archive.inventory(entry))
    wrong = [*misplaced(entry, model, home), *_unsigned(archive, entry, home), *own]
    chain = chain._replace(faults=(*chain.faults, *wrong))
    records = {
        one.id: one
        for name in sorted(names)
        if name.startswith(RECORDS)
        for one in [_record(entry, name, archive.read(entry, name))]
    }
    named = chain.statements[0].opened.statement.name
    return Held(entry, named, home, model, chain, records, names)


def _unsigned(archive: Archive, entry: str, home: Home) -> Iterator[Fault]:
    """Where the archive takes the version that was signed for something else: its own inventory is another,
    or that of a later version, which nobody has to sign, does not say the same of it."""
    own = archive.root / object_folder(object_key(home.family)) / f"v{home.version}" / INVENTORY
    data, version = plain(own), f"version {home.version} of {home.family}"
    if data is None or hashlib.sha512(data).hexdigest() != home.inventory_sha512:
        yield Fault("contradicted", entry, f"{version} has another inventory than was signed")
    elif not begins(read_inventory(data, own), archive.inventory(home.family)):
        says = f"a later version of its family says something else of {version} than was signed"
        yield Fault("contradicted", entry, says)


def record_file(record: Record) -> tuple[str, bytes]:
    """The name and content under which a record lies in its entry."""
    body: dict[str, JSON] = {"kind": record.kind, "id": record.id, **record.body()}
    return f"{RECORDS}{record.id}.json", json.dumps(body, indent=1, sort_keys=True).encode("utf-8")


def transcript_file(transcript: bytes, before: str = "") -> tuple[str, bytes]:
    """The name and content under which a transcript lies in the entry whose statements name its SHA-256."""
    return f"{TRANSCRIPTS}{before}{hashlib.sha256(transcript).hexdigest()}.json", transcript


def misnamed(entry: str, name: str, data: bytes) -> str | None:
    """Why a record or a transcript is not what its name says, by which statements name it; else None."""
    if name.startswith(TRANSCRIPTS):
        before = CODING if name.startswith(f"{TRANSCRIPTS}{CODING}") else ""
        same = name == transcript_file(data, before)[0]
        return None if same else "is not what was said: it is named by the SHA-256 of other bytes"
    try:
        _record(entry, name, data)
    except Unreadable as error:
        return f"is not {error.expected}: {error.found}"
    return None


def _record(entry: str, name: str, data: bytes) -> Record:
    try:
        tree = cast("dict[str, JSON]", json.loads(data))
        wrote = tree.pop("id")
        record = read_record(str(tree.pop("kind")), tree)
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{entry}/{name}", "a record as accord keep wrote it", str(error)[:200]) from None
    if record.id != wrote or name != f"{RECORDS}{record.id}.json":
        raise Unreadable(f"{entry}/{name}", "a record with the id of what it holds", "another id")
    return record
