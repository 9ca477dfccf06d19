"""Other people's accounts: invite, close, give another role, and tokens for machines.

A manager acts on adjudicators, raters and machines. Owners and managers are the owner's to make and to
change: whoever could send an owner's link to themselves would be the owner.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from accord.errors import Refused
from accord.stores.identity import ROLES, Account, Role
from accord.web.pages import Form, form_of, render, see_other
from accord.web.sessions import account_of
from accord.web.state import State

__all__ = ["Accounts", "router"]

Posted = Annotated[Form, Depends(form_of)]
VALID = {"900": "15 minutes", "86400": "1 day", "604800": "7 days"}
_MANAGED: tuple[Role, ...] = ("adjudicator", "rater", "machine")


def router(state: State) -> APIRouter:
    """The routes of this file."""
    pages, routes = Accounts(state), APIRouter()
    for method, path, page in (
        ("GET", "/accounts", pages.every),
        ("POST", "/accounts", pages.make),
        ("POST", "/accounts/{account}/link", pages.link),
        ("POST", "/accounts/{account}/role", pages.role),
        ("POST", "/accounts/{account}/active", pages.active),
        ("POST", "/accounts/{account}/tokens", pages.token),
        ("POST", "/accounts/{account}/tokens/{token}/revoke", pages.revoke),
    ):
        routes.add_api_route(path, page, methods=[method], response_model=None)
    return routes


class Accounts:
    """The page over one state."""

    def __init__(self, state: State) -> None:
        self._state, self._identity = state, state.identity

    def every(self, request: Request) -> Response:
        return self._page(request)

    def make(self, request: Request, form: Posted) -> Response:
        role, valid = self._role(request, form), _valid(form)
        try:
            made = self._identity.accounts.make(form.one("name"), role)
        except Refused as refused:
            return self._page(request, str(refused).replace("\n ", ";"), 409)
        if role == "machine":
            return self._page(request, done=f"{made.name} is there. Give it a token below.")
        return self._with_link(request, made, valid)

    def link(self, request: Request, account: str, form: Posted) -> Response:
        return self._with_link(request, self._of(request, account), _valid(form))

    def role(self, request: Request, account: str, form: Posted) -> Response:
        found, role = self._of(request, account), self._role(request, form)
        return self._changed(request, found, role=role)

    def active(self, request: Request, account: str, form: Posted) -> Response:
        found, said = self._of(request, account), form.one("active")
        if said not in ("yes", "no"):
            raise HTTPException(422, "active: yes or no")
        return self._changed(request, found, active=said == "yes")

    def token(self, request: Request, account: str, form: Posted) -> Response:
        """For machines only: a person makes their own."""
        found = self._of(request, account)
        if found.role != "machine":
            raise HTTPException(409, f"{found.name} is a person, and makes tokens on their own page")
        try:
            given, _ = self._identity.tokens.make(found.id, ["read"], form.one("label", ""))
        except Refused as refused:
            return self._page(request, str(refused).replace("\n ", ";"), 422)
        return self._page(request, given=given, given_to=found.name)

    def revoke(self, request: Request, account: str, token: str) -> Response:
        found = self._of(request, account)
        if not self._identity.tokens.revoke(token, found.id):
            raise HTTPException(404, "no such token; it may be revoked already")
        return see_other("/accounts")

    def _of(self, request: Request, account: str) -> Account:
        """The account, where the one who asks may act on it."""
        try:
            found = self._identity.accounts.get(account)
        except KeyError:
            raise HTTPException(404, "there is no such account") from None
        if found.role not in self._within(request):
            raise HTTPException(403, f"an account of the role {found.role} is the owner's to change")
        return found

    def _within(self, request: Request) -> tuple[Role, ...]:
        return ROLES if account_of(request).role == "owner" else _MANAGED

    def _role(self, request: Request, form: Form) -> Role:
        role = form.one("role")
        if role not in ROLES:
            raise HTTPException(422, f"role: one of {', '.join(ROLES)}")
        if role not in self._within(request):
            raise HTTPException(403, f"the role {role} is the owner's to give")
        return role

    def _changed(
        self, request: Request, found: Account, *, role: Role | None = None, active: bool | None = None
    ) -> Response:
        try:
            self._identity.accounts.change(found.id, role=role, active=active)
        except Refused as refused:
            return self._page(request, str(refused).replace("\n ", ";"), 409)
        return see_other("/accounts")

    def _with_link(self, request: Request, account: Account, valid: str) -> Response:
        try:
            code = self._identity.links.make(account.id, float(valid))
        except Refused as refused:
            return self._page(request, str(refused).replace("\n ", ";"), 409)
        scheme = "https" if self._state.settings.secure else "http"
        link = f"{scheme}://{request.headers['host']}/link?code={code}"
        return self._page(request, given=link, given_to=account.name, valid=VALID[valid])

    def _page(
        self,
        request: Request,
        problem: str = "",
        status: int = 200,
        *,
        given: str = "",
        given_to: str = "",
        valid: str = "",
        done: str = "",
    ) -> Response:  # size: each is a thing that the page may have to say
        accounts = self._identity.accounts.every()
        machines = [one for one in accounts if one.role == "machine"]
        return render(
            request,
            "accounts.html.j2",
            status,
            accounts=accounts,
            tokens={one.id: self._identity.tokens.every(one.id) for one in machines},
            within=self._within(request),
            valids=VALID,
            problem=problem,
            given=given,
            given_to=given_to,
            valid=valid,
            done=done,
        )


def _valid(form: Form) -> str:
    valid = form.one("valid", "900")
    if valid not in VALID:
        raise HTTPException(422, f"valid: one of {', '.join(VALID)}")
    return valid
