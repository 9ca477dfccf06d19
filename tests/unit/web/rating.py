"""A rater for tests of the pages: a browser without a script."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from starlette.testclient import TestClient
from web.seeded import Seeded

from accord.web.app import build
from accord.web.state import WebSettings


class Rater:
    """A client that is signed in, and reads forms as a browser would."""

    def __init__(self, seeded: Seeded, session: str) -> None:
        app = build(seeded.people, seeded.identity, WebSettings(hosts=frozenset({"testserver"})))
        self.http = TestClient(app, headers={"sec-fetch-site": "same-origin"}, follow_redirects=False)
        self.http.cookies.set("accord", session)

    def form(self, path: str = "/label") -> dict[str, str]:
        page = self.http.get(path)
        assert page.status_code == 200, page.text
        found = re.search(r'action="(/label/\d+)"', page.text)
        assert found is not None, page.text
        hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
        return {"action": found[1], **{name: unescape(value) for name, value in hidden}}

    def send(
        self, form: dict[str, str], after: str = "", headers: dict[str, str] | None = None, **more: str
    ) -> Any:
        data = {name: value for name, value in {**form, **more}.items() if name != "action"}
        return self.http.post(f"{form['action']}{after}", data=data, headers=headers)
