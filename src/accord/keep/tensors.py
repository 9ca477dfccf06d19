"""Safetensors parsed by hand: what a file claims to hold, and where it may be cut into pieces.

A file is 8 bytes (the length of the header, little-endian), the header (a JSON object from tensor name to
dtype, shape and offsets), then the tensors back to back. What the format leaves open is closed here: a file
with a hole, an overlap or two entries of one name can say different things to different readers, and none is
kept. Runs without torch and without the safetensors package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn, cast

from accord.errors import Unreadable
from accord.keep.untrusted import once

__all__ = ["JOINED", "LONGEST_HEADER", "Head", "Piece", "Tensor", "pieces", "read_head"]

LONGEST_HEADER = 100_000_000  # the format's own limit
JOINED = 64 * 1024  # smaller tensors share a piece: a file of 100 bytes costs more in its inventory

_BITS = {
    4: "F4",
    6: "F6_E2M3 F6_E3M2",
    8: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
    16: "I16 U16 F16 BF16",
    32: "I32 U32 F32",
    64: "I64 U64 F64 C64",
}
_WIDTH = {dtype: bits for bits, dtypes in _BITS.items() for dtype in dtypes.split()}
_ENTRY = {"dtype", "shape", "data_offsets"}


class Tensor(NamedTuple):
    """One entry of a header; ``begin`` and ``end`` count bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Head(NamedTuple):
    """The first ``size`` bytes of a file, its length and header; the tensors in the order of their bytes."""

    size: int
    tensors: tuple[Tensor, ...]
    metadata: Mapping[str, str]


class Piece(NamedTuple):
    """The bytes of a file from ``begin`` up to ``end``, both counted from the start of the file."""

    begin: int
    end: int


def read_head(file: Path) -> Head:
    """The head of a safetensors file whose size is exactly the one it demands; Unreadable for any other."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == b"version ":
            found = "a git-lfs pointer: the weights were not fetched; run `git lfs pull`"
            raise Unreadable(file, "safetensors", found)
        length = int.from_bytes(start, "little")
        if len(start) < 8:
            _wrong(file, "8 bytes with the length of the header", f"{size} bytes in all")
        if length > LONGEST_HEADER:
            _wrong(file, f"a header of at most {LONGEST_HEADER:,} bytes", f"one of {length:,}: {start!r}")
        if 8 + length > size:
            _wrong(file, f"{8 + length:,} bytes for its header alone", f"{size:,}: the file is cut short")
        text = stream.read(length)
    entries = _header(file, text)
    metadata = _metadata(file, entries.pop("__metadata__", {}))
    tensors = [_tensor(file, name, entry) for name, entry in entries.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end, tensor.name))
    end = 0
    for tensor in tensors:
        if tensor.begin != end:
            what = "a hole" if tensor.begin > end else "an overlap"
            _wrong(file, f"{tensor.name} to begin at byte {end:,}", f"{what}: it begins at {tensor.begin:,}")
        end = tensor.end
    if size != 8 + length + end:
        found = "cut short" if size < 8 + length + end else "with bytes that no tensor claims"
        _wrong(file, f"{8 + length + end:,} bytes, as its header demands", f"{size:,}, {found}")
    return Head(8 + length, tuple(tensors), metadata)


def pieces(head: Head, file_size: int) -> tuple[Piece, ...]:
    """Where the bytes after the head are cut; together the pieces cover them without a gap.

    A tensor of 64 KiB or more is a piece of its own, so that it is stored once in all models that share it;
    smaller ones join those behind them until 64 KiB are reached or a large one comes.
    """
    cut: list[Piece] = []
    begin = end = head.size
    for tensor in head.tensors:
        large = tensor.end - tensor.begin >= JOINED
        if end > begin and (large or end - begin >= JOINED):
            cut.append(Piece(begin, end))
            begin = end
        end = head.size + tensor.end
    if end > begin:
        cut.append(Piece(begin, end))
    if end != file_size:
        raise ValueError(f"the head accounts for {end} bytes, the file has {file_size}")
    return tuple(cut)


def _header(file: Path, text: bytes) -> dict[str, object]:
    if not text.startswith(b"{"):
        _wrong(file, "a header that begins with {", repr(text[:20]))
    try:
        value: object = json.loads(
            text.decode("utf-8"), object_pairs_hook=once, parse_constant=_no_number, parse_float=_no_number
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, "safetensors, whose header is a JSON object in UTF-8", str(error)) from error
    return cast("dict[str, object]", value)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no whole number")


def _metadata(file: Path, value: object) -> dict[str, str]:
    held = cast("dict[str, object]", value) if isinstance(value, dict) else {"": value}
    if not all(isinstance(text, str) for text in held.values()):
        _wrong(file, "__metadata__ from text to text", str(held)[:200])
    return cast("dict[str, str]", held)


def _tensor(file: Path, name: str, value: object) -> Tensor:
    entry = cast("dict[str, object]", value) if isinstance(value, dict) else {"": value}
    if set(entry) != _ENTRY:
        _wrong(file, f"dtype, shape and data_offsets of {name}", str(entry)[:200])
    dtype, shape, offsets = str(entry["dtype"]), _sizes(entry["shape"]), _sizes(entry["data_offsets"])
    if dtype not in _WIDTH:
        _wrong(file, f"a dtype of {name} that the format knows", repr(entry["dtype"])[:200])
    if shape is None or offsets is None or len(offsets) != 2:
        _wrong(file, f"shape and data_offsets of {name} in whole numbers from 0 on", str(entry)[:200])
    begin, end = offsets
    bits = _WIDTH[dtype] * _items(shape, 8 * (end - begin))
    if end < begin or 8 * (end - begin) != bits:
        needed = f"{bits // 8:,}" if bits % 8 == 0 else f"{bits} bits, no whole number of"
        _wrong(file, f"{name} to take {needed} bytes for its shape", f"{end - begin:,}")
    return Tensor(name, dtype, shape, begin, end)


def _items(shape: tuple[int, ...], enough: int) -> int:
    """How many items have this shape; any number above ``enough`` where it is more. The whole product of a
    million sizes that a header may name would take hours."""
    if 0 in shape:
        return 0
    items = 1
    for size in shape:
        items *= size
        if items > enough:
            break
    return items


def _sizes(value: object) -> tuple[int, ...] | None:
    """``value`` where it is a list of whole numbers from 0 on, else None."""
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    # bool is an int to Python, and true is no size.
    sizes = tuple(item for item in items if type(item) is int and item >= 0)
    return sizes if len(sizes) == len(items) else None


def _wrong(file: Path, expected: str, found: str) -> NoReturn:
    raise Unreadable(file, expected, f"{found}; the file is damaged or was not written by safetensors")
