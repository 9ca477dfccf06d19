"""An entry read back: what was signed is what is handed out, whoever wrote to the archive since.

Kills: the model taken from the newest inventory while the signature is held against an older one; statements
that hold, believed in the entry of another model; one damaged entry that hides all others.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from unit.keep.examples import NOON
from unit.keep.lives import Life, kept

from accord.errors import Refused
from accord.keep.archive import Why
from accord.keep.entries import found_entry, public_of, read_entry
from accord.keep.ocfl import INVENTORY, SIDECAR, object_folder, object_key, read_inventory, sidecar
from accord.keep.outgoing import export_model
from accord.keep.verifying import Wanted, verify

OTHER = f"urn:accord:entry:{'0' * 32}"


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return kept(tmp_path / "archive")


def test_no_later_version_says_what_a_signed_one_holds(life: Life, tmp_path: Path) -> None:
    """Who can write to the archive adds a version, which nobody has to sign, and lets its inventory tell of
    the signed one that something else lies beside the model, such as values without a hard principle."""
    source = tmp_path / "archive source"
    files: dict[str, Path | bytes] = {name: source / name for name in ("model.safetensors", "config.json")}
    added = {**files, "accord/values.toml": b'[[principle]]\nid = "a"\nhard = true\n'}
    life.archive.add(life.family, added, Why("more", "A. Person"), whole=True)
    assert life.held.chain.faults == (), "a later version is no fault"
    folder = life.archive.root / object_folder(object_key(life.family))
    found = read_inventory((folder / INVENTORY).read_bytes(), folder)
    first, second = found.versions
    data = replace(found, versions=(replace(first, state=second.state), second)).encode()
    for place in (folder, folder / "v2"):
        for name, content in ((INVENTORY, data), (SIDECAR, sidecar(data))):
            (place / name).unlink()
            (place / name).write_bytes(content)
    assert "accord/values.toml" in life.archive.state(life.family, 1), "and the archive takes it for that"
    held = life.held
    assert [(one.code, "a later version" in one.says) for one in held.chain.faults] == [(3, True)]
    out = partial(life.archive.extract, life.family, version=held.home.version)
    with pytest.raises(Refused, match="a later version"):
        export_model(out, tmp_path / "out", held.about)


def test_a_version_that_leaves_the_last_statement_out_is_told(life: Life) -> None:
    """It needs no key, and the chain that is left holds: the drill that failed, or the sealing, was never."""
    names = list(life.archive.state(life.entry))
    left: dict[str, Path | bytes] = {name: life.archive.read(life.entry, name) for name in names[:-1]}
    life.archive.add(life.entry, left, Why("less", "B. Person"), whole=True)
    for faults in (life.held.chain.faults, verify(life.archive.folder, Wanted(), lambda: NOON).faults):
        assert [(one.code, one.where) for one in faults] == [(3, f"{life.entry}/{names[-1]}")]
        assert "stands in version 3, and no more as it was in version 4: taken out" in faults[0].says
    with pytest.raises(Refused, match="taken out"):
        export_model(partial(life.archive.extract, life.family), Path("out"), life.held.about)


def test_statements_of_one_entry_put_into_another_are_told(life: Life) -> None:
    names = [name for name in life.archive.state(life.entry) if name.startswith("statements/")]
    files: dict[str, Path | bytes] = {name: life.archive.read(life.entry, name) for name in names}
    life.archive.add(OTHER, files, Why("theirs", "B. Person"), whole=False)
    found = read_entry(life.archive, OTHER, *public_of(life.archive))
    assert [(one.code, "of another model" in one.says) for one in found.chain.faults] == [(3, True)]
    assert life.held.chain.faults == ()


def test_a_damaged_entry_hides_no_other(life: Life) -> None:
    envelope: dict[str, Path | bytes] = {"statements/0001-bytes.sigstore.json": b"{"}
    life.archive.add(OTHER, envelope, Why("torn", "A. Person"), whole=False)
    assert found_entry(life.archive, "brevity-1") == life.entry
    with pytest.raises(Refused, match=f"no entry of .* that can be read, and {OTHER} cannot"):
        found_entry(life.archive, "another")
