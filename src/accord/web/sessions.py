"""Who is asking: the account behind a session cookie or a bearer token, and the cookies themselves."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from accord.stores.identity import Account
from accord.web.state import WebSettings, state_of

__all__ = ["ANONYMOUS", "Visitor", "account_of", "cookie_name", "forget", "remember", "visitor_of"]

_LONGEST = 14 * 86_400  # seconds until the browser forgets; the database ends a session itself


class Visitor(NamedTuple):
    """Who sent a request. ``scopes`` is None for a person with a session, who may do all their role may."""

    account: Account | None = None
    session: str = ""
    scopes: frozenset[str] | None = None


ANONYMOUS = Visitor()


def visitor_of(request: Request) -> Visitor:
    """Who sent it, perhaps nobody known."""
    return request.scope.get("state", {}).get("visitor", ANONYMOUS)


def account_of(request: Request) -> Account:
    """The account that is signed in. Only for routes that the policy table keeps from anonymous visitors."""
    account = visitor_of(request).account
    if account is None:
        raise RuntimeError(f"{request.url.path} asked for an account, and the policy lets anonymous in")
    return account


def cookie_name(settings: WebSettings) -> str:
    """``__Host-`` where the cookie is for https: a browser then takes it from this host alone."""
    return f"__Host-{settings.cookie}" if settings.secure else settings.cookie


def remember(request: Request, response: Response, session: str) -> Response:
    """The browser keeps the session: HttpOnly, SameSite=Lax, for https alone where people come by it."""
    settings = state_of(request).settings
    response.set_cookie(
        cookie_name(settings),
        session,
        max_age=_LONGEST,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )
    return response


def forget(request: Request, response: Response) -> Response:
    """The browser drops the session."""
    settings = state_of(request).settings
    response.delete_cookie(
        cookie_name(settings), path="/", secure=settings.secure, httponly=True, samesite="lax"
    )
    return response
