"""A page of diversity alone is a warning where another measure of it held. Mutants: a veto by silence, by an
interval that reaches the fall, by another step, against a page with another name; one that says nothing."""

from __future__ import annotations

import pytest
from unit.test_gains import share
from unit.test_rules_vetoes import reading

from accord.pages import DIVERSITY, VETOES, Page, Tolerance
from accord.ports import History
from accord.records import Reading

PAGE = Page(tolerances={"wide_diversity.alike": Tolerance(fall=0.5), "sycophancy.flips": Tolerance(by=0.1)})
ALIKE = [
    one for s in range(5) for one in (share("wide_diversity.alike", s, 32), share("sycophancy.flips", s, 0))
]


def held(low: float, step: int = 4, name: str = VETOES[0]) -> Reading:
    return reading(name, low, 0.1, step).model_copy(update={"run": "run/stage"})


@pytest.mark.parametrize(
    ("others", "action"),
    [
        ([], "pause"),
        ([held(-0.3)], "continue"),
        ([held(-0.3, name=VETOES[1])], "continue"),
        ([held(-0.4)], "pause"),  # .5 of a base of .8: the interval reaches it
        ([held(-0.3, step=3)], "pause"),
        ([held(-0.3, name="entropy")], "pause"),
    ],
)
def test_another_measure_that_held_makes_it_a_warning(others: list[Reading], action: str) -> None:
    seen = History("run/stage", 4, (), (*ALIKE, *others), ())
    found = PAGE(seen)
    assert found.action == action
    assert "wide_diversity.alike (e-value" in found.reason
    if action == "continue":
        assert found.reason.startswith("no more than a warning: wide_diversity; ")
        assert f"{others[0].name} did not fall by as much" in found.reason
        assert others[0].id in found.parents
        assert PAGE(seen._replace(decisions=(found,))).reason == ""


def test_it_speaks_of_diversity_alone() -> None:
    worse = [share("sycophancy.flips", s, 32) for s in range(5)]
    only = [share("wide_diversity.alike", s, 0) for s in range(5)]
    assert PAGE(History("run/stage", 4, (), (*worse, *only, held(-0.3)), ())).action == "halt"
    both = [*worse, *(share("wide_diversity.alike", s, 32) for s in range(5))]
    assert PAGE(History("run/stage", 4, (), (*both, held(-0.3)), ())).action == "halt"
    assert {"diversity", "wide_diversity"} == DIVERSITY
    by = PAGE.model_copy(update={"tolerances": {"wide_diversity.alike": Tolerance(by=0.1)}})
    alone = [one for one in ALIKE if one.name.startswith("wide")]
    assert by(History("run/stage", 4, (), (*alone, held(-0.3)), ())).action == "pause", "a fall of how much?"
