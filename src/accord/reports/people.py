"""What people said that a stage rests on: found by id in its labelling databases, for they alone keep it.

A report that is written down names the judgment and says whether it still stands; what was said is told
``aloud`` only, to a screen that keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, cast

from accord.errors import AccordError
from accord.frozen import LOCK, Frozen
from accord.records import JSON, Judgment
from accord.reports.logs import StageLog
from accord.reports.words import counted

__all__ = ["Heard", "heard"]


class Heard(NamedTuple):
    """A judgment that lies outside the run: what was asked, what it was made of, and what can be said of it.

    ``judgment``: None where it was made of others, or is not to be had.
    """

    question: str
    made_of: tuple[str, ...]
    judgment: Judgment | None
    says: str


def heard(log: StageLog) -> Mapping[str, Heard]:
    """Every judgment in the stage's lock, by its id. A database is opened once, and only read."""
    if not (log.folder / LOCK).is_file():
        return {}
    found: dict[str, Heard] = {}
    with Frozen(log.folder) as frozen:
        shut = [(url, why) for url in _queues(log.stage.table()) if (why := _trouble(frozen, url))]
        for entry in frozen.entries():
            if entry.made_of:
                says = f"made of {counted(len(entry.made_of), 'judgment')}, with people's among them"
                found[entry.judgment] = Heard(entry.question, entry.made_of, None, says)
                continue
            try:
                said = frozen.said(entry.judgment)
            except AccordError as error:
                first = shut[0][1] if shut else str(error).splitlines()[0]
                found[entry.judgment] = Heard(entry.question, (), None, f"a person's; not reachable: {first}")
                continue
            says = "a person's; withdrawn since" if said is None else "a person's; it stands in the database"
            found[entry.judgment] = Heard(entry.question, (), said, says)
    return found


def _trouble(frozen: Frozen, url: str) -> str:
    """Why a database cannot be opened; empty where it can."""
    try:
        frozen.queue(url)
    except AccordError as error:
        return str(error).splitlines()[0]
    return ""


def _queues(value: JSON) -> Iterator[str]:
    """Every setting ``queue`` of a stage, each once for each place it stands."""
    if isinstance(value, Mapping):
        if isinstance(value.get("queue"), str):
            yield cast(str, value["queue"])
        for inner in value.values():
            yield from _queues(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from _queues(inner)
