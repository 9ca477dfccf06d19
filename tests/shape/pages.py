"""Documentation as tests see it: pages, links, headings, and code blocks with the file they stand for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from shape import tree

_FENCE = re.compile(
    r"(?:^<!-- *(?P<mark>file|not run): *(?P<value>[^\n]*?) *-->\n)?"
    r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"")


class Block(NamedTuple):
    """A fenced block. ``file`` is the name from a ``<!-- file: … -->`` line above it, ``skip`` a reason."""

    language: str
    text: str
    file: str
    skip: str
    line: int


def pages() -> list[Path]:
    """README, changelog, docs, and READMEs inside the package."""
    return [p for p in tree.committed() if p.suffix == ".md" and p.relative_to(tree.ROOT).parts[0] != "tests"]


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    for m in _FENCE.finditer(text):
        mark, value = m["mark"], m["value"] or ""
        file, skip = (value if mark == "file" else ""), (value if mark == "not run" else "")
        found.append(Block(m["language"], m["text"], file, skip, text.count("\n", 0, m.start()) + 1))
    return found


def links(text: str) -> list[str]:
    """Targets of links and pictures, addresses of other hosts left out."""
    bare = re.sub(r"```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    found = [next(part for part in m.groups() if part) for m in _LINK.finditer(bare)]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The names under which headings can be linked to, as GitHub makes them."""
    bare = re.sub(r"```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", bare, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
