"""For tests of archives: weights written by hand, an independent check, and a disk that gives out."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from ocfl import StorageRoot
from ocfl.layout_0003_hash_and_id_n_tuple import Layout_0003_Hash_And_Id_N_Tuple as Tuples
from ocfl.layout_registry import add_layout, layout_is_supported

from accord.keep.ocfl import LAYOUT

NOON = 1_800_000_000.0


class Hashed(Tuples):
    """Layout 0004, unknown to ocfl-py 2.1: it reads our config.json and says where objects belong."""

    def __init__(self) -> None:
        super().__init__()
        self.NAME, self.DESCRIPTION = LAYOUT, "hashed n-tuples"
        self.PARAMS["shortObjectRoot"] = self.check_short

    def check_short(self, value: object) -> None:
        assert value is False

    def identifier_to_path(self, identifier: str) -> str:
        digest = hashlib.new(self.digest_algorithm, identifier.encode("utf-8")).hexdigest()
        cuts = range(0, self.tuple_size * self.number_of_tuples, self.tuple_size)
        return "/".join([*(digest[at : at + self.tuple_size] for at in cuts), digest])


def validated(archive: Path) -> int:
    """The number of objects below ``archive``, in which ocfl-py found no fault, each where it belongs."""
    if not layout_is_supported(LAYOUT):
        add_layout(LAYOUT, Hashed)
    root = StorageRoot(root=str(archive / "root"))
    assert root.validate(), (root.errors, str(root.log))
    assert root.good_objects == root.num_objects, root.errors
    for path, identifier in root.list_objects():
        assert path == root.object_path(identifier)
    return root.num_objects


def weights(file: Path, tensors: Mapping[str, bytes]) -> Path:
    """A safetensors file of byte tensors, in this order."""
    header, end = dict[str, object](), 0
    for name, data in tensors.items():
        offsets = [end, end := end + len(data)]
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": offsets}
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(tensors.values()))
    return file


def tree(folder: Path) -> dict[str, str]:
    """Every file and folder below, by name, with the digest of what a file holds."""
    return {
        path.relative_to(folder).as_posix(): ""
        if path.is_dir()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
    }


class Killed(BaseException):
    """Nothing catches it: what stands on the disk is what a kill leaves."""


def stop_at(
    step: int, error: Callable[[], BaseException] = Killed, again: bool = False
) -> Callable[..., None]:
    """A ``before`` that raises instead of step ``step`` (from 0), or of every one from then on."""
    number = count()

    def before(what: str, path: Path) -> None:
        at = next(number)
        if at == step or (again and at > step):
            raise error()

    return before


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")
