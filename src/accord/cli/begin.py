"""What ``accord run METHOD FILE`` and ``accord import config`` share: a recipe made of options, and shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, cast

import typer

if TYPE_CHECKING:
    from accord.recipes import Recipe
    from accord.records import JSON

__all__ = [
    "Epochs",
    "Held",
    "Model",
    "Named",
    "RewardModels",
    "Rewards",
    "Settings",
    "Steps",
    "Windows",
    "first_screen",
    "where",
]

_WITH = "With a method: "
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help=f"{_WITH}where it starts; folder or known name."),
]
Rewards = Annotated[
    list[str] | None,
    typer.Option(
        "--reward",
        metavar="FILE.py:NAME[=WEIGHT]",
        help="A function that scores answers, for methods that learn from these; several add up.",
    ),
]
RewardModels = Annotated[
    list[str] | None,
    typer.Option(
        "--reward-model", metavar="MODEL", help="Instead: a reward model; several make an ensemble."
    ),
]
Held = Annotated[
    str | None,
    typer.Option(
        "--eval",
        metavar="FILE",
        help=f"{_WITH}held-out rows [default: two tenths of FILE, by hash]; or none.",
    ),
]
Steps = Annotated[
    int | None, typer.Option("--steps", metavar="N", min=1, help=f"{_WITH}so many updates (rounded up).")
]
Windows = Annotated[
    int | None, typer.Option("--windows", metavar="N", min=1, help=f"{_WITH}so many windows of rows.")
]
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs", metavar="N", min=0.001, help=f"{_WITH}so many passes over the data [default: 1]."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Change the plan; may be given several times."),
]
Named = Annotated[str | None, typer.Option("--name", metavar="ID", help="What to call the run.")]


class _Where(NamedTuple):
    runs: Path
    name: str | None


def where(runs: Path, name: str | None, out: Path | None) -> _Where:
    """The folder of runs and the name in it; ``--out`` is both at once."""
    if out is None:
        return _Where(runs, name)
    if name is not None:
        raise typer.BadParameter("--out names the run's folder, so --name has nothing to add")
    return _Where(out.parent, out.name)


def first_screen(made: Recipe) -> list[str]:
    """What a person reads before the run: that it is ungated, what the data hold, choices with reasons."""
    from accord.cli.show import table

    rows = [{"setting": c.path, "value": _short(c.value), "why": c.why} for c in made.choices]
    return [*_stamp(made), *made.notes, "", *table(rows), ""]


def _stamp(made: Recipe) -> list[str]:
    from accord import catalog
    from accord.ports import Method

    stage = made.plan.stage[0]
    if made.plan.purpose == "model":
        return ["For a model to keep. Its result has to pass the evidence gate before it is kept."]
    method = cast(Method, catalog.build("methods", stage.method, "stage[0].method"))
    down = f"{stage.method.name} pushes answers down, so the evidence gate comes before step 0"
    up = f"{stage.method.name} pushes nothing down, so it may start; its result has to pass the evidence gate"
    return [
        "UNGATED: this run explores. Its result is not a model to keep.",
        f'  A model to keep needs purpose = "model" in its plan; {down if method.pushes_down else up}.',
    ]


def _short(value: JSON) -> str:
    """A value in a cell: paths by their end, tables by what they name."""
    if isinstance(value, str) and "/" in value:
        return Path(value).name
    if isinstance(value, dict):
        inner = value.get("data") or value.get("name") or "…"
        return _short(inner)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
