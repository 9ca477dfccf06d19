"""Envelopes: an in-toto Statement v1, in a DSSE envelope, in a Sigstore bundle v0.3. Signed and read offline.

Ours are canonical JSON to the last byte, so that nothing in the file can be changed unseen, signed or not.
Bytes statements of other signers are read as OpenSSF Model Signing 1.0 lets them be written: older ones carry
the key itself in place of its hint, and spacing and order are theirs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple, cast

from pydantic import ValidationError

from accord.errors import Refused, Unreadable
from accord.keep.faults import Fault, FaultKind
from accord.keep.keys import Keys, PublicKey, Signer, read_public
from accord.keep.predicates import PREDICATES, Bound, Bytes, Predicate
from accord.keep.untrusted import Twice, once, shown
from accord.records import JSON, canonical

__all__ = ["Envelope", "Opened", "Statement", "opened", "parsed", "sealed", "verified"]

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_LONGEST = 64 << 20
_LONGEST_WORD = 300  # characters of what an envelope says that go into a message


class Statement(NamedTuple):
    """What is signed: a model (its name, which informs, and its root, which counts) and a predicate."""

    name: str
    root: str
    predicate: Predicate

    def payload(self) -> bytes:
        """The bytes that are signed."""
        predicate = self.predicate.model_dump(mode="json", by_alias=True)
        if isinstance(self.predicate, Bytes) and not self.predicate.serialization.ignore_paths:
            del predicate["serialization"]["ignore_paths"]
        body: dict[str, JSON] = {
            "_type": _STATEMENT,
            "subject": [{"name": self.name, "digest": {"sha256": self.root}}],
            "predicateType": self.predicate.type,
            "predicate": predicate,
        }
        return canonical(body).encode("utf-8", "surrogatepass")


class Envelope(NamedTuple):
    """An envelope that was read and not yet checked. ``hint`` names its key, "" where it does not."""

    statement: Statement
    payload: bytes
    signature: bytes
    hint: str
    digest: str


class Opened(NamedTuple):
    """A statement whose signature holds, the key that made it, and the SHA-256 of the whole envelope."""

    statement: Statement
    key: PublicKey
    digest: str


class _Raw(NamedTuple):
    payload: bytes
    signature: bytes
    hint: str


class _Found(Exception):
    """Never leaves this file."""

    def __init__(self, says: str, kind: FaultKind = "contradicted") -> None:
        super().__init__(says)
        self.says = shown(says, _LONGEST_WORD)
        self.kind: FaultKind = kind
        self.signed: _Raw | None = None  # where the signature can be checked all the same


def sealed(statement: Statement, signer: Signer) -> bytes:
    """The statement in its envelope. Refused: a bytes statement under Ed25519, which the reference command
    cannot check, and one of ours that was not bound to a model by ``statements.statement``."""
    predicate = statement.predicate
    if isinstance(predicate, Bytes) and signer.public.curve == "ed25519":
        raise Refused(
            "which bytes a model has is signed with a key on P-256: model_signing reads no Ed25519\n"
            "  make one: accord keep key --by NAME"
        )
    if wrong := _inconsistent(statement):
        raise Refused(f"this statement cannot be signed: {wrong}")
    payload = statement.payload()
    return _bundle(payload, signer.sign(_pae(payload)), signer.id)


def opened(data: bytes, keys: Keys, where: str = "envelope") -> Opened | Fault:
    """The statement inside, if it is whole and one of the keys signed it; else what is wrong."""
    found = parsed(data, keys, where)
    return found if isinstance(found, Fault) else verified(found, keys, where)


def parsed(data: bytes, keys: Keys, where: str = "envelope") -> Envelope | Fault:
    """What the envelope says, before its signature is checked.

    Only that of a form which Accord does not read is: what was changed is not taken for what is unknown.
    """
    try:
        return _parsed(data)
    except _Found as found:
        raw = found.signed
        named = keys.known.get(raw.hint) if raw is not None else None
        if raw is not None and named is not None and not named.verifies(raw.signature, _pae(raw.payload)):
            return Fault("contradicted", where, _changed(named))
        return Fault(found.kind, where, found.says)


def verified(envelope: Envelope, keys: Keys, where: str = "envelope") -> Opened | Fault:
    """The same, once the key that it names is known and its signature holds."""
    data = _pae(envelope.payload)
    named = keys.known.get(envelope.hint)
    signer = next((key for key in keys.known.values() if key.verifies(envelope.signature, data)), None)
    if signer is not None and envelope.hint in ("", signer.id):
        if isinstance(envelope.statement.predicate, Bytes):
            wrong = "a bytes statement is signed on a NIST curve" if signer.curve == "ed25519" else ""
        else:
            other = signer.lowest(envelope.signature) != envelope.signature
            wrong = "its signature was written anew after it was made" if other else ""
        if wrong:
            return Fault("contradicted", where, wrong)
        return Opened(envelope.statement, signer, envelope.digest)
    if signer is not None:
        says = f"names the key {envelope.hint[:16]}, and {signer.id[:16]} signed it"
        return Fault("contradicted", where, says)
    if named is not None:
        return Fault("contradicted", where, _changed(named))
    if broken := keys.broken.get(envelope.hint):
        return Fault("contradicted", where, f"{broken.where} {broken.says}")
    name = f"its key {envelope.hint[:16]} is not among the public keys" if envelope.hint else "no key fits it"
    return Fault("cannot be checked", where, f"{name}; put its PEM there, from a source that you trust")


def _changed(key: PublicKey) -> str:
    return f"the signature is not one of the key {key.id[:16]} over this: changed after it was signed"


def _bundle(payload: bytes, signature: bytes, hint: str) -> bytes:
    body: dict[str, JSON] = {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": _PAYLOAD,
            "signatures": [{"sig": base64.b64encode(signature).decode("ascii"), "keyid": ""}],
        },
    }
    return canonical(body).encode("utf-8", "surrogatepass")


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: type and length are signed too."""
    return b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD), _PAYLOAD.encode("ascii"), len(payload), payload)


def _parsed(data: bytes) -> Envelope:
    if len(data) > _LONGEST:
        raise _Found(f"{len(data)} bytes, more than an envelope has")
    bundle = _object(_json(data, "a Sigstore bundle"), "a Sigstore bundle")
    if bundle.get("mediaType") != _BUNDLE:
        raise _Found(f"is no Sigstore bundle v0.3: mediaType is {bundle.get('mediaType')!r}")
    hint = _hint(_object(bundle.get("verificationMaterial"), "verificationMaterial"))
    dsse = _object(bundle.get("dsseEnvelope"), "dsseEnvelope")
    if dsse.get("payloadType") != _PAYLOAD:
        raise _Found(f"holds no in-toto statement: payloadType is {dsse.get('payloadType')!r}")
    signatures = dsse.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise _Found("has not exactly one signature")
    payload = _base64(dsse.get("payload"), "payload")
    signature = _base64(_object(signatures[0], "signatures[0]").get("sig"), "signatures[0].sig")
    try:
        statement = _statement(payload)
    except _Found as found:
        found.signed = _Raw(payload, signature, hint)
        raise
    if isinstance(statement.predicate, Bound) and (
        not hint or _bundle(payload, signature, hint) != data or statement.payload() != payload
    ):
        raise _Found("is not written as Accord writes it: changed after it was signed")
    return Envelope(statement, payload, signature, hint, hashlib.sha256(data).hexdigest())


def _hint(material: Mapping[str, JSON]) -> str:
    if "publicKey" not in material:
        kinds = ", ".join(sorted(material)) or "nothing"
        raise _Found(f"is signed by other means than a key ({kinds}), of which Accord checks none", _UNKNOWN)
    key = _object(material["publicKey"], "publicKey")
    hint, raw = key.get("hint"), key.get("rawBytes")
    if isinstance(hint, str):
        return hint
    if hint is not None:
        raise _Found("publicKey.hint is no text")
    if raw is None:
        return ""
    try:  # before model-signing 1.1 the key itself stood there
        return read_public(_base64(raw, "publicKey.rawBytes"), "publicKey").id
    except Unreadable as error:
        raise _Found(f"publicKey.rawBytes: {error.found}") from None


def _statement(payload: bytes) -> Statement:
    body = _object(_json(payload, "a statement"), "the statement")
    if body.get("_type") != _STATEMENT:
        raise _Found(f"holds no in-toto Statement v1: _type is {body.get('_type')!r}")
    subjects, kind = body.get("subject"), PREDICATES.get(str(body.get("predicateType")))
    if kind is None:
        raise _Found(f"Accord does not read the predicate {body.get('predicateType')!r}", _UNKNOWN)
    if not isinstance(subjects, list) or len(subjects) != 1:
        raise _Found("is not about exactly one model")
    subject = _object(subjects[0], "subject[0]")
    root = _object(subject.get("digest"), "subject[0].digest").get("sha256")
    name, predicate = subject.get("name"), _object(body.get("predicate"), "predicate")
    if not isinstance(name, str) or not isinstance(root, str):
        raise _Found("its subject has no name or no digest sha256")
    if kind is Bytes:
        _readable(predicate)
    try:
        read = kind.model_validate_json(json.dumps(predicate))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _Found(f"predicate.{where}: {first['msg']}") from None
    statement = Statement(name, root, read)
    if wrong := _inconsistent(statement):
        raise _Found(wrong)
    return statement


def _readable(predicate: Mapping[str, JSON]) -> None:
    """The format knows shards and other hashes, of which Accord reads none: not wrong, but not checked."""
    form = _object(predicate.get("serialization"), "predicate.serialization")
    for name, read in (("method", "files"), ("hash_type", "sha256")):
        if isinstance(form.get(name), str) and form[name] != read:
            raise _Found(f"is signed with {name} {form[name]!r}, and Accord reads {read!r}", _UNKNOWN)


def _inconsistent(statement: Statement) -> str:
    """What in a statement contradicts itself, or nothing."""
    predicate = statement.predicate
    if isinstance(predicate, Bound):
        return "" if predicate.manifest_sha512 and predicate.date else "it is bound to no model and no date"
    names = [resource.name for resource in predicate.resources]
    if len(set(names)) < len(names):
        return "it names a file twice"
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            return f"it names {name!r}, outside the model"
    raw = b"".join(bytes.fromhex(resource.digest) for resource in predicate.resources)
    if hashlib.sha256(raw).hexdigest() != statement.root:
        return "its root is not that of the files it lists"
    return ""


def _json(data: bytes, what: str) -> object:
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except Twice as twice:
        raise _Found(f"{what}: {twice}, and readers differ on which one counts") from None
    except (ValueError, RecursionError):
        raise _Found(f"is no JSON in UTF-8, where {what} is expected: damaged") from None


def _object(value: object, what: str) -> Mapping[str, JSON]:
    if not isinstance(value, dict):
        raise _Found(f"{what} is missing or no object")
    return cast("Mapping[str, JSON]", value)


def _base64(value: object, what: str) -> bytes:
    try:
        return base64.b64decode(cast(str, value), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise _Found(f"{what} is no base64") from None


_UNKNOWN: FaultKind = "cannot be checked"
