"""Gold: questions whose answer is known, from a file, with the answers locked in a TruthVault.

JSON lines, one question each::

    {"prompt": "2 + 2?", "answers": ["4", "5"], "best": 0, "known_by": "program"}
    {"prompt": "…", "answers": ["…", "…", "…"], "best": 2, "known_by": "adjudicators", "agreed": 5}
    {"prompt": "…", "answers": ["…"], "options": ["kind", "rude"], "tags": ["rude"], "known_by": "program"}

The first two are compared, and right is who has the best one alone on top; the third is labelled, and right
is who chose just these tags. An answer is known where a program can tell it, or where five adjudicators or
more agreed on it: anything else would be one opinion held against another. ``wording`` and ``slice`` may
stand in a line, too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from accord.errors import Unreadable
from accord.records import (
    JSON,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Prompt,
    Question,
    Ranked,
    Record,
    Response,
)
from accord.stores.memory import MemoryStore
from accord.stores.people.project import Project
from accord.vault import TruthVault

__all__ = ["ADJUDICATORS", "Choice", "Gold", "gold_in", "gold_of", "qualifying"]

ADJUDICATORS = 5  # who must have agreed
_READER = "quality"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    answers: tuple[str, ...] = Field(min_length=1)
    best: int | None = Field(default=None, ge=0)
    options: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    known_by: Literal["program", "adjudicators"]
    agreed: int = 0
    wording: str = ""
    slice: str = ""


class _Known(NamedTuple):
    question: Question
    records: tuple[Record, ...]
    truth: JSON


class Choice(NamedTuple):
    """What of a verdict is marked: the tiers and whether all answers are bad, or the tags in order."""

    tiers: tuple[tuple[str, ...], ...] = ()
    tags: tuple[str, ...] = ()
    bad: bool = False

    @classmethod
    def of(cls, judgment: Judgment) -> Choice:
        """Nothing where somebody abstained."""
        match judgment.verdict:
            case Ranked(tiers=tiers, acceptable=acceptable):
                return cls(tiers, bad=acceptable == ())
            case Labelled(tags=tags):
                return cls(tags=tuple(sorted(tags)))
            case _:
                return cls()


class Gold:
    """Questions with a known answer. The answers are in a vault that only ``right`` reads."""

    def __init__(self, known: Sequence[_Known]) -> None:
        self.questions = tuple(one.question for one in known)
        self._records = {one.question.id: one.records for one in known}
        truths = {one.question.id: one.truth for one in known}
        self._vault = TruthVault("gold", truths, {_READER: ("score",)}, MemoryStore())
        self._marked: dict[str, bool] = {}

    @property
    def ids(self) -> frozenset[str]:
        return self._vault.items

    def records(self, question: Question) -> Sequence[Record]:
        """The texts that a question names."""
        return self._records[question.id]

    def order_for(self, rater: str, without: Iterable[str] = ()) -> list[Question]:
        """All of them in this rater's order: by a hash of both, so that no two raters share one."""
        left_out = frozenset(without)

        def place(question: Question) -> bytes:
            return hashlib.sha256(f"gold\n{rater}\n{question.id}".encode()).digest()

        return sorted((q for q in self.questions if q.id not in left_out), key=place)

    def right(self, judgment: str, question: str, choice: Choice) -> bool:
        """Whether a judgment says what is known of a gold question. To skip is not to be right; callers count
        skips apart where they matter."""
        known = self._marked.get(judgment)
        if known is None:
            self._vault.seal([judgment])  # what is marked is final: it was submitted
            truth = self._vault.read(question, "score", _READER)
            best, tags = (truth, None) if isinstance(truth, str) else (None, truth)
            known = choice.tiers[:1] == ((best,),) and not choice.bad if best else list(choice.tags) == tags
            self._marked[judgment] = known
        return known


def gold_of(project: Project) -> Gold | None:
    """The gold questions of the main round; None where the project names no file. Unreadable: see there."""
    return gold_in(project.gold_questions) if project.gold_questions and project.gold else None


def qualifying(project: Project) -> Gold | None:
    """The questions of the qualification round. Unreadable: the file has fewer than a round asks."""
    if project.qualification is None:
        return None
    gold = gold_in(project.qualification.questions)
    asked = project.qualification.asked
    if len(gold.questions) < asked:
        expected = f"{asked} questions with a known answer or more, as a qualification round asks"
        raise Unreadable(project.qualification.questions, expected, str(len(gold.questions)))
    return gold


def gold_in(file: str) -> Gold:
    """The questions of a file; read again when it has changed. Unreadable names the line."""
    path = Path(file)
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise Unreadable(file, "gold questions as JSON lines", error.strerror or str(error)) from error
    return _read(path, changed)


@lru_cache(maxsize=8)  # every lease asks for it
def _read(path: Path, _: int) -> Gold:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # JSON may hold other ends of lines as they are
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(path, "gold questions as JSON lines", str(error)) from error
    known = {
        one.question.id: one
        for number, line in enumerate(lines, start=1)
        if line.strip()
        for one in (_known(path, number, line),)
    }
    if not known:
        raise Unreadable(path, "one gold question or more", "none")
    return Gold(list(known.values()))


def _known(path: Path, number: int, line: str) -> _Known:
    try:
        row = _Row.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        # Neither error quotes the line: it holds the answer.
        raise Unreadable(path, "a gold question", f"{place}: {first['msg']}", number) from None
    except json.JSONDecodeError as error:
        raise Unreadable(path, "a gold question", f"no JSON at column {error.colno}", number) from None
    if wrong := _misfit(row):
        raise Unreadable(path, "a gold question", wrong, number)
    prompt = Prompt.of(row.prompt, row.slice)
    answers = [Response(prompt=prompt.id, text=t, finish="data", index=i) for i, t in enumerate(row.answers)]
    ids = tuple(answer.id for answer in answers)
    compared = row.best is not None
    question = Question(
        asks=Kind.COMPARE if compared else Kind.LABEL,
        prompt=prompt.id,
        responses=ids,
        instrument=Instrument(wording=row.wording, options=row.options),
        parents=(prompt.id, *ids),
    )
    truth: JSON = ids[row.best] if row.best is not None else sorted(row.tags)
    return _Known(question, (prompt, *answers), truth)


def _misfit(row: _Row) -> str:
    """Why a line is no gold question, or nothing."""
    if row.known_by == "adjudicators" and row.agreed < ADJUDICATORS:
        return f"agreed: {row.agreed} adjudicators; an answer is known from {ADJUDICATORS} on"
    if (row.best is None) == (not row.tags):
        return "best or tags: one of the two"
    if row.best is not None and not (len(row.answers) > 1 and row.best < len(row.answers)):
        return "best: the place of one of two answers or more, from 0"
    if row.tags and not (len(row.answers) == 1 and set(row.tags) <= set(row.options)):
        return "tags: of the options, for one answer"
    return ""
