"""Variants: the plans that amplify what is within reach, from the least forceful on. Pure, but for files.

    source   the policy's own answers to training halves, told the principle where a variant says so; and the
             base's own answers to unrelated prompts
    score    1 where the checks of the prompt's principles and of every hard one say so
    method   anchored(compatible(best_of_n, threshold 1)), the anchor at weight .1

A slice goes by *own* answers where the best of sixteen reaches its target, by *told* ones where telling it
closes half of the gap. A variant prefers one of the two, and trains at the learning rate, a third of it
or three times it. What is said when told lies beyond what the base says untold, and is what is to be learnt:
with told rows nothing is withheld, and the figure ``outside`` of each window says how much lay beyond.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

from accord.errors import PlanError
from accord.part import Part
from accord.plan import PartTable, Plan
from accord.records import JSON
from accord.records.portraits import Standing
from accord.steward.approved import PRINCIPLES
from accord.steward.effort import Effort
from accord.steward.judges import Judges
from accord.steward.mixing import TOLD
from accord.values import Values

__all__ = ["STAGE", "Files", "Form", "Terms", "forms", "guard_of", "plan_of", "rows_of"]

Way = Literal["own", "told"]
Spot = tuple[str, str]  # a principle and a slice

STAGE = "amplify"
_PACES = {"": 1.0, "-gentle": 1 / 3, "-hard": 3.0}  # what the name of a variant ends in
_OUTSIDE = 0.1


class Terms(NamedTuple):
    """What stands around the variants. ``unrelated``: a file of prompts, or the name of a set that ships; its
    parts are anchor, probes of the guard and what drift is read on. ``learner``: an engine's settings;
    ``guard``: settings of the guard beside its probes. ``store``: the index of runs, as ``pipeline.run`` has
    it; ``judges``: who judges what no program does, in portraits."""

    unrelated: str = "short-questions"
    learner: PartTable | Part | None = None
    guard: Mapping[str, JSON] | None = None
    purpose: Literal["explore", "model"] = "explore"
    seed: int = 0
    per_window: int = 8
    n: int = 8
    weight: float = 0.1
    store: str | None = None
    judges: Judges | None = None

    @property
    def engine(self) -> dict[str, JSON]:
        """The learner's table, with its learning rate."""
        table = PartTable.model_validate(self.learner or {"name": "local"}).table()
        return {"lr": 1e-4, **table} if table["name"] == "local" else table

    def paced(self, pace: float) -> dict[str, JSON]:
        """The learner at so many times its rate. PlanError where it has none."""
        table = self.engine
        rate = table.get("lr")
        if pace != 1 and not isinstance(rate, float):
            raise PlanError("learner.lr", rate, "a learning rate, of which variants take a multiple")
        return table if pace == 1 else {**table, "lr": cast(float, rate) * pace}


class Form(NamedTuple):
    """One variant: which way each slice goes, and how fast."""

    name: str
    ways: Mapping[Spot, Way]
    pace: float = 1.0

    @property
    def told(self) -> bool:
        return "told" in self.ways.values()


def forms(within: Sequence[Standing], most: int) -> tuple[Form, ...]:
    """At most so many variants. PlanError where a standing is not within reach."""
    open_ways: dict[Spot, tuple[Way, ...]] = {(one.principle, one.slice): _ways(one) for one in within}
    mixes: dict[str, dict[Spot, Way]] = {}
    for first in cast("tuple[Way, ...]", ("own", "told")):
        chosen: dict[Spot, Way] = {
            spot: first if first in ways else ways[0] for spot, ways in open_ways.items()
        }
        if chosen not in mixes.values():
            kinds = set(chosen.values())
            mixes[next(iter(kinds)) if len(kinds) == 1 else f"{first}-first"] = chosen
    if len(mixes) == 1:  # no slice can go two ways, so nothing is preferred
        mixes = {name.replace("own-first", "own-and-told"): ways for name, ways in mixes.items()}
    found = [Form(f"{name}{end}", ways, pace) for end, pace in _PACES.items() for name, ways in mixes.items()]
    return tuple(found[:most])


def rows_of(form: Form, values: Values) -> list[dict[str, JSON]]:
    """The training halves of a variant's slices, each prompt once with all its principles."""
    rows: dict[str, dict[str, JSON]] = {}
    for (name, part), way in form.ways.items():
        slices = [one for one in values.slices(name) if one.name == part]
        if not slices:
            known = ", ".join(one.name for one in values.slices(name))
            raise PlanError("slice", part, f"a slice of {name}: {known}")
        for case in slices[0].training:
            row = rows.setdefault(
                case.prompt.text, {"prompt": case.prompt.text, "slice": part, PRINCIPLES: [], TOLD: ""}
            )
            row[PRINCIPLES] = [*cast("list[JSON]", row[PRINCIPLES]), name]
            if way == "told":
                row[TOLD] = "\n".join(filter(None, [str(row[TOLD]), values[name].text]))
    return list(rows.values())


class Files(NamedTuple):
    """What a plan names."""

    prompts: str
    anchor: str
    probes: str
    values: str


def plan_of(name: str, model: str, form: Form, files: Files, terms: Terms, effort: Effort) -> Plan:
    """The plan of a variant."""
    every = max(1, effort.windows // 2)
    inner: dict[str, JSON] = {"name": "best_of_n", "n": terms.n, "threshold": 1.0}
    near: dict[str, JSON] = {
        "name": "compatible",
        "outside": 1.0 if form.told else _OUTSIDE,
        "inner": inner,
    }
    stage: dict[str, JSON] = {
        "name": STAGE,
        "windows": effort.windows,
        "source": {
            "name": "accord.steward.mixing:Mixed",
            "prompts": files.prompts,
            "anchor": files.anchor,
            "per_window": terms.per_window,
            "anchors": terms.per_window,
            "max_tokens": effort.max_tokens,
        },
        "ask": [
            {
                "name": "each",
                "column": "score",
                "collapse": "distribution",
                "overseer": {"name": "accord.steward.approved:Approved", "values": files.values},
            }
        ],
        "method": {"name": "accord.steward.anchored:Anchored", "weight": terms.weight, "inner": near},
        "learner": terms.paced(form.pace),
        "guard": guard_of(terms, effort, files.probes, every),
    }
    whole = {"name": name, "purpose": terms.purpose, "seed": terms.seed, "model": model, "stage": [stage]}
    return Plan.model_validate(whole)


def guard_of(terms: Terms, effort: Effort, probes: str, every: int) -> dict[str, JSON]:
    """The guard's table: its probes are unrelated prompts, unless the terms name others."""
    told: dict[str, JSON] = {"prompts": probes, "every": every, "max_tokens": min(64, effort.max_tokens)}
    return {**told, **(terms.guard or {})}


def _ways(one: Standing) -> tuple[Way, ...]:
    found: list[Way] = []
    if one.best is not None and one.best.low >= one.target:
        found.append("own")
    if one.halfway is not None and one.halfway.low >= 0:
        found.append("told")
    if one.verdict != "within reach" or not found:
        allowed = "standings that are within reach: the others are not amplified"
        raise PlanError(f"{one.principle}, {one.slice}", one.verdict, allowed)
    return tuple(found)
