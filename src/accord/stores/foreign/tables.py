"""The fields of every row of a file: JSON lines, one JSON array (both also as .gz), or Parquet.

Parquet is recognised by its first bytes and read by duckdb as JSON, so its values are those that a JSON file
would hold: dates as text, decimals as numbers, nulls as null.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from accord.errors import Unreadable

__all__ = ["Fields", "checked_fields", "raw_rows", "sifted_fields", "sifted_rows"]

Fields = dict[str, object]

_LINE, _ROW = "one JSON object per line", "one object per row"
_ROWS_AT_ONCE = 1_000


def raw_rows(file: Path) -> Iterator[tuple[int, Fields]]:
    """Each row with its number: the line of a JSON lines file, else the row, counted from 1.

    Unreadable names the file, and the line where there is one, at the first that is not an object of JSON.
    """
    for number, row in sifted_rows(file):
        if isinstance(row, Unreadable):
            raise row
        yield number, row


def sifted_rows(file: Path) -> Iterator[tuple[int, Fields | Unreadable]]:
    """As ``raw_rows``, but a row that is no object is handed out as what is wrong with it.

    Unreadable is raised only where the file as a whole is: where it cannot be read, or is no array.
    """
    if file.suffix in (".csv", ".tsv"):
        found = f"{file.suffix}, whose cells have no types"
        raise Unreadable(file, "JSON lines, a JSON array or Parquet", found)
    try:
        with file.open("rb") as opened:
            is_parquet = opened.read(4) == b"PAR1"
        if is_parquet:
            yield from _parquet(file)
            return
        raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        text = raw.decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise Unreadable(file, "a UTF-8 text file of JSON lines", str(error)) from error
    yield from _array(file, text) if text.lstrip()[:1] == "[" else _lines(file, text)


def checked_fields(file: object, number: int, value: object, expected: str = _ROW) -> Fields:
    """``value`` as an object whose keys and texts are Unicode, or Unreadable."""
    if not isinstance(value, dict):
        raise Unreadable(file, expected, f"{type(value).__name__}: {value!r}"[:80], number)
    fields = cast(Fields, value)
    try:
        json.dumps(fields, ensure_ascii=False).encode("utf-8")  # a lone surrogate is no text
    except (TypeError, ValueError, RecursionError) as error:
        raise Unreadable(file, expected, f"{error}: keys {', '.join(map(str, fields))}", number) from error
    return dict(fields)


def _lines(file: Path, text: str) -> Iterator[tuple[int, Fields | Unreadable]]:
    # JSON lines end at \n alone: str.splitlines would also cut at U+2028 inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, Unreadable(file, _LINE, f"{error}: {line[:80]!r}", number)
                continue
            yield number, sifted_fields(file, number, value, _LINE)


def sifted_fields(file: object, number: int, value: object, expected: str = _ROW) -> Fields | Unreadable:
    """As ``checked_fields``, but what is wrong is handed out."""
    try:
        return checked_fields(file, number, value, expected)
    except Unreadable as problem:
        return problem


def _array(file: Path, text: str) -> Iterator[tuple[int, Fields | Unreadable]]:
    try:
        items = cast("list[object]", json.loads(text))
    except json.JSONDecodeError as error:
        # Lines that are arrays are not one array either: what they should be is said of the first.
        expected = _LINE if error.msg == "Extra data" else "one JSON array of objects"
        line = 1 if error.msg == "Extra data" else error.lineno
        raise Unreadable(file, expected, f"{error.msg}: {text[:80]!r}", line) from error
    except RecursionError as error:
        raise Unreadable(file, "one JSON array of objects", str(error)) from error
    for number, item in enumerate(items, start=1):
        yield number, sifted_fields(file, number, item)


def _parquet(file: Path) -> Iterator[tuple[int, Fields | Unreadable]]:
    import duckdb

    # In a path duckdb reads *, ? and [ as a pattern; key=value folders would become columns of their own.
    name = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))
    query = (
        'SELECT to_json("one accord row") FROM '
        'read_parquet(?, hive_partitioning=false, binary_as_string=true) AS "one accord row"'
    )
    try:
        with duckdb.connect(":memory:", config={"autoinstall_known_extensions": False}) as connection:
            found = connection.execute(query, [name])
            number = 0
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                for (row,) in cast("list[tuple[str]]", rows):
                    number += 1
                    yield number, sifted_fields(file, number, json.loads(row))
    except duckdb.Error as error:
        raise Unreadable(file, "a Parquet file that duckdb can read", str(error).split("\n")[0]) from error
