"""What a crossing cannot ask again, and says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from accord.redrawing import Uncheckable, _indicator


def place(*names: str) -> Any:
    guard = SimpleNamespace(indicator=[{"name": name} for name in names])
    return SimpleNamespace(located=lambda: SimpleNamespace(guard=guard))


def test_what_the_base_has_to_read_is_not_searched() -> None:
    with pytest.raises(Uncheckable, match="base’s eyes"):
        _indicator(place("sycophancy", "greedy_rank"), "greedy_rank.beyond")
    assert _indicator(place("greedy_rank", "wide_diversity"), "wide_diversity.alike").name == "wide_diversity"
