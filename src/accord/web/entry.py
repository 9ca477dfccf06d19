"""Coming in and going out, consent, and one's own account."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from accord import __version__
from accord.errors import Refused
from accord.stores.identity import SCOPES, Account
from accord.web.pages import THEME_COOKIE, THEMES, Form, form_of, render, see_other
from accord.web.sessions import account_of, forget, remember, visitor_of
from accord.web.state import State

__all__ = ["Entry", "router"]

_FRESH = 900.0  # seconds after coming in during which a passphrase is changed without the old one
_WRONG = "That name and passphrase do not belong together. Nothing says which of the two is wrong."
_EVERYWHERE = 5  # as many more sign-ins from one address as for one name: people share addresses

Posted = Annotated[Form, Depends(form_of)]


def router(state: State) -> APIRouter:
    """The routes of this file."""
    pages, routes = Entry(state), APIRouter()
    for method, path, page in (
        ("GET", "/healthz", pages.health),
        ("GET", "/", pages.first),
        ("POST", "/theme", pages.theme),
        ("GET", "/signin", pages.door),
        ("POST", "/signin", pages.sign_in),
        ("GET", "/link", pages.offer),
        ("POST", "/link", pages.use),
        ("POST", "/signout", pages.sign_out),
        ("GET", "/consent", pages.consent),
        ("POST", "/consent", pages.agree),
        ("GET", "/account", pages.account),
        ("POST", "/account/passphrase", pages.passphrase),
        ("POST", "/account/signout", pages.sign_out_everywhere),
        ("POST", "/account/tokens", pages.make_token),
        ("POST", "/account/tokens/{token}/revoke", pages.revoke_token),
    ):
        routes.add_api_route(path, page, methods=[method], response_model=None)
    return routes


class Entry:
    """The pages over one state."""

    def __init__(self, state: State) -> None:
        self._state, self._identity = state, state.identity

    def health(self) -> Response:
        """For whatever watches the server: both databases answer."""
        self._state.people.project()
        self._identity.accounts.has_owner()
        return JSONResponse({"ok": True, "version": __version__})

    def first(self, request: Request) -> Response:
        account = visitor_of(request).account
        if account is None:
            return see_other("/signin")
        return see_other(self._home(request, account))

    def theme(self, form: Posted) -> Response:
        theme = form.one("theme")
        if theme not in THEMES:
            raise HTTPException(422, f"theme: one of {', '.join(THEMES)}")
        response = see_other("/")
        year, secure = 365 * 86_400, self._state.settings.secure
        response.set_cookie(
            THEME_COOKIE, theme, max_age=year, path="/", secure=secure, httponly=True, samesite="lax"
        )
        return response

    # Coming in

    def door(self, request: Request) -> Response:
        if visitor_of(request).account is not None:
            return see_other("/")
        return self._door(request)

    def sign_in(self, request: Request, form: Posted) -> Response:
        """By name and passphrase. Counted before the work, so that many tries at one moment count too."""
        name, given = form.one("name"), form.one("passphrase")
        wait = self._wait(request, name)
        if wait is not None:
            page = self._door(
                request, f"Too many tries. The next one counts in {math.ceil(wait / 60)} min.", 429
            )
            page.headers["Retry-After"] = str(int(wait) + 1)
            return page
        account = self._identity.passphrases.check(name, given)
        if account is None:
            return self._door(request, _WRONG, 401)
        self._identity.attempts.forget("name", _who(request, name))
        return self._welcome(request, account, self._home(request, account))

    def offer(self, request: Request, code: str = "") -> Response:
        """A one-time link shows a button and uses nothing up: mail programs look at links too."""
        offer = self._identity.links.look(code) if code else None
        status = 200 if offer else 410
        name = self._state.settings.alone
        return render(request, "link.html.j2", status, offer=offer, code=code, problem="", name=name)

    def use(self, request: Request, form: Posted) -> Response:
        code, name = form.one("code"), form.one("name", "")
        offer = self._identity.links.look(code)
        if offer is not None and offer.first and not name.strip():
            text = "Choose the name that others will see."
            return render(request, "link.html.j2", 422, offer=offer, code=code, problem=text, name=name)
        try:
            account = self._identity.links.use(code, name)
        except Refused as refused:
            offer = self._identity.links.look(code)
            text = str(refused).partition("\n")[0]
            status = 422 if offer else 410
            return render(request, "link.html.j2", status, offer=offer, code=code, problem=text, name=name)
        known = bool(self._state.settings.alone) or account.has_passphrase
        return self._welcome(request, account, self._home(request, account) if known else "/account")

    def sign_out(self, request: Request) -> Response:
        self._identity.sessions.end(visitor_of(request).session)
        return forget(request, see_other("/signin"))

    # Consent

    def consent(self, request: Request) -> Response:
        return self._consent(request)

    def agree(self, request: Request, form: Posted) -> Response:
        account, project = account_of(request), self._state.people.project()
        if project.consent is None:
            raise HTTPException(409, "this project asks for no consent")
        if form.one("version") != project.consent.version:
            return self._consent(request, "The text has changed meanwhile. Please read it again.", 409)
        if form.one("agree", "") != "yes":
            return self._consent(request, "Nothing was agreed to: the box was not ticked.", 422)
        said: dict[str, str] = {}
        for place, (group, options) in enumerate(project.groups.items()):
            value = form.one(f"group-{place}", "")
            if value and value not in options:
                raise HTTPException(422, f"group-{place}: one of {', '.join(options)}, or nothing")
            said[group] = value
        self._identity.consents.agree(account.id, project.consent.version, said)
        return see_other("/")

    # One's own account

    def account(self, request: Request) -> Response:
        return self._account(request)

    def passphrase(self, request: Request, form: Posted) -> Response:
        account, visitor = account_of(request), visitor_of(request)
        if form.one("passphrase") != form.one("again"):
            return self._account(request, "The two passphrases are not the same.", 422)
        if self._asks_for_old(account, visitor.session):
            if self._wait(request, account.name) is not None:
                return self._account(request, "Too many tries; wait a quarter of an hour.", 429)
            if self._identity.passphrases.check(account.name, form.one("old", "")) is None:
                return self._account(request, "The passphrase you have now is another one.", 401)
            self._identity.attempts.forget("name", _who(request, account.name))
        try:
            self._identity.passphrases.set(account.id, form.one("passphrase"), keep=visitor.session)
        except Refused as refused:
            return self._account(request, str(refused).replace("\n ", ";"), 422)
        return self._account(request, done="The passphrase is set. Other sessions of yours have ended.")

    def sign_out_everywhere(self, request: Request) -> Response:
        self._identity.sessions.end_all(account_of(request).id)
        return forget(request, see_other("/signin"))

    def make_token(self, request: Request, form: Posted) -> Response:
        """Shown on this page and never again."""
        account = account_of(request)
        try:
            given, _ = self._identity.tokens.make(account.id, form.every("scope"), form.one("label", ""))
        except Refused as refused:
            return self._account(request, str(refused).replace("\n ", ";"), 422)
        return self._account(request, token=given)

    def revoke_token(self, request: Request, token: str) -> Response:
        if not self._identity.tokens.revoke(token, account_of(request).id):
            raise HTTPException(404, "no such token of yours; it may be revoked already")
        return see_other("/account")

    # What several of them do

    def _home(self, request: Request, account: Account) -> str:
        leads = account.role in ("owner", "manager") and not self._state.settings.alone
        wanted = ("/manage", "/label", "/account") if leads else ("/label", "/account")
        return next(path for path in wanted if path in request.app.state.paths)

    def _welcome(self, request: Request, account: Account, to: str) -> Response:
        """A session of its own for each way in: one that was there before ends."""
        before = visitor_of(request).session
        if before:
            self._identity.sessions.end(before)
        return remember(request, see_other(to), self._identity.sessions.begin(account.id))

    def _wait(self, request: Request, name: str) -> float | None:
        """Seconds to wait: for this name from this address, or for this address."""
        limit, attempts = self._state.settings.sign_ins, self._identity.attempts
        waits = (
            attempts.take("name", _who(request, name), limit.most, limit.seconds),
            attempts.take("address", _address(request), limit.most * _EVERYWHERE, limit.seconds),
        )
        return max((wait for wait in waits if wait is not None), default=None)

    def _asks_for_old(self, account: Account, session: str) -> bool:
        """A session somebody left open is not enough to take an account over."""
        age = self._identity.sessions.age(session)
        return account.has_passphrase and (age is None or age > _FRESH)

    def _door(self, request: Request, problem: str = "", status: int = 200) -> Response:
        owned = self._identity.accounts.has_owner()
        return render(request, "signin.html.j2", status, problem=problem, owned=owned)

    def _consent(self, request: Request, problem: str = "", status: int = 200) -> Response:
        project, account = self._state.people.project(), account_of(request)
        said = self._identity.consents.groups(account.id)
        return render(request, "consent.html.j2", status, project=project, said=said, problem=problem)

    def _account(
        self, request: Request, problem: str = "", status: int = 200, *, done: str = "", token: str = ""
    ) -> Response:
        identity, account = self._identity, account_of(request)
        return render(
            request,
            "account.html.j2",
            status,
            mine=identity.accounts.get(account.id),
            sessions=identity.sessions.every(account.id),
            tokens=identity.tokens.every(account.id),
            asks_for_old=self._asks_for_old(account, visitor_of(request).session),
            scopes=SCOPES,
            problem=problem,
            done=done,
            token=token,
        )


def _address(request: Request) -> str:
    return request.client.host if request.client else "?"


def _who(request: Request, name: str) -> str:
    return f"{' '.join(name.casefold().split())} {_address(request)}"
