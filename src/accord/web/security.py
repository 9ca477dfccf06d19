"""What stands before every route: the Host, where a request came from, who sent it, how much, how often.

In this order: a Host that is not ours is refused (DNS rebinding); an unsafe method must come from our own
pages, by ``Sec-Fetch-Site`` or else by ``Origin``, or with a bearer token, which no browser sends by itself;
then the policy table, the limits, and the size of the body, counted as it comes. Every answer carries the
headers below. No CORS header is ever sent. What nobody foresaw is logged, and shown as a page with a number.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accord.web.policy import Rule, rule_for
from accord.web.problems import problem_of
from accord.web.sessions import ANONYMOUS, Visitor, cookie_name
from accord.web.state import State

__all__ = ["HEADERS", "Gate", "counted"]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; img-src 'self' data:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOG = "accord.web"


class _Way(NamedTuple):
    """Where a request goes: the template of its route and the rule for it, if there are any."""

    path: str | None
    rule: Rule | None


class Gate:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, state: State, routes: Sequence[BaseRoute]) -> None:
        self._app, self._state, self._routes = app, state, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _protect(MutableHeaders(scope=message), scope["path"])
            await send(message)

        request = Request(scope, receive)
        try:
            self._check_host(request.headers)
            if "\0" in scope["path"] or b"%00" in scope["query_string"]:
                raise HTTPException(404, "the address has a null character, which nothing here has")
            _check_origin(request, self._state.settings.secure)
            way = self._way(scope)
            turned = await run_in_threadpool(self._admit, request, way)
            if turned is not None:
                await turned(scope, receive, sending)
                return
            most = self._state.settings.body
            if way.rule is not None and way.rule.body is not None:
                most = way.rule.body
            await self._app(scope, counted(receive, most, request.headers), sending)
        except HTTPException as refusal:
            await problem_of(request, refusal)(scope, receive, sending)
        except Exception:
            number = secrets.token_hex(4)
            logging.getLogger(_LOG).exception("error %s in %s %s", number, scope["method"], scope["path"])
            if begun:
                raise
            said = HTTPException(500, f"error {number}: this is a fault of the server, and its log has it")
            await problem_of(request, said)(scope, receive, sending)

    def _check_host(self, headers: Headers) -> None:
        hosts = [host.lower() for host in headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._state.settings.hosts:
            raise HTTPException(421, "this server is not known by that name, so it does not answer to it")

    def _way(self, scope: Scope) -> _Way:
        for route in self._routes:
            match, _ = route.matches(scope)
            if match is Match.FULL:
                path = str(getattr(route, "path", ""))
                return _Way(path, rule_for(scope["method"], path))
        return _Way(None, None)

    def _admit(self, request: Request, way: _Way) -> Response | None:
        """Note who it is and let them through (None), or turn them elsewhere. HTTPException: refused."""
        visitor = self._visitor(request)
        request.scope.setdefault("state", {})["visitor"] = visitor
        if way.path is None:
            return None  # the app says that there is no such page
        if way.rule is None:
            raise HTTPException(403, "nobody may do this: no rule names it")
        if visitor.account is None:
            return None if way.rule.public else _to_sign_in(request)
        _check_role(visitor, way.rule)
        if way.rule.consent and self._lacks_consent(visitor):
            if request.method == "GET" and visitor.scopes is None:
                return RedirectResponse("/consent", 303)
            raise HTTPException(403, "first agree to the text of this project; its page is /consent")
        if way.rule.limited:
            self._check_rate(visitor)
        return None

    def _visitor(self, request: Request) -> Visitor:
        settings, identity = self._state.settings, self._state.identity
        given = request.headers.get("authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            found = identity.tokens.holder(token.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                said = "this token is not known, was revoked, or is older than its time"
                raise HTTPException(401, said, {"WWW-Authenticate": "Bearer"})
            account, kept = found
            return Visitor(account, scopes=kept.scopes)
        session = request.cookies.get(cookie_name(settings), "")
        account = identity.sessions.visit(session) if session else None
        return ANONYMOUS if account is None else Visitor(account, session)

    def _lacks_consent(self, visitor: Visitor) -> bool:
        assert visitor.account is not None
        asked = self._state.people.project().consent
        return asked is not None and visitor.account.consent != asked.version

    def _check_rate(self, visitor: Visitor) -> None:
        assert visitor.account is not None
        limit = self._state.settings.submits
        wait = self._state.identity.attempts.take("submit", visitor.account.id, limit.most, limit.seconds)
        if wait is not None:
            text = f"that is more than {limit.most} in {limit.seconds / 60:g} minutes"
            retry = {"Retry-After": str(int(wait) + 1)}
            raise HTTPException(429, f"{text}; send it again in {wait:.0f} s, nothing is lost", retry)


def _protect(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers.setdefault(name, value)  # a report has a stricter policy of its own (``runs.py``)
    if path.startswith("/static/"):
        headers["Cache-Control"] = "no-cache"  # asked for again each time, and mostly unchanged
    else:
        headers["Cache-Control"] = "no-store"


def _check_origin(request: Request, secure: bool) -> None:
    """An unsafe method comes from a page of ours, or bears a token, which a browser never adds by itself."""
    if request.method in _SAFE:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        ours = origin.lower() == f"{'https' if secure else 'http'}://{request.headers['host'].lower()}"
    else:
        ours = False
    bears = request.headers.get("authorization", "").lower().startswith("bearer ")
    if not ours and not bears:
        raise HTTPException(403, "this came from another site, or does not say from where; open it from here")


def _to_sign_in(request: Request) -> Response:
    if request.method in ("GET", "HEAD") and not request.url.path.startswith("/api/"):
        return RedirectResponse("/signin", 303)
    headers = {"WWW-Authenticate": "Bearer"} if request.url.path.startswith("/api/") else None
    raise HTTPException(401, "nobody is signed in here, or the session is over; sign in and repeat", headers)


def _check_role(visitor: Visitor, rule: Rule) -> None:
    assert visitor.account is not None
    if visitor.scopes is None:
        allowed = visitor.account.role in rule.roles
    else:
        allowed = rule.public or (rule.scope in visitor.scopes and visitor.account.role in rule.roles)
    if not allowed:
        raise HTTPException(403, f"this is not for the role {visitor.account.role}, or not for this token")


def counted(receive: Receive, most: int, headers: Headers) -> Receive:
    """The body as it comes, up to ``most`` bytes, whatever its length was said to be."""
    said = headers.get("content-length", "")
    too_large = HTTPException(413, f"a request has at most {most:,} bytes here")
    if said.isdigit() and int(said) > most:
        raise too_large
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        if message["type"] == "http.request":
            read += len(message.get("body", b""))
            if read > most:
                raise too_large
        return message

    return counting
