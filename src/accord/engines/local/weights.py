"""Whether a folder's weights are whole, told from sizes and headers before torch reads a byte of them.

Only safetensors: a pickled file can run code when it is opened. Runs without torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from accord.errors import Refused, Unreadable

__all__ = ["check_safetensors", "check_weights", "read_object"]

_ONE, _SHARDED = "model.safetensors", "model.safetensors.index.json"
_PICKLED = (".bin", ".pt", ".pth", ".ckpt")
_DTYPES = {
    8: "F64 I64 U64 C64",
    4: "F32 I32 U32",
    2: "F16 BF16 I16 U16",
    1: "I8 U8 BOOL F8_E4M3 F8_E5M2 F8_E8M0",
}
_WIDTHS = {dtype: width for width, dtypes in _DTYPES.items() for dtype in dtypes.split()}
_LONGEST_HEADER = 100_000_000  # the format's own limit


def check_weights(folder: Path) -> tuple[Path, ...]:
    """The weight files of ``folder`` that transformers would load, each one checked, ordered by name."""
    if (folder / _ONE).is_file():
        check_safetensors(folder / _ONE)
        return (folder / _ONE,)
    if (folder / _SHARDED).is_file():
        return _check_shards(folder / _SHARDED)
    pickled = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLED)
    if pickled:
        raise Refused(
            f"{folder} holds its weights only as {', '.join(pickled)}: a pickled file can run code when "
            "it is opened, so Accord loads safetensors only.\n  If you trust its origin, convert it: load "
            "the model in transformers and call save_pretrained() into a new folder."
        )
    others = sorted(file.name for file in folder.iterdir() if file.suffix == ".safetensors")
    raise Unreadable(
        folder, f"weights in {_ONE} or in shards that {_SHARDED} lists", ", ".join(others) or "no weights"
    )


def check_safetensors(file: Path) -> frozenset[str]:
    """The names of the tensors in ``file``. Unreadable when its size is not the one its header demands."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == b"version ":
            raise Unreadable(
                file, "safetensors", "a git-lfs pointer: the weights were not fetched; run `git lfs pull`"
            )
        length = int.from_bytes(start, "little")
        if size < 8 or length > _LONGEST_HEADER:
            raise Unreadable(
                file, "safetensors, which start with the length of their header", _shown(start, size)
            )
        if 8 + length > size:
            raise _wrong_size(file, f"at least {8 + length:,} bytes for its header alone", size)
        text = stream.read(length)
    tensors = _tensors(file, text)
    end = _end(file, tensors)
    if size != 8 + length + end:
        raise _wrong_size(file, f"{8 + length + end:,} bytes, as its header demands", size)
    return frozenset(tensors)


def read_object(file: Path) -> dict[str, object]:
    """The JSON object in ``file``; Unreadable when it is anything else."""
    try:
        value: object = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, "a JSON object", str(error), getattr(error, "lineno", None)) from error
    if not isinstance(value, dict):
        raise Unreadable(file, "a JSON object", f"a JSON {type(value).__name__}")
    return cast("dict[str, object]", value)


def _check_shards(index: Path) -> tuple[Path, ...]:
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise Unreadable(index, 'an object "weight_map" from tensor to shard', "none")
    held: dict[str, frozenset[str]] = {}
    for shard in sorted({str(shard) for shard in cast("dict[str, object]", places).values()}):
        file = index.parent / shard
        if file.parent != index.parent or not file.is_file():
            raise Unreadable(
                index, f"the shard {shard} beside it", "no such file; copy or download the model again"
            )
        held[shard] = check_safetensors(file)
    for tensor, shard in cast("dict[str, str]", places).items():
        if tensor not in held[shard]:
            raise Unreadable(
                index.parent / shard, f"the tensor {tensor}, as {index.name} says", "no such tensor"
            )
    return tuple(index.parent / shard for shard in held)


def _tensors(file: Path, text: bytes) -> dict[str, Mapping[str, object]]:
    try:
        header: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, "safetensors, whose header is JSON", str(error)) from error
    if not isinstance(header, dict):
        raise Unreadable(
            file, "safetensors, whose header is a JSON object", f"a JSON {type(header).__name__}"
        )
    entries = cast("dict[str, object]", header)
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise Unreadable(file, f"a header entry for {name}", repr(entry))
    return cast("dict[str, Mapping[str, object]]", entries)


def _end(file: Path, tensors: Mapping[str, Mapping[str, object]]) -> int:
    """Where the last tensor ends; every tensor must start where the one before it ended."""
    spans = sorted((*_span(file, name, entry), name) for name, entry in tensors.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            raise Unreadable(
                file, f"{name} to start at byte {end:,}", f"it starts at {start:,}: the header is corrupt"
            )
        end = stop
    return end


def _span(file: Path, name: str, entry: Mapping[str, object]) -> tuple[int, int]:
    offsets, shape = _whole_numbers(entry.get("data_offsets")), _whole_numbers(entry.get("shape"))
    if offsets is None or shape is None or len(offsets) != 2:
        raise Unreadable(file, f"shape and offsets of {name} in the header", f"{dict(entry)!r}"[:200])
    width = _WIDTHS.get(str(entry.get("dtype")))
    start, stop = offsets
    needed = None if width is None else width * math.prod(shape)
    if stop < start or (needed is not None and stop - start != needed):
        raise Unreadable(
            file, f"{name} to take {needed} bytes for its shape", f"{stop - start}: the header is corrupt"
        )
    return start, stop


def _whole_numbers(value: object) -> list[int] | None:
    """``value`` where it is a list of whole numbers from 0 on, else None."""
    if not isinstance(value, list):
        return None
    items = cast("list[object]", value)
    numbers = [item for item in items if isinstance(item, int) and not isinstance(item, bool) and item >= 0]
    return numbers if len(numbers) == len(items) else None


def _shown(start: bytes, size: int) -> str:
    return f"{size:,} bytes" if size < 8 else f"{size:,} bytes that begin with {start!r}"


def _wrong_size(file: Path, expected: str, size: int) -> Unreadable:
    return Unreadable(
        file, expected, f"{size:,} bytes: the file is cut short or damaged; copy or download it again"
    )
