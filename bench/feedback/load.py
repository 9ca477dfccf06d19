"""Do many raters at once lose anything, or wait? ``python bench/feedback/load.py --seconds 600``

200 raters, each a thread, lease, think 2 to 6 seconds and submit, on SQLite and on PostgreSQL (a server of
its own, made for this; skipped with the reason where there is none). ``--scale`` divides the thinking: at 10
the same people are ten times as quick. Held against it: the median of 500 submits of one rater on the idle
database. At the end the journal is counted: no slot was anybody's twice, every acknowledged judgment is in it
exactly once. Then a submitting process is killed with ``kill -9`` in the middle, ``--kills`` times.

Exits 1 when a slot was leased twice, or an acknowledged judgment is missing or doubled, or p99 is above 25
medians. The files lie where ``--folder`` says: what a commit takes is what that disk takes.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import postgres
from killing import Fate, killed_in_submits
from raters import comparisons, pseudonym, said

from accord.stores.people import Lease, People

__all__ = ["FACTOR", "Row", "empty", "measure", "rows"]

FACTOR = 25  # p99 of a submit under load may be so many idle medians
_IDLE = 500
_THINK = (2.0, 6.0)
_HEAD = (
    f"{'database':<12}{'raters':>7}{'seconds':>9}{'submits':>9}{'idle median':>13}{'median':>10}{'p99':>10}"
    f"{'p99/idle':>10}{'twice':>7}{'lost':>6}{'kills':>7}  verdict"
)


class Row(NamedTuple):
    """One database under load. Times in milliseconds; ``times``: p99 in idle medians."""

    database: str
    raters: int
    seconds: float
    submits: int
    idle_median: float
    median: float
    p99: float
    times: float
    leased_twice: int
    lost: int
    kills: Fate

    @property
    def sound(self) -> bool:
        """Nothing was leased twice, lost or doubled."""
        return (self.leased_twice, self.lost, *self.kills[3:]) == (0, 0, 0, 0, 0)

    @property
    def quick(self) -> bool:
        return self.times <= FACTOR


@dataclass
class _Seen:
    """What all raters together did; lists are appended to by many threads."""

    leases: list[Lease] = field(default_factory=list[Lease])
    took: list[float] = field(default_factory=list[float])
    kept: list[str] = field(default_factory=list[str])
    broken: list[BaseException] = field(default_factory=list[BaseException])


def measure(url: str, raters: int, seconds: float, scale: float, kills: int, first: int = _IDLE) -> Row:
    """Load one database, which is empty, and count. ``first``: submits of one rater on the idle database."""
    asked = comparisons(int(first + kills * 20 + 2 * raters * seconds * scale / sum(_THINK)) + raters)
    with People.open(url) as people:
        people.post(asked.questions, asked.records)
        idle = _Seen()
        for _ in range(first):
            _turn(people, pseudonym(0), idle, 0.0)
        seen = _Seen()
        began = time.monotonic()
        _all(people, raters, began + seconds, scale, seen)
        took = time.monotonic() - began
        if seen.broken:
            raise seen.broken[0]
        journal = Counter(event.id for event in people.events())
    # Nobody thinks for as long as a lease lasts, so no slot is given out a second time.
    twice = len(seen.leases) - len({lease.slot for lease in seen.leases})
    lost = sum(journal[judgment] != 1 for judgment in seen.kept)
    fate = killed_in_submits(url, kills, between=3)
    p99 = quantiles(seen.took, n=100)[98]
    middle = median(idle.took)
    return Row(
        database=url.split(":")[0],
        raters=raters,
        seconds=took,
        submits=len(seen.kept),
        idle_median=1000 * middle,
        median=1000 * median(seen.took),
        p99=1000 * p99,
        times=p99 / middle,
        leased_twice=twice,
        lost=lost,
        kills=fate,
    )


def _all(people: People, raters: int, until: float, scale: float, seen: _Seen) -> None:
    def works(number: int) -> None:
        draw = random.Random(number)
        try:
            # Not all in step: people do not sit down in the same second.
            time.sleep(draw.uniform(0, _THINK[1]) / scale)
            while time.monotonic() < until:
                _turn(people, pseudonym(number), seen, draw.uniform(*_THINK) / scale)
        except BaseException as error:  # noqa: BLE001 - raised again where all have ended
            seen.broken.append(error)

    threads = [threading.Thread(target=works, args=[number]) for number in range(1, raters + 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _turn(people: People, rater: str, seen: _Seen, thinks: float) -> None:
    lease = people.lease(rater)
    if lease is None:
        raise RuntimeError("the questions ran out before the time did")
    seen.leases.append(lease)
    judgment, key = said(people, lease), secrets.token_hex(8)
    time.sleep(thinks)
    began = time.perf_counter()
    receipt = people.submit(lease, judgment, key)
    seen.took.append(time.perf_counter() - began)
    if receipt.state != "stored":
        raise RuntimeError(f"a submission was {receipt.state}")
    seen.kept.append(receipt.judgment)


@contextmanager
def empty(database: str, folder: Path | None = None) -> Iterator[str]:
    """The address of a new database of that kind, which goes again with the block."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="accord-load-", dir=folder) as place:
            yield f"sqlite:///{place}/people.db"
    else:
        with postgres.server() as fresh:
            yield fresh()


def rows(
    databases: Sequence[str],
    raters: int = 200,
    seconds: float = 600.0,
    scale: float = 1.0,
    kills: int = 50,
    folder: Path | None = None,
) -> list[Row]:
    """One row for each of ``sqlite`` and ``postgresql``; a database that is not here is left out."""
    found: list[Row] = []
    for name in ("sqlite", "postgresql"):
        if name in databases and (name == "sqlite" or postgres.missing() is None):
            with empty(name, folder) as url:
                found.append(measure(url, raters, seconds, scale, kills))
    return found


def line(row: Row) -> str:
    """One line of the table."""
    words = "ok" if row.sound and row.quick else "slow" if row.sound else "UNSOUND"
    return (
        f"{row.database:<12}{row.raters:>7}{row.seconds:>9.0f}{row.submits:>9}{row.idle_median:>10.1f} ms"
        f"{row.median:>7.1f} ms{row.p99:>7.1f} ms{row.times:>10.1f}{row.leased_twice:>7}"
        f"{row.lost + row.kills.lost + row.kills.twice:>6}{row.kills.kills:>7}  {words}"
    )


def main(argv: list[str] | None = None) -> int:
    """Measure, tell, judge."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--raters", type=int, default=200)
    words.add_argument("--seconds", type=float, default=600.0)
    words.add_argument("--scale", type=float, default=1.0, help="divides the time people think")
    words.add_argument("--kills", type=int, default=50)
    words.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    words.add_argument("--folder", type=Path, help="where the SQLite file lies (default: where TMPDIR says)")
    words.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    given: Any = words.parse_args(argv)
    databases = ("sqlite", "postgresql") if given.database == "both" else (given.database,)
    found = rows(databases, given.raters, given.seconds, given.scale, given.kills, given.folder)
    if given.json:
        print(json.dumps([row._asdict() | {"kills": row.kills._asdict()} for row in found], indent=1))
    else:
        print(_HEAD, *map(line, found), sep="\n")
        if (reason := postgres.missing()) and "postgresql" in databases:
            print(f"postgresql   skipped: {reason}")
    return int(not all(row.sound and row.quick for row in found))


if __name__ == "__main__":
    raise SystemExit(main())
