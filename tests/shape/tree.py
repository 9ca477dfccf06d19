"""The repository as shape tests see it: its committed files, and its source as syntax trees."""

from __future__ import annotations

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src" / "accord"


@cache
def committed() -> tuple[Path, ...]:
    """What git tracks or would track; without git (a source archive) what lies in the folders we ship."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "-z"],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        tops = ("src", "tests", "docs", "tools", "bench", ".ci")
        found = [p for top in tops for p in (ROOT / top).rglob("*") if "__pycache__" not in p.parts]
        found += [p for p in ROOT.iterdir() if p.is_file()]
    return tuple(sorted(p for p in found if p.is_file()))


@cache
def sources(*tops: str) -> tuple[Path, ...]:
    """Python files under these folders of the repository."""
    return tuple(p for p in committed() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in tops)


@cache
def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def place(path: Path, line: int = 0) -> str:
    """``src/accord/part.py:12``, as an editor opens it."""
    return f"{path.relative_to(ROOT)}" + (f":{line}" if line else "")


def sources_and_data() -> tuple[Path, ...]:
    """Every committed file of the package."""
    return tuple(p for p in committed() if p.is_relative_to(SRC))
