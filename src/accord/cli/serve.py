"""``accord label`` and ``accord serve``: people answer questions in a browser, one here or many."""

from __future__ import annotations

import getpass
import json as jsons
import os
import sys
import time
import webbrowser
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from accord.cli.codes import Exit
from accord.cli.fill import (
    Answers,
    Asked,
    Fill,
    Longest,
    Prompts,
    RewardModels,
    Settings,
    StageName,
    Warmth,
    Wish,
    fill_from,
)
from accord.errors import Refused

if TYPE_CHECKING:
    from fastapi import FastAPI

    from accord.stores.identity import Identity
    from accord.stores.people import People
    from accord.web.posting import Posted
    from accord.web.serving import Address
    from accord.web.state import WebSettings

__all__ = ["EXAMPLES", "label", "serve"]

EXAMPLES = {
    "label": """
      accord label pairs.jsonl
      accord label answers.jsonl --wording "How helpful is this answer?"
      accord label pairs.jsonl --project project.toml --port 0
      accord label pairs.jsonl --terminal
      accord label --fill people.toml --prompts short-questions --questions 40
      accord label labels.db
    """,
    "serve": """
      accord serve --store labels.db
      accord serve --store labels.db --project project.toml
      accord serve --store labels.db --link Ann
      accord serve --store labels.db --archive archive
      accord serve --store postgresql://accord@db/labels --accounts postgresql://accord@db/accounts \\
        --host 0.0.0.0 --public-url https://labels.example.org
    """,
}

_SQLITE = b"SQLite format 3\0"

Project = Annotated[
    Path | None,
    typer.Option(
        "--project", metavar="FILE", help="Instructions, consent and limits (TOML); kept from then on."
    ),
]
Accounts = Annotated[
    str | None,
    typer.Option("--accounts", metavar="URL", help="The accounts' own [default: beside a file's store]."),
]
Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes one that is free.")]
Json = Annotated[bool, typer.Option("--json", help="Say where it stands as one line of JSON.")]


def label(  # size: a parameter is an option here
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Pairs, prompts with answers, or prompts (JSON lines, Parquet); or a labelling database.",
        ),
    ] = None,
    wording: Annotated[
        str, typer.Option("--wording", metavar="TEXT", help="What is asked, instead of the usual words.")
    ] = "",
    project: Project = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Answer in this terminal; lines may come from a pipe.")
    ] = False,
    port: Port = 8420,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    accounts: Accounts = None,
    fill: Fill = None,
    stage: StageName = None,
    questions: Asked = None,
    prompts: Prompts = None,
    answers: Answers = None,
    temperature: Warmth = None,
    max_tokens: Longest = None,
    reward_model: RewardModels = None,
    settings: Settings = None,
    json: Json = False,
) -> int:
    """Answer questions about a file of data yourself, on this machine.

    Pairs are compared, answers graded, prompts answered. What you say is kept in FILE.labels.db beside the
    file; start again and go on where you stopped. Ctrl-C ends it, and nothing is lost. With --fill no FILE is
    given: the plan's model answers prompts, and questions about the answers wait in the database that the
    plan names.
    """
    wish = Wish(stage, questions, prompts, answers, temperature, max_tokens, settings, reward_model)
    if fill is not None:
        if file is not None:
            raise typer.BadParameter("--fill takes no FILE: the plan names the database")
        return fill_from(fill, wish, json=json)
    if wish.named:
        raise typer.BadParameter(f"{wish.named[0]} goes with --fill")
    if file is None:
        raise typer.BadParameter("name a FILE, or a plan: --fill PLAN.toml")
    posted, told = _posted(file, wording)
    store = file if posted is None else str(_beside(posted.file))
    beside = accounts or _accounts(store)
    if terminal:
        with _opened(store, beside, project, posted) as (people, identity):
            return _in_terminal(people, identity, json=json)
    from accord.web.serving import answer, bound

    listening, address = bound("127.0.0.1", port, public_url=None, owned=True)
    with listening, _opened(store, beside, project, posted) as (people, identity):
        link = f"{address.url}/link?code={_code(identity, None)}"
        app = _app(people, identity, _settings(address, alone=_person()))
        lines = [told or f"labelling database {people.where}"]
        _say(_Told(address.url, address.port, link, people.where), lines, json=json)
        if show and not json and _has_browser():
            webbrowser.open(link)
        answer(app, listening, behind_proxy=False)
    _stopped(json=json)
    return Exit.DONE


def serve(  # size: a parameter is an option here
    store: Annotated[
        str, typer.Option("--store", metavar="URL", help="The labelling database: a file, or postgresql://…")
    ],
    accounts: Accounts = None,
    project: Project = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", metavar="DIR", help="Runs to show, read-only.")
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", metavar="DIR", help="Kept models to show, and to reply to.")
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Port = 8400,
    public_url: Annotated[
        str | None, typer.Option("--public-url", metavar="URL", help="https address that people use.")
    ] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="NAME", help="Print a one-time link for this account.")
    ] = None,
    json: Json = False,
) -> int:
    """Let many people answer questions, each with an account of their own.

    There is no default user: the first start prints a link, good once and for 15 minutes, and whoever opens
    it is the owner, who invites the others. Elsewhere than on 127.0.0.1 it needs an owner, and an https
    address of a proxy on this machine that passes the Host on.
    """
    from accord.stores.identity import Identity
    from accord.stores.people import People
    from accord.web.serving import answer, bound

    if runs is not None and not runs.is_dir():
        raise Refused(f"--runs {runs}: there is no such folder\n  name the folder that runs lie in, as runs")
    if archive is not None and not (archive / "root").is_dir():
        raise Refused(f"--archive {archive}: holds no archive\n  accord keep key --by NAME makes one")
    with People.open(store) as people, Identity.open(accounts or _accounts(store)) as identity:
        owned = identity.accounts.has_owner()
        listening, address = bound(host, port, public_url=public_url, owned=owned)
        with listening:
            _keep(people, project)
            identity.attempts.sweep()
            code = _code(identity, link) if link or not owned else ""
            came = f"{address.url}/link?code={code}" if code else ""
            told = _Told(address.url, address.port, came, people.where)
            app = _app(people, identity, _settings(address, runs=runs, archive=archive))
            _say(told, [f"labelling database {people.where}, accounts in {identity.where}"], json=json)
            answer(app, listening, behind_proxy=address.secure)
    _stopped(json=json)
    return Exit.DONE


@contextmanager
def _opened(
    store: str, accounts: str, project: Path | None, posted: Posted | None
) -> Generator[tuple[People, Identity]]:
    """Both databases, with the project's settings and the questions of the file in them."""
    from accord.stores.identity import Identity
    from accord.stores.people import People

    with People.open(store) as people, Identity.open(accounts) as identity:
        _keep(people, project)
        if posted is not None:
            people.post(posted.questions, posted.records)
        yield people, identity


def _posted(file: str, wording: str) -> tuple[Posted | None, str]:
    """The questions that a file of data makes, and what to say of them; None where it is a database."""
    from accord.web.posting import questions_in

    if not _is_database(file):
        posted = questions_in(file, wording)
        return posted, f"{posted.told}: {len(posted.questions):,} questions in {_beside(posted.file)}"
    if wording:
        raise typer.BadParameter("--wording is for a file of data; these questions have their words")
    return None, ""


def _is_database(file: str) -> bool:
    """Whether it is to be opened as it is: an address of one, or a file that SQLite wrote."""
    if "://" in file:
        return True
    try:
        with Path(file).open("rb") as opened:
            return opened.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False  # whoever reads it as data says what is wrong


def _in_terminal(people: People, identity: Identity, *, json: bool) -> int:
    from accord.cli.face import Face
    from accord.cli.terminal import answer_here, own_account

    account = own_account(identity, _person())
    tally = answer_here(people, identity, account, Face.here(aside=json), time.time)
    left = people.progress()
    if json:
        document = {"store": people.where, **tally._asdict(), "open": left.open, "closed": left.closed}
        sys.stdout.write(f"{jsons.dumps(document)}\n")
    else:
        done = f"{tally.answered} answered, {tally.skipped} skipped, {tally.undone} taken back"
        sys.stdout.write(f"{done}; {left.open} are open in {people.where}\n")
    return Exit.DONE


class _Told(NamedTuple):
    """Where it stands. ``link``: one-time, empty where none is wanted."""

    url: str
    port: int
    link: str
    store: str


def _settings(
    address: Address, alone: str = "", runs: Path | None = None, archive: Path | None = None
) -> WebSettings:
    from accord.web.state import WebSettings as Settings

    cookie = f"accord-{address.port}"
    return Settings(
        address.hosts, secure=address.secure, alone=alone, cookie=cookie, runs=runs, archive=archive
    )


def _app(people: People, identity: Identity, settings: WebSettings) -> FastAPI:
    """Built before anybody is told where it stands: that takes a second or two."""
    from accord.web.app import build

    return build(people, identity, settings)


def _keep(people: People, project: Path | None) -> None:
    from accord.stores.people import Project as Settings

    if project is not None:
        people.keep_project(Settings.load(project))


def _code(identity: Identity, name: str | None) -> str:
    """A one-time code: of the account named; else of the owner, who is made by it where there is none."""
    if name is not None:
        account = identity.accounts.named(name)
        if account is None:
            known = ", ".join(one.name for one in identity.accounts.every())
            raise Refused(f"--link {name}: there is no such account\n  accounts: {known or 'none yet'}")
        return identity.links.make(account.id)
    owners = [one for one in identity.accounts.every() if one.role == "owner" and one.active]
    return identity.links.make(owners[0].id) if owners else identity.links.first()


def _say(told: _Told, lines: list[str], *, json: bool) -> None:
    """One line of JSON for machines; for people where to go, and how to end it."""
    if json:
        text = jsons.dumps(told._asdict())
    else:
        where = f"open this, once, within 15 minutes:\n  {told.link}" if told.link else f"open {told.url}"
        text = "\n".join([*lines, where, "Ctrl-C ends it; nothing is lost"])
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _stopped(*, json: bool) -> None:
    if not json:
        sys.stderr.write("stopped; everything that was answered is kept\n")


def _beside(file: Path) -> Path:
    """The labelling database of a data file; here, where the data ship with Accord."""
    package = Path(__file__).parent.parent
    folder = Path() if file.resolve().is_relative_to(package) else file.parent
    return folder / f"{file.name}.labels.db"


def _accounts(store: str) -> str:
    """The accounts' database beside a store that is a file; Refused for a server, which needs one named."""
    scheme, divider, path = store.rpartition("://")
    if divider and not scheme.startswith("sqlite"):
        advice = "name one with --accounts URL: who people are is kept apart from what they said"
        raise Refused(f"{scheme}: the accounts need a database of their own\n  {advice}")
    return f"{scheme}{divider}{path.removesuffix('.db')}.accounts.db"


def _person() -> str:
    """What to call the one person at this machine, until they say otherwise."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "owner"


def _has_browser() -> bool:
    """Whether opening a page opens a window; a browser inside this terminal would take it over."""
    shown = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shown) and sys.stdout.isatty()
