"""Statements about a kept model, each naming the one before it: made here, and read back as a chain.

An entry's chain begins with the bytes statement, which is not ours and names nothing; each of ours names the
SHA-256 of the envelope before it. One taken out of the middle is missed so. One cut off the end is not: that
takes a log in other hands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from accord.errors import Refused
from accord.keep.envelopes import Envelope, Opened, Statement, parsed, verified
from accord.keep.faults import Fault
from accord.keep.keys import Keys, Signer
from accord.keep.manifest import Manifest
from accord.keep.predicates import Bound, Bytes, Predicate
from accord.keep.roles import Role, RoleName, Roles
from accord.keep.untrusted import shown

__all__ = [
    "DEMONSTRATION",
    "EVIDENCE_RULE",
    "Chain",
    "Signed",
    "check_bytes",
    "entitled",
    "envelope_name",
    "read_chain",
    "statement",
]

EVIDENCE_RULE = (
    "A signature proves: these bytes, this key; its date is the signer’s clock. It proves neither truth nor "
    "good faith.",
    "An audit shows what was measured and names what was not.",
    "An interview is a behavioural record under stated conditions, no evidence for or against experience.",
)
"""Reports print these sentences beside the material."""

DEMONSTRATION = "signed with a demonstration key, which no person answers for"

_MAY: Mapping[str, frozenset[RoleName]] = {
    "bytes": frozenset({"steward", "demonstration"}),
    "evidence": frozenset({"steward", "auditor", "demonstration"}),
    "audit": frozenset({"steward", "auditor", "demonstration"}),
    "dialogue": frozenset({"steward", "demonstration"}),
    "retirement": frozenset({"steward", "demonstration"}),
}
_LONGEST_NAME = 300  # characters of a file's name in a message: anybody may have written the signature
# What the reference signer leaves out of every model, beside what a signature lists.
_GIT = (".git", ".gitattributes", ".github", ".gitignore")


class Signed(NamedTuple):
    """A statement whose signature holds, in its place in the chain, and who signed it as what."""

    where: str
    opened: Opened
    role: Role

    @property
    def predicate(self) -> Predicate:
        """What it says."""
        return self.opened.statement.predicate

    @property
    def demonstration(self) -> bool:
        """Whether the key is one that nobody answers for."""
        return self.role.role == "demonstration"

    @property
    def says(self) -> str:
        """One line for a reader; a demonstration key and unknown training are always in it."""
        predicate = self.predicate
        when = f", dated {predicate.date}" if isinstance(predicate, Bound) else ""
        unknown = isinstance(predicate, Bound) and predicate.training == "unknown"
        who = DEMONSTRATION if self.demonstration else f"signed by {self.role.person} ({self.role.role})"
        return f"{self.where}: {predicate.word}{when}, {who}{'; training unknown' if unknown else ''}"


class Chain(NamedTuple):
    """The statements of an entry, in order, and all that is wrong with them. Those whose signature or signer
    could not be checked are among the faults only; those out of order are in both."""

    statements: tuple[Signed, ...]
    faults: tuple[Fault, ...]

    @property
    def demonstration(self) -> bool:
        """Whether any of them was signed with a demonstration key."""
        return any(signed.demonstration for signed in self.statements)

    @property
    def last(self) -> Opened | None:
        """What the next statement has to name."""
        return self.statements[-1].opened if self.statements else None

    @property
    def says(self) -> tuple[str, ...]:
        """A line for each statement, then one for each fault."""
        return (*(signed.says for signed in self.statements), *(str(fault) for fault in self.faults))


def statement(
    manifest: Manifest, predicate: Predicate, previous: Opened | None, *, name: str, at: float
) -> Statement:
    """The predicate bound to a model, to the statement before it and to a time (seconds since 1970).

    Refused: a clock that stands before the date of the previous statement, a previous one about another
    model, and a bytes statement that would not be the first.
    """
    root = manifest.oms_root
    if previous is not None and previous.statement.root != root:
        raise Refused(
            f"the statement before this one is about another model: {previous.statement.root[:16]}, not "
            f"{root[:16]}\n  begin an entry of its own for it"
        )
    if not isinstance(predicate, Bound):
        if previous is not None:
            raise Refused("a bytes statement begins a chain: its form has no room for the one before it")
        return Statement(name, root, predicate)
    date = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if previous is not None and date < (earlier := _date(previous.statement)):
        raise Refused(
            f"the clock was set back: it says {date}, and the statement before this one {earlier}\n"
            "  set the clock right, then repeat"
        )
    update = {
        "manifest_sha512": manifest.sha512,
        "previous": previous.digest if previous is not None else "",
        "date": date,
    }
    return Statement(name, root, predicate.model_copy(update=update))


def entitled(signer: Signer, roles: Roles, predicate: Predicate, at: float) -> Role:
    """The role in which this key may sign this now. Refused where it has none, where the role does not sign
    such statements, and for an unlocked key in any role but demonstration."""
    moment = datetime.fromtimestamp(at, UTC)
    role = roles.at(signer.id, moment)
    if role is None:
        spans = "; ".join(f"{one.role} {one.span}" for one in roles.of(signer.id)) or "none at any time"
        raise Refused(
            f"the key {signer.id[:16]} has no role on {moment:%Y-%m-%d} ({spans})\n"
            "  give it one: accord keep key --by NAME --role steward"
        )
    if role.role not in _MAY[predicate.word]:
        raise Refused(f"{role.person} is {role.role}, and {_signers(predicate)} signs a {predicate.word}")
    if not signer.protected and role.role != "demonstration":
        raise Refused(
            f"the private key of {role.person} has no passphrase: who holds the file could sign as them\n"
            "  make one that has: accord keep key --by NAME"
        )
    return role


def envelope_name(number: int, predicate: Predicate) -> str:
    """The file of the statement with this number in an entry.

    >>> from accord.keep.predicates import Audit
    >>> envelope_name(7, Audit.model_construct())
    '0007-audit.sigstore.json'
    """
    return f"{number:04d}-{predicate.word}.sigstore.json"


def read_chain(
    envelopes: Mapping[str, bytes], keys: Keys, roles: Roles, manifest: Manifest | None = None
) -> Chain:
    """All statements of an entry by file name, checked: signatures, signers, order, dates, and that all are
    about one model (the one of ``manifest``, where that is given)."""
    faults: list[Fault] = []
    read: dict[str, Envelope] = {}
    for where in sorted(envelopes):
        found = parsed(envelopes[where], keys, where)
        if isinstance(found, Fault):
            faults.append(found)
        else:
            read[where] = found
    present = {hashlib.sha256(data).hexdigest() for data in envelopes.values()}
    faults += _disorder(read, present)
    lines = list(_lines(read))
    for line in lines:
        faults += _dates(line, read)
    order = [where for line in lines for where in line]
    faults += _one_model([(where, read[where].statement) for where in order], manifest)
    signed: list[Signed] = []
    for line in lines:
        for place, where in enumerate(line):
            later = [read[one].statement for one in line[place:]]
            one = _signed(where, read[where], later, keys, roles)
            if isinstance(one, Fault):
                faults.append(one)
            else:
                signed.append(one)
    return Chain(tuple(signed), tuple(faults))


def check_bytes(data: bytes, manifest: Manifest, keys: Keys, where: str = "model.sig") -> tuple[Fault, ...]:
    """What is wrong with a signature over a model's files, ours or another signer's; nothing where it holds.

    The files are compared even where the key is not known, for that takes none.
    """
    envelope = parsed(data, keys, where)
    if isinstance(envelope, Fault):
        return (envelope,)
    if not isinstance(envelope.statement.predicate, Bytes):
        return (Fault("contradicted", where, f"is about {envelope.statement.predicate.word}, not bytes"),)
    faults = list(_differences(envelope.statement.predicate, manifest, where))
    signed = verified(envelope, keys, where)
    return (*faults, signed) if isinstance(signed, Fault) else tuple(faults)


def _signed(
    where: str, envelope: Envelope, later: Sequence[Statement], keys: Keys, roles: Roles
) -> Signed | Fault:
    opened = verified(envelope, keys, where)
    if isinstance(opened, Fault):
        return opened
    known = roles.of(opened.key.id)
    if not known:
        says = f"nobody is named for its key {opened.key.id[:16]}: give it a person and a role in roles.toml"
        return Fault("cannot be checked", where, says)
    # A bytes statement has no date. It was there when the next one named it.
    date = next((one for one in map(_date, later) if one), "")
    role = roles.at(opened.key.id, datetime.fromisoformat(date)) if date else known[0]
    if role is None:
        spans = "; ".join(f"{one.role} {one.span}" for one in known)
        says = f"{known[0].person} had no role on {date[:10]} ({spans})"
        return Fault("contradicted", where, says)
    predicate = opened.statement.predicate
    if role.role not in _MAY[predicate.word]:
        says = f"{role.person} is {role.role}, and {_signers(predicate)} signs a {predicate.word}"
        return Fault("contradicted", where, says)
    return Signed(where, opened, role)


def _disorder(read: Mapping[str, Envelope], present: set[str]) -> Iterator[Fault]:
    """What is missing, doubled or forked, going by the digests that the statements name."""
    named: dict[str, str] = {}
    first = ""
    for where, envelope in read.items():
        previous = _previous(envelope)
        if not previous and first:
            says = f"names no statement before it, and {first} is the first: two beginnings"
            yield Fault("contradicted", where, says)
        elif previous and previous not in present:
            says = "the statement before it is missing: taken out, or changed since"
            yield Fault("contradicted", where, says)
        elif previous in named:
            says = f"names the same statement before it as {named[previous]}: two histories"
            yield Fault("contradicted", where, says)
        first = first or ("" if previous else where)
        named.setdefault(previous, where)


def _lines(read: Mapping[str, Envelope]) -> Iterator[list[str]]:
    """The statements in the order in which they name each other; each gap begins a new line."""
    after: dict[str, list[str]] = {}
    for where, envelope in read.items():
        after.setdefault(_previous(envelope), []).append(where)
    digests = {envelope.digest for envelope in read.values()}
    done: set[str] = set()
    for where, envelope in read.items():
        previous = _previous(envelope)
        siblings = after[previous]
        if previous in digests and siblings[0] == where:
            continue  # it goes on in the line of the one that it names
        line: list[str] = []
        while where not in done:
            done.add(where)
            line.append(where)
            where = next(iter(after.get(read[where].digest, ())), where)
        if line:
            yield line


def _dates(line: Sequence[str], read: Mapping[str, Envelope]) -> Iterator[Fault]:
    dated = [(where, date) for where in line if (date := _date(read[where].statement))]
    for (before, earlier), (where, date) in pairwise(dated):
        if date < earlier:
            says = f"is dated {date}, before {before} which it names ({earlier}): a clock was set back"
            yield Fault("contradicted", where, says)


def _one_model(read: Sequence[tuple[str, Statement]], manifest: Manifest | None) -> Iterator[Fault]:
    """Roots, manifest digests and what is said of training agree with the model, or else with the first."""
    root = manifest.oms_root if manifest is not None else None
    whole = manifest.sha512 if manifest is not None else None
    training: str | None = None
    for where, one in read:
        root = root or one.root
        if one.root != root:
            says = f"is about the model {one.root[:16]}, not {root[:16]}"
            yield Fault("contradicted", where, says)
        if isinstance(one.predicate, Bytes):
            if manifest is not None:
                yield from _differences(one.predicate, manifest, where)
            continue
        whole, training = whole or one.predicate.manifest_sha512, training or one.predicate.training
        if one.predicate.manifest_sha512 != whole:
            says = "is about files of other names or sizes than the model has: its manifest_sha512 differs"
            yield Fault("contradicted", where, says)
        if one.predicate.training != training:
            says = f"says that training is {one.predicate.training}, and others that it is {training}"
            yield Fault("contradicted", where, says)


def _differences(signed: Bytes, manifest: Manifest, where: str) -> Iterator[Fault]:
    """Files that are not as they were signed."""
    listed = {resource.name: resource.digest for resource in signed.resources}
    held = {file.name: file.sha256 for file in manifest.files}
    unlisted = [name for name in sorted(held.keys() - listed.keys()) if not _within(name, {*_GIT, where})]
    left = set(signed.serialization.ignore_paths)
    extra = [name for name in unlisted if not _within(name, left)]
    changed = [name for name in sorted(held.keys() & listed.keys()) if held[name] != listed[name]]
    for names, what in (
        (changed, "changed after it was signed"),
        (sorted(listed.keys() - held.keys()), "signed and not there"),
        (extra, "not signed"),
    ):
        for name in names:
            yield Fault("contradicted", where, f"{shown(name, _LONGEST_NAME)}: {what}")
    for name in unlisted:
        if _within(name, left):
            yield Fault("cannot be checked", where, f"{shown(name, _LONGEST_NAME)}: its signer left it out")


def _within(name: str, left: set[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:end]) in left for end in range(1, len(parts) + 1))


def _previous(envelope: Envelope) -> str:
    predicate = envelope.statement.predicate
    return predicate.previous if isinstance(predicate, Bound) else ""


def _date(one: Statement) -> str:
    return one.predicate.date if isinstance(one.predicate, Bound) else ""


def _signers(predicate: Predicate) -> str:
    return " or ".join(sorted(_MAY[predicate.word] - {"demonstration"}))
