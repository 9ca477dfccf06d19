"""The catalogue: names into classes, tables into parts, mistakes into PlanErrors with the whole path."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Literal

import pytest
from pydantic import ConfigDict, Field, SkipValidation, model_validator

from accord import catalog
from accord.asks.each import Each
from accord.errors import ContractError, PlanError
from accord.methods.best_of_n import BestOfN
from accord.overseers.program import Program
from accord.part import Part
from accord.plan import PartTable, Plan, read_plan
from accord.ports import Overseer
from accord.records import Kind

HERE = "test_catalog_parts"
TEXT = """
name = "x"
model = "m"
[[stage]]
name = "a"
windows = 1
source = { name = "rollouts", prompts = "short-questions" }
method = { name = "best_of_n", n = 4 }
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "program", fn = "accord.overseers.program:brief" }
"""


class Twice(Part):
    """An overseer made of overseers."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    leaf: SkipValidation[Overseer]
    others: tuple[SkipValidation[Overseer], ...] = ()

    @property
    def answers(self) -> frozenset[Kind]:
        return self.leaf.answers


class Picky(Part):
    """A method with settings of every kind."""

    mode: Literal["soft", "hard"] = "soft"
    share: float = Field(default=0.5, ge=0, le=1)
    on: bool = False
    limits: tuple[int, ...] = ()
    by_name: dict[str, int] = {}
    either: int | str | None = None

    @model_validator(mode="after")
    def _fits(self) -> Picky:
        if self.on and self.mode == "soft":
            raise ValueError("on needs mode hard")
        return self


class Blunt:
    """No settings."""


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


def failing(group: str, table: dict[str, object]) -> PlanError:
    with pytest.raises(PlanError) as caught:
        catalog.build(group, table, "stage[0].method")  # type: ignore[arg-type]
    return caught.value


def test_a_shipped_name_and_a_class_path_lead_to_the_class() -> None:
    assert catalog.find("methods", "best_of_n") is BestOfN
    assert catalog.find("methods", f"{HERE}:Picky") is Picky


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("best_off_n", 'did you mean "best_of_n"?'),
        ("nowhere:X", "No module named 'nowhere'"),
        (f"{HERE}:Pickj", 'did you mean "Picky"?'),
        (f"{HERE}:failing", "has no class 'failing'"),
        (":X", "Empty module name"),
    ],
)
def test_an_unknown_name_says_what_there_is(name: str, says: str) -> None:
    with pytest.raises(PlanError) as caught:
        catalog.find("methods", name, "stage[0].method.name")
    assert caught.value.path == "stage[0].method.name"
    assert caught.value.value == name
    assert says in str(caught.value)
    if ":" not in name:
        assert f"{', '.join(sorted(catalog.METHODS))}; or module:Class" in caught.value.allowed


def test_a_module_that_lacks_its_own_needs_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy_part.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PlanError, match="a_package_nobody_has'; needy_part needs it"):
        catalog.find("methods", "needy_part:X")


def test_plug_ins_are_loaded_when_named_and_cannot_take_a_shipped_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    points = EntryPoints(EntryPoint(name, f"{HERE}:Picky", "accord.methods") for name in ("picky", "sft"))

    def entry_points(*, group: str, name: str) -> EntryPoints:
        asked.append(name)
        return points.select(group=group, name=name)

    monkeypatch.setattr(catalog, "entry_points", entry_points)
    assert catalog.find("methods", "picky") is Picky
    assert catalog.find("methods", "sft").__module__ == "accord.methods.sft"
    assert asked == ["picky"]


def test_a_table_becomes_its_part() -> None:
    part = catalog.build("methods", PartTable(name="best_of_n", settings={"n": 4}))
    assert part == BestOfN(n=4)
    ask = read_plan(TEXT).stage[0].ask[0]
    assert catalog.build("asks", ask) == Each(column="score", collapse="distribution")
    assert catalog.build("overseers", ask.overseer) == Program(fn="accord.overseers.program:brief")
    limits = catalog.build("methods", {"name": f"{HERE}:Picky", "limits": [1, 2], "share": 1, "either": "x"})
    assert limits == Picky(limits=(1, 2), share=1.0, either="x")


@pytest.mark.parametrize(
    ("settings", "path", "allowed", "advice"),
    [
        ({"mod": "soft"}, "mod", "by_name, either, limits, mode, on, share", 'did you mean "mode"?'),
        ({"zzzzz": 1}, "zzzzz", "by_name", "leave it out"),
        ({"mode": "hrad"}, "mode", '"soft" or "hard"', 'did you mean "hard"?'),
        ({"share": 2}, "share", "a number, at least 0, at most 1", ""),
        ({"share": "0.5"}, "share", "a number, at least 0", ""),
        ({"share": True}, "share", "a number", ""),
        ({"share": []}, "share", "a number, at least 0", ""),
        ({"on": 1, "mode": "hard"}, "on", "true or false", ""),
        ({"on": "yes", "mode": "hard"}, "on", "true or false", ""),
        ({"limits": [1, "x"]}, "limits[1]", "a whole number", ""),
        ({"limits": 3}, "limits", "a list; each item: a whole number", ""),
        ({"by_name": {"a": "x"}}, "by_name.a", "a whole number", ""),
        ({"either": [1]}, "either", "", ""),
        ({"on": True}, "", "on needs mode hard", ""),
    ],
)
def test_settings_that_do_not_fit_are_told_at_their_place(
    settings: dict[str, object], path: str, allowed: str, advice: str
) -> None:
    error = failing("methods", {"name": f"{HERE}:Picky", **settings})
    assert error.path == f"stage[0].method.{path}".rstrip(".")
    assert allowed in error.allowed
    assert advice in error.advice


def test_a_missing_setting_lists_what_it_may_be() -> None:
    error = failing("asks", {"name": "each", "column": "score"})
    assert error.path == "stage[0].method.collapse"
    assert error.allowed == '"distribution", "majority", "per_group" or "quantile"'
    assert "no default" in error.advice


def test_a_bare_table_without_a_name_is_told_at_its_place() -> None:
    assert failing("methods", {"n": 4}).path == "stage[0].method.name"


def test_a_class_without_settings_is_no_part() -> None:
    with pytest.raises(ContractError, match="fields are its settings"):
        catalog.build("methods", {"name": f"{HERE}:Blunt"})


def test_an_overseer_inside_an_overseer_is_built_first() -> None:
    leaf = {"name": "program", "fn": "accord.overseers.program:brief"}
    nested = {
        "name": f"{HERE}:Twice",
        "leaf": {"name": f"{HERE}:Twice", "leaf": leaf},
        "others": [leaf, leaf],
    }
    outer = catalog.build("overseers", nested)
    assert isinstance(outer, Twice) and isinstance(outer.leaf, Twice)
    assert outer.leaf.leaf == outer.others[1] == Program(fn=leaf["fn"])
    wrong = {"name": f"{HERE}:Twice", "leaf": leaf, "others": [leaf, leaf | {"fm": 1}]}
    assert failing("overseers", wrong).path == "stage[0].method.others[1].fm"


def test_check_finds_a_mistake_in_every_kind_of_part() -> None:
    plan = read_plan(TEXT)
    catalog.check(plan)
    for change, path in {
        "stage.0.source.promts=x": "stage[0].source.promts",
        "stage.0.ask.0.collapse=bt": "stage[0].ask[0].collapse",
        "stage.0.ask.0.overseer.fn=accord.overseers.program:nope": "stage[0].ask[0].overseer.fn",
        "stage.0.method.n=1": "stage[0].method.n",
        "stage.0.learner.name=locla": "stage[0].learner.name",
        "stage.0.guard.indicator.1.name=rank": "stage[0].guard.indicator[1].name",
        "stage.0.guard.rule=[{name='fell', indicator='x', by=-1}]": "stage[0].guard.rule[0].by",
    }.items():
        with pytest.raises(PlanError) as caught:
            catalog.check(plan.set([change]))
        assert caught.value.path == path, change


def test_check_needs_no_torch() -> None:
    code = f"""
        import sys
        from accord.catalog import check
        from accord.plan import read_plan
        check(read_plan({TEXT!r}))
        print([m for m in ("torch", "transformers", "sqlalchemy", "fastapi") if m in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_part_given_itself_is_built_back() -> None:
    stage = {"name": "a", "windows": 1, "source": {"name": "rollouts"}, "method": BestOfN(n=3)}
    plan = Plan(name="x", model="m", stage=[stage])  # type: ignore[list-item]
    assert catalog.build("methods", plan.stage[0].method) == BestOfN(n=3)
