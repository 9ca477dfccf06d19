"""``accord report``: reading what a run is, and how two of them differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import run_folder
from accord.cli.runs import RUNS, Json, Runs
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.reports import RunReport
    from accord.reports.stewarded import Stewardship

    Report = RunReport | Stewardship

__all__ = ["EXAMPLES", "report"]

EXAMPLES = {
    "report": """
      accord report brevity-1 --open
      accord report runs/brevity-1 --out brevity.html
      accord report brevity-1 --json > figures.json
      accord report brevity-1 brevity-2
      accord report brevity-1 brevity-2 --out both.html
    """,
}


def report(
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="Another run: what differs between the two.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it [default: in the run].")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    runs: Runs = RUNS,
    json: Json = False,
) -> int:
    """Write the report of a run as one HTML file; of two runs, say how they differ.

    It needs no other file and no network; an unfinished run has one too. Two runs are printed; with --out or
    --open there is a page of it too.
    """
    folder = run_folder(which, runs)
    screen = Screen(json)
    if other is not None:
        return _compared(folder, run_folder(other, runs), out, show, screen)
    gather, write = _reporting(folder)
    if json and not out and not show:
        screen.give(gather(folder).json(), [])
        return Exit.DONE
    written = write(folder, out)
    screen.give(gather(folder).json() if json else None, [str(written)])
    if show:
        _open(written)
    return Exit.DONE


def _reporting(folder: Path) -> tuple[Callable[[Path], Report], Callable[[Path, Path | None], Path]]:
    """How the report of this kind of folder is gathered and written."""
    from accord.stores.chronicle import is_stewardship

    if is_stewardship(folder):
        from accord.cli.stewarding import written
        from accord.reports.stewardship import gather_stewardship

        return gather_stewardship, written
    from accord.reports import gather, write_report

    return gather, write_report


def _compared(one: Path, two: Path, out: Path | None, show: bool, screen: Screen) -> int:
    from accord.errors import Refused
    from accord.reports.beside import beside, write_beside
    from accord.stores.chronicle import is_stewardship

    for folder in (one, two):
        if is_stewardship(folder):
            raise Refused(f"{folder} is a stewardship\n  two runs inside it can be compared: {folder}/RUN")
    found = beside(one, two)
    width = terminal()
    lines = [line for text in found.says for line in broken(text, width)]
    for title, rows in found.tables:
        lines += ["", title, *(table(rows) or ["  none"])]
    if out is not None or show:
        page = write_beside(found, out or Path(found.page))
        lines += ["", f"page: {page}"]
        if show:
            _open(page)
    screen.give(found.json(), lines)
    return Exit.DONE


def _open(page: Path) -> None:
    import webbrowser

    webbrowser.open(page.absolute().as_uri())
