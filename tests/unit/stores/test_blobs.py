import hashlib
import subprocess
import sys

import pytest

from accord.errors import Refused, Unreadable
from accord.stores import Blobs, files


def damage(path, data):
    path.chmod(0o644)
    path.write_bytes(data)


def test_what_is_put_is_read(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put_bytes(b"hello")
    assert digest == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert blobs.read(digest) == b"hello"
    assert blobs.path(digest) == tmp_path / "blobs" / "2c" / digest
    assert blobs.verify() == []


def test_bytes_and_file_of_one_content_are_one_blob(tmp_path):
    blobs = Blobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"y" * 2_500_000)
    assert blobs.put_file(source) == blobs.put_bytes(b"y" * 2_500_000) == blobs.put_file(source)
    assert len([p for p in blobs.folder.rglob("*") if p.is_file()]) == 1
    assert blobs.put_bytes(b"") == hashlib.sha256().hexdigest()
    assert blobs.read(hashlib.sha256().hexdigest()) == b""


def test_a_blob_that_changed_is_not_read_as_what_it_was(tmp_path):
    blobs = Blobs(tmp_path)
    digest = blobs.put_bytes(b"hello")
    damage(blobs.path(digest), b"hellO")
    with pytest.raises(Unreadable, match=digest):
        blobs.read(digest)


def test_a_blob_that_was_cut_is_mended_by_putting_it_again(tmp_path):
    blobs = Blobs(tmp_path)
    digest = blobs.put_bytes(b"hello")
    damage(blobs.path(digest), b"hel")
    blobs.put_bytes(b"hello")
    assert blobs.read(digest) == b"hello"


def test_a_missing_blob_is_named(tmp_path):
    with pytest.raises(Unreadable, match="no such file"):
        Blobs(tmp_path).read("0" * 64)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "0" * 63, ""])
def test_only_digests_are_names(tmp_path, name):
    with pytest.raises(ValueError, match="no SHA-256"):
        Blobs(tmp_path).path(name)


def test_verify_names_each_file_that_is_not_what_it_says(tmp_path):
    blobs = Blobs(tmp_path)
    good, changed, moved = blobs.put_bytes(b"1"), blobs.put_bytes(b"2"), blobs.put_bytes(b"3")
    damage(blobs.path(changed), b"two")
    elsewhere = tmp_path / "zz" / moved
    elsewhere.parent.mkdir()
    blobs.path(moved).rename(elsewhere)
    (tmp_path / "stray").touch()
    (tmp_path / ".1234.aside").touch()  # what a killed writer left is no problem
    problems = blobs.verify()
    assert len(problems) == 3
    for name in (changed, str(elsewhere), "stray"):
        assert sum(name in problem for problem in problems) == 1
    assert not any(good in problem for problem in problems)


def test_a_file_that_changes_under_the_copy_is_refused(tmp_path, monkeypatch):
    blobs = Blobs(tmp_path / "blobs")
    source = tmp_path / "source"
    source.write_bytes(b"before")
    monkeypatch.setattr("accord.stores.blobs.file_sha256", lambda path: digest_then_change(path))

    def digest_then_change(path):
        digest = files.file_sha256(path)
        path.write_bytes(b"after!")
        return digest

    with pytest.raises(Refused, match="changed while it was read"):
        blobs.put_file(source)
    assert [p for p in blobs.folder.rglob("*") if p.is_file()] == []


PUT = """
import sys
from pathlib import Path
from accord.stores import Blobs
blobs = Blobs(Path(sys.argv[1]))
for k in range(30):
    blobs.put_bytes(bytes([k]) * 100_000)
"""


def test_two_processes_put_the_same_at_once(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", PUT, str(tmp_path)]) for _ in range(2)]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Blobs(tmp_path).verify() == []
    assert len([p for p in tmp_path.rglob("*") if p.is_file()]) == 30


def test_a_full_disk_keeps_no_half_blob(small_disk):
    blobs = Blobs(small_disk)
    kept = blobs.put_bytes(b"small")
    with pytest.raises(Refused, match="no space left"):
        blobs.put_bytes(b"x" * 1_000_000)
    assert blobs.read(kept) == b"small"
    assert blobs.verify() == []
    assert [p.name for p in small_disk.rglob("*") if p.is_file()] == [kept]
