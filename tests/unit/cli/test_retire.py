"""``accord retire`` from kept to revived, with every refusal on the way written down."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from unit.keep.examples import PASSPHRASE
from unit.keep.lives import DAY, Asked, Life, Scripted, kept

from accord import catalog
from accord.cli import retire as command
from accord.cli.keys import PASSPHRASE as VARIABLE
from accord.errors import PlanError, Refused
from accord.keep import keys as keeping
from accord.keep.replies import Draft
from accord.keep.retirement import standing
from accord.keep.retiring import REFUSED
from accord.keep.roles import Role, enrol
from accord.records import Decision
from accord.stores.ledger import records_in


def answers(seen: Asked) -> str:
    """Would remain, and says nothing else twice in a row."""
    return "remain" if "remain" in seen.options else f"{seen.options[0] if seen.options else 'so'}"


@pytest.fixture
def life(here: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setenv("ACCORD_KEYS", str(here / "own"))
    monkeypatch.setenv(VARIABLE, PASSPHRASE.decode())
    found = kept(here / "archive")
    private = keeping.private_file("B. Person")
    public = keeping.make_key(private, private.with_name(f"{private.name}.pem"), PASSPHRASE)
    day = time.gmtime(found.now[0] - DAY)
    from datetime import date

    role = Role(public.id, "B. Person", "steward", date(*day[:3]))
    enrol(here / "archive" / "keys", public, role)
    monkeypatch.setattr(time, "time", lambda: found.now[0])
    monkeypatch.setattr(catalog, "build", lambda *_: Scripted(answers))
    return found


def test_a_whole_life(life: Life, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kills: a step without its requirement, a refusal that is not written down, an interview asked twice."""
    wrote: list[str] = []

    def say(code: int, **given: Any) -> dict[str, Any]:
        life.now[0] += 60
        assert command.retire(life.entry, json=True, quiet=True, by="B. Person", **given) == code
        found = json.loads(capsys.readouterr().out)
        assert found["refused"] == (code == 2)
        wrote.extend([found["state"]] if code == 2 else [])
        ledger = records_in(here / "archive" / REFUSED, "a refusal", Decision)
        assert [one.by for one in ledger] == ["B. Person"] * len(wrote)
        return found

    assert say(0)["missing"] == []
    assert "no reason" in say(2, onward=True)["missing"][0]["what"]
    assert say(0, onward=True, reason="it serves")["state"] == "active"
    assert (
        say(0, onward=True, reason="succeeded", successor="brevity-2", sealing="2027-01-15")["state"]
        == "notice"
    )
    for wrong in ({"until": "2027-03-01"}, {"successor": "brevity-3"}, {"scope": "all"}):
        with pytest.raises(PlanError, match="only where the step is"):
            command.retire(life.entry, by="B. Person", quiet=True, onward=True, **wrong)
    place = here / "interviews" / f"{life.entry[-32:-20]}-{life.held.chain.statements[-1].opened.digest[:8]}"
    shutil.copytree(here / "archive source", place / "model")
    (place / "model" / "config.json").write_text("[]")
    with pytest.raises(Refused, match="is not the model that is kept"):
        command.retire(life.entry, by="B. Person", quiet=True, onward=True, sessions=8)
    (place / "model" / "config.json").write_text("{}")
    coding = say(2, onward=True, sessions=8)["missing"][0]
    assert not (place / "model").exists(), "outside the archive nothing of it is left"
    assert coding["what"].startswith("12 sessions were held")
    folder = next((here / "interviews").iterdir())
    sheet = folder / "coding.toml"
    text = sheet.read_text()
    code = re.findall(r'answer = "(\w+)', text)
    for one in code:
        text = text.replace('code = ""', f'code = "{one}"', 1)
    sheet.write_text(text.replace('by = ""', 'by = "C. Person"'))
    before = sorted((file.name, file.stat().st_size) for file in folder.glob("session-*"))
    found = say(0, onward=True)
    assert sorted((file.name, file.stat().st_size) for file in folder.glob("session-*")) == before
    assert found["state"] == "interviewed" and len(found["owed"]) == 2
    draft = Draft.blank(life.entry, "B. Person", standing(life.held.chain).preferences)
    half = draft.filled({found["owed"][0]: ("decline", "It was announced.")})
    half.write(here / "replies.toml")
    assert "no reply to the whole" in say(2, reply=here / "replies.toml")["missing"][0]["what"]
    half.filled({found["owed"][1]: ("accept", "We read all of it.")}).write(here / "replies.toml")
    assert say(0, reply=here / "replies.toml")["state"] == "answered"
    early = say(2, onward=True, reason="as announced")
    assert early["missing"] == [
        {"what": "its notice named 2027-01-15 for the sealing", "remedy": "wait until that day"}
    ]
    life.now[0] += 60 * DAY
    assert say(0, onward=True, reason="as announced")["state"] == "sealed"
    opened = say(0, onward=True, reason="an inquiry", scope="one question", until="2027-02-01")
    assert (opened["state"], opened["until"], opened["faults"]) == ("revived", "2027-02-01", [])
    assert say(0, onward=True, reason="it is answered")["state"] == "sealed"
    assert wrote == ["kept", "notice", "interviewed", "answered"]
    assert standing(life.held.chain).faults == ()
    names = life.held.names
    assert sum(name.startswith("transcripts/") for name in names) == 13
    assert len(life.held.records) == 4
    assert command.retire(life.entry[:40], quiet=True) == 0
    told = capsys.readouterr().out
    assert "sealed since" in told and "no evidence for or against experience" in told


def test_a_notice_is_taken_back_with_a_reason_and_nothing_else_is(life: Life) -> None:
    for wish in ({"onward": True, "reason": "a"}, {"onward": True, "reason": "b", "sealing": "2027-02-01"}):
        life.now[0] += 60
        assert command.retire("brevity-1", by="B. Person", quiet=True, **wish) == 0  # pyright: ignore[reportArgumentType]
    life.now[0] += 60
    assert command.retire("brevity-1", by="B. Person", quiet=True, back=True) == 2
    assert command.retire("brevity-1", by="B. Person", quiet=True, back=True, reason="it failed") == 0
    assert life.held.state == "active"
    assert command.retire("brevity-1", by="B. Person", quiet=True, back=True, reason="again") == 2
    with pytest.raises(Refused, match="no private key"):
        command.retire("brevity-1", by="D. Person", quiet=True, onward=True, reason="c")
