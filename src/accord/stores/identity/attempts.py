"""Limits that hold over every process that serves: how often something was tried, and by whom."""

from __future__ import annotations

from typing import cast

from accord.stores.identity.base import Base, digest, run

__all__ = ["Attempts"]


class Attempts:
    """Counted before the work is done, in one transaction, so that tries at one moment count too."""

    def __init__(self, base: Base) -> None:
        self._base = base

    def take(self, what: str, who: str, most: int, seconds: float) -> float | None:
        """Note one try and return None; or, where ``most`` lie in the last ``seconds``, note none and return
        how many seconds to wait. Of ``who`` only a digest is kept."""
        now = self._base.now()
        values = {"what": what, "who": digest(who), "now": now, "since": now - seconds}
        with self._base.writing() as connection:
            run(connection, "DELETE FROM attempt WHERE what = :what AND who = :who AND at <= :since", values)
            query = "SELECT count(*), min(at) FROM attempt WHERE what = :what AND who = :who"
            count, first = tuple(run(connection, query, values).one())
            if int(cast(int, count)) >= most:
                return max(1.0, float(cast(float, first)) + seconds - now)
            run(connection, "INSERT INTO attempt (what, who, at) VALUES (:what, :who, :now)", values)
        return None

    def forget(self, what: str, who: str) -> None:
        """Start counting anew, as after a sign-in that went well."""
        with self._base.writing() as connection:
            values = {"what": what, "who": digest(who)}
            run(connection, "DELETE FROM attempt WHERE what = :what AND who = :who", values)

    def sweep(self, older: float = 86_400.0) -> None:
        """Delete what no limit asks for any more, of people who never came back."""
        with self._base.writing() as connection:
            run(connection, "DELETE FROM attempt WHERE at <= :since", {"since": self._base.now() - older})
