"""Refusals and faults as something to read: a page for people, JSON under ``/api`` for programs."""

from __future__ import annotations

import logging
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from accord.errors import AccordError, Away, PlanError, Refused
from accord.web.asked import Gone
from accord.web.pages import render

__all__ = ["problem_of", "wants_json"]

_TITLES = {
    400: "That cannot be read",
    401: "Please sign in",
    403: "That is not for you",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "That does not go",
    410: "That is gone",
    413: "That is too much at once",
    415: "That is no form of ours",
    422: "Something in it does not fit",
    429: "One moment, please",
    500: "Something went wrong here",
    503: "One moment, please",
}
_NO_PAGE = "the address is mistyped, or what stood here is gone"


def wants_json(request: Request) -> bool:
    """Whether a program asks: below ``/api``, or where it says that it takes JSON and no page."""
    accepts = request.headers.get("accept", "")
    return request.url.path.startswith("/api/") or ("json" in accepts and "html" not in accepts)


def problem_of(request: Request, error: Exception) -> Response:
    """The answer to a request that failed, of whatever kind. 421 is plain: that host gets nothing of ours."""
    status, says, headers = _told(error)
    says, *more = [line.strip() for line in says.split("\n")]
    says = says if isinstance(error, PlanError) else _sentence(says)  # a field's name stays as it is
    advice = " ".join(_sentence(line) for line in more)
    if status == 421:
        return PlainTextResponse(f"{says}\n", status)
    title = _TITLES.get(status, HTTPStatus(status).phrase)
    if wants_json(request):
        body = {"error": title, "says": says, "advice": advice}
        body |= {"field": error.path} if isinstance(error, PlanError) else {}
        return JSONResponse(body, status, headers)
    page = render(request, "problem.html.j2", status, title=title, says=says, advice=advice)
    page.headers.update(headers)
    return page


def _told(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case HTTPException(status_code=404, detail="Not Found"):
            return 404, _NO_PAGE, {}
        case HTTPException(status_code=405):
            return 405, "this page knows no such request", dict(error.headers or {})
        case HTTPException():
            return error.status_code, error.detail, dict(error.headers or {})
        case RequestValidationError():
            return _misfit(error)
        case PlanError():
            return 422, str(error), {}
        case Gone():
            return 410, str(error), {}
        case Away():  # what the database says of itself is for whoever keeps it
            logging.getLogger(__name__).error("%s", error)
            return 503, "the server cannot do that just now\nrepeat it in a moment", {"Retry-After": "3"}
        case Refused():
            return 409, str(error), {}
        case AccordError():
            logging.getLogger(__name__).error("%s", error)
            return 500, str(error), {}
        case _:
            raise error


def _misfit(error: RequestValidationError) -> tuple[int, str, dict[str, str]]:
    """A path that is no id leads nowhere; a field that does not fit is named."""
    first = error.errors()[0]
    place = [str(step) for step in first["loc"]]
    if place[0] == "path":
        return 404, _NO_PAGE, {}
    return 422, f"{'.'.join(place[1:]) or place[0]}: {first['msg']}", {}


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!' else '.'}" if text else ""
