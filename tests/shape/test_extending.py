"""A stranger adds a method: the files of docs/extending.md, written out and used as the page says."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shape import pages, tree

from accord import catalog
from accord.catalog import build, check, find
from accord.errors import PlanError
from accord.plan import read_plan

PAGE = (tree.ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = pages.blocks(PAGE)
RUFF = [sys.executable, "-m", "ruff", "check", "--config", str(tree.ROOT / "pyproject.toml")]
RUFF += ["--config", 'lint.isort.known-first-party = ["accord"]']  # as it is once the file lies in src


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files in a folder of their own, which Python can import from."""
    for block in BLOCKS:
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sft_lite", "test_sft_lite"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    yield tmp_path
    for name in ("sft_lite", "test_sft_lite"):
        sys.modules.pop(name, None)


def test_the_page_s_own_test_passes(folder: Path) -> None:
    command = next(block.text for block in BLOCKS if block.language == "sh").split()
    done = subprocess.run(
        [sys.executable, *command[1:], "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("known**-power", "known**power"),
        ("(weight_R * tokens_R)[step]", "tokens_R[step]"),
        ("if not row.missing", ""),
        ('{"nll": nll_total', '{"nll": -nll_total'),
    ],
)
def test_the_page_s_own_test_kills_mutants(folder: Path, right: str, wrong: str) -> None:
    file = folder / "sft_lite.py"
    assert right in file.read_text(encoding="utf-8")
    file.write_text(file.read_text(encoding="utf-8").replace(right, wrong), encoding="utf-8")
    tests = importlib.import_module("test_sft_lite")
    with pytest.raises(AssertionError):
        tests.test_power_decides_how_much_length_counts(1.0, 1.5)
        tests.test_power_decides_how_much_length_counts(0.0, 1.75)
        tests.test_a_missing_row_teaches_nothing()


def test_a_plan_names_it_by_module_and_class(folder: Path) -> None:
    plan = read_plan(folder / "sft_lite.toml")
    check(plan)
    method = build("methods", plan.stage[0].method)
    assert type(method).__name__ == "SFTLite"
    with pytest.raises(PlanError, match="power"):
        check(plan.set(["stage.0.method.powr=1"]))


def test_one_line_gives_it_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = re.search(r'"sft_lite": "accord\.methods\.(sft_lite:SFTLite)"', PAGE)
    assert line is not None
    monkeypatch.setitem(catalog.METHODS, "sft_lite", line[1])
    plan = read_plan(folder / "sft_lite.toml").set(["stage.0.method.name=sft_lite"])
    check(plan)
    assert find("methods", "sft_lite") is importlib.import_module("sft_lite").SFTLite


def test_the_file_keeps_the_house_rules(folder: Path) -> None:
    """A stranger's file meets what this repository asks of its own."""
    done = subprocess.run(
        [*RUFF, "sft_lite.py"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_the_catalogue_lines_on_the_page_are_those_of_the_catalogue() -> None:
    shown = next(block.text for block in BLOCKS if "METHODS = {" in block.text)
    named = dict(re.findall(r'"(\w+)": "([\w.:]+)"', shown))
    own = named.pop("sft_lite")
    assert own == "accord.methods.sft_lite:SFTLite"
    assert named == catalog.METHODS
