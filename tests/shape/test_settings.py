"""A setting that nothing reads is a bug: every field of a part or a table of a plan is read somewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from shape import sizes, tree

LAYER_2 = ("methods", "overseers", "asks", "indicators", "worlds")


def settings(parsed: ast.Module) -> Iterator[tuple[ast.ClassDef, list[str]]]:
    """The parts and tables of a file, each with its public fields."""
    kinds = {"Part", "PartTable", "Table"}
    for node in (n for n in parsed.body if isinstance(n, ast.ClassDef)):
        if not kinds & {ast.unparse(base) for base in node.bases}:
            continue
        kinds.add(node.name)
        names = [
            s.target.id
            for s in node.body
            if isinstance(s, ast.AnnAssign)
            and isinstance(s.target, ast.Name)
            and not ast.unparse(s.annotation).startswith("ClassVar")  # nobody can set it
        ]
        yield node, [name for name in names if not name.startswith("_") and name != "model_config"]


def read(trees: Iterable[ast.Module]) -> set[str]:
    """Names of attributes that are read."""
    nodes = (node for parsed in trees for node in ast.walk(parsed))
    return {n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}


def readers(path: Path) -> list[Path]:
    """Where a file's settings may be read: a part of layer 2 reads its own, others a wider circle."""
    inside = path.relative_to(tree.SRC).parts
    if inside[0] in LAYER_2:
        return [path]
    return [
        p
        for p in tree.sources("src")
        if inside[0] != "engines" or p.relative_to(tree.SRC).parts[0] == "engines"
    ]


@cache
def read_of(path: Path) -> frozenset[str]:
    return frozenset(read([tree.syntax(path)]))


@cache
def read_in(paths: tuple[Path, ...]) -> frozenset[str]:
    return frozenset[str]().union(*map(read_of, paths))


def test_every_setting_is_read() -> None:
    unread = [
        f"{tree.place(path, node.lineno)}: {node.name}.{name}"
        for path in tree.sources("src")
        for node, names in settings(tree.syntax(path))
        for name in names
        if name not in read_in(tuple(readers(path)))
    ]
    assert not unread, "settings that nothing reads:\n" + "\n".join(unread)


def test_a_part_has_few_settings() -> None:
    for path in tree.sources("src"):
        for node, names in settings(tree.syntax(path)):
            assert len(names) <= sizes.FIELDS, f"{tree.place(path, node.lineno)}: {len(names)} settings"


def test_an_unread_setting_is_found() -> None:
    text = "class A(Part):\n    c: ClassVar[int] = 0\n    n: int = 1\n    m: int = 2\n    _p: int = 0\n"
    text += "    def f(self): return self.n\n"
    parsed = ast.parse(text + "class B(A):\n    k: int = 1\n    def g(self): self.k = 2\n")
    found = {
        (node.name, name) for node, names in settings(parsed) for name in names if name not in read([parsed])
    }
    assert found == {("A", "m"), ("B", "k")}
