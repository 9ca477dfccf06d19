"""Prompts and completions from JSON lines: ``{"prompt": text or messages, "completion"?: …, "slice"?: …}``.

Other fields stay with the prompt as columns, so that a program that judges answers can read them. A source
may be cut by hash into fixed parts: ``file.jsonl:train`` (70 %), ``:held_out`` (20 %), ``:probe`` (10 %); the
part of a prompt depends on its text alone, never on its place in the file.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import ValidationError

from accord.errors import PlanError, Unreadable, nearest
from accord.records import Message, Prompt

__all__ = ["DataRow", "part_of", "read_rows"]

_PARTS = ("train", "held_out", "probe")


class DataRow(NamedTuple):
    """One row of a data file."""

    prompt: Prompt
    completion: str | None


def part_of(prompt: Prompt) -> str:
    """``train``, ``held_out`` or ``probe``: the same for every row with the same last user message."""
    place = int(hashlib.sha256(prompt.text.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16) % 10
    return "train" if place < 7 else "held_out" if place < 9 else "probe"


def read_rows(source: str) -> list[DataRow]:
    """All rows of a file (path, or the name of a set shipped with Accord), or of one part of it.

    No row left: Unreadable.
    """
    name, part = source, ""
    head, _, tail = source.rpartition(":")
    if head and tail in _PARTS:
        name, part = head, tail
    file = _locate(name)
    rows = [row for row in _rows(file) if not part or part_of(row.prompt) == part]
    if not rows:
        raise Unreadable(
            file, f"at least one row{f' in part {part!r}' if part else ''}", "no rows: the file is empty"
        )
    return rows


def _locate(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    shipped = Path(str(resources.files("accord") / "data" / "prompts"))
    found = {path.stem.replace("_", "-"): path for path in sorted(shipped.glob("*.jsonl"))}
    if name in found:
        return found[name]
    raise PlanError(
        "prompts", name, f"a JSON lines file, or one of: {', '.join(found)}", nearest(name, found)
    )


def _rows(file: Path) -> Iterator[DataRow]:
    try:
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(file, "a UTF-8 text file of JSON lines", str(error)) from error
    # JSON lines end at \n alone: str.splitlines would also cut at U+2028 inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _row(file, number, line)


def _row(file: Path, number: int, line: str) -> DataRow:
    try:
        fields = json.loads(line)
        json.dumps(fields, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, "one JSON object per line", f"{error}: {line[:80]!r}", number) from error
    if not isinstance(fields, dict):
        raise Unreadable(file, "one JSON object per line", f"{type(fields).__name__}: {line[:80]!r}", number)
    row = cast("dict[str, object]", fields)
    given = row.pop("prompt", None)
    completion = row.pop("completion", None)
    if completion is not None and (not isinstance(completion, str) or not completion):
        raise Unreadable(file, '"completion" as text that is not empty', repr(completion)[:80], number)
    cut = row.pop("slice", "")
    if isinstance(given, str) and given.strip():
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        found = json.dumps(given, ensure_ascii=False)[:80]
        raise Unreadable(file, '"prompt" as text or as a list of messages', found, number)
    try:
        messages = tuple(Message.model_validate(m) for m in cast("list[object]", given))
        prompt = Prompt.model_validate({"messages": messages, "slice": cut, "columns": row})
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(p) for p in problem["loc"])
        raise Unreadable(
            file, 'messages as {"role", "content"}', f"{where}: {problem['msg']}", number
        ) from error
    try:
        str(prompt.id)  # a number that has no exact JSON form has no id either
    except ValueError as error:
        raise Unreadable(file, "values that JSON can hold exactly", str(error), number) from error
    return DataRow(prompt, completion)
