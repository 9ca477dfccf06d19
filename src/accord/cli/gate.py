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

__all__ = ["EXAMPLES", "gate"]

EXAMPLES = {
    "gate": """
      accord gate plan.toml --values hhh
      accord gate plan.toml --values mine.toml --audit --gold truth.py:right
      accord gate plan.toml --values hhh --set stage.grpo.guard.items=128
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
        typer.Option("--folder", metavar="DIR", help="Where sign-offs are kept [default: beside the plan]."),
    ] = None,
    audits: Annotated[Path, typer.Option("--audits", metavar="DIR", help="Where audits are kept.")] = Path(
        "audits"
    ),
    gates: Annotated[
        Path, typer.Option("--gates", metavar="DIR", help="Where this keeps what it asked.")
    ] = Path("gates"),
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check what must be known before a plan may push a model that is to be kept.

    Each check says what it found and what it would take to pass, as a command. Nothing is asked twice. A
    person may answer for going on without one, but not without a base audit, sealed panels and qualified
    judges. Exit 2: refused; a plan whose purpose is explore is told what is missing, and is not.
    """
    from accord.gating import Keeping, read_signed, sign, signed_file, with_signed
    from accord.gating import gate as check

    look_here()
    told = {"--exception": exceptions, "--by": by.strip(), "--reason": reason.strip()}
    if any(told.values()) and not all(told.values()):
        missing = ", ".join(option for option, value in told.items() if not value)
        raise typer.BadParameter(f"a person answers for an exception, for a reason: {missing} is missing")
    screen = Screen(json, quiet)
    tree, said = written_plan(plan)
    tree = tree.set(settings or [])
    file = signed_file(plan, folder)
    with screen.working() as progress:
        for line in said:
            progress.say(line)
        found = check(
            tree,
            values=values,
            checks=checks or (),
            prompts=prompts,
            answers=answers,
            reward=reward,
            gold=gold,
            audit=audit,
            keeping=Keeping(audits, gates, file, plan.parent),
            command=_command(plan, values, settings or []),
            progress=progress,
        )
    signed: list[SignOff] = []
    if exceptions:
        signed = sign(found, exceptions, by, reason, file)
        found = with_signed(found, read_signed(file))
    screen.give(found.json(), [*_lines(found), *(f"signed: {one.check}, in {file}" for one in signed)])
    return Exit.REFUSED if found.refused else Exit.DONE


def _command(plan: Path, values: str | None, settings: Sequence[str]) -> str:
    """The same gate again, as a person types it."""
    given = ["--values", values] if values else []
    return join(["accord", "gate", str(plan), *given, *(word for one in settings for word in ("--set", one))])


def _lines(found: GateReport) -> Iterator[str]:
    width = terminal()
    yield found.headline
    if not found.findings:
        yield from broken("no stage pushes answers down: there is nothing to check", width)
        return
    yield from table(found.rows())
    for one in found.findings:
        yield ""
        yield from _finding(one, width)


def _finding(one: Finding, width: int) -> Iterator[str]:
    yield from broken(f"{one.name}: {one.status}; {one.says}", width)
    for figure in one.figures:
        yield from broken(str(figure), width, "  ")
    if one.signed is not None:
        yield from broken(f"{one.signed.by}: {one.signed.reason}", width, "  signed by ")
    heads = ["to pass" if one.stops else "to see more", *("or" for _ in one.remedy)]
    for head, step in zip(heads, one.remedy if one.stops or one.status == "passed" else (), strict=False):
        yield f"  {head}: {step}"  # never broken: it is to be copied
