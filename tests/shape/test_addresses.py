"""What is committed works anywhere: no path of one machine, no address of a registry, no telemetry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shape import tree

MACHINE = re.compile(r"(?<![\w.~$}/-])/(home|root|Users|work|opt|mnt|workspace|tmp/\w+)/[\w.-]")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|registry\.npmjs|conda\.anaconda\.org"
)
HUB = re.compile(r"huggingface\.co|(?<![\w.])hf\.co/")
LOCAL_VERSION = re.compile(r"^[\w.-]+==[^\s;]*\+", re.MULTILINE)


def problems(name: str, text: str) -> list[str]:
    """What is wrong with a committed file, one line each."""
    rules = [(MACHINE, "a path of one machine"), (REGISTRY, "a registry's address")]
    if name.startswith("src/"):
        rules.append((HUB, "a hub's address"))
    if name == "constraints.txt":
        rules.append((LOCAL_VERSION, "a version that only one index has"))
    return [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {what}: {found[0]}"
        for rule, what in rules
        for found in rule.finditer(text)
    ]


def texts() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for path in tree.committed():
        if path == Path(__file__).resolve():
            continue
        try:
            found.append((path.relative_to(tree.ROOT).as_posix(), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # pictures and fonts hold no addresses that anybody follows
    return found


def test_committed_files_name_no_machine_and_no_registry() -> None:
    found = [problem for name, text in texts() for problem in problems(name, text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("src/a.py", 'MODEL = "/home/me/model"'),
        ("docs/a.md", "see `/work/x`"),
        ("bench/results/a.jsonl", '{"says": "/tmp/mine/bases/aims-11/model on aims"}'),
        ("constraints.txt", "--index-url https://pypi.org/simple"),
        ("constraints.txt", "torch==2.13.0+cpu"),
        ("src/a.py", "https://huggingface.co/x"),
    ],
)
def test_such_a_file_is_found(name: str, text: str) -> None:
    assert problems(name, text)


@pytest.mark.parametrize(
    "text", ["~/work/x", "runs/home/x", "$ROOT/work/a", "https://a.b/home/x", "/usr/bin/env"]
)
def test_such_a_text_is_fine(text: str) -> None:
    assert not problems("src/a.py", text)


def test_pins_are_pins() -> None:
    lines = (tree.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", pin) for pin in pins)
    assert pins == sorted(pins, key=lambda pin: pin.lower())
    assert len({re.sub(r"[-_.]+", "-", pin.split("==")[0].lower()) for pin in pins}) == len(pins)
