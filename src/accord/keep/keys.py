"""Keys: one per person. The private one signs and stays with them; the public one checks, beside the archive.

P-256 is the default, for the reference signer of OpenSSF Model Signing knows only NIST curves; P-384 and
P-521 are read too. Ed25519 signs everything but the bytes statement. A key's id is the SHA-256 (hex) of its
public PEM, which is what that signer writes as its hint.

Not here: whose key it is and what it may sign (``roles.py``).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, cast
from uuid import uuid4

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from accord.errors import Refused, Unreadable
from accord.keep.faults import Fault
from accord.stores.files import disk, make_folder, sync_folder, write_aside, write_at

__all__ = [
    "SHORTEST_PASSPHRASE",
    "Curve",
    "KeyKind",
    "Keys",
    "PublicKey",
    "Signer",
    "archive_above",
    "keys_folder",
    "load_key",
    "make_key",
    "private_file",
    "public_key",
    "public_keys",
]

KeyKind = Literal["p256", "ed25519"]
Curve = Literal["p256", "p384", "p521", "ed25519"]

SHORTEST_PASSPHRASE = 12

_Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_HASHES: Mapping[Curve, hashes.HashAlgorithm] = {
    "p256": hashes.SHA256(),
    "p384": hashes.SHA384(),
    "p521": hashes.SHA512(),
}
_CURVES: Mapping[str, Curve] = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
# The orders of the groups. From an ECDSA signature (r, s) anybody can make (r, order − s), which holds too.
# Ours are the lower of the two.
_ORDERS: Mapping[Curve, int] = {
    "p256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "p384": int("f" * 48 + "c7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16),
    "p521": int("1" + "f" * 65 + "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409", 16),
}
_ID = re.compile(r"[0-9a-f]{64}")
_MARKS = ("root/0=ocfl_1.1", "keys/roles.toml")  # of an archive
_LONGEST = 64 * 1024  # a PEM of a key takes a few hundred bytes


class PublicKey(NamedTuple):
    """A key that checks signatures. ``id`` is the SHA-256 of ``pem``."""

    id: str
    pem: bytes
    curve: Curve

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether the signature over ``data`` was made with the private half of this key."""
        key = cast(_Public, serialization.load_pem_public_key(self.pem))
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
            else:
                key.verify(signature, data, ec.ECDSA(_HASHES[self.curve]))
        except InvalidSignature:
            return False
        return True

    def lowest(self, signature: bytes) -> bytes:
        """The one form, of those that say the same, which Accord writes."""
        if self.curve == "ed25519":
            return signature
        r, s = decode_dss_signature(signature)
        return encode_dss_signature(r, min(s, _ORDERS[self.curve] - s))


class Signer:
    """A private key that was opened. It signs and shows its public half, and is never printed."""

    def __init__(self, key: _Private, protected: bool) -> None:
        self._key = key
        self.public = _public(key.public_key())
        self.protected = protected
        """Whether the file it came from asks for a passphrase."""

    @property
    def id(self) -> str:
        """The id of its public key."""
        return self.public.id

    @property
    def public_pem(self) -> bytes:
        """What ``model_signing verify key --public_key`` takes."""
        return self.public.pem

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``; ECDSA hashes with the hash of its curve's size."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        return self.public.lowest(self._key.sign(data, ec.ECDSA(_HASHES[self.public.curve])))

    def __repr__(self) -> str:
        return f"Signer({self.public.curve} {self.id[:16]})"


class Keys(NamedTuple):
    """The public keys of a folder by id. ``broken``: files that are no key, or not the key they are named
    for, by the id they are named for or else by their name."""

    known: Mapping[str, PublicKey] = {}
    broken: Mapping[str, Fault] = {}

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the folder itself."""
        return tuple(self.broken.values())


def keys_folder() -> Path:
    """Where people's private keys lie: ``$ACCORD_KEYS``, else ``accord/keys`` in the user's configuration."""
    if own := os.environ.get("ACCORD_KEYS"):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (shared if shared.is_absolute() else Path("~/.config").expanduser()) / "accord" / "keys"


def private_file(by: str) -> Path:
    """Where the private key of this person lies, unless they say otherwise.

    >>> private_file("A. Person").name
    'a-person.key'
    """
    name = re.sub(r"[\W_]+", "-", by.casefold()).strip("-")
    if not name:
        raise Refused(f"{by!r} is no name: a key belongs to a person\n  accord keep key --by NAME")
    return keys_folder() / f"{name}.key"


def make_key(private: Path, public: Path, passphrase: bytes | None, kind: KeyKind = "p256") -> PublicKey:
    """Write a new pair: PKCS#8 PEM, mode 0600, locked with the passphrase; and the public PEM beside it.

    Without a passphrase it is a key for demonstrations. Refused where the private file stands, where it would
    lie in an archive (which is copied), and for a passphrase under 12 bytes.
    """
    if archive := archive_above(private):
        raise Refused(
            f"{private}: a private key never lies in an archive ({archive}), which others get copies of\n"
            f"  put it elsewhere, for example {keys_folder()}"
        )
    if passphrase is not None and len(passphrase) < SHORTEST_PASSPHRASE:
        raise Refused(
            f"a passphrase has at least {SHORTEST_PASSPHRASE} bytes\n  several words are easy to remember"
        )
    if private.exists() or private.is_symlink():
        raise _taken(private)
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "p256" else ed25519.Ed25519PrivateKey.generate()
    lock = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, lock)
    made = _public(key.public_key())
    for file in (private, public):
        make_folder(file.parent)
    _place(private, pem)
    write_aside(public, made.pem)
    return made


def load_key(private: Path, passphrase: bytes | None) -> Signer:
    """Open a private key. Refused where it is missing, where others may read it, for a wrong passphrase."""
    pem = _private_bytes(private)
    try:
        try:
            key = serialization.load_pem_private_key(pem, None)
            protected = False
        except TypeError:  # it is locked
            if not passphrase:
                raise Refused(f"{private}: asks for its passphrase, and none was given") from None
            key = serialization.load_pem_private_key(pem, passphrase)
            protected = True
    except UnsupportedAlgorithm as error:
        raise Unreadable(private, "a private key in PEM", str(error)) from None
    except ValueError:
        if b"ENCRYPTED" in pem and passphrase:
            raise Refused(f"{private}: the passphrase does not open it\n  type it again") from None
        raise Unreadable(private, "a private key in PEM (PKCS#8)", "no such key") from None
    if not isinstance(key, _Private) or _curve(key.public_key()) is None:
        raise Unreadable(private, "a key on P-256, P-384, P-521 or Ed25519", type(key).__name__)
    return Signer(key, protected)


def public_key(file: Path) -> PublicKey:
    """The public key in a PEM file."""
    return read_public(_held(file, "a public key in PEM")[0], file)


def read_public(pem: bytes, file: object) -> PublicKey:
    """The public key in these bytes; ``file`` is named when there is none."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unreadable(file, "a public key in PEM", str(error).splitlines()[0]) from None
    if not isinstance(key, _Public) or _curve(key) is None:
        raise Unreadable(file, "a public key on P-256, P-384, P-521 or Ed25519", type(key).__name__)
    return _public(key)


def public_keys(folder: Path) -> Keys:
    """Every ``*.pem`` of the folder. A file named after a key's id that holds another key is broken: somebody
    swapped it. One that this user may not read tells nothing: what it would check cannot be checked."""
    known: dict[str, PublicKey] = {}
    broken: dict[str, Fault] = {}
    for file in sorted(folder.glob("*.pem")):
        named = file.stem if _ID.fullmatch(file.stem) else ""
        try:
            key = public_key(file)
        except Unreadable as error:
            kind = "cannot be checked" if isinstance(error.__cause__, PermissionError) else "contradicted"
            broken[named or file.name] = Fault(kind, f"{folder.name}/{file.name}", error.found)
            continue
        if named and named != key.id:
            says = f"holds the key {key.id[:16]}, not the one it is named for: it was swapped"
            broken[named] = Fault("contradicted", f"{folder.name}/{file.name}", says)
            continue
        known[key.id] = key
    return Keys(known, broken)


def archive_above(path: Path) -> Path | None:
    """The archive that this path lies in, or None."""
    inside = path.parent.resolve()  # a link may lead into one
    for folder in (inside, *inside.parents):
        # Not ``Path.exists``: above "/" lies /root, closed to all but one user, and that is no error here.
        if any(os.path.exists(folder / mark) for mark in _MARKS):  # noqa: PTH110
            return folder
    return None


def _private_bytes(private: Path) -> bytes:
    """What the file holds, if nobody but its owner may read it."""
    try:
        pem, mode = _held(private, "a private key")
    except Unreadable as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise Refused(
            f"{private}: there is no private key, and without one nothing can be signed\n"
            "  make one: accord keep key --by NAME"
        ) from None
    if mode & 0o077:
        raise Refused(
            f"{private}: others may use it (its mode is {mode:04o})\n"
            f"  chmod 600 {private}; if others could read it, make a new key"
        )
    return pem


def _held(file: Path, expected: str) -> tuple[bytes, int]:
    """What a plain file holds, and its mode; asked of the open file, which cannot be exchanged meanwhile."""
    try:
        # Without O_NONBLOCK a pipe of that name would be waited at for ever.
        number = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            mode = os.fstat(number).st_mode
            if not stat.S_ISREG(mode):
                raise Unreadable(file, expected, "no plain file")
            return os.read(number, _LONGEST), stat.S_IMODE(mode)
        finally:
            os.close(number)
    except OSError as error:
        raise Unreadable(file, expected, error.strerror or str(error)) from error


def _place(private: Path, pem: bytes) -> None:
    """The file appears whole, its owner's alone, and takes no name that another process has just taken."""
    fresh = private.parent / f".{uuid4().hex}.aside"
    with disk(private):
        number = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            try:
                os.fchmod(number, 0o600)
                write_at(number, pem, 0)
                os.fsync(number)
            finally:
                os.close(number)
            os.link(fresh, private)
        except FileExistsError:
            raise _taken(private) from None
        finally:
            fresh.unlink()
        sync_folder(private.parent)


def _taken(private: Path) -> Refused:
    return Refused(f"{private}: a key stands there already\n  it is never written over; name another file")


def _curve(key: _Public) -> Curve | None:
    return "ed25519" if isinstance(key, ed25519.Ed25519PublicKey) else _CURVES.get(key.curve.name)


def _public(key: _Public) -> PublicKey:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_bytes(serialization.Encoding.PEM, form)
    curve = _curve(key)
    assert curve is not None
    return PublicKey(hashlib.sha256(pem).hexdigest(), pem, curve)
