"""A base can be had again: the archive has exactly its files, or a known model is what its card says.

Mutants these kill: any entry taken for the base's, other bytes under its name, a family without an entry for
it, a file of a pulled model that nobody compared, a hub's id taken for bytes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from accord.engines.pull import KNOWN, file_digest
from accord.folders import models_folder
from accord.keep.archive import Archive, Why
from accord.keep.intake import manifest_of
from accord.keep.manifest import entry_id, family_id
from accord.progress import Silent
from accord.steward.provenance import origin_of
from accord.testing import save_tiny

WHY = Why("a model", "A. Person")


def add(archive: Archive, model: Path, family: str, entry: bool) -> str:
    manifest = manifest_of(model)
    own = {one.name: model / one.name for one in manifest.files}
    archive.add(family, {**own, "accord/environment.json": b"{}"}, WHY, whole=True)
    name = entry_id(manifest, family)
    if entry:
        archive.add(name, {"records/one.json": b"{}"}, WHY, whole=False)
    return name


def test_the_archive_has_exactly_these_files_and_an_entry_for_them(tmp_path: Path) -> None:
    model, child = save_tiny(tmp_path / "tiny", layers=1, width=16), tmp_path / "child"
    shutil.copytree(model, child)
    (child / "config.json").write_text((child / "config.json").read_text("utf-8") + "\n", "utf-8")
    place = tmp_path / "archive"
    assert origin_of(str(model), place, Silent()).says == f"no archive stands in {place}"
    archive = Archive.make(place, lambda: 0.0)
    family = family_id(manifest_of(model))
    add(archive, model, family, entry=False)
    assert "has no entry" in origin_of(str(model), place, Silent()).says, "bytes alone are no entry"
    entry = add(archive, child, family, entry=True)
    assert not origin_of(str(model), place, Silent()).there, "another's entry in its own family"
    found = origin_of(str(child), place, Silent())
    assert (found.there, found.evidence) == (True, entry), "kept under the base it descends from"
    with (child / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        weights.write(b"\x01")
    assert not origin_of(str(child), place, Silent()).there, "one changed byte"


def test_a_pulled_model_is_what_its_card_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    name = next(iter(KNOWN))
    folder = models_folder() / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    listed = {"config.json": {"bytes": 23, "sha256": file_digest(folder / "config.json")}}
    (folder / "accord-model.json").write_text(json.dumps({"files": listed}), "utf-8")
    for model in (name, str(folder)):
        found = origin_of(model, tmp_path / "archive", Silent())
        assert found.there and KNOWN[name].member_sha256 in found.says
    (folder / "more.safetensors").write_bytes(b"more")
    assert "more.safetensors is no file that its card lists" in origin_of(name, tmp_path, Silent()).says
    (folder / "more.safetensors").unlink()
    (folder / "config.json").write_text('{"model_type": "llamb"}', "utf-8")
    assert "not what its card says" in origin_of(name, tmp_path / "archive", Silent()).says


def test_what_lies_nowhere_here_is_not_kept(tmp_path: Path) -> None:
    assert "may change there or go" in origin_of("someone/model", tmp_path, Silent()).says
    assert not origin_of("nowhere", tmp_path, Silent()).there
