"""``accord keep key``: a pair, a passphrase, and an archive that knows whose it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli import keys as command
from accord.errors import PlanError, Refused
from accord.keep.archive import Archive
from accord.keep.keys import load_key, public_keys
from accord.keep.roles import Roles

WORDS = "four words are enough"


@pytest.fixture(autouse=True)
def private(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCORD_KEYS", str(here / "own"))
    monkeypatch.setenv(command.PASSPHRASE, WORDS)
    return here / "own" / "a-person.key"


def test_a_key_is_made_once_and_told_to_every_archive(
    private: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.key(by="A. Person", json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["made"] and said["private"] == str(private)
    signer = load_key(private, WORDS.encode())
    assert signer.id == said["id"] and signer.protected
    assert set(public_keys(here / "archive" / "keys").known) == {signer.id}
    assert [(r.person, r.role) for r in Roles.read(here / "archive" / "keys").roles] == [
        ("A. Person", "steward")
    ]
    before = private.read_bytes()
    for archive in ("archive", "second"):
        assert command.key(by="A. Person", archive=here / archive) == 0
        assert len(Roles.read(here / archive / "keys").roles) == 1
        assert Archive.open(here / archive, lambda: 0.0).objects() == []
    assert private.read_bytes() == before and "known already" in capsys.readouterr().out
    with pytest.raises(Refused, match=r"is the key of A\. Person"):
        command.key(by="B. Person", private=private)


def test_without_a_passphrase_there_is_no_key_but_for_a_demonstration(
    private: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(command.PASSPHRASE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(Refused, match="nobody is there to type it"):
        command.key(by="A. Person")
    assert not private.exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    typed = iter([WORDS, "something else"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    with pytest.raises(Refused, match="differ"):
        command.key(by="A. Person")
    assert not private.exists()
    assert command.key(by="A. Person", role="demonstration") == 0
    assert "demonstration" in capsys.readouterr().out and not load_key(private, None).protected


def test_what_is_mistyped_makes_nothing(private: Path) -> None:
    """Mutant: a name or a day that is only looked at once there is a pair. A role of nobody made
    ``roles.toml`` unreadable for everyone."""
    nobody = {"by": "  ", "private": private}
    wrongs = ({"role": "stewart"}, {"kind": "rsa"}, {"until": "soon"}, {"until": "2001-01-01"}, nobody)
    for wrong in (*wrongs, {"by": " . "}, {"by": "A\nPerson"}):
        with pytest.raises(PlanError):
            command.key(**{"by": "A. Person", **wrong})  # pyright: ignore[reportArgumentType]
    assert not private.parent.exists() and not Path("archive").exists()
