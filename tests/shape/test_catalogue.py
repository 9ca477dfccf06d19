"""The catalogue is complete: every name resolves, every part has a name, every shipped plan loads."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from shape import tree

from accord.catalog import CATALOG, check, find
from accord.part import Part
from accord.plan import read_plan

NAMES = [(group, name) for group, names in CATALOG.items() for name in names]
LAYER_2 = ("methods", "overseers", "asks", "indicators", "worlds")
# Parts of plans that the steward writes itself, where they stand as module:Class; and a table of a call.
STEWARDS = {
    "accord.steward.anchored:Anchored",
    "accord.steward.approved:Approved",
    "accord.steward.effort:Effort",
    "accord.steward.mixing:Mixed",
    "accord.steward.reviser:Reviser",
}
PLANS = sorted((tree.SRC / "data" / "plans").glob("**/*.toml"))


def parts(path: Path) -> list[str]:
    """``module:Class`` of the parts that a file defines and does not keep to itself."""
    module = ".".join(path.relative_to(tree.SRC.parent).with_suffix("").parts).removesuffix(".__init__")
    found = [n for n in tree.syntax(path).body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    bases = {n.name: {ast.unparse(base) for base in n.bases} for n in found}
    return [f"{module}:{name}" for name, of in bases.items() if "Part" in of and "ABC" not in of]


@pytest.mark.parametrize(("group", "name"), NAMES)
def test_a_name_leads_to_a_class_with_a_contract(group: str, name: str) -> None:
    kind = find(group, name)
    assert kind.__name__.lstrip("_")[0].isupper()
    assert (inspect.getdoc(kind) or "").strip(), f"{kind} has no docstring"
    if group != "stores":
        assert issubclass(kind, Part), f"{kind} has no settings that a plan could name"


def test_names_are_sorted_and_speak_the_plan_s_language() -> None:
    for group, names in CATALOG.items():
        assert list(names) == sorted(names), group
        assert all(name.replace("_", "").isalnum() and name.islower() for name in names), group


def test_every_part_is_in_the_catalogue() -> None:
    named = {target for names in CATALOG.values() for target in names.values()}
    shipped = [p for p in tree.sources("src") if "testing" not in p.parts]
    missing = [part for path in shipped for part in parts(path) if part not in named]
    # A part may be exported by its package and catalogued there (accord.engines.local:Local).
    exported = {(t.partition(":")[0], t.partition(":")[2]) for t in named}
    missing = [
        m for m in missing if not any(m.startswith(f"{at}.") and m.endswith(f":{n}") for at, n in exported)
    ]
    # Judges, players and tables of a study are its own; the studies themselves are known by their settings.
    missing = [m for m in missing if m not in STEWARDS and not m.startswith("accord.studies.")]
    assert not missing, "parts that no catalogue line names: " + ", ".join(missing)


def test_every_study_that_ships_its_settings_is_in_the_catalogue() -> None:
    settled = {path.stem for path in (tree.SRC / "studies").glob("*.toml")}
    assert settled == CATALOG["studies"].keys()


@pytest.mark.parametrize("folder", LAYER_2)
def test_each_file_of_layer_2_is_a_part_with_a_header(folder: str) -> None:
    for path in sorted((tree.SRC / folder).glob("*.py")):
        header = ast.get_docstring(tree.syntax(path)) or ""
        assert len(header) > 60, f"{tree.place(path)} does not say what it is"
        if path.name == "__init__.py":
            continue
        assert parts(path), f"{tree.place(path)} defines no part"
        named = [*CATALOG[folder].values(), *(CATALOG["tasks"].values() if folder == "worlds" else ())]
        assert f"{folder}.{path.stem}:" in " ".join(named), tree.place(path)


@pytest.mark.parametrize("package", sorted(p.parent for p in tree.sources("src") if p.name == "__init__.py"))
def test_each_package_says_what_lives_in_it(package: Path) -> None:
    assert ast.get_docstring(tree.syntax(package / "__init__.py")), tree.place(package)


@pytest.mark.parametrize("file", PLANS, ids=lambda p: p.name)
def test_a_shipped_plan_loads_and_checks(file: Path) -> None:
    plan = read_plan(file)
    check(plan)
    assert read_plan(plan.toml()) == plan


def test_plans_are_shipped() -> None:
    assert PLANS, "no plan in src/accord/data/plans"
