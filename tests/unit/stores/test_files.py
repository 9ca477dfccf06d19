import errno
import hashlib
import os
import stat

import pytest

from accord.errors import Refused
from accord.stores import disk, file_sha256, make_folder, promote, write_aside
from accord.stores.files import aside, write_at


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


def test_write_aside_replaces_the_whole_file(tmp_path):
    path = tmp_path / "plan.toml"
    write_aside(path, "a longer text, with ü")
    write_aside(path, b"short")
    assert path.read_bytes() == b"short"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.toml"]


def test_write_aside_gives_the_permissions_of_an_ordinary_file(tmp_path):
    (tmp_path / "ordinary").write_text("")
    write_aside(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_write_aside_can_use_the_longest_name_there_is(tmp_path):
    write_aside(tmp_path / ("x" * 255), "whole")
    assert (tmp_path / ("x" * 255)).read_text() == "whole"


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM])
def test_trouble_with_the_disk_is_one_clear_refusal(tmp_path, monkeypatch, call, number):
    path = tmp_path / "file"
    write_aside(path, "old")
    monkeypatch.setattr(os, call, failing(number))
    with pytest.raises(Refused) as refused:
        write_aside(path, "new")
    what, advice = str(refused.value).splitlines()
    assert what.startswith(f"{path}: ")
    assert advice.strip()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"], "nothing half-written stays"


def test_other_errors_of_the_system_pass_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_aside(tmp_path / "missing" / "file", "")
    with pytest.raises(IsADirectoryError), disk(tmp_path):
        raise IsADirectoryError(errno.EISDIR, "is a directory")


def test_a_block_that_is_interrupted_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_aside(path, "old")
    with pytest.raises(KeyboardInterrupt), aside(path) as file:
        write_at(file, b"half of it", 0)
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_name_appears_only_after_its_content_is_on_disk(tmp_path, monkeypatch):
    order = []
    fsync = os.fsync

    def record(file):
        order.append((stat.S_ISDIR(os.fstat(file).st_mode), (tmp_path / "file").exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", record)
    write_aside(tmp_path / "file", "x")
    assert order == [(False, False), (True, True)], "the content, then the rename, then the folder"


def test_write_at_writes_on_when_the_system_takes_a_part(tmp_path, monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: pwrite(file, bytes(data[:3]), offset))
    write_aside(tmp_path / "file", "0123456789")
    assert (tmp_path / "file").read_text() == "0123456789"


def test_make_folder_makes_those_above_it(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_promote_syncs_all_files_and_folders_and_then_renames(tmp_path, monkeypatch):
    work, final = tmp_path / ".work", tmp_path / "final"
    (work / "deep").mkdir(parents=True)
    (work / "a").write_text("a")
    (work / "deep" / "b").write_text("b")
    (work / "link").symlink_to("nowhere")
    synced = set()
    fsync = os.fsync

    def record(file):
        synced.add((os.fstat(file).st_ino, final.exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", record)
    inside = {p.stat().st_ino for p in (work, work / "deep", work / "a", work / "deep" / "b")}
    promote(work, final)
    assert synced == {(inode, False) for inode in inside} | {(tmp_path.stat().st_ino, True)}
    assert (final / "deep" / "b").read_text() == "b"
    assert not work.exists()


@pytest.mark.parametrize("there", ["folder", "file", "dangling link"])
def test_promote_overwrites_nothing(tmp_path, there):
    work, final = tmp_path / "work", tmp_path / "final"
    work.mkdir()
    {"folder": final.mkdir, "file": final.touch, "dangling link": lambda: final.symlink_to("nowhere")}[
        there
    ]()
    with pytest.raises(Refused, match="stands already"):
        promote(work, final)
    assert work.is_dir()


def test_promote_refuses_what_another_process_was_faster_with(tmp_path, monkeypatch):
    work, final = tmp_path / "work", tmp_path / "final"
    work.mkdir()
    fsync = os.fsync

    def meanwhile(file):
        final.mkdir(exist_ok=True)
        (final / "theirs").touch()
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(Refused, match="meanwhile by another process"):
        promote(work, final)
    assert work.is_dir()
    assert (final / "theirs").exists()


def test_promote_refuses_an_unfinished_nothing(tmp_path):
    with pytest.raises(Refused, match="is no folder"):
        promote(tmp_path / "work", tmp_path / "final")


def test_file_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_a_full_disk(small_disk):
    write_aside(small_disk / "file", "old")
    with pytest.raises(Refused, match="no space left"):
        write_aside(small_disk / "file", b"x" * 1_000_000)
    assert (small_disk / "file").read_text() == "old"
    assert [p.name for p in small_disk.iterdir()] == ["file"]


def test_a_read_only_disk(closed_disk):
    with pytest.raises(Refused, match="read-only"):
        write_aside(closed_disk / "file", "x")
    with pytest.raises(Refused, match="read-only"):
        make_folder(closed_disk / "folder")
