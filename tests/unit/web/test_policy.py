"""One table says who may do what. These tests walk every route of the app with every role."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accord.stores.identity import ROLES
from accord.web.policy import RULES, links_for, rule_for


def routes(app: Any) -> list[tuple[str, str]]:
    """Every method and path template that the app answers, whatever made it."""
    found: list[tuple[str, str]] = []
    for route in app.router.routes:
        for method in sorted(getattr(route, "methods", None) or {"GET"}):
            found.append((method, route.path))
    return found


def concrete(path: str) -> str:
    """A path of that template: numbers where a slot is meant, ids elsewhere."""
    path = re.sub(r"\{slot\}", "7", path)
    path = re.sub(r"\{[^}]+\}", "nothing", path)
    return "/static/base.css" if path == "/static" else path


def test_every_route_has_a_rule_and_every_rule_a_route(site: Any) -> None:
    there = set(routes(site.app))
    assert len(there) > 30
    assert there - set(RULES) == set(), "routes without a rule, which nobody may use"
    assert set(RULES) - there == set(), "rules without a route"


def test_a_route_that_the_table_does_not_name_is_for_nobody(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "accord.web.policy.RULES", {k: v for k, v in RULES.items() if k != ("GET", "/account")}
    )
    assert site.signed_in("Ann", "owner").get("/account").status_code == 403
    assert site.visitor().get("/account").status_code == 403


@pytest.mark.parametrize("role", [*ROLES, None])
def test_what_each_role_is_let_through_to(site: Any, role: Any) -> None:
    """Kills: a rule that is not looked at, roles that are turned round, a public rule for all."""
    account = None if role is None else site.account(f"a {role}", role)
    visitor: Any = None
    for method, path in routes(site.app):
        rule = rule_for(method, path)
        assert rule is not None
        if visitor is None or "/sign" in path or "/link" in path:  # these may end a session or begin one
            visitor = site.visitor() if account is None else site.signed_in(account.name, account.role)
        status = visitor.request(method, concrete(path)).status_code
        visitor = None if "sign" in path else visitor
        if account is None and not rule.public:
            assert status == 401 if method != "GET" or path.startswith("/api/") else status == 303, path
        elif account is not None and account.role not in rule.roles:
            assert status == 403, path
        else:
            # Let through: whatever the page says of an empty form or an unknown id, it is not the gate's no.
            assert status not in (401, 403, 500) or (path, status) == ("/signin", 401), (path, status)


@pytest.mark.parametrize(
    ("role", "scopes"),
    [
        ("rater", ("label",)),
        ("owner", ("read",)),
        ("manager", ("label", "read")),
        ("machine", ("label", "read")),
    ],
)
def test_what_a_token_reaches(site: Any, role: Any, scopes: tuple[str, ...]) -> None:
    program = site.program(f"a {role}", role, *scopes)
    for method, path in routes(site.app):
        rule = rule_for(method, path)
        assert rule is not None
        status = program.request(method, concrete(path)).status_code
        if rule.public or (rule.scope in scopes and role in rule.roles):
            assert status not in (401, 403, 500) or (path, status) == ("/signin", 401), (path, status)
        else:
            assert status == 403, (path, status)


def test_a_rule_is_of_one_method() -> None:
    """Kills: a table that is looked up by the path alone."""
    assert rule_for("GET", "/healthz") == rule_for("HEAD", "/healthz") == RULES["GET", "/healthz"]
    for method, path in [("POST", "/healthz"), ("DELETE", "/account"), ("PUT", "/label"), ("GET", "/link/x")]:
        assert rule_for(method, path) is None


def test_a_machine_answers_no_questions() -> None:
    label = [rule for rule in RULES.values() if rule.scope == "label"]
    assert label
    assert all("machine" not in rule.roles for rule in label)


def test_submits_count_and_ask_for_consent_wherever_they_come_in() -> None:
    submits = [("POST", "/label/{slot}"), ("POST", "/label/{slot}/skip"), ("POST", "/api/submit")]
    assert [key for key, rule in RULES.items() if rule.limited] == submits
    labels = [k for k, rule in RULES.items() if k[1].startswith("/label") or rule.scope == "label"]
    assert all(RULES[key].consent for key in labels)


def test_the_header_shows_what_may_be_opened() -> None:
    assert "/accounts" not in [link.path for link in links_for("rater")]
    assert "/accounts" in [link.path for link in links_for("manager")]
    assert links_for(None) == []
    assert links_for("machine") == []
