"""People: the labelling database. Questions wait here for people, and what they said is kept here only."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from accord.errors import Refused
from accord.records import Judgment, Question, Record
from accord.stores.database import Database, Keeping, Opened, address
from accord.stores.people import (
    counting,
    erasing,
    ingesting,
    journal,
    kept,
    leases,
    posting,
    rebuilding,
    saying,
    surveying,
    waiting,
)
from accord.stores.people.ingesting import Ingested, Voice
from accord.stores.people.posting import Posting
from accord.stores.people.project import Project
from accord.stores.people.said import (
    Event,
    Lease,
    Progress,
    Rater,
    Receipt,
    Round,
    Said,
    Standing,
    Withdrawn,
)
from accord.stores.people.surveying import Survey

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["People"]

_KEEPING = Keeping(
    versions=Path(__file__).parent / "migrations" / "versions",
    queued=False,
    secure=True,
    instead="name another labelling database",
    damaged="put back a copy of it: what people said is kept nowhere else",
)
_TIDYING = 10.0  # seconds that a withdrawal waits for readers before it leaves the rest to the next opening


class People(Opened):
    """A queue of questions and the journal of what was said. Satisfies the port ``Queue``.

    Threads and processes may share a database. Raters are known by a pseudonym only: r- and 12 hexadecimal
    digits. What a method did is on disk when it returns; one that is interrupted, even by ``kill -9``, did
    nothing. Slots count from 0.
    """

    def __init__(self, database: Database, clock: Callable[[], float] | None) -> None:
        super().__init__(database)
        self._clock = clock
        with database.reading() as connection:
            own = kept.value(connection, "id")
        if own is None:
            with database.writing() as connection:
                own = kept.new_id(connection)
        self.id = own
        """Of this database, wherever it is moved to."""
        with database.reading() as connection:
            self._watch = waiting.Watch(database, journal.newest(connection))
        self._tidy()

    @classmethod
    def open(cls, url: str | Path, clock: Callable[[], float] | None = None) -> People:
        """Make the database, or bring an older one up to date. A path, ``sqlite:///…`` or ``postgresql://…``.

        ``clock``: seconds since the epoch; without one the database's own, which all its processes share.
        Unreadable: the file is no database. Refused: it cannot be reached or written, or a newer version of
        Accord or another program made it.
        """
        return cls(Database(address(str(url)), _KEEPING), clock)

    # What is asked

    def project(self) -> Project:
        """The settings of this labelling project, as last kept; the defaults where none were."""
        with self._database.reading() as connection:
            return kept.project(connection)

    def keep_project(self, project: Project) -> None:
        """Settings for all that use this database from now on."""
        with self._database.writing() as connection:
            kept.keep(connection, "project", project.model_dump_json(exclude_defaults=True))

    def post(
        self, questions: Sequence[Question], records: Sequence[Record], slots: int = 1, priority: float = 0.0
    ) -> None:
        """Ask people. ``records`` are all the texts that the questions name; ``slots``: how many judge each.

        A question that is there keeps its slots and its priority, and gets more slots where there are fewer
        than now asked for. All or nothing; Refused where a text is missing. Higher priorities come first,
        equal ones in the order they were posted.
        """
        self._post(Posting(tuple(questions), tuple(records), slots, priority))

    def post_to(
        self,
        rater: str,
        questions: Sequence[Question],
        records: Sequence[Record],
        priority: float = 0.0,
        round: Round = "main",  # noqa: A002 - the word for it
    ) -> None:
        """One slot of each question that only this rater may take, before all others: gold, order repeats,
        hindsight, qualification. Posted again, nothing changes.
        """
        self._post(Posting(tuple(questions), tuple(records), 1, priority, rater, round))

    def read(self, record: str) -> Record:
        """A Prompt, Response, Question or whatever else was posted; KeyError for any other id."""
        with self._database.reading() as connection:
            return posting.read(connection, record)

    def questions(self) -> list[Question]:
        """All that was posted, in the order it came."""
        with self._database.reading() as connection:
            rows = connection.exec_driver_sql("SELECT body FROM question ORDER BY seq").all()
        return [cast(Question, posting.read_back("question", row[0])) for row in rows]

    # A rater's turn

    def lease(
        self,
        rater: str,
        ttl: float = 600.0,
        limit: int | None = None,
        round: Round = "main",  # noqa: A002
    ) -> Lease | None:
        """The next question for this rater, theirs for ``ttl`` seconds; the one they hold already, if any.

        None: nothing is left for them; or they have given ``limit`` votes; or, in the main round of a project
        with a qualification round, they have not passed it. Nobody gets a question twice.
        """
        _check_ttl(ttl)
        with self._database.writing() as connection:
            qualified = kept.project(connection).qualification is not None
            terms = leases.Terms(ttl, limit, round, qualified)
            return leases.lease(connection, rater, self._now(connection), terms)

    def held(self, rater: str, slot: int, fence: int) -> Lease:
        """The lease that was handed out so, whether or not it is still theirs (then ``until`` is 0).

        KeyError where none ever was.
        """
        with self._database.reading() as connection:
            return leases.held(connection, rater, slot, fence)

    def beat(self, lease: Lease, ttl: float = 600.0) -> float | None:
        """Keep it ``ttl`` seconds from now; the new end, or None where it is no longer theirs."""
        _check_ttl(ttl)
        with self._database.writing() as connection:
            return leases.beat(connection, lease, self._now(connection), ttl)

    def submit(self, lease: Lease, judgment: Judgment, key: str) -> Receipt:
        """Keep what a rater said, exactly once per ``key``, however often it is sent.

        ``stored``: a vote, for nobody took the slot since, however late it is by the clock; else ``late``.
        Refused, with the field, where the judgment does not answer the lease's question, its marks leave the
        text, or it is not by this rater for this slot.
        """
        with self._database.reading() as connection:
            config = saying.seat(connection, self.id, lease)
            saying.check(connection, judgment, lease.question, lease.rater, config)
        with self._database.writing() as connection:
            return saying.submit(connection, self._now(connection), lease, judgment, key)

    def release(self, lease: Lease) -> None:
        """Give the slot back unanswered. Without effect where it is no longer theirs."""
        with self._database.writing() as connection:
            leases.release(connection, lease)

    def undo(self, rater: str, ttl: float = 600.0) -> Lease | None:
        """Take that rater's newest judgment back (event ``withdraw``), and lease them its slot again.

        What else they held is released. None where there is nothing to lease again: nothing was said, or it
        is of a qualification round that is over (it stays), or it lies in no slot that is theirs (late, or
        brought in: it is taken back). The journal keeps what was said; only ``withdraw_everything`` erases.
        """
        _check_ttl(ttl)
        with self._database.writing() as connection:
            return saying.undo(connection, self._now(connection), rater, ttl)

    def amend(self, rater: str, of: str, judgment: Judgment, key: str) -> Receipt:
        """Another judgment in the place of ``of``, a standing vote of this rater. Exactly once per ``key``.

        KeyError where ``of`` is no standing vote of theirs; Refused as ``submit``.
        """
        with self._database.reading() as connection:
            question, config = saying.seat_of(connection, self.id, rater, of)
            saying.check(connection, judgment, question, rater, config)
        with self._database.writing() as connection:
            return saying.amend(connection, self._now(connection), of, judgment, key)

    def draft(self, rater: str, question: str, body: str | None) -> str | None:
        """Keep an unsent answer (``body``), or read the one that is kept (None). Submitting drops it."""
        if body is None:
            with self._database.reading() as connection:
                return kept.draft(connection, rater, question)
        with self._database.writing() as connection:
            kept.keep_draft(connection, self._now(connection), rater, question, body)
        return body

    def rater(self, rater: str) -> Rater:
        """What this rater has done; zeros for one who was never here."""
        with self._database.reading() as connection:
            found = counting.raters(connection, rater)
        return found[0] if found else Rater(rater, 0, 0, 0, None, None, None, 0)

    def raters(self) -> list[Rater]:
        """What everybody has done, by pseudonym."""
        with self._database.reading() as connection:
            return counting.raters(connection)

    def qualify(self, rater: str, passed: bool, tries: int | None = None) -> Rater:
        """Note the outcome of a qualification round; who passed may lease from the main round.

        ``tries``: how many were marked before, as the caller knows it; where it is another number, somebody
        else marked this round, and nothing is noted.
        """
        with self._database.writing() as connection:
            leases.qualify(connection, rater, self._now(connection) if passed else None, tries)
            return counting.raters(connection, rater)[0]

    # What was said

    def events(self, after: int = 0) -> Iterator[Event]:
        """The journal behind event ``after``, oldest first; read in portions, so it may be long."""
        while True:
            with self._database.reading() as connection:
                portion = journal.portion(connection, after)
            if not portion:
                return
            yield from portion
            after = portion[-1].seq

    def current(
        self,
        question: str | None = None,
        standing: Sequence[Standing] = ("vote",),
        rater: str | None = None,
    ) -> list[Said]:
        """What stands, of one question or of all, by one rater or by all, in the order it was said.

        ``standing``: ``vote``, ``late``, ``adjudicated``, ``qualification``.
        """
        with self._database.reading() as connection:
            return journal.said(connection, question, tuple(standing), rater)

    def newest(self) -> int:
        """The number of the last event, 0 before the first."""
        with self._database.reading() as connection:
            return journal.newest(connection)

    def history(self, question: str) -> list[Event]:
        """All that ever happened to one question, oldest first."""
        with self._database.reading() as connection:
            return journal.history(connection, question)

    def survey(self) -> Survey:
        """What figures are made of, of one moment, without texts."""
        with self._database.reading() as connection:
            return surveying.survey(connection, self._now(connection))

    def note(self, about: str, key: str, says: str | None) -> None:
        """Keep a decision beside what was said (None: no more of it). Never words of a rater: a withdrawal
        does not look here."""
        with self._database.writing() as connection:
            kept.note(connection, about, key, says)

    def notes(self, about: str) -> dict[str, str]:
        """What was noted about something, by key."""
        with self._database.reading() as connection:
            return kept.notes(connection, about)

    def adjudicate(self, question: str, judgment: Judgment) -> None:
        """Keep an adjudicator's judgment beside the votes; it overrules nothing. Again, it is the same event.

        KeyError for an unknown question; Refused as ``submit``.
        """
        with self._database.reading() as connection:
            saying.check(connection, judgment, question, judgment.by.name, None)
        with self._database.writing() as connection:
            saying.adjudicate(connection, self._now(connection), question, judgment)

    def ingest(
        self, questions: Sequence[Question], records: Sequence[Record], said: Sequence[Voice]
    ) -> Ingested:
        """Keep what a file says, in one transaction: questions (without slots), texts, and judgments.

        What was ever said or withdrawn here stays as it is. Refused where a text is missing, a judgment does
        not answer its question, or a rater is no pseudonym: then nothing is kept.
        """
        with self._database.writing() as connection:
            return ingesting.ingest(connection, self._now(connection), questions, records, said)

    def used(self, judgments: Sequence[str], by: str) -> None:
        """Note that an export, run, checkpoint or model (``by``) used these; told when they are withdrawn."""
        with self._database.writing() as connection:
            erasing.use(connection, self._now(connection), judgments, by)

    def withdraw_everything(self, rater: str) -> Withdrawn:
        """Erase what a rater said: verdicts, texts, salts, rationales, marks, drafts, records made of them.

        The ids stay, in the journal too, and cannot be guessed back. Their slots are open again, for others.
        On PostgreSQL the tables are rewritten; its own log and backups forget on their own schedule.
        """
        with self._database.writing() as connection:
            erased = erasing.erase(connection, self._now(connection), rater)
            # Of its own: whoever has just tidied for somebody else must not take it away.
            kept.keep(connection, "untidy", secrets.token_hex(8))
        return erased._replace(cleared=self._tidy())

    def rebuild(self) -> None:
        """Make ``slot`` (leases apart), ``judgment_current``, ``seen`` and counts anew from the journal."""
        with self._database.writing() as connection:
            rebuilding.rebuild(connection)

    def asked(self) -> int:
        """How many questions anybody may answer: what one rater's page needs, without the rest of
        ``progress``."""
        with self._database.reading() as connection:
            return counting.asked(connection)

    def progress(self) -> Progress:
        """Counts of the whole project; reads every slot."""
        with self._database.reading() as connection:
            return counting.progress(connection, self._now(connection))

    # The port Queue

    async def answer(self, question: str, slot: int, deadline: float | None = None) -> Judgment | None:
        """What the person in that slot said, once it is said; None when ``deadline`` seconds are over.

        None at once where a text of the question was withdrawn. What is said later is kept. KeyError where
        the question was never posted with so many slots.
        """
        return await self._watch.said(question, slot, self._clock or time.monotonic, deadline)

    def judgment(self, judgment: str) -> Judgment | None:
        """A judgment as it was given, though it was amended or undone later; None where it was erased.

        KeyError where no such judgment was ever given here.
        """
        with self._database.reading() as connection:
            return journal.given(connection, judgment)

    # Inside

    def _now(self, connection: Connection) -> float:
        return self._clock() if self._clock else self._database.clock(connection)

    def _post(self, posted: Posting) -> None:
        # A run posts each question when it asks it: most are there, and that takes no lock to find out.
        with self._database.reading() as connection:
            if not posting.unposted(connection, posted):
                return
        with self._database.writing() as connection:
            posting.post(connection, posted)

    def _tidy(self) -> bool:
        """Clear what a withdrawal left under the surface of the files, if there is anything."""
        with self._database.reading() as connection:
            untidy = kept.value(connection, "untidy")
        if untidy is None:
            return True
        self._database.rewrite(*erasing.ERASED_FROM)
        until = time.monotonic() + _TIDYING
        while not self._database.truncate():
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        with self._database.writing() as connection:
            kept.drop(connection, "untidy", untidy)
        return True


def _check_ttl(ttl: float) -> None:
    if not 0 < ttl < math.inf:
        raise Refused(f"a lease of {ttl} seconds\n  lease for a number of seconds above 0")
