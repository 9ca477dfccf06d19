"""Adjudication: questions on which raters differ, answered again by somebody who has not seen what they said.

What an adjudicator says stands beside the votes and overrules nothing. The most divided question comes first,
of those whose slots are all closed; none on which this person voted, and none twice. Texts are not
adjudicated: two of them differ without anybody being wrong.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import PlanError
from accord.records import By, Kind, Question, digest
from accord.web.asked import Asked, Gone, asked_of
from accord.web.board import Board
from accord.web.pages import Form, form_of, render, see_other
from accord.web.seat import question_of
from accord.web.sessions import account_of
from accord.web.sitting import LAYOUTS, Sitting, order_for, rendering_of
from accord.web.state import State
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
from accord.web.ways import Ways

__all__ = ["Adjudicating"]

_Posted = Annotated[Form, Depends(form_of)]
_TASKS = (Kind.COMPARE, Kind.GRADE, Kind.LABEL)
_WITHOUT_KEYS = Ways()._replace(on=False)


class Adjudicating:
    """The pages of adjudicators over one state."""

    def __init__(self, state: State, board: Board) -> None:
        self._people, self._board, self._clock = state.people, board, state.settings.clock

    def next(self, request: Request, said: str = "") -> Response:
        """The most divided question that is left for this adjudicator."""
        shown = self._board.latest()
        rater = account_of(request).pseudonym
        every = self._people.current(rater=rater, standing=("vote", "late", "adjudicated"))
        known = {one.question for one in every}
        for one in shown.figures.divided if shown else ():
            if one.question in known:
                continue
            question = question_of(self._people, one.question)
            if question.asks in _TASKS:
                with suppress(Gone):  # the votes on it stand
                    return self._page(request, question, {}, saved=bool(said))
        done = sum(one.standing == "adjudicated" for one in every)
        return render(request, "adjudicate_done.html.j2", done=done, saved=bool(said))

    def answer(self, request: Request, form: _Posted) -> Response:
        """Keep what an adjudicator says; the page anew where a field does not fit, or an answer was moved."""
        account, question = account_of(request), question_of(self._people, form.one("question", ""))
        fields = fields_of(form.fields)
        if question.asks not in _TASKS:
            raise HTTPException(409, "texts are not adjudicated")
        own = self._people.current(question.id, ("vote", "late", "adjudicated"), account.pseudonym)
        if own:
            raise HTTPException(409, "you have judged this question already")
        if form.one("move", ""):
            order = moved(form.one("order", ""), form.one("move"))
            return self._page(request, question, {**fields, "order": [order]})
        said = abstention_of if form.one("reason", "") else judgment_of
        try:
            judgment = said(question, fields, self._sitting(request, question))
        except PlanError as problem:
            return self._page(request, question, fields, problem=problem)
        self._people.adjudicate(question.id, judgment)
        return see_other("/manage/adjudicate?said=stored")

    def _page(
        self,
        request: Request,
        question: Question,
        fields: Fields,
        *,
        problem: PlanError | None = None,
        saved: bool = False,
    ) -> Response:
        rater = account_of(request).pseudonym
        order = order_for(rater, question)

        def value(name: str, default: str = "") -> str:
            return next(iter(fields.get(name, ())), default)

        return render(
            request,
            "adjudicate.html.j2",
            422 if problem else 200,
            asked=self._shown(question, order),
            shown_at=value("shown_at") or repr(self._clock()),
            value=value,
            fields=fields,
            tiers=tiers_of(value("order"), len(order)),
            scores=scores_of(question, order),
            levels=levels_of(question),
            skips=SKIPS,
            ways=_WITHOUT_KEYS,
            problem=problem,
            saved=saved,
        )

    def _sitting(self, request: Request, question: Question) -> Sitting:
        account = account_of(request)
        order = order_for(account.pseudonym, question)
        asked = self._shown(question, order)
        config = digest({"adjudicator": self._people.id})
        return Sitting(
            by=By(type="person", name=account.pseudonym, config=config),
            order=order,
            rendering=rendering_of(question, order, asked.records, LAYOUTS[0]),
            texts={one.id: one.raw for one in asked.answers},
            now=self._clock(),
            salt=secrets.token_hex(16),
            consent=account.consent,
        )

    def _shown(self, question: Question, order: tuple[str, ...]) -> Asked:
        return asked_of(self._people.read, question, order, LAYOUTS[0])
