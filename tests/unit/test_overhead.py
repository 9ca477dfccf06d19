"""What watching costs: every part is timed, on the guard that a plan has by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from accord import overhead as module
from accord.overhead import Overhead, overhead
from accord.plan import GuardTable
from accord.testing import save_tiny


def test_ratios_are_shares_of_a_step() -> None:
    spent = Overhead(step=10.0, between=0.1, audit=15.0, new=20.0, first=30.0)
    assert spent.ratios == {"between_share": 0.01, "audit_share": 1.5, "new_share": 2.0}


def test_every_part_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GuardTable", lambda: GuardTable(probes=2, answers=2, max_tokens=4, items=2))
    found = cast("dict[str, Any]", overhead(str(save_tiny(tmp_path / "tiny")), rounds=1))
    assert found["model"] == "tiny" and found["rounds"] == 1
    assert min(found[name] for name in ("step", "between", "audit", "new", "first")) > 0
    assert found["audit_share"] == pytest.approx(found["audit"] / found["step"])
