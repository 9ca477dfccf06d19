"""What ``accord keep`` takes in: a run's ``model/`` folder, or any folder of a Hugging Face model.

Files are sifted and read (``sifting.py``), then hashed, then looked up: the result of an ``explore`` run is
refused even where only its files are left. Weights that no known run made are imported, and their training
is unknown. Weights that were changed, by a single bit even, are no longer those of a run: nothing here can
tell them from any other import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from accord.errors import Refused
from accord.keep.manifest import Manifest, hashed
from accord.keep.sifting import check_files, readable, sifted
from accord.keep.spoken import Renders, Template, chat_templates
from accord.progress import Progress, Silent
from accord.records import Decision, digest

__all__ = ["UNKNOWN", "Explored", "Incoming", "Known", "Runs", "manifest_of", "model_digest", "taken_in"]

UNKNOWN = "training unknown"
_SILENT = Silent()


class Known(NamedTuple):
    """A run that made a model: its Entry, what a kept model would need of it that is not there, and the
    SHA-256 of each file of weights in its result."""

    run: str
    stage: str
    step: int
    entry: str
    purpose: Literal["explore", "model"]
    gated: bool
    lacks: tuple[str, ...] = ()
    pushes: bool = True
    weights: frozenset[str] = frozenset()


class Runs(Protocol):
    """Who made it: the runs whose result has this digest (``ModelRef.digest``), or holds a file that has it
    (``ModelRef.files``); none where no known run did."""

    def __call__(self, digest: str, /) -> Sequence[Known]: ...


class Explored(Refused):
    """What was to be kept is the result of an ``explore`` run. ``decision`` records that it was refused."""

    def __init__(self, folder: Path, model: str, run: Known) -> None:
        self.run = run
        needs = [f"    {one}" for one in run.lacks]
        lines = [
            f"{folder}: these are the weights of {run.run}, stage {run.stage}, a run that explored: "
            "its result is not a model to keep",
            *(["  a kept model would need:", *needs] if needs else []),
            '  give its plan purpose = "model", see what the evidence gate misses, and run it again:',
            "    accord gate PLAN.toml --values NAME",
        ]
        super().__init__("\n".join(lines))
        reason = f"refused: the result of an explore run, as model {model}"
        lacking = f"; it lacks {'; '.join(run.lacks)}" if run.lacks else ""
        self.decision = Decision(
            run=run.run,
            step=run.step,
            action="halt",
            rule="keep",
            reason=reason + lacking,
            parents=(run.entry,),
        )


class Incoming(NamedTuple):
    """A model that may be kept. ``files`` are in the order of ``manifest``; an import was ``made_by`` nobody.

    ``notes``: what a person should know. ``signature``: a ``model.sig`` that came along, still to be checked
    against ``manifest``; it is none of the files.
    """

    files: tuple[Path, ...]
    manifest: Manifest
    made_by: tuple[Known, ...]
    templates: tuple[Template, ...]
    notes: tuple[str, ...]
    signature: bytes | None

    @property
    def named(self) -> Mapping[str, Path]:
        """The files by their names, as an archive takes them."""
        return {one.name: file for one, file in zip(self.manifest.files, self.files, strict=True)}

    @property
    def training(self) -> str:
        """What every statement says of how it was trained."""
        if not self.made_by:
            return f"imported, {UNKNOWN}"
        return ", ".join(f"{one.run}/{one.stage}" for one in self.made_by)


def taken_in(folder: Path, runs: Runs, renders: Renders, progress: Progress = _SILENT) -> Incoming:
    """The model in ``folder``, of which nothing has run but its templates, where ``renders`` runs them.

    Unreadable: a file that may not be kept, why, and what to do. Refused (``Explored``): the result of an
    explore run, under whatever path.
    """
    folder = folder.resolve()
    found = sifted(folder)
    progress.begin(f"read {folder.name}", float(len(found.files)))
    check_files(found.files, progress)
    progress.end()
    manifest = _manifest(folder, found.files, progress)
    made, shared = _made_by(manifest, runs)
    kept = tuple(one for one in made if one.purpose == "model")
    if made and not kept:
        raise Explored(folder, model_digest(manifest), made[0])
    templates = chat_templates(found.files, renders)
    notes = [*_left(found.left), *_told(found.files, templates), *shared]
    if not made:
        notes.insert(0, f"imported, {UNKNOWN}: no known run made these weights")
    elif not any(one.gated or not one.pushes for one in kept):
        notes.insert(0, f"UNGATED: no evidence gate was passed before {kept[0].run}/{kept[0].stage}")
    files = tuple(found.files[one.name] for one in manifest.files)
    return Incoming(files, manifest, kept, templates, tuple(notes), found.signature)


def manifest_of(folder: Path, progress: Progress = _SILENT) -> Manifest:
    """The manifest under which the model in ``folder`` is kept. Unreadable for a file that cannot be."""
    folder = folder.resolve()
    return _manifest(folder, sifted(folder).files, progress)


def model_digest(manifest: Manifest) -> str:
    """The digest that ``ModelRef`` carries: of names and SHA-256 digests."""
    return digest({one.name: one.sha256 for one in manifest.files})


def _manifest(folder: Path, files: Mapping[str, Path], progress: Progress) -> Manifest:
    # That of the folder would also have what was left out: a clone holds its weights once more under .git.
    with readable(folder):
        return hashed(folder.name, files, progress)


def _made_by(manifest: Manifest, runs: Runs) -> tuple[tuple[Known, ...], list[str]]:
    """The runs that made all of the weights; and a line for each that made only some of them.

    A shard that training left as it was belongs to every run on one base, so one of them alone tells nothing.
    All that an explore run made is its result whatever lies beside it: a file more makes it no import.
    """
    weights = [one for one in manifest.files if one.name.endswith(".safetensors")]
    held = {one.sha256 for one in weights}
    of_each = {one.name: {known.entry: known for known in runs(one.sha256)} for one in weights}
    known = {entry: one for found in of_each.values() for entry, one in sorted(found.items())}
    made = {entry: one for entry, one in known.items() if all(entry in found for found in of_each.values())}
    explored = [one for one in known.values() if one.purpose == "explore" and one.weights]
    made |= {one.entry: one for one in explored if one.weights <= held}
    made |= {one.entry: one for one in runs(model_digest(manifest))}
    notes = [
        f"{', '.join(name for name, found in of_each.items() if entry in found)}: also in the result of "
        f"{one.run}/{one.stage}, a run whose purpose is {one.purpose}"
        for entry, one in sorted(known.items())
        if entry not in made
    ]
    return tuple(made.values()), notes


def _left(names: Iterable[str]) -> list[str]:
    return [f"left out: {', '.join(names)}, no part of a model"] if names else []


def _told(files: Mapping[str, Path], templates: Sequence[Template]) -> list[str]:
    code = [name for name in files if name.lower().endswith(".py")]
    notes = [f"{', '.join(code)}: kept as text, never run"] if code else []
    return notes + [
        f"{one.file}: the chat template {one.name} wrote nothing for a plain conversation: {one.fault}"
        for one in templates
        if one.fault
    ]
