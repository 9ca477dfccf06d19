"""Coming in and going out: links once, passphrases slowly, sessions that end."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from unit.web.site import PASSPHRASE

from accord.stores.identity import entering
from accord.web.state import Limit


def first(site: Any, name: str = "Ann") -> Any:
    visitor = site.visitor()
    answer = visitor.post("/link", data={"code": site.identity.links.first(), "name": name})
    assert answer.status_code == 303, answer.text
    return visitor


def attributes(answer: Any) -> set[str]:
    return {part.strip().split("=")[0].lower() for part in answer.headers["set-cookie"].split(";")[1:]}


# Links


def test_nobody_is_there_before_the_first_link_is_used(site: Any) -> None:
    assert site.identity.accounts.every() == []
    assert "one-time link" in site.visitor().get("/signin").text
    first(site)
    (owner,) = site.identity.accounts.every()
    assert (owner.name, owner.role, owner.has_passphrase) == ("Ann", "owner", False)


def test_a_link_that_is_looked_at_is_not_used_up(site: Any) -> None:
    code = site.identity.links.first()
    for _ in range(3):
        page = site.visitor().get("/link", params={"code": code})
        assert page.status_code == 200
        assert "<form" in page.text
        assert "set-cookie" not in page.headers
    assert site.visitor().post("/link", data={"code": code, "name": "Ann"}).status_code == 303


def test_a_link_works_once(site: Any) -> None:
    ann = site.account("Ann", "rater")
    code = site.identity.links.make(ann.id)
    assert site.visitor().post("/link", data={"code": code}).status_code == 303
    replayed = site.visitor().post("/link", data={"code": code})
    assert replayed.status_code == 410
    assert "set-cookie" not in replayed.headers
    assert site.visitor().get("/link", params={"code": code}).status_code == 410


def test_a_link_that_is_old_or_made_up_leads_nowhere(site: Any) -> None:
    code = site.identity.links.make(site.account("Ann", "rater").id)
    site.now += 901
    for given in (code, "x" * 43, "", "a" * 10_000):
        assert site.visitor().post("/link", data={"code": given}).status_code == 410
        assert site.visitor().get("/link", params={"code": given}).status_code == 410


def test_there_is_one_first_owner(site: Any) -> None:
    """Two first links, both looked at in time: the second makes no second owner."""
    one, two = site.identity.links.first(), site.identity.links.first()
    assert site.visitor().post("/link", data={"code": one, "name": "Ann"}).status_code == 303
    late = site.visitor().post("/link", data={"code": two, "name": "Eve"})
    assert late.status_code in (410, 422)
    assert [account.name for account in site.identity.accounts.every()] == ["Ann"]


def test_the_first_owner_has_a_name_that_can_be_read(site: Any) -> None:
    code = site.identity.links.first()
    for name in ("", "   ", "A\u202enn", "A\u200bnn", "A\nnn\x07", "x" * 81):
        refused = site.visitor().post("/link", data={"code": code, "name": name})
        assert refused.status_code == 422, name
    assert site.visitor().post("/link", data={"code": code, "name": "Zoë B"}).status_code == 303


def test_one_person_alone_is_named_and_goes_to_work(site_with: Any) -> None:
    site = site_with(alone="ann")
    page = site.visitor().get("/link", params={"code": site.identity.links.first()})
    assert 'value="ann"' in page.text
    visitor = site.visitor()
    came = visitor.post("/link", data={"code": site.identity.links.first(), "name": "ann"})
    assert came.headers["location"] == "/label"
    assert visitor.get("/label").status_code == 200


# Cookies and sessions


def test_the_cookie_is_for_the_server_alone(site: Any, site_with: Any) -> None:
    code = site.identity.links.make(site.account("Ann", "rater").id)
    plain = site.visitor().post("/link", data={"code": code})
    assert plain.headers["set-cookie"].startswith("accord=")
    assert {"httponly", "samesite", "path", "max-age"} == attributes(plain)
    assert "samesite=lax" in plain.headers["set-cookie"].lower()


def test_behind_https_it_is_secure_and_of_this_host(site_with: Any) -> None:
    site = site_with(secure=True)
    code = site.identity.links.make(site.account("Ann", "rater").id)
    came = site.visitor().post("/link", data={"code": code})
    assert came.headers["set-cookie"].startswith("__Host-accord=")
    assert {"httponly", "samesite", "path", "max-age", "secure"} == attributes(came)


def test_a_session_ends_when_it_is_not_used_and_after_two_weeks(site: Any) -> None:
    visitor = site.signed_in("Ann", "rater")
    for _ in range(28):
        site.now += 11.9 * 3600
        assert visitor.get("/account").status_code == 200
    site.now += 11.9 * 3600
    assert visitor.get("/account").headers["location"] == "/signin"
    other = site.signed_in("Ann", "rater")
    site.now += 12 * 3600
    assert other.get("/account").status_code == 303
    assert other.post("/account/signout").status_code == 401


def test_signing_out_here_and_everywhere(site: Any) -> None:
    one, two, three = (site.signed_in("Ann", "rater") for _ in range(3))
    eve = site.signed_in("Eve", "rater")
    gone = one.post("/signout")
    assert 'accord="";' in gone.headers["set-cookie"]
    assert [v.get("/account").status_code for v in (one, two, three)] == [303, 200, 200]
    two.post("/account/signout")
    assert [v.get("/account").status_code for v in (two, three, eve)] == [303, 303, 200]


def test_a_copied_cookie_is_worth_nothing_after_signing_out(site: Any) -> None:
    visitor = site.signed_in("Ann", "rater")
    copied = visitor.cookies["accord"]
    visitor.post("/signout")
    thief = site.visitor()
    thief.cookies.set("accord", copied)
    assert thief.get("/account").status_code == 303


def test_coming_in_makes_a_new_session(site: Any) -> None:
    """Nobody can put a session of theirs into another's browser and share what is done in it."""
    visitor = site.signed_in("Eve", "rater")
    planted = visitor.cookies["accord"]
    code = site.identity.links.make(site.account("Ann", "rater").id)
    came = visitor.post("/link", data={"code": code})
    assert planted not in came.headers["set-cookie"]
    assert site.identity.sessions.visit(planted) is None


def test_a_closed_account_is_out_at_once(site: Any) -> None:
    ann = site.account("Ann", "rater")
    site.identity.passphrases.set(ann.id, PASSPHRASE)
    visitor, program = site.signed_in("Ann", "rater"), site.program("Ann", "rater", "label")
    code = site.identity.links.make(ann.id)
    site.identity.accounts.change(ann.id, active=False)
    assert visitor.get("/account").status_code == 303
    assert program.post("/api/lease").status_code == 401
    assert site.visitor().post("/link", data={"code": code}).status_code == 410
    given = {"name": "Ann", "passphrase": PASSPHRASE}
    assert site.visitor().post("/signin", data=given).status_code == 401
    site.identity.accounts.change(ann.id, active=True)
    assert visitor.get("/account").status_code == 303, "opening it again brings no old session back"


def test_another_role_holds_from_the_next_request(site: Any) -> None:
    visitor = site.signed_in("Ann", "manager")
    assert visitor.get("/accounts").status_code == 200
    site.identity.accounts.change(site.account("Ann", "manager").id, role="rater")
    assert visitor.get("/accounts").status_code == 403
    assert "/accounts" not in visitor.get("/account").text


# Passphrases


@pytest.fixture
def ann(site: Any) -> Any:
    account = site.account("Ann", "rater")
    site.identity.passphrases.set(account.id, PASSPHRASE)
    return account


def test_signing_in(site: Any, ann: Any) -> None:
    for name in ("Ann", " ANN "):
        visitor = site.visitor()
        assert visitor.post("/signin", data={"name": name, "passphrase": PASSPHRASE}).status_code == 303
        assert visitor.get("/account").status_code == 200


def test_no_answer_says_whether_a_name_is_known(site: Any, ann: Any) -> None:
    site.account("Bob", "rater")  # has no passphrase
    pages = [
        site.visitor().post("/signin", data={"name": name, "passphrase": "wrong, and long enough"})
        for name in ("Ann", "Bob", "Nobody")
    ]
    assert {page.status_code for page in pages} == {401}
    assert len({page.text for page in pages}) == 1


def test_an_unknown_name_costs_the_same_work(site: Any, ann: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same algorithm with the same memory and passes, whatever there is to compare with."""
    monkeypatch.undo()
    monkeypatch.setattr(entering, "_MEMORY_KIB", 128)
    site.identity.passphrases.set(ann.id, PASSPHRASE)
    site.account("Bob", "rater")
    done: list[str] = []
    real = entering._argon_class()

    class Counted:
        def __init__(self, **cost: Any) -> None:
            self.cost = f"m={cost['memory_cost']},t={cost['iterations']},p={cost['lanes']}"
            self.real = real(**cost)

        def derive(self, given: bytes) -> bytes:
            done.append(self.cost)
            return self.real.derive(given)

        @staticmethod
        def verify_phc_encoded(given: bytes, kept: str) -> None:
            done.append(kept.split("$")[3])
            real.verify_phc_encoded(given, kept)

    monkeypatch.setattr(entering, "_argon_class", lambda: Counted)
    for name in ("Ann", "Bob", "Nobody"):
        assert site.identity.passphrases.check(name, "wrong, and long enough") is None
    assert done == ["m=128,t=3,p=1"] * 3


def test_a_passphrase_is_kept_as_argon2id_of_64_mebibytes(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    account = site.account("Ann", "rater")
    site.identity.passphrases.set(account.id, PASSPHRASE)
    with site.identity.reading() as connection:
        kept = connection.exec_driver_sql("SELECT passphrase FROM account").scalar_one()
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert PASSPHRASE not in kept


def test_sign_ins_are_limited_by_name_and_by_address(site: Any, ann: Any) -> None:
    """Kills: a count after the work, one that a right passphrase does not pass, one that holds for ever."""
    wrong = {"name": "Ann", "passphrase": "wrong, and long enough"}
    right = {"name": "Ann", "passphrase": PASSPHRASE}
    assert [site.visitor().post("/signin", data=wrong).status_code for _ in range(6)] == [401] * 5 + [429]
    refused = site.visitor().post("/signin", data=right)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 901
    # A link still lets them in: nobody can lock another out.
    code = site.identity.links.make(ann.id)
    assert site.visitor().post("/link", data={"code": code}).status_code == 303
    site.now += 900
    assert site.visitor().post("/signin", data=right).status_code == 303


def test_many_names_from_one_address_are_too_many(site_with: Any) -> None:
    site = site_with(sign_ins=Limit(2, 900.0))
    statuses = [
        site.visitor().post("/signin", data={"name": f"n{k}", "passphrase": "x" * 12}).status_code
        for k in range(11)
    ]
    assert statuses == [401] * 10 + [429]


def test_tries_at_one_moment_count_too(site_with: Any) -> None:
    site = site_with(sign_ins=Limit(5, 900.0))
    found: list[float | None] = []

    def attempt() -> None:
        found.append(site.identity.attempts.take("name", "Ann", 5, 900.0))

    threads = [threading.Thread(target=attempt) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait is None for wait in found) == 5


def test_a_passphrase_is_set_long_enough_and_twice_the_same(site: Any) -> None:
    visitor = site.signed_in("Ann", "rater")
    for new, again, status in [
        ("short", "short", 422),
        ("x" * 1025, "x" * 1025, 422),
        (PASSPHRASE, PASSPHRASE + "x", 422),
        (PASSPHRASE, PASSPHRASE, 200),
    ]:
        data = {"passphrase": new, "again": again}
        assert visitor.post("/account/passphrase", data=data).status_code == status, new


def test_the_old_one_is_asked_for_where_somebody_left_a_browser_open(site: Any, ann: Any) -> None:
    visitor, elsewhere = site.signed_in("Ann", "rater"), site.signed_in("Ann", "rater")
    new = {"passphrase": "another passphrase", "again": "another passphrase"}
    site.now += 901
    assert visitor.post("/account/passphrase", data=new).status_code == 401
    assert visitor.post("/account/passphrase", data={**new, "old": "wrong"}).status_code == 401
    assert elsewhere.get("/account").status_code == 200
    assert visitor.post("/account/passphrase", data={**new, "old": PASSPHRASE}).status_code == 200
    assert visitor.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303, "a new passphrase ends other sessions"
    assert site.identity.passphrases.check("Ann", PASSPHRASE) is None


def test_where_people_come_first(site: Any) -> None:
    assert site.visitor().get("/").headers["location"] == "/signin"
    assert site.signed_in("Ann", "rater").get("/").headers["location"] == "/label"
    assert site.signed_in("Ann", "rater").get("/signin").headers["location"] == "/"
