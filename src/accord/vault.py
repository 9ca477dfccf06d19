"""TruthVault: right answers, hidden rewards and true costs, locked away; who looked, and what for (layer 3).

A truth leaves only by ``read``, for a purpose that was declared for that reader before the first read, and a
record of the read is in the store before the truth is given. Any other read is a ContractError and is
recorded too: from then on the run is *void*, for whatever was learnt or measured may have seen the answer.

| purpose | who reads |
|---|---|
| ``leaf`` | an overseer that judges by the truth, with nothing between |
| ``fit`` | what is fitted to truths: a calibration, a probe |
| ``score`` | what measures an arm; open once that arm's answers are sealed |

A vault is handed to its readers, never imported. It shows its name, its items and its reads, and nothing of a
truth: not printed, not copied, not pickled, not in the errors of a file that cannot be read. What keeps
truths from code that reaches into it on purpose is nothing that Python could offer.

On disk it is JSON lines, ``{"item": "7", "truth": …}``, readable by its owner alone.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast, get_args

from accord.errors import ContractError, PlanError, Unreadable, nearest
from accord.ports import Store
from accord.records import JSON, Purpose, TruthRead, TruthSeal, digest
from accord.stores.files import aside, make_folder, write_at

__all__ = ["TruthVault", "Undeclared", "read_truths", "write_truths"]

_LINE = 'an object with the keys "item" (a text that is not empty) and "truth"'
_PROMISE = "a truth is read for a declared purpose, by a declared reader"


class Undeclared(ContractError):
    """A truth was to be read that may not be: from then on what was learnt or measured is void."""


class TruthVault:
    """Truths by item. ``readers``: who may read, and for which purposes.

    What a run's vault recorded before is taken up from the store, so that a resumed run counts on, and stays
    void if it was.
    """

    def __init__(
        self,
        name: str,
        truths: Mapping[str, JSON],
        readers: Mapping[str, Iterable[Purpose]],
        store: Store,
        run: str = "",
    ) -> None:
        self.name, self.run = name, run
        self._items = frozenset(truths)
        self._readers = {by: frozenset(purposes) for by, purposes in readers.items()}
        for by, purposes in self._readers.items():
            for odd in sorted(purposes - set(get_args(Purpose))):
                allowed = ", ".join(get_args(Purpose))
                raise PlanError(f"vault.readers.{by}", odd, allowed, nearest(odd, get_args(Purpose)))
        self._store, self._lock = store, threading.Lock()  # leaves are asked on the worker's thread
        self._unlock = _locked(truths)
        self._reads = [r for r in self._recorded("truth_read") if isinstance(r, TruthRead)]
        self._seals = [r for r in self._recorded("truth_seal") if isinstance(r, TruthSeal)]

    def read(self, item: str, purpose: Purpose, by: str) -> JSON:
        """The truth of one item. Its record is in the store when this returns."""
        return self.read_all([item], purpose, by)[0]

    def read_all(self, items: Sequence[str], purpose: Purpose, by: str) -> list[JSON]:
        """As many reads, and as many records, in one write; all of them are given or none.

        An item it does not hold is a ContractError too, of which nothing is recorded: nothing can be learnt.
        """
        with self._lock:
            refused = self._objection(purpose, by)
            if not refused and (missing := [item for item in items if item not in self._items]):
                raise ContractError(by, f"an item of the vault {self.name} is read", f"item {missing[0]!r}")
            parents = (self._seals[-1].id,) if purpose == "score" and self._seals else ()
            reads = [
                TruthRead(
                    vault=self.name,
                    item=item,
                    purpose=purpose,
                    by=by,
                    number=number,
                    run=self.run,
                    refused=refused,
                    parents=parents,
                )
                for number, item in enumerate(items, start=len(self._reads) + 1)
            ]
            self._store.put(*reads)
            self._reads += reads
        if refused:
            raise Undeclared(by, _PROMISE, f"{refused}; vault {self.name}, and the run is void")
        return [self._unlock(item) for item in items]

    def seal(self, answers: Iterable[str]) -> TruthSeal:
        """Say by their ids which answers are final; ``score`` is open from here on. The same again is no
        second seal."""
        ids = sorted(set(answers))
        if not ids:
            raise ContractError(self.name, "answers are sealed before they are scored", "no answers")
        seal = TruthSeal(vault=self.name, answers=len(ids), digest=digest(ids), run=self.run)
        with self._lock:
            self._store.put(seal)
            self._seals.append(seal)
        return seal

    @property
    def items(self) -> frozenset[str]:
        """Which items it holds a truth of."""
        return self._items

    @property
    def counts(self) -> Mapping[Purpose, int]:
        """How many truths were given for each purpose, those of earlier starts of the run included."""
        given = Counter(read.purpose for read in self._reads if not read.refused)
        return {purpose: given[purpose] for purpose in cast("tuple[Purpose, ...]", get_args(Purpose))}

    @property
    def void(self) -> tuple[TruthRead, ...]:
        """The reads that were refused. With one of them nothing that the run shows is evidence."""
        return tuple(read for read in self._reads if read.refused)

    def demand_sound(self) -> None:
        """Undeclared where a read was refused, also where whoever asked for it kept the error to itself: a
        desk takes what an overseer raises for an abstention."""
        if self.void:
            first = self.void[0]
            raise Undeclared(first.by, _PROMISE, f"{first.refused}; vault {self.name}, and the run is void")

    def __repr__(self) -> str:
        told = ", ".join(f"{purpose} {count}" for purpose, count in self.counts.items())
        return f"TruthVault({self.name!r}: {len(self._items)} items; reads: {told}; refused {len(self.void)})"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        promise = "truths leave a vault only by read"
        raise ContractError(self.name, promise, "it was to be copied or pickled; hand it on as it is")

    def _objection(self, purpose: str, by: str) -> str:
        """Why these reads are refused, or nothing."""
        if purpose not in get_args(Purpose):
            return f"{purpose!r} is no purpose; there are {', '.join(get_args(Purpose))}"
        if by not in self._readers:
            declared = ", ".join(sorted(self._readers)) or "nobody"
            return f"{by!r} is not declared as a reader; declared: {declared}"
        if purpose not in self._readers[by]:
            return f"{by!r} reads for {purpose!r}, declared: {', '.join(sorted(self._readers[by]))}"
        if purpose == "score" and not self._seals:
            return f"{by!r} scores before the answers are sealed"
        return ""

    def _recorded(self, kind: str) -> list[object]:
        found = self._store.find(kind, run=self.run)
        return [one for one in found if isinstance(one, TruthRead | TruthSeal) and one.vault == self.name]


def read_truths(file: Path) -> dict[str, JSON]:
    """The truths of a file. Unreadable names the line and what is wrong with it, and quotes none of it."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise Unreadable(file, "truths as JSON lines", error.strerror or str(error)) from None
    except UnicodeDecodeError as error:
        raise Unreadable(file, "truths as JSON lines in UTF-8", f"byte {error.start} is none") from None
    truths: dict[str, JSON] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        found = _line(line)
        if isinstance(found, str):
            raise Unreadable(file, _LINE, found, number)
        item, truth = found
        if item in truths:
            raise Unreadable(file, "each item once", f"a second {item!r}", number)
        truths[item] = truth
    if not truths:
        raise Unreadable(file, "one truth or more", "none")
    return truths


def write_truths(file: Path, truths: Mapping[str, JSON]) -> None:
    """A file for ``read_truths``, readable by its owner alone; durable when it returns."""
    lines = [json.dumps({"item": item, "truth": truth}) for item, truth in truths.items()]
    make_folder(file.parent)
    with aside(file) as opened:
        os.fchmod(opened, 0o600)
        write_at(opened, "".join(f"{line}\n" for line in lines).encode("utf-8"), 0)


def _line(line: str) -> tuple[str, JSON] | str:
    """An item and its truth, or what is wrong. An error of the parser would carry the whole line along."""
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        return f"no JSON at column {error.colno}"
    except RecursionError:
        return "JSON nested too deep"
    if not isinstance(fields, dict):
        return f"JSON of the type {type(fields).__name__}"
    given = cast("dict[str, JSON]", fields)
    if set(given) != {"item", "truth"}:
        return f"{len(given)} keys, {len({'item', 'truth'} & set(given))} of them known"
    item = given["item"]
    if not isinstance(item, str) or not item:
        return f'an "item" of the type {type(item).__name__}'
    return item, given["truth"]


def _locked(truths: Mapping[str, JSON]) -> Callable[[str], JSON]:
    """A copy that only this function knows: no attribute holds it, so none can print it."""
    held = {item: json.dumps(truth) for item, truth in truths.items()}
    return lambda item: cast(JSON, json.loads(held[item]))
