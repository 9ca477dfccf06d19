"""What the parts of the identity database share: its transactions, its clock, and how secrets are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from accord.stores.database import sql

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

__all__ = ["Base", "digest", "run", "secret"]


class Base(Protocol):
    """A database in which the tables of ``migrations/`` stand."""

    def reading(self) -> AbstractContextManager[Connection]: ...

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction; other writers wait until it ends."""
        ...

    def now(self) -> float:
        """Seconds since the epoch, of the clock that was handed in."""
        ...


def run(connection: Connection, statement: str, values: Mapping[str, object]) -> CursorResult[Any]:
    """Execute one statement with named values."""
    return connection.execute(sql(statement), values)


def secret() -> str:
    """256 random bits, as text that a URL and a cookie can hold."""
    return secrets.token_urlsafe(32)


def digest(given: str) -> str:
    """What is kept of a secret. One hash is enough: nobody can go through 256 bits.

    >>> digest("a")[:8]
    'ca978112'
    """
    return hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
