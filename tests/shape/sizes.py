"""How large code may be before it needs a reason, and which names say nothing. Used by test_sizes.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

LINES, FUNCTION, PARAMETERS, NESTING, FIELDS = 400, 60, 6, 3, 15
EMPTY_WORDS = {"manager", "handler", "helper", "helpers", "utils", "util", "misc", "common", "data2"}

# A reason beside the code lets it stand: ``# size: a table of 70 rows`` on the line of the def, or alone on a
# line at the margin for the file.
_REASON = re.compile(r"#\s*size:\s*\w+")
# A with branches nowhere and does not count.
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def file_problems(text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    if len(lines) > LINES and not any(line.startswith("#") and _REASON.match(line) for line in lines):
        yield 1, f"{len(lines)} lines, more than {LINES}"


def function_problems(tree: ast.Module, text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    for node in ast.walk(tree):
        if not isinstance(node, _Function) or _reasoned(lines, node.lineno, node.body[0].lineno):
            continue
        if (length := _length(node)) > FUNCTION:
            yield node.lineno, f"{node.name} has {length} lines, more than {FUNCTION}"
        if (count := len(_parameters(node))) > PARAMETERS:
            yield node.lineno, f"{node.name} has {count} parameters, more than {PARAMETERS}"
        if (depth := max((_depth(s) for s in node.body), default=0)) > NESTING:
            yield node.lineno, f"{node.name} is nested {depth} deep, more than {NESTING}"


def name_problems(tree: ast.Module, module: str) -> Iterator[tuple[int, str]]:
    names = [(0, module)]
    named = _Function | ast.ClassDef
    names += [(n.lineno, n.name) for n in ast.walk(tree) if isinstance(n, named)]
    for line, name in names:
        words = {w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)}
        if name.lower() == "process" or words & EMPTY_WORDS:
            yield line, f"{name} does not say what it is"


def _reasoned(lines: Sequence[str], first: int, body: int) -> bool:
    return any(_REASON.search(line) for line in lines[first - 1 : max(first, body - 1)])


def _length(node: _Function) -> int:
    """Lines from def to the end, without the docstring."""
    whole = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        whole -= (first.end_lineno or first.lineno) - first.lineno + 1
    return whole


def _parameters(node: _Function) -> list[str]:
    a = node.args
    names = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
    return [n for n in names if n not in ("self", "cls")]


def _depth(node: ast.stmt) -> int:
    """Blocks inside blocks; an elif is as deep as its if, and an inner function starts anew."""
    if isinstance(node, _Function | ast.ClassDef):
        return 0
    inside: list[int] = [0]
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else []
        if (
            field == "orelse"
            and isinstance(node, ast.If)
            and len(children) == 1
            and isinstance(children[0], ast.If)
        ):
            inside.append(_depth(children[0]) - 1)
            continue
        for child in children:
            inside += _below(child)
    return max(inside) + isinstance(node, _BLOCKS)


def _below(child: object) -> list[int]:
    if isinstance(child, ast.stmt):
        return [_depth(child)]
    if isinstance(child, ast.ExceptHandler | ast.match_case):
        return [_depth(s) for s in child.body]
    return []
