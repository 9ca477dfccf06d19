"""Identity: the accounts, the ways in, the limits and the consents over one database."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from accord.stores.database import Database, Keeping, Opened, address
from accord.stores.identity.accounts import Accounts
from accord.stores.identity.attempts import Attempts
from accord.stores.identity.consents import Consents
from accord.stores.identity.entering import Links, Passphrases, Sessions
from accord.stores.identity.tokens import Tokens

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Identity"]

_KEEPING = Keeping(
    versions=Path(__file__).parent / "migrations" / "versions",
    queued=True,
    secure=True,
    instead="name another database for accounts",
    damaged="put back a copy of it; without one, move it away and invite everybody again",
)


class Identity(Opened):
    """``Identity.open(url)``. Every part has its own verbs, as ``identity.accounts.make(name, role)``."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        super().__init__(database)
        self._clock = clock
        self.accounts = Accounts(self)
        self.links = Links(self)
        self.passphrases = Passphrases(self)
        self.sessions = Sessions(self)
        self.tokens = Tokens(self)
        self.attempts = Attempts(self)
        self.consents = Consents(self)

    @classmethod
    def open(cls, url: str | Path, clock: Callable[[], float] = time.time) -> Self:
        """Make the database, or bring an older one up to date. A path, ``sqlite:///…`` or ``postgresql://…``.

        Unreadable: the file is no database. Refused: it cannot be reached or written, or it belongs to
        something else, the labelling database of Accord included.
        """
        return cls(Database(address(str(url)), _KEEPING), clock)

    def reading(self) -> AbstractContextManager[Connection]:
        """One transaction that writes nothing."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[Connection]:
        """One transaction; other writers wait until it ends."""
        return self._database.writing()

    def now(self) -> float:
        """Seconds since the epoch, by the clock it was opened with."""
        return self._clock()
