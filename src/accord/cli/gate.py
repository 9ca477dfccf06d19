"""``accord gate``: what must be known before a plan may push a model that is to be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from accord.cli.codes import Exit
from accord.cli.lines import broken, terminal
from accord.cli.place import look_here, written_plan
from accord.cli.runs import Json, Quiet
from accord.cli.show import Screen, table

if TYPE_CHECKING:
    from accord.gating import Finding, GateReport, SignOff
    from accord.plan import Plan
    from accord.steward.requirements import Five

__all__ = ["EXAMPLES", "gate"]

EXAMPLES = {
    "gate": """
      accord gate plan.toml --values hhh
      accord gate plan.toml --values mine.toml --audit --gold truth.py:right
      accord gate plan.toml --values hhh --set stage.grpo.guard.items=128
      accord gate plan.toml --stated gated.toml
      accord gate plan.toml --values hhh --exception raters --by "A. Person" --reason "one rater, me"
      accord gate plan.toml --values hhh --json > gate.json
    """,
}


def gate(  # size: a parameter is an option here
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="The plan that is to be run.")],
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="NAME|FILE", help="What is aligned to, as an instruction."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be repeated."),
    ] = None,
    checks: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="NAME", help="Only these; the others then count as missing."),
    ] = None,
    audit: Annotated[
        bool, typer.Option("--audit", help="Audit the base first, where no audit stands.")
    ] = False,
    prompts: Annotated[
        int, typer.Option("--prompts", metavar="N", min=2, help="Prompts the base answers; 200 to pass.")
    ] = 200,
    answers: Annotated[
        int, typer.Option("--answers", metavar="N", min=2, help="Answers to each; 16 to pass.")
    ] = 16,
    reward: Annotated[
        str | None,
        typer.Option("--reward", metavar="FILE.py:NAME|MODEL", help="Scores answers where no ask does."),
    ] = None,
    gold: Annotated[
        str | None,
        typer.Option("--gold", metavar="FILE.py:NAME|MODEL", help="What the reward stands for, likewise."),
    ] = None,
    exceptions: Annotated[
        list[str] | None,
        typer.Option("--exception", metavar="CHECK", help="Go on without this check; may be repeated."),
    ] = None,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who answers for it.")] = "",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")] = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", help="Where sign-offs and retirement lie [default: beside the plan]."
        ),
    ] = None,
    stated: Annotated[
        Path | None,
        typer.Option("--stated", metavar="FILE", help="Write the plan with its guard's rules, no more."),
    ] = None,
    portraits: Annotated[
        Path, typer.Option("--portraits", metavar="DIR", help="Where portraits are kept.")
    ] = Path("portraits"),
    archive: Annotated[Path, typer.Option("--archive", metavar="DIR", help="The archive.")] = Path("archive"),
    audits: Annotated[Path, typer.Option("--audits", metavar="DIR", help="Where audits are kept.")] = Path(
        "audits"
    ),
    gates: Annotated[
        Path, typer.Option("--gates", metavar="DIR", help="Where this keeps what it asked and decides.")
    ] = Path("gates"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check what must be known before a plan may push a model that is to be kept.

    Five things must be there: the targets table, the checks before the first update, a guard that says what
    it bears, the base in the archive, a retirement policy. Each says what it found, and the command that
    supplies what lacks. Nothing is asked twice. A person may answer for going on without one, but not without
    a base audit, sealed panels and qualified judges. Exit 2: refused; a plan whose purpose is explore is told
    what is missing, and is not. accord run begins a plan that passed.
    """
    from accord.gating import Keeping, read_signed, sign, signed_file
    from accord.gating import gate as check
    from accord.pipeline import settled
    from accord.steward.requirements import Shelves, required
    from accord.steward.succession import succession_file
    from accord.stores.gates import DECISIONS, add_ruling
    from accord.values import read_values

    look_here()
    told = {"--exception": exceptions, "--by": by.strip(), "--reason": reason.strip()}
    if any(told.values()) and not all(told.values()):
        missing = ", ".join(option for option, value in told.items() if not value)
        raise typer.BadParameter(f"a person answers for an exception, for a reason: {missing} is missing")
    screen = Screen(json, quiet)
    tree, said = written_plan(plan)
    tree = tree.set(settings or [])
    if stated is not None:
        return _stated(tree, plan, stated, screen)
    file, command = signed_file(plan, folder), _command(plan, values, settings or [])
    signed: list[SignOff] = []
    with screen.working() as progress:
        for line in said:
            progress.say(line)
        preflight = check(
            tree,
            values=values,
            checks=checks or (),
            prompts=prompts,
            answers=answers,
            reward=reward,
            gold=gold,
            audit=audit,
            keeping=Keeping(audits, gates, file, plan.parent),
            command=command,
            progress=progress,
        )
        if not preflight.findings:
            screen.give(preflight.json(), _nothing(preflight))
            return Exit.DONE
        shelves = Shelves(succession_file(plan, folder), str(plan), command, values or "", portraits, archive)
        meant = None if values is None else read_values(values)
        found = required(
            settled(tree, [plan.parent, Path.cwd()]), preflight, meant, shelves, progress=progress
        )
    found = found.with_signed(read_signed(file))
    if exceptions:
        signed = sign(found.report, exceptions, by, reason, file)
        found = found.with_signed(read_signed(file))
    lines = [*_lines(found), *(f"signed: {one.check}, in {file}" for one in signed)]
    if tree.purpose == "model" and not checks:  # some checks alone decide nothing
        add_ruling(gates / DECISIONS, found.ruling)
        lines += ["", f"Decision {found.ruling.decision.id[:12]}, in {gates / DECISIONS}"]
    screen.give(found.json(), lines)
    return Exit.REFUSED if found.refused else Exit.DONE


def _stated(tree: Plan, plan: Path, to: Path, screen: Screen) -> int:
    """Write the plan with the rules of its guards stated, where nothing stands yet."""
    from accord.errors import Refused
    from accord.permitted import pushing
    from accord.pipeline import settled
    from accord.steward.guarded import stated
    from accord.stores.files import write_aside

    if to.exists():
        raise Refused(f"{to} stands already\n  remove it, or name another file")
    # Files that a plan names are looked up beside it: elsewhere they are named whole.
    tree = tree if to.parent.resolve() == plan.parent.resolve() else settled(tree, [plan.parent, Path.cwd()])
    write_aside(to, stated(tree, pushing(tree)).toml())
    again = [f"written: {to}", f"then: accord gate {to}"]
    screen.give({"written": str(to)}, again)
    return Exit.DONE


def _command(plan: Path, values: str | None, settings: Sequence[str]) -> str:
    """The same gate again, as a person types it."""
    given = ["--values", values] if values else []
    return join(["accord", "gate", str(plan), *given, *(word for one in settings for word in ("--set", one))])


def _nothing(found: GateReport) -> list[str]:
    return [found.headline, *broken("no stage pushes answers down: there is nothing to check", terminal())]


def _lines(found: Five) -> Iterator[str]:
    from accord.records.permits import REQUIREMENTS

    width = terminal()
    yield found.headline
    yield from table(found.rows())
    yield ""
    yield from table(found.report.rows())
    for one in found.report.findings:
        yield ""
        if one.check in REQUIREMENTS:
            yield from broken(f"{one.check}: {REQUIREMENTS[one.check]}", width)
        yield from _finding(one, width)


def _finding(one: Finding, width: int) -> Iterator[str]:
    yield from broken(f"{one.name}: {one.status}; {one.says}", width)
    for figure in one.figures:
        yield from broken(str(figure), width, "  ")
    if one.signed is not None:
        yield from broken(f"{one.signed.by}: {one.signed.reason}", width, "  signed by ")
    heads = ["to pass" if one.stops else "to see more", *("or" for _ in one.remedy)]
    steps = one.steps if one.stops or one.status == "passed" else ()
    for head, (took, step) in zip(heads, steps, strict=False):
        first, *rest = step.splitlines()
        yield f"  {head}{f', {took}' if took else ''}: {first}"  # never broken: it is to be copied
        yield from (f"    {line}" for line in rest)
