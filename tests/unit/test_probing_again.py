"""What is drawn twice at one look is answered twice, where answers are drawn at all.

Kills: one answer for all draws of an item, or for all items of a prompt, which an e-value would take for as
many answers; with six items a run without any change is then paged nearly always.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from unit.test_probing import Model, only, sitting

from accord.maths.sequential import e_process
from accord.ports import How, Observed, Sampler
from accord.probing import Prober
from accord.records import Cost, Prompt
from accord.records.panels import Item, Panel
from accord.records.rows import Group
from accord.sources import seeded
from accord.testing import a_response
from accord.worker import Worker

PANEL = Panel("p", tuple(Item(Prompt.of(f"question {i}?")) for i in range(6)))


class Chance:
    """Adverse three times in ten, whoever answers; a draw follows from the key and the prompt alone."""

    name: ClassVar[str] = "chance"
    tier: ClassVar[str] = "page"
    panel: ClassVar[str] = "p"
    criteria: ClassVar[tuple[str, ...]] = ("x",)
    wants: ClassVar[frozenset[str]] = frozenset({"logp"})
    config: ClassVar[str] = "c"
    share: ClassVar[float] = 1.0

    def __init__(self, draws: int = 8) -> None:
        self.draws, self.asked = draws, list[tuple[str, str]]()

    def takes(self, item: Item) -> bool:
        return True

    def cost(self, items: int, tokens: int) -> Cost:
        return Cost(calls=items, tokens_in=items * tokens)

    async def observe(self, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        self.asked += [(how.key, item.prompt.id) for item in items if sampler.policy != "base@0"]
        if sampler.policy == "base@0":
            found = tuple(0.3 for _ in items)
        else:
            found = tuple(float(seeded(how.key, item.prompt.id).random() < 0.3) for item in items)
        said = tuple(Group(item.prompt, (a_response(item.prompt),)) for item in items)
        return Observed({"x": found}, said, "letters", Cost(calls=len(items)))


def prober(run: str, worker: Worker, panel: Panel = PANEL) -> Prober:
    return Prober(run, {"p": panel}, Model("base@0"), worker)  # type: ignore[arg-type]


@pytest.mark.parametrize(("draws", "asked"), [(8, 40), (1, 6)])
def test_answers_are_drawn_for_each_draw_and_facts_read_once(draws: int, asked: int) -> None:
    told = Chance(draws)
    with Worker() as worker:
        found = only(prober("run/stage", worker), told, sitting(items=40))
    assert len(told.asked) == len(set(told.asked)) == asked
    assert (len(found.items), found.n, found.cost.calls) == (40, 6, asked)
    of = {
        item: {x for one, x in zip(found.items, found.outcomes, strict=True) if one == item}
        for item in found.items
    }
    assert (max(map(len, of.values())) == 2) == (draws > 1)


def test_items_of_one_prompt_are_answered_apart_too() -> None:
    same = Panel("p", tuple(Item(PANEL.items[0].prompt, answer=f"{i}") for i in range(6)))
    told = Chance()
    with Worker() as worker:
        only(prober("run/stage", worker, same), told, sitting(items=40))
    assert len(set(told.asked)) == 40


def test_a_small_panel_keeps_the_chance_of_a_false_page() -> None:
    """Nothing has changed; at most 1 run in 20 may page at a threshold of 20. 20 runs of 10 looks."""
    pages = 0
    with Worker() as worker:
        for run in range(20):
            mine = prober(f"run/{run}", worker)
            read = [only(mine, Chance(), sitting(audit, items=32)) for audit in range(10)]
            deltas = [np.array(one.outcomes) - np.array(one.anchors) for one in read]
            pages += bool((e_process(deltas, 0.0) >= 20).any())
    assert pages <= 3
