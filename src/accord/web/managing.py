"""A manager's pages: how far it is, how far raters agree, who and what should be looked at.

Every figure stands with its n. Raters are pseudonyms; groups of fewer than k people are hidden, and one more
where the rest could be found by subtraction. Figures are computed aside (``board.py``); a flag is put on a
rater by a person, and by nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import Unreadable
from accord.records import Judgment, Question
from accord.reports.labelling.covering import Work
from accord.reports.labelling.figures import groups_of
from accord.reports.labelling.leaning import Flag, Leaning, share
from accord.stores.foreign.exports.shares import cells_shown
from accord.stores.people.quality import disputed, known_to, settle, settled
from accord.stores.people.said import Event
from accord.web.adjudicating import Adjudicating
from accord.web.asked import Gone, asked_of, in_words, title_of
from accord.web.board import Board, Shown
from accord.web.measured import agreed, alpha_of, arm_of, bars_of, finish_of, ratings_of, said_share, took
from accord.web.pages import Form, form_of, render, see_other
from accord.web.seat import question_of
from accord.web.sessions import account_of
from accord.web.sitting import LAYOUTS, LETTERS
from accord.web.state import State

__all__ = ["Managing", "router"]

_Posted = Annotated[Form, Depends(form_of)]
_DIVIDED = 6  # questions on the page
_NOTHING = Leaning(*(share(0, 0) for _ in Leaning._fields))
_HAPPENED = {
    "submit": "answered",
    "amend": "changed",
    "withdraw": "taken back",
    "adjudicate": "adjudicated",
    "late": "answered late",
}


def router(state: State) -> APIRouter:
    """The routes of this file, and those of adjudicators, over the same figures."""
    board = Board(state.people, state.settings.clock)
    pages, other, routes = Managing(state, board), Adjudicating(state, board), APIRouter()
    for method, path, page in (
        ("GET", "/manage", pages.overview),
        ("GET", "/manage/raters", pages.raters),
        ("POST", "/manage/raters/{rater}", pages.decide),
        ("GET", "/manage/questions/{question}", pages.question),
        ("POST", "/manage/questions/{question}/gold", pages.gold),
        ("GET", "/manage/export", pages.export),
        ("GET", "/manage/adjudicate", other.next),
        ("POST", "/manage/adjudicate", other.answer),
    ):
        routes.add_api_route(path, page, methods=[method], response_model=None)
    return routes


class _Decided(NamedTuple):
    """What a person decided about a rater, and when."""

    decision: Literal["flagged", "cleared"]
    at: float
    by: str


class _Rater(NamedTuple):
    """A row of the page of raters."""

    work: Work
    leaning: Leaning
    flags: list[Flag]
    decided: _Decided | None
    tries: int
    qualified: bool


class Managing:
    """The pages over one state."""

    def __init__(self, state: State, board: Board) -> None:
        self._state, self._people, self._board = state, state.people, board

    def overview(self, request: Request) -> Response:
        shown = self._board.latest()
        if shown is None:
            return _waiting(request)
        found, project = shown.figures, self._people.project()
        return render(
            request,
            "manage.html.j2",
            **self._beside(shown),
            f=found,
            finish=finish_of(found.finish),
            alphas=[alpha_of(one) for one in found.agreement],
            gains=[arm_of(one) for one in found.gains],
            rated=ratings_of(found.ratings),
            bars=bars_of(found.days),
            divided=found.divided[:_DIVIDED],
            lines={one.question: self._title(one.question) for one in found.divided[:_DIVIDED]},
            short=[work for work in found.works if work.short],
            open_flags=self._open(found.flags),
            disputes=self._disputes(),
            has_gold=bool(project.gold_questions and project.gold),
        )

    def raters(self, request: Request) -> Response:
        """What every rater gave, and their groups where those are large enough."""
        shown = self._board.latest()
        if shown is None:
            return _waiting(request)
        found, project, decided = shown.figures, self._people.project(), self._decided()
        known = {rater.rater: rater for rater in self._people.raters()}
        rows = [
            _Rater(
                work,
                found.by_rater.get(work.rater, _NOTHING),
                [flag for flag in found.flags if flag.rater == work.rater],
                decided.get(work.rater),
                known[work.rater].tries if work.rater in known else 0,
                work.rater in known and known[work.rater].qualified is not None,
            )
            for work in found.works
        ]

        def cells(sizes: Mapping[str, int], voters: int) -> list[str]:
            return cells_shown(sizes, voters, project.k)

        members = self._state.identity.consents.members()
        groups, hidden = groups_of(members, found.works, cells)
        return render(
            request,
            "manage_raters.html.j2",
            **self._beside(shown),
            rows=rows,
            groups=groups,
            hidden=hidden,
            took=took,
        )

    def decide(self, request: Request, rater: str, form: _Posted) -> Response:
        """A person flags a rater, or says that nothing is the matter. Nothing else follows from it here."""
        decision = form.one("decision", "")
        if not self._people.rater(rater).votes:
            raise HTTPException(404, "no rater of this pseudonym has answered anything")
        if decision not in ("flagged", "cleared"):
            raise HTTPException(422, "decision: flagged or cleared")
        said = {"decision": decision, "at": self._state.settings.clock(), "by": account_of(request).pseudonym}
        self._people.note("flag", rater, json.dumps(said))
        return see_other("/manage/raters")

    def question(self, request: Request, question: str) -> Response:
        """One question with every verdict, and what happened to it."""
        asked = question_of(self._people, question)
        page = asked_of(self._people.read, asked, asked.responses, LAYOUTS[0])
        said = self._people.current(question, ("vote", "qualification", "late", "adjudicated"))
        events = self._people.history(question)
        return render(
            request,
            "manage_question.html.j2",
            asked=page,
            selection=asked.selection,
            said=[
                (one, _words(asked, one.judgment), _order(asked, one.judgment), one.judgment.rationale)
                for one in said
            ],
            history=[_happened(asked, event) for event in events],
            is_gold=self._is_gold(question),
            decided=settled(self._people).get(question, ""),
            disputes=sum(one == question for one in disputed(self._people).values()),
        )

    def gold(self, question: str, form: _Posted) -> Response:
        """A person decides whether a gold question that was disputed counts."""
        question_of(self._people, question)
        decision = form.one("decision", "")
        if decision not in ("kept", "dropped"):
            raise HTTPException(422, "decision: kept or dropped")
        if not self._is_gold(question):
            raise HTTPException(409, "this is no question with a known answer")
        settle(self._people, question, decision)
        return see_other(f"/manage/questions/{question}")

    def export(self, request: Request) -> Response:
        """Which commands give the data out: they run where the database is, and note what they gave."""
        return render(
            request,
            "manage_export.html.j2",
            store=self._people.where,
            accounts=self._state.identity.where,
            groups=bool(self._people.project().groups),
            k=self._people.project().k,
        )

    def _beside(self, shown: Shown) -> dict[str, object]:
        """What every page with figures has."""
        project = self._people.project()
        return {
            "project": project,
            "fresh": shown.fresh,
            "at": shown.figures.at,
            "problem": shown.problem,
            "share": said_share,
            "agreed": agreed,
        }

    def _decided(self) -> dict[str, _Decided]:
        return {rater: _Decided(**json.loads(said)) for rater, said in self._people.notes("flag").items()}

    def _open(self, flags: tuple[Flag, ...]) -> list[Flag]:
        """Those that no person has looked at."""
        decided = self._decided()
        return [flag for flag in flags if flag.rater not in decided]

    def _disputes(self) -> list[str]:
        """Disputed gold questions that nobody has decided about."""
        done = settled(self._people)
        return sorted({question for question in disputed(self._people).values() if question not in done})

    def _is_gold(self, question: str) -> bool:
        try:
            return question in known_to(self._people.project())
        except Unreadable:
            return False

    def _title(self, question: str) -> str:
        asked = question_of(self._people, question)
        try:
            return title_of(asked_of(self._people.read, asked, asked.responses, LAYOUTS[0]))
        except Gone:
            return "(a text was withdrawn)"


def _waiting(request: Request) -> Response:
    page = render(request, "manage_waiting.html.j2", 503)
    page.headers["Refresh"] = "2"  # no script is needed to come back
    page.headers["Retry-After"] = "2"
    return page


def _words(asked: Question, judgment: Judgment) -> str:
    """What was said, under the same letters for everybody: the question's order."""
    return in_words(asked, judgment.model_copy(update={"shown": asked.responses}))


def _order(asked: Question, judgment: Judgment) -> str:
    """In which order this rater saw the answers, by those letters."""
    letters = dict(zip(asked.responses, LETTERS, strict=False))
    return " ".join(letters.get(answer, "?") for answer in judgment.shown)


class _Happened(NamedTuple):
    """A line of a question's history."""

    at: float
    what: str
    rater: str
    said: str


def _happened(asked: Question, event: Event) -> _Happened:
    if event.judgment is not None:
        said = _words(asked, event.judgment)
    elif event.kind == "withdraw":
        said = "by undo" if event.note == "undo" else "everything was withdrawn"
    else:
        said = "(erased)"
    return _Happened(event.at, _HAPPENED[event.kind], event.rater, said)
