"""The guard's part: indicators against the base, rules in force, what was decided and by whom."""

from __future__ import annotations

from accord.records import Decision, NotMeasured, Reading
from accord.release import RULE
from accord.reports.document import Audited, Decided, Guarded, Measured, NoReading
from accord.reports.logs import StageLog
from accord.reports.tolerances import InForce, bindings, rules_of
from accord.reports.words import counted

__all__ = ["guard_of"]

# What an indicator is called and says; those of other packages go by their names.
_TITLES = {
    "reverse_kl": (
        "Reverse KL",
        "how far the policy has moved from the base, estimated on its own answers to the probes; the base’s "
        "own is 0",
    ),
    "base_rank": (
        "Base-rank shift",
        "how many of the policy’s tokens are not among the base’s most probable ones, against the same of "
        "the base’s own answers",
    ),
    "diversity": (
        "Per-input diversity",
        "how much several answers to one probe differ in their words (EAD); lower is more alike",
    ),
}

_ELSEWHERE = ("eval.", "held_out.", "versus.", f"{RULE}.")  # readings that are not the guard's


def guard_of(log: StageLog) -> Guarded:
    """Everything the guard measured and decided in a stage."""
    rules = rules_of(log.stage)
    own = [one for one in log.readings if not one.name.startswith(_ELSEWHERE)]
    gaps = [one for one in log.not_measured if not one.name.startswith(("eval.", "versus.", f"{RULE}."))]
    names = dict.fromkeys([one.name for one in own] + [one.name for one in gaps])
    decisions = [_decided(log, one) for one in log.decisions]
    table = log.stage.guard
    return Guarded(
        audits=len({one.step for one in [*own, *gaps]}),
        probes=table.probes,
        answers=table.answers,
        says=_said(log),
        indicators=tuple(_measured(log, name, rules) for name in names),
        rules=tuple((rule.name, rule.says) for rule in rules),
        decisions=tuple(one for one in decisions if one.rule != "acceptance"),
        acceptances=tuple(one for one in decisions if one.rule == "acceptance"),
    )


def _measured(log: StageLog, name: str, rules: list[InForce]) -> Measured:
    readings = [one for one in log.readings if one.name == name]
    audited = tuple(_audited(log, one) for one in readings)
    missing = [one for one in log.not_measured if one.name == name]
    title, says = _TITLES.get(name, (name, ""))
    unit = readings[0].unit if readings else ""
    start = next((one for one in audited if one.step == 0), None)
    of_result = [one for one in audited if one.step == log.kept] or list(audited)
    return Measured(
        name=name,
        title=title,
        says=says,
        unit=unit,
        share=unit.startswith("share"),
        readings=audited,
        missing=tuple(_no_reading(one) for one in missing),
        bindings=bindings(rules, name, readings),
        # Only there is the policy its own base, so that what it differs by is chance alone.
        floor=start if log.from_base else None,
        last=of_result[-1] if of_result and of_result[-1].step > 0 else None,
    )


def _audited(log: StageLog, reading: Reading) -> Audited:
    return Audited(
        step=reading.step,
        value=reading.value,
        low=reading.low,
        high=reading.high,
        base=reading.base,
        change=reading.change,
        change_low=reading.change_low,
        change_high=reading.change_high,
        n=reading.n,
        instrument=reading.instrument,
        record=reading.id,
        place=log.place(reading.id),
    )


def _no_reading(one: NotMeasured) -> NoReading:
    return NoReading(one.step, one.reason, one.id)


def _decided(log: StageLog, decision: Decision) -> Decided:
    answer = next((one for one in log.decisions if one.accepts == decision.id), None)
    return Decided(
        step=decision.step,
        action="test" if decision.rule == RULE else _action(decision),
        rule=decision.rule,
        reason=decision.reason,
        by=decision.by,
        answer=f"accepted by {answer.by}: {answer.reason}" if answer else "",
        record=decision.id,
        place=log.place(decision.id),
        evidence=decision.parents,
    )


def _action(decision: Decision) -> str:
    return "warning" if decision.action == "continue" and not decision.by else decision.action


def _said(log: StageLog) -> str:
    """What the guard did, in a sentence that promises nothing."""
    if log.view is None:
        return "The guard has not looked yet."
    rules = [one for one in log.decisions if one.rule not in ("acceptance", RULE)]
    stops = [one for one in rules if one.action != "continue"]
    warnings = len(rules) - len(stops)
    did = [
        counted(sum(one.action == action for one in stops), action)
        for action in ("pause", "halt")
        if any(one.action == action for one in stops)
    ]
    said = f"No page; {' and '.join(did) or 'no rule stopped the run'}, {counted(warnings, 'warning')}."
    return (
        f"{said.replace('0 warnings', 'no warning')} The smallest shift it would have seen was not measured."
    )
