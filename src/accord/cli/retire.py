"""``accord retire``: where a kept model stands in its life, what is missing, and its next step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from shlex import quote
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen
from accord.cli.signing import ARCHIVE, ArchiveFolder, By, Key, opened_archive, signer_of
from accord.errors import PlanError, Refused

if TYPE_CHECKING:
    from accord.keep.archive import Archive
    from accord.keep.entries import Held
    from accord.keep.faults import Fault
    from accord.keep.interview import Session
    from accord.keep.keys import Signer
    from accord.keep.retirement import Event, EventName, Known, Lacking, Refusal, Standing
    from accord.keep.retiring import Heard
    from accord.progress import Progress
    from accord.records import JSON

__all__ = ["EXAMPLES", "retire"]

EXAMPLES = {
    "retire": """
      accord retire brevity-1
      accord retire brevity-1 --next --by "A. Person" --reason "it serves from today on"
      accord retire brevity-1 --next --by "A. Person" --reason succeeded --successor brevity-2 \\
        --sealing 2027-01-15
      accord retire brevity-1 --next --sessions 24
      accord retire brevity-1 --reply replies.toml --by "A. Person"
      accord retire brevity-1 --back --by "A. Person" --reason "the successor failed its gate"
    """,
}


_SESSIONS = 16
_READ: Mapping[str, EventName] = {
    "--successor": "notify",
    "--sealing": "notify",
    "--sessions": "interview",
    "--codes": "interview",
    "--scope": "revive",
    "--until": "revive",
}
_REPLIED = "replies to what it said"


class _Wish(NamedTuple):
    """What was asked for on the command line."""

    by: str
    reason: str
    successor: str
    day: date | None
    scope: str
    reply: Path | None
    codes: Path | None
    interviews: Path
    sessions: int | None
    back: bool


def retire(  # size: a parameter is an option here
    entry: Annotated[
        str, typer.Argument(metavar="ENTRY", help="A kept model: its id, how that begins, or its name.")
    ],
    onward: Annotated[bool, typer.Option("--next", help="Take the next step.")] = False,
    reply: Annotated[
        Path | None, typer.Option("--reply", metavar="FILE", help="Sign these replies to what it prefers.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Take a notice back.")] = False,
    by: By = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    successor: Annotated[
        str, typer.Option("--successor", metavar="NAME", help="Of a notice: the model that follows it.")
    ] = "",
    sealing: Annotated[
        str | None, typer.Option("--sealing", metavar="DAY", help="Of a notice: 30 days away or more.")
    ] = None,
    scope: Annotated[
        str, typer.Option("--scope", metavar="TEXT", help="Of a revival: what it is opened for.")
    ] = "",
    until: Annotated[
        str | None, typer.Option("--until", metavar="DAY", help="Of a revival: its last day.")
    ] = None,
    sessions: Annotated[
        int | None, typer.Option("--sessions", metavar="N", min=8, help="Of the interview [default: 16].")
    ] = None,
    codes: Annotated[
        Path | None, typer.Option("--codes", metavar="FILE", help="What a person coded its answers as.")
    ] = None,
    interviews: Annotated[
        Path, typer.Option("--interviews", metavar="DIR", help="Where interviews are held.")
    ] = Path("interviews"),
    key: Key = None,
    archive: ArchiveFolder = ARCHIVE,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Say where a kept model stands, what is missing for its next step, and the command that takes it.

    kept, active, notice, interviewed, answered, sealed, revived: no step is skipped, and each is signed. With
    --next before an interview the model is asked, which can be broken off and gone on with; a person then
    codes a tenth of its answers. Exit 2: something is missing, and the refusal is written down. Exit 3:
    its statements break the rules.
    """
    from accord.keep.entries import found_entry
    from accord.keep.faults import worst
    from accord.keep.keeping import held_entry
    from accord.keep.retirement import Refusal, standing

    if sum((onward, reply is not None, back)) > 1:
        raise typer.BadParameter("one step at a time: --next, --reply FILE or --back")
    sealed, ends = _day("--sealing", sealing), _day("--until", until)
    given = {"--successor": successor, "--sealing": sealed, "--scope": scope, "--until": ends}
    given |= {"--sessions": sessions, "--codes": codes}
    wish = _Wish(
        by or "", reason.strip(), successor, sealed or ends, scope, reply, codes, interviews, sessions, back
    )
    screen = Screen(json, quiet)
    faults: tuple[str, ...] = ()
    with screen.working() as progress:
        opened = opened_archive(archive, progress)
        held = held_entry(opened, found_entry(opened, entry))
        asks = onward or back or reply is not None
        _check_options(given, _wanted(standing(held.chain), wish) if asks else None)
        taken = _step(opened, held, wish, signer_of(opened, by, key), progress) if asks else None
        if taken is not None and not isinstance(taken, Refusal):
            faults = taken
            held = held_entry(opened, held.entry)
        look = _look(opened, held, wish)
    missing = taken.lacking if isinstance(taken, Refusal) else look
    shown = _Shown(held, standing(held.chain), missing, archive)
    lines = [*_lines(shown, refused=isinstance(taken, Refusal)), *faults]
    screen.give({**_document(shown), "refused": isinstance(taken, Refusal), "copies": list(faults)}, lines)
    return Exit.REFUSED if isinstance(taken, Refusal) else Exit(worst(shown.faults))


def _step(
    archive: Archive, held: Held, wish: _Wish, signer: Signer, progress: Progress
) -> tuple[str, ...] | Refusal:
    """Take the step that is wished for; what is wrong with the copies, or why it was not taken."""
    from accord.keep.retirement import Lacking, Refusal, following, standing
    from accord.keep.retiring import known_of, refused, take

    found = standing(held.chain)
    name = _wanted(found, wish)
    verified = name in ("activate", "seal")
    known = known_of(archive, held, signer, time.time, verified=verified, progress=progress)
    person = _person(archive, signer)
    event = _event(name, wish._replace(by=wish.by or person), found)
    files: Mapping[str, bytes] = {}
    if name == "interview" and found.state == "notice" and known.role == "steward":
        came = _heard(archive, held, wish, progress)
        if isinstance(came, Lacking):
            refusal = Refusal(found.state, event, (came,))
            refused(archive, held, refusal)
            return refusal
        known, files = known._replace(asked=came.asked), came.files
    if wish.reply is not None:
        known, event = _replied(held, wish.reply, known, event)
    step = following(found.state, event, known)
    if isinstance(step, Refusal):
        refused(archive, held, step)
        return step
    return tuple(str(one) for one in take(archive, held, step, signer, time.time, files))


def _wanted(found: Standing, wish: _Wish) -> EventName:
    """The step that is wished for."""
    from accord.keep.retiring import next_event

    return "withdraw" if wish.back else "answer" if wish.reply is not None else next_event(found)


def _check_options(given: Mapping[str, object], step: EventName | None) -> None:
    """What a step does not read is not passed over: somebody took it for another one."""
    for option, value in given.items():
        if value and step != _READ[option]:
            now = f"the step is “{step}”" if step else "no step is taken"
            raise PlanError(option, str(value), f"only where the step is “{_READ[option]}”; here {now}")


def _event(name: EventName, wish: _Wish, found: Standing) -> Event:
    from accord.keep.retirement import Event

    reason = wish.reason
    if name == "interview" and not reason and found.notice is not None:
        reason = f"interviewed, as announced: {found.notice.reason}"
    return Event(name, wish.by, reason, wish.successor, wish.day, wish.scope)


def _person(archive: Archive, signer: Signer) -> str:
    """Whose key it is."""
    from accord.keep.entries import public_of

    roles = public_of(archive)[1].of(signer.id)
    return roles[-1].person if roles else ""


def _replied(held: Held, file: Path, known: Known, event: Event) -> tuple[Known, Event]:
    """What the file replies; without a reason, that of the reply to the whole is the step's."""
    from accord.keep.replies import Draft
    from accord.keep.retirement import WHOLE

    draft = Draft.read(file)
    if draft.entry != held.entry:
        raise Refused(f"{file}: replies to {draft.entry or 'nobody'}, not to {held.entry}")
    whole = next((one.reason for one in draft.replies if one.to == WHOLE), "")
    return known._replace(replies=draft.signable), event._replace(reason=event.reason or whole or _REPLIED)


def _heard(archive: Archive, held: Held, wish: _Wish, progress: Progress) -> Heard | Lacking:
    """The interview, held and coded; what a person still has to do where it is not coded."""
    from accord.keep.coding import due_items, items_of, read_sheet, sheet
    from accord.keep.interview import held_sessions
    from accord.keep.retirement import Lacking
    from accord.keep.retiring import heard
    from accord.stores.files import write_aside

    notice = next(
        one.opened.digest for one in reversed(held.chain.statements) if one.predicate.word == "retirement"
    )
    folder = wish.interviews / f"{held.entry.rpartition(':')[2][:12]}-{notice[:8]}"
    sessions = held_sessions(folder) or _asked(archive, held, (folder, wish.sessions), progress)
    items = items_of(sessions)
    for name, some in (("coding.toml", due_items(items)), ("coding-all.toml", items)):
        if not (folder / name).exists():
            write_aside(folder / name, sheet(some, ""))
    file = wish.codes or folder / "coding.toml"
    try:
        doubled = read_sheet(file, items)
    except Refused as left:
        what = str(left).partition("\n")[0]
        remedy = f"fill it in, then again: accord retire {held.entry} --next --codes {quote(str(file))}"
        return Lacking(f"{len(sessions)} sessions were held; {what}", remedy)
    return heard(sessions, doubled)


def _asked(
    archive: Archive, held: Held, place: tuple[Path, int | None], progress: Progress
) -> tuple[Session, ...]:
    """Load the model from the archive and ask it, or go on where that stopped."""
    from accord import catalog
    from accord.keep.asked import Protocol
    from accord.keep.interview import interview, protocol_in
    from accord.keep.manifest import manifest
    from accord.keep.outgoing import own_files
    from accord.keep.retirement import standing
    from accord.keep.retiring import check_open, history_of
    from accord.plan import PartTable
    from accord.progress import Silent
    from accord.stage import Engine
    from accord.stores.files import make_folder

    folder, sessions = place
    check_open(held, time.time)
    protocol = protocol_in(folder)
    if protocol is None:
        history, size = history_of(held, standing(held.chain)), sessions or _SESSIONS
        protocol = Protocol(history, sessions=size, controls=size // 2).checked()
    elif sessions not in (None, protocol.sessions):
        raise Refused(
            f"{folder}: was begun with {protocol.sessions} sessions, and goes on with them\n"
            f"  leave out --sessions"
        )
    make_folder(folder)
    if not (folder / "model").is_dir():
        archive.extract(held.home.family, folder / "model", held.home.version)
    elif own_files(manifest(folder / "model")) != held.model:  # it lay there since an earlier call
        raise Refused(f"{folder / 'model'}: is not the model that is kept\n  move it away, then repeat")
    engine = cast(Engine, catalog.build("engines", PartTable(name="local")))
    engine.check(str(folder / "model"))
    progress.say(f"opening {held.name}")
    sampler = engine.sampler(str(folder / "model"), Silent())  # it would count its answers into our phase too
    found = interview(sampler, protocol, folder, progress)
    rmtree(folder / "model")  # outside the archive nothing of it is left
    return found


def _look(archive: Archive, held: Held, wish: _Wish) -> tuple[Lacking, ...]:
    """What is missing for the next step, as far as it can be told without reading every byte again, and but
    for what the command line has to say."""
    from accord.keep.retirement import Refusal, following, standing
    from accord.keep.retiring import known_of, next_event

    found = standing(held.chain)
    known = known_of(archive, held, None, time.time)
    event = _event(next_event(found), wish._replace(by=wish.by or "NAME", reason="TEXT"), found)
    came = following(found.state, event, known)
    lacking = came.lacking if isinstance(came, Refusal) else ()
    return tuple(one for one in lacking if not one.remedy.startswith(("--sealing", "--scope", "--until")))


class _Shown(NamedTuple):
    held: Held
    found: Standing
    missing: tuple[Lacking, ...]
    archive: Path

    @property
    def faults(self) -> tuple[Fault, ...]:
        from accord.keep.retiring import faults_of

        return faults_of(self.held, self.found)

    @property
    def place(self) -> str:
        return "" if self.archive == ARCHIVE else f" --archive {quote(str(self.archive))}"

    @property
    def command(self) -> str:
        """The next step, as a person types it."""
        from accord.keep.retiring import next_event

        options = {
            "activate": "--next --by NAME --reason TEXT",
            "notify": "--next --by NAME --reason TEXT --sealing DAY",
            "interview": "--next --by NAME",
            "answer": "--reply FILE --by NAME",
            "seal": "--next --by NAME --reason TEXT",
            "revive": "--next --by NAME --reason TEXT --scope TEXT --until DAY",
        }
        return f"accord retire {self.held.entry} {options[next_event(self.found)]}{self.place}"


def _document(shown: _Shown) -> dict[str, JSON]:
    from accord.keep.retirement import owed

    held, found = shown.held, shown.found
    preferences: list[JSON] = [one.model_dump(mode="json") for one in found.preferences]
    due = owed(found.preferences) if found.state == "interviewed" else ()
    return {
        "entry": held.entry,
        "name": held.name,
        "state": found.state,
        "since": found.last.date if found.last else None,
        "sealing": str(found.sealing) if found.sealing else None,
        "until": str(found.until) if found.until else None,
        "preferences": preferences,
        "owed": list(due),
        "missing": [
            {"what": one.what, "remedy": one.remedy.replace("{entry}", held.entry)} for one in shown.missing
        ],
        "next": shown.command,
        "faults": [str(one) for one in shown.faults],
        "demonstration": held.chain.demonstration,
    }


def _lines(shown: _Shown, *, refused: bool) -> Iterator[str]:
    from accord.keep.retirement import owed
    from accord.keep.statements import DEMONSTRATION, EVIDENCE_RULE
    from accord.keep.untrusted import shown as plain

    held, found, width = shown.held, shown.found, terminal()
    since = f" since {found.last.date[:10]}" if found.last else ""
    yield f"{plain(held.name)}: {found.state}{since}"
    yield f"  {held.entry}"
    if held.chain.demonstration:
        yield f"DEMONSTRATION: {DEMONSTRATION}"
    for fault in shown.faults:
        yield from broken(plain(str(fault)), width)
    if found.state == "notice":
        yield f"to be sealed on {found.sealing} or later"
    if found.state == "revived":
        yield f"open until {found.until}: {plain(found.last.scope) if found.last else ''}"
    for one in found.preferences:
        said = f"“{plain(one.text)}”" if one.text else "no evidence of a preference"
        share = f"{one.share.value:.2f} [{one.share.low:.2f}, {one.share.high:.2f}], chance {one.null:.2f}"
        yield from broken(f"{plain(one.question)}: {said}, {share}, n = {one.share.n}", width, "  ")
    if found.preferences:
        yield EVIDENCE_RULE[2]
    if found.state == "interviewed":
        yield f"replies owed: {len(owed(found.preferences))}"
    if shown.missing:
        yield "not done: something is missing" if refused else "missing for the next step"
    for lacking in shown.missing:
        yield from broken(plain(lacking.what), width, "  ")
        yield f"    {plain(lacking.remedy.replace('{entry}', held.entry))}"
    yield f"next: {shown.command}"


def _day(option: str, given: str | None) -> date | None:
    try:
        return date.fromisoformat(given) if given is not None else None
    except ValueError:
        raise PlanError(option, given, "a day such as 2027-12-31") from None
