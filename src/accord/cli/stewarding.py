"""``accord run`` without a method, its resume, and what a halted run proposes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.steward.effort import Effort
    from accord.steward.path import Stewarded, Walk
    from accord.steward.variants import Terms

__all__ = ["Asked", "begin", "ending", "exit_of", "go", "propose", "resume", "walked", "written"]


class Asked(NamedTuple):
    """What a person gave beside model and values."""

    effort: str = "full"
    judge: str | None = None
    settings: Sequence[str] = ()
    store: str | None = None
    portraits: Path = Path("portraits")


def begin(model: str | None, values: str | None, runs: Path, name: str | None, asked: Asked) -> Walk:
    """A stewardship that is new, or of this name. Usage error where model or values are missing."""
    if not model or not values:
        missing = "--values" if model else "--model"
        ways = "accord run PLAN.toml, accord run METHOD FILE --model M, or accord run --model M --values V"
        raise typer.BadParameter(f"{missing} is missing: {ways}", param_hint=missing)
    from accord.steward.path import Walk, checked
    from accord.values import read_values

    read = read_values(values)
    effort, terms = _settled(asked)
    checked(model, None)
    return Walk.begin(
        model,
        read,
        runs=runs,
        name=name or _free(runs, read.name),
        effort=effort,
        terms=terms,
        portraits=asked.portraits,
        judge=asked.judge,
    )


def go(walk: Walk, screen: Screen) -> int:
    """Answer the four questions in order, each told as soon as it is answered; then the report."""
    found, report = walked(walk, screen)
    screen.give({**found.json(), "report": str(report)}, ["", *ending(found, report)])
    return exit_of(found)


def walked(walk: Walk, screen: Screen) -> tuple[Stewarded, Path]:
    """The same, and its report; how it ended is for the caller to tell."""
    from accord.steward.answers import Faces
    from accord.stores.chronicle import QUESTIONS

    width = terminal()

    def wrapped(text: str, head: str) -> list[str]:
        return broken(text, width, head)

    faces = Faces(table, wrapped)
    for question in range(len(QUESTIONS)):
        with screen.working() as progress:
            if question == 0:
                again = f"accord resume {walk.chronicle.folder}"
                progress.say(f"killed or interrupted, it goes on by: {again}")
            walk.answer(question, None, progress)
        if not screen.json:
            screen.give(None, walk.lines(question, faces))
        if walk.action != "done":
            break
    found = walk.stewarded()
    with screen.working() as progress:
        progress.say("writing the report")
        report = written(found.folder)
    return found, report


def exit_of(found: Stewarded) -> int:
    """Done, paused or halted, as an exit code."""
    return {"done": Exit.DONE, "pause": Exit.PAUSED, "halt": Exit.HALTED}[found.action]


def resume(folder: Path, screen: Screen) -> int:
    """Go on with a stewardship. What was finished is told again, and not done again."""
    from accord.steward.path import Walk

    return go(Walk.resumed(folder), screen)


def written(folder: Path, out: Path | None = None) -> Path:
    """The report, with what persons have answered up to now."""
    from accord.reports.stewardship import write_stewardship
    from accord.steward.steps import answered_by_people
    from accord.stores.chronicle import Chronicle

    Chronicle.read(folder).add(answered_by_people(folder))
    return write_stewardship(folder, out)


def propose(folder: Path, values: str | None, screen: Screen) -> int:
    """What presses less than the halted run did; nothing is begun."""
    from accord.steward.gentler import gentler

    found, width = gentler(folder, values), terminal()
    decision = found.decision
    lines = broken(
        f"{found.run} was halted at step {decision.step} by the rule {decision.rule}: {decision.reason}",
        width,
    )
    lines += broken(found.why, width)
    for one in found.passed:
        lines += broken(one, width, "passed over: ")
    lines += [f"  {found.command}"]  # never broken: it is to be copied
    if "VALUES" in found.command.split():
        lines += broken("VALUES: the values it was for; --values NAME|FILE puts them in", width)
    if found.gated:
        lines += broken("for a model to keep it passes the evidence gate first: accord gate PLAN", width)
    screen.give(found.json(), [*lines, "nothing was begun"])
    return Exit.DONE


def ending(found: Stewarded, report: Path) -> list[str]:
    """How it ended, what a person can do now, and where the report lies."""
    lines = broken(found.says, terminal())
    if found.waits is not None:
        lines += [
            f"paused: a person answers for {found.waits}:",
            f"  accord resume {found.waits} --accept DECISION --by NAME --reason TEXT",
            f"  then: accord resume {found.folder}",
        ]
    if found.action == "halt":
        lines += ["halted: what presses less:", f"  accord run --from-halt {found.folder}"]
    result = cast("Mapping[str, JSON]", found.steps.get("result") or {})
    if result.get("preserved"):
        lines += ["preserved: to keep it:", f"  accord keep {found.folder}"]
    return [*lines, f"report: {report}"]


def _free(runs: Path, title: str) -> str:
    """A name that no run here has."""
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", title)[:40]
    number = 1
    while (runs / f"{stem}-{number}").exists():
        number += 1
    return f"{stem}-{number}"


def _settled(asked: Asked) -> tuple[Effort, Terms]:
    """The size of a name and the terms of this package, with what a person set."""
    from accord.errors import PlanError, nearest
    from accord.plan import PartTable, assigned
    from accord.steward.effort import Effort
    from accord.steward.judges import Judges
    from accord.steward.variants import Terms

    base = Terms(purpose="model", store=asked.store)
    open_to = ("unrelated", "purpose", "seed", "per_window", "n", "weight")
    tree: dict[str, JSON] = {name: getattr(base, name) for name in open_to}
    tree |= {"effort": Effort.named(asked.effort).model_dump(mode="json"), "judges": {}}
    tree |= {"learner": {"name": "local"}, "guard": {}}
    known = set(tree)
    tree = assigned(tree, asked.settings)
    if unknown := sorted(tree.keys() - known):
        raise PlanError("--set", unknown[0], ", ".join(sorted(known)), nearest(unknown[0], known))
    effort = Effort.model_validate(tree.pop("effort"))
    judges = cast("dict[str, str]", tree.pop("judges"))
    if odd := sorted(judges.keys() - set(Judges._fields)):
        allowed = ", ".join(f"judges.{name}" for name in Judges._fields)
        raise PlanError("--set", f"judges.{odd[0]}", allowed)
    learner, guard = PartTable.model_validate(tree.pop("learner")), tree.pop("guard")
    who = Judges(**judges) if judges else None
    terms = base._replace(**tree, learner=learner, guard=guard or None, judges=who)  # pyright: ignore[reportArgumentType]
    return effort, terms
