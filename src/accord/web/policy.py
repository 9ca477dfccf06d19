"""Who may do what: one table, route × role. What the table does not name is refused to everybody.

A person comes with a session and may do what their role may. A machine, or a person's program, comes with a
token: it reaches only routes that name a ``scope``, and only with that scope and the role both. A machine
never answers questions: what is kept here was said by people. Test:
``tests/unit/web/test_policy.py`` walks every route of the app with every role.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from accord.stores.identity import ROLES, Role

__all__ = ["RULES", "Link", "Rule", "links_for", "rule_for"]

Method = Literal["GET", "POST", "PUT"]


class Rule(NamedTuple):
    """``public``: anonymous visitors too. ``scope``: what a token must be for; None keeps tokens out.

    ``consent``: only after the person agreed to the project's text, where it has one. ``limited``: counts as
    a submit. ``body``: bytes that may come, None for as many as the settings say.
    """

    roles: frozenset[Role]
    public: bool = False
    scope: Literal["label", "read"] | None = None
    consent: bool = False
    limited: bool = False
    body: int | None = None


_ALL = frozenset(ROLES)
_LEADS: frozenset[Role] = frozenset({"owner", "manager"})
_MACHINES: frozenset[Role] = frozenset({"machine"})
_PERSONS = _ALL - _MACHINES

_OPEN = Rule(_ALL, public=True)
_PERSON = Rule(_PERSONS)
_LABEL = Rule(_PERSONS, consent=True)
_SUBMIT = Rule(_PERSONS, consent=True, limited=True)
_LEAD = Rule(_LEADS)
_ADJUDICATOR = Rule(frozenset({"adjudicator"}), consent=True)
_PROGRAM = _LABEL._replace(scope="label")

RULES: Mapping[tuple[Method, str], Rule] = {
    # Coming in, and what everybody may see.
    ("GET", "/healthz"): _OPEN,
    ("GET", "/static"): _OPEN,
    ("GET", "/"): _OPEN,
    ("POST", "/theme"): _OPEN,
    ("GET", "/signin"): _OPEN,
    ("POST", "/signin"): _OPEN,
    ("GET", "/link"): _OPEN,
    ("POST", "/link"): _OPEN,
    ("POST", "/signout"): _PERSON,
    # One's own account.
    ("GET", "/consent"): _PERSON,
    ("POST", "/consent"): _PERSON,
    ("GET", "/account"): _PERSON,
    ("POST", "/account/passphrase"): _PERSON,
    ("POST", "/account/signout"): _PERSON,
    ("POST", "/account/tokens"): _PERSON,
    ("POST", "/account/tokens/{token}/revoke"): _PERSON,
    # A rater's turn.
    ("GET", "/instructions"): _PERSON,
    ("GET", "/label"): _LABEL,
    ("POST", "/label/undo"): _LABEL,
    ("POST", "/label/{slot}"): _SUBMIT,
    ("POST", "/label/{slot}/page"): _LABEL,
    ("POST", "/label/{slot}/skip"): _SUBMIT,
    ("POST", "/label/{slot}/beat"): _LABEL,
    ("PUT", "/label/{slot}/draft"): _LABEL,
    ("GET", "/me"): _PERSON,
    ("POST", "/me/withdraw"): _PERSON,
    ("GET", "/me/checks"): _PERSON,
    ("POST", "/me/checks"): _PERSON,
    ("GET", "/me/keys"): _PERSON,
    ("POST", "/me/keys"): _PERSON,
    # Programs.
    ("GET", "/api/session"): _OPEN._replace(public=False, scope="read"),
    ("POST", "/api/lease"): _PROGRAM,
    ("POST", "/api/submit"): _PROGRAM._replace(limited=True),
    ("POST", "/api/beat"): _PROGRAM,
    ("GET", "/api/question/{question}"): _PROGRAM,
    ("GET", "/api/progress"): Rule(_LEADS | _MACHINES, scope="read"),
    # Runs and their reports, to be read.
    ("GET", "/runs"): _LEAD,
    ("GET", "/runs/{run}"): _LEAD,
    ("GET", "/runs/{run}/{stage}/transcripts"): _LEAD,
    ("GET", "/reports/{run}"): _LEAD,
    ("GET", "/api/runs"): Rule(_LEADS | _MACHINES, scope="read"),
    ("GET", "/api/runs/{run}"): Rule(_LEADS | _MACHINES, scope="read"),
    # Kept models; a draft of replies is written, and signed elsewhere.
    ("GET", "/keeping"): _LEAD,
    ("GET", "/keeping/{entry}"): _LEAD,
    ("GET", "/keeping/{entry}/transcripts/{digest}"): _LEAD,
    ("GET", "/keeping/{entry}/replies"): _LEAD,
    ("GET", "/keeping/{entry}/replies.toml"): _LEAD,
    ("POST", "/keeping/{entry}/replies"): _LEAD,
    # A manager's pages. Adjudicators answer blind, so who sees the votes is none of them.
    ("GET", "/manage"): _LEAD,
    ("GET", "/manage/raters"): _LEAD,
    ("POST", "/manage/raters/{rater}"): _LEAD,
    ("GET", "/manage/questions/{question}"): _LEAD,
    ("POST", "/manage/questions/{question}/gold"): _LEAD,
    ("GET", "/manage/export"): _LEAD,
    ("GET", "/manage/adjudicate"): _ADJUDICATOR,
    ("POST", "/manage/adjudicate"): _ADJUDICATOR,
    # Other people's accounts.
    ("GET", "/accounts"): _LEAD,
    ("POST", "/accounts"): _LEAD,
    ("POST", "/accounts/{account}/link"): _LEAD,
    ("POST", "/accounts/{account}/role"): _LEAD,
    ("POST", "/accounts/{account}/active"): _LEAD,
    ("POST", "/accounts/{account}/tokens"): _LEAD,
    ("POST", "/accounts/{account}/tokens/{token}/revoke"): _LEAD,
}


class Link(NamedTuple):
    """A page in the header."""

    title: str
    path: str


_LINKS = (
    Link("Label", "/label"),
    Link("Instructions", "/instructions"),
    Link("Your work", "/me"),
    Link("Adjudicate", "/manage/adjudicate"),
    Link("Manage", "/manage"),
    Link("Runs", "/runs"),
    Link("Kept", "/keeping"),
    Link("People", "/accounts"),
)


def rule_for(method: str, path: str) -> Rule | None:
    """The rule of a route, by its template; None where the table has none."""
    wanted = "GET" if method == "HEAD" else method
    return next((rule for (m, p), rule in RULES.items() if m == wanted and p == path), None)


def links_for(role: Role | None) -> list[Link]:
    """What the header shows a role: the pages it may open."""
    if role is None:
        return []
    return [link for link in _LINKS if (rule := rule_for("GET", link.path)) and role in rule.roles]
