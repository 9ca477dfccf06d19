"""``accord label`` and ``accord serve`` before they serve: what they refuse, and by which code."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from accord.cli import main
from accord.stores.identity import Identity


@pytest.fixture(autouse=True)
def rows() -> None:
    Path("pairs.jsonl").write_text('{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}\n')


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["label", "none.jsonl"], 1, "none.jsonl"),
        (["serve", "--store", "x.db", "--host", "0.0.0.0"], 2, "needs"),
        (["serve", "--store", "x.db", "--public-url", "http://a.example"], 1, "https://NAME"),
        (["serve", "--store", "x.db", "--link", "Nobody", "--port", "0"], 2, "there is no such account"),
        (["serve", "--store", "x.db", "--project", "none.toml", "--port", "0"], 1, "none.toml"),
        (
            ["serve", "--store", "x.db", "--host", "no.such.host.invalid", "--public-url", "https://a.b"],
            2,
            "owner",
        ),
        (["serve", "--store", "x.db", "--runs", "no-runs", "--port", "0"], 2, "no such folder"),
        (["serve"], 1, "--store"),
    ],
)
def test_what_is_refused(words: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == code
    told = capsys.readouterr().err
    assert says in told
    assert "bug in accord" not in told


def test_the_accounts_of_a_server_are_named_apart() -> None:
    from accord.cli.serve import _accounts
    from accord.errors import Refused

    assert _accounts("labels.db") == "labels.accounts.db"
    assert _accounts("sqlite:////srv/labels.db") == "sqlite:////srv/labels.accounts.db"
    with pytest.raises(Refused, match="--accounts URL"):
        _accounts("postgresql://me@host/labels")


def test_a_start_gives_a_link_of_the_owner_or_of_the_one_who_is_named() -> None:
    from accord.cli.serve import _code

    with Identity.open("x.db") as identity:
        offer = identity.links.look(_code(identity, None))
        assert offer is not None
        assert offer.first
        identity.accounts.make("Ann", "owner")
        identity.accounts.make("Bob", "rater")
        for named, name in [(None, "Ann"), ("bob", "Bob")]:
            offer = identity.links.look(_code(identity, named))
            assert offer is not None
            assert (offer.name, offer.first) == (name, False)


def test_rows_without_anything_to_judge(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.jsonl").write_text('{"text": "Once upon a time."}\n')
    assert main(["label", "text.jsonl", "--no-open"]) == 1
    assert "rows of type text" in capsys.readouterr().err
    assert not Path("text.jsonl.labels.db").exists()


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["label", "pairs.jsonl", "--no-open", "--port", port]) == 2
    told = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1 cannot be used" in told
    assert "--port 0" in told


def test_nobody_is_made_an_owner_by_a_start_that_is_refused() -> None:
    assert main(["serve", "--store", "x.db", "--host", "0.0.0.0"]) == 2
    with Identity.open("x.accounts.db") as identity:
        assert identity.accounts.every() == []


def test_no_password_of_a_database_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills: the address as it was given, in a terminal that others see, or in a log."""
    from contextlib import contextmanager
    from types import SimpleNamespace

    from accord.cli import serve

    shown: list[object] = []

    @contextmanager
    def opened(url: object) -> object:
        accounts = SimpleNamespace(has_owner=lambda: True)
        attempts = SimpleNamespace(sweep=lambda: None)
        yield SimpleNamespace(where="postgresql://me:***@db/labels", accounts=accounts, attempts=attempts)

    monkeypatch.setattr("accord.stores.people.People.open", opened)
    monkeypatch.setattr("accord.stores.identity.Identity.open", opened)
    monkeypatch.setattr("accord.web.serving.answer", lambda *_, **__: None)
    monkeypatch.setattr(serve, "_app", lambda *_: None)
    monkeypatch.setattr(serve, "_say", lambda *told, **_: shown.extend(told))
    store = "postgresql://me:hidden@db/labels"
    assert serve.serve(store, accounts=store, port=0) == 0
    assert "labels" in str(shown)
    assert "hidden" not in str(shown)
