"""The comparisons behind a stage: rows of pairs that it learns from, or that its reward model learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord.errors import AccordError
from accord.gating.grounds import Grounds
from accord.plan import Stage, read_plan
from accord.records import JSON
from accord.stores.foreign.prompts import DataRow, read_data

__all__ = ["Comparisons", "comparisons"]


class Comparisons(NamedTuple):
    """Rows of pairs, and where they stand. ``learnt``: a reward model learnt from them, not the stage."""

    rows: tuple[DataRow, ...]
    file: str
    learnt: bool


def comparisons(grounds: Grounds) -> list[Comparisons]:
    """Every file of pairs that can be found: the stage's own, and those of the reward models that judge it.

    A reward model in a run's folder is followed to that run's plan; one without is not known, and left out.
    """
    found: list[Comparisons] = []
    if (own := _rows(grounds.stage, learnt=False)) is not None:
        found.append(own)
    for model in _reward_models(grounds):
        stage = _stage_of(grounds, model)
        if stage is not None and (rows := _rows(stage, learnt=True)) is not None:
            found.append(rows)
    return found


def _reward_models(grounds: Grounds) -> list[str]:
    """The reward models that judge the stage's answers, as plan or command name them."""
    tables = [ask.overseer for ask in grounds.stage.ask if ask.column in ("score", "p")]
    named = [m for t in tables if t.name == "reward" for m in cast("Sequence[str]", t.plain()["models"])]
    given = grounds.wishes.reward
    return [*named, *([given] if given is not None else [])]


def _stage_of(grounds: Grounds, model: str) -> Stage | None:
    """The stage that made a model: of this plan, or of the run in whose folder the model lies."""
    if model.startswith("stage:"):
        name = model.removeprefix("stage:")
        return next((stage for stage in grounds.plan.stage if stage.name == name), None)
    folder = Path(model).absolute()
    plan = folder.parent.parent / "plan.toml"
    if folder.name != "model" or not plan.is_file():
        return None
    return next((stage for stage in read_plan(plan).stage if stage.name == folder.parent.name), None)


def _rows(stage: Stage, *, learnt: bool) -> Comparisons | None:
    """None where the stage learns from something else than a file of pairs."""
    if stage.source.name != "offline":
        return None
    settings = stage.source.plain()
    columns = cast("Mapping[str, str]", settings.get("columns", cast(JSON, {})))
    try:
        data = read_data(str(settings["data"]), columns)
    except AccordError:
        # The plan's own check says what is wrong with its file; of another run's the file may be gone.
        if learnt:
            return None
        raise
    return Comparisons(data.rows, data.file, learnt) if data.kind == "preference" else None
