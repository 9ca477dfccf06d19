"""The methods as a list: complete, true to the classes, and whole where other packages bring methods."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest
from pydantic import Field

from accord import catalog, method_book
from accord.catalog import METHODS
from accord.errors import PlanError
from accord.method_book import GROUPS, GUIDE, described, listed
from accord.methods.sft import SFT
from accord.recipe_book import RECIPES

HERE = "method_book_parts"


class Patient(SFT):
    """Raise answers slowly."""

    patience: int = Field(default=3, ge=1)


class Fussy(SFT):
    """Raise answers of one flavour."""

    flavour: str


def test_every_method_of_the_catalogue_has_a_line_and_no_line_is_left_over() -> None:
    assert GUIDE.keys() == METHODS.keys()
    assert [one.name for one in listed()][: len(METHODS)] == sorted(
        METHODS, key=lambda name: (GROUPS.index(GUIDE[name].group), list(GUIDE).index(name))
    )


@pytest.mark.parametrize("name", METHODS)
def test_what_the_guide_says_agrees_with_the_class(name: str) -> None:
    advice, one = GUIDE[name], next(one for one in listed() if one.name == name)
    assert advice.moves.startswith(("raises only", "none")) is not one.pushes_down
    assert ("own" in advice.rows) is (one.by == "policy") or "inner" in advice.rows
    assert ("pair" in advice.rows) is (one.unit == "pair") or "inner" in advice.rows
    assert advice.group in GROUPS
    for text in (advice.use, advice.rows, advice.moves):
        assert text and not text.endswith(".") and text[0].islower()
    assert one.does.endswith("."), "the first line of the class's docstring"


@pytest.mark.parametrize("name", METHODS)
def test_one_method_is_told_in_full(name: str) -> None:
    one, kind = described(name), catalog.find("methods", name)
    assert [setting.name for setting in one.settings] == list(kind.model_fields)  # type: ignore[attr-defined]
    for setting in one.settings:
        assert setting.takes
        assert setting.needed == kind.model_fields[setting.name].is_required()  # type: ignore[attr-defined]
    assert one.about.splitlines()[0] == sys.modules[kind.__module__].__doc__.splitlines()[0]  # type: ignore[union-attr]
    assert "Deliberate differences" not in one.about
    needs = catalog.build("methods", {"name": name, **GUIDE[name].example}).needs()  # type: ignore[attr-defined]
    assert all(any(line.startswith(f"{column}:") for line in one.measured) for column in needs.columns)
    assert any("critic" in line for line in one.measured) is needs.critic


@pytest.mark.parametrize("name", METHODS)
def test_the_example_works(name: str) -> None:
    example = described(name).example
    if name in RECIPES:
        command = example.splitlines()[0].split()
        assert command[:3] == ["accord", "run", name]
        method: Any = catalog.build("methods", {"name": name, **GUIDE[name].example})
        assert ("--reward" in command) is (RECIPES[name].answers and not method.needs().reads)
        assert all(f"method.{key}={value}" in command for key, value in GUIDE[name].example.items())
        return
    table = "\n".join(line for line in example.splitlines() if not line.startswith("accord "))
    stage: Any = tomllib.loads(table)["stage"]
    assert catalog.build("methods", stage["method"])


def test_settings_are_told_in_words() -> None:
    found = {one.name: one for one in described("grpo").settings}
    assert found["n"] == ("n", "a whole number, at least 2", 8, False)
    assert found["kl"].takes == '"reward" or "loss"'
    assert found["clip"].takes == "a number, more than 0, less than 1"
    assert (found["clip_high"].default, found["clip_high"].needed) == (None, False)
    (inner, *_) = described("constrained").settings
    assert (inner.name, inner.needed) == ("inner", True)
    assert "table" in inner.takes


def test_an_unknown_name_says_the_nearest() -> None:
    with pytest.raises(PlanError, match='did you mean "grpo"'):
        described("gpro")


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])
    parts = {"patient": "Patient", "fussy": "Fussy", "broken": "Nobody", "sft": "Patient"}
    points = EntryPoints(EntryPoint(name, f"{HERE}:{kind}", "accord.methods") for name, kind in parts.items())
    for module in (catalog, method_book):
        monkeypatch.setattr(module, "entry_points", lambda **wanted: points.select(**wanted))


def test_methods_of_other_packages_come_last_and_none_hides_the_list(plugged: None) -> None:
    others = listed()[len(METHODS) :]
    assert [one.name for one in others] == ["broken", "fussy", "patient"], "a shipped name is not taken over"
    broken, fussy, patient = others
    assert "it cannot be imported" in broken.problem
    assert (fussy.does, fussy.problem) == ("Raise answers of one flavour.", "it needs settings: flavour")
    assert (patient.moves, patient.rows, patient.problem) == ("raises only", "answers in the data", "")


def test_one_of_another_package_is_told_in_full(plugged: None) -> None:
    one = described("patient")
    assert next(s for s in one.settings if s.name == "patience").takes == "a whole number, at least 1"
    assert tomllib.loads(one.example) == {"stage": {"method": {"name": "patient"}}}
    assert described("fussy").settings[-1] == ("flavour", "text", None, True)
    assert described(f"{HERE}:Patient").does == "Raise answers slowly."
    with pytest.raises(PlanError, match='did you mean "patient"'):
        described("patent")


def test_nothing_of_it_needs_torch() -> None:
    code = "import sys; from accord.method_book import *; [described(one.name) for one in listed()]"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
