"""``accord bench``: how fast this machine trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from accord.cli.codes import Exit
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.records import JSON

__all__ = ["EXAMPLES", "bench"]

EXAMPLES = {
    "bench": """
      accord bench --quick
      accord bench --quick --model ./model --json > bench.json
    """,
}


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Accord alone, in about a minute.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="What to train [default: SmolLM2, else a tiny one]."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.0, help="Time for each figure, after its first step."),
    ] = 8.0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure rollouts and one training step of each method on this machine.

    Figures of a busy machine say little: the load before the start is told with them. The comparison with
    other libraries is ``make bench`` in the source tree.
    """
    from accord.bench import quick as measure

    if not quick:
        raise typer.BadParameter("name --quick; the comparison with other libraries is `make bench`")
    screen = Screen(json, quiet)
    with screen.working() as progress:
        found = measure(model, seconds=seconds, progress=progress)
    screen.give(found, _told(found))
    return Exit.DONE


def _told(found: dict[str, JSON]) -> list[str]:
    figures = cast("list[dict[str, Any]]", found["figures"])
    machine = cast("dict[str, Any]", found["environment"])
    rows = [
        {
            "case": figure["case"],
            "s/step": f"{figure['seconds']:.3g} ± {figure['spread']:.2g}",
            "steps": figure["steps"],
            "tokens/s": f"{figure['tokens_per_second']:,.0f}",
        }
        for figure in figures
    ]
    threads, load = machine["threads"], machine["load"][0]
    where = f"{found['model']} · {machine['processor']} · {threads} threads · load {load}"
    return [where, *table(rows)]
