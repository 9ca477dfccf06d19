"""Rules in words, and where they bind: the line in a chart is where the rule itself acts."""

from __future__ import annotations

import pytest

from accord.part import Part
from accord.plan import Stage, read_plan
from accord.ports import History
from accord.records import Reading
from accord.reports.tolerances import InForce, bindings, rules_of, told_rule
from accord.rules import Fault, Fell, Grew, Missing, NonFinite, Rose, Unread, default_rules

PLAN = """
name = "p"
model = "m"
[[stage]]
name = "s"
windows = 1
source = {{ name = "offline", data = "d" }}
method = {{ name = "sft" }}
{rules}
"""


def reading(step: int, change: float, base: float = 0.8) -> Reading:
    value = base + change
    bounds = {"low": value, "high": value, "change_low": change, "change_high": change}
    return Reading(
        run="r", name="x", step=step, instrument="i", value=value, base=base, change=change, n=2, **bounds
    )


def stage_with(rules: str = "") -> Stage:
    return read_plan(PLAN.format(rules=rules)).stage[0]


def test_default_rules_are_all_told() -> None:
    told = rules_of(stage_with())
    assert [one.name for one in told] == [rule.name for rule in default_rules()]
    assert not any("its own documentation" in one.says for one in told)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (NonFinite(within=5), "a second one within 5 updates halts"),
        (Fault(), "an indicator raises"),
        (Missing(share=0.3), "more than 30 % of the rows"),
        (
            Fell(indicator="x", by=0.5),
            "pauses when the whole interval of x lies below the base by more than 50 %",
        ),
        (Fell(indicator="x", by=0.25, relative=False, action="halt"), "halts when"),
        (Rose(indicator="x", by=0.08, action="continue"), "warns when"),
        (
            Grew(indicator="x", times=3, least=0.25),
            "over 3 times its first value in training, and at least 0.25",
        ),
        (Unread(indicator="x"), "not any more"),
    ],
)
def test_a_rule_in_words(rule: Part, words: str) -> None:
    assert words in told_rule(rule)


def test_rules_of_a_plan_are_named_as_they_name_themselves() -> None:
    rules = (
        'guard = { rule = [{ name = "rose", indicator = "x", by = 0.1 }, '
        '{ name = "accord.rules:Fell", indicator = "x", by = 0.2 }, { name = "mine:Rule", k = 1 }, '
        '{ name = "rose" }] }'
    )
    told = rules_of(stage_with(rules))
    assert [one.name for one in told] == ["rose:x", "fell:x", "mine:Rule", "rose"]
    assert told[2].says == "mine:Rule (k = 1): acts as its own documentation says"


@pytest.mark.parametrize(
    "rule",
    [
        Rose(indicator="x", by=0.1),
        Fell(indicator="x", by=0.1),
        Fell(indicator="x", by=0.1, relative=False),
        Grew(indicator="x", times=2.0, least=0.3),
    ],
)
def test_the_line_is_where_the_rule_acts(rule: Rose | Fell | Grew) -> None:
    """A reading a little inside the line passes, one a little beyond it does not."""
    history = [reading(0, 0.0), reading(1, 0.0), reading(2, 0.0)]
    (binding,) = bindings([InForce("rule", "", rule)], "x", history)
    step, line = binding.at[-1]
    assert step == 2
    side = 1 if line > 0 else -1

    def acts(change: float) -> bool:
        readings = (*history[:2], reading(2, change))
        return bool(rule(History("r", 2, (), readings, ())).reason)

    assert acts(line + side * 1e-6)
    assert not acts(line - side * 1e-6)


def test_no_line_where_a_fall_is_undefined() -> None:
    (binding,) = bindings([InForce("", "", Fell(indicator="x", by=0.1))], "x", [reading(0, 0.0, base=0.0)])
    assert binding.at == ()
    assert bindings([InForce("", "", Fell(indicator="y", by=0.1))], "x", [reading(0, 0.0)]) == ()
