"""The wheel as users get it, built from what is committed, and a clean environment to install it in."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from shape import tree

__all__ = ["built", "environment"]


def built(at: Path) -> Path:
    """A wheel made in ``at`` of the committed files alone, without the network."""
    for path in tree.committed():
        inside = path.relative_to(tree.ROOT)
        if inside.parts[0] == "src" or len(inside.parts) == 1:
            (at / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, at / inside)
    words = ["pip", "wheel", ".", "--no-deps", "--no-index", "--no-build-isolation", "-w", "dist"]
    done = subprocess.run([sys.executable, "-m", *words], cwd=at, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (at / "dist").glob("accord-*.whl")
    return file


def environment(wheel: Path, at: Path) -> Path:
    """The folder of programs of a virtual environment that holds the wheel, what it says that it needs, and
    nothing else: no torch, no tree of ours. What it needs is linked from here, so nothing is downloaded."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", at], check=True)
    python = at / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel]
    # PYTHONPATH would let pip find our tree, and call it installed.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
    (site,) = (at / "lib").glob("python*/site-packages")
    (own,) = importlib.metadata.distributions(name="accord", path=[str(site)])
    for needed in _closure(own):
        for entry in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
            if not (site / entry).exists():
                (site / entry).symlink_to(Path(str(needed.locate_file(entry))).resolve())
    return at / "bin"


def _closure(package: importlib.metadata.Distribution) -> Iterator[importlib.metadata.Distribution]:
    """All that a package needs, extras that somebody asks for included."""
    seen: set[tuple[str, str]] = set()
    queue = [(package, "")]
    while queue:
        one, extra = queue.pop()
        for line in one.requires or ():
            wanted = Requirement(line)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
                continue
            for each in ("", *wanted.extras):
                if (canonicalize_name(wanted.name), each) not in seen:
                    seen.add((canonicalize_name(wanted.name), each))
                    found = importlib.metadata.distribution(wanted.name)
                    queue.append((found, each))
                    yield found
