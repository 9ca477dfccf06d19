"""``accord study``: experiments named after their questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.studies.findings import Findings

__all__ = ["EXAMPLES", "study"]

EXAMPLES = {
    "study": """
      accord study list
      accord study without-rlhf --quick
      accord study without-rlhf --seeds 5
      accord study without-rlhf --arms compatible,grpo --json > study.json
      accord study without-rlhf --model smollm2-135m-instruct --seeds 2 --arms compatible
      accord study sandwiching --protocol mypkg:Mine
    """,
}
_LIST = "list"


def study(  # size: a parameter is an option here
    name: Annotated[str, typer.Argument(metavar="NAME", help="A study; or list, for all of them.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed, few arms, little training; no verdict.")
    ] = False,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", min=1, help="Seeds 0 to N-1 [default: what the bar asks]."),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option("--arms", metavar="A,B", help="Do only these; the table is of all that are done."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="On this model instead of the study's own bases."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", metavar="M:C", help="Of this overseer, module:Class (sandwiching)."),
    ] = None,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Seeds at a time, each in a process of its own.")
    ] = 1,
    runs: Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where the runs of arms lie.")] = Path(
        "runs"
    ),
    require: Annotated[
        str | None,
        typer.Option("--require", metavar="met", help="Exit 3 for any other outcome."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a study, or go on with it: each arm under each seed is a run of its own, done once.

    Bar, seeds and settings are in a file that ships; its hash names the folder, so a changed bar begins anew.
    The table is printed as it comes out, with every seed; findings.json and findings.svg lie beside the runs.
    """
    screen = Screen(json, quiet)
    if require not in (None, "met"):
        raise typer.BadParameter(f"{require}: met is all that can be required", param_hint="--require")
    if require and quick:
        raise typer.BadParameter("--quick has no verdict, so nothing can be required of it")
    from accord.cli.place import look_here
    from accord.studies import carry_out, studies

    look_here()

    if name == _LIST:
        known = studies()
        screen.give(dict(known), _listed(known))
        return Exit.DONE
    with screen.working() as progress:
        found = carry_out(
            name,
            runs=runs,
            seeds=seeds,
            arms=None if arms is None else [one.strip() for one in arms.split(",")],
            model=model,
            protocol=protocol,
            quick=quick,
            jobs=jobs,
            progress=progress,
        )
        drawing = _drawn(found)
    width = terminal()
    lines = [*found.lines(table, lambda text, head: broken(text, width, head)), f"the chart: {drawing}"]
    screen.give({**found.json(), "folder": str(found.folder), "chart": str(drawing)}, lines)
    outcome = None if found.ruling is None else found.ruling.outcome
    if outcome == "void":
        return Exit.UNCHECKED
    return Exit.BAD if require and outcome != require else Exit.DONE


def _listed(known: dict[str, str]) -> list[str]:
    return table([{"study": name, "question": question} for name, question in known.items()])


def _drawn(found: Findings) -> Path:
    """The chart of the study's figure beside the findings: every seed a point."""
    from accord.reports.points import Arm, points
    from accord.stores.files import write_aside

    figure = found.drawn
    arms: list[Arm] = []
    for arm, told in found.arms.items():
        one = told.get(figure)
        if one is None:
            states = dict.fromkeys(cell.state for cell in found.cells if cell.arm == arm)
            why = ", ".join(f"{figure}: not read here" if state == "measured" else state for state in states)
            arms.append(Arm(arm, None, None, None, (), why))
        else:
            ends = (one.low, one.high) if one.of == "95 %" else (None, None)
            arms.append(Arm(arm, one.value, *ends, tuple(found.points[arm][figure].values())))
    file = found.folder / "findings.svg"
    write_aside(file, points(found.question, f"{figure}, mean and 95 % interval; dots are seeds", arms))
    return file
