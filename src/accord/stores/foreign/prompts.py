"""Data files as Accord reads them: rows in TRL's six types, from JSON lines, a JSON array or Parquet.

A source may be cut by hash into fixed parts: ``file.jsonl:train`` (70 %), ``:held_out`` (20 %), ``:probe``
(10 %); the part of a prompt depends on its text alone, never on its place in the file. The types and their
fields are in ``rows``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from accord.errors import PlanError, Unreadable, nearest
from accord.folders import cache_folder
from accord.records import Prompt, canonical
from accord.stores.files import make_folder, write_aside
from accord.stores.foreign.conversations import Unfit
from accord.stores.foreign.rows import BLANK, DataRow, Kind, kind_of_fields, renamed, row_of
from accord.stores.foreign.tables import Fields, checked_fields, raw_rows

__all__ = ["Data", "DataRow", "kind_of", "part_of", "read_data", "read_rows", "write_rows"]

_PARTS = ("train", "held_out", "probe", "train_a", "train_b")
_AS_IT_IS: Mapping[str, str] = MappingProxyType({})


class Data(NamedTuple):
    """The rows of a file, or of a part of it, all of one type.

    ``read``: how many there were; ``dropped``: why some left; ``lost``: the share that leaves the whole file.
    ``prompts``: each once, also those of rows that were dropped for their answers; a plain text has none.
    """

    file: str
    kind: Kind
    rows: tuple[DataRow, ...]
    prompts: tuple[Prompt, ...]
    read: int
    dropped: Mapping[str, int]
    lost: float

    @property
    def told(self) -> str:
        """What was read, in a line: ``800 preference rows of pairs.jsonl, dropped: 2 empty completion``."""
        text = f"{self.read:,} {self.kind} rows of {Path(self.file).name}"
        dropped = ", ".join(f"{count:,} {why}" for why, count in sorted(self.dropped.items()))
        return f"{text}, dropped: {dropped}" if dropped else text


def part_of(prompt: Prompt) -> str:
    """``train``, ``held_out`` or ``probe``: the same for every row with the same last user message."""
    return _part(_asked(prompt))


def read_data(source: str, columns: Mapping[str, str] = _AS_IT_IS, setting: str = "data") -> Data:
    """A whole file (path, or the name of a set shipped with Accord), or one part of it.

    ``columns`` names fields anew: ``{"prompt": "question"}``. PlanError under ``setting`` where there is no
    such file. Unreadable names the line that is no row, or of another type than the first; also where no row
    is left.
    """
    file, part = _located(source, setting)
    return _gathered(file, raw_rows(file), columns, part)


def read_rows(source: str, columns: Mapping[str, str] = _AS_IT_IS) -> list[DataRow]:
    """The rows of ``read_data`` that teach something. No row left: Unreadable."""
    return list(read_data(source, columns, "prompts").rows)


def kind_of(source: str, columns: Mapping[str, str] = _AS_IT_IS) -> Kind:
    """The type of a file, by its first row: prompt, completion, preference, label, steps or text."""
    file, _ = _located(source, "data")
    for number, fields in raw_rows(file):
        try:
            return kind_of_fields(renamed(fields, columns))
        except Unfit as unfit:
            raise Unreadable(file, unfit.expected, unfit.found, number) from unfit
    raise Unreadable(file, "at least one row", "no rows: the file is empty")


def write_rows(
    rows: Iterable[Mapping[str, object]],
    folder: Path | None = None,
    columns: Mapping[str, str] = _AS_IT_IS,
) -> Path:
    """Rows from Python as a JSON lines file named by its content, for a plan to name; checked first.

    In ``folder``, by default ``data`` in Accord's cache: equal rows have one file, which a plan that is to be
    repeated elsewhere must take along.
    """
    given = "the list of rows"
    found = [checked_fields(given, n, dict(row)) for n, row in enumerate(rows, start=1)]
    lines = "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in found)
    written = enumerate(lines.split("\n")[:-1], start=1)
    _gathered(given, ((n, json.loads(line)) for n, line in written), columns, "")
    folder = folder or cache_folder() / "data"
    file = folder / f"{hashlib.sha256(lines.encode()).hexdigest()[:32]}.jsonl"
    if not file.exists():
        make_folder(folder)
        write_aside(file, lines)
    return file.absolute()


def _digest(text: str) -> int:
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8], 16)


def _part(text: str) -> str:
    place = _digest(text) % 10
    return "train" if place < 7 else "held_out" if place < 9 else "probe"


def _within(row: DataRow, part: str) -> bool:
    """Whether a row lies in a part; ``train_a`` and ``train_b`` are the halves of ``train``."""
    # A plain text has no prompt, so it is told apart by itself.
    text = canonical(row.answers) if row.prompt.messages == BLANK else _asked(row.prompt)
    half = "ab"[_digest(text) // 10 % 2]
    return part in (own := _part(text), f"{own}_{half}" if own == "train" else own)


def _asked(prompt: Prompt) -> str:
    return prompt.text or canonical([m.model_dump() for m in prompt.messages])


def _located(source: str, setting: str) -> tuple[Path, str]:
    """The file that a source names, and the part of it, if any."""
    head, _, tail = source.rpartition(":")
    name, part = (head, tail) if head and tail in _PARTS else (source, "")
    if Path(name).is_file():
        return Path(name), part
    shipped = Path(str(resources.files("accord") / "data" / "prompts"))
    found = {path.stem.replace("_", "-"): path for path in sorted(shipped.glob("*.jsonl"))}
    if name in found:
        return found[name], part
    allowed = f"a file of JSON lines, JSON or Parquet, or one of: {', '.join(found)}"
    raise PlanError(setting, name, allowed, nearest(name, found))


def _gathered(
    file: Path | str, numbered: Iterable[tuple[int, Fields]], columns: Mapping[str, str], part: str
) -> Data:
    kind: Kind | None = None
    rows: list[DataRow] = []
    prompts: dict[str, Prompt] = {}
    dropped = Counter[str]()
    whole = lacking = 0
    for row_kind, row in _typed(file, numbered, columns):
        kind = row_kind
        whole, lacking = whole + 1, lacking + bool(row.lacks)
        if part and not _within(row, part):
            continue
        if row.prompt.messages != BLANK:
            prompts.setdefault(row.prompt.id, row.prompt)
        if row.lacks:
            dropped[row.lacks] += 1
        else:
            rows.append(row)
    if kind is None or not rows:
        where = f" in part {part!r}" if part else ""
        why = ", ".join(f"{count:,} {why}" for why, count in dropped.items())
        left = f"no rows left, dropped: {why}" if why else "no rows"
        found = left if kind else "no rows: the file is empty"
        raise Unreadable(file, f"at least one row{where}", found)
    read = len(rows) + dropped.total()
    return Data(str(file), kind, tuple(rows), tuple(prompts.values()), read, dict(dropped), lacking / whole)


def _typed(
    file: Path | str, numbered: Iterable[tuple[int, Fields]], columns: Mapping[str, str]
) -> Iterator[tuple[Kind, DataRow]]:
    """Each row with its type, which is that of the first, as are the names of its numbers."""
    first: tuple[int, Kind, Sequence[str]] | None = None
    for number, fields in numbered:
        try:
            fields = renamed(fields, columns)
            kind = kind_of_fields(fields)
            keys = ", ".join(name for name, value in fields.items() if value is not None)
            if first and kind != first[1]:
                expected = f'a row of type "{first[1]}", as in line {first[0]}'
                raise Unfit(expected, f'type "{kind}": keys {keys}')
            row = row_of(fields, kind)
            # p and weight have a default; a score that some rows lack would be a made-up one.
            names = sorted(row.columns.keys() - {"p", "weight"})
            first = first or (number, kind, names)
            if names != first[2]:
                odd = ", ".join(sorted({*names} ^ {*first[2]}))
                raise Unfit(f"{odd} in every row or in none, as in line {first[0]}", f"keys {keys}")
        except Unfit as unfit:
            raise Unreadable(file, unfit.expected, unfit.found, number) from unfit
        yield kind, row
