"""The door of ``accord judge --listen``: other trainers send answers and get columns of verdicts back.

``POST /judge`` takes ``{"prompts": […], "answers": […]}``, an answer or a list of answers for each prompt, a
prompt being a text or a list of messages; ``columns`` may hold fields of the prompts for programs that read
them. It gives ``columns``, one number per row or null, ``missing`` with the reasons, and ``rows``, which say
whose verdict each is. ``GET /healthz`` says what columns there are. Both want the token.

The same law as for the labelling pages: a Host that is not ours is refused, and so is whoever does not bear
the token, which no browser sends by itself; no CORS; at most 1 MiB. This layer calls no model: it is handed
what judges.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from accord.errors import AccordError
from accord.records import JSON, Message, Prompt
from accord.web.security import counted

__all__ = ["Asked", "Listening", "door"]

_BODY = 1 << 20
_MOST = 4096  # prompts in one request


class _Sent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: Annotated[tuple[str | tuple[Message, ...], ...], Field(max_length=_MOST)]
    answers: tuple[str | tuple[str, ...], ...]
    columns: dict[str, tuple[JsonValue, ...]] = {}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for name, values in (("answers", self.answers), *self.columns.items()):
            if len(values) != len(self.prompts):
                raise ValueError(f"{name} has {len(values)} entries for {len(self.prompts)} prompts")
        return self


class Asked(NamedTuple):
    """A prompt with answers to it."""

    prompt: Prompt
    answers: tuple[str, ...]


class Row(NamedTuple):
    """What was said of some answers of one prompt."""

    told: Mapping[str, JSON]
    columns: Mapping[str, float | None]
    missing: str


@dataclass(frozen=True)
class Listening:
    """``judge`` makes rows of what is sent; ``token`` is what a trainer bears, kept as its hash alone."""

    judge: Callable[[Sequence[Asked]], Sequence[Row]]
    columns: tuple[str, ...]
    hosts: frozenset[str]
    token: str


def door(listening: Listening) -> ASGIApp:
    """The app of one process that judges."""

    async def judge(request: Request) -> Response:
        sent = _sent(await request.body())
        rows = await run_in_threadpool(listening.judge, _asked(sent))
        columns = {name: [row.columns.get(name) for row in rows] for name in listening.columns}
        missing = [row.missing or None for row in rows]
        return JSONResponse({"columns": columns, "missing": missing, "rows": [dict(r.told) for r in rows]})

    async def health(_: Request) -> Response:
        return JSONResponse({"ok": True, "columns": list(listening.columns)})

    app = Starlette(
        routes=[Route("/judge", judge, methods=["POST"]), Route("/healthz", health, methods=["GET"])],
        exception_handlers={HTTPException: _problem, AccordError: _problem},
    )
    return _Gate(app, listening)


class _Gate:
    """Before every route: the Host, the token, the size."""

    def __init__(self, app: ASGIApp, listening: Listening) -> None:
        self._app, self._listening = app, listening
        self._known = hashlib.sha256(listening.token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            self._check(request)
            await self._app(scope, counted(receive, _BODY, request.headers), send)
        except HTTPException as refusal:
            await _problem(request, refusal)(scope, receive, send)

    def _check(self, request: Request) -> None:
        hosts = [host.lower() for host in request.headers.getlist("host")]
        if len(hosts) != 1 or hosts[0] not in self._listening.hosts:
            raise HTTPException(421, "this server is not known by that name, so it does not answer to it")
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        given = hashlib.sha256(token.strip().encode()).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, self._known):
            said = "send the header Authorization: Bearer TOKEN, with the token that was shown at the start"
            raise HTTPException(401, said, {"WWW-Authenticate": "Bearer"})


def _sent(body: bytes) -> _Sent:
    try:
        return _Sent.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        raise HTTPException(422, f"{place}: {first['msg']}") from None


def _asked(sent: _Sent) -> list[Asked]:
    found: list[Asked] = []
    for place, (prompt, answer) in enumerate(zip(sent.prompts, sent.answers, strict=True)):
        said = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
        fields = {name: values[place] for name, values in sent.columns.items()}
        texts = (answer,) if isinstance(answer, str) else answer
        found.append(Asked(Prompt(messages=said, columns=fields), texts))
    return found


def _problem(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    return JSONResponse({"error": str(error)}, 500)
