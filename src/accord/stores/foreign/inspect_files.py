"""Logs of Inspect (inspect_ai) as files: ``.json``, and ``.eval``, which is a zip of JSON.

Of an ``.eval`` ``header.json`` is all but the samples, which stand under ``samples/``; one that was broken
off has ``_journal/start.json`` in its place. Inspect 0.3.285 packs with Zstandard, which
is read with ``pip install 'accord[inspect]'``; Deflate is read too, and is what is written. Nothing is
unpacked to a disk, and nothing in a log is ever run. The form is that of version 2.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from accord.errors import PlanError, Unreadable
from accord.stores.foreign.tables import Fields

__all__ = ["MARK", "VERSION", "Log", "is_log", "packed", "read"]

VERSION = 2
MARK = "accord"
"""In the metadata of what we write: there a judge who said nothing of a sample was not asked."""
_ZIP, _ZSTANDARD = b"PK", 93
_MOST = 2**30  # bytes of one member: a sample with all its events
_HEAD = struct.Struct("<4s5H3L2H")  # a member's own header, before its name
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: a log that says the same is the same file


class Log(NamedTuple):
    """What stands above the samples, and the samples, each with its number, counted from 1."""

    header: Fields
    samples: Sequence[tuple[int, Fields]]


def is_log(file: Path) -> bool:
    """Whether a file is one of these, by its name, or, of JSON, by how it begins."""
    if file.suffix == ".eval":
        return True
    if file.suffix != ".json":
        return False
    try:
        with file.open("rb") as opened:
            head = opened.read(4096)
    except OSError:
        return False
    return head.lstrip()[:1] == b"{" and b'"version"' in head and b'"eval"' in head


def read(file: Path) -> Log:
    """A log. Unreadable names what is wrong, and the sample where it is one."""
    try:
        with file.open("rb") as opened:
            zipped = opened.read(2) == _ZIP
    except OSError as error:
        raise Unreadable(file, "a log of Inspect", error.strerror or str(error)) from error
    found = _unpacked(file) if zipped else _whole(file)
    version = found.header.get("version")
    if version != VERSION:
        expected = f"version {VERSION} of Inspect's log; inspect log convert --to json makes it of others"
        raise Unreadable(file, expected, f"version {version!r}")
    if not isinstance(found.header.get("eval"), dict):
        raise Unreadable(file, '"eval" as an object', repr(found.header.get("eval"))[:80])
    return found


def packed(header: Mapping[str, object], samples: Mapping[str, Mapping[str, object]], zipped: bool) -> bytes:
    """A log as a file: ``.eval`` where ``zipped``, else JSON. ``samples`` by their names in the archive."""
    if not zipped:
        return _json({**header, "samples": list(samples.values())})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: object) -> None:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), _json(content), zipfile.ZIP_DEFLATED)

        start = {name: header[name] for name in ("version", "eval", "plan") if name in header}
        add("_journal/start.json", start)
        for name, sample in samples.items():
            add(f"samples/{name}.json", sample)
        seen = ("id", "epoch", "input", "target", "scores", "metadata")
        add("summaries.json", [{key: one[key] for key in seen if key in one} for one in samples.values()])
        add("header.json", header)
    return buffer.getvalue()


def _json(content: object) -> bytes:
    # NaN stands for a score that is none; Inspect writes and reads it so, beyond what JSON has.
    return json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


def _whole(file: Path) -> Log:
    header = _parsed(file, file.name, file.read_bytes())
    samples = header.pop("samples", None)
    listed = cast("list[object]", samples) if isinstance(samples, list) else []
    return Log(header, [(n, _fields(file, n, one)) for n, one in enumerate(listed, start=1)])


def _unpacked(file: Path) -> Log:
    try:
        with zipfile.ZipFile(file) as archive, file.open("rb") as raw:
            members = {one.filename: one for one in archive.infolist()}
            head = next((name for name in ("header.json", "_journal/start.json") if name in members), None)
            if head is None:
                raise Unreadable(file, "header.json in the archive", f"{len(members)} other files")
            header = _parsed(file, head, _content(file, raw, members[head]))
            samples = list(_samples(file, raw, members))
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError) as error:
        raise Unreadable(file, "a log of Inspect", f"{type(error).__name__}: {error}") from error
    return Log(header, samples)


def _samples(
    file: Path, raw: io.BufferedReader, members: Mapping[str, zipfile.ZipInfo]
) -> Iterator[tuple[int, Fields]]:
    names = [name for name in members if name.startswith("samples/") and name.endswith(".json")]
    for number, name in enumerate(names, start=1):
        yield number, _parsed(file, name, _content(file, raw, members[name]), number)


def _content(file: Path, raw: io.BufferedReader, member: zipfile.ZipInfo) -> bytes:
    """One member, read beside ``zipfile``, which does not know Zstandard before Python 3.14."""
    if member.file_size > _MOST:
        raise Unreadable(
            file, f"members of at most {_MOST:,} bytes", f"{member.filename}: {member.file_size:,}"
        )
    raw.seek(member.header_offset)
    fields = _HEAD.unpack(raw.read(_HEAD.size))
    raw.seek(member.header_offset + _HEAD.size + fields[-2] + fields[-1])
    content = _inflated(file, member, raw.read(member.compress_size))
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise Unreadable(file, f"{member.filename} as it was written", "its checksum differs")
    return content


def _inflated(file: Path, member: zipfile.ZipInfo, content: bytes) -> bytes:
    if member.compress_type == zipfile.ZIP_STORED:
        return content
    if member.compress_type == zipfile.ZIP_DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, member.file_size + 1)
    if member.compress_type != _ZSTANDARD:
        raise Unreadable(file, "Deflate or Zstandard", f"{member.filename}: method {member.compress_type}")
    try:
        import zstandard
    except ImportError:
        advice = "pip install 'accord[inspect]', or inspect log convert --to json"
        raise PlanError("FILE", str(file), "a log that is not packed with Zstandard", advice) from None
    reader = cast(Any, zstandard).ZstdDecompressor()
    try:
        with reader.stream_reader(content) as stream:
            return cast(bytes, stream.read(member.file_size + 1))
    except cast(Any, zstandard).ZstdError as error:
        raise Unreadable(file, f"{member.filename} as it was written", str(error)) from error


def _parsed(file: Path, name: str, content: bytes, number: int | None = None) -> Fields:
    try:
        return _fields(file, number, json.loads(content.decode("utf-8")))
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, f"{name} as JSON", str(error)[:200], number) from error


def _fields(file: Path, number: int | None, value: object) -> Fields:
    if not isinstance(value, dict):
        raise Unreadable(file, "one JSON object", repr(value)[:80], number)
    return cast(Fields, value)
