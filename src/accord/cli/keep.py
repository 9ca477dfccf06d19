"""``accord keep``: a model into the archive, what is known of it signed, and proof that it runs again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import run_folder
from accord.cli.runs import RUNS, Json, Quiet, Runs
from accord.cli.show import Screen, table
from accord.cli.signing import ARCHIVE, ArchiveFolder, By, Key, opened_archive, signer_of
from accord.errors import PlanError, Refused, Unreadable

if TYPE_CHECKING:
    from accord.keep.archive import Archive
    from accord.keep.entries import Held
    from accord.keep.intake import Incoming
    from accord.keep.keeping import Done, Told
    from accord.keep.revival import Drill
    from accord.origins import Places
    from accord.progress import Progress
    from accord.records import JSON, Decision

__all__ = [
    "EXAMPLES",
    "Keeping",
    "Prompts",
    "Tokens",
    "document",
    "drill_lines",
    "entries",
    "lines",
    "model",
    "standing",
    "taken",
]

EXAMPLES = {
    "keep": """
      accord keep key --by "A. Person"
      accord keep brevity-1 --by "A. Person"
      accord keep ./smollm2 --archive /srv/archive
      accord keep list
    """,
    "keep model": """
      accord keep brevity-1
      accord keep brevity-1 --stage sft --values hhh --json
      accord keep ./downloaded --name "their model"
      accord keep brevity-1 --base ./smollm2 --by "A. Person"
    """,
    "keep list": """
      accord keep list
      accord keep list --archive /srv/archive --json
    """,
}

Prompts = Annotated[int, typer.Option("--prompts", metavar="N", min=1, help="Of a new reference set.")]
Tokens = Annotated[
    int, typer.Option("--tokens", metavar="N", min=1, help="Of each answer in a new reference set.")
]


class Keeping(TyperGroup):
    """The commands behind ``accord keep``; what is none of them is a run or a folder to keep.

    A folder that is called like one is named with its path: ``accord keep ./list``.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer's Context has no public name
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["model", *args]
        return super().parse_args(ctx, args)


def model(  # size: a parameter is an option here
    source: Annotated[
        Path, typer.Argument(metavar="RUN|DIR", help="A run, or the folder of a Hugging Face model.")
    ],
    stage: Annotated[
        str, typer.Option("--stage", metavar="NAME", help="Of a run [default: its last stage].")
    ] = "",
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What an import is called in statements.")
    ] = None,
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="NAME|FILE", help="What a run aligned to [default: its gate's]."),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option("--base", metavar="DIR", help="The base, where it lies elsewhere than the run says."),
    ] = None,
    prompts: Prompts = 64,
    tokens: Tokens = 64,
    by: By = None,
    key: Key = None,
    archive: ArchiveFolder = ARCHIVE,
    runs: Runs = RUNS,
    audits: Annotated[Path, typer.Option("--audits", metavar="DIR", help="Where audits are kept.")] = Path(
        "audits"
    ),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Keep a model: archive its files, sign what is known of it, and load it again from there (the drill).

    Killed or broken off, the same command finishes it. Without PyTorch the drill is left pending; accord
    revive ENTRY --drill holds it where PyTorch is. Exit 2: refused; 3: kept, and the drill failed.
    """
    from accord.keep.keeping import Terms, keep
    from accord.origins import Places
    from accord.reviving import reference_prompts, replays

    screen = Screen(json, quiet)
    with screen.working() as progress:
        opened = opened_archive(archive, progress)
        terms = Terms(signer_of(opened, by, key), time.time, replays(), reference_prompts(prompts), tokens)
        try:
            places = Places(values, base, audits)
            incoming, told = taken(opened, (source, stage, name), runs, places, progress)
        except Unreadable as error:
            raise Refused(str(error)) from error
        _check_options(incoming, {"--stage": stage, "--values": values, "--base": base}, name)
        notes = [*incoming.notes, *told.notes, *_signature(opened, incoming)]
        done = keep(opened, incoming, told, terms, progress)
    screen.give(document(done, notes), list(lines(done, notes)))
    failed = done.held.drilled is not None and done.held.drilled.outcome.result != "revived"
    return Exit.BAD if failed else Exit.DONE


def entries(archive: ArchiveFolder = ARCHIVE, json: Json = False) -> int:
    """Every model that is kept: where it stands in its life, how its last drill went, who signed."""
    from accord.keep.entries import entry_ids
    from accord.keep.keeping import held_entry
    from accord.keep.untrusted import shown

    screen = Screen(json)
    with screen.working() as progress:
        opened = opened_archive(archive, progress)
        found = [held_entry(opened, one) for one in entry_ids(opened)]
    kept: list[JSON] = [_held(one) for one in found]
    rows = [
        {
            "model": shown(one.name),
            "state": one.state,
            "drill": standing(one),
            "signed": "demonstration" if one.chain.demonstration else "",
            "faults": len(one.chain.faults) or "",
            "entry": one.entry,
        }
        for one in found
    ]
    screen.give(kept, table(rows) or [f"{archive}: nothing is kept there yet"])
    return Exit.DONE


def standing(held: Held) -> str:
    """How its last drill went, in words."""
    drilled = held.drilled
    if drilled is None:
        return "pending"
    due = ", the next one is due" if drilled.due(time.time()) else ""
    return f"{drilled.outcome.result} {drilled.date[:10]}{due}"


def taken(
    archive: Archive,
    given: tuple[Path, str, str | None],
    runs: Path,
    places: Places,
    progress: Progress,
) -> tuple[Incoming, Told]:
    """The files, and what is known of them. A refusal of a run's result is written down in the archive."""
    from accord.engines.local.templates import render
    from accord.keep.intake import Explored, model_digest, taken_in
    from accord.origins import RunsOnDisk, Ungated, imported, last_model, told
    from accord.stores.chronicle import is_stewardship

    source, stage, name = given
    run = _run(source, runs)
    handed = None
    if run is not None and is_stewardship(run):
        from accord.steward.kept import stewarded  # it trains, which needs engines; keeping others does not

        handed = stewarded(run)
        folder, places = handed.model, places._replace(values=places.values or handed.values)
    else:
        folder = last_model(run, stage) if run else _pulled(source)
    beside = [one for one in folder.resolve().parents[:2] if (one / "run.json").is_file()]
    known = RunsOnDisk([runs, *beside])
    places = places._replace(runs=known)
    try:
        incoming = taken_in(folder, known, render, progress)
        if not incoming.made_by:
            return incoming, imported(name or folder.resolve().name, incoming, places.audits)
        made = {one.entry for one in incoming.made_by}
        whole = known.of(model_digest(incoming.manifest))
        found = next((one for one in whole if one.entry.id in made), None)
        if found is None:  # its weights are a run's, and other files of it were changed since
            weights = [one for one in incoming.manifest.files if one.name.endswith(".safetensors")]
            found = next(one for one in known.of(weights[0].sha256) if one.entry.id in made)
        said = told(found, incoming, places, progress)
        return incoming, said if handed is None else handed.beside(said)
    except (Explored, Ungated) as refused:
        _write_down(archive, refused.decision)
        raise


def _check_options(incoming: Incoming, of_runs: Mapping[str, object], name: str | None) -> None:
    """What would be read of no one is refused: an import has no known training, and a run has its name."""
    given = [(option, value) for option, value in of_runs.items() if value]
    if given and not incoming.made_by:
        raise PlanError(given[0][0], str(given[0][1]), "only of a run; nothing is known of an import")
    if name is not None and incoming.made_by:
        raise PlanError("--name", name, "only of an import; a run has its name")


def _run(source: Path, runs: Path) -> Path | None:
    """The run that is meant; None where a folder of a model is, or one that was pulled."""
    if any((source / name).is_file() for name in ("run.json", "steward.json")):
        return source
    if source.is_dir() or _pulled(source) != source:
        return None
    return run_folder(source, runs)


def _pulled(source: Path) -> Path:
    """The folder of a known model that was pulled; any other name is the folder that it says."""
    from accord.engines.pull import KNOWN, installed

    found = installed(str(source)) if str(source) in KNOWN and not source.is_dir() else None
    return found or source


def _write_down(archive: Archive, decision: Decision) -> None:
    from accord.stores.ledger import add_records

    add_records(archive.folder / "fixity" / "refused.jsonl", [decision])


def _signature(archive: Archive, incoming: Incoming) -> list[str]:
    """What a model.sig that came along is worth, and what is wrong with the folder of public keys."""
    from accord.keep.keys import public_keys
    from accord.keep.statements import check_bytes

    keys = public_keys(archive.folder / "keys")
    broken_keys = [str(one) for one in keys.faults]
    if incoming.signature is None:
        return broken_keys
    faults = check_bytes(incoming.signature, incoming.manifest, keys)
    if wrong := [one for one in faults if one.kind == "contradicted"]:
        raise Refused("\n".join([f"model.sig: {one.says}" for one in wrong]))
    said = [f"model.sig: {one.says}" for one in faults] or ["model.sig: it holds, and is of these files"]
    return [*broken_keys, *said]


def document(done: Done, notes: Sequence[str]) -> dict[str, JSON]:
    """What was kept, for machines."""
    drill = done.drill
    return {
        **_held(done.held),
        "added": list(done.added),
        "notes": list(notes),
        "copies": 1 + len(done.copies.places),
        "copies_asked": done.copies.asked,
        "copy_faults": [str(one) for one in done.faults],
        "drilled_now": None
        if drill is None
        else {
            "verdict": drill.verdict,
            "says": list(drill.says),
            "largest": drill.largest,
            "mean": drill.mean,
        },
    }


def lines(done: Done, notes: Sequence[str]) -> Iterator[str]:
    """The same for a terminal."""
    from accord.keep.statements import DEMONSTRATION
    from accord.keep.untrusted import shown
    from accord.reports.words import counted

    held, width = done.held, terminal()
    size = f"{counted(len(held.model.files), 'file')}, {held.model.size:,} bytes"
    yield f"kept: {shown(held.name)}, {size}"
    yield f"  {held.entry}"
    yield f"  version {held.home.version} of {held.home.family}"
    if held.chain.demonstration:
        yield f"DEMONSTRATION: {DEMONSTRATION}"
    for note in notes:
        yield from broken(shown(note), width)
    added = f"{counted(len(done.added), 'statement')} added" if done.added else "nothing added: it was kept"
    yield f"signed: {counted(len(held.chain.statements), 'statement')}, {added}"
    yield from drill_lines(held, done.drill)
    yield f"{1 + len(done.copies.places)} of {done.copies.asked} copies"
    yield from (f"  {shown(str(one))}" for one in done.faults)


def drill_lines(held: Held, drill: Drill | None) -> Iterator[str]:
    """How the drill went; and while it is pending, the command that holds it."""
    from accord.keep.untrusted import shown

    if drill is not None:
        yield from broken(shown(f"drill: {drill.verdict}; {'; '.join(drill.says)}"), terminal())
    elif held.drilled is None:
        yield "kept, drill pending: nothing here can load a model; where PyTorch is:"
        yield f"  pip install 'accord[train]' && accord revive {held.entry} --drill"
    else:
        yield f"drill: {standing(held)}"


def _held(held: Held) -> dict[str, JSON]:
    drilled = held.drilled
    return {
        "entry": held.entry,
        "name": held.name,
        "family": held.home.family,
        "version": held.home.version,
        "model": f"sha256:{held.model.oms_root}",
        "state": held.state,
        "drill": drilled.outcome.result if drilled else "pending",
        "drilled": drilled.date if drilled else None,
        "demonstration": held.chain.demonstration,
        "statements": [one.says for one in held.chain.statements],
        "faults": [str(one) for one in held.chain.faults],
    }
