"""The API for programs: JSON in and out, a bearer token in the header.

A person's program answers with their token (scope ``label``), in the same fields as the page's form, under
the letters that the lease says, so that a judgment is the same whichever way it came. Machines read (scope
``read``): what is kept here was said by people, and a program that judges is an overseer of its own.

    POST /api/lease                     → {"lease": {…}, "question": {…}} or {"lease": null}
    POST /api/submit {lease, key, fields}            fields: {"choice": "A", "shown_at": "…"}
    POST /api/submit {lease, key, fields, skip: true}        fields: {"reason": "unclear", "shown_at": "…"}
    POST /api/beat {lease}              → {"until": …}; null: no longer yours
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request

from accord.records import JSON, Prompt, Question
from accord.stores.people import Lease
from accord.stores.people.quality import next_for
from accord.web.asked import Turn
from accord.web.seat import Seat, question_of
from accord.web.sessions import account_of, visitor_of
from accord.web.sitting import LAYOUTS
from accord.web.state import State
from accord.web.verdicts import abstention_of, judgment_of

if TYPE_CHECKING:
    from accord.stores.identity import Account

__all__ = ["Api", "router"]


class Held(BaseModel):
    """A lease as ``/api/lease`` gave it out. Whose it is, is whose token this is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slot: int = Field(ge=0, lt=2**53)
    question: str = Field(max_length=64)
    number: int = Field(ge=0, lt=2**53)
    fence: int = Field(ge=0, lt=2**53)
    until: float = 0.0


class Beat(BaseModel):
    """The body of ``/api/beat``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lease: Held


class Submission(BaseModel):
    """The body of ``/api/submit``. ``key``: one per answer, the same when it is sent again.

    ``fields``: as the page's form has them (``verdicts.py``). ``salt``: random; chosen here where none comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lease: Held
    key: str = Field(min_length=8, max_length=80)
    fields: dict[str, str | list[str]]
    skip: bool = False
    salt: str = Field(default="", pattern=r"^(|[0-9a-f]{32,64})$")


def router(state: State) -> APIRouter:
    """The routes of this file."""
    api, routes = Api(state), APIRouter()
    for method, path, answer in (
        ("GET", "/api/session", api.session),
        ("POST", "/api/lease", api.lease),
        ("POST", "/api/submit", api.submit),
        ("POST", "/api/beat", api.beat),
        ("GET", "/api/question/{question}", api.question),
        ("GET", "/api/progress", api.progress),
    ):
        routes.add_api_route(path, answer, methods=[method], response_model=None)
    return routes


class Api:
    """The API over one state."""

    def __init__(self, state: State) -> None:
        self._people, self._clock = state.people, state.settings.clock

    def session(self, request: Request) -> dict[str, JSON]:
        """Who the program is taken for."""
        account, scopes = account_of(request), visitor_of(request).scopes
        named: list[JSON] = [*sorted(scopes)] if scopes is not None else []
        return {"name": account.name, "rater": account.pseudonym, "role": account.role, "scopes": named}

    def lease(self, request: Request) -> dict[str, JSON]:
        account = account_of(request)
        lease = next_for(self._people, account.pseudonym)
        if lease is None:
            return {"lease": None, "question": None}
        held: dict[str, JSON] = {
            "slot": lease.slot,
            "question": lease.question,
            "number": lease.number,
            "fence": lease.fence,
            "until": lease.until,
        }
        return {"lease": held, "question": self._shown(account, lease.question)}

    def submit(self, request: Request, body: Submission) -> dict[str, JSON]:
        account, lease = account_of(request), _lease(account_of(request), body.lease)
        question = question_of(self._people, lease.question)
        fields = {name: [v] if isinstance(v, str) else v for name, v in body.fields.items()}
        layout = (fields.get("layout") or [LAYOUTS[0]])[0]
        sitting = self._seat(account, question).sitting(lease, layout, self._clock(), body.salt)
        said = abstention_of if body.skip else judgment_of
        try:
            receipt = self._people.submit(lease, said(question, fields, sitting), body.key)
        except KeyError:
            raise HTTPException(409, "this slot was never leased so") from None
        return {"state": receipt.state, "judgment": receipt.judgment}

    def beat(self, request: Request, body: Beat) -> dict[str, JSON]:
        """Keep a question a while longer."""
        lease = _lease(account_of(request), body.lease)
        return {"until": self._people.beat(lease, self._people.project().lease)}

    def question(self, request: Request, question: str) -> dict[str, JSON]:
        """A question as this rater sees it."""
        return self._shown(account_of(request), question)

    def progress(self) -> dict[str, JSON]:
        """Counts, and nothing about anybody."""
        found = self._people.progress()
        days: list[JSON] = [{"day": day.day, "votes": day.votes} for day in found.days]
        return {
            "questions": found.questions,
            "complete": found.complete,
            "slots": {"open": found.open, "leased": found.leased, "closed": found.closed, "void": found.void},
            "raters": len(found.raters),
            "days": days,
        }

    def _shown(self, account: Account, asked: str) -> dict[str, JSON]:
        question = question_of(self._people, asked)
        page = self._seat(account, question).asked(LAYOUTS[0])
        prompt = page.records[0]
        turns: list[JSON] = []
        if isinstance(prompt, Prompt):
            turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
        answers: list[JSON] = [
            {"letter": one.letter, "response": one.id, "text": one.raw, "before": _said(one.before)}
            for one in page.answers
        ]
        return {
            "id": question.id,
            "task": page.task,
            "line": page.line,
            "instrument": question.instrument.model_dump(mode="json", exclude_defaults=True),
            "prompt": turns,
            "answers": answers,
            "evidence": _said(page.evidence),
            "hindsight": page.hindsight,
            "shown_at": self._clock(),
        }

    def _seat(self, account: Account, question: Question) -> Seat:
        return Seat(self._people, account.pseudonym, question, account.consent)


def _said(turns: Sequence[Turn]) -> list[JSON]:
    """Who said what; nobody is named where it is evidence."""
    return [{"who": turn.who, "text": turn.raw} for turn in turns]


def _lease(account: Account, held: Held) -> Lease:
    return Lease(held.slot, held.question, held.number, account.pseudonym, held.fence, held.until)
