"""Adding statements to an entry: each names the one before it, so who signs comes one at a time.

Two processes that read the same chain and sign behind the same statement would make two histories of it,
which nothing takes back. So what stands is read, signed onto and added to in one turn (``alone_at``).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from accord.errors import ContractError
from accord.keep.archive import Archive
from accord.keep.attested import STATEMENTS
from accord.keep.entries import Held
from accord.keep.envelopes import Opened, opened, sealed
from accord.keep.faults import Fault
from accord.keep.keys import Keys, Signer
from accord.keep.manifest import Manifest
from accord.keep.ocfl import object_key
from accord.keep.predicates import Predicate
from accord.keep.recovery import locked
from accord.keep.statements import envelope_name, statement
from accord.progress import Progress, Silent
from accord.stores.files import disk

__all__ = ["Onto", "alone_at"]

_PATIENCE = 60.0
_SILENT = Silent()


@contextmanager
def alone_at(archive: Archive, entry: str, progress: Progress = _SILENT) -> Generator[None]:
    """No other process signs for this entry meanwhile; what stood before is read again inside."""
    locks = archive.work / "locks"
    with disk(locks), locked(locks, f"{object_key(entry)}.chain", _PATIENCE, progress):
        yield


class Onto(NamedTuple):
    """What new statements follow: a model, the name that it is kept under, the last of the ``number`` that
    stand."""

    model: Manifest
    name: str
    last: Opened | None = None
    number: int = 0

    @classmethod
    def of(cls, held: Held) -> Self:
        """The chain of an entry as it stands."""
        number = sum(name.startswith(STATEMENTS) for name in held.names)
        return cls(held.model, held.name, held.chain.last, number)

    def signed(self, said: Sequence[Predicate], signer: Signer, at: float) -> dict[str, Path | bytes]:
        """Envelopes that follow each other, by the names that they get in the entry. Refused where one may
        not follow what stands, ContractError for a key whose signature does not hold."""
        keys, last = Keys({signer.id: signer.public}), self.last
        found: dict[str, Path | bytes] = {}
        for number, one in enumerate(said, start=self.number + 1):
            data = sealed(statement(self.model, one, last, name=self.name, at=at), signer)
            read = opened(data, keys)
            if isinstance(read, Fault):
                raise ContractError("the key", "what it signs can be checked", read.says)
            last, found[f"{STATEMENTS}{envelope_name(number, one)}"] = read, data
        return found
