"""Other people's accounts: who may make, change and invite whom."""

from __future__ import annotations

import re
from typing import Any

import pytest

LINK = re.compile(r"http://testserver/link\?code=([\w-]{43})")


def test_an_invited_person_comes_in_by_the_link_that_is_shown_once(site: Any) -> None:
    owner = site.signed_in("Ann", "owner")
    made = owner.post("/accounts", data={"name": "Bob", "role": "rater", "valid": "86400"})
    (code,) = LINK.findall(made.text)
    assert not LINK.search(owner.get("/accounts").text)
    site.now += 86_000
    bob = site.visitor()
    assert bob.post("/link", data={"code": code}).headers["location"] == "/account"
    assert bob.get("/accounts").status_code == 403
    assert site.identity.accounts.named("bob").role == "rater"


def test_a_link_holds_as_long_as_was_chosen(site: Any) -> None:
    owner = site.signed_in("Ann", "owner")
    data = {"name": "Bob", "role": "rater"}
    (code,) = LINK.findall(owner.post("/accounts", data=data).text)
    site.now += 901
    assert site.visitor().post("/link", data={"code": code}).status_code == 410
    assert owner.post("/accounts", data={**data, "name": "Cy", "valid": "999999999"}).status_code == 422
    assert site.identity.accounts.named("Cy") is None, "an account without a link that nobody sees"


@pytest.mark.parametrize("role", ["owner", "manager"])
def test_nobody_becomes_an_owner_by_themselves(site: Any, role: Any) -> None:
    """Kills: a manager who sends an owner's link to themselves, or makes themselves an owner."""
    manager, boss = site.signed_in("Mo", "manager"), site.account("Boss", role)
    me, bob = site.account("Mo", "manager"), site.account("Bob", "rater")
    assert manager.post("/accounts", data={"name": "New", "role": role}).status_code == 403
    for what, data in [("link", {}), ("role", {"role": "rater"}), ("active", {"active": "no"})]:
        assert manager.post(f"/accounts/{boss.id}/{what}", data=data).status_code == 403, what
    assert manager.post(f"/accounts/{bob.id}/role", data={"role": role}).status_code == 403
    assert manager.post(f"/accounts/{me.id}/role", data={"role": "owner"}).status_code == 403
    assert site.identity.accounts.get(boss.id) == boss
    assert site.identity.accounts.named("New") is None
    assert manager.post(f"/accounts/{bob.id}/role", data={"role": "adjudicator"}).status_code == 303
    assert site.identity.accounts.get(bob.id).role == "adjudicator"


def test_the_last_owner_stays(site: Any) -> None:
    owner, ann = site.signed_in("Ann", "owner"), site.account("Ann", "owner")
    for what, data in [("role", {"role": "manager"}), ("active", {"active": "no"})]:
        refused = owner.post(f"/accounts/{ann.id}/{what}", data=data)
        assert refused.status_code == 409
        assert "last owner" in refused.text
    other = site.account("Zoë", "owner")
    assert owner.post(f"/accounts/{ann.id}/role", data={"role": "manager"}).status_code == 303
    assert [a.role for a in site.identity.accounts.every()].count("owner") == 1
    assert site.identity.accounts.get(other.id).role == "owner"


def test_a_machine_has_a_token_to_read_with_and_no_link(site: Any) -> None:
    owner = site.signed_in("Ann", "owner")
    owner.post("/accounts", data={"name": "Bot", "role": "machine"})
    bot = site.identity.accounts.named("Bot")
    assert owner.post(f"/accounts/{bot.id}/link", data={}).status_code == 409
    assert owner.post(f"/accounts/{bot.id}/role", data={"role": "rater"}).status_code == 409
    made = owner.post(f"/accounts/{bot.id}/tokens", data={"label": "board"})
    (given,) = re.findall(r"accord_[0-9a-f]{8}_[\w-]{43}", made.text)
    program = site.visitor(Authorization=f"Bearer {given}")
    assert program.get("/api/progress").json()["questions"] == 0
    assert program.post("/api/lease").status_code == 403
    (token,) = site.identity.tokens.every(bot.id)
    assert owner.post(f"/accounts/{bot.id}/tokens/{token.id}/revoke").status_code == 303
    assert program.get("/api/progress").status_code == 401


def test_nobody_makes_a_token_in_another_person_s_name(site: Any) -> None:
    owner, bob = site.signed_in("Ann", "owner"), site.account("Bob", "rater")
    assert owner.post(f"/accounts/{bob.id}/tokens", data={}).status_code == 409
    assert site.identity.tokens.every(bob.id) == []


def test_names_are_of_one_person(site: Any) -> None:
    owner = site.signed_in("Ann", "owner")
    for name, status in [
        ("ANN", 409),
        ("Ann", 409),
        ("Ａｎｎ", 409),
        ("A\u200bnn", 409),
        ("", 409),
        ("Bo", 200),
    ]:
        data = {"name": name, "role": "rater"}
        assert owner.post("/accounts", data=data).status_code == status, name


def test_an_account_that_is_not_there(site: Any) -> None:
    owner = site.signed_in("Ann", "owner")
    for account in ("a-0000", "..", "%2e%2e", "' OR 1=1 --"):
        assert owner.post(f"/accounts/{account}/active", data={"active": "no"}).status_code == 404
