"""bench/feedback/page.py: every judgment is in the figures, and a ratio above the bar is told."""

from __future__ import annotations

from typing import Any

import pytest
from feedback import aggregation, page


def test_figures_are_timed_at_both_sizes_and_held_to_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = page.measured((60, 300))
    assert [row.bar != "–" for row in rows] == [True, False, False, False]
    assert all(row.value > 0 for row in rows)
    times = iter([(0.1, 0.1, 0.1), (0.1, 0.1, 0.1), (1.0, 2.2, 0.1)])
    monkeypatch.setattr(page, "_taken", lambda *_: next(times))
    slow: Any = page.measured((10, 20))
    assert slow[0].value == pytest.approx(16.0)
    assert not slow[0].holds
    assert "DIFFERS" in aggregation.table(slow)
