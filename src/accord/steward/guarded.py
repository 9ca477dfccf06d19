"""Guarded: what the guard of a plan is told to see, how much of it to bear, and what to halt on.

For a model that is to be kept none of it may be a default that nobody wrote down: the rules of every stage
that pushes stand in its plan, with the page tier, its δ and its tolerances, and each tolerance that counts is
of something that the stage's indicators read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

from accord import catalog
from accord.canary import Canary
from accord.maths.spending import stage_delta
from accord.pages import HALTING, Page
from accord.part import Part
from accord.plan import Plan, Stage
from accord.ports import Panelled
from accord.records import JSON
from accord.rules import NonFinite
from accord.tiers import tiers

__all__ = ["Guarded", "guarded", "stated"]

_GOLD = "proxy_gold.gap"  # read where guard.gold is set, by no indicator of the list
_STATED = frozenset({"delta", "tolerances"})


class Guarded(NamedTuple):
    """What the guards of the stages come to in words; what they ``lack``."""

    says: str
    lacks: tuple[str, ...]


def guarded(plan: Plan, stages: Sequence[Stage]) -> Guarded:
    """Whether these stages say what is seen, borne and halted on; δ is shared by all of them."""
    told: list[str] = []
    lacks: list[str] = []
    spent = 0.0
    for stage in stages:
        if stage.guard.rule is None:
            lacks.append(f"{stage.name}: no rule stands in its plan, so defaults would decide what halts")
            continue
        rules = [cast(Part, catalog.build("rules", table)) for table in stage.guard.rule]
        page = next((one for one in rules if isinstance(one, Page)), None)
        if page is None:
            lacks.append(f"{stage.name}: no rule page, so nothing is held to a tolerance and a δ")
            continue
        if missing := sorted(_STATED - page.model_fields_set):
            lacks.append(f"{stage.name}: its rule page does not say {' and '.join(missing)}")
        held = sorted(page.tolerances.keys() & _read(stage))
        halts = _halts(rules, held)
        if not held:
            lacks.append(f"{stage.name}: no indicator of its guard reads what its rule page tolerates")
        elif not halts:
            lacks.append(f"{stage.name}: nothing halts it")
        spent += page.delta
        told.append(
            f"{stage.name}: {len(stage.guard.indicator)} indicators, {len(held)} criteria with a tolerance "
            f"({', '.join(held)}), δ {page.delta:g}, halts at {', '.join(halts) or 'nothing'}"
        )
    if spent > plan.delta and not math.isclose(spent, plan.delta):
        lacks.append(
            f"the pages of all stages spend δ {spent:g}; the plan has {plan.delta:g} for all of them"
        )
    return Guarded("; ".join(told), tuple(lacks))


def stated(plan: Plan, stages: Sequence[Stage]) -> Plan:
    """The same plan with the rules of these stages written out where it leaves them to defaults."""
    table = plan.table()
    names = {one.name for one in stages if one.guard.rule is None}
    for place, (stage, told) in enumerate(zip(plan.stage, cast("list[JSON]", table["stage"]), strict=True)):
        if stage.name in names:
            guard = cast("dict[str, JSON]", cast("dict[str, JSON]", told)["guard"])
            guard["rule"] = _default_rules(stage, stage_delta(plan.delta, place, len(plan.stage)))
    return Plan.model_validate(table)


def _default_rules(stage: Stage, delta: float) -> list[JSON]:
    names = {target: name for name, target in catalog.RULES.items()}
    read, found = _read(stage), list[JSON]()
    for rule in tiers(delta):
        part = cast(Part, rule)
        told = cast("dict[str, JSON]", part.model_dump(mode="json", exclude_none=True))
        if isinstance(part, Page):
            tolerances = cast("dict[str, JSON]", told["tolerances"])
            # Of indicators that read none of them all stay: a page without a tolerance is no rule at all.
            told["tolerances"] = {name: by for name, by in tolerances.items() if name in read} or tolerances
        found.append({"name": names[f"{type(part).__module__}:{type(part).__qualname__}"], **told})
    return found


def _read(stage: Stage) -> set[str]:
    """The criteria that pages could rest on in this stage."""
    built = [catalog.build("indicators", table) for table in stage.guard.indicator]
    found = {f"{one.name}.{c}" for one in built if isinstance(one, Panelled) for c in one.criteria}
    return found | ({_GOLD} if stage.guard.gold is not None else set())


def _halts(rules: Sequence[Part], held: Sequence[str]) -> list[str]:
    """What a run is halted on, in words: by a page, by a rule, by what it cannot go on from."""
    paging = sorted({name.partition(".")[0] for name in held})
    found = [f"a page on {name}" for name in paging if name in HALTING]
    found += ["a page on any two"] if len(paging) > 1 else []
    found += [str(vars(one).get("indicator")) for one in rules if vars(one).get("action") == "halt"]
    found += ["tampering"] if any(isinstance(one, Canary) for one in rules) else []
    lost = any(isinstance(one, NonFinite) for one in rules)
    return [*found, *(["updates that are not finite"] if lost else [])]
