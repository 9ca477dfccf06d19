"""What is a rater's own: how far they are, what they said, what they agreed to, their keys, the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import PlanError
from accord.stores.people import Said
from accord.web.asked import in_words, line_of
from accord.web.pages import Form, form_of, render, see_other
from accord.web.seat import question_of
from accord.web.sessions import account_of
from accord.web.showing import marked
from accord.web.state import State, state_of
from accord.web.ways import ACTIONS, Ways, keys_of, read_ways, write_ways

__all__ = ["router"]

_Posted = Annotated[Form, Depends(form_of)]
_SHOWN = 30  # of the newest judgments


def router() -> APIRouter:
    """The routes of one's own work; ``labelling.router`` takes them in."""
    made = APIRouter()
    made.add_api_route("/me", me, methods=["GET"])
    made.add_api_route("/me/withdraw", withdraw, methods=["POST"])
    made.add_api_route("/me/keys", keys, methods=["GET"])
    made.add_api_route("/me/keys", remap, methods=["POST"])
    return made


class _Line(NamedTuple):
    """One judgment of one's own."""

    when: str
    asked: str
    said: str
    late: bool


def me(request: Request) -> Response:
    """Progress, time, pay, history, consent."""
    return _me(request, unsure=False)


def _me(request: Request, *, unsure: bool) -> Response:
    state, account = state_of(request), account_of(request)
    people, project = state.people, state.people.project()
    own = people.current(standing=("vote", "late"), rater=account.pseudonym)
    agreed = state.identity.consents.history(account.id)
    return render(
        request,
        "me.html.j2",
        422 if unsure else 200,
        project=project,
        pay=marked(project.pay),
        work=people.rater(account.pseudonym),
        questions=people.asked(),
        active=_spent(said.judgment.times.active for said in own if said.judgment.times),
        lines=_lines(state, own[-_SHOWN:]),
        consents=[(line.version, line.agreed, _day(line.at)) for line in agreed],
        groups=state.identity.consents.groups(account.id),
        unsure=unsure,
    )


def withdraw(request: Request, form: _Posted) -> Response:
    """Erase all that this rater said, and their consent with it; what had used it is listed."""
    state, account = state_of(request), account_of(request)
    if form.one("sure", "") != "1":
        return _me(request, unsure=True)
    withdrawn = state.people.withdraw_everything(account.pseudonym)
    state.identity.consents.take_back(account.id)
    uses = sorted({use.by for use in withdrawn.uses})
    return render(request, "me_withdrawn.html.j2", withdrawn=withdrawn, uses=uses)


def _lines(state: State, own: Sequence[Said]) -> list[_Line]:
    found: list[_Line] = []
    for said in reversed(own):
        question = question_of(state.people, said.question)
        words = in_words(question, said.judgment)
        found.append(_Line(_day(said.at), line_of(question), words, said.standing == "late"))
    return found


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _spent(seconds: Iterable[float]) -> str:
    minutes = round(sum(seconds) / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


# Keys


def keys(request: Request, kept: str = "") -> Response:
    """Which key does what."""
    ways = read_ways(request, account_of(request).pseudonym)
    return _keys(request, dict(ways.keys), ways.on, kept=bool(kept))


def remap(request: Request, form: _Posted) -> Response:
    """Other keys, or none at all, or those that everybody starts with."""
    rater = account_of(request).pseudonym
    ways = read_ways(request, rater)
    given = {action.name: form.one(action.name, action.key) for action in ACTIONS}
    on = form.one("on", "") == "1"
    if form.one("first", ""):
        given, on = dict(Ways().keys), True
    try:
        ways = ways._replace(keys=keys_of(given), on=on)
    except PlanError as problem:
        return _keys(request, given, on, problem=problem)
    page = see_other("/me/keys?kept=1")
    write_ways(page, rater, ways, secure=state_of(request).settings.secure)
    return page


def _keys(
    request: Request, given: dict[str, str], on: bool, *, kept: bool = False, problem: PlanError | None = None
) -> Response:
    status = 200 if problem is None else 422
    return render(
        request, "label_keys.html.j2", status, actions=ACTIONS, given=given, on=on, kept=kept, problem=problem
    )
