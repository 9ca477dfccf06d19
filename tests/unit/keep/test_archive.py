"""Mutants killed: a shared tensor stored again, pieces joined in another order, a damaged piece handed out,
an entry's statement replaced, a version after one from the future, a second version for a retry."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from unit.keep.archives import NOON, tree, validated, weights

from accord.errors import AccordError, Refused, Unreadable
from accord.keep.archive import Archive, Kept, Why
from accord.keep.manifest import entry_id, family_id, manifest
from accord.keep.tensors import read_head
from accord.testing import save_tiny

BASE, TUNED = Why("the base", "Ada"), Why("its last layer tuned", "Ada")
ENTRY = "urn:accord:entry:0123"
PAGE = Path(__file__).parents[3] / "docs" / "keeping.md"


def archive_in(folder: Path, at: float = NOON) -> Archive:
    return (Archive.open if folder.exists() else Archive.make)(folder, lambda: at)


def files_of(folder: Path) -> dict[str, Path | bytes]:
    return {file.name: folder / file.name for file in manifest(folder).files}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, a fine-tune of its last layer, and an archive that keeps both."""
    folder = tmp_path_factory.mktemp("family")
    base = save_tiny(folder / "base", width=128)
    tuned = Path(shutil.copytree(base, folder / "tuned"))
    head = read_head(tuned / "model.safetensors")
    last = next(t for t in head.tensors if t.name == "model.layers.1.mlp.up_proj.weight")
    with (tuned / "model.safetensors").open("r+b") as file:
        file.seek(head.size + last.begin)
        file.write(bytes(last.end - last.begin))
    archive = archive_in(folder / "archive")
    for model, why in ((base, BASE), (tuned, TUNED)):
        archive.add(family_id(manifest(base)), files_of(model), why, whole=True)
    return folder


def test_what_comes_out_is_what_went_in_and_a_frozen_tensor_is_stored_once(
    family: Path, tmp_path: Path
) -> None:
    archive = archive_in(family / "archive")
    base, tuned = manifest(family / "base"), manifest(family / "tuned")
    urn = family_id(base)
    assert archive.objects() == [urn]
    assert archive.versions(urn) == [
        Kept(n, "2027-01-15T08:00:00Z", *why) for n, why in ((1, BASE), (2, TUNED))
    ]
    assert archive.manifest(urn, 1) == base
    assert archive.manifest(urn) == tuned
    assert archive.extract(urn, tmp_path / "out") == tuned == manifest(tmp_path / "out")
    assert archive.extract(urn, tmp_path / "base", version=1) == base == manifest(tmp_path / "base")
    head = read_head(family / "base" / "model.safetensors")
    changed = next(t for t in head.tensors if t.name == "model.layers.1.mlp.up_proj.weight")
    content = [archive.state(urn, 1), archive.state(urn, 2)]
    new = {stored.path: stored.size for stored in content[1].values() if "/v2/" in str(stored.path)}
    recipe = content[1]["model.safetensors/recipe.json"]
    assert sum(new.values()) == changed.end - changed.begin + recipe.size, (
        "the tensor that changed, and no other"
    )
    paths = {stored.path for state in content for stored in state.values()}
    on_disk = [path for path in archive.root.glob("*/*/*/*/v*/content/**/*") if path.is_file()]
    assert sorted(on_disk) == sorted(paths)
    assert validated(family / "archive") == 1


def test_a_page_says_how_to_read_an_archive_without_accord_and_it_works(family: Path, tmp_path: Path) -> None:
    blocks = PAGE.read_text(encoding="utf-8").split("```bash\n")[1:]
    script = "set -euo pipefail\n" + "".join(block.split("```")[0] for block in blocks)
    shutil.copytree(family / "archive", tmp_path / "archive")
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert family_id(manifest(family / "base")) in ran.stdout
    assert manifest(tmp_path / "model") == manifest(family / "tuned")
    damaged = next((tmp_path / "archive" / "root").glob("*/*/*/*/v1/content/model.safetensors/00003"))
    damaged.chmod(0o644)
    damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
    shutil.rmtree(tmp_path / "model")
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert "v1/content/model.safetensors/00003: FAILED" in ran.stdout


def test_an_entry_grows_and_what_it_says_is_not_replaced(tmp_path: Path) -> None:
    archive = archive_in(tmp_path / "archive")
    archive.add(ENTRY, {"statements/0001-bytes.json": b"{}"}, Why("signed", "Ada"), whole=False)
    archive.add(
        ENTRY,
        {"statements/0002-audit.json": b"[]", "records/r.json": b"{}"},
        Why("audited", "Bo"),
        whole=False,
    )
    assert list(archive.state(ENTRY)) == [
        "records/r.json",
        "statements/0001-bytes.json",
        "statements/0002-audit.json",
    ]
    assert archive.read(ENTRY, "statements/0002-audit.json") == b"[]"
    assert archive.read(ENTRY, "statements/0001-bytes.json", version=1) == b"{}"
    before = tree(archive.root)
    with pytest.raises(Refused, match=r"0001-bytes\.json stands already"):
        archive.add(ENTRY, {"statements/0001-bytes.json": b"!"}, Why("mended", "Cy"), whole=False)
    assert archive.add(ENTRY, {"records/r.json": b"{}"}, Why("audited", "Bo"), whole=False).number == 2
    assert tree(archive.root) == before
    with pytest.raises(Refused, match="in this version"):
        archive.read(ENTRY, "statements/0002-audit.json", version=1)
    assert archive.inventory_sha512(ENTRY, 1) != archive.inventory_sha512(ENTRY)
    folder = archive.folders()[0]
    assert (
        archive.inventory_sha512(ENTRY)
        == hashlib.sha512((folder / "inventory.json").read_bytes()).hexdigest()
    )
    assert validated(tmp_path / "archive") == 1


def test_the_same_weights_under_two_names_are_stored_once_and_again_in_another_object(tmp_path: Path) -> None:
    file = weights(tmp_path / "m.safetensors", {"a": bytes(70_000), "b": bytes(70_000), "c": b"c" * 9})
    archive = archive_in(tmp_path / "archive")
    for urn in ("urn:accord:family:1", "urn:accord:family:2"):
        archive.add(urn, {"m.safetensors": file, "x/m.safetensors": file}, BASE, whole=True)
    stored = [path for path in archive.root.glob("*/*/*/*/v1/content/**/*") if path.is_file()]
    assert sorted(path.name for path in stored) == sorted(["head", "00000", "00002", "recipe.json"] * 2)
    archive.extract("urn:accord:family:2", tmp_path / "out")
    assert (tmp_path / "out" / "x" / "m.safetensors").read_bytes() == file.read_bytes()
    assert validated(tmp_path / "archive") == 2


@pytest.mark.parametrize("part", ["model.safetensors/00003", "model.safetensors/recipe.json", "config.json"])
def test_damaged_content_is_named_and_never_handed_out(part: str, family: Path, tmp_path: Path) -> None:
    shutil.copytree(family / "archive", tmp_path / "archive")
    archive = archive_in(tmp_path / "archive")
    path = archive.state(archive.objects()[0])[part].path
    path.chmod(0o644)
    path.write_bytes(b"?" + path.read_bytes()[1:])
    with pytest.raises(Unreadable, match=str(path)):
        archive.extract(archive.objects()[0], tmp_path / "out")
    path.unlink()
    with pytest.raises(Unreadable, match="no such file"):
        archive.extract(archive.objects()[0], tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["archive"], "neither the folder nor a part of it"


@pytest.mark.parametrize("mend", ["inventory.json", "inventory.json.sha512", "both"])
def test_an_inventory_that_no_kill_explains_is_unreadable_and_stays_as_it_is(
    mend: str, family: Path, tmp_path: Path
) -> None:
    shutil.copytree(family / "archive", tmp_path / "archive")
    archive = archive_in(tmp_path / "archive")
    urn, folder = archive.objects()[0], archive.folders()[0]
    path = folder / ("inventory.json" if mend == "both" else mend)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    if mend == "both":  # consistent with itself, and still no inventory: a digest of content changed
        digest = hashlib.sha512(path.read_bytes()).hexdigest()
        (folder / "inventory.json.sha512").chmod(0o644)
        (folder / "inventory.json.sha512").write_text(f"{digest}  inventory.json\n")
    before = tree(tmp_path / "archive" / "root")
    with pytest.raises(Unreadable, match="inventory"):
        archive.versions(urn)
    with pytest.raises(Unreadable, match="inventory"):
        archive.add(urn, {"a": b"a"}, BASE, whole=True)
    assert tree(tmp_path / "archive" / "root") == before


CONTENT = {"a": b"a"}
REFUSED = {
    "nothing": ({}, BASE, ENTRY, "nothing to add"),
    "no reason": (CONTENT, Why(" ", "Ada"), ENTRY, "why"),
    "no name": (CONTENT, Why("why", ""), ENTRY, "by whom"),
    "no id": (CONTENT, BASE, "entry 1", "no id"),
    "a name outside": ({"../a": b"a"}, BASE, ENTRY, "inside its folder"),
    "a file that is a folder": ({"a": b"a", "a/b": b"b"}, BASE, ENTRY, "is a file"),
    "a file in an old one": ({"old/b": b"b"}, BASE, ENTRY, "is a file"),
    "a folder of weights": ({"m.safetensors/head": b"b"}, BASE, ENTRY, "rename the folder"),
    "a file that is none": ({"a": Path("/nowhere/a")}, BASE, ENTRY, "a file to keep"),
    "weights that are none": (
        {"m.safetensors": Path(__file__)},
        BASE,
        ENTRY,
        "length of their header|header",
    ),
}


@pytest.mark.parametrize(("files", "why", "urn", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_kept_is_refused_and_leaves_nothing(
    files: dict[str, Path | bytes], why: Why, urn: str, told: str, tmp_path: Path
) -> None:
    archive = archive_in(tmp_path / "archive")
    archive.add(ENTRY, {"old": b"o"}, BASE, whole=False)
    before = tree(tmp_path / "archive")
    with pytest.raises(AccordError, match=told):
        archive.add(urn, files, why, whole=False)
    assert tree(tmp_path / "archive") == before


def test_a_clock_set_back_is_refused(tmp_path: Path) -> None:
    archive_in(tmp_path / "a").add(ENTRY, {"a": b"a"}, BASE, whole=False)
    with pytest.raises(Refused, match="the clock says 2027-01-15T07:59:59Z"):
        archive_in(tmp_path / "a", NOON - 1).add(ENTRY, {"b": b"b"}, BASE, whole=False)
    assert len(archive_in(tmp_path / "a").versions(ENTRY)) == 1


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_bytes(b"a")

    class Writer:
        def begin(self, what: str, total: float | None = None) -> None: ...
        def say(self, text: str) -> None: ...
        def end(self) -> None: ...
        def advance(self, done: float = 1, note: str = "") -> None:
            file.write_bytes(b"longer")

    archive = Archive.make(tmp_path / "archive", lambda: NOON, Writer())
    with pytest.raises(Refused, match="changed while it was read"):
        archive.add(ENTRY, {"a": file}, BASE, whole=False)
    assert archive.objects() == []


def test_only_an_archive_is_opened_and_only_a_new_folder_becomes_one(tmp_path: Path) -> None:
    archive = archive_in(tmp_path / "archive")
    with pytest.raises(Refused, match="stands already"):
        Archive.make(tmp_path / "archive", lambda: NOON)
    with pytest.raises(Refused, match="is not kept"):
        archive.versions(ENTRY)
    (archive.root / "ocfl_layout.json").write_text(
        json.dumps({"extension": "0002-flat-direct-storage-layout"})
    )
    with pytest.raises(Unreadable, match="ocfl_layout"):
        archive_in(tmp_path / "archive")
    with pytest.raises(Unreadable, match="no such file"):
        Archive.open(tmp_path / "nowhere", lambda: NOON)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    other = archive_in(tmp_path / "other")
    (other.folder / "work" / "locks").rmdir()  # as git leaves out what is empty
    with pytest.raises(Unreadable, match=r"(?s)work/locks.*no such folder"):
        archive_in(tmp_path / "other")


def test_an_entry_belongs_to_one_model_of_one_family(family: Path) -> None:
    base, tuned = manifest(family / "base"), manifest(family / "tuned")
    assert entry_id(base, family_id(base)) != entry_id(tuned, family_id(base))
