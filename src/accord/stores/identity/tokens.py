"""API tokens: 256 bits, shown once, kept as their beginning and a SHA-256, good for 90 days.

A token says what it may be used for (its scopes); beyond that it may what the role of its account may. The
beginning, as ``accord_1f3a9c20``, is what a list shows, and what a person looks for in a leaked file.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Literal, NamedTuple, cast, get_args

from accord.errors import Refused
from accord.stores.identity.accounts import Account, account_by
from accord.stores.identity.base import Base, digest, run, secret

__all__ = ["SCOPES", "Scope", "Token", "Tokens"]

Scope = Literal["label", "read"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_DAYS = 90.0
_COLUMNS = "id, account, prefix, label, scopes, made, until"


class Token(NamedTuple):
    """What is known of a token after it was shown."""

    id: str
    account: str
    prefix: str
    label: str
    scopes: frozenset[str]
    made: float
    until: float


class Tokens:
    """The tokens of all accounts."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def make(
        self, account: str, scopes: Iterable[str], label: str = "", days: float = _DAYS
    ) -> tuple[str, Token]:
        """A new token: its text, which is never seen again, and what is kept of it.

        Refused without a scope, with an unknown one, for more than 90 days, or where the account is closed.
        """
        wanted = frozenset(scopes)
        if not wanted or not wanted <= set(SCOPES):
            raise Refused(f"a token is for one or more of: {', '.join(SCOPES)}\n  choose at least one")
        if not 0 < days <= _DAYS:
            raise Refused(
                f"a token is good for at most {_DAYS:.0f} days, not {days:g}\n  make a new one then"
            )
        now, prefix = self._base.now(), f"accord_{secrets.token_hex(4)}"
        given = f"{prefix}_{secret()}"
        made = Token(
            f"t-{secrets.token_hex(8)}", account, prefix, label[:80], wanted, now, now + days * 86_400
        )
        with self._base.writing() as connection:
            holder = account_by(connection, "id", account)
            if holder is None:
                raise KeyError(account)
            if not holder.active:
                raise Refused(f"the account {holder.name} is closed\n  open it first")
            run(
                connection,
                f"INSERT INTO token ({_COLUMNS}, sha256)"  # noqa: S608 - names of columns
                " VALUES (:id, :account, :prefix, :label, :scopes, :made, :until, :sha256)",
                {**made._asdict(), "scopes": " ".join(sorted(wanted)), "sha256": digest(given)},
            )
        return given, made

    def holder(self, given: str) -> tuple[Account, Token] | None:
        """Whose token it is and what it is for; None where it is unknown, over, or its account closed."""
        values = {"sha256": digest(given), "now": self._base.now()}
        query = f"SELECT {_COLUMNS} FROM token WHERE sha256 = :sha256 AND until > :now"  # noqa: S608
        with self._base.reading() as connection:
            row = run(connection, query, values).first()
            if row is None:
                return None
            token = _token(tuple(row))
            account = account_by(connection, "id", token.account)
        return (account, token) if account is not None and account.active else None

    def every(self, account: str) -> list[Token]:
        """The tokens of an account that are not over, the newest first."""
        query = f"SELECT {_COLUMNS} FROM token WHERE account = :account AND until > :now"  # noqa: S608
        values = {"account": account, "now": self._base.now()}
        with self._base.reading() as connection:
            rows = run(connection, f"{query} ORDER BY made DESC, id", values).all()
        return [_token(tuple(row)) for row in rows]

    def revoke(self, token: str, account: str) -> bool:
        """End a token of this account; whether there was one."""
        with self._base.writing() as connection:
            values = {"id": token, "account": account}
            gone = run(connection, "DELETE FROM token WHERE id = :id AND account = :account", values)
            return gone.rowcount > 0


def _token(row: tuple[object, ...]) -> Token:
    token, account, prefix, label, scopes, made, until = row
    return Token(
        str(token),
        str(account),
        str(prefix),
        str(label),
        frozenset(str(scopes).split()),
        float(cast(float, made)),
        float(cast(float, until)),
    )
