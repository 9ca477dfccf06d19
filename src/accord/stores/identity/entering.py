"""Coming in: a one-time link or a passphrase, and then a session that the server keeps.

A link is good once and for 15 minutes. The first one makes the owner when it is used, so that no account
stands there before somebody holds it. A passphrase is kept as Argon2id (64 MiB, 3 passes). A session ends
12 hours after it was last used, 14 days after it began, and when its account is closed.
"""

from __future__ import annotations

import os
import threading
import unicodedata
from typing import TYPE_CHECKING, NamedTuple, cast

from accord.errors import Refused
from accord.stores.identity.accounts import Account, account_by, name_key, new_account
from accord.stores.identity.base import Base, digest, run, secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
    from sqlalchemy import Connection

__all__ = ["LINK_SECONDS", "Links", "Offer", "Passphrases", "Sessions", "Since"]

LINK_SECONDS = 900.0
_IDLE, _LONGEST = 12 * 3600.0, 14 * 86_400.0
_SEEN_EVERY = 60.0  # seconds between two notes that a session is in use
_SHORTEST_PASSPHRASE, _LONGEST_PASSPHRASE = 12, 1024
_MEMORY_KIB, _PASSES = 65_536, 3
_AT_ONCE = 2  # passphrases worked on at a time: each takes 64 MiB
_GONE = "this link is not valid: it was used, is older than its time, or was never given\n  ask for a new one"


class Offer(NamedTuple):
    """What a link that was not used yet leads to: an account by name; ``first``: the owner, to be made."""

    name: str
    first: bool


class Since(NamedTuple):
    """One session, as its account sees it."""

    began: float
    seen: float


class Links:
    """One-time links. Only the digest of a code is kept."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def first(self, seconds: float = LINK_SECONDS) -> str:
        """The code by which the first owner comes in and is made. Refused where there is an owner."""
        with self._base.writing() as connection:
            _no_owner_yet(connection)
            return self._add(connection, None, seconds)

    def make(self, account: str, seconds: float = LINK_SECONDS) -> str:
        """A code for an account. Refused where it is closed or a machine's; KeyError where there is none."""
        with self._base.writing() as connection:
            found = account_by(connection, "id", account)
            if found is None:
                raise KeyError(account)
            if not found.active or found.role == "machine":
                why = "is a machine; it comes with a token" if found.active else "is closed"
                raise Refused(f"the account {found.name} {why}\n  a link is for an open account of a person")
            return self._add(connection, account, seconds)

    def look(self, code: str) -> Offer | None:
        """Where a code would lead, without using it: programs that preview links use none up."""
        with self._base.reading() as connection:
            row = self._open(connection, code)
            if row is None:
                return None
            account = account_by(connection, "id", row) if row else None
        return Offer(account.name if account else "", first=not row)

    def use(self, code: str, name: str = "") -> Account:
        """The account the code leads to; it is worth nothing from then on. ``name``: of the first owner.

        Refused where the code is not valid (any more), or there is an owner meanwhile.
        """
        with self._base.writing() as connection:
            row = self._open(connection, code)
            if row is None:
                raise Refused(_GONE)
            if row:
                account = account_by(connection, "id", row)
            else:
                _no_owner_yet(connection)
                account = new_account(connection, name, "owner", self._base.now())
            if account is None or not account.active:
                raise Refused(_GONE)
            run(connection, "DELETE FROM link WHERE code = :code", {"code": digest(code)})
        return account

    def _open(self, connection: Connection, code: str) -> str | None:
        """The account of a code that still holds, empty for the first owner's; None where it does not."""
        values = {"code": digest(code), "now": self._base.now()}
        row = run(connection, "SELECT account FROM link WHERE code = :code AND until > :now", values).first()
        return None if row is None else str(row[0] or "")

    def _add(self, connection: Connection, account: str | None, seconds: float) -> str:
        code, now = secret(), self._base.now()
        run(connection, "DELETE FROM link WHERE until <= :now", {"now": now})
        run(
            connection,
            "INSERT INTO link (code, account, until) VALUES (:code, :account, :until)",
            {"code": digest(code), "account": account, "until": now + seconds},
        )
        return code


class Passphrases:
    """What some people know. Whether a name exists cannot be told from how long an answer takes."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._working = threading.BoundedSemaphore(_AT_ONCE)

    def set(self, account: str, passphrase: str, keep: str = "") -> None:
        """Give an account a passphrase; its sessions but ``keep`` end. Refused for a short or long one."""
        found = _normal(passphrase)
        if not _SHORTEST_PASSPHRASE <= len(found) <= _LONGEST_PASSPHRASE:
            length = f"{_SHORTEST_PASSPHRASE} to {_LONGEST_PASSPHRASE}"
            raise Refused(f"a passphrase has {length} characters\n  several words are easy to remember")
        with self._working:
            kept = _argon(os.urandom(16)).derive_phc_encoded(_bytes(found))
        with self._base.writing() as connection:
            holder = account_by(connection, "id", account)
            if holder is None:
                raise KeyError(account)
            if name_key(found) == name_key(holder.name):
                raise Refused("a passphrase is not the account's name\n  choose another")
            values = {"id": account, "kept": kept, "keep": digest(keep)}
            run(connection, "UPDATE account SET passphrase = :kept WHERE id = :id", values)
            run(connection, "DELETE FROM session WHERE account = :id AND code <> :keep", values)

    def check(self, name: str, passphrase: str) -> Account | None:
        """The open account of that name and passphrase. One that is not there costs the same work."""
        from cryptography.exceptions import InvalidKey

        given = _bytes(_normal(passphrase)[:_LONGEST_PASSPHRASE])
        with self._base.reading() as connection:
            account = account_by(connection, "name_key", name_key(name))
            query = "SELECT passphrase FROM account WHERE name_key = :key"
            kept = run(connection, query, {"key": name_key(name)}).scalar()
        with self._working:
            if kept is None:
                _argon(os.urandom(16)).derive(given)
                return None
            try:
                _argon_class().verify_phc_encoded(given, str(kept))
            except InvalidKey:
                return None
        return account if account is not None and account.active else None


class Sessions:
    """What a cookie stands for. Kept here, so that it can be ended here."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def begin(self, account: str) -> str:
        """A new session of an account; its text goes into the cookie and nowhere else."""
        given, now = secret(), self._base.now()
        values = {"code": digest(given), "account": account, "now": now, **_ages(now)}
        with self._base.writing() as connection:
            run(connection, "DELETE FROM session WHERE began <= :born OR seen <= :idle", values)
            run(
                connection,
                "INSERT INTO session (code, account, began, seen) VALUES (:code, :account, :now, :now)",
                values,
            )
        return given

    def visit(self, session: str) -> Account | None:
        """Whose session it is, as the account now stands; None where it is over or the account closed."""
        now = self._base.now()
        values = {"code": digest(session), "now": now, **_ages(now)}
        with self._base.reading() as connection:
            query = "SELECT account, seen FROM session WHERE code = :code AND began > :born AND seen > :idle"
            row = run(connection, query, values).mappings().first()
            account = None if row is None else account_by(connection, "id", str(row["account"]))
        if row is None or account is None or not account.active:
            return None
        if now - float(row["seen"]) >= _SEEN_EVERY:
            with self._base.writing() as connection:
                run(connection, "UPDATE session SET seen = :now WHERE code = :code AND seen < :now", values)
        return account

    def age(self, session: str) -> float | None:
        """Seconds since somebody came in by it; None where it is over."""
        now = self._base.now()
        with self._base.reading() as connection:
            query = "SELECT began FROM session WHERE code = :code AND began > :born AND seen > :idle"
            began = run(connection, query, {"code": digest(session), **_ages(now)}).scalar()
        return None if began is None else now - float(began)

    def end(self, session: str) -> None:
        """Sign out here."""
        with self._base.writing() as connection:
            run(connection, "DELETE FROM session WHERE code = :code", {"code": digest(session)})

    def end_all(self, account: str) -> None:
        """Sign out everywhere."""
        with self._base.writing() as connection:
            run(connection, "DELETE FROM session WHERE account = :account", {"account": account})

    def every(self, account: str) -> list[Since]:
        """The sessions of an account that are not over, the newest first."""
        query = "SELECT began, seen FROM session WHERE account = :account AND began > :born AND seen > :idle"
        values = {"account": account, **_ages(self._base.now())}
        with self._base.reading() as connection:
            rows = run(connection, f"{query} ORDER BY began DESC", values).all()
        return [Since(*(float(cast(float, value)) for value in tuple(row))) for row in rows]


def _ages(now: float) -> dict[str, float]:
    return {"born": now - _LONGEST, "idle": now - _IDLE}


def _no_owner_yet(connection: Connection) -> None:
    if run(connection, "SELECT 1 FROM account WHERE role = 'owner' AND active", {}).first() is not None:
        raise Refused("this app has an owner already\n  ask them for a link of your own")


def _normal(passphrase: str) -> str:
    # The same words typed on another keyboard may come in another Unicode form.
    return unicodedata.normalize("NFKC", passphrase)


def _bytes(passphrase: str) -> bytes:
    return passphrase.encode("utf-8", "surrogatepass")


def _argon_class() -> type[Argon2id]:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    return Argon2id


def _argon(salt: bytes) -> Argon2id:
    return _argon_class()(salt=salt, length=32, iterations=_PASSES, lanes=1, memory_cost=_MEMORY_KIB)
