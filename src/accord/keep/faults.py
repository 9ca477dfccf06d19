"""Fault: what a check found wrong, as a value, so that a verification lists all of it and not the first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from accord.keep.untrusted import shown

__all__ = ["Fault", "FaultKind", "worst"]

FaultKind = Literal["contradicted", "cannot be checked"]


class Fault(NamedTuple):
    """One thing that is wrong, and where.

    ``contradicted``: what is there says otherwise (a damaged file, a false signature, a broken order).
    ``cannot be checked``: what it takes to tell is missing (a key, a copy, a form that Accord reads).
    """

    kind: FaultKind
    where: str
    says: str

    @property
    def code(self) -> int:
        """The exit code of a command that found it: 3 or 4, as in ``accord --help``."""
        return 3 if self.kind == "contradicted" else 4

    def __str__(self) -> str:
        return shown(f"{self.where}: {self.kind}: {self.says}")  # names of files may be anybody's


def worst(faults: Iterable[Fault]) -> int:
    """The exit code of all of them together: 0 without any; what is contradicted counts before what is not
    known.

    >>> worst([Fault("cannot be checked", "a", "no key"), Fault("contradicted", "b", "another digest")])
    3
    """
    codes = {fault.code for fault in faults}
    return min(codes, default=0)
