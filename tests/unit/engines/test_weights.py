"""Weights are checked by sizes and headers, before torch reads a byte of them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.engines.local.tiny import save_tiny
from accord.engines.local.weights import check_safetensors
from accord.errors import Unreadable

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "whole", 5)


def written(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(start: int, stop: int, dtype: str = "F32", shape: tuple[int, ...] = (2,)) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


HEADERS: list[tuple[bytes, str]] = [
    (b"", "0 bytes"),
    (b"\x01\x02", "2 bytes"),
    (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    (b"\xff" * 64, "64 bytes that begin with"),
    (struct.pack("<Q", 500) + b"{}", r"at least 508 bytes.*\n.*10 bytes"),
    (written(b"{nope"), "header is JSON"),
    (written([]), "JSON object"),
    (written({"w": 3}), "entry for w"),
    (written({"w": {"dtype": "F32"}}), "shape and offsets of w"),
    (written({"w": entry(0, -8)}), "shape and offsets of w"),
    (written({"w": entry(0, 4)}, b"0" * 4), "w to take 8 bytes.*\n.*4"),
    (written({"w": entry(4, 12)}, b"0" * 12), "start at byte 0"),
    (written({"a": entry(0, 8), "b": entry(4, 12)}, b"0" * 12), "b to start at byte 8"),
    (written({"w": entry(0, 8)}, b"0" * 7), "cut short or damaged"),
    (written({"w": entry(0, 8)}, b"0" * 9), "cut short or damaged"),
]


@pytest.mark.parametrize(("content", "message"), HEADERS)
def test_each_corrupt_header_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(Unreadable, match=message) as caught:
        check_safetensors(tmp_path / WEIGHTS)
    assert str(tmp_path / WEIGHTS) in str(caught.value)


def test_a_header_of_every_kind_passes(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": entry(0, 4, "BF16"),
        "b": entry(4, 6, "F8_E4M3"),
        "c": entry(6, 6, "F32", (0,)),
    }
    (tmp_path / WEIGHTS).write_bytes(written(header, b"0" * 6))
    assert check_safetensors(tmp_path / WEIGHTS) == {"a", "b", "c"}


@settings(max_examples=25, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_found_before_torch_reads(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    content = (whole / WEIGHTS).read_bytes()
    file = tmp_path_factory.mktemp("cut") / WEIGHTS
    file.write_bytes(content[: int(cut * len(content))])
    with pytest.raises(Unreadable):
        check_safetensors(file)
