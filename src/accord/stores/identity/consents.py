"""What people agreed to, when, and the groups that some of them said they belong to.

Consent is a journal: agreeing and taking back are lines of their own. Groups are optional and asked for
apart; taking consent back erases them. Only those of people whose consent stands are ever given out, under
their pseudonyms; how small a group may be shown is the reader's rule (k-anonymity).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, cast

from accord.errors import Refused
from accord.stores.identity.accounts import account_by
from accord.stores.identity.base import Base, run

__all__ = ["Agreed", "Consents"]

_LONGEST = 200


class Agreed(NamedTuple):
    """One line of the journal: a version agreed to, or (``agreed`` false) taken back."""

    version: str
    agreed: bool
    at: float


class Consents:
    """Consent and groups, by account."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def agree(self, account: str, version: str, groups: Mapping[str, str] | None = None) -> None:
        """Consent to a version. ``groups`` (attribute → value), where given, replace those said before.

        KeyError where there is no such account; Refused for an empty version or overlong groups.
        """
        if not version:
            raise Refused("consent is to a version of a text, and none is named\n  name the text's version")
        said = {name: value for name, value in (groups or {}).items() if value}
        if any(not name or len(name) > _LONGEST or len(value) > _LONGEST for name, value in said.items()):
            raise Refused(f"a group has 1 to {_LONGEST} characters\n  shorten it")
        with self._base.writing() as connection:
            if account_by(connection, "id", account) is None:
                raise KeyError(account)
            values = {"account": account, "version": version, "agreed": True, "at": self._base.now()}
            run(connection, _NOTE, values)
            run(connection, "UPDATE account SET consent = :version WHERE id = :account", values)
            if groups is not None:
                run(connection, "DELETE FROM membership WHERE account = :account", values)
            for name, value in said.items():
                run(connection, _JOIN, {"account": account, "attribute": name, "value": value})

    def take_back(self, account: str) -> None:
        """Consent ends and the groups are erased; the journal keeps that there was one."""
        with self._base.writing() as connection:
            found = account_by(connection, "id", account)
            if found is None:
                raise KeyError(account)
            values = {"account": account, "version": found.consent, "agreed": False, "at": self._base.now()}
            if found.consent:
                run(connection, _NOTE, values)
            run(connection, "UPDATE account SET consent = '' WHERE id = :account", values)
            run(connection, "DELETE FROM membership WHERE account = :account", values)

    def history(self, account: str) -> list[Agreed]:
        """What this account agreed to and took back, oldest first."""
        query = "SELECT version, agreed, at FROM consent WHERE account = :account ORDER BY seq"
        with self._base.reading() as connection:
            rows = run(connection, query, {"account": account}).all()
        return [Agreed(str(v), bool(a), float(cast(float, t))) for v, a, t in map(tuple, rows)]

    def groups(self, account: str) -> dict[str, str]:
        """What one account said of itself."""
        query = "SELECT attribute, value FROM membership WHERE account = :account ORDER BY attribute"
        with self._base.reading() as connection:
            rows = run(connection, query, {"account": account}).all()
        return {str(name): str(value) for name, value in map(tuple, rows)}

    def members(self) -> dict[str, dict[str, str]]:
        """Groups by pseudonym, of everybody whose consent stands and who said one."""
        query = (
            "SELECT a.pseudonym, m.attribute, m.value FROM membership m JOIN account a ON a.id = m.account"
            " WHERE a.consent <> '' ORDER BY a.pseudonym, m.attribute"
        )
        found: dict[str, dict[str, str]] = {}
        with self._base.reading() as connection:
            for pseudonym, name, value in map(tuple, run(connection, query, {}).all()):
                found.setdefault(str(pseudonym), {})[str(name)] = str(value)
        return found


_NOTE = "INSERT INTO consent (account, version, agreed, at) VALUES (:account, :version, :agreed, :at)"
_JOIN = "INSERT INTO membership (account, attribute, value) VALUES (:account, :attribute, :value)"
