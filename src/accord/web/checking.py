"""What became of the questions with a known answer that a rater got: their own page, and the way to dispute.

A gold question is shown here once something else was answered after it, for until then it may be taken back;
of the qualification round only when the round is over. What the project holds to be right stands beside what
was said, and may be disputed with one button: until a person has decided it then counts for nothing.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import Unreadable
from accord.stores.people import Said
from accord.stores.people.gold import Choice, Gold, gold_of, qualifying
from accord.stores.people.quality import Tried, dispute, disputed, settled, tried
from accord.web.asked import Gone, asked_of, in_words, title_of
from accord.web.pages import Form, form_of, render, see_other
from accord.web.seat import question_of
from accord.web.sessions import account_of
from accord.web.sitting import LAYOUTS
from accord.web.state import State, state_of

__all__ = ["router"]

_Posted = Annotated[Form, Depends(form_of)]


class _Line(NamedTuple):
    """A question with a known answer that was answered. ``state``: open, disputed, kept or dropped."""

    judgment: str
    asked: str
    said: str
    right: bool
    state: str


def router(_: State) -> APIRouter:
    """The routes of this file; each finds the state again by its request."""
    made = APIRouter()
    made.add_api_route("/me/checks", checks, methods=["GET"])
    made.add_api_route("/me/checks", object_to, methods=["POST"])
    return made


def checks(request: Request) -> Response:
    """The qualification rounds, and gold among the questions since."""
    state, rater = state_of(request), account_of(request).pseudonym
    project = state.people.project()
    try:
        rounds = tried(state.people, rater, project)
        golds = [gold for gold in (qualifying(project), gold_of(project)) if gold is not None]
    except Unreadable:
        return render(request, "me_checks.html.j2", 503, project=project, rounds=[], lines=[], problem=True)
    lines = _lines(state, rater, golds, rounds)
    return render(request, "me_checks.html.j2", project=project, rounds=rounds, lines=lines, problem=False)


def object_to(request: Request, form: _Posted) -> Response:
    """Dispute what is held to be right."""
    try:
        dispute(state_of(request).people, account_of(request).pseudonym, form.one("judgment", ""))
    except KeyError:
        raise HTTPException(404, "you gave no such answer to a question with a known one") from None
    return see_other("/me/checks")


def _lines(state: State, rater: str, golds: list[Gold], rounds: list[Tried]) -> list[_Line]:
    people, project = state.people, state.people.project()
    objections, decided = disputed(people), settled(people)
    asked = project.qualification.asked if project.qualification else 0
    over = people.current(rater=rater, standing=("qualification",))[: len(rounds) * asked]
    lines: list[_Line] = []
    for said in [*over, *people.current(rater=rater)[:-1]]:
        gold = next((one for one in golds if said.question in one.ids), None)
        if gold is None or said.judgment.abstention is not None:
            continue
        right = gold.right(said.judgment.id, said.question, Choice.of(said.judgment))
        mine = said.judgment.id in objections
        lines.append(
            _Line(*_told(state, said), right, decided.get(said.question, "disputed") if mine else "open")
        )
    return lines


def _told(state: State, said: Said) -> tuple[str, str, str]:
    question = question_of(state.people, said.question)
    try:
        what = title_of(asked_of(state.people.read, question, said.judgment.shown, LAYOUTS[0]))
    except Gone:
        what = "(a text was withdrawn)"
    return said.judgment.id, what, in_words(question, said.judgment)
