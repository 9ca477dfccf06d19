"""``accord judge --listen``: where the door stands, what a trainer has to bear, and how it ends."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from accord.cli.codes import Exit
from accord.errors import PlanError
from accord.web.listening import Asked, Listening, Row, door
from accord.web.serving import answer, bound

if TYPE_CHECKING:
    from accord.cli.judge import Standing
    from accord.judging import Judges
    from accord.progress import Progress

__all__ = ["serve"]

_TOKEN = "ACCORD_TOKEN"  # noqa: S105 - the name of the variable
_SHORTEST = 32


def serve(judges: Judges, standing: Standing, progress: Progress) -> int:
    """Judge what trainers send, until Ctrl-C. The token is ``$ACCORD_TOKEN``, or a new one that is shown."""
    host, port = _place(standing.listen)
    given = os.environ.get(_TOKEN)
    if given is not None and len(given) < _SHORTEST:
        raise PlanError(f"${_TOKEN}", "…", f"{_SHORTEST} characters or more", "leave it out for a new one")
    token = given or secrets.token_urlsafe(32)
    listening, address = bound(host, port, public_url=standing.public_url, owned=True)
    columns = tuple(ask.column for ask in judges.stage.ask)

    def judge(asked: Sequence[Asked]) -> list[Row]:
        rows = judges.judge([(one.prompt, one.answers) for one in asked])
        return [Row(row.json(), row.columns, row.why) for row in rows]

    app = door(Listening(judge, tuple(dict.fromkeys(columns)), address.hosts, token))
    if standing.json:
        # The only line on stdout, for the program that started this; given tokens are not repeated.
        shown = None if given else token
        told = {"url": address.url, "port": address.port, "columns": columns, "token": shown}
        print(json.dumps(told), file=sys.__stdout__, flush=True)
    else:
        progress.say(f"judging at {address.url}/judge; columns: {', '.join(columns)}")
        progress.say(f"bear the token of ${_TOKEN}" if given else f"Authorization: Bearer {token}")
        progress.say("Ctrl-C ends it; what was judged is kept")
    answer(app, listening, behind_proxy=standing.public_url is not None)
    return Exit.DONE


def _place(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise PlanError("--listen", listen, "HOST:PORT, as 127.0.0.1:8300; port 0 takes one that is free")
    return host, int(port)
