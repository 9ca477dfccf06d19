"""Folders are layers; the contracts of .importlinter hold, and would be broken by what they forbid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = """
import sys
from importlinter.cli import lint_imports
sys.exit(lint_imports(config_filename=sys.argv[1], no_cache=True))
"""

# Each mutant: a file of a small package named accord, and the contract that it breaks.
MUTANTS = {
    "records knows the command line": ({"records.py": "from accord import cli"}, "Imports go down only"),
    "a method knows an overseer": ({"methods/a.py": "import accord.overseers"}, "Imports go down only"),
    "a module without a layer": ({"misplaced.py": ""}, "Imports go down only"),
    "a method knows a method": ({"methods/a.py": "import accord.methods.b"}, "One method is one file"),
    "an overseer knows an overseer": (
        {"overseers/a.py": "import accord.overseers.b"},
        "One overseer is one file",
    ),
    "an ask knows an ask": ({"asks/a.py": "import accord.asks.b"}, "One ask is one file"),
    "an indicator knows one": (
        {"indicators/a.py": "import accord.indicators.b"},
        "One indicator is one file",
    ),
    "torch in a plan": (
        {"plan.py": "def f():\n    import torch"},
        "torch and its friends stay where weights are",
    ),
    "transformers in a method": (
        {"methods/a.py": "import transformers"},
        "torch and its friends stay where weights are",
    ),
    "SQL in a report": ({"reports.py": "import sqlalchemy"}, "SQL stays in the stores"),
}
ALLOWED = {
    "methods/a.py": "def f():\n    import torch\nimport accord.maths\nfrom accord import ports",
    "engines/local.py": "import torch, transformers, peft, safetensors",
    "stores/sql.py": "import sqlalchemy, accord.records",
    "cli.py": "import accord.catalog, accord.plan",
    "ports.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from torch import Tensor",
}


def lint(package: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, str(ROOT / ".importlinter")],
        cwd=package,
        env={"PYTHONPATH": str(package), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def package(at: Path, files: dict[str, str]) -> Path:
    whole = dict.fromkeys(("records.py", "maths.py", "cli.py", "catalog.py", "plan.py"), "")
    for folder in ("methods", "overseers", "asks", "indicators"):
        whole |= {f"{folder}/__init__.py": "", f"{folder}/a.py": "", f"{folder}/b.py": ""}
    whole |= {"__init__.py": "", "engines/__init__.py": "", "stores/__init__.py": ""}
    for name, text in (whole | files).items():
        file = at / "accord" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return at


def test_imports_of_accord_go_down_only() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_what_the_documents_allow_is_allowed(tmp_path: Path) -> None:
    done = lint(package(tmp_path, ALLOWED))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_forbidden_import_breaks_its_contract(mutant: str, tmp_path: Path) -> None:
    files, contract = MUTANTS[mutant]
    done = lint(package(tmp_path, files))
    assert done.returncode == 1, done.stderr[-2000:]
    assert f"{contract} BROKEN" in done.stdout
