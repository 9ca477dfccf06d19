"""Mutants killed: names sorted as texts (the reference signer sorts their parts), hexadecimal digits hashed
instead of raw digests, a name left out of sha512, a symlink followed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from accord.errors import Refused
from accord.keep.manifest import FileDigest, Manifest, checked_name, entry_id, family_id, manifest


def test_the_roots_are_those_computed_by_hand(tmp_path: Path) -> None:
    for name in ("a/b", "a.b", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    found = manifest(tmp_path)
    assert [file.name for file in found.files] == ["a/b", "a.b", "c"]
    raw = b"".join(hashlib.sha256(name).digest() for name in (b"a/b", b"a.b", b"c"))
    assert found.oms_root == hashlib.sha256(raw).hexdigest()
    texts = [
        f'{{"name":"{n}","sha256":"{hashlib.sha256(n.encode()).hexdigest()}",'
        f'"sha512":"{hashlib.sha512(n.encode()).hexdigest()}","size":{len(n)}}}'
        for n in ("a/b", "a.b", "c")
    ]
    assert found.sha512 == hashlib.sha512(f"[{','.join(texts)}]".encode()).hexdigest()
    assert found.size == 7


def test_a_renamed_file_changes_what_we_sign_though_not_the_root_of_others() -> None:
    one = Manifest((FileDigest("a", 1, "00" * 32, "00" * 64),))
    two = Manifest((FileDigest("b", 1, "00" * 32, "00" * 64),))
    assert one.oms_root == two.oms_root
    assert one.sha512 != two.sha512
    assert family_id(one) == f"urn:accord:family:{one.sha512[:32]}" != family_id(two)
    assert len({entry_id(m, f) for m in (one, two) for f in (family_id(one), family_id(two))}) == 4


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a").symlink_to("/etc/hostname")
    with pytest.raises(Refused, match="symlink"):
        manifest(tmp_path / "m")
    (tmp_path / "m" / "a").unlink()
    with pytest.raises(Refused, match="holds no file"):
        manifest(tmp_path / "m")
    os.mkfifo(tmp_path / "m" / "pipe")
    with pytest.raises(Refused, match="no plain file"):
        manifest(tmp_path / "m")
    (tmp_path / "linked").symlink_to(tmp_path / "m")
    with pytest.raises(Refused, match="no folder"):
        manifest(tmp_path / "linked")


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "a//b", "./a", "a/../b", "..", "a\0b", "\udcff", "a" * 256, "."]
)
def test_names_that_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(Refused):
        checked_name(name)
