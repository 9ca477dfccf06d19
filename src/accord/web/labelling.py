"""A rater's turn: the next question, and what becomes of the answer. No script is needed for any of it.

``GET /label`` leases a question and shows it; ``POST /label/{slot}`` takes the answer, or draws the page anew
where a correction is to be looked at first, or a field does not fit. ``POST /label/{slot}/page`` only draws
it anew, with another point, or an answer one place up. A script on the page asks for JSON instead. What a
rater sent stays as their draft, so that ``undo`` brings it back as it was.
"""

from __future__ import annotations

import secrets
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from accord.errors import PlanError
from accord.records import Example, Judgment, Question, digest
from accord.stores.people import Lease, Project
from accord.stores.people.quality import next_for
from accord.web import mine
from accord.web.asked import Asked
from accord.web.pages import Form, form_of, render, see_other
from accord.web.problems import wants_json
from accord.web.seat import Seat, far_of, question_of, take_back
from accord.web.sessions import account_of
from accord.web.showing import changes, marked, plain
from accord.web.sitting import LAYOUTS, LETTERS, Sitting
from accord.web.state import State, state_of
from accord.web.verdicts import (
    SKIPS,
    Fields,
    abstention_of,
    fields_of,
    judgment_of,
    levels_of,
    moved,
    scores_of,
    tiers_of,
)
from accord.web.ways import ACTIONS, Ways, read_ways, readings_of, write_ways

__all__ = ["router"]

_Posted = Annotated[Form, Depends(form_of)]
_NOTICES = {
    "stored": "Saved.",
    "again": "Saved.",
    "late": "Saved.",
    "skipped": "Skipped. That is fine.",
    "undone": "Your last answer is taken back. Answer it again.",
    "back": "Your last answer is taken back. Its question is not yours any more.",
    "nothing": "There is nothing to take back.",
    "kept": "The question stays yours.",
    "gone": "Its time was over, and it went to somebody else.",
}
# Of the page that was sent, not of the answer: a draft is read into another page.
_OF_PAGE = frozenset(
    {"fence", "key", "number", "question", "shown_at", "first_after", "active", "looked", "layout"}
    | {"choice", "more", "move", "reason", "send"}
)
_LONGEST_DRAFT = 1 << 19
_MOST_POINTS = 50


def router(_: State) -> APIRouter:
    """The routes of a rater; each finds the state again by its request."""
    made = APIRouter()
    made.add_api_route("/instructions", instructions, methods=["GET"])
    made.add_api_route("/label", label, methods=["GET"])
    made.add_api_route("/label/undo", undo, methods=["POST"])
    made.add_api_route("/label/{slot}", answer, methods=["POST"])
    made.add_api_route("/label/{slot}/page", redraw, methods=["POST"])
    made.add_api_route("/label/{slot}/skip", skip, methods=["POST"])
    made.add_api_route("/label/{slot}/beat", beat, methods=["POST"])
    made.add_api_route("/label/{slot}/draft", draft, methods=["PUT"])
    made.routes.extend(mine.router().routes)
    return made


class _Turn(NamedTuple):
    """One rater before one question."""

    request: Request
    state: State
    project: Project
    rater: str
    lease: Lease
    question: Question
    ways: Ways

    @property
    def seat(self) -> Seat:
        return Seat(self.state.people, self.rater, self.question, account_of(self.request).consent)

    @property
    def order(self) -> tuple[str, ...]:
        return self.seat.order

    @property
    def left(self) -> int:
        """Seconds of the lease. A page that a form asked for is a sign of life."""
        until = self.lease.until or self.state.people.beat(self.lease, self.project.lease) or 0.0
        return max(0, round(until - self.state.settings.clock()))

    def asked(self, layout: str) -> Asked:
        return self.seat.asked(layout)

    def sitting(self, form: Form) -> Sitting:
        """What stood on the page that sent this form."""
        return self.seat.sitting(self.lease, form.one("layout", LAYOUTS[0]), self.state.settings.clock())


# The next question


def instructions(request: Request, question: str = "") -> Response:
    """What raters are told, and worked examples: of one question's instrument, or of the project's."""
    state = state_of(request)
    project, rater = state.people.project(), account_of(request).pseudonym
    instrument = question_of(state.people, question).instrument if question else project.instrument
    what = readings_of(project.instructions, instrument)
    unread = bool(question) and not set(what) <= set(read_ways(request, rater).read)
    return render(
        request,
        "instructions.html.j2",
        project=project,
        told=marked(project.instructions),
        instrument=instrument,
        examples=[_drawn(example) for example in instrument.examples] if instrument else [],
        what=".".join(what),
        unread=unread,
    )


def _drawn(example: Example) -> dict[str, object]:
    """A worked example as the page shows it."""
    answers = [(letter, plain(text)) for letter, text in zip(LETTERS, example.responses, strict=False)]
    told = {"verdict": example.verdict, "why": example.why}
    return {"prompt": plain(example.prompt), "answers": answers, **told}


def label(request: Request, said: str = "", layout: str = "", read: str = "") -> Response:
    """The question this rater holds, else the next one. ``layout`` and ``read`` are kept as their ways."""
    state = state_of(request)
    project, rater = state.people.project(), account_of(request).pseudonym
    ways = read_ways(request, rater)
    if layout in LAYOUTS:
        ways = ways._replace(layout=layout)
    if read:
        ways = ways.having_read(read)
    lease = next_for(state.people, rater)
    if lease is None:
        far, notice = far_of(state.people, rater), _NOTICES.get(said, "")
        return _kept(request, ways, render(request, "label_done.html.j2", notice=notice, far=far))
    turn = _Turn(request, state, project, rater, lease, question_of(state.people, lease.question), ways)
    if not set(readings_of(project.instructions, turn.question.instrument)) <= set(ways.read):
        return see_other(f"/instructions?question={turn.question.id}")
    body = state.people.draft(rater, turn.question.id, None) or ""
    drafted = fields_of([pair for pair in parse_qsl(body, keep_blank_values=True) if pair[0] not in _OF_PAGE])
    page = _page(
        turn,
        drafted,
        notice=_NOTICES.get(said, ""),
        restored=any(text for name, texts in drafted.items() for text in texts if name != "order"),
    )
    return _kept(request, ways, page)


def _kept(request: Request, ways: Ways, page: Response) -> Response:
    rater = account_of(request).pseudonym
    if ways != read_ways(request, rater):
        write_ways(page, rater, ways, secure=state_of(request).settings.secure)
    return page


def _page(  # size: what a page of a question depends on, by name
    turn: _Turn,
    fields: Fields,
    status: int = 200,
    *,
    notice: str = "",
    problem: PlanError | None = None,
    changed: object = None,
    restored: bool = False,
) -> Response:
    """The page of a question with its fields filled."""
    layout = next(iter(fields.get("layout", ())), turn.ways.layout)
    asked = turn.asked(layout if layout in LAYOUTS else LAYOUTS[0])
    first = asked.answers[0].raw if asked.answers else ""

    def value(name: str, default: str = "") -> str:
        return next(iter(fields.get(name, ())), default)

    points = 1 + max((i for i in range(_MOST_POINTS) if _point_said(fields, i)), default=0)
    if value("more"):
        points = min(points + 1, _MOST_POINTS)
    return render(
        turn.request,
        "label.html.j2",
        status,
        asked=asked,
        lease=turn.lease,
        rater=turn.rater,
        left=turn.left,
        key=value("key") or secrets.token_hex(16),
        shown_at=value("shown_at") or repr(turn.state.settings.clock()),
        layout=layout,
        value=value,
        fields=fields,
        tiers=tiers_of(value("order"), len(asked.answers)),
        points=points,
        more=bool(value("more")),
        first=first,
        looked=_seen(value("text")) if changed is not None else "",
        changed=changed,
        scores=scores_of(turn.question, turn.order),
        levels=levels_of(turn.question),
        skips=SKIPS,
        ways=turn.ways,
        actions=ACTIONS,
        notice=notice,
        problem=problem,
        restored=restored,
        far=far_of(turn.state.people, turn.rater),
    )


def _point_said(fields: Fields, i: int) -> bool:
    return any(
        next(iter(fields.get(f"point-{i}-{name}", ())), "") for name in ("text", "where", "severity", "tag")
    )


def _seen(text: str) -> str:
    """What was looked at before sending; ends of lines are the browser's."""
    return digest(text.replace("\r\n", "\n"))[:16]


# The answer


def answer(request: Request, slot: int, form: _Posted) -> Response:
    """Keep an answer, or draw the page anew."""
    turn, fields = _turn_of(request, slot, form), fields_of(form.fields)
    try:
        judgment = judgment_of(turn.question, fields, turn.sitting(form))
    except PlanError as problem:
        if wants_json(request):
            raise
        return _page(turn, fields, 422, problem=problem)
    if turn.question.responses and "text" in fields and form.one("looked", "") != _seen(form.one("text")):
        return _look(turn, fields, form.one("text"))
    return _submitted(turn, form, judgment, "")


def _look(turn: _Turn, fields: Fields, text: str) -> Response:
    """What a correction changes, before it is sent."""
    before = turn.asked(LAYOUTS[0]).answers[0].raw
    return _page(turn, fields, changed=changes(before, text.replace("\r\n", "\n")))


def redraw(request: Request, slot: int, form: _Posted) -> Response:
    """The page of a form that is not sent yet, after a press of one of its buttons."""
    turn, fields = _turn_of(request, slot, form), fields_of(form.fields)
    if not fields.get("move"):
        return _page(turn, fields)
    return _page(turn, {**fields, "order": [moved(form.one("order", ""), form.one("move"))]})


def skip(request: Request, slot: int, form: _Posted) -> Response:
    """Keep that a question was skipped, and why."""
    turn, fields = _turn_of(request, slot, form), fields_of(form.fields)
    try:
        judgment = abstention_of(turn.question, fields, turn.sitting(form))
    except PlanError as problem:
        if wants_json(request):
            raise
        return _page(turn, fields, 422, problem=problem)
    return _submitted(turn, form, judgment, "skipped")


def _submitted(turn: _Turn, form: Form, judgment: Judgment, said: str) -> Response:
    people = turn.state.people
    try:
        receipt = people.submit(turn.lease, judgment, form.one("key"))
    except KeyError as error:
        raise HTTPException(409, "this question was never yours in this slot") from error
    if receipt.state == "stored":
        people.draft(turn.rater, turn.question.id, _body(form))
    after = f"/label?said={said or receipt.state}"
    if wants_json(turn.request):
        return JSONResponse({"state": receipt.state, "next": after})
    return see_other(after)


def undo(request: Request) -> Response:
    """Take the newest answer back; its question comes next."""
    after = f"/label?said={take_back(state_of(request).people, account_of(request).pseudonym)}"
    return JSONResponse({"next": after}) if wants_json(request) else see_other(after)


def beat(request: Request, slot: int, form: _Posted) -> Response:
    """Hold on to a question: seconds that are left, or null where it is somebody else's by now."""
    state = state_of(request)
    lease = _lease_of(account_of(request).pseudonym, slot, form)
    until = state.people.beat(lease, state.people.project().lease)
    if wants_json(request):
        return JSONResponse({"left": None if until is None else until - state.settings.clock()})
    return see_other(f"/label?said={'gone' if until is None else 'kept'}")


def draft(request: Request, slot: int, form: _Posted) -> Response:
    """Keep what is written so far."""
    state = state_of(request)
    lease = _lease_of(account_of(request).pseudonym, slot, form)
    question = question_of(state.people, lease.question)
    body = _body(form)
    if len(body) > _LONGEST_DRAFT:
        raise HTTPException(413, "a draft of this length is not kept; send it, or shorten it")
    state.people.draft(lease.rater, question.id, body)
    return JSONResponse({"kept": True})


def _body(form: Form) -> str:
    return urlencode([(name, text) for name, text in form.fields if name not in _OF_PAGE])


def _turn_of(request: Request, slot: int, form: Form) -> _Turn:
    state, rater = state_of(request), account_of(request).pseudonym
    lease = _lease_of(rater, slot, form)
    question = question_of(state.people, lease.question)
    return _Turn(request, state, state.people.project(), rater, lease, question, read_ways(request, rater))


def _lease_of(rater: str, slot: int, form: Form) -> Lease:
    """The lease a page was made under, as the page says it; the database decides whether it still holds."""
    if not 0 <= slot < 2**53:
        raise HTTPException(404, "there is no such slot")
    numbers = [form.one(name) for name in ("number", "fence")]
    if not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        raise HTTPException(400, "the fields number and fence are whole numbers")
    return Lease(slot, form.one("question"), int(numbers[0]), rater, int(numbers[1]), 0.0)
