"""Nothing swallows: a broad except stands only at the five boundaries, or raises again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from shape import tree

# Where everything may be caught, because there it is recorded: the command line, a web request, the worker,
# guard → indicator, desk → overseer. Program grades in batches for the desks that wait on it, and hands each
# of them the error.
BOUNDARIES = ("cli/", "web/", "worker.py", "guard.py", "guard/", "desk.py", "overseers/program.py")


def broad(parsed: ast.Module) -> Iterator[int]:
    """Lines of handlers that catch everything and do not end by raising."""
    for node in ast.walk(parsed):
        if (
            isinstance(node, ast.ExceptHandler)
            and _everything(node.type)
            and not isinstance(node.body[-1], ast.Raise)
        ):
            yield node.lineno


def _everything(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(
        k is None or (isinstance(k, ast.Name) and k.id in ("Exception", "BaseException")) for k in kinds
    )


def test_only_boundaries_catch_everything() -> None:
    found = [
        tree.place(path, line)
        for path in tree.sources("src")
        if not path.relative_to(tree.SRC).as_posix().startswith(BOUNDARIES)
        for line in broad(tree.syntax(path))
    ]
    assert not found, "except Exception outside the boundaries:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("clause", "body", "swallows"),
    [
        ("except Exception:", "pass", True),
        ("except:", "pass", True),
        ("except (OSError, BaseException):", "x = 1", True),
        ("except BaseException:", "undo(); raise", False),
        ("except Exception as e:", "raise ValueError from e", False),
        ("except OSError:", "pass", False),
    ],
)
def test_what_counts_as_swallowing(clause: str, body: str, swallows: bool) -> None:
    assert bool([*broad(ast.parse(f"try:\n    f()\n{clause}\n    {body}"))]) is swallows


def test_nobody_silences_errors_by_suppress() -> None:
    for path in tree.sources("src"):
        for node in ast.walk(tree.syntax(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                assert not any(_everything(arg) for arg in node.args), tree.place(path, node.lineno)
