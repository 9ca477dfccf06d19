"""``accord label --fill PLAN``: a plan's model answers prompts, and people are asked about the answers."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from accord.cli.codes import Exit
from accord.cli.place import look_here, written_plan
from accord.cli.show import Screen
from accord.errors import PlanError

if TYPE_CHECKING:
    from accord.plan import Plan, Stage

__all__ = [
    "Answers",
    "Asked",
    "Fill",
    "Longest",
    "Prompts",
    "RewardModels",
    "Settings",
    "StageName",
    "Warmth",
    "Wish",
    "fill_from",
]

_QUESTIONS = 40

Fill = Annotated[
    Path | None,
    typer.Option("--fill", metavar="PLAN.toml", help="Instead: have its model answer, and post questions."),
]
StageName = Annotated[
    str | None, typer.Option("--stage", metavar="NAME", help="Whose asks, where a plan has several.")
]
Asked = Annotated[
    int | None,
    typer.Option("--questions", metavar="N", min=1, help=f"How many there shall be [default: {_QUESTIONS}]."),
]
Prompts = Annotated[
    str | None,
    typer.Option("--prompts", metavar="FILE|NAME", help="Answered [default: those of the stage's source]."),
]
Answers = Annotated[
    int | None, typer.Option("--answers", metavar="N", min=1, help="To each prompt [default: 2].")
]
Warmth = Annotated[
    float | None,
    typer.Option("--temperature", metavar="T", min=0.01, help="Of the answers [default: 1]."),
]
Longest = Annotated[
    int | None, typer.Option("--max-tokens", metavar="N", min=1, help="The longest answer [default: 128].")
]
RewardModels = Annotated[
    list[str] | None,
    typer.Option(
        "--reward-model",
        metavar="MODEL",
        help="Its heads choose four of five questions: those they differ about. May be repeated.",
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be repeated."),
]


class Wish(NamedTuple):
    """What was asked for; None where nothing was."""

    stage: str | None
    questions: int | None
    prompts: str | None
    answers: int | None
    temperature: float | None
    max_tokens: int | None
    settings: list[str] | None
    reward_model: list[str] | None = None

    @property
    def named(self) -> list[str]:
        """The options that were given."""
        given = [name for name, value in self._asdict().items() if value not in (None, [])]
        return ["--set" if name == "settings" else f"--{name.replace('_', '-')}" for name in given]


def fill_from(file: Path, wish: Wish, *, json: bool) -> int:
    """Fill the database that the plan names, and say how people answer."""
    from accord.filling import Wanted, fill

    look_here()
    screen = Screen(json)
    plan, lines = written_plan(file)
    plan = plan.set(wish.settings or [])
    wanted = Wanted(wish.questions or _QUESTIONS, wish.prompts)
    wanted = wanted._replace(
        answers=wish.answers or wanted.answers,
        temperature=wish.temperature or wanted.temperature,
        max_tokens=wish.max_tokens or wanted.max_tokens,
        doubted_by=tuple(wish.reward_model or ()),
    )
    with screen.working() as progress:
        for line in lines:
            progress.say(line)
        stage = _stage(plan, wish.stage)
        filled = fill(plan, stage, wanted, progress)
    store = quote(filled.queue)
    onward = {
        "here": f"accord label {store}",
        "terminal": f"accord label {store} --terminal",
        "many": f"accord serve --store {store}",
        "then": f"accord run {quote(str(file))}",
    }
    before = f", {filled.there:,} were there" if filled.there else ""
    screen.give(
        {
            "store": filled.queue,
            "stage": stage.name,
            "posted": filled.posted,
            "there": filled.there,
            **onward,
        },
        [
            f"{filled.posted:,} questions posted to {filled.queue}{before}",
            f"answer them:        {onward['here']}",
            f"in a terminal:      {onward['terminal']}",
            f"with other people:  {onward['many']}",
            f"then train on it:   {onward['then']}",
        ],
    )
    return Exit.DONE


def _stage(plan: Plan, name: str | None) -> Stage:
    """The stage of this name; without one the first that asks people, where all who do ask the same."""
    from accord.filling import asked_of_people
    from accord.judging import stage_of

    if name is not None:
        return stage_of(plan, name)
    asking: list[Stage] = []
    problems: list[PlanError] = []
    for stage in plan.stage:
        try:
            asked_of_people(stage)
        except PlanError as problem:
            problems.append(problem)
        else:
            asking.append(stage)
    if not asking:
        raise problems[0]
    if any(stage.ask != asking[0].ask for stage in asking):
        names = ", ".join(stage.name for stage in asking)
        raise PlanError("--stage", None, names, "they ask different questions: choose one")
    return asking[0]
