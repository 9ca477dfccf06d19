"""``accord label --terminal``: a rater's whole work in a terminal, line by line, or from a pipe.

The same questions, leases, drafts and verdicts as on the pages: what is typed fills the fields of the page's
form (``typed.py``), so a judgment from here and one from a browser differ in layout and client only. Lines
and no single keys: that works on a dumb terminal, with a screen reader, and in a script. From a pipe the
first line that does not fit ends it with an error, for the next would answer another question.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode

from accord.cli import sheet as sheets
from accord.cli.face import Face, edited
from accord.cli.sheet import Sheet, say
from accord.cli.typed import Fields, fields_typed, point_typed, points_in, reason_typed
from accord.errors import PlanError, Refused
from accord.records import Judgment, Question
from accord.stores.people.quality import next_for
from accord.web.asked import Asked, Gone
from accord.web.seat import Back, Seat, far_of, take_back
from accord.web.sitting import LAYOUTS, Sitting
from accord.web.verdicts import abstention_of, fields_of, judgment_of
from accord.web.ways import readings_of

if TYPE_CHECKING:
    from accord.stores.identity import Account, Identity
    from accord.stores.people import Lease, People

__all__ = ["Tally", "answer_here", "own_account"]

_IDLE = 30.0  # seconds between two lines that count as being at it, as on the page
_BACK: Mapping[Back, str] = {
    "undone": "Taken back. Answer it again.",
    "back": "Taken back. Its question is not yours any more.",
    "nothing": "There is nothing to take back.",
}
# What stays of a draft beside a verdict that is typed anew.
_BESIDE = ("text", "rationale", "confidence", "point-")


class Tally(NamedTuple):
    """What was done in one sitting."""

    answered: int = 0
    skipped: int = 0
    undone: int = 0


class _Next(Enum):
    GO_ON = "the next question"
    STAY = "the same question"
    QUIT = "the end"


def own_account(identity: Identity, name: str) -> Account:
    """The account of the one person at this machine: the owner, who is made where there is none."""
    owners = [one for one in identity.accounts.every() if one.role == "owner" and one.active]
    return owners[0] if owners else identity.accounts.make(name, "owner")


def answer_here(
    people: People, identity: Identity, account: Account, face: Face, clock: Callable[[], float]
) -> Tally:
    """Ask one question after the other, until nothing is left or the person stops."""
    rater = _Rater(people, account.pseudonym, face, clock)
    rater.consent = _agreed(people, identity, account, face)
    if rater.consent is not None:
        rater.work()
    return rater.tally


def _agreed(people: People, identity: Identity, account: Account, face: Face) -> str | None:
    """The version that was agreed to, now or before; None where it was not."""
    consent = people.project().consent
    if consent is None or account.consent == consent.version:
        return account.consent
    say(face.console, consent.text)
    say(face.console, "Do you agree? yes or no", "bold")
    if (face.line("> ") or "").strip().lower() not in ("y", "yes"):
        say(face.console, "Nothing was agreed to, so nothing is asked.")
        return None
    identity.consents.agree(account.id, consent.version)
    return consent.version


class _Rater:
    """One person before this terminal."""

    def __init__(self, people: People, rater: str, face: Face, clock: Callable[[], float]) -> None:
        self.people, self.rater, self.face, self.clock = people, rater, face, clock
        self.tally = Tally()
        self.consent: str | None = ""
        self._read: set[str] = set()
        self._lines = 0

    def work(self) -> None:
        """Until nothing is left, ``q``, Ctrl-C or the end of the lines."""
        going = True
        with contextlib.suppress(KeyboardInterrupt):
            while going:
                lease = next_for(self.people, self.rater)
                if lease is None:
                    going = self._nothing_left()
                    continue
                try:
                    going = self._turn(lease)
                finally:
                    # Without effect where it was answered; else others need not wait for its end.
                    self.people.release(lease)

    def _nothing_left(self) -> bool:
        """What was sent last can still be taken back."""
        far = far_of(self.people, self.rater)
        skipped = f", {far.skipped} of them skipped" if far.skipped else ""
        done = f"You are through with {far.done} of {far.total}{skipped}."
        say(self.face.console, f"Nothing waits for you. {done} Thank you.", "bold")
        if not far.done:
            return False
        say(self.face.console, "u takes your last answer back; anything else ends it", "dim")
        again = (self.ask() or "").strip() == "u"
        if again:
            self.undo()
        return again

    def _turn(self, lease: Lease) -> bool:
        """One question, until it is answered or left; False ends the sitting."""
        try:
            return self._asked(_Turn(self, lease))
        except Gone as error:
            say(self.face.console, str(error), "yellow")
            return True

    def _asked(self, turn: _Turn) -> bool:
        self._instruct(turn.question)
        turn.draw()
        while (line := self.ask()) is not None:
            try:
                follows = turn.obey(line.strip())
            except Gone:
                raise
            except (PlanError, Refused) as error:
                if not self.face.typed:
                    raise _at_line(error, self._lines) from error
                say(self.face.console, f"not sent: {error}", "red")
                continue
            if follows is not _Next.STAY:
                return follows is _Next.GO_ON
        return False

    def ask(self, prompt: str = "> ") -> str | None:
        """The next line, None where there is no more."""
        self._lines += 1
        return self.face.line(prompt)

    def undo(self) -> None:
        """Take the newest answer back; its question comes next, as it was written."""
        back = take_back(self.people, self.rater)
        self.tally = self.tally._replace(undone=self.tally.undone + (back != "nothing"))
        say(self.face.console, _BACK[back], "yellow")

    def sheet(self, asked: Asked, order: tuple[str, ...], *, shown: bool) -> Sheet:
        return Sheet(asked, order, far_of(self.people, self.rater), shown)

    def _instruct(self, question: Question) -> None:
        """Instructions and worked examples, once in a sitting, and again where they are others."""
        project = self.people.project()
        if not set(readings_of(project.instructions, question.instrument)) <= self._read:
            self.instruct(question)

    def instruct(self, question: Question) -> None:
        project = self.people.project()
        self._read |= set(readings_of(project.instructions, question.instrument))
        sheets.draw_instructions(self.face.console, project, question.instrument)


class _Turn:
    """One rater before one question."""

    def __init__(self, rater: _Rater, lease: Lease) -> None:
        self._rater, self._lease = rater, lease
        people = rater.people
        question = people.read(lease.question)
        assert isinstance(question, Question), "slots are of questions"
        self.question = question
        self._seat = Seat(people, rater.rater, question, rater.consent or "")
        self._order, self._asked = self._seat.order, self._seat.asked(LAYOUTS[0])
        self._key, self._open, self._looked = secrets.token_hex(16), False, ""
        self._shown = self._last = rater.clock()
        self._first: float | None = None
        self._active = 0.0
        self._fields: Fields = dict(fields_of(parse_qsl(people.draft(rater.rater, question.id, None) or "")))

    def draw(self) -> None:
        sheet = self._rater.sheet(self._asked, self._order, shown=self._open)
        sheets.draw(self._rater.face.console, sheet, self._fields)

    def obey(self, line: str) -> _Next:
        """Do what a line says. PlanError or Refused where it does not fit."""
        self._counted()
        if not line:
            return _Next.STAY
        self._rater.people.beat(self._lease, self._rater.people.project().lease)
        command, _, rest = line.partition(" ")
        match command, rest.strip():
            case "q" | "quit", "":
                self._keep()
                return _Next.QUIT
            case "u", "":
                self._keep()
                self._rater.undo()
                return _Next.GO_ON
            case "s" | "skip", reason:
                return self._skip(reason)
            case "why", text:
                self._put({"rationale": [text]} if text else {}, "rationale")
            case "sure", text:
                self._put({"confidence": [text]} if text else {}, "confidence")
            case _ if not self._told(command, rest.strip()):
                return self._answer(line)
            case _:
                pass
        return _Next.STAY

    def _told(self, command: str, rest: str) -> bool:
        """Whether the line asked to see something."""
        if rest or command not in ("i", "r", "v", "?"):
            return False
        if command == "i":
            self._rater.instruct(self.question)
        elif command == "?":
            say(self._rater.face.console, sheets.HELP)
        else:
            self._open = self._open or command == "v"
            self.draw()
        return True

    def _answer(self, line: str) -> _Next:
        match self._asked.task:
            case "critique" if line == ".":
                return self._send({})
            case "critique" if line.lower() != "none":
                self._point(line)
            case "correct" | "demonstrate" if line == "e":
                self._write()
            case "correct" | "demonstrate" if line == ".":
                return self._send_text()
            case _:
                return self._send(fields_typed(self.question, self._order, line))
        return _Next.STAY

    def _skip(self, reason: str) -> _Next:
        rater = self._rater
        if not reason:
            sheets.draw_reasons(rater.face.console)
            reason = (rater.ask("why? ") or "").strip()
            if not reason:
                return _Next.STAY
        fields = {**self._times(), "reason": [reason_typed(reason)]}
        self._submitted(abstention_of(self.question, fields, self._sitting()), self._fields)
        rater.tally = rater.tally._replace(skipped=rater.tally.skipped + 1)
        say(rater.face.console, "Skipped. That is fine.", "green")
        return _Next.GO_ON

    def _send(self, verdict: Fields) -> _Next:
        beside = {name: texts for name, texts in self._fields.items() if name.startswith(_BESIDE)}
        fields = beside | verdict
        judgment = judgment_of(self.question, {**fields, **self._times()}, self._sitting())
        self._submitted(judgment, fields)
        rater = self._rater
        rater.tally = rater.tally._replace(answered=rater.tally.answered + 1)
        say(rater.face.console, "Saved.", "green")
        return _Next.GO_ON

    def _submitted(self, judgment: Judgment, fields: Mapping[str, Sequence[str]]) -> None:
        people = self._rater.people
        if people.submit(self._lease, judgment, self._key).state == "stored":
            people.draft(self._rater.rater, self.question.id, _body(fields))  # for undo

    def _sitting(self) -> Sitting:
        """As the page's, but for layout and client."""
        sitting = self._seat.sitting(self._lease, LAYOUTS[0], self._rater.clock())
        client = f"{sitting.rendering.client}, terminal"
        told = {"layout": f"{self._asked.task}, terminal", "client": client}
        return sitting._replace(rendering=sitting.rendering.model_copy(update=told))

    # Drafts

    def _put(self, new: Mapping[str, list[str]], *old: str) -> None:
        """Change the draft, on disk too."""
        self._fields = {name: texts for name, texts in self._fields.items() if name not in old} | dict(new)
        self._keep()

    def _keep(self) -> None:
        people, body = self._rater.people, _body(self._fields)
        if body or people.draft(self._rater.rater, self.question.id, None):
            people.draft(self._rater.rater, self.question.id, body)

    def _point(self, line: str) -> None:
        """One more point of a critique, or ``x 2``: the second one goes."""
        command, _, number = line.partition(" ")
        if command == "x":
            i = int(number) - 1 if number.isascii() and number.isdigit() else -1
            if i not in points_in(self._fields):
                raise PlanError("x", number, "the number of a point that stands there")
            self._put({}, *(name for name in self._fields if name.startswith(f"point-{i}-")))
        else:
            self._put(point_typed(self.question, sheets.picks_of(self._asked), self._fields, line), "none")
        sheet = self._rater.sheet(self._asked, self._order, shown=self._open)
        for told in sheets.said_so_far(sheet, self._fields):
            say(self._rater.face.console, told, "green")

    def _before(self) -> str:
        return self._asked.answers[0].raw if self._asked.answers else ""

    def _write(self) -> None:
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if self._rater.face.typed and editor:
            written = edited(editor, next(iter(self._fields.get("text", ())), self._before()))
            self._put({"text": [written]})
        else:
            say(self._rater.face.console, "Write; a line with a full stop alone ends it.", "dim")
            self._typed_text()
        self._look()

    def _typed_text(self) -> None:
        lines: list[str] = []
        try:
            while (line := self._rater.ask("| ")) is not None and line.rstrip("\n") != ".":
                lines.append(line.rstrip("\n"))
        finally:
            if lines:
                self._put({"text": ["\n".join(lines)]})

    def _look(self) -> None:
        self._looked = next(iter(self._fields.get("text", ())), "")
        if self._asked.task == "correct":
            sheets.draw_changes(self._rater.face.console, self._before(), self._looked)
        say(self._rater.face.console, ". sends it · e goes on writing", "dim")

    def _send_text(self) -> _Next:
        """A correction is seen before it is sent."""
        text = next(iter(self._fields.get("text", ())), "")
        if text.strip() and self._asked.task == "correct" and self._looked != text:
            self._look()
            return _Next.STAY
        return self._send({})

    # Times

    def _counted(self) -> None:
        now = self._rater.clock()
        self._first = now - self._shown if self._first is None else self._first
        self._active += min(now - self._last, _IDLE)
        self._last = now

    def _times(self) -> Fields:
        first = self._first or 0.0
        return {"shown_at": [repr(self._shown)], "first_after": [repr(first)], "active": [repr(self._active)]}


def _body(fields: Mapping[str, Sequence[str]]) -> str:
    """A draft as the page keeps it."""
    return urlencode([(name, text) for name, texts in fields.items() for text in texts])


def _at_line(error: PlanError | Refused, line: int) -> PlanError | Refused:
    """The error of a line from a pipe, with its number."""
    if isinstance(error, PlanError):
        return PlanError(f"line {line}: {error.path}", error.value, error.allowed, error.advice)
    return Refused(f"line {line}: {error}")
