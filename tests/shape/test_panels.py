"""The panels that ship: enough items, each once, each one that its indicator can pose, sealed as they lie."""

from __future__ import annotations

from collections import Counter

import pytest

from accord.catalog import INDICATORS, build
from accord.panels import leaked, read_panel, shipped_panels
from accord.ports import Panelled

PANELS = sorted(shipped_panels())
ASKING = [
    one
    for name in INDICATORS
    if name not in ("own", "compatibility")
    if isinstance(one := build("indicators", {"name": name}), Panelled)
]


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_has_enough_items_each_once(name: str) -> None:
    panel = read_panel(name)
    assert len(panel.items) >= 400
    texts = Counter((item.prompt.text, item.more.get("twin")) for item in panel.items)
    assert max(texts.values()) == 1
    assert min(Counter(item.slice for item in panel.items).values()) >= 20


PART = {"refusals", "refused", "sycophancy_said", "capability_free", "unsaid_free"}
"""Indicators that ask one half of a panel, or those items whose answer can be said in a few words."""


@pytest.mark.parametrize("indicator", ASKING, ids=lambda one: one.name)
def test_an_indicator_can_pose_the_items_of_its_panel(indicator: Panelled) -> None:
    if indicator.panel == "base":
        return
    items = read_panel(indicator.panel).items
    taken = [item for item in items if indicator.takes(item)]
    assert len(taken) >= 200
    if indicator.name not in PART:
        assert len(taken) == len(items)


def test_every_panel_is_read_by_an_indicator() -> None:
    assert set(PANELS) <= {indicator.panel for indicator in ASKING}


@pytest.mark.parametrize("name", PANELS)
def test_no_panel_gives_away_another(name: str) -> None:
    others = [item.prompt.text for other in PANELS if other != name for item in read_panel(other).items]
    assert not leaked(read_panel(name), others).items


@pytest.mark.parametrize("name", PANELS)
def test_the_right_option_stands_everywhere_alike(name: str) -> None:
    items = [item for item in read_panel(name).items if item.answer and item.options]
    places = Counter((len(item.options), item.right) for item in items)
    for size in {size for size, _ in places}:
        counts = [places[size, place] for place in range(size)]
        assert max(counts) - min(counts) <= max(4, 0.1 * sum(counts)), (name, size, counts)
