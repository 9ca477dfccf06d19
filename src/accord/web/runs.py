"""Runs and their reports, to be looked at and nothing else: no route here writes, starts or stops anything.

A run's page is drawn on the server and complete without a script; ``static/live.js`` asks for its fragment
again while the run goes on. A report is a page of its own, made elsewhere and perhaps by somebody else: it
comes in a sandbox without scripts, forms or an origin, and with only the style that it bears itself.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from accord.errors import Unreadable
from accord.records import JSON
from accord.reports.answers import Answer, Leaf, Wanted, leaf_of
from accord.reports.transcripts import told_prompt
from accord.web.drawn import badge_of, charted, live_of, roughly
from accord.web.pages import render
from accord.web.shelf import Broken, Look, Shelf, Short
from accord.web.showing import plain
from accord.web.state import State

__all__ = ["Runs", "report_policy", "router"]

_LISTED = 25  # runs on a page of the list
_ANSWERS = 20  # on a page of transcripts
_LONG = 12_000  # characters of one text on the page
_REPORT = 64_000_000  # bytes
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_NO_RUN = "there is no such run here"

Verdict = Literal["any", "given", "abstained", "none"]
Whose = Literal["policy", "base", "data", "all"]
_VERDICTS: Mapping[Verdict, str] = {
    "any": "any or none",
    "given": "a verdict",
    "abstained": "an abstention",
    "none": "nothing",
}
_WHOSE: Mapping[Whose, str] = {
    "policy": "the policy",
    "base": "other models",
    "data": "came as data",
    "all": "anybody",
}


def router(state: State) -> APIRouter:
    """The routes of this file."""
    runs, routes = Runs(state), APIRouter()
    for path, page in (
        ("/runs", runs.every),
        ("/runs/{run}", runs.run),
        ("/runs/{run}/{stage}/transcripts", runs.transcripts),
        ("/reports/{run}", runs.report),
        ("/api/runs", runs.listed),
        ("/api/runs/{run}", runs.watched),
    ):
        routes.add_api_route(path, page, methods=["GET"], response_model=None)
    return routes


class _Line(NamedTuple):
    """A run in the list."""

    run: str
    plan: str
    stages: tuple[tuple[str, str], ...]
    word: str
    mark: str
    last: str
    why: str
    reported: bool
    broken: bool = False


class _Text(NamedTuple):
    """A text that may be too long to show whole; ``more`` characters are not."""

    shown: Markup
    more: int


class _Shown(NamedTuple):
    """An answer on the page. ``covered``: the data says that it distresses."""

    step: int
    asked: _Text
    said: _Text
    who: str
    notes: tuple[str, ...]
    verdicts: tuple[tuple[str, str], ...]
    record: str
    covered: bool


class Runs:
    """The pages over one state."""

    def __init__(self, state: State) -> None:
        self._shelf = Shelf(state.settings.runs, state.settings.clock)

    def every(self, request: Request, page: int = 1) -> Response:
        """All runs, some of them at a time, the one begun last first."""
        names = self._shelf.names()
        pages = max(1, math.ceil(len(names) / _LISTED))
        page = min(max(1, page), pages)
        found = self._shorts(names[(page - 1) * _LISTED : page * _LISTED])
        return render(
            request,
            "runs.html.j2",
            shows=self._shelf.folder is not None,
            there=self._shelf.folder is not None and self._shelf.folder.is_dir(),
            lines=[_line(one) for one in found],
            found=len(names),
            page=page,
            pages=pages,
        )

    def run(self, request: Request, run: str, stage: str = "", part: str = "") -> Response:
        """One run: the stage at work, or the one that is asked for; ``part=live`` gives what changes."""
        look = self._looked(run, stage)
        live = live_of(look, charted(look.log, look.guard))
        template = "run_live.html.j2" if part == "live" else "run.html.j2"
        return render(request, template, look=look, view=look.view, live=live, run=run, asked=bool(stage))

    def transcripts(self, request: Request, run: str, stage: str, page: int = 1) -> Response:
        """The answers of a stage that pass the filter."""
        look = self._looked(run, stage)
        fields = {name: request.query_params.get(name, "").strip() for name in _FIELDS}
        wanted, wrong = _wanted(fields)
        leaf = leaf_of(look.log.folder, wanted, page, _ANSWERS) if not wrong else Leaf((), 1, 1, 0, 0, 0)
        kept = {name: value for name, value in fields.items() if value}
        return render(
            request,
            "transcripts.html.j2",
            422 if wrong else 200,
            run=run,
            stage=stage,
            fields={"whose": "policy", "verdict": "any", **kept},
            wrong=wrong,
            leaf=leaf,
            shown=[_shown(one, f"{run}/{stage}") for one in leaf.answers],
            whose=_WHOSE,
            verdicts=_VERDICTS,
            newer=f"?{urlencode({**kept, 'page': str(leaf.number - 1)})}" if leaf.number > 1 else "",
            older=f"?{urlencode({**kept, 'page': str(leaf.number + 1)})}" if leaf.number < leaf.pages else "",
        )

    def report(self, run: str) -> Response:
        """The report as ``accord report`` wrote it."""
        try:
            data = self._shelf.report(run, _REPORT)
        except KeyError:
            advice = f"accord report {run} writes it, where the run is"
            raise HTTPException(404, f"there is no report of such a run\n{advice}") from None
        except Unreadable as problem:
            raise HTTPException(409, str(problem)) from problem
        headers = {
            "Content-Security-Policy": report_policy(data),
            # HTML lets no sandboxed page open under the policy of our own pages; not every browser asks.
            "Cross-Origin-Opener-Policy": "unsafe-none",
        }
        return Response(data, media_type="text/html; charset=utf-8", headers=headers)

    def listed(self) -> dict[str, JSON]:
        """Every run in short, for programs."""
        runs: list[JSON] = [_short(one) for one in self._shorts(self._shelf.names())]
        return {"kind": "runs", "v": 1, "runs": runs}

    def watched(self, run: str, stage: str = "") -> Response:
        """The document of ``accord watch --once --json``; it names no place on the server."""
        return JSONResponse(self._looked(run, stage).view.json())

    def _shorts(self, names: list[str]) -> list[Short | Broken]:
        found: list[Short | Broken] = []
        for name in names:
            try:
                found.append(self._shelf.short(name))
            except KeyError:  # removed since it was listed
                continue
        return found

    def _looked(self, run: str, stage: str) -> Look:
        try:
            return self._shelf.look(run, stage)
        except KeyError:
            raise HTTPException(404, _NO_RUN) from None
        except Unreadable as problem:
            raise HTTPException(409, str(problem)) from problem


def report_policy(page: bytes) -> str:
    """What a report may do: nothing but be read, in the styles that it bears, each by its hash.

    >>> report_policy(b"<style>p {}</style>").partition(";")[0]
    "default-src 'none'"
    """
    styles = dict.fromkeys(hashlib.sha256(found).digest() for found in _STYLE.findall(page))
    hashes = " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in styles) or "'none'"
    nowhere = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; style-src {hashes}; {nowhere}; sandbox"


def _line(one: Short | Broken) -> _Line:
    if isinstance(one, Broken):
        return _Line(one.run, "", (), "cannot be read", "bad", "", one.says, reported=False, broken=True)
    view = one.view
    badge, silent = badge_of(view.state), view.pace.silent
    last = "" if silent is None else f"{roughly(silent)} ago"
    pace = view.pace
    why = f"window {pace.window:,} of {pace.windows:,}, update {pace.update:,}"
    if view.state in ("paused", "halted"):
        says, _, reason = view.says.partition(": ")
        why = f"{says.removeprefix(f'{view.state} ')}: {reason.removeprefix('page: ')}"
    return _Line(one.run, one.plan, tuple(view.stages.items()), *badge, last, why, one.reported)


def _short(one: Short | Broken) -> dict[str, JSON]:
    if isinstance(one, Broken):
        return {"run": one.run, "state": "unreadable", "says": one.says}
    view = one.view
    return {
        "run": one.run,
        "name": one.plan,
        "state": view.state,
        "says": view.says,
        "over": view.over,
        "stage": view.stage,
        "stages": dict(view.stages),
        "silent": view.pace.silent,
        "report": one.reported,
    }


# Transcripts

_T = TypeVar("_T")
_FIELDS = ("first", "last", "text", "low", "high", "verdict", "whose")


def _wanted(fields: Mapping[str, str]) -> tuple[Wanted, dict[str, str]]:
    """The filter, and what is wrong with it by field."""
    wrong: dict[str, str] = {}

    def read(name: str, read_one: Callable[[str], _T], wanted: str) -> _T | None:
        try:
            return read_one(fields[name]) if fields[name] else None
        except ValueError:
            wrong[name] = f"{fields[name]!r} is no {wanted}"
            return None

    first, last = read("first", int, "whole number"), read("last", int, "whole number")
    low, high = read("low", _finite, "number"), read("high", _finite, "number")
    verdict, whose = fields["verdict"] or "any", fields["whose"] or "policy"
    if verdict not in get_args(Verdict):
        wrong["verdict"] = f"{verdict!r} is none of {', '.join(get_args(Verdict))}"
    if whose not in get_args(Whose):
        wrong["whose"] = f"{whose!r} is none of {', '.join(get_args(Whose))}"
    if wrong:
        return Wanted(), wrong
    return Wanted(
        first, last, fields["text"], low, high, cast("Verdict", verdict), cast("Whose", whose)
    ), wrong


def _finite(text: str) -> float:
    value = float(text.replace("−", "-"))
    if not math.isfinite(value):
        raise ValueError
    return value


def _shown(one: Answer, policy: str) -> _Shown:
    response, prompt = one.response, one.prompt
    who = response.policy or "data"
    notes = [f"{len(response.tokens):,} tokens"] if response.tokens else []
    notes += ["cut at the token limit"] if response.finish == "length" else []
    asked = told_prompt(prompt) if prompt else "(what was asked does not stand in the log)"
    return _Shown(
        step=one.step,
        asked=_text(asked),
        said=_text(response.text),
        who="" if who.startswith(f"{policy}@") else who,
        notes=tuple(notes),
        verdicts=one.verdicts,
        record=response.id,
        covered=bool(prompt and prompt.columns.get("distressing")),
    )


def _text(text: str) -> _Text:
    return _Text(plain(text[:_LONG]), max(0, len(text) - _LONG))
