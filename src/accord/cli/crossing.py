"""``accord crossing``: between which updates of a run an indicator passed its tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import look_here, run_folder
from accord.cli.runs import RUNS, Json, Quiet, Runs
from accord.cli.show import Screen

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.reports.document import Crossed, Transcript

__all__ = ["EXAMPLES", "crossing"]

EXAMPLES = {
    "crossing": """
      accord crossing brevity-1
      accord crossing runs/brevity-1 --indicator sycophancy.flips
      accord crossing brevity-1 --repeat 400 --json > crossings.json
    """,
}


def crossing(  # size: a parameter is an option here
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    indicator: Annotated[
        str,
        typer.Option(
            "--indicator", metavar="NAME", help="An indicator or one criterion [default: those paged]."
        ),
    ] = "",
    repeat: Annotated[
        int,
        typer.Option(
            "--repeat", metavar="N", min=0, help="Updates of training that may be repeated inside a gap."
        ),
    ] = 100,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the updates between which training pushed an indicator over its tolerance.

    Policies that the run kept are asked fresh items of the guard's panels; what was found is written into the
    run and its report. Broken off, it goes on where it stopped, and asks nothing twice. Exit 4: it cannot be
    checked, as where no policies were kept.
    """
    from accord.crossing import find_crossings
    from accord.reports import gather
    from accord.reports.document import plain

    look_here()
    folder = run_folder(which, runs)
    screen = Screen(json, quiet)
    with screen.working() as progress:
        found = find_crossings(folder, indicator, repeat=repeat, progress=progress)
    asked = {one.id for one in found.crossings}
    stages = gather(folder).stages
    told = [(stage.name, one) for stage in stages for one in stage.crossings if one.record in asked]
    rows: list[JSON] = [{"stage": name, "crossing": plain(one)} for name, one in told]
    document: JSON = {"run": folder.name, "crossings": rows, "unchecked": list(found.unchecked)}
    lines = [line for name, one in told for line in _lines(name, one, terminal())]
    screen.give(document, [*lines, *_unchecked(found.unchecked, terminal())])
    return Exit.UNCHECKED if found.unchecked else Exit.DONE


def _lines(stage: str, one: Crossed, width: int) -> Iterator[str]:
    from accord.reports.words import visible

    yield from broken(f"{stage}: {one.says}", width)
    for figure in one.beside:
        yield from broken(figure, width, "  beside it  ")
    for pair in one.shown:
        yield ""
        told = (("asked", pair.prompt), *((f"update {at}", said) for at, said in _both(one, pair)))
        for head, text in told:
            yield from broken(visible(text), width, f"  {head:14} ")
    yield ""


def _both(one: Crossed, pair: Transcript) -> Iterator[tuple[int | None, str]]:
    for at, said in ((one.below, pair.before), (one.above, pair.after)):
        yield at, said.text if said and said.text else "(an empty answer)"


def _unchecked(reasons: Sequence[str], width: int) -> list[str]:
    return [line for reason in reasons for line in broken(f"not checked: {reason}", width)]
