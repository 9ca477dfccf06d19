"""What the tests of the command line share: a folder with a plan and a run, and stand-ins."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PLAN = """
name = "x"
model = "m"
[[stage]]
name = "a"
windows = 5
source = { name = "rollouts" }
method = { name = "best_of_n" }
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    Path("plan.toml").write_text(PLAN)
    Path("runs/x-1").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Puts a function in the place of ``module.name``; returns the list of its calls."""

    def put(place: str, result: object = None, then: Callable[[], object] | None = None) -> list[Any]:
        module, _, name = place.rpartition(".")
        calls: list[Any] = []

        def called(*positional: Any, **named: Any) -> object:
            calls.append((positional, named))
            if then:
                then()
            if isinstance(result, BaseException):
                raise result
            return result

        stand_in = sys.modules.get(module)
        if stand_in is None or stand_in.__spec__ is not None:
            stand_in = ModuleType(module)
            monkeypatch.setitem(sys.modules, module, stand_in)
        monkeypatch.setattr(stand_in, name, called, raising=False)
        return calls

    return put
