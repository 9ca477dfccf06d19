"""Mutants killed: an overlap or a hole let through, trailing bytes, a second entry of one name (the last wins
in json), true as a size, NaN, a large tensor joined to small ones before it, a gap between pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.keep.archives import weights

from accord.errors import Unreadable
from accord.keep.tensors import JOINED, Head, Piece, Tensor, pieces, read_head


def entry(begin: int, end: int, dtype: str = "U8", **other: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": [end - begin], "data_offsets": [begin, end]} | other


def file_of(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


TWICE = json.dumps(entry(0, 1))
MALFORMED = {
    "empty": b"",
    "shorter than its length": b"\x01\x00\x00",
    "a git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "a header over 100 MB": file_of({}, length=100_000_001),
    "a header past the end": file_of({}, length=50),
    "no header": file_of(b""),
    "a space before the header": file_of(b" {}"),
    "a list": file_of([]),
    "not JSON": file_of(b"{'a': 1}"),
    "JSON and more": file_of(b"{}{}"),
    "not UTF-8": file_of(b'{"\xff": 1}'),
    "nested without end": file_of(b'{"a":' + b"[" * 100_000),
    "one name twice": file_of(f'{{"a": {TWICE}, "a": {TWICE}}}'.encode(), b"x"),
    "a field twice": file_of(b'{"a": {"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "an entry that is none": file_of({"a": 3}),
    "no shape": file_of({"a": {"dtype": "U8", "data_offsets": [0, 1]}}, b"x"),
    "a field too many": file_of({"a": entry(0, 1, device="cuda")}, b"x"),
    "an unknown dtype": file_of({"a": entry(0, 1, "U9")}, b"x"),
    "a dtype that is a list": file_of({"a": entry(0, 1, dtype=["U8"])}, b"x"),
    "a negative size": file_of({"a": entry(0, 1, shape=[-1, -1])}, b"x"),
    "true as a size": file_of({"a": entry(0, 1, shape=[True])}, b"x"),
    "a broken size": file_of({"a": entry(0, 1, shape=[1.0])}, b"x"),
    "NaN": file_of(b'{"a": {"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}', b"x"),
    "sizes beyond any disk": file_of({"a": entry(0, 1, shape=[2**62] * 40)}, b"x"),
    "three offsets": file_of({"a": entry(0, 1, data_offsets=[0, 1, 2])}, b"x"),
    "an end before its begin": file_of({"a": entry(0, 1, data_offsets=[1, 0])}, b"x"),
    "more bytes than its shape": file_of({"a": entry(0, 4, shape=[3])}, b"xxxx"),
    "half a byte": file_of({"a": entry(0, 1, "F4", shape=[3])}, b"x"),
    "an overlap": file_of({"a": entry(0, 2), "b": entry(1, 3)}, b"xxx"),
    "two tensors in one place": file_of({"a": entry(0, 1), "b": entry(0, 1)}, b"x"),
    "a hole": file_of({"a": entry(0, 1), "b": entry(2, 3)}, b"xxx"),
    "a hole before the first": file_of({"a": entry(1, 2)}, b"xx"),
    "bytes cut off": file_of({"a": entry(0, 9)}, b"xxx"),
    "bytes that no tensor claims": file_of({"a": entry(0, 1)}, b"xx"),
    "metadata that is no text": file_of({"__metadata__": {"a": 1}}),
    "metadata that is a list": file_of({"__metadata__": []}),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_malformed_weights_are_unreadable_and_named(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(data)
    with pytest.raises(Unreadable) as raised:
        read_head(file)
    assert raised.value.file == str(file)
    assert raised.value.found


def test_a_header_made_to_take_hours_is_told_at_once(tmp_path: Path) -> None:
    """Mutants: each name counted among all others; the whole product of the sizes."""
    entry = '{"dtype":"U8","shape":%s,"data_offsets":[0,1]}'
    many = ",".join(f'"{n}":0' for n in [*range(20_000), 19_999])
    large = f'"a":{entry % ([2**62] * 20_000)}'
    for text, says in ((many, "'19999' stands twice"), (large, "a to take")):
        raw = f"{{{text}}}".encode()
        (tmp_path / "x.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + b"\0")
        with pytest.raises(Unreadable, match=says):
            read_head(tmp_path / "x.safetensors")


def test_the_head_of_what_the_library_writes_is_what_the_library_reads(tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "m.safetensors"
    made = {
        "wide": np.arange(12, dtype=np.float32).reshape(3, 4),
        "none": np.zeros((0, 7), np.float16),
        "one": np.array(5),
    }
    save_file(made, file, metadata={"format": "np"})
    head, data = read_head(file), file.read_bytes()
    assert head.metadata == {"format": "np"}
    assert {t.name: (t.shape, data[head.size + t.begin : head.size + t.end]) for t in head.tensors} == {
        name: (value.shape, value.tobytes()) for name, value in load_file(file).items()
    }


@given(st.lists(st.integers(0, 3 * JOINED) | st.integers(0, 900), max_size=40), st.integers(8, 500))
def test_pieces_cover_everything_after_the_head_and_large_tensors_stand_alone(
    sizes: list[int], head: int
) -> None:
    tensors, end = list[Tensor](), 0
    for number, size in enumerate(sizes):
        tensors.append(Tensor(str(number), "U8", (size,), end, end + size))
        end += size
    cut = pieces(Head(head, tuple(tensors), {}), head + end)
    assert [p.begin for p in cut] + [head + end] == [head] + [p.end for p in cut] if end else cut == ()
    large = {Piece(head + t.begin, head + t.end) for t in tensors if t.end - t.begin >= JOINED}
    assert large <= set(cut)
    for before, after in pairwise(cut):
        joined = max(before.end - before.begin, after.end - after.begin)
        assert joined >= JOINED, "two neighbours that should be one piece"


def test_a_file_without_tensors_has_a_head_and_no_pieces(tmp_path: Path) -> None:
    file = weights(tmp_path / "m.safetensors", {})
    assert pieces(read_head(file), file.stat().st_size) == ()
