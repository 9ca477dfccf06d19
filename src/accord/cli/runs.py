"""``accord run`` and ``resume``: whatever ends in an Outcome, or in a stewardship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, cast

import typer

from accord.cli.begin import (
    Epochs,
    Held,
    Model,
    Named,
    RewardModels,
    Rewards,
    Settings,
    Steps,
    Windows,
    first_screen,
    where,
)
from accord.cli.codes import Exit
from accord.cli.place import Place, look_here, run_folder, written_plan
from accord.cli.show import Screen
from accord.cli.stewarding import Asked, begin, go, propose
from accord.cli.stewarding import resume as go_on
from accord.errors import nearest

if TYPE_CHECKING:
    from accord.pipeline import Outcome
    from accord.plan import Plan
    from accord.recipes import Wish
    from accord.records import JSON

__all__ = ["EXAMPLES", "resume", "run"]

EXAMPLES = {
    "run": """
      accord run brevity.toml
      accord run brevity.toml --set stage.amplify.windows=2 --set seed=1
      accord run brevity.toml --name first --store none --json > outcome.json
      accord run sft answers.jsonl --model ./model
      accord run dpo pairs.jsonl --model ./model --epochs 2 --set method.beta=0.2
      accord run grpo questions.jsonl --model ./model --reward my.py:right --reward my.py:short=0.2 --steps 50
      accord run ppo questions.parquet --model ./model --reward-model runs/reward-1/reward_model/model
      accord run --model ./model --values hhh
      accord run --model ./model --values mine.toml --effort quick --set learner.lr=5e-5 --name first
      accord run --from-halt runs/grpo-questions-1
    """,
    "resume": """
      accord resume runs/brevity-1
      accord resume brevity-1 --accept 3f9c1a --by "A. Person" --reason "the probes are too easy"
      accord resume brevity-1 --allow-drift
      accord resume hhh-1
    """,
}

Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where runs are kept.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; progress stays on stderr.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]
Track = Annotated[
    list[str] | None,
    typer.Option("--track", metavar="NAME", help="tensorboard, wandb, mlflow or trackio; may be repeated."),
]
RUNS = Path("runs")


def run(  # size: a parameter is an option here
    context: typer.Context,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="PLAN.toml|METHOD",
            help="A plan; or a method, with data and a model; or neither, with values.",
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Argument(metavar="FILE", help="With a method: JSON lines (.gz), JSON or Parquet.")
    ] = None,
    model: Model = None,
    rewards: Rewards = None,
    reward_models: RewardModels = None,
    held_out: Held = None,
    steps: Steps = None,
    windows: Windows = None,
    epochs: Epochs = None,
    settings: Settings = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The run's folder: --runs and --name at once.")
    ] = None,
    runs: Runs = RUNS,
    name: Named = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Index of runs [default: accord.db in --runs]; or none."),
    ] = None,
    track: Track = None,
    gates: Annotated[
        Path, typer.Option("--gates", metavar="DIR", help="Where accord gate keeps what it decides.")
    ] = Path("gates"),
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="NAME|FILE", help="Without a method: what to align to."),
    ] = None,
    effort: Annotated[
        str | None,
        typer.Option("--effort", metavar="SIZE", help="Without a method: quick or full [default: full]."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            "--judge",
            metavar="MODEL",
            help="Without a method: who criticises and revises [default: --model].",
        ),
    ] = None,
    from_halt: Annotated[
        Path | None,
        typer.Option("--from-halt", metavar="RUN", help="Say what presses less than a halted run did."),
    ] = None,
    ranks: Annotated[
        int, typer.Option("--ranks", metavar="N", min=1, help="Processes that share the rows of every stage.")
    ] = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Do what a plan says; or train by a method; or, with values, do the least that reaches them.

    Without PLAN.toml or METHOD four questions are answered in order: what has the model already learned,
    which aims does that support, how is the rest settled with the least override, what would permit a harder
    push. Nothing is pushed: what stays below its target is told, with what a push would take. The same
    command with --name goes on where it stopped; --set then changes effort, learner, guard, unrelated,
    judges and seed.

    accord methods lists the METHODs. Settings are chosen, shown with their reasons, and written as the run's
    plan.toml, from which accord run repeats it; --set changes them, as in --set learner.lr=1e-5. A PLAN.toml
    that is no file may be the name of one that ships with Accord, as dpo.toml. Exit 5 means paused, 6 halted,
    both with their evidence.
    """
    from accord.pipeline import run as run_plan

    look_here()
    screen = Screen(json, quiet)
    runs, name = where(runs, name, out)
    if from_halt is not None:
        return propose(run_folder(from_halt, runs), values, screen)
    alone = {"--values": values, "--effort": effort, "--judge": judge}
    length = {"--steps": steps, "--windows": windows, "--epochs": epochs}
    given: dict[str, object] = {"FILE": data, "--model": model, "--reward": rewards}
    given |= {"--reward-model": reward_models, "--eval": held_out, **length}
    if what is None:
        walk = begin(model, values, runs, name, _asked(given, effort, judge, settings, store))
        cast(Place, context.obj).begins_in(runs, walk.chronicle.name)
        return go(walk, screen)
    if odd := [option for option, value in alone.items() if value is not None]:
        raise typer.BadParameter(f"{odd[0]} goes without a plan and without a method")
    file = Path(what) if Path(what).suffix == ".toml" else None
    if file is not None:
        if odd := [option for option, value in given.items() if value not in (None, [])]:
            raise typer.BadParameter(f"{odd[0]} goes with a method; a plan is changed by --set")
        tree, lines = written_plan(file)
        tree, beside = tree.set(settings or []), file.parent
    else:
        from accord.recipes import Length, Wish

        wish = Wish(what, data or "", model or "", tuple(rewards or ()), tuple(reward_models or ()), held_out)
        wish = wish._replace(length=Length(steps, windows, epochs), settings=tuple(settings or ()))
        tree, lines = _made(wish, [option for option, value in length.items() if value is not None])
        beside = Path()
    tree = _shared(tree, ranks) if ranks > 1 else tree
    cast(Place, context.obj).begins_in(runs, name)
    with screen.working() as progress:
        for line in lines:
            progress.say(line)
        outcome = run_plan(
            tree,
            runs=runs,
            name=name,
            progress=progress,
            store=store,
            beside=beside,
            track=track or (),
            gates=gates,
        )
    return _told(outcome, screen, repeat=file is None)


def _asked(
    given: Mapping[str, object],
    effort: str | None,
    judge: str | None,
    settings: list[str] | None,
    store: str | None,
) -> Asked:
    """What a stewardship is asked; usage error for what only a method takes."""
    if odd := [option for option, value in given.items() if option != "--model" and value not in (None, [])]:
        raise typer.BadParameter(f"{odd[0]} goes with a method: accord run METHOD FILE --model MODEL")
    return Asked(effort or "full", judge, tuple(settings or ()), store)


def _shared(plan: Plan, processes: int) -> Plan:
    """The plan with the learner of every stage in so many processes."""
    from accord.plan import Plan

    table = plan.table()
    for stage in cast("list[dict[str, JSON]]", table["stage"]):
        own = cast("dict[str, JSON]", stage["learner"])
        if own["name"] != "local":
            raise typer.BadParameter(f"--ranks shares the learner local; this plan names {own['name']}")
        local = {key: value for key, value in own.items() if key != "name"}
        stage["learner"] = {"name": "ranks", "processes": processes, "local": local}
    return Plan.model_validate(table)


def _made(wish: Wish, lengths: list[str]) -> tuple[Plan, list[str]]:
    """The plan for a wish, and the first screen."""
    from accord.recipes import RECIPES, recipe

    if wish.method not in RECIPES:
        hint = nearest(wish.method, RECIPES)
        known = f"it does not end in .toml and is no method: {', '.join(RECIPES)}"
        raise typer.BadParameter(f"{wish.method}: {known}. {hint}".strip(), param_hint="PLAN.toml|METHOD")
    for option, value in (("FILE", wish.data), ("--model", wish.model)):
        if not value:
            raise typer.BadParameter(
                f"{option} is missing: accord run {wish.method} FILE --model MODEL", param_hint=option
            )
    if len(lengths) > 1:
        raise typer.BadParameter(f"{' and '.join(lengths)} say the same thing differently; give one")
    made = recipe(wish)
    return made.plan, first_screen(made)


def resume(  # size: a parameter is an option here
    context: typer.Context,
    which: Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder, or its name in --runs.")],
    accept: Annotated[
        str, typer.Option("--accept", metavar="DECISION", help="The pause you take responsibility for.")
    ] = "",
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who accepts it.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Go on though machine, versions or what people said differ.")
    ] = False,
    runs: Runs = RUNS,
    track: Track = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Go on with a run that was interrupted, killed or paused. Nothing that was finished is done again."""
    from accord.pipeline import resume as resume_run
    from accord.stores.chronicle import is_stewardship

    given = {"--accept": accept.strip(), "--by": by.strip(), "--reason": reason.strip()}
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(option for option, value in given.items() if not value)
        raise typer.BadParameter(f"a pause is accepted by a person, for a reason: {missing} is missing")
    look_here()
    folder = run_folder(which, runs)
    screen = Screen(json, quiet)
    cast(Place, context.obj).begins_in(folder.parent, folder.name)
    if is_stewardship(folder):
        if given["--accept"]:
            waits = "what was paused is a run inside it: accord resume RUN, said where it stopped"
            raise typer.BadParameter(waits, param_hint="--accept")
        return go_on(folder, screen)
    with screen.working() as progress:
        outcome = resume_run(
            folder,
            progress=progress,
            accept=given["--accept"] or None,
            by=given["--by"],
            reason=given["--reason"],
            allow_drift=allow_drift,
            track=track or (),
        )
    return _told(outcome, screen)


def _told(outcome: Outcome, screen: Screen, repeat: bool = False) -> int:
    decision = outcome.decision
    again = f"accord run {quote(str(outcome.folder / 'plan.toml'))}"
    document: dict[str, JSON] = {
        "run": outcome.run,
        "folder": str(outcome.folder),
        "action": outcome.action,
        "headline": outcome.headline,
        "stages": outcome.stages,
        "decision": {"kind": decision.kind, "id": decision.id, **decision.body()} if decision else None,
        "report": str(outcome.report) if outcome.report else None,
        "repeat": again,
    }
    lines = [outcome.headline]
    if decision and outcome.action != "done":
        lines += [f"{outcome.action} at step {decision.step}, by the rule {decision.rule}: {decision.reason}"]
    if outcome.report:
        lines += [f"report: {outcome.report}"]
    if repeat:
        lines += [f"repeat: {again}"]
    if decision and outcome.action == "pause":
        lines += ["a pause ends only when a person takes responsibility for going on:"]
        lines += [f"  accord resume {outcome.folder} --accept {decision.id} --by NAME --reason TEXT"]
    elif outcome.action == "halt":
        lines += ["a halt is final for this run; change the plan and run it anew"]
    screen.give(document, lines)
    return {"done": Exit.DONE, "pause": Exit.PAUSED, "halt": Exit.HALTED}[outcome.action]
