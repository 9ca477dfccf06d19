"""Probing: what is drawn, asked, taken off, remembered, and what an indicator may not say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import pytest

from accord.errors import ContractError
from accord.ports import How, Observed, Panelled, Sampler
from accord.probing import Prober, Sitting
from accord.records import Cost, NotMeasured, Prompt, Reading
from accord.records.panels import Item, Panel
from accord.records.rows import Group
from accord.testing import a_response
from accord.worker import Worker

PANEL = Panel("p", tuple(Item(Prompt.of(f"question {i}?"), slice="s") for i in range(10)))


class Model:
    """Nothing but a name and what it can; ``Told`` looks its outcomes up by that name."""

    def __init__(self, policy: str, *can: str) -> None:
        self.policy, self.can = policy, frozenset(can or ("logp",))


class Told:
    """An indicator whose outcomes are given by model and item, in as many draws as it says."""

    name: ClassVar[str] = "told"
    tier: ClassVar[str] = "page"
    panel: ClassVar[str] = "p"
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})
    config: ClassVar[str] = "c"
    share: ClassVar[float] = 1.0

    def __init__(self, outcomes: Mapping[str, Sequence[float | None]], draws: int = 1) -> None:
        self.outcomes, self.draws, self.asked = outcomes, draws, Counter[str]()
        self.criteria: tuple[str, ...] = ("x",)
        self.keys: list[str] = []

    def takes(self, item: Item) -> bool:
        return not item.prompt.text.endswith(" 9?")

    def cost(self, items: int, tokens: int) -> Cost:
        return Cost(calls=items, tokens_in=items * tokens)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        self.asked[sampler.policy] += len(items)
        self.keys.append(how.key)
        given = self.outcomes[sampler.policy]
        found = tuple(given[int(item.prompt.text.split()[1][:-1])] for item in items)
        said = tuple(Group(item.prompt, (a_response(item.prompt),)) for item in items)
        return Observed(dict.fromkeys(self.criteria, found), said, "letters", Cost(calls=len(items)))


def prober(worker: Worker, base: str = "base@0") -> Prober:
    return Prober("run/stage", {"p": PANEL}, Model(base), worker)  # type: ignore[arg-type]


def sitting(audit: int = 0, policy: str = "now@3", items: int = 200, *can: str) -> Sitting:
    return Sitting(audit, 3, Model(policy, *can), items)  # type: ignore[arg-type]


def only(prober: Prober, indicator: object, at: Sitting) -> Reading:
    (found,) = prober.read(indicator, at).readings  # type: ignore[arg-type]
    assert isinstance(found, Reading)
    return found


def test_the_port_is_recognised() -> None:
    assert isinstance(Told({}), Panelled)


def test_a_reading_holds_every_draw_with_the_bases_outcome_on_the_same_item() -> None:
    ours = [i / 10 for i in range(10)]
    told = Told({"now@3": ours, "base@0": [0.25] * 10})
    with Worker() as worker:
        found = only(prober(worker), told, sitting())
        said = prober(worker).read(told, sitting()).said  # type: ignore[arg-type]
    items = {item.id: i for i, item in enumerate(PANEL.items)}
    assert found.name == "told.x"
    assert len(found.items) == 200
    assert set(found.items) == {item.id for item in PANEL.items[:9]}, "the tenth it cannot take"
    assert found.outcomes == tuple(ours[items[i]] for i in found.items)
    assert set(found.anchors) == {0.25}
    assert (found.base, found.n) == (0.25, 9)
    assert found.value == pytest.approx(np.mean(found.outcomes))
    assert found.change == pytest.approx(found.value - 0.25)
    assert found.low <= found.value <= found.high
    assert len(said) == 18, "nine prompts, nine answers"
    assert set(found.parents) <= {record.id for record in said}


def test_each_audit_draws_anew_and_every_draw_is_as_likely() -> None:
    told = Told({"now@3": [0.0] * 10, "base@0": [0.0] * 10})
    with Worker() as worker:
        one, two, again = (only(prober(worker), told, sitting(audit)) for audit in (0, 1, 0))
    assert one.items != two.items
    assert one == again
    counts = Counter(one.items)
    assert max(counts.values()) < 45 and min(counts.values()) > 8, "200 draws of nine items"


def test_the_base_is_asked_once_for_an_item_and_as_often_as_is_drawn() -> None:
    told = Told({"now@3": [0.0] * 10, "base@0": [0.5] * 10}, draws=8)
    with Worker() as worker:
        mine = prober(worker)
        often = max(Counter(only(mine, told, sitting(0)).items).values())
        assert (told.asked["now@3"], told.asked["base@0"]) == (200, 72)  # an answer is for one draw
        assert len(set(told.keys)) == 8 + often, "eight draws of the base, and of the policy each its own"
        only(mine, told, sitting(1))
        assert told.asked["base@0"] == 72
        assert told.keys.count("run/stage/told/1") == 1


def test_anchors_of_earlier_readings_are_kept_to_the_bit() -> None:
    before, after = Told({"now@3": [0.0] * 10, "base@0": [1 / 3] * 10}), Told({"now@3": [0.0] * 10})
    with Worker() as worker:
        first = only(prober(worker), before, sitting(0))
        resumed = prober(worker)
        resumed.remember([first])
        assert only(resumed, after, sitting(1)).anchors == first.anchors


def test_what_nobody_judged_is_the_adverse_end_and_is_told() -> None:
    told = Told({"now@3": [None] + [0.0] * 9, "base@0": [None] * 5 + [0.5] * 5})
    with Worker() as worker:
        found = only(prober(worker), told, sitting())
    first = PANEL.items[0].id
    assert found.unjudged == tuple(i for i, item in enumerate(found.items) if item == first)
    assert {found.outcomes[i] for i in found.unjudged} == {1.0}
    low = {item.id for item in PANEL.items[:5]}
    assert found.anchors == tuple(0.0 if item in low else 0.5 for item in found.items)


def test_a_model_that_cannot_be_asked_is_not_measured() -> None:
    told = Told({"now@3": [0.0] * 10, "base@0": [0.0] * 10})
    with Worker() as worker:
        (found,) = prober(worker).read(told, sitting(0, "now@3", 200, "sample")).readings  # type: ignore[arg-type]
        assert isinstance(found, NotMeasured) and found.reason == "the model gives no logp"
        none = Prober("run/stage", {"p": Panel("p", PANEL.items[9:])}, Model("base@0"), worker)  # type: ignore[arg-type]
        (found,) = none.read(told, sitting()).readings  # type: ignore[arg-type]
        assert isinstance(found, NotMeasured) and found.reason == "no item of p fits it"


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_an_outcome_outside_the_unit_interval_breaks_the_contract(wrong: float) -> None:
    told = Told({"now@3": [wrong] * 10, "base@0": [0.0] * 10})
    with Worker() as worker, pytest.raises(ContractError, match="one outcome in"):
        only(prober(worker), told, sitting())


def test_instruments_differ_by_panel_and_config() -> None:
    told = Told({"now@3": [0.0] * 10, "base@0": [0.0] * 10})
    with Worker() as worker:
        one = only(prober(worker), told, sitting())
        fewer = Prober("run/stage", {"p": Panel("p", PANEL.items[:5])}, Model("base@0"), worker)  # type: ignore[arg-type]
        assert only(fewer, told, sitting()).instrument != one.instrument
