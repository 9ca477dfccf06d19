"""What the labelling database hands out: leases, receipts, the journal's lines, counts. Plain values."""

from __future__ import annotations

from typing import Literal, NamedTuple

from accord.records import Judgment

__all__ = [
    "Day",
    "Done",
    "Event",
    "Happened",
    "Lease",
    "Progress",
    "Rater",
    "Receipt",
    "Round",
    "Said",
    "Standing",
    "Use",
    "Withdrawn",
]

Happened = Literal["submit", "amend", "withdraw", "adjudicate", "late"]
Standing = Literal["vote", "late", "adjudicated", "qualification"]
Round = Literal["main", "qualification"]
Done = Literal["stored", "again", "late"]


class Lease(NamedTuple):
    """A slot in a rater's hands until ``until`` (seconds since the epoch).

    ``number``: which of the question's slots, from 0; those for one rater only count from 1000. Who takes the
    slot later has a higher ``fence``; the fence decides, not the clock.
    """

    slot: int
    question: str
    number: int
    rater: str
    fence: int
    until: float


class Receipt(NamedTuple):
    """What became of a submission. ``again``: the same key came before, and this is what was kept then.

    ``late``: kept in the journal, but the slot had gone to somebody else; no vote unless asked for.
    """

    state: Done
    judgment: str


class Event(NamedTuple):
    """A line of the journal. ``judgment`` is None where it was erased, and of ``withdraw``; its id stays.

    ``slot``: the number within the question, None where the event belongs to no slot (adjudications).
    ``replaces``: the judgment's id that an amendment takes the place of. ``note``, of ``withdraw``: ``undo``
    or ``everything``.
    """

    seq: int
    at: float
    kind: Happened
    question: str
    slot: int | None
    rater: str
    id: str
    judgment: Judgment | None
    replaces: str | None
    note: str


class Said(NamedTuple):
    """A judgment that stands. ``seq`` is that of its event; ``slot`` None for an adjudication."""

    judgment: Judgment
    rater: str
    question: str
    slot: int | None
    at: float
    seq: int
    standing: Standing


class Use(NamedTuple):
    """A judgment went into something: an export, a run, a checkpoint, a model."""

    judgment: str
    by: str
    at: float


class Withdrawn(NamedTuple):
    """What *withdraw everything* erased, and what had used it before (whoever keeps those must be told).

    ``judgments``: ids, which stay. ``records``: ids of texts that were made from them and are gone too.
    ``cleared``: no file of the database holds a trace any more; False where another process reads so long
    that it could not be tidied: the next opening does it.
    """

    judgments: tuple[str, ...]
    records: tuple[str, ...]
    drafts: int
    uses: tuple[Use, ...]
    cleared: bool


class Rater(NamedTuple):
    """What one rater has done. ``votes`` stand, abstentions among them; ``qualified``: when, or None.

    ``tries``: qualification rounds that were marked.
    """

    rater: str
    votes: int
    abstained: int
    late: int
    first: float | None
    last: float | None
    qualified: float | None
    tries: int


class Day(NamedTuple):
    """Votes that stand, by the day (UTC, ``2026-01-31``) they were given."""

    day: str
    votes: int


class Progress(NamedTuple):
    """Counts for pages, of the main round: slots by state, what each rater did, votes by day.

    ``complete``: questions whose slots are all closed. ``void``: slots that nobody can fill any more, because
    a text of the question was withdrawn.
    """

    questions: int
    complete: int
    open: int
    leased: int
    closed: int
    void: int
    raters: tuple[Rater, ...]
    days: tuple[Day, ...]
