"""Out of the labelling database into a file: what may leave, in which form, and a note that it left.

What was withdrawn, and what was said in a qualification round, never leaves. What came late, and what people
with few votes said, leaves or stays as asked. An adjudication is no vote: only the lossless file holds it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from accord.errors import PlanError, Refused
from accord.progress import Progress
from accord.records import Question, Record
from accord.stores.files import write_aside
from accord.stores.foreign.exports.counted import TYPES, Type
from accord.stores.foreign.exports.given import Export, Given, named_by
from accord.stores.foreign.exports.inspect_log import inspect_log
from accord.stores.foreign.exports.shares import Memberships, distributions, parquet
from accord.stores.foreign.exports.sheet import sheet
from accord.stores.foreign.exports.trl import trl_rows
from accord.stores.foreign.exports.whole import Kept, Standing, line_of, whole

if TYPE_CHECKING:
    from accord.stores.people import People, Said

__all__ = ["SHAPES", "Gift", "Shape", "Wish", "gift", "give"]

Shape = Type | Literal["distributions", "inspect", "jsonl", "csv"]
SHAPES: tuple[Shape, ...] = (*TYPES, "distributions", "inspect", "jsonl", "csv")


class Wish(NamedTuple):
    """What is asked for. ``minimum``: leave out raters below the project's; ``groups``: who said what of
    themselves, by pseudonym, with consent; ``zipped``: a log of Inspect as ``.eval``."""

    shape: Shape
    conversational: bool = False
    late: bool = False
    minimum: bool = False
    groups: Memberships | None = None
    zipped: bool = False


class Gift(NamedTuple):
    """A file, and what is to be said of it: its rows, what they lost, and what stayed behind.

    ``few``: votes of each rater below the minimum, who was left out. ``seq``: the last event before.
    """

    data: bytes
    rows: int
    export: Export
    late: int
    few: Mapping[str, int]
    seq: int

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).hexdigest()


def gift(people: People, wish: Wish, progress: Progress) -> Gift:
    """What is to leave, as asked; nothing has left yet. PlanError where the wish makes no sense."""
    _check(wish)
    progress.begin("reading")
    seq = people.newest()
    said = people.current(standing=("vote", "late", *(("adjudicated",) if wish.shape == "jsonl" else ())))
    late = sum(one.standing == "late" for one in said)
    kept = [one for one in said if wish.late or one.standing != "late"]
    few = _few(kept, people.project().minimum) if wish.minimum else {}
    kept = [one for one in kept if one.rater not in few]
    questions = tuple(people.questions())
    given = Given(questions, tuple(one.judgment for one in kept), _texts(people, questions, progress))
    progress.begin("writing")
    data, rows, export = _written(given, wish, kept, people.project().k)
    progress.end()
    return Gift(data, rows, export, 0 if wish.late else late, few, seq)


def give(people: People, made: Gift, wish: Wish, to: Path | None) -> str:
    """Note who uses what, then write it to ``to``, if it is to be a file; the note.

    The note comes first: a file that nobody knows of would be the worse of the two. Refused where somebody
    withdrew an answer since it was read: whoever withdraws later finds the note.
    """
    note = f"export {wish.shape} {to.name if to else 'to a pipe'} sha256:{made.digest[:16]}"
    people.used(made.export.used, note)
    if any(event.kind == "withdraw" for event in people.events(made.seq)):
        raise Refused("somebody withdrew an answer meanwhile, so nothing was written\n  export again")
    if to is not None:
        write_aside(to, made.data)
    return note


def _check(wish: Wish) -> None:
    if wish.conversational and wish.shape not in TYPES:
        raise PlanError("--conversational", wish.shape, f"with {', '.join(TYPES)}")
    if wish.groups is not None and wish.shape != "distributions":
        raise PlanError("--groups", wish.shape, "with distributions, which shows no single person's answer")


def _few(said: Sequence[Said], minimum: int) -> dict[str, int]:
    if not minimum:
        advice = "set minimum in the project's file, and open the database once with --project FILE"
        raise PlanError("--minimum", None, "in a project that has a minimum", advice)
    votes = Counter(one.rater for one in said if one.standing != "adjudicated")
    return {rater: count for rater, count in sorted(votes.items()) if count < minimum}


def _texts(people: People, questions: Sequence[Question], progress: Progress) -> dict[str, Record]:
    """Every text that is still there; what was withdrawn is not."""
    found: dict[str, Record] = {}
    progress.begin("reading texts", len(questions))
    for question in questions:
        # Twice, because an episode names turns of its own.
        for _ in range(2):
            found |= _read(people, [name for name in named_by(question, found) if name not in found])
        progress.advance()
    return found


def _read(people: People, names: Sequence[str]) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for name in names:
        with suppress(KeyError):
            found[name] = people.read(name)
    return found


def _written(given: Given, wish: Wish, said: Sequence[Said], k: int) -> tuple[bytes, int, Export]:
    match wish.shape:
        case "distributions":
            export = distributions(given, wish.groups, k)
            return parquet(export.rows), len(export.rows), export
        case "jsonl":
            kept = [Kept(one.judgment, one.rater, as_, one.at) for one in said if (as_ := _standing(one))]
            export = whole(given, kept)
            return _lines(export), len(export.rows) - 1, export
        case "inspect":
            at = max((one.at for one in said), default=0.0)
            data, export = inspect_log(given, at, wish.zipped)
            return data, len(export.rows), export
        case "csv":
            text, export = sheet(given)
            # A spreadsheet takes UTF-8 for the letters of its country unless this mark comes first.
            return text.encode("utf-8-sig"), len(export.used), export
        case type_:
            export = trl_rows(given, type_, wish.conversational)
            return _lines(export), len(export.rows), export


def _lines(export: Export) -> bytes:
    return b"".join(line_of(row).encode("utf-8") for row in export.rows)


def _standing(said: Said) -> Standing | None:
    return None if said.standing == "qualification" else said.standing
