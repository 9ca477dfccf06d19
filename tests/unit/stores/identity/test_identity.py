"""The accounts' database: what must hold on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accord.errors import Refused, Unreadable
from accord.stores.identity import Account, Identity, Sessions, entering
from accord.stores.people import People


@pytest.fixture
def identity(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Identity]:
    monkeypatch.setattr(entering, "_MEMORY_KIB", 64)
    with Identity.open(database_url, lambda: 1.8e9) as opened:
        yield opened


def test_what_is_kept_is_there_when_it_is_opened_again(identity: Identity, database_url: str) -> None:
    ann = identity.links.use(identity.links.first(), "Ann")
    identity.passphrases.set(ann.id, "seven small words")
    session = identity.sessions.begin(ann.id)
    given, token = identity.tokens.make(ann.id, ["read", "label"], "script")
    identity.consents.agree(ann.id, "1", {"Age": "18-40"})
    identity.attempts.take("submit", ann.id, 1, 60.0)
    with Identity.open(database_url, lambda: 1.8e9 + 1) as again:
        assert again.sessions.visit(session) == ann._replace(has_passphrase=True, consent="1")
        assert again.tokens.holder(given) == (again.accounts.get(ann.id), token)
        assert again.passphrases.check("ann", "seven small words") == again.accounts.get(ann.id)
        assert again.consents.members() == {ann.pseudonym: {"Age": "18-40"}}
        assert again.attempts.take("submit", ann.id, 1, 60.0) == 59.0
        assert again.accounts.of_pseudonym(ann.pseudonym) == again.accounts.get(ann.id)


def test_many_hands_on_one_link_make_one_owner(identity: Identity) -> None:
    codes = [identity.links.first() for _ in range(2)] * 4
    came: list[Account] = []

    def use(code: str) -> None:
        try:
            came.append(identity.links.use(code, "Ann"))
        except Refused:
            return

    threads = [threading.Thread(target=use, args=(code,)) for code in codes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(came) == 1
    assert identity.accounts.every() == came


def test_a_limit_holds_when_all_come_at_once(identity: Identity) -> None:
    waits: list[float | None] = []

    def attempt() -> None:
        waits.append(identity.attempts.take("submit", "Ann", 3, 240.0))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait is None for wait in waits) == [False] * 5 + [True] * 3
    identity.attempts.forget("submit", "Ann")
    assert identity.attempts.take("submit", "Ann", 3, 240.0) is None


def test_two_owners_cannot_both_leave(identity: Identity) -> None:
    ann, zoe = identity.accounts.make("Ann", "owner"), identity.accounts.make("Zoë", "owner")
    refused: list[Refused] = []

    def leave(account: Account) -> None:
        try:
            identity.accounts.change(account.id, role="rater")
        except Refused as error:
            refused.append(error)

    threads = [threading.Thread(target=leave, args=(account,)) for account in (ann, zoe)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert identity.accounts.has_owner()


def test_old_sessions_links_and_attempts_are_swept(database_url: str) -> None:
    now = 1.8e9
    with Identity.open(database_url, lambda: now) as identity:
        ann = identity.accounts.make("Ann", "rater")
        identity.sessions.begin(ann.id)
        identity.links.make(ann.id)
        identity.attempts.take("name", "Ann", 5, 900.0)
        now += 15 * 86_400
        identity.sessions.begin(ann.id)
        identity.links.make(ann.id)
        identity.attempts.sweep()
        with identity.reading() as connection:
            counts = {
                table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
                for table in ("session", "link", "attempt")
            }
    assert counts == {"session": 1, "link": 1, "attempt": 0}


def test_a_session_that_is_over_has_no_age(database_url: str) -> None:
    now = 1.8e9
    with Identity.open(database_url, lambda: now) as identity:
        session = identity.sessions.begin(identity.accounts.make("Ann", "rater").id)
        now += 60
        assert identity.sessions.age(session) == 60
        now += 12 * 3600
        assert identity.sessions.age(session) is None
        assert identity.sessions.visit(session) is None


def test_characters_that_no_name_has_are_nobodys(identity: Identity) -> None:
    identity.accounts.make("Ann", "rater")
    for odd in ("Ann\0", "\ud800"):
        assert identity.accounts.named(odd) is None
        assert identity.passphrases.check(odd, f"seven small words {odd}") is None


def test_a_session_in_use_is_noted_once_a_minute(database_url: str) -> None:
    now = 1.8e9
    with Identity.open(database_url, lambda: now) as identity:
        ann = identity.accounts.make("Ann", "rater")
        session = identity.sessions.begin(ann.id)
        seen: list[float] = []
        for _ in range(4):
            now += 30
            identity.sessions.visit(session)
            seen.append(identity.sessions.every(ann.id)[0].seen - 1.8e9)
    assert seen == [0, 60, 60, 120]


@pytest.mark.parametrize("open_other", [People.open, Identity.open])
def test_no_database_is_taken_for_another(tmp_path: Path, open_other: Callable[[Path], object]) -> None:
    """Kills: a revision number that both databases of the app bear."""
    mine, other = (Identity.open, People.open) if open_other is People.open else (People.open, Identity.open)
    mine(tmp_path / "x.db").close()
    with pytest.raises(Refused, match="name another"):
        other(tmp_path / "x.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("not a database, and long enough to be looked at " * 40)
    with pytest.raises(Unreadable, match="invite everybody again"):
        Identity.open(tmp_path / "x.db")


def test_what_is_refused_names_what_to_do(identity: Identity) -> None:
    bot, ann = identity.accounts.make("Bot", "machine"), identity.accounts.make("Ann", "rater")
    identity.accounts.change(ann.id, active=False)
    for wrong in (
        lambda: identity.links.make(bot.id),
        lambda: identity.links.make(ann.id),
        lambda: identity.tokens.make(ann.id, ["read"]),
        lambda: identity.tokens.make(bot.id, []),
        lambda: identity.tokens.make(bot.id, ["root"]),
        lambda: identity.tokens.make(bot.id, ["read"], days=91),
        lambda: identity.consents.agree(bot.id, ""),
        lambda: identity.passphrases.set(bot.id, "short"),
        lambda: identity.accounts.make("bot", "rater"),
    ):
        with pytest.raises(Refused, match="\n  "):
            wrong()
    for missing in (
        lambda: identity.accounts.get("a-0"),
        lambda: identity.accounts.change("a-0", active=True),
        lambda: identity.links.make("a-0"),
        lambda: identity.consents.agree("a-0", "1"),
    ):
        with pytest.raises(KeyError):
            missing()


def test_of_a_secret_only_a_digest_is_kept(identity: Identity) -> None:
    assert isinstance(identity.sessions, Sessions)
    session = identity.sessions.begin(identity.accounts.make("Ann", "rater").id)
    with identity.reading() as connection:
        kept = connection.exec_driver_sql("SELECT code FROM session").scalar_one()
    assert len(kept) == 64
    assert session not in kept
