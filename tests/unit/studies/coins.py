"""A study of nothing: coins that fall as their arm says, for what all studies have in common."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from accord.errors import PlanError
from accord.part import Part
from accord.sources import seeded
from accord.studies.arms import Cell, Items, Measured, impossible, unsolved
from accord.studies.bars import Bar, ahead, in_seeds
from accord.studies.port import Doing, Form, Setting

TOML = """\
version = 1
arms = ["fair", "bent", "blank"]
seeds = 3
least = 0.2
shares = { fair = 0.5, bent = 0.9, blank = 0.0 }
"""


def gained(cells: Mapping[str, Measured]) -> Mapping[str, Items]:
    """Of the bent coin how much it has above the fair one."""
    if {"fair", "bent"} - cells.keys():
        return {}
    mean = {arm: sum(cell.items["heads"].values()) / 40 for arm, cell in cells.items()}
    return {"bent": {"gained": {"seed": mean["bent"] - mean["fair"]}}}


class Coins(Part):
    """Forty tosses in every seed; ``faults`` of cells, by their folder's name."""

    question: ClassVar[str] = "Does a bent coin fall on heads more often?"
    shows: ClassVar[tuple[str, ...]] = ("coins cannot show what a model would do",)
    hasty: ClassVar[tuple[str, ...]] = ("fair",)
    models: ClassVar[bool] = False
    form: ClassVar[Form] = Form(shares=frozenset({"heads"}), against="fair", across=gained)
    faults: ClassVar[dict[str, str]] = {}

    version: int
    arms: tuple[str, ...]
    seeds: int
    least: float
    shares: dict[str, float]

    def bar(self, model: str | None) -> Bar:
        del model
        return Bar((ahead("heads", "bent", ("fair",), self.least), in_seeds("gained", "bent", 0.1, 3)), 3)

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        def do(cell: Cell) -> Measured:
            match self.faults.get(cell.folder.name):
                case "crash":
                    raise ZeroDivisionError("no coin")
                case "refused":
                    raise PlanError("model", cell.arm, "a coin")
                case "impossible":
                    return impossible(cell, "no coin here")
                case "unsolved":
                    return unsolved(cell, "it stands on its edge")
                case _:
                    up = seeded(seed, cell.arm).random(40) < self.shares[cell.arm]
                    tosses = {f"toss {i}": float(one) for i, one in enumerate(up)}
                    return Measured(
                        cell.arm, seed, "measured", items={"heads": tosses}, figures={"tossed": 40.0}
                    )

        yield do
