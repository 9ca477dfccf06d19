"""check_indicator and check_rule: measures that only measure, decisions that rest on evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accord.ports import Draw, History, How, Indicator, Look, Panelled, Referred, Rule, Sampler
from accord.records import Decision, NotMeasured, Prompt, Reading, Record
from accord.records.panels import Item
from accord.records.rows import Group
from accord.testing.building import a_history, a_reading, an_event
from accord.testing.checks_sampler import ABILITIES
from accord.testing.promises import promised
from accord.worker import Worker

__all__ = ["check_indicator", "check_panelled", "check_rule", "histories"]


def check_indicator(indicator: Indicator, policy: Sampler, base: Sampler, prompts: Sequence[Prompt]) -> None:
    """ContractError with the first promise that is broken. ``prompts``: four or more, both samplers' own."""
    _check_claims(indicator)
    with Worker() as worker:
        ours, theirs = (
            tuple(worker.run(s.sample(prompts, 3, How(f"check/{who}", 1.0, 12))))
            for who, s in (("policy", policy), ("base", base))
        )
        look, draw = Look("run/stage", 7, (), ours, policy), Draw(3, theirs)
        found = worker.run(indicator.read(look, base, draw))
        _check_reading(indicator, found, look, (*ours, *theirs))
        again = worker.run(indicator.read(look, base, draw))
        promised(
            indicator, "read is a function of look, base and draw", found.id == again.id, "another reading"
        )
        silent = worker.run(indicator.read(look._replace(groups=()), base, draw._replace(base_groups=())))
        nothing = isinstance(silent, NotMeasured)
        promised(indicator, "without probes it is NotMeasured, with a reason", nothing, silent)
        if indicator.wants:
            mute = _Mute(base)
            lacking = worker.run(indicator.read(look._replace(policy=_Mute(policy)), mute, draw))
            promise = "where a sampler cannot give what it wants it is NotMeasured"
            promised(indicator, promise, isinstance(lacking, NotMeasured), lacking)
        same = worker.run(indicator.read(Look("run/stage", 0, (), theirs, base), base, draw))
        if isinstance(same, Reading) and same.change is not None:
            near = abs(same.change) <= 1e-6
            promised(indicator, "the base beside itself shows no change", near, same.change)


def check_panelled(indicator: Panelled, sampler: Sampler, items: Sequence[Item]) -> None:
    """ContractError with the first promise that is broken. ``items``: three or more of its panel."""
    _check_name_and_tier(indicator)
    for name in ("panel", "criteria", "config"):
        value = getattr(indicator, name)
        promised(indicator, f"it says its {name}", bool(value), repr(value))
    promised(indicator, "criteria are told apart", len(set(indicator.criteria)) == len(indicator.criteria))
    promised(indicator, "draws is 1 or more", indicator.draws >= 1, indicator.draws)
    promised(indicator, "share lies in (0, 1]", 0 < indicator.share <= 1, indicator.share)
    one, two = indicator.cost(4, 10), indicator.cost(8, 10)
    promised(indicator, "more items cost more", two.tokens_in > one.tokens_in > 0, (one, two))
    strange = [item for item in items if not indicator.takes(item)]
    promised(indicator, "it takes the items of its own panel", not strange, strange[:1])
    bare = Item(Prompt.of(""))
    promised(indicator, "it does not take an item it cannot pose", not indicator.takes(bare), bare)
    if isinstance(indicator, Referred):
        odd = indicator.of_base - (ABILITIES - {"sample"})
        promised(indicator, "of_base names abilities of samplers beyond sample", not odd, sorted(odd))
        ready = indicator.referred(sampler)
        same = ready.config == indicator.config
        promised(indicator, "handed the base it is the same instrument", same, ready.config)
        indicator = ready
    how = How("check/panelled", 1.0, 12)
    with Worker() as worker:
        found = worker.run(indicator.observe(items, sampler, how))
        for criterion in indicator.criteria:
            outcomes = found.outcomes.get(criterion, ())
            promise = "each criterion has one outcome in [0, 1], or None, for each item"
            fit = all(x is None or 0 <= x <= 1 for x in outcomes)
            promised(indicator, promise, fit and len(outcomes) == len(items), (criterion, outcomes))
        again = worker.run(indicator.observe(items, sampler, how))
        same = found.outcomes == again.outcomes
        promised(indicator, "observe is a function of items, weights and how", same, again.outcomes)
        alone = worker.run(indicator.observe(items[-1:], sampler, how))
        for criterion, outcomes in found.outcomes.items():
            mine, theirs = alone.outcomes[criterion][0], outcomes[-1]
            near = mine == theirs or (mine is not None and theirs is not None and abs(mine - theirs) < 1e-5)
            promised(indicator, "an item's outcome does not depend on the others", near, (mine, theirs))
    answered = [group for group in found.said if group.responses]
    promised(indicator, "said holds the answers it rests on", bool(answered), found.said)


def _check_name_and_tier(indicator: Indicator | Panelled) -> None:
    promised(indicator, "an indicator has a name", bool(indicator.name), repr(indicator.name))
    tiers = {"page", "warning", "report"}
    promised(indicator, "tier is page, warning or report", indicator.tier in tiers, indicator.tier)
    # One that asks items of a panel says whether it has answers drawn; the others are handed answers.
    known = ABILITIES if isinstance(indicator, Panelled) else ABILITIES - {"sample"}
    wants = indicator.wants - known
    promised(indicator, "wants names abilities of samplers beyond sample", not wants, sorted(wants))


def _check_claims(indicator: Indicator) -> None:
    _check_name_and_tier(indicator)
    one, two = indicator.cost(4, 2, 10), indicator.cost(8, 2, 10)
    free = (one.calls, one.tokens_in, one.tokens_out) >= (0, 0, 0)
    promised(indicator, "cost is 0 or more", free, one)
    grows = two.tokens_in >= one.tokens_in and two.calls >= one.calls
    promised(indicator, "more probes cost no less", grows, two)


def _check_reading(
    indicator: Indicator, found: Reading | NotMeasured, look: Look, groups: Sequence[Group]
) -> None:
    promised(indicator, "a reading carries the indicator's name", found.name == indicator.name, found.name)
    promised(
        indicator, "a reading carries run and step", (found.run, found.step) == (look.run, look.step), found
    )
    if isinstance(found, NotMeasured):
        promised(indicator, "NotMeasured says why", bool(found.reason.strip()), repr(found.reason))
        return
    inside = found.low <= found.value <= found.high
    promised(indicator, "the interval holds the value", inside, (found.low, found.value, found.high))
    change = (found.change_low, found.change, found.change_high)
    numbers = [number for number in change if number is not None]
    promised(indicator, "a change has an interval, or there is none", len(numbers) in (0, 3), change)
    promised(indicator, "the interval holds the change", numbers == sorted(numbers), change)
    finite = all(math.isfinite(x) for x in (found.low, found.value, found.high, *numbers))
    promised(indicator, "a reading is finite; what is not, is NotMeasured", finite, found)
    promised(indicator, "a reading names its instrument", bool(found.instrument), repr(found.instrument))
    answers = {r.id for group in groups for r in group.responses}
    walked = bool(found.parents) and set(found.parents) <= answers
    promised(indicator, "a reading's parents are the answers it rests on", walked, found.parents)


class _Mute:
    """A sampler that can only sample."""

    can = frozenset({"sample"})

    def __init__(self, inner: Sampler) -> None:
        self.policy = inner.policy
        self.encode, self.sample, self.score = inner.encode, inner.sample, inner.score


def check_rule(rule: Rule, more: Sequence[History] = ()) -> None:
    """ContractError with the first promise that is broken, on ``histories`` and on those given."""
    promised(rule, "a rule has a name", bool(rule.name), repr(rule.name))
    nothing = rule(a_history())
    quiet = nothing.action == "continue"
    promised(rule, "where nothing has happened it lets the loop go on", quiet, nothing)
    measured = str(getattr(rule, "indicator", "measure"))
    looked_at = [*histories(measured), *more]
    said = [rule(history) for history in looked_at]
    for history, decision in zip(looked_at, said, strict=True):
        _check_decision(rule, history, decision)
        _check_accepted(rule, history, decision)
    again = [rule(history) for history in reversed(looked_at)][::-1]
    same = [d.id for d in said] == [d.id for d in again]
    promised(rule, "a rule remembers nothing: equal histories, equal decisions", same)


def _check_decision(rule: Rule, history: History, decision: Decision) -> None:
    promised(rule, "a decision carries run and step", decision.run == history.run, decision.run)
    promised(rule, "a decision carries run and step", decision.step == history.step, decision.step)
    promised(rule, "a decision is signed with the rule's name", decision.rule == rule.name, decision.rule)
    promised(rule, "only a person accepts a decision", not (decision.accepts or decision.by), decision)
    if decision.action == "continue" and not decision.reason:
        return
    promised(rule, "what is not a plain continue has a reason", bool(decision.reason.strip()), decision)
    records: tuple[Record, ...] = (*history.events, *history.readings)
    evidence = bool(decision.parents) and set(decision.parents) <= {record.id for record in records}
    promised(rule, "a decision's parents are its evidence in the history", evidence, decision.parents)


def _check_accepted(rule: Rule, history: History, decision: Decision) -> None:
    if decision.action == "continue":
        return
    accepted = Decision(
        run=history.run,
        step=history.step,
        action="continue",
        rule="acceptance",
        reason="seen",
        by="a person",
        accepts=decision.id,
    )
    after = rule(history._replace(decisions=(*history.decisions, decision, accepted)))
    if decision.action == "pause":
        again = after.action == "pause" and set(after.parents) <= set(decision.parents)
        promised(rule, "a pause that a person accepted does not come back on its evidence", not again, after)
    else:
        promised(rule, "a halt cannot be accepted away", after.action == "halt", after)


def histories(measured: str = "measure") -> list[History]:
    """Runs that are well, and runs with updates refused, a fault, rows missing, a measure that moved."""
    well = [an_event(step) for step in (1, 2, 3)]
    window = an_event(3, "window", rows=8.0, missing=1.0)
    lost = an_event(4, "window", rows=8.0, missing=7.0)
    refused = [an_event(4, applied=0.0, objective=math.inf), an_event(6, applied=0.0, objective=math.inf)]
    fault = an_event(4, "fault", "indicator x raised ValueError")
    base = a_reading(measured, 0, 0.5)
    moved = [
        a_reading(measured, step, 0.5 + change, change) for step, change in ((3, 0.0), (4, -0.45), (5, 5.0))
    ]
    silent = NotMeasured(run="run/stage", name=measured, step=5, reason="too few probes")
    return [
        a_history([*well, window], [base, moved[0]]),
        a_history([*well, window, lost], [base]),
        a_history([*well, refused[0]], [base]),
        a_history([*well, *refused], [base]),
        a_history([*well, fault], [base]),
        a_history(well, [base, *moved[:2]]),
        a_history(well, [base, *moved]),
        a_history(well, [base, moved[0], silent]),
    ]
