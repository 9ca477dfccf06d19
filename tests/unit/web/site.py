"""A site for a test: an app over two databases, a clock that stands still, and people who come in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raters import comparisons
from starlette.testclient import TestClient

from accord.stores.identity import Account, Identity, Role
from accord.stores.people import People
from accord.web.app import build
from accord.web.state import WebSettings

HOME = {"Sec-Fetch-Site": "same-origin"}
PASSPHRASE = "seven small words that nobody says"


class Site:
    """An app over two databases. ``now`` is the time; a test moves it."""

    def __init__(self, people: Path, identity: Path, **settings: Any) -> None:
        self.now = 1.8e9
        self.identity = Identity.open(identity, lambda: self.now)
        self.people = People.open(people, lambda: self.now)
        hosts = settings.pop("hosts", frozenset({"testserver"}))
        self.settings = WebSettings(hosts=hosts, clock=lambda: self.now, **settings)
        self.app = build(self.people, self.identity, self.settings)

    def visitor(self, **headers: str) -> TestClient:
        """Somebody with an empty browser, on our own pages unless ``headers`` say otherwise."""
        secure = "https" if self.settings.secure else "http"
        return TestClient(
            self.app,
            f"{secure}://testserver",
            follow_redirects=False,
            raise_server_exceptions=False,
            headers={**HOME, **headers},
        )

    def account(self, name: str, role: Role) -> Account:
        return self.identity.accounts.named(name) or self.identity.accounts.make(name, role)

    def signed_in(self, name: str, role: Role) -> TestClient:
        """A browser with a session of this account, made where it is not there."""
        visitor = self.visitor()
        cookie = "__Host-accord" if self.settings.secure else "accord"
        visitor.cookies.set(cookie, self.identity.sessions.begin(self.account(name, role).id))
        return visitor

    def program(self, name: str, role: Role, *scopes: str) -> TestClient:
        """A program with a token of this account; it sends no header of a browser."""
        given, _ = self.identity.tokens.make(self.account(name, role).id, scopes)
        visitor = TestClient(self.app, follow_redirects=False, raise_server_exceptions=False)
        visitor.headers["Authorization"] = f"Bearer {given}"
        return visitor

    def asked(self, n: int = 1) -> None:
        """Pairs for people to compare."""
        posted = comparisons(n)
        self.people.post(posted.questions, posted.records)

    def close(self) -> None:
        self.people.close()
        self.identity.close()
