"""Templates into pages, and forms into fields.

``render(request, "name.html.j2", **context)`` fills a template of ``templates/`` that extends
``base.html.j2``. Whatever a template prints is made visible first and escaped after; only ``Markup`` is
markup. Filters: ``plain`` and ``marked`` (``showing.py``), ``moment`` for seconds since the epoch, and
``capital``.
``form_of`` is a dependency: ``form: Annotated[Form, Depends(form_of)]``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from accord import __version__
from accord.web.policy import links_for
from accord.web.sessions import visitor_of
from accord.web.state import state_of

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["THEMES", "THEME_COOKIE", "Form", "form_of", "render", "see_other"]

THEMES = ("light", "dark", "system")
THEME_COOKIE = "accord-theme"
_FIELDS = 2_000  # more fields than any form of ours has


class Form(NamedTuple):
    """The fields of an urlencoded form, in the order they came."""

    fields: tuple[tuple[str, str], ...]

    def one(self, name: str, default: str | None = None) -> str:
        """The only value of a field; 400 where it is there twice, or not at all and has no default."""
        values = self.every(name)
        if not values and default is not None:
            return default
        if len(values) != 1:
            raise HTTPException(400, f"the field {name!r} came {len(values)} times; it is asked for once")
        return values[0]

    def every(self, name: str) -> list[str]:
        """All values of a field, as of checkboxes."""
        return [value for key, value in self.fields if key == name]


async def form_of(request: Request) -> Form:
    """The form of a request. 415 for anything but an urlencoded one, 400 where it is not UTF-8."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return Form(())
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "forms come as application/x-www-form-urlencoded; nothing else is read")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_FIELDS,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise HTTPException(400, "the form cannot be read: it is no urlencoded UTF-8") from error
    if any("\0" in name or "\0" in value for name, value in pairs):  # PostgreSQL keeps none
        raise HTTPException(400, "the form cannot be read: it has a null character")
    return Form(tuple(pairs))


def render(request: Request, name: str, status: int = 200, /, **context: object) -> HTMLResponse:
    """The page. Every template also has ``account`` (or None), ``links`` of the role, ``here``, ``theme``."""
    account = visitor_of(request).account
    theme = request.cookies.get(THEME_COOKIE, "")
    page = _environment().get_template(name)
    there: frozenset[str] = request.app.state.paths
    if state_of(request).settings.runs is None:
        there -= {"/runs"}
    if state_of(request).settings.archive is None:
        there -= {"/keeping"}
    text = page.render(
        account=account,
        links=[link for link in links_for(account.role if account else None) if link.path in there],
        here=request.url.path,
        theme=theme if theme in THEMES else "system",
        themes=THEMES,
        version=__version__,
        **context,
    )
    return HTMLResponse(text, status)


def see_other(path: str) -> RedirectResponse:
    """After a form: the browser goes on to a page of ours by GET. ``path`` is never what a client sent."""
    return RedirectResponse(path, 303)


@cache
def _environment() -> Environment:
    from accord.reports.html import environment
    from accord.web.showing import marked, plain

    filters = {"marked": marked, "plain": plain, "moment": _moment, "capital": _capital}
    return environment("accord.web", filters)


def _capital(text: str) -> str:
    """Its first letter; all others stay, for they may be names."""
    return f"{text[:1].upper()}{text[1:]}"


def _moment(at: float) -> str:
    """When, in words that are the same wherever they are read."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
