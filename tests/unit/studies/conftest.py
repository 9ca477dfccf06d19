"""A study of coins, in the catalogue for one test."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.studies.coins import TOML, Coins

import accord.studies
from accord import catalog


@pytest.fixture
def coins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where its runs lie; it is in the catalogue, and its TOML ships."""
    shipped = accord.studies._toml  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setitem(catalog.STUDIES, "coins", "unit.studies.coins:Coins")
    monkeypatch.setattr(accord.studies, "_toml", lambda name: TOML if name == "coins" else shipped(name))
    monkeypatch.setattr(Coins, "faults", {})
    return tmp_path / "runs"
