"""The rules in force, in words, and where each binds an indicator: the change at which it acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from pydantic import ValidationError

from accord.part import Part
from accord.plan import PartTable, Stage
from accord.ports import Rule
from accord.records import Reading
from accord.reports.document import Binding
from accord.reports.spent import told_part
from accord.reports.words import number, percent
from accord.rules import BothFell, Fault, Fell, Grew, Missing, NonFinite, Rose, Unread, default_rules

__all__ = ["InForce", "bindings", "rules_of"]

_SHIPPED: dict[str, type[Part]] = {
    "both_fell": BothFell,
    "fault": Fault,
    "fell": Fell,
    "grew": Grew,
    "missing": Missing,
    "non_finite": NonFinite,
    "rose": Rose,
    "unread": Unread,
}
_ACTS = {"continue": "warns", "pause": "pauses", "halt": "halts"}


class InForce(NamedTuple):
    """A rule of the stage. ``rule`` is None for one that this file does not know."""

    name: str
    says: str
    rule: Part | None


def rules_of(stage: Stage) -> list[InForce]:
    """The rules of a stage: those its plan names, or the default ones."""
    if stage.guard.rule is None:
        return [InForce(rule.name, told_rule(cast(Part, rule)), cast(Part, rule)) for rule in default_rules()]
    return [_named(table) for table in stage.guard.rule]


def told_rule(rule: Part) -> str:
    """What a shipped rule tolerates and what it does.

    >>> told_rule(Fell(indicator="diversity", by=0.5))
    'pauses when the whole interval of diversity lies below the base by more than 50 % of the base’s level'
    """
    match rule:
        case NonFinite(within=within):
            return f"pauses at an update that is not finite; a second one within {within} updates halts"
        case Fault():
            return "pauses when an indicator raises, or evidence cannot be written"
        case Missing(share=share):
            return f"pauses when more than {percent(share)} of the rows of a window have no verdict"
        case BothFell(share=share, updates=updates, action=action):
            return (
                f"{_ACTS[action]} when in more than {percent(share)} of the pairs of {updates} updates the "
                f"chosen answer, too, is less probable than at the start"
            )
        case Fell(indicator=indicator, by=by, relative=relative, action=action):
            limit = f"{percent(by)} of the base’s level" if relative else number(by)
            return (
                f"{_ACTS[action]} when the whole interval of {indicator} lies below the base by more than "
                f"{limit}"
            )
        case Rose(indicator=indicator, by=by, action=action):
            return (
                f"{_ACTS[action]} when the whole interval of {indicator} lies above the base by more than "
                f"{number(by)}"
            )
        case Grew(indicator=indicator, times=times, least=least, action=action):
            return (
                f"{_ACTS[action]} when {indicator} is over {number(times)} times its first value in "
                f"training, and at least {number(least)}"
            )
        case Unread(indicator=indicator):
            return f"pauses when {indicator} was measured at the start and is not any more"
        case _:
            return "acts as its own documentation says"


def bindings(rules: Sequence[InForce], indicator: str, readings: Sequence[Reading]) -> tuple[Binding, ...]:
    """For each rule with a tolerance for this indicator: the change beyond which it acts, at each reading."""
    found: list[Binding] = []
    for one in rules:
        match one.rule:
            case Rose(indicator=name, by=by, action=action) if name == indicator:
                at = [(reading.step, by) for reading in readings]
            case Fell(indicator=name, by=by, relative=relative, action=action) if name == indicator:
                at = [
                    (reading.step, -by * (reading.base or 0.0) if relative else -by)
                    for reading in readings
                    if not relative or (reading.base is not None and reading.base > 0)
                ]
            case Grew(indicator=name, action=action) if name == indicator:
                at = _grown(one.rule, readings)
            case _:
                continue
        found.append(Binding(one.name, _ACTS[action], tuple(at)))
    return tuple(found)


def _grown(rule: Grew, readings: Sequence[Reading]) -> list[tuple[int, float]]:
    """The level at which it acts, as a change: the rule compares levels with the first one in training."""
    trained = [reading for reading in readings if reading.step > 0]
    if not trained:
        return []
    level = max(rule.times * max(trained[0].value, 0.0), rule.least)
    return [(reading.step, level - (reading.base or 0.0)) for reading in trained]


def _named(table: PartTable) -> InForce:
    name = table.name.removeprefix("accord.rules:")
    kind = _SHIPPED.get(name) or next((k for k in _SHIPPED.values() if k.__name__ == name), None)
    if kind is not None:
        try:
            rule = kind.model_validate(table.plain())
        except ValidationError:
            kind = None
        else:
            return InForce(cast(Rule, rule).name, told_rule(rule), rule)
    return InForce(table.name, f"{told_part(table)}: acts as its own documentation says", None)
