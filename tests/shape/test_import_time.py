"""What is loaded when: help at once, heavy packages only where they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

TRAINING = ("torch", "transformers", "peft", "accelerate", "safetensors")
HEAVY = (
    *TRAINING,
    "pydantic",
    "numpy",
    "scipy",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "rich",
    "jinja2",
    "httpx",
)


def loaded(code: str, names: tuple[str, ...]) -> list[str]:
    """Which of ``names`` a fresh interpreter has loaded after ``code``."""
    ask = f"import sys\n{code}\nsys.stderr.write(' '.join(n for n in {names!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


@pytest.mark.parametrize("words", [["--help"], []])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    assert loaded(f"from accord.cli import main\nassert main({words!r}) == 0", HEAVY) == []


@pytest.mark.parametrize("words", [["--version"], ["run", "--help"], ["import", "run", "--help"]])
def test_other_help_loads_what_typer_reads_arguments_with(words: list[str]) -> None:
    assert set(loaded(f"from accord.cli import main\nassert main({words!r}) == 0", HEAVY)) <= {"pydantic"}


def test_accord_loads_no_training_and_no_web() -> None:
    assert loaded("import accord", (*TRAINING, "fastapi", "sqlalchemy")) == []


def test_the_plan_and_the_catalogue_load_no_part() -> None:
    parts = (
        "accord.methods.sft",
        "accord.overseers.program",
        "accord.asks.each",
        "accord.rules",
        "accord.sources",
    )
    assert loaded("import accord.plan, accord.catalog", (*TRAINING, "sqlalchemy", *parts)) == []


def test_the_probe_sees_what_is_loaded() -> None:
    assert loaded("import accord.plan", ("pydantic", "torch")) == ["pydantic"]
