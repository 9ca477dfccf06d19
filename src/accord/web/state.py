"""What every page may reach: the two databases, the settings of this server, and the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request

if TYPE_CHECKING:
    from accord.stores.identity import Identity
    from accord.stores.people import People

__all__ = ["Limit", "State", "WebSettings", "state_of"]


class Limit(NamedTuple):
    """So many in so many seconds, counted in the database over every process that serves."""

    most: int
    seconds: float


class WebSettings(NamedTuple):
    """How this server is reached and what it lets through.

    ``hosts``: what a request may name as its Host, ``name:port`` in lower case, the port left out where it is
    the scheme's own. ``secure``: people come by https, so cookies are for https alone. ``alone``: the name
    of the one person on their own machine, who is shown nothing about other people. ``cookie``: its name; two
    servers on one machine share their cookies, whatever their ports.
    """

    hosts: frozenset[str]
    secure: bool = False
    alone: str = ""
    cookie: str = "accord"
    clock: Callable[[], float] = time.time
    submits: Limit = Limit(60, 240.0)
    sign_ins: Limit = Limit(5, 900.0)
    body: int = 1 << 20
    runs: Path | None = None
    archive: Path | None = None


class State(NamedTuple):
    """Handed to every ``router(state)``, and found again by ``state_of(request)``."""

    people: People
    identity: Identity
    settings: WebSettings


def state_of(request: Request) -> State:
    """The state of the app that a request came to."""
    state = request.app.state.accord
    assert isinstance(state, State)
    return state
