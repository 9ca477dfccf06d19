"""Mutants killed: the damaged file removed before another stands, an inventory swung before its content, a
repair by majority, a signed digest that is not asked, a copy that is written over from a damaged archive."""

from __future__ import annotations

import json
import os
import shutil
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from unit.keep.archives import NOON, Killed, full, stop_at, validated
from unit.keep.kept import Kept, at, flip, folder_of, held, make, put

from accord.errors import Refused
from accord.keep.archive import Archive
from accord.keep.ocfl import object_key, sidecar
from accord.keep.repair import mend
from accord.keep.steps import Steps
from accord.keep.transfer import Place
from accord.keep.verifying import Wanted

MEND = Wanted(every=True, repair=True)
PIECE = "v1/content/model.safetensors/00001"
HURT = (PIECE, "v2/content/accord/plan.toml", "v2/content/model.safetensors/00001")


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is synced matters to a power cut, not to a kill."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def damage(kept: Kept, case: str) -> None:
    """The family in the archive; that of the copy stays sound."""
    folder = folder_of(kept.folder, kept.family)
    if case == "files":
        for name in ("inventory.json", "inventory.json.sha512", "v2/inventory.json"):
            put(folder / name, flip((folder / name).read_bytes(), 1000))
        put(folder / PIECE, b"another tensor")
        (folder / HURT[2]).unlink()
        shutil.rmtree(folder / "v2/content/accord")
        (folder / "v2/content/accord").write_text("a file where a folder has to be")
    elif case == "the last version":
        for name in ("inventory.json", "inventory.json.sha512"):
            put(folder / name, (folder / "v1" / name).read_bytes())
        shutil.rmtree(folder / "v2")
    else:
        shutil.rmtree(folder.parents[2])


@pytest.mark.parametrize("case", ["files", "the last version", "the whole object"])
def test_a_repair_killed_before_any_of_its_steps_adds_no_damage_and_a_retry_ends_it(
    kept: Kept, case: str, memory: Path
) -> None:
    good = [held(place) for place in kept.places]
    damage(kept, case)
    before = held(kept.folder)
    sound = {path: data for path, data in before.items() if good[0].get(path) == data}
    broken = {data for path, data in before.items() if path not in sound}
    assert len(sound) < len(good[0])
    for step in count():
        target = Place("", memory / f"{case} {step}")
        shutil.copytree(kept.folder, target.folder, copy_function=os.link)
        places = [target, Place("copy", kept.copies[0])]
        again = partial(mend, target, places, object_key(kept.family), HURT if case == "files" else (), {})
        killed = False
        try:
            again(steps=Steps(stop_at(step)))
        except Killed:
            killed = True
            now = held(target.folder)
            assert sound.items() <= now.items(), "what was sound is as it was"
            aside = {path.read_bytes() for path in (target.folder / "work").rglob("*") if path.is_file()}
            assert broken <= aside | set(now.values()), "what was damaged is still there"
            assert not again().faults
        assert held(target.folder) == good[0]
        Archive.open(target.folder, lambda: NOON)
        assert {path.name for path in (target.folder / "work").iterdir()} <= {"locks", "quarantine"}
        shutil.rmtree(target.folder)
        if not killed:
            break
    assert step > (60 if case == "files" else 25)
    assert held(kept.copies[0]) == good[1]


def test_a_full_disk_is_refused_and_leaves_what_is_sound(kept: Kept) -> None:
    good = [held(place) for place in kept.places]
    damage(kept, "the whole object")
    before = held(kept.folder)
    place = Place("", kept.folder)
    with pytest.raises(Refused, match="no space left"):
        mend(
            place,
            [place, Place("copy", kept.copies[0])],
            object_key(kept.family),
            (),
            {},
            steps=Steps(stop_at(20, full, again=False)),
        )
    assert held(kept.folder) == before
    assert not list((kept.folder / "work").glob("*-*"))
    assert not kept.verify(MEND).faults
    assert [held(one) for one in kept.places] == good


def rewritten(place: Path, urn: str, old: str, new: str) -> None:
    """Somebody changes the newest inventory of an object, and every checksum with it."""
    folder = folder_of(place, urn)
    head = json.loads((folder / "inventory.json").read_bytes())["head"]
    data = (folder / "inventory.json").read_bytes()
    assert old.encode() in data
    data = data.replace(old.encode(), new.encode())
    for where in (folder, folder / head):
        put(where / "inventory.json", data)
        put(where / "inventory.json.sha512", sidecar(data))


def test_of_two_that_differ_and_both_fit_neither_is_touched_and_a_person_is_asked(kept: Kept) -> None:
    rewritten(kept.copies[0], kept.entry, "add 0003-audit", "ADD 0003-audit")
    put(folder_of(kept.folder, kept.entry) / "v1/inventory.json", b"damaged too")
    before = [held(place) for place in kept.places]
    found = kept.verify(MEND)
    assert found.code == 3 and not found.mended
    (fault,) = [one for one in found.faults if one.kind == "contradicted"]
    assert "differ, and each fits its checksum" in fault.says and "nothing is repaired" in fault.says
    assert all(str(folder_of(place, kept.entry)) in os.path.normpath(fault.says) for place in kept.places[:1])
    assert [held(place) for place in kept.places] == before


def test_of_a_family_what_was_signed_decides_and_what_was_not_is_never_taken(kept: Kept) -> None:
    good = [held(place) for place in kept.places]
    rewritten(kept.folder, kept.family, '"tuned"', '"TUNED"')
    found = kept.verify()
    assert found.code == 3
    assert {at(fault.where, kept.family) for fault in found.faults if fault.kind == "contradicted"} == {
        "inventory.json",
        "inventory.json.sha512",
        "v2/inventory.json",
        "v2/inventory.json.sha512",
    }
    assert kept.verify(MEND).code == 0
    assert [held(place) for place in kept.places] == good
    for place in kept.places:
        rewritten(place, kept.family, '"tuned"', '"TUNED"')
    bad = [held(place) for place in kept.places]
    found = kept.verify(MEND)
    assert found.code == 3 and not found.mended
    assert any("the one that was signed" in fault.says for fault in found.faults)
    assert [held(place) for place in kept.places] == bad


def test_what_no_place_has_whole_is_named_and_the_rest_is_repaired(kept: Kept) -> None:
    good = [held(place) for place in kept.places]
    for place in kept.places:
        put(folder_of(place, kept.family) / PIECE, b"gone")
    put(folder_of(kept.folder, kept.family) / "v1/inventory.json.sha512", b"gone too")
    found = kept.verify(MEND)
    assert found.code == 3
    assert {at(one.where, kept.family) for one in found.faults if one.kind == "contradicted"} == {PIECE}
    assert [at(path, kept.family) for path in found.mended] == ["v1/inventory.json.sha512"]
    for place in kept.places:
        left = [path for path, data in held(place).items() if good[0][path] != data]
        assert len(left) == 1 and left[0].endswith(PIECE)


def test_no_version_is_brought_before_the_one_that_it_follows(kept: Kept) -> None:
    folder, source = (folder_of(place, kept.entry) for place in kept.places)
    for name in ("inventory.json", "inventory.json.sha512"):
        put(folder / name, (folder / "v1" / name).read_bytes())
    shutil.rmtree(folder / "v2")
    shutil.rmtree(folder / "v3")
    lost = source / "v2/content/statements/0002-evidence.sigstore.json"
    good = lost.read_bytes()
    put(lost, b"damaged")
    before = held(kept.folder)
    found = kept.verify(MEND)
    assert found.code == 3 and held(kept.folder) == before
    put(lost, good)
    assert kept.verify(MEND).code == 0
    assert held(kept.folder) == held(kept.copies[0])


def test_without_copies_an_inventory_comes_from_its_twin_and_what_has_none_from_what_it_implies(
    memory: Path,
) -> None:
    kept = make(memory / "alone", copies=0)
    good = held(kept.folder)
    folder = folder_of(kept.folder, kept.entry)
    for name in ("inventory.json", "v2/inventory.json", "v1/inventory.json.sha512"):
        put(folder / name, flip((folder / name).read_bytes(), 77))
    assert {at(one.where, kept.entry) for one in kept.verify().faults if one.kind == "contradicted"} == {
        "inventory.json",
        "v2/inventory.json",
        "v1/inventory.json.sha512",
    }
    assert kept.verify(MEND).code == 0
    assert held(kept.folder) == good
    assert validated(kept.folder) == 2
    # The newest of all lost, twin and all: an older one is not taken for it.
    for name in ("inventory.json", "v3/inventory.json"):
        put(folder / name, flip((folder / name).read_bytes(), 77))
    lost = held(kept.folder)
    found = kept.verify(MEND)
    assert found.code == 3 and "version 3: no inventory that fits" in str(found.faults[0])
    assert held(kept.folder) == lost
