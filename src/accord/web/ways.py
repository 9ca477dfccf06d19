"""How a rater likes to work: single keys and whether they are on, plain text or Markdown, what was read.

Kept in a cookie of theirs, under their pseudonym: nothing in it decides what may be done, and what it holds
is read as strictly as any form. A browser that two people share keeps one of them at a time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

from accord.errors import PlanError
from accord.records import JSON, Instrument, digest
from accord.web.sitting import LAYOUTS

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["ACTIONS", "Action", "Ways", "keys_of", "read_ways", "readings_of", "write_ways"]

_COOKIE = "accord-ways"
_YEAR = 365 * 86_400
_MOST_READ = 40
_DIGITS = 16


class Action(NamedTuple):
    """Something a single key does: its name, what it does in words, the key it has at first."""

    name: str
    title: str
    key: str


ACTIONS = (
    Action("a", "Answer A is better", "1"),
    Action("b", "Answer B is better", "2"),
    Action("tie", "A tie", "0"),
    Action("bad", "Both are bad", "9"),
    Action("same", "In one place with the answer above", "="),
    Action("pick", "Pick the next sentence", "m"),
    Action("skip", "Skip this question", "s"),
    Action("undo", "Undo what you sent last", "u"),
)
_DEFAULT = {action.name: action.key for action in ACTIONS}


class Ways(NamedTuple):
    """``read``: digests of instructions that were seen, the newest last."""

    keys: Mapping[str, str] = _DEFAULT
    on: bool = True
    layout: str = "plain"
    read: tuple[str, ...] = ()

    def having_read(self, what: str) -> Ways:
        """With these among what was read: digests of ``readings_of`` with full stops between them."""
        new = [one for one in what.split(".")[:_MOST_READ] if one.isalnum() and len(one) == _DIGITS]
        rest = [one for one in self.read if one not in new]
        return self._replace(read=(*rest, *new)[-_MOST_READ:])


def readings_of(instructions: str, instrument: Instrument | None) -> list[str]:
    """Digests of what somebody should have read before a question: the instructions, the worked examples.

    A wording alone is no reason to be sent away from a question: it stands above it.
    """
    found = [digest(instructions)[:_DIGITS]] if instructions.strip() else []
    if instrument and (instrument.examples or instrument.principles):
        asked: JSON = instrument.model_dump(mode="json", exclude_defaults=True)
        found.append(digest(asked)[:_DIGITS])
    return found


def keys_of(given: Mapping[str, str]) -> dict[str, str]:
    """A key for each action. PlanError names the field whose key is no single visible one, or is taken."""
    keys: dict[str, str] = {}
    for action in ACTIONS:
        key = given.get(action.name, action.key).strip()
        if len(key) != 1 or not key.isprintable():
            raise PlanError(action.name, key or None, "one key that writes a character")
        key = key.lower()
        if key in keys.values():
            other = next(title for name, title, _ in ACTIONS if keys.get(name) == key)
            raise PlanError(
                action.name, key, "a key that does nothing else", f"it already stands for: {other}"
            )
        keys[action.name] = key
    return keys


def read_ways(request: Request, rater: str) -> Ways:
    """The ways of this rater; what everybody starts with where the cookie is another's, or does not fit."""
    try:
        found: object = json.loads(base64.urlsafe_b64decode(request.cookies.get(_COOKIE, "")))
    except (ValueError, RecursionError):  # binascii.Error is one
        return Ways()
    if not isinstance(found, dict):
        return Ways()
    kept = cast("dict[str, object]", found)
    keys, read = kept.get("keys"), kept.get("read")
    if kept.get("who") != rater or not isinstance(keys, dict) or not isinstance(read, list):
        return Ways()
    try:
        mapped = keys_of({str(k): str(v) for k, v in cast("dict[object, object]", keys).items()})
    except PlanError:
        mapped = dict(_DEFAULT)
    layout = str(kept.get("layout"))
    seen = tuple(str(one) for one in cast("list[object]", read))[-_MOST_READ:]
    return Ways(mapped, kept.get("on") is not False, layout if layout in LAYOUTS else LAYOUTS[0], seen)


def write_ways(response: Response, rater: str, ways: Ways, *, secure: bool) -> None:
    """Keep them in the browser."""
    body = {"who": rater, "keys": dict(ways.keys), "on": ways.on, "layout": ways.layout, "read": ways.read}
    value = base64.urlsafe_b64encode(json.dumps(body).encode()).decode()
    response.set_cookie(_COOKIE, value, max_age=_YEAR, path="/", secure=secure, httponly=True, samesite="lax")
