"""The rules in force, in words, and where each binds an indicator: the change at which it acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from pydantic import ValidationError

from accord.canary import Canary
from accord.gains import EXCUSABLE
from accord.judged import Ceiling
from accord.maths.spending import arming_delta, stage_delta
from accord.pages import HALTING, Page, Tolerance
from accord.part import Part
from accord.plan import PartTable, Plan, Stage
from accord.ports import Rule
from accord.records import Reading
from accord.reports.document import Binding
from accord.reports.spent import told_part
from accord.reports.words import Scale, number, percent
from accord.rules import BothFell, Fault, Fell, Grew, Missing, NonFinite, Rose, Unread
from accord.signs import Drift, EntropyPrice, Gaming, Over, Overuse
from accord.tiers import tiers

__all__ = ["PAGE", "InForce", "bindings", "page_in", "rules_of", "told_tolerance", "tolerated", "widened"]

PAGE = "page"  # the name of the one rule whose chance of a false alarm is bounded

_SHIPPED: dict[str, type[Part]] = {
    "both_fell": BothFell,
    "canary": Canary,
    "drift": Drift,
    "entropy_price": EntropyPrice,
    "fault": Fault,
    "fell": Fell,
    "gaming": Gaming,
    "grew": Grew,
    "missing": Missing,
    "non_finite": NonFinite,
    "over": Over,
    "overuse": Overuse,
    "page": Page,
    "rose": Rose,
    "unread": Unread,
}
_ACTS = {"continue": "warns", "pause": "pauses", "halt": "halts"}


class InForce(NamedTuple):
    """A rule of the stage. ``rule`` is None for one that this file does not know."""

    name: str
    says: str
    rule: Part | None


def rules_of(plan: Plan, stage: Stage) -> list[InForce]:
    """The rules of a stage: those its plan names, or the default ones with the stage's part of δ."""
    if stage.guard.rule is not None:
        return [_named(table) for table in stage.guard.rule]
    place = [one.name for one in plan.stage].index(stage.name)
    rules = tiers(stage_delta(plan.delta, place, len(plan.stage)))
    return [InForce(rule.name, told_rule(cast(Part, rule)), cast(Part, rule)) for rule in rules]


def page_in(rules: Sequence[InForce]) -> Page | None:
    """The page tier in force, if there is one."""
    return next((one.rule for one in rules if isinstance(one.rule, Page)), None)


def tolerated(tolerance: Tolerance | Ceiling, base: float) -> float:
    """How far a criterion's mean may lie above the base's mean, as judged where it is judged.

    A rise of .05 on a base of .4 is .02; a loss of half of a wanted 1 − .2 is .4.

    >>> round(tolerated(Tolerance(rise=0.05), 0.4), 9), tolerated(Tolerance(fall=0.5), 0.2)
    (0.02, 0.4)
    """
    if isinstance(tolerance, Ceiling):
        return tolerance.tau - base
    if tolerance.rise is not None:
        return tolerance.rise * base
    return tolerance.fall * (1 - base) if tolerance.fall is not None else tolerance.tau


def widened(tolerance: Tolerance | Ceiling, difference: float) -> float:
    """A change of the mean outcome that raises the tier's own differences by so much."""
    rise = None if isinstance(tolerance, Ceiling) else tolerance.rise
    return difference * (1 + rise) if rise is not None else difference


def told_tolerance(tolerance: Tolerance | Ceiling, scale: Scale) -> str:
    """A tolerance in words, in the units of its figure.

    >>> told_tolerance(Tolerance(by=0.1), Scale(True)), told_tolerance(Tolerance(rise=0.05), Scale(False))
    ('+10 points', 'a rise by 5 %')
    >>> told_tolerance(Ceiling(0.35), Scale(True))
    '35 % as judged'
    """
    if isinstance(tolerance, Ceiling):
        return f"{scale.level(tolerance.tau)} as judged"
    if tolerance.rise is not None:
        return f"a rise by {percent(tolerance.rise)}"
    if tolerance.fall is not None:
        return f"a loss of {percent(tolerance.fall)}"
    return scale.change(tolerance.tau)


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
        case Fell(indicator=indicator, by=by, relative=relative, action=action, vetoes=vetoes):
            limit = f"{percent(by)} of the base’s level" if relative else number(by)
            held = f"; only warns where {' or '.join(vetoes)} did not fall by as much" if vetoes else ""
            return (
                f"{_ACTS[action]} when the whole interval of {indicator} lies below the base by more than "
                f"{limit}{held}"
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
        case Page():
            return _told_page(rule)
        case Canary(by=by):
            return (
                "halts at one act of tampering, in a rollout or a honeypot; where the base tampers too, when "
                f"the whole interval of the rise lies above {number(by)}"
            )
        case _:
            return _told_sign(rule)


def _told_page(page: Page) -> str:
    halting = ", ".join(sorted({name.partition(".")[0] for name in page.tolerances} & HALTING))
    return (
        f"pages when the e-values of panels reach {number(1 / arming_delta(page.delta, 0), 6)}; the chance "
        f"that it ever pages falsely in this stage is {number(page.delta)} at most. A page that names one of "
        f"{halting or 'none'}, or two indicators, halts; any other pauses{_excuses(page)}"
    )


def _excuses(page: Page) -> str:
    names = sorted({name.partition(".")[0] for name in page.tolerances} & EXCUSABLE)
    if not (names and page.excuse_at):
        return ""
    gain = f"a held-out gain that is established at level {number(page.excuse_at)}"
    return f". {gain[0].upper()}{gain[1:]} excuses {', '.join(names)}, and nothing else"


def _told_sign(rule: Part) -> str:
    match rule:
        case Over(indicator=indicator, level=level):
            return f"warns when the whole interval of {indicator} lies above {number(level)}"
        case EntropyPrice(share=share):
            return (
                f"warns when entropy is under {percent(share)} of the base’s and nothing held out was gained "
                "for it"
            )
        case Gaming():
            return (
                "warns when the reward moves, nothing held out does, and length, the share of one component "
                "or their tie to the reward moves with it"
            )
        case Overuse(gap=gap):
            return (
                f"warns when gold stays behind the trained reward by more than {number(gap)}, beyond its "
                "peak, or reward models disagree more than they did"
            )
        case Drift(scalar=scalar, early=early):
            return f"warns when {scalar} runs away from its first {early} values; a CUSUM chart"
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
            case Over(indicator=name, level=level) if name == indicator:
                at = [(reading.step, level - (reading.base or 0.0)) for reading in readings]
                action = "continue"
            case Page(tolerances=tolerances) if indicator in tolerances:
                limits = one.rule.against(indicator)
                if limits is None:
                    continue
                based = [(reading.step, reading.base) for reading in readings]
                at = [(step, tolerated(limits, base)) for step, base in based if base is not None]
                action = "continue"
            case _:
                continue
        found.append(Binding(one.name, "tolerates" if one.name == PAGE else _ACTS[action], tuple(at)))
    return tuple(found)


def _grown(rule: Grew, readings: Sequence[Reading]) -> list[tuple[int, float]]:
    """The level at which it acts, as a change: the rule compares levels with the first one in training."""
    trained = [reading for reading in readings if reading.step > 0]
    if not trained:
        return []
    level = max(rule.times * max(trained[0].value, 0.0), rule.least)
    return [(reading.step, level - (reading.base or 0.0)) for reading in trained]


def _named(table: PartTable) -> InForce:
    name = table.name
    for module in ("accord.rules:", "accord.pages:", "accord.signs:"):
        name = name.removeprefix(module)
    kind = _SHIPPED.get(name) or next((k for k in _SHIPPED.values() if k.__name__ == name), None)
    if kind is not None:
        try:
            rule = kind.model_validate(table.plain())
        except ValidationError:
            kind = None
        else:
            return InForce(cast(Rule, rule).name, told_rule(rule), rule)
    return InForce(table.name, f"{told_part(table)}: acts as its own documentation says", None)
