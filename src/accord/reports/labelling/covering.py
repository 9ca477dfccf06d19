"""What is done and what is left: by stratum, by arm, by rater; why people skipped; when all may be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from accord.stores.people.surveying import Line, Slots, Survey

__all__ = ["Done", "Finish", "Row", "Work", "by_arm", "by_stratum", "finish", "skipped", "total", "works"]

_WEEK, _HOUR = 7 * 86_400.0, 3_600.0
_LEAST = 10  # answers that make a pace


class Row(NamedTuple):
    """Questions of a stratum or an arm: how many, how many with all slots closed, their slots, and votes."""

    name: str
    questions: int
    complete: int
    slots: Slots
    votes: int


class Done(NamedTuple):
    """Slots that anybody may take, and those that one rater each may take and has not."""

    row: Row
    for_one: int


class Finish(NamedTuple):
    """``at``: when the last slot would be closed at the pace of the last ``hours`` with their ``votes``; None
    where that is too few to tell. ``left``: slots to go."""

    at: float | None
    left: int
    votes: int
    hours: float


class Work(NamedTuple):
    """What one rater gave: votes, how many of them skips, the middle of the seconds they took (None where
    nobody measured), when the last one came; ``short``: of the project's minimum."""

    rater: str
    votes: int
    skipped: int
    seconds: float | None
    last: float
    short: int


def by_stratum(survey: Survey) -> list[Row]:
    """By the slice of the prompt, in the order of their names; one without a name for prompts without."""
    return _rows(survey, lambda q: survey.strata.get(survey.questions[q].prompt, ""))


def by_arm(survey: Survey) -> list[Row]:
    """By the arm that chose the question; none where no question was chosen."""
    if not any(question.selection for question in survey.questions.values()):
        return []
    arms = {id_: q.selection.arm if q.selection else "" for id_, q in survey.questions.items()}
    return _rows(survey, arms.__getitem__)


def total(survey: Survey) -> Done:
    """All together."""
    rows = _rows(survey, lambda _: "")
    return Done(rows[0] if rows else Row("", 0, 0, Slots(), 0), survey.for_one)


def _rows(survey: Survey, name_of: Callable[[str], str]) -> list[Row]:
    votes = Counter(line.question for line in survey.lines if line.standing == "vote" and not line.for_one)
    rows: dict[str, Row] = {}
    for id_, slots in survey.slots.items():
        name = name_of(id_)
        row = rows.get(name, Row(name, 0, 0, Slots(), 0))
        together = Slots(*(a + b for a, b in zip(row.slots, slots, strict=True)))
        closed = row.complete + (slots.open == slots.leased == 0 and slots.closed > 0)
        rows[name] = Row(name, row.questions + 1, closed, together, row.votes + votes[id_])
    return [rows[name] for name in sorted(rows)]


def skipped(lines: Sequence[Line]) -> list[tuple[str, int]]:
    """How often each reason was given, the most frequent first."""
    found = Counter(line.abstention for line in lines if line.abstention and line.standing == "vote")
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))


def works(lines: Sequence[Line], minimum: int) -> list[Work]:
    """What every rater gave, those first who gave most."""
    by_rater: dict[str, list[Line]] = {}
    for line in lines:
        if line.standing == "vote":
            by_rater.setdefault(line.rater, []).append(line)
    found: list[Work] = []
    for rater, own in by_rater.items():
        took = [line.active for line in own if line.active > 0]
        skips = sum(bool(line.abstention) for line in own)
        seconds = median(took) if took else None
        last = max(line.at for line in own)
        found.append(Work(rater, len(own), skips, seconds, last, max(0, minimum - len(own))))
    return sorted(found, key=lambda work: (-work.votes, work.rater))


def finish(survey: Survey, now: float) -> Finish:
    """At the pace of the last seven days, or of as long as there were answers, an hour at the least.

    >>> line = Line("j", "r", "q", 0, 0.0, "vote", (), "ranked", (), {}, (), False, "", 0.0)
    >>> lines = [line._replace(at=3600.0 * hour) for hour in range(10)]
    >>> finish(Survey(9, {}, {}, {}, {"q": Slots(open=5)}, 0, lines), 36_000.0)
    Finish(at=54000.0, left=5, votes=10, hours=10.0)
    """
    left = sum(slots.open + slots.leased for slots in survey.slots.values())
    recent = [
        line.at
        for line in survey.lines
        if line.standing == "vote" and not line.for_one and line.at > now - _WEEK
    ]
    if not recent:
        return Finish(None, left, 0, 0.0)
    span = max(_HOUR, now - min(recent))
    at = now + left * span / len(recent) if len(recent) >= _LEAST else None
    return Finish(at, left, len(recent), span / _HOUR)
