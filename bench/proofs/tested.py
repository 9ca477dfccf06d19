"""Rows that tests prove: the tests of one of them run, and counted."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from proofs.ledger import ROOT

__all__ = ["is_there", "tested"]


def tested(tests: Mapping[str, Sequence[str]], seed: int, really: bool) -> dict[str, Any]:
    """The tests of one row, run; ``really`` false, which is itself one of the tests, looks for them."""
    name, own = list(tests.items())[seed]
    if not really:
        absent = [test for test in own if not is_there(test)]
        return {"held": not absent, "row": name, "tests": len(own), "absent": absent}
    with tempfile.TemporaryDirectory(prefix="accord-tests-") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}", *own]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    failed = [
        str(c.get("name")) for c in cases if c.find("failure") is not None or c.find("error") is not None
    ]
    skipped = {
        str(c.get("name")): str(one.get("message")) for c in cases if (one := c.find("skipped")) is not None
    }
    held = bool(cases) and not failed and not skipped
    return {"held": held, "row": name, "tests": len(cases), "failed": failed, "skipped": skipped}


def is_there(test: str) -> bool:
    """Whether a test, or a folder of tests, is where its name says."""
    file, _, name = test.partition("::")
    path = ROOT / file
    if not name:
        return any(path.glob("test_*.py"))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == name for node in tree.body)
