"""What a file brings: questions, texts and judgments; who is said to have judged; rows that were rejected.

1. A row that names its annotator was judged by a person, ``data:`` and a pseudonym; by something else where
   it says so, as ``model:gpt-4`` or ``program:lint.py``, which is how our own exports write it.
2. A row that names nobody was judged by nobody known. It is put down to a program, ``data:`` and how the
   file's digest begins: that this file was read is all that is known of it. It is never taken for a person.
3. Names do not enter the labelling database: an annotator that is no pseudonym of the form ``r-`` and 12
   hexadecimal digits becomes one, a hash of the name, so that one name is one rater in every file.
4. The salt of a judgment is made of the file's digest and the row's number. So a file brought in twice brings
   the same judgments, and whoever lacks the file cannot guess from an id what was said.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

from accord.errors import Unreadable
from accord.records import (
    Abstention,
    By,
    Instrument,
    Judgment,
    Kind,
    Prompt,
    Question,
    Record,
    Response,
    Verdict,
    digest,
)
from accord.stores.files import file_sha256
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.exports.whole import Kept, line_of
from accord.stores.foreign.tables import Fields

__all__ = ["Brought", "Gathered", "Reject", "Row", "by_of", "pseudonym", "reject_lines", "source_of"]

_PSEUDONYM = re.compile(r"r-[0-9a-f]{12}")
_MACHINES = frozenset(get_args(By.model_fields["type"].annotation)) - {"person"}
_CONFIG = digest({"accord": "import", "v": 1})


class Reject(NamedTuple):
    """A row that is left out, and why."""

    file: str
    line: int | None
    expected: str
    found: str
    row: Mapping[str, object] | None


class Brought(NamedTuple):
    """What a file says. ``lost``: how often each thing was left out that a judgment cannot say."""

    questions: tuple[Question, ...]
    records: tuple[Record, ...]
    kept: tuple[Kept, ...]
    read: int
    lost: Mapping[str, int]
    rejects: tuple[Reject, ...]


def pseudonym(name: str) -> str:
    """The rater that a name stands for.

    >>> pseudonym("r-00112233aabb"), pseudonym("Ada"), pseudonym("Ada") == pseudonym("ada")
    ('r-00112233aabb', 'r-52dfab75f0ed', False)
    """
    if _PSEUDONYM.fullmatch(name):
        return name
    return f"r-{hashlib.sha256(f'annotator {name}'.encode()).hexdigest()[:12]}"


def by_of(annotator: object, source: str) -> By:
    """Who judged a row: a person where it says who, never otherwise. ``source``: the file's digest."""
    if annotator is None:
        return By(type="program", name=f"data:{source[:12]}", config=_CONFIG)
    if not isinstance(annotator, str | int) or isinstance(annotator, bool) or not str(annotator).strip():
        raise Unfit('"annotator" as text', repr(annotator)[:80])
    kind, colon, name = str(annotator).partition(":")
    if colon and name and kind in _MACHINES:
        return By(type=cast(Any, kind), name=name, config=_CONFIG)
    return By(type="person", name=f"data:{pseudonym(str(annotator))}", config=_CONFIG)


class Gathered:
    """The records of a file, gathered row by row; a row that does not fit leaves nothing behind."""

    def __init__(self, rejecting: bool) -> None:
        self.lost = Counter[str]()
        self._rejecting = rejecting
        self._questions: dict[str, Question] = {}
        self._records: dict[str, Record] = {}
        self._kept: list[Kept] = []
        self._rejects: list[Reject] = []
        self._read = 0

    def row(
        self, file: Path, number: int | None, row: Fields | Unreadable, take: Callable[[Row], None]
    ) -> None:
        """Take one row in; one that does not fit is rejected, or Unreadable with its line and field."""
        self._read += 1
        given = None if isinstance(row, Unreadable) else dict(row)
        try:
            if isinstance(row, Unreadable):
                raise Unfit(row.expected, row.found)
            taken = Row(row, number)
            take(taken)
        except Unfit as unfit:
            if not self._rejecting:
                raise Unreadable(file, unfit.expected, unfit.found, number) from unfit
            self._rejects.append(Reject(str(file), number, unfit.expected, unfit.found, given))
            return
        self._records |= taken.records
        self._questions |= taken.questions
        self._kept += taken.kept
        self.lost.update(taken.lost)

    def done(self, file: Path, rows: str) -> Brought:
        """All of it. Unreadable where nothing is left."""
        if not self._questions:
            found = f"{len(self._rejects):,} of {self._read:,} rows rejected"
            why = ", ".join(f"{count:,} {what}" for what, count in sorted(self.lost.items()))
            first = f"; the first: {self._rejects[0].expected}" if self._rejects else ""
            raise Unreadable(
                file, f"at least one row of {rows}", f"{found}{first}{': ' + why if why else ''}"
            )
        return Brought(
            tuple(self._questions.values()),
            tuple(self._records.values()),
            tuple(self._kept),
            self._read,
            {why: count for why, count in sorted(self.lost.items()) if count},
            tuple(self._rejects),
        )


class Row:
    """What one row says, until all of it is known to fit."""

    def __init__(self, fields: Fields, number: int | None) -> None:
        self.fields, self.number = fields, number
        self.records: dict[str, Record] = {}
        self.questions: dict[str, Question] = {}
        self.kept: list[Kept] = []
        self.lost = Counter[str]()

    def answer(self, prompt: Prompt, text: str, index: int = 0, seed: str = "", policy: str = "data") -> str:
        """The id of a text that answers ``prompt``."""
        told = {"text": text, "finish": "data", "policy": policy, "seed": seed, "index": index}
        response = Response.model_validate({"prompt": prompt.id, "parents": (prompt.id,), **told})
        self.records |= {prompt.id: prompt, response.id: response}
        return response.id

    def ask(
        self,
        kind: Kind,
        prompt: Prompt,
        answers: Sequence[str],
        instrument: Instrument | None = None,
        beside: Sequence[str] = (),
    ) -> Question:
        """A question, made as the asks make theirs."""
        self.records[prompt.id] = prompt
        question = Question(
            asks=kind,
            prompt=prompt.id,
            responses=tuple(answers),
            instrument=instrument or Instrument(),
            evidence=tuple(beside),
            parents=(prompt.id, *answers, *beside),
        )
        self.questions[question.id] = question
        return question

    def say(self, question: Question, by: By, said: Verdict | Abstention, source: str, **more: Any) -> None:
        """A judgment, or why there is none; Unfit where it does not answer its question."""
        salt = digest({"file": source, "row": self.number, "place": len(self.kept)})[:32] if source else ""
        given: dict[str, Any] = {"abstention": said} if isinstance(said, str) else {"verdict": said}
        judgment = Judgment(question=question.id, parents=(question.id,), by=by, salt=salt, **given, **more)
        texts = {name: self.records[name] for name in question.responses}
        lengths = {name: len(one.text) for name, one in texts.items() if isinstance(one, Response)}
        if problem := judgment.problem_with(question, lengths):
            path, _, what = problem.partition(": ")
            raise Unfit(f"{path}: an answer to its question", what)
        person = by.type == "person"
        rater = by.name.removeprefix("data:") if person else pseudonym(f"{by.type}:{by.name}")
        self.kept.append(Kept(judgment, rater))


def source_of(file: Path) -> str:
    """The digest of a file; Unreadable where it cannot be read."""
    try:
        return file_sha256(file)
    except OSError as error:
        raise Unreadable(file, "a file that can be read", error.strerror or str(error)) from error


def reject_lines(rejects: Sequence[Reject]) -> str:
    """Rejected rows as JSON lines: where each stood, what was expected, what was found, the row itself."""
    return "".join(line_of(reject._asdict()) for reject in rejects)
