"""What a file is by its bytes, whatever its name says: a pickle, a zip of torch, an archive, another format.

Nothing is opened that could run: bytes are compared, and opcodes of pickles read one by one
(``pickletools.genops``, which looks nothing up and calls nothing).
"""

from __future__ import annotations

import io
import pickletools
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

__all__ = ["Foreign", "foreign"]

_CONVERT = "load it where you trust its origin, and save the weights as safetensors: save_pretrained(DIR)"
_MAGIC = {
    b"PK\x03\x04": "a zip, as torch.save writes it",
    b"PK\x05\x06": "a zip",
    b"PK\x07\x08": "a zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x93NUMPY": "a numpy array, which may hold a pickle",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x7fELF": "a program (ELF)",
    b"GGUF": "GGUF",
}
_TAR, _TAR_AT = b"ustar", 257  # as torch wrote it before 0.1.10, and .nemo files are
_LFS = b"version https://git-lfs"
_HEADER = 100_000_000  # the longest header of safetensors: the first 8 bytes of one are a smaller number
_MANY = 100_000  # opcodes after which a file is a pickle beyond doubt
_LONGEST = 2**26  # bytes of one argument; what is longer is passed over
_IMPORTS = {"GLOBAL", "STACK_GLOBAL", "INST"}
_CALLS = {"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"}
_ARGUMENTS = {"MARK", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_END, _LOCATOR, _ENTRY = b"PK\x05\x06", b"PK\x06\x07", b"PK\x01\x02"
_END_SIZE, _LOCATOR_SIZE, _COMMENT = 22, 20, 65_535


class Foreign(NamedTuple):
    """What a file is, and what to do about it."""

    what: str
    remedy: str


def foreign(file: Path) -> Foreign | None:
    """What the bytes of a file show it to be, where nothing of that kind may be kept; else None."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(_TAR_AT + len(_TAR))
        if start.startswith(_LFS):
            return Foreign("a git-lfs pointer: the file itself was not fetched", "run: git lfs pull")
        if not _safetensors(start):
            if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
                return Foreign("a pickle, which runs code when it is opened", _CONVERT)
            what = next((what for magic, what in _MAGIC.items() if start.startswith(magic)), None)
            if what is None and start[_TAR_AT:] == _TAR:
                what = "a tar archive"
            if what is not None:
                return Foreign(what, _CONVERT)
        if _calls(stream, size):
            return Foreign("a pickle that calls what it names when it is opened", _CONVERT)
        if _holds_zip(stream, size):
            return Foreign("a zip behind other bytes, as torch.load would open it", _CONVERT)
    return None


def _safetensors(start: bytes) -> bool:
    """Whether a file may be safetensors: a header of 640 bytes begins as a pickle does."""
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _HEADER


class _Passed(bytes):
    """Stands for an argument that was passed over: empty, and as long as it was."""

    size: int

    def __len__(self) -> int:
        return self.size


class _Bounded:
    """A stream that holds no more of an argument in memory than one piece. What comes behind it counts: a
    pickle that begins with a long text calls what it names all the same."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size <= _LONGEST:
            return self._stream.read(size)
        if size > self._size - self._stream.tell():
            return b""
        self._stream.seek(size, io.SEEK_CUR)
        passed = _Passed()
        passed.size = size
        return passed

    def readline(self) -> bytes:
        line = piece = self._stream.readline(_LONGEST)
        while len(piece) == _LONGEST and not piece.endswith(b"\n"):
            piece = self._stream.readline(_LONGEST)
        return line if piece is line else line[:1] + piece[-2:]  # quotes are looked for at both ends


def _calls(stream: BinaryIO, size: int) -> bool:
    """Whether the whole is one pickle that imports a name and calls something.

    Protocols 0 and 1 have no magic. A text may begin as one does: a call needs its arguments before it.
    """
    stream.seek(0)
    seen, called = set[str](), False
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(cast(BinaryIO, _Bounded(stream, size)))):
            ready = opcode.name == "BUILD" or (opcode.name in _CALLS and bool(seen & _ARGUMENTS))
            called = called or ready
            seen.add(opcode.name)
            if count == _MANY:
                return True
    except (ValueError, OverflowError, MemoryError):
        return False
    return called and bool(seen & _IMPORTS)


def _holds_zip(stream: BinaryIO, size: int) -> bool:
    """Whether a zip ends the file: readers of zips look from the end, and skip what stands before."""
    begin = max(0, size - _END_SIZE - _COMMENT - _LOCATOR_SIZE)
    stream.seek(begin)
    tail = stream.read(size - begin)
    at = tail.rfind(_END)
    while at >= 0:
        directory = int.from_bytes(tail[at + 12 : at + 16], "little")
        wide = tail[max(0, at - _LOCATOR_SIZE) :][:4] == _LOCATOR
        first = begin + at - directory
        if wide or (directory and first >= 0 and _read(stream, first, 4) == _ENTRY):
            return True
        at = tail.rfind(_END, 0, at)
    return False


def _read(stream: BinaryIO, at: int, length: int) -> bytes:
    stream.seek(at)
    return stream.read(length)
