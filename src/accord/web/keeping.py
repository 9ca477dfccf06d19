"""Kept models: a list, each with its chain of statements, its interview, and replies to be drafted.

Nothing here signs or changes what is kept, and this server holds no key. What it writes is a draft of replies
beside the archive's objects; ``accord retire ENTRY --reply FILE`` signs it, where the person's key is.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import Unreadable
from accord.keep.replies import ANSWERS, Draft
from accord.keep.statements import DEMONSTRATION, EVIDENCE_RULE
from accord.web.kept import Kept, Shelved, Spoiled
from accord.web.pages import Form, form_of, render, see_other
from accord.web.sessions import visitor_of
from accord.web.state import State

__all__ = ["Keeping", "router"]

_NO_ENTRY = "there is no such kept model here"
_FRAMED = {
    "neutral": "leaning nowhere",
    "towards": "leaning towards its retirement",
    "away": "leaning away from it",
}
_LONGEST = 20_000  # characters of one reason


def router(state: State) -> APIRouter:
    """The routes of this file."""
    pages, routes = Keeping(state), APIRouter()
    for path, page in (
        ("/keeping", pages.every),
        ("/keeping/{entry}", pages.entry),
        ("/keeping/{entry}/transcripts/{digest}", pages.transcript),
        ("/keeping/{entry}/replies", pages.replies),
        ("/keeping/{entry}/replies.toml", pages.file),
    ):
        routes.add_api_route(path, page, methods=["GET"], response_model=None)
    routes.add_api_route("/keeping/{entry}/replies", pages.draft, methods=["POST"], response_model=None)
    return routes


class Keeping:
    """The pages over one state."""

    def __init__(self, state: State) -> None:
        self._kept = Kept(state.settings.archive, state.settings.clock)

    def every(self, request: Request) -> Response:
        """All kept models: where each stands, and what somebody has to look at."""
        there = self._kept.there
        found = self._kept.every() if there else []
        return render(
            request,
            "keeping.html.j2",
            shows=self._kept.folder is not None,
            there=there,
            copies=self._kept.copies if there else (0, 0),
            shelved=[one for one in found if isinstance(one, Shelved)],
            spoiled=[one for one in found if isinstance(one, Spoiled)],
        )

    def entry(self, request: Request, entry: str) -> Response:
        """One of them: its statements, what they prove, its interview, who owes which reply."""
        one = self._found(entry)
        return render(
            request,
            "keeping_entry.html.j2",
            one=one,
            talks=self._kept.talks(one),
            rule=EVIDENCE_RULE,
            framed=_FRAMED,
            demonstration=DEMONSTRATION if one.held.chain.demonstration else "",
        )

    def transcript(self, request: Request, entry: str, digest: str) -> Response:
        """One session, word for word."""
        one = self._found(entry)
        talk = self._kept.talk(one, digest)
        if talk is None:
            raise HTTPException(404, "there is no such transcript, or not as it was signed")
        return render(
            request, "keeping_transcript.html.j2", one=one, talk=talk, rule=EVIDENCE_RULE, framed=_FRAMED
        )

    def replies(self, request: Request, entry: str) -> Response:
        """The replies that are owed, to be drafted."""
        one = self._owing(entry)
        draft = self._kept.draft(one, self._name(request))
        texts = {wish.record: wish for wish in one.wishes}
        return render(
            request,
            "keeping_replies.html.j2",
            one=one,
            draft=draft,
            wishes=texts,
            answers=ANSWERS,
            seen=_seen(draft),
            left=sum(not reply.complete for reply in draft.replies),
        )

    def draft(self, request: Request, entry: str, form: Annotated[Form, Depends(form_of)]) -> Response:
        """Keep the draft, whole or not; what another person saved meanwhile is not written over."""
        one = self._owing(entry)
        with self._kept.drafting(one) as save:
            draft = self._kept.draft(one, self._name(request))
            if form.one("seen") != _seen(draft):
                raise HTTPException(409, "somebody saved this draft meanwhile\nload the page again")
            save(draft._replace(by=form.one("by", "").strip()[:200]).filled(_answers(form, draft)))
        return see_other(f"/keeping/{one.key}/replies")

    def file(self, request: Request, entry: str) -> Response:
        """The draft, to be signed where the key is."""
        one = self._owing(entry)
        name = f"replies-{one.key[:12]}.toml"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        text = self._kept.draft(one, self._name(request)).text()
        return Response(text.encode("utf-8"), media_type="application/toml", headers=headers)

    def _found(self, entry: str) -> Shelved:
        try:
            return self._kept.one(entry)
        except KeyError:
            raise HTTPException(404, _NO_ENTRY) from None
        except Unreadable as problem:
            raise HTTPException(409, str(problem)) from problem

    def _owing(self, entry: str) -> Shelved:
        one = self._found(entry)
        if one.found.state != "interviewed":
            raise HTTPException(409, f"no reply is owed: this model is {one.found.state}")
        return one

    def _name(self, request: Request) -> str:
        account = visitor_of(request).account
        return account.name if account else ""


def _answers(form: Form, draft: Draft) -> dict[str, tuple[str, str]]:
    """By what is replied to the answer and the reason."""
    found: dict[str, tuple[str, str]] = {}
    for number, reply in enumerate(draft.replies):
        reason = form.one(f"reason-{number}", "").replace("\r\n", "\n")
        if len(reason) > _LONGEST:
            raise HTTPException(422, f"a reason has at most {_LONGEST:,} characters")
        found[reply.to] = (form.one(f"answer-{number}", ""), reason)
    return found


def _seen(draft: Draft) -> str:
    """The same for the same draft."""
    return hashlib.sha256(draft.text().encode("utf-8")).hexdigest()
