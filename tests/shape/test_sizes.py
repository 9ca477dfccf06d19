"""Sizes that keep the code readable, and names that say something. A reason beside the code lets it stand."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from shape import sizes, tree


def found(path: Path) -> list[str]:
    text, parsed = path.read_text(encoding="utf-8"), tree.syntax(path)
    problems = [*sizes.file_problems(text), *sizes.name_problems(parsed, path.stem)]
    if path.relative_to(tree.ROOT).parts[0] != "tests":
        problems += sizes.function_problems(parsed, text)
    return [f"{tree.place(path, line)}: {what}" for line, what in problems]


def test_nothing_is_larger_than_people_can_read() -> None:
    problems = [p for path in tree.sources("src", "tools", "bench", "tests") for p in found(path)]
    assert not problems, "\n".join(problems)


BIG = "def f(a, b, c, d, e, g, h):{reason}\n" + "    x = 1\n" * 60
DEEP = """
def f(x):
    for a in x:
        if a:
            pass
        elif a > 1:
            with a:
                try:
                    pass
                except OSError:
                    while a:
                        return 1
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BIG.format(reason=""), ["f has 61 lines", "f has 7 parameters"]),
        (BIG.format(reason="  # size: one line for each option of the command"), []),
        (DEEP, ["f is nested 4 deep"]),
        (DEEP.replace("for a in x", "class A"), []),
        ("def f():\n" + '    """' + "x\n" * 70 + '"""\n    return 1\n', []),
    ],
)
def test_functions_are_measured(text: str, said: list[str]) -> None:
    problems = [what for _, what in sizes.function_problems(ast.parse(text), text)]
    assert len(problems) == len(said)
    assert all(what.startswith(start) for what, start in zip(problems, said, strict=True))


def test_files_are_measured() -> None:
    assert [*sizes.file_problems("x = 1\n" * 401)] == [(1, "401 lines, more than 400")]
    assert not [*sizes.file_problems("# size: one table\n" + "x = 1\n" * 401)]
    assert not [*sizes.file_problems("x = 1\n" * 400)]


@pytest.mark.parametrize("name", ["RunManager", "path_utils", "HTTPHandler", "misc", "process"])
def test_a_name_that_says_nothing_is_found(name: str) -> None:
    assert [*sizes.name_problems(ast.parse(f"class {name}: ..."), "module")]
    assert [*sizes.name_problems(ast.parse(""), name)]


def test_a_name_that_says_something_is_not() -> None:
    text = "class ProcessRewardModel: ...\ndef commonest(): ...\ndef handle(): ..."
    assert not [*sizes.name_problems(ast.parse(text), "stores")]
