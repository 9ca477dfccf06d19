"""Ledgers: Records in one file, each on a line of its own with its id; lines are added and never changed.

A line counts once its newline is on disk: what lies behind the last one was never acknowledged, and is cut
off by the next who writes. Any number of processes may write, one at a time. A line that was changed by hand
is refused: a Record is what stands there.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, cast

from accord.errors import Unreadable
from accord.records import JSON, Record, read_record
from accord.stores.files import disk, make_folder, sync_folder, write_at
from accord.stores.segments import json_text

__all__ = ["add_records", "records_in"]

R = TypeVar("R", bound=Record)


def records_in(file: Path, what: str, *kinds: type[R]) -> list[R]:
    """The records of a ledger in order, none where there is no file. ``what`` says what one line is.

    Unreadable names the line that is no record of these kinds, or was changed since it was written.
    """
    if not file.is_file():
        return []
    data = file.read_bytes()
    found: list[R] = []
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].split(b"\n")[:-1], start=1):
        try:
            body = cast("dict[str, JSON]", json.loads(line))
            wrote = body.pop("id")
            record = read_record(str(body.pop("kind")), body)
        except (ValueError, KeyError, AttributeError) as error:
            raise Unreadable(file, what, str(error)[:200], number) from None
        if record.id != wrote or not isinstance(record, kinds):
            raise Unreadable(file, what, "it was changed" if record.id != wrote else record.kind, number)
        found.append(record)
    return found


def add_records(file: Path, records: Sequence[Record]) -> None:
    """Write these behind what stands there; they are on disk when it returns. The folder is made."""
    make_folder(file.parent)
    with disk(file):
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            data = file.read_bytes()
            end = data.rfind(b"\n") + 1
            if end < len(data):
                os.ftruncate(handle, end)
            told = [{"kind": one.kind, "id": one.id, **one.body()} for one in records]
            write_at(handle, b"".join(map(json_text, told)), end)
            os.fsync(handle)
        finally:
            os.close(handle)
    sync_folder(file.parent)
