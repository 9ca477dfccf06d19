"""The rows of bench/feedback/aggregation.py: what counts as designed, and that a wrong figure does not."""

from __future__ import annotations

import numpy as np
import pytest
from feedback import aggregation


def test_the_minority_keeps_its_mass_under_distribution_and_not_under_majority() -> None:
    rows = {row.name: row for row in aggregation.minority(sims=3, seed=0)}
    assert len(rows) == 4
    kept = [row for row in rows.values() if row.bar != "–"]
    assert all(row.holds and "distribution" in row.name and abs(row.value - 1) <= 0.1 for row in kept)
    assert min(row.value for row in rows.values()) < 0.5


def test_ratings_are_covered_and_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregation, "RATERS", [(24, 20)])
    rows = aggregation.cover_ratings(sims=20, seed=0)
    assert [row.name.split(", ")[-1] for row in rows] == ["ends", "neighbours"]
    assert all(row.low < row.value <= row.high for row in rows)
    assert aggregation.table(rows).count("as designed") == 2
    # Truths moved by two: no interval holds them, and the row says so.
    monkeypatch.setattr(aggregation, "everybody", lambda rng: 3 * aggregation.ITEMS)
    wrong = aggregation.cover_ratings(sims=20, seed=0)[0]
    assert not wrong.holds
    assert "DIFFERS" in aggregation.table([wrong])


def test_labels_of_opposed_groups_are_disputed_where_they_should_be() -> None:
    labels = aggregation._disputed(aggregation.DISPUTE, np.random.default_rng(0), votes=400)
    p = {(int(i), int(j)): p for i, j, p in zip(labels.first_V, labels.second_V, labels.p_V, strict=True)}
    assert p[0, 3] < 0.05
    assert p[4, 5] == pytest.approx(0.5, abs=0.1)
    assert p[0, 4] == pytest.approx(0.5, abs=0.1)
