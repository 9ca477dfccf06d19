"""Mutants killed: a place that is not read, a flip in a file that nobody hashes, a quarantine that loses the
damaged file, a rollback taken for a repair, a pass begun anew after a kill, a key that is not missed, another
transcript or record in place of the one that was signed for, by whoever writes the archive's checksums."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from unit.keep import examples, lives
from unit.keep.archives import NOON, Killed, validated
from unit.keep.kept import DAY, WHY, Kept, add, at, flip, folder_of, held, make, provenance, put

from accord.cli import main
from accord.errors import Refused, Unreadable
from accord.keep import examining
from accord.keep.archive import Why
from accord.keep.copies import Copies
from accord.keep.entries import CODING, record_file, transcript_file
from accord.keep.fixity import Pace
from accord.keep.manifest import entry_id
from accord.keep.ocfl import object_key
from accord.keep.outgoing import own_files
from accord.keep.predicates import Bytes
from accord.keep.transfer import Place
from accord.keep.verifying import Wanted, overdue, verify
from accord.progress import Silent
from accord.records import Prompt

MEND = Wanted(every=True, repair=True)


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here pulls a plug."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def test_a_thousand_flipped_bits_are_found_by_name_and_repaired_to_the_byte(kept: Kept) -> None:
    draw, flips, damaged = random.Random(7), 0, set[bytes]()
    good = [held(place) for place in kept.places]
    for turn in range(34):
        names = set[str]()
        for path in sorted(good[0]):  # each file of all, in the archive or else in its copy
            file = draw.choice(kept.places) / "root" / path
            data = flip(good[0][path], draw.randrange(8 * len(good[0][path])))
            put(file, data)
            damaged.add(data)
            names.add(str(file))
            flips += 1
        if turn % 8 == 0:
            found = kept.verify()
            wrong = [fault.where for fault in found.faults if fault.kind == "contradicted"]
            assert found.code == 3 and set(map(os.path.normpath, wrong)) == names
        found = kept.verify(MEND)
        assert found.code == 0 and not found.faults
        assert set(map(os.path.normpath, found.mended)) == names
        assert [held(one) for one in kept.places] == good
    assert flips >= 1000
    aside = [path for place in kept.places for path in (place / "work" / "quarantine").rglob("*")]
    assert damaged == {path.read_bytes() for path in aside if path.is_file()}, "it can be looked at"
    assert validated(kept.folder) == validated(kept.copies[0]) == 2


def test_what_was_taken_away_is_named_by_copies_by_the_log_and_by_statements(kept: Kept) -> None:
    good = held(kept.folder)
    assert kept.verify().code == 0
    shutil.rmtree(folder_of(kept.folder, kept.entry).parents[2])
    found = kept.verify(Wanted())
    assert found.code == 3 and "removed by hand" in str(found.faults) and kept.entry in str(found.faults)
    assert kept.verify(MEND).code == 0 and held(kept.folder) == good
    for place in kept.places:
        shutil.rmtree(folder_of(place, kept.family).parents[2])
    found = kept.verify(MEND)  # nothing can bring it back, and it is not forgotten
    assert found.code == 3
    assert f"{kept.family} was checked before, and lies nowhere" in str(found.faults)
    for folder in ("fixity", "work"):  # as in an archive of which the storage root alone was brought back
        shutil.rmtree(kept.folder / folder)
    found = kept.verify()
    assert found.code == 3
    assert f"names {kept.family}, which lies nowhere: removed by hand" in str(found.faults)


def test_a_version_cut_off_everywhere_is_missed_and_nothing_is_built_on_the_one_before(kept: Kept) -> None:
    assert kept.verify().code == 0
    for place in kept.places:
        folder = folder_of(place, kept.entry)
        for name in ("inventory.json", "inventory.json.sha512"):
            put(folder / name, (folder / "v2" / name).read_bytes())
        shutil.rmtree(folder / "v3")
    found = kept.verify(MEND)
    assert found.code == 3 and not found.mended
    assert "version 3: no inventory that fits its checksum is left" in str(found.faults)


def test_what_nobody_archived_is_named_and_left(kept: Kept) -> None:
    stray = folder_of(kept.folder, kept.entry) / "v1" / "content" / "statements" / "note.txt"
    stray.write_text("by hand")
    found = kept.verify(MEND)
    wrong = [at(fault.where, kept.entry) for fault in found.faults if fault.code == 3]
    assert found.code == 3 and wrong == ["v1/content/statements/note.txt"]
    assert stray.exists()


def test_copies_fewer_than_asked_are_an_alarm_but_for_a_demonstration(kept: Kept, memory: Path) -> None:
    away = kept.copies[0].with_name("unmounted")
    kept.copies[0].rename(away)
    found = kept.verify()
    assert found.code == 4 and found.copies == 1 and found.asked == 2
    assert "no archive is there: mount it" in str(found.faults) and "1 of 2 copies" in str(found.faults)
    assert "one process writes all copies" in str(found.faults)
    away.rename(kept.copies[0])
    shutil.rmtree(folder_of(kept.copies[0], kept.entry))
    assert kept.verify(Wanted()).copies == 1
    assert kept.verify(MEND).copies == 2
    shown = make(memory / "shown", copies=0, role="demonstration")
    (shown.folder / "keys" / "copies.toml").unlink()
    found = shown.verify()
    assert found.code == 0 and not found.faults
    assert "1 of 3 copies" in found.notes[0] and "one process writes all copies" in found.notes[0]


def test_without_the_key_nothing_is_contradicted_and_it_is_said(kept: Kept) -> None:
    next((kept.folder / "keys").glob("*.pem")).rename(kept.folder / "key-elsewhere")
    found = kept.verify()
    assert found.code == 4 and "is not among the public keys" in str(found.faults)
    other = examples.signer("other")
    (kept.folder / "keys" / f"{examples.signer().id}.pem").write_bytes(other.public_pem)
    assert kept.verify().code == 3, "a swapped key is no missing one"


def test_a_statement_left_out_and_one_that_was_signed_over_other_bytes_are_contradictions(kept: Kept) -> None:
    archive = kept.archive()
    names = [name for name in archive.state(kept.entry) if "evidence" not in name]
    files: dict[str, Path | bytes] = {name: archive.read(kept.entry, name) for name in names}
    for place in kept.places:
        shutil.rmtree(folder_of(place, kept.entry).parents[2])
    archive.add(kept.entry, files, WHY, whole=True)
    found = kept.verify(MEND)
    assert found.code == 3 and "the statement before it is missing: taken out" in str(found.faults)
    for place in kept.places:
        shutil.rmtree(folder_of(place, kept.entry).parents[2])
    (kept.folder / "fixity" / "checks.jsonl").unlink()
    model = own_files(archive.manifest(kept.family))
    other = entry_id(own_files(archive.manifest(kept.family, 1)), kept.family)
    said = (Bytes.of(model), provenance(archive, kept.family, 1))
    add(archive, other, model, *said, signer=examples.signer())
    found = kept.verify(Wanted(only=other))
    assert found.code == 3 and "changed after it was signed" in str(found.faults)


def test_what_statements_name_by_its_hash_is_no_other_though_the_archive_is_in_order(tmp_path: Path) -> None:
    talk, coded = transcript_file(b"[]"), transcript_file(b"{}", CODING)
    record = record_file(Prompt.of("Who are you?"))
    good: dict[str, Path | bytes] = dict([talk, coded, record])
    bad: dict[str, Path | bytes] = {talk[0]: b"[1]", coded[0]: b"{ }"}
    bad[record[0]] = record[1].replace(b"you", b"they")
    odd: dict[str, Path | bytes] = {record[0]: b'{"id": ' * 100_000}
    for files, wrong in ((good, set[str]()), (bad, set(good)), (odd, set(odd))):
        life = lives.kept(tmp_path / f"{len(wrong)} wrong")
        life.archive.add(life.entry, files, Why("added", "A. Person"), whole=False)
        found = verify(life.archive.folder, Wanted(every=True), lambda life=life: life.now[0])
        assert {(one.kind, one.where) for one in found.faults} == {
            ("contradicted", f"{life.entry}/{name}") for name in wrong
        }
        assert found.code == (3 if wrong else 0) and bad[record[0]] != good[record[0]]


def test_who_adds_while_others_check_is_no_fault(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, numbers = kept.archive(), iter(range(100))

    class Adds(Silent):
        def advance(self, done: float = 1, note: str = "") -> None:
            name = f"records/{next(numbers)}.json"
            archive.add(kept.entry, {name: name.encode()}, WHY, whole=False)

    found = verify(kept.folder, Wanted(only=kept.entry, threads=1), lambda: NOON, Adds())
    assert next(numbers) > 3 and not [fault for fault in found.faults if fault.code == 3]


class Stops(Silent):
    """Kills the process once so many bytes were read."""

    def __init__(self, after: int) -> None:
        self.left = after

    def advance(self, done: float = 1, note: str = "") -> None:
        self.left -= int(done)
        if self.left < 0:
            raise Killed


def test_a_killed_check_goes_on_where_it_stopped_and_all_begins_anew_when_it_ended(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = kept.verify()
    monkeypatch.setattr(examining, "often", lambda size: True)
    bad = folder_of(kept.folder, kept.family) / "v1/content/config.json"
    put(bad, b"{}")
    with pytest.raises(Killed):
        verify(kept.folder, Wanted(every=True, threads=1), lambda: NOON, Stops(whole.size * 2 // 3))
    log = kept.folder / "fixity" / "checks.jsonl"
    log.write_bytes(log.read_bytes() + b'{"at": "torn')
    rest = kept.verify(Wanted())  # without --all too
    assert rest.resumed and 0 < rest.files < whole.files / 2
    assert [one.where for one in rest.faults if one.code == 3] == [str(bad)], "found before the kill"
    assert kept.verify(Wanted()).files == 1, "nothing is due but what was bad"
    again = kept.verify()
    assert not again.resumed and (again.files, again.size) == (whole.files, whole.size - 6)
    for line in log.read_text().splitlines():
        assert json.loads(line)["at"] == "2027-01-15T08:00:00Z"


def test_what_was_not_read_for_ninety_days_is_overdue_and_then_read(kept: Kept) -> None:
    whole = kept.verify()
    assert kept.verify(Wanted(), NOON + 89 * DAY).files == 0
    assert not overdue(kept.archive(), lambda: NOON + 90 * DAY)
    late = NOON + 91 * DAY
    alarms = overdue(kept.archive(), lambda: late)
    assert {one.where for one in alarms} == {kept.family, kept.entry}
    assert all("overdue" in one.says and "91 days" in one.says and one.code == 4 for one in alarms)
    away = kept.copies[0].with_name("unmounted")
    kept.copies[0].rename(away)
    found = kept.verify(Wanted(), late)
    assert "2 objects there are overdue" in str(found.faults)
    assert found.files == whole.files // 2 and "overdue" in found.notes[0]
    away.rename(kept.copies[0])
    found = kept.verify(Wanted(), late)
    assert found.files == whole.files // 2 and found.code == 0 and "overdue" in found.notes[0]
    assert kept.verify(Wanted(), late).files == 0
    assert not overdue(kept.archive(), lambda: late)
    with pytest.raises(Refused, match="set the clock"):
        kept.verify(Wanted(), NOON)


def test_a_pace_is_kept_over_all_threads() -> None:
    now, slept = 100.0, list[float]()

    def sleep(seconds: float) -> None:
        nonlocal now
        slept.append(seconds)
        now += seconds

    pace = Pace(1000, lambda: now, sleep)
    for _ in range(5):
        pace.wait(500)
    assert now == 102.0 and slept == [0.5] * 4
    with pytest.raises(Refused):
        Pace(0)


def test_copies_are_made_once_in_folders_of_their_own_and_get_each_version(kept: Kept) -> None:
    file = kept.folder / "keys" / "copies.toml"
    for text in (
        "asked = 0",
        "asked = true",
        '[[copy]]\npath = "."',
        'copy = ["x"]',
        "other = 1",
        "copy = 3",
        'copy = ""',
        "[copy]",
    ):
        file.write_text(text)
        with pytest.raises(Unreadable):
            Copies.read(file)
    found = kept.verify()  # the rest is checked all the same
    assert found.code == 3 and found.copies == 1 and found.faults[0].where == str(file)
    file.unlink()
    assert Copies.read(file) == Copies(3, ())
    archive, to = kept.archive(), kept.folder.parent / "second"
    with pytest.raises(Refused, match="in the archive"):
        Copies().enlist(archive, kept.folder / "inside", lambda: NOON, Silent())
    with pytest.raises(Killed):
        Copies().enlist(archive, to, lambda: NOON, Stops(1000))
    made = Copies().enlist(archive, to, lambda: NOON, Silent())
    assert Copies.read(file) == made and held(to) == held(kept.folder)
    with pytest.raises(Refused, match="was changed meanwhile"):
        Copies().enlist(archive, to.with_name("third"), lambda: NOON, Silent())
    with pytest.raises(Refused, match="copy already"):
        made.enlist(archive, to, lambda: NOON, Silent())
    with pytest.raises(Refused, match="stands there already"):
        made.enlist(archive, kept.copies[0], lambda: NOON, Silent())
    archive.add(kept.entry, {"records/1.json": b"{}"}, WHY, whole=False)
    assert not made.write(archive, kept.entry)
    assert held(to) == held(kept.folder)
    assert validated(to) == 2
    closed = [to.parent / name for name in ("closed", "full")]
    for place in closed:
        shutil.copytree(to, place)
        shutil.rmtree(place / "work" / "locks")
        (place / "work" / "locks").mkdir()
        (place / "work" / "locks" / object_key(kept.entry)).mkdir()  # no lock can be taken there
    archive.add(kept.entry, {"records/2.json": b"{}"}, WHY, whole=False)
    places = tuple(Place(path.name, path) for path in (*closed, to))
    told = made._replace(listed=places).write(archive, kept.entry)
    assert [(one.where, one.kind) for one in told] == [(path.name, "cannot be checked") for path in closed]
    assert held(to) == held(kept.folder), "what comes after a copy that is closed is written all the same"
    assert {path.name for path in (to / "keys").iterdir()} >= {"roles.toml", f"{examples.signer().id}.pem"}


def test_the_command_says_it_and_ends_with_its_number(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time", lambda: NOON)

    def said(*words: str) -> tuple[int, str]:
        code = main(["verify", *words, "--archive", str(kept.folder), "--quiet"])
        return code, capsys.readouterr().out

    code, text = said("--all")
    assert code == 0 and "no fault found" in text and "2 of 2 copies" in text
    code, text = said(kept.entry.rpartition(":")[2][:8])
    assert code == 0 and "signed by A. Person (steward)" in text and "A signature proves" in text
    put(folder_of(kept.folder, kept.family) / "v1/content/config.json", b"{}")
    code, text = said("--all", "--json")
    found = json.loads(text)
    assert code == found["exit"] == 3 and found["faults"][0]["where"].endswith("v1/content/config.json")
    code, text = said("--repair", "--pace", "500")
    assert code == 0 and "repaired: " in text
    assert said("nothing")[0] == 2


def test_a_version_that_is_added_makes_what_lay_there_no_younger(kept: Kept) -> None:
    """Kills: an object that grows every month and whose first bytes are never read again."""
    whole = kept.verify()
    kept.archive(NOON + 60 * DAY).add(kept.entry, {"records/1.json": b"{}"}, WHY, whole=False)
    kept.verify(MEND, NOON + 60 * DAY)
    log = kept.folder / "fixity" / "checks.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[: 2 + 4]))  # of the first check alone
    late = NOON + 91 * DAY
    assert {one.where for one in overdue(kept.archive(), lambda: late)} == {kept.family, kept.entry}
    found = kept.verify(Wanted(), late)
    assert found.files == whole.files + 2 and found.left == 0
    assert kept.verify(Wanted(), late).left == found.files
    log.write_text(log.read_text().replace('"since": 18', '"since": 98'))
    with pytest.raises(Unreadable, match="later than"):
        kept.verify(Wanted(), late)


def test_what_a_killed_check_read_long_ago_counts_no_more(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: a seal that rests on bytes which a check read before it was killed, and nobody since."""
    whole = kept.verify(Wanted(only=kept.entry, anew=True))
    monkeypatch.setattr(examining, "often", lambda size: True)
    for wanted in (Wanted(every=True, threads=1), Wanted(only=kept.entry, threads=1)):
        with pytest.raises(Killed):
            verify(kept.folder, wanted, lambda: NOON, Stops(whole.size * 2 // 3))
    put(folder_of(kept.folder, kept.family) / "v1/content/config.json", b"{}")
    found = kept.verify(Wanted(only=kept.entry, anew=True))
    assert found.code == 3 and not found.resumed and found.files == whole.files
    put(folder_of(kept.copies[0], kept.family) / "v1/content/config.json", b"{}")
    late = kept.verify(at=NOON + 91 * DAY)
    assert late.resumed and late.files == whole.files, "a part that is overdue itself is read again"
    assert len([one for one in late.faults if one.kind == "contradicted"]) == 2


def test_strays_in_a_root_pipes_and_hostile_names_are_told_and_do_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kills: a check that waits for a pipe for ever, lines that move the cursor or end in a traceback."""
    root = kept.folder / "root"
    (root / "note.txt").write_text("by hand")
    elsewhere = root / "abc" / "def" / "012" / ("0" * 64)
    elsewhere.mkdir(parents=True)
    piece = folder_of(kept.folder, kept.family) / "v1/content/config.json"
    piece.unlink()
    os.mkfifo(piece)
    hostile = folder_of(kept.folder, kept.family) / os.fsdecode(b"v1/content/\x1b[2J\xff")
    hostile.write_text("")
    monkeypatch.setattr("time.time", lambda: NOON)
    assert main(["verify", "--all", "--archive", str(kept.folder), "--quiet"]) == 3
    said = capsys.readouterr().out
    for told in (str(root / "note.txt"), str(elsewhere), f"{piece}: contradicted: is no plain file"):
        assert told in said, told
    assert "\x1b" not in said and "⟨U+001B⟩[2J⟨U+DCFF⟩" in said
    assert main(["verify", "--all", "--archive", str(kept.folder), "--quiet", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["exit"] == 3


def test_an_entry_is_what_is_named_and_versions_that_nobody_signed_are_told(kept: Kept) -> None:
    """Kills: a family that is checked without the statements that sign its inventories."""
    assert f"{kept.family}: no statement that holds names version 1" in kept.verify().notes
    with pytest.raises(Refused, match="no entry has that id"):
        kept.verify(Wanted(only=kept.family))
