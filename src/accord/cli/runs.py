"""``accord run``, ``resume`` and ``demo``: whatever ends in an Outcome."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accord.cli.codes import Exit
from accord.cli.place import Place, run_folder
from accord.cli.show import Screen

if TYPE_CHECKING:
    from accord.pipeline import Outcome
    from accord.records import JSON

__all__ = ["EXAMPLES", "demo", "resume", "run"]

EXAMPLES = {
    "run": """
      accord run brevity.toml
      accord run brevity.toml --set stage.amplify.windows=2 --set seed=1
      accord run brevity.toml --name first --store none --json > outcome.json
    """,
    "resume": """
      accord resume runs/brevity-1
      accord resume brevity-1 --accept 3f9c1a --by "A. Person" --reason "the probes are too easy"
      accord resume brevity-1 --allow-drift
    """,
    "demo": """
      accord demo
      accord demo --fresh --runs /tmp/runs
      accord demo --json > outcome.json
    """,
}

Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where runs are kept.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress stays on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]
RUNS = Path("runs")


def run(  # size: a parameter is an option here
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="What to do: stages, in TOML.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be given several times."),
    ] = None,
    runs: Runs = RUNS,
    name: Annotated[str | None, typer.Option("--name", metavar="ID", help="What to call the run.")] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Index of runs [default: accord.db in --runs]; or none."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Do what a plan says: train, watch, report. Exit 5 means paused, 6 halted, both with their evidence."""
    from accord.pipeline import run as run_plan
    from accord.plan import read_plan

    if plan.suffix != ".toml":
        raise typer.BadParameter(f"{plan} does not end in .toml", param_hint="PLAN.toml")
    _see_own_parts()
    tree = read_plan(plan).set(settings or [])
    screen = Screen(json, quiet)
    cast(Place, context.obj).begins_in(runs, name)
    with screen.working() as progress:
        outcome = run_plan(tree, runs=runs, name=name, progress=progress, store=store, beside=plan.parent)
    return _told(outcome, screen)


def resume(  # size: a parameter is an option here
    context: typer.Context,
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    accept: Annotated[
        str, typer.Option("--accept", metavar="DECISION", help="The pause you take responsibility for.")
    ] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who accepts it.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Go on though machine or versions differ from before.")
    ] = False,
    runs: Runs = RUNS,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a run that was interrupted, killed or paused. Nothing that was finished is done again."""
    from accord.pipeline import resume as resume_run

    given = {"--accept": accept.strip(), "--by": by.strip(), "--reason": reason.strip()}
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(option for option, value in given.items() if not value)
        raise typer.BadParameter(f"a pause is accepted by a person, for a reason: {missing} is missing")
    _see_own_parts()
    folder = run_folder(which, runs)
    screen = Screen(json, quiet)
    cast(Place, context.obj).begins_in(folder.parent, folder.name)
    with screen.working() as progress:
        outcome = resume_run(
            folder,
            progress=progress,
            accept=given["--accept"] or None,
            by=given["--by"],
            reason=given["--reason"],
            allow_drift=allow_drift,
        )
    return _told(outcome, screen)


def demo(
    context: typer.Context,
    runs: Runs = RUNS,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Train a small model and write its report.

    SmolLM2-135M learns to answer briefly from those of its own answers that a program approves.
    """
    from accord.demo import demo as run_demo

    screen = Screen(json, quiet)
    cast(Place, context.obj).begins_in(runs)
    with screen.working() as progress:
        outcome = run_demo(runs=runs, fresh=fresh, progress=progress)
    return _told(outcome, screen)


def _see_own_parts() -> None:
    """A plan may name ``module:Class`` from the folder one stands in; what is installed comes first."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def _told(outcome: Outcome, screen: Screen) -> int:
    decision = outcome.decision
    document: dict[str, JSON] = {
        "run": outcome.run,
        "folder": str(outcome.folder),
        "action": outcome.action,
        "headline": outcome.headline,
        "stages": outcome.stages,
        "decision": {"kind": decision.kind, "id": decision.id, **decision.body()} if decision else None,
        "report": str(outcome.report) if outcome.report else None,
    }
    lines = [outcome.headline]
    if decision and outcome.action != "done":
        lines += [f"{outcome.action} at step {decision.step}, by the rule {decision.rule}: {decision.reason}"]
    if outcome.report:
        lines += [f"report: {outcome.report}"]
    if decision and outcome.action == "pause":
        lines += ["a pause ends only when a person takes responsibility for going on:"]
        lines += [f"  accord resume {outcome.folder} --accept {decision.id} --by NAME --reason TEXT"]
    elif outcome.action == "halt":
        lines += ["a halt is final for this run; change the plan and run it anew"]
    screen.give(document, lines)
    return {"done": Exit.DONE, "pause": Exit.PAUSED, "halt": Exit.HALTED}[outcome.action]
