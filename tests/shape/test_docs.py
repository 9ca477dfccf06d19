"""The documentation is true: links lead somewhere, code runs, commands exist, claims have tests."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from shape import pages, tree

from accord.catalog import CATALOG, build, check
from accord.plan import GuardTable, read_plan
from accord.ports import Panelled
from accord.probing import OWN

PAGES = pages.pages()
IDS = [str(p.relative_to(tree.ROOT)) for p in PAGES]
CLAIM = re.compile(
    r"^\| (?P<claim>[^|]+) \| (?P<code>[^|]+) \| (?P<test>[^|]+) \| (?P<figure>[^|]+) \|$", re.MULTILINE
)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in pages.links(text):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{tree.place(page)}: {target} leads nowhere"
        assert there.is_relative_to(tree.ROOT), f"{tree.place(page)}: {target} leaves the repository"
        if anchor:
            assert anchor in pages.anchors(there.read_text(encoding="utf-8")), f"{tree.place(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_code_on_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All Python of a page in one namespace, in an empty folder; blocks that stand for files go there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "page"}
    for block in pages.blocks(page.read_text(encoding="utf-8")):
        if block.file:
            (tmp_path / block.file).write_text(block.text, encoding="utf-8")
        if block.skip:
            continue
        where = tree.place(page, block.line)
        if block.language == "python" and not block.file:
            exec(compile("\n" * block.line + block.text, where, "exec"), names)
        elif block.language == "toml":
            _loads(block, where)
        elif block.language == "json":
            assert all(isinstance(json.loads(line), dict) for line in block.text.splitlines()), where


def test_the_front_page_counts_the_indicators_of_a_guard_that_no_plan_changed() -> None:
    built = [build("indicators", table) for table in GuardTable().indicator]
    sealed = sum(isinstance(one, Panelled) and one.panel != OWN for one in built)
    text = (tree.ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{len(built)} indicators against the base, {sealed} of them on [sealed panels]" in text


def _loads(block: pages.Block, where: str) -> None:
    table = tomllib.loads(block.text)
    if "stage" in table:
        check(read_plan(block.text))
    else:
        assert table, f"{where}: an empty TOML block"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_on_a_page_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = [
        line
        for block in pages.blocks(text)
        if block.language in ("sh", "console")
        for line in block.text.splitlines()
    ]
    shown += re.findall(r"`((?:accord|make) [^`\n]+)`", re.sub(r"```.*?^```$", "", text, flags=re.M | re.S))
    for line in shown:
        words = shlex.split(line.removeprefix("$ "), comments=True)
        words = [w for w in words if "=" not in w.split(" ")[0] or w.startswith("-")]
        where = f"{tree.place(page)}: {line}"
        if words[:1] == ["accord"] and len(words) > 1:
            _command(words[1:], where)
        elif words[:1] == ["make"]:
            assert all(w in targets() for w in words[1:]), where


def _command(words: list[str], where: str) -> None:
    known = options()
    plain = [w for w in words if not w.startswith("-")]
    name = next((n for n in (" ".join(plain[:2]), *plain[:1]) if n in known), plain[0] if plain else "")
    assert name in known, f"{where}: there is no command {name!r}"
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in known[name] | known[""], f"{where}: {name} has no option {word}"


def options() -> dict[str, set[str]]:
    """Every command with its options; those of ``accord`` itself under the empty name."""
    import typer.main

    from accord.cli.app import build_app

    group = typer.main.get_command(build_app())
    found = {"": {o for p in group.params for o in p.opts} | {"--help"}}
    commands = dict(getattr(group, "commands", {}))
    for name, command in list(commands.items()):
        commands |= {f"{name} {inner}": c for inner, c in getattr(command, "commands", {}).items()}
    for name, command in commands.items():
        found[name] = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
    return found


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (tree.ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_make_help_names_every_target() -> None:
    text = (tree.ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r'@echo "make ([\w-]+)', text)) == targets() - {"help"}


def test_every_claim_has_code_and_a_test() -> None:
    page = tree.ROOT / "docs" / "claims.md"
    rows = [m for m in CLAIM.finditer(page.read_text(encoding="utf-8")) if m["claim"] not in ("claim", "---")]
    assert len(rows) >= 5
    for row in rows:
        code, tests = pages.links(row["code"]), pages.links(row["test"])
        assert code and tests, f"{row['claim']}: links to code and test are missing"
        texts = [(page.parent / target).read_text(encoding="utf-8") for target in tests]
        named = re.findall(r"`(test_\w+)`", row["test"])
        assert named, f"{row['claim']}: names no test function"
        for name in named:
            assert any(f"def {name}(" in text for text in texts), f"{row['claim']}: no test {name}"


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, queue = set[Path](), [tree.ROOT / "docs" / "index.md"]
    while queue:
        page = queue.pop().resolve()
        if page in seen:
            continue
        seen.add(page)
        found = [
            page.parent / t.partition("#")[0]
            for t in pages.links(page.read_text(encoding="utf-8"))
            if t[0] != "#"
        ]
        queue += [p for p in found if p.suffix == ".md" and p.is_file()]
        queue += [inside for p in found if p.is_dir() for inside in p.glob("*.md")]
    lost = [
        tree.place(p)
        for p in PAGES
        if p.relative_to(tree.ROOT).parts[0] == "docs" and p.resolve() not in seen
    ]
    assert not lost


@pytest.mark.parametrize("method", sorted(CATALOG["methods"]))
def test_every_method_has_a_page(method: str) -> None:
    page = tree.ROOT / "docs" / "methods" / f"{method}.md"
    assert page.is_file(), f"docs/methods/{method}.md is missing"
    assert f"methods/{method}.py" in page.read_text(encoding="utf-8"), "it does not link to its code"


def test_the_tools_of_this_test_see_what_they_should() -> None:
    text = "# A b\n[x](y.md#a-b) [o](https://a.b/c)\n<!-- file: f.py -->\n```python\nx = '[n](no.md)'\n```\n"
    text += "<!-- not run: needs a GPU -->\n```python\n1 / 0\n```\n"
    assert pages.anchors(text) == {"a-b"}
    assert pages.links(text) == ["y.md#a-b"]
    assert [(b.file, b.skip, b.language) for b in pages.blocks(text)] == [
        ("f.py", "", "python"),
        ("", "needs a GPU", "python"),
    ]
