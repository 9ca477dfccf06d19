"""Accounts: a name for people, a pseudonym for what they say, a role, and whether it is open."""

from __future__ import annotations

import secrets
import unicodedata
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, get_args

from accord.errors import Refused
from accord.stores.identity.base import Base, run

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["ROLES", "Account", "Accounts", "Role", "account_by", "name_key", "new_account"]

Role = Literal["owner", "manager", "adjudicator", "rater", "machine"]
ROLES: tuple[Role, ...] = get_args(Role)
_LONGEST = 80
_COLUMNS = "id, pseudonym, name, role, active, passphrase IS NOT NULL, consent, made"


class Account(NamedTuple):
    """Who signs in. ``consent``: the version they agreed to last; empty where none, or taken back."""

    id: str
    pseudonym: str
    name: str
    role: Role
    active: bool
    has_passphrase: bool
    consent: str
    made: float


class Accounts:
    """Accounts are closed and never deleted, so that no name is given to two people."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def make(self, name: str, role: Role) -> Account:
        """A new account. Refused for a name that is taken, empty, too long, or with characters unseen."""
        with self._base.writing() as connection:
            return new_account(connection, name, role, self._base.now())

    def get(self, account: str) -> Account:
        """KeyError where there is none of this id."""
        with self._base.reading() as connection:
            found = account_by(connection, "id", account)
        if found is None:
            raise KeyError(account)
        return found

    def named(self, name: str) -> Account | None:
        """The account of this name, in capitals or not."""
        with self._base.reading() as connection:
            return account_by(connection, "name_key", name_key(name))

    def of_pseudonym(self, pseudonym: str) -> Account | None:
        """Whom a pseudonym of the labelling database stands for."""
        with self._base.reading() as connection:
            return account_by(connection, "pseudonym", pseudonym)

    def every(self) -> list[Account]:
        """All of them, in the order they were made."""
        with self._base.reading() as connection:
            rows = run(connection, f"SELECT {_COLUMNS} FROM account ORDER BY made, id", {}).all()  # noqa: S608
        return [_account(tuple(row)) for row in rows]

    def has_owner(self) -> bool:
        """Whether somebody owns this app who may come in."""
        with self._base.reading() as connection:
            return _owners(connection) > 0

    def change(self, account: str, *, role: Role | None = None, active: bool | None = None) -> Account:
        """Another role, or closed, or open again. Holds from the next request on.

        Closing ends its sessions and one-time links. Refused for the last owner, which nobody could undo.
        KeyError where there is no such account.
        """
        with self._base.writing() as connection:
            found = account_by(connection, "id", account)
            if found is None:
                raise KeyError(account)
            new = found._replace(role=role or found.role, active=found.active if active is None else active)
            if new.role != found.role and "machine" in (found.role, new.role):
                raise Refused(
                    f"{found.name}: a machine stays a machine, a person a person\n  make an account"
                )
            if _owns(found) and not _owns(new) and _owners(connection) == 1:
                raise Refused(f"{found.name} is the last owner\n  make another account an owner first")
            values = {"id": account, "role": new.role, "active": new.active}
            run(connection, "UPDATE account SET role = :role, active = :active WHERE id = :id", values)
            if not new.active:
                run(connection, "DELETE FROM session WHERE account = :id", values)
                run(connection, "DELETE FROM link WHERE account = :id", values)
        return new


def account_by(
    connection: Connection, column: Literal["id", "name_key", "pseudonym"], value: str
) -> Account | None:
    """The one account whose ``column`` holds ``value``."""
    query = f"SELECT {_COLUMNS} FROM account WHERE {column} = :value"  # noqa: S608 - one of three names
    row = run(connection, query, {"value": value}).first()
    return None if row is None else _account(tuple(row))


def new_account(connection: Connection, name: str, role: Role, now: float) -> Account:
    """Insert an account; see ``Accounts.make``."""
    shown = _legible(name)
    if account_by(connection, "name_key", name_key(shown)) is not None:
        raise Refused(f"there is an account named {shown} already\n  choose another name")
    made = Account(
        f"a-{secrets.token_hex(8)}", f"r-{secrets.token_hex(6)}", shown, role, True, False, "", now
    )
    run(
        connection,
        "INSERT INTO account (id, pseudonym, name, name_key, role, active, consent, made)"
        " VALUES (:id, :pseudonym, :name, :name_key, :role, :active, :consent, :made)",
        {**made._asdict(), "name_key": name_key(shown)},
    )
    return made


def name_key(name: str) -> str:
    """What two spellings of one name have in common.

    >>> name_key(" Zoë  B ") == name_key("zoe\\u0308 b")
    True
    """
    key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    # No name holds these, and PostgreSQL takes no null character, no database half a surrogate pair.
    return "".join("\uffff" if unicodedata.category(c) in ("Cc", "Cs") else c for c in key)


def _legible(name: str) -> str:
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    odd = [c for c in shown if unicodedata.category(c)[0] in "CZ" and c != " "]
    if not shown or len(shown) > _LONGEST or odd:
        raise Refused(f"a name has 1 to {_LONGEST} characters, all of them visible\n  choose another name")
    return shown


def _account(row: tuple[object, ...]) -> Account:
    account, pseudonym, name, role, active, passphrase, consent, made = row
    return Account(
        str(account),
        str(pseudonym),
        str(name),
        cast(Role, role),
        bool(active),
        bool(passphrase),
        str(consent),
        float(cast(float, made)),
    )


def _owns(account: Account) -> bool:
    return account.role == "owner" and account.active


def _owners(connection: Connection) -> int:
    query = "SELECT count(*) FROM account WHERE role = 'owner' AND active"
    return int(cast(int, run(connection, query, {}).scalar_one()))
