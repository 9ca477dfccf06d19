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
      accord bench watch --rounds 5
    """,
}


def bench(  # size: a parameter is an option here
    what: Annotated[
        str | None, typer.Argument(metavar="[watch]", help="watch: what the guard costs beside a step.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Accord alone, in about a minute.")] = False,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="MODEL", help="What to train [default: SmolLM2, else a tiny one]."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option("--seconds", metavar="S", min=0.0, help="Time for each figure, after its first step."),
    ] = 8.0,
    rounds: Annotated[
        int, typer.Option("--rounds", metavar="N", min=1, help="With watch: steps and audits in turns.")
    ] = 3,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure rollouts and one training step of each method on this machine; or what watching costs.

    Figures of a busy machine say little: the load before the start is told with them. The comparison with
    other libraries is ``make bench`` in the source tree.
    """
    from accord.bench import quick as measure

    screen = Screen(json, quiet)
    if what == "watch":
        from accord.overhead import overhead

        with screen.working() as progress:
            spent = overhead(model, rounds=rounds, progress=progress)
        screen.give(spent, _beside(spent))
        return Exit.DONE
    if what is not None:
        raise typer.BadParameter(f"{what}: watch, or --quick", param_hint="watch")
    if not quick:
        raise typer.BadParameter("name watch or --quick; the comparison with other libraries is `make bench`")
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


def _beside(found: dict[str, JSON]) -> list[str]:
    told = cast("dict[str, Any]", found)
    machine = cast("dict[str, Any]", found["environment"])
    where = f"{told['model']} · {machine['processor']} · load {machine['load'][0]}"
    return [
        f"{where} · medians of {told['rounds']}",
        f"a step of grpo, 4 questions × 8 answers of 48 tokens: {told['step']:.2f} s",
        f"between audits: {told['between'] * 1e3:.1f} ms, {told['between_share']:.2%} of a step",
        f"an audit of items that the base knows: {told['audit']:.2f} s, {told['audit_share']:.2f} steps",
        f"of items that are new to it: {told['new']:.2f} s, {told['new_share']:.2f} steps; "
        f"the first {told['first']:.2f} s",
    ]
