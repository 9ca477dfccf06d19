"""``accord export data`` and ``accord import data``: feedback out of a labelling database, and into one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accord.cli.ballots import Election, import_values
from accord.cli.codes import Exit
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table
from accord.errors import PlanError, Unreadable, nearest

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.stores.foreign.giving import Gift, Wish
    from accord.stores.foreign.imports.brought import Brought
    from accord.stores.people import Ingested

__all__ = ["EXAMPLES", "export_data", "import_data"]

EXAMPLES = {
    "export data": """
      accord export data labels.db --as preference --to pairs.jsonl
      accord export data labels.db --as unpaired --conversational --to kto.jsonl --json
      accord export data labels.db --as distributions --groups labels.accounts.db --to shares.parquet
      accord export data labels.db --as inspect --to feedback.eval
      accord export data labels.db --as jsonl --late --to everything.jsonl
    """,
    "import data": """
      accord import data pairs.jsonl labels.db
      accord import data everything.jsonl labels.db --rejects bad.jsonl
      accord import data logs/2026-11-22_capitals.eval labels.db
      accord import data annotation_output/task labels.db --format potato --items data/pairs.jsonl
      accord import data ballots.jsonl --as values --of draft.toml --threshold 0.5 --to values.toml
    """,
}

Store = Annotated[
    str, typer.Argument(metavar="STORE", help="The labelling database: a file, or postgresql://…")
]


def export_data(  # size: a parameter is an option here
    store: Store,
    shape: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="TYPE",
            help="preference, unpaired, stepwise, prompt-completion, prompt-only, language-modelling; "
            "distributions (Parquet), inspect (.eval or .json), jsonl (lossless), csv.",
        ),
    ],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A new file [default: stdout].")
    ] = None,
    conversational: Annotated[
        bool, typer.Option("--conversational", help="Lists of messages, not plain texts.")
    ] = False,
    late: Annotated[
        bool, typer.Option("--late/--without-late", help="Also answers that came after their lease was over.")
    ] = False,
    minimum: Annotated[
        bool, typer.Option("--minimum", help="Leave out raters below the project's minimum.")
    ] = False,
    groups: Annotated[
        str | None,
        typer.Option("--groups", metavar="URL", help="The accounts' database: shares of consented groups."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write feedback as data for other tools, and say what their type cannot hold.

    The six types are TRL's. What was withdrawn never leaves; each export is noted, so that a withdrawal can
    name it.
    """
    from accord.stores.foreign.giving import SHAPES, Wish, gift, give
    from accord.stores.people import People

    if shape not in SHAPES:
        raise PlanError("--as", shape, ", ".join(SHAPES), nearest(shape, SHAPES))
    if shape == "inspect" and (to is None or to.suffix not in (".eval", ".json")):
        raise PlanError("--to", None if to is None else str(to), "a file whose name ends in .eval or .json")
    if to is None and (json or shape == "distributions"):
        raise PlanError("--to", None, "a file" + (", as stdout holds the document" if json else ""))
    if to is not None and (to.exists() or not to.parent.is_dir()):
        raise PlanError("--to", str(to), "a file that is not there yet, in a folder that is")
    screen = Screen(json, quiet)
    zipped = to is not None and to.suffix == ".eval"
    wish = Wish(shape, conversational, late, minimum, _groups(groups), zipped)
    with People.open(_there(store)) as people, screen.working() as progress:
        made = gift(people, wish, progress)
        note = give(people, made, wish, to)
    document = _document(made, wish, to, note)
    if to is None:
        sys.stdout.buffer.write(made.data)
        sys.stdout.flush()
        sys.stderr.write("\n".join([*_told(made, wish, to), ""]))
    else:
        screen.give(document, _told(made, wish, to))
    return Exit.DONE


def import_data(  # size: a parameter is an option here
    file: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A folder only of Potato's.")],
    store: Annotated[
        str | None,
        typer.Argument(metavar="[STORE]", help="The labelling database; none with --as values."),
    ] = None,
    shape: Annotated[
        str | None,
        typer.Option("--as", metavar="values", help="Ballots, as the values document that they adopt."),
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="VALUES", help="The values that were put to the vote.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="SHARE", help="The consensus that adopts a principle."),
    ] = None,
    fold: Annotated[
        str | None,
        typer.Option("--fold", metavar="NAME", help="Put groups of under 10 people together, so named."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="A new file, for the values.")
    ] = None,
    tool: Annotated[
        str,
        typer.Option(
            "--format", metavar="TOOL", help="trl, potato, inspect, jsonl, or auto: by what it holds."
        ),
    ] = "auto",
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="Put bad rows there, and go on.")
    ] = None,
    items: Annotated[
        Path | None,
        typer.Option("--items", metavar="FILE", help="The data that was annotated, for files of Potato 2."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Bring feedback in: rows of TRL's six types, what Potato's annotators or the scorers of an Inspect log
    said, or our own lossless file.

    With --as values, ballots: a principle is adopted where the product over groups of the share that agrees
    reaches --threshold; what only some group's majority wants is listed as contested.

    All of it or nothing: the first bad row stops it with its line and field. Rows that name no annotator are
    never put down to a person. Brought in again, a file changes nothing.
    """
    from accord.stores.files import write_aside
    from accord.stores.foreign.imports.brought import reject_lines
    from accord.stores.foreign.imports.inspect_log import bounds
    from accord.stores.people import People, Voice

    election = Election(of, threshold, fold, to)
    if shape is not None:
        return import_values(
            file,
            shape,
            election,
            [*filter(None, (store, rejects, items, tool != "auto" and tool))],
            Screen(json, quiet),
        )
    if store is None:
        raise PlanError(
            "STORE", None, "the labelling database to bring it into", "or, of ballots: --as values"
        )
    if unread := [f"--{name}" for name, value in election._asdict().items() if value is not None]:
        raise PlanError(unread[0], None, "only with --as values")
    if rejects is not None and (rejects.exists() or not rejects.parent.is_dir()):
        raise PlanError("--rejects", str(rejects), "a file that is not there yet, in a folder that is")
    screen = Screen(json, quiet)
    with screen.working() as progress:
        progress.begin(f"reading {file.name}")
        kind, brought = _brought(file, tool, rejects is not None, items)
        progress.begin("keeping")
        with People.open(store) as people:
            where = people.where
            voices = [Voice(one.judgment, one.rater, one.stands, one.at) for one in brought.kept]
            done = people.ingest(brought.questions, brought.records, voices)
        if rejects is not None:
            write_aside(rejects, reject_lines(brought.rejects))
        progress.end()
    document: dict[str, JSON] = {
        "file": str(file),
        "format": kind,
        "store": where,
        "rows": brought.read,
        "rejected": len(brought.rejects),
        **done._asdict(),
        "lost": dict(brought.lost),
        **({"bounds": [one._asdict() for one in bounds(brought)]} if kind == "inspect" else {}),
    }
    screen.give(document, _kept(kind, brought, done, rejects))
    return Exit.DONE


def _there(store: str) -> str:
    """A database that exists: reading one that does not would make it."""
    path = store.removeprefix("sqlite:///")
    if "://" not in path and not Path(path).is_file():
        raise Unreadable(store, "a labelling database", "no such file")
    return store


def _groups(url: str | None) -> dict[str, dict[str, str]] | None:
    from accord.stores.identity import Identity

    if url is None:
        return None
    with Identity.open(_there(url)) as identity:
        return identity.consents.members()


def _document(made: Gift, wish: Wish, to: Path | None, note: str) -> dict[str, JSON]:
    return {
        "as": wish.shape,
        "conversational": wish.conversational,
        "to": str(to) if to else None,
        "sha256": made.digest,
        "noted": note,
        "rows": made.rows,
        "judgments": len(made.export.used),
        "late": made.late,
        "below_minimum": dict(made.few),
        "lost": dict(made.export.lost),
    }


def _told(made: Gift, wish: Wish, to: Path | None) -> list[str]:
    from accord.reports.words import counted

    form = " (conversational)" if wish.conversational else ""
    where = f" in {to}" if to else ""
    votes = counted(len(made.export.used), "judgment")
    lines = [f"{counted(made.rows, 'row')} of {wish.shape}{form}, of {votes}{where}"]
    if made.late:
        lines.append(f"left out: {counted(made.late, 'judgment')} that came late; --late takes them")
    if made.few:
        few = ", ".join(f"{rater} ({votes})" for rater, votes in made.few.items())
        lines.append(f"left out: {counted(len(made.few), 'rater')} below the minimum: {few}")
    return [*lines, "", *_losses(made.export.lost, f"what {wish.shape} cannot hold:")]


def _losses(lost: object, head: str) -> list[str]:
    rows = [{"": why, "count": count} for why, count in cast("dict[str, int]", lost).items()]
    return [head, *table(rows)] if rows else [f"{head} nothing is lost"]


def _brought(file: Path, tool: str, rejecting: bool, items: Path | None) -> tuple[str, Brought]:
    """The format, and what the file says."""
    from accord.stores.foreign.imports.inspect_log import bring_inspect
    from accord.stores.foreign.imports.potato import bring_potato
    from accord.stores.foreign.imports.trl import bring_trl
    from accord.stores.foreign.imports.whole import bring_whole

    kinds = ("trl", "potato", "inspect", "jsonl")
    kind = _kind(file) if tool == "auto" else tool
    if kind not in kinds:
        raise PlanError("--format", tool, f"auto, {', '.join(kinds)}", nearest(tool, kinds))
    if items is not None and kind != "potato":
        raise PlanError("--items", str(items), "with files of Potato", f"{file} is read as {kind}")
    if kind == "potato":
        return kind, bring_potato(file, rejecting, items)
    if kind == "inspect":
        return kind, bring_inspect(file, rejecting)
    return kind, (bring_trl if kind == "trl" else bring_whole)(file, rejecting)


def _kind(file: Path) -> str:
    """The format by what the file holds."""
    from accord.stores.foreign import inspect_files
    from accord.stores.foreign.imports.potato import is_potato
    from accord.stores.foreign.imports.whole import is_whole
    from accord.stores.foreign.tables import sifted_rows

    if file.is_dir() or is_potato(file, {}):
        return "potato"
    if inspect_files.is_log(file):
        return "inspect"
    first = next((row for _, row in sifted_rows(file)), None)
    if first is None or isinstance(first, Unreadable):
        return "trl"
    return "jsonl" if is_whole(first) else "potato" if is_potato(file, first) else "trl"


def _kept(kind: str, brought: Brought, done: Ingested, rejects: Path | None) -> list[str]:
    from accord.reports.words import counted
    from accord.stores.foreign.imports.inspect_log import bounds

    rows, judged = counted(brought.read, "row"), counted(done.judgments, "new judgment")
    lines = [f"{rows} of {kind}: {judged} of {counted(done.questions, 'question')}"]
    if done.known:
        lines.append(f"known already: {counted(done.known, 'judgment')}")
    if done.withdrawn:
        lines.append(f"left out: {counted(done.withdrawn, 'judgment')} withdrawn here")
    if rejects is not None:
        lines.append(f"rejected: {counted(len(brought.rejects), 'row')}, in {rejects}")
    if kind == "inspect":
        lines += [str(one) for one in bounds(brought)]
    return [*lines, "", *_losses(brought.lost, "what a judgment cannot hold:")]
