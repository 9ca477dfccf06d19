"""The app: every router over one state, behind the gate. Nothing is kept in modules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from accord.errors import AccordError
from accord.web import accounts, api, checking, entry, keeping, labelling, managing, runs
from accord.web.problems import problem_of
from accord.web.security import Gate
from accord.web.state import State, WebSettings

if TYPE_CHECKING:
    from accord.stores.identity import Identity
    from accord.stores.people import People

__all__ = ["ROUTERS", "build"]

# One per file. A route is reached once the policy table names it, too.
ROUTERS = (
    entry.router,
    accounts.router,
    labelling.router,
    checking.router,
    managing.router,
    api.router,
    runs.router,
    keeping.router,
)


def build(people: People, identity: Identity, settings: WebSettings) -> FastAPI:
    """The app over two open databases, which stay the caller's to close."""
    state = State(people, identity, settings)
    app = FastAPI(title="Accord", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.accord = state
    routes = [route for router in ROUTERS for route in router(state).routes]
    routes.append(Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static"))
    # Not include_router: the gate asks each route itself whether a request is for it.
    app.router.routes.extend(routes)
    app.state.paths = frozenset(str(getattr(route, "path", "")) for route in routes)
    for kind in (HTTPException, RequestValidationError, AccordError):
        app.add_exception_handler(kind, problem_of)
    app.add_middleware(Gate, state=state, routes=routes)
    return app
