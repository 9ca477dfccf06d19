"""One's own account: tokens that are shown once, consent, groups, and the colours of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from accord.stores.people import Project
from accord.stores.people.project import Consent

# Tokens


def test_a_token_is_shown_once_and_can_be_revoked(site: Any) -> None:
    visitor = site.signed_in("Ann", "rater")
    made = visitor.post("/account/tokens", data={"scope": ["label", "read"], "label": "my script"})
    (given,) = re.findall(r"accord_[0-9a-f]{8}_[\w-]{43}", made.text)
    assert given not in visitor.get("/account").text
    assert given[:15] in visitor.get("/account").text
    program = site.visitor(Authorization=f"Bearer {given}")
    assert program.get("/api/session").json()["scopes"] == ["label", "read"]
    (kept,) = site.identity.tokens.every(site.account("Ann", "rater").id)
    eve = site.signed_in("Eve", "owner")
    assert eve.post(f"/account/tokens/{kept.id}/revoke").status_code == 404, "another's is not theirs to end"
    assert visitor.post(f"/account/tokens/{kept.id}/revoke").status_code == 303
    assert program.get("/api/session").status_code == 401


def test_a_token_is_for_something_and_for_90_days(site: Any) -> None:
    visitor = site.signed_in("Ann", "rater")
    assert visitor.post("/account/tokens", data={"label": "x"}).status_code == 422
    assert visitor.post("/account/tokens", data={"scope": "everything"}).status_code == 422
    program = site.program("Ann", "rater", "read")
    site.now += 90 * 86_400 - 1
    assert program.get("/api/session").status_code == 200
    site.now += 1
    assert program.get("/api/session").status_code == 401


def test_no_secret_stands_in_the_database(site: Any, tmp_path: Any) -> None:
    code = site.identity.links.make(site.account("Ann", "rater").id)
    session = site.identity.sessions.begin(site.account("Ann", "rater").id)
    given, token = site.identity.tokens.make(site.account("Ann", "rater").id, ["read"])
    found = b"".join(path.read_bytes() for path in tmp_path.glob("accounts.db*"))
    assert token.prefix.encode() in found
    for secret in (code, session, given, given.removeprefix(token.prefix + "_")):
        assert secret.encode() not in found


# Consent


@pytest.fixture
def asking(site: Any) -> Iterator[Any]:
    consent = Consent(text="We keep **what you say**. <b>Really</b>", version="2")
    site.people.keep_project(Project(consent=consent, groups={"Age": ("18-40", "41 or more")}))
    return site


def test_without_consent_nothing_is_asked(asking: Any) -> None:
    asking.asked()
    visitor, program = asking.signed_in("Ann", "rater"), asking.program("Ann", "rater", "label")
    assert visitor.get("/label").headers["location"] == "/consent"
    assert visitor.post("/label/1", data={}).status_code == 403
    assert program.post("/api/lease").status_code == 403
    page = visitor.get("/consent").text
    assert "<strong>what you say</strong>" in page
    assert "<b>Really" not in page
    for data in ({"version": "2"}, {"version": "2", "agree": "no"}):
        assert visitor.post("/consent", data=data).status_code == 422
    assert visitor.post("/consent", data={"version": "1", "agree": "yes"}).status_code == 409
    assert visitor.get("/label").headers["location"] == "/consent"
    assert visitor.post("/consent", data={"version": "2", "agree": "yes"}).status_code == 303
    assert visitor.get("/label").status_code == 200
    assert program.post("/api/lease").json()["lease"] is not None


def test_another_text_asks_again(asking: Any) -> None:
    visitor = asking.signed_in("Ann", "rater")
    visitor.post("/consent", data={"version": "2", "agree": "yes"})
    asking.people.keep_project(Project(consent=Consent(text="New.", version="3")))
    assert visitor.get("/label").headers["location"] == "/consent"


def test_groups_are_said_by_choice_and_erased_with_consent(asking: Any) -> None:
    visitor = asking.signed_in("Ann", "rater")
    account = asking.account("Ann", "rater")
    odd = {"version": "2", "agree": "yes", "group-0": "a giant"}
    assert visitor.post("/consent", data=odd).status_code == 422
    assert asking.identity.consents.members() == {}
    visitor.post("/consent", data={"version": "2", "agree": "yes", "group-0": "18-40"})
    assert asking.identity.consents.members() == {account.pseudonym: {"Age": "18-40"}}
    visitor.post("/consent", data={"version": "2", "agree": "yes", "group-0": ""})
    assert asking.identity.consents.members() == {}
    visitor.post("/consent", data={"version": "2", "agree": "yes", "group-0": "18-40"})
    asking.identity.consents.take_back(account.id)
    assert asking.identity.consents.groups(account.id) == {}
    assert visitor.get("/label").headers["location"] == "/consent"
    told = [(one.version, one.agreed) for one in asking.identity.consents.history(account.id)]
    assert told == [("2", True), ("2", True), ("2", True), ("2", False)]


def test_the_theme_is_chosen_without_script(site: Any) -> None:
    visitor = site.visitor()
    assert 'data-theme="system"' in visitor.get("/signin").text
    assert visitor.post("/theme", data={"theme": "dark"}).status_code == 303
    assert 'data-theme="dark"' in visitor.get("/signin").text
    assert visitor.post("/theme", data={"theme": '"><script>'}).status_code == 422
    odd = site.visitor()
    odd.cookies.set("accord-theme", "nonsense")
    assert 'data-theme="system"' in odd.get("/signin").text
