"""A scripted rater who comes over HTTP: in by the one-time link, then with a token of their own."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from html import unescape
from typing import Any

import httpx

__all__ = ["Caller", "shorter"]

_TOKEN = re.compile(r"accord_[0-9a-f]{8}_[A-Za-z0-9_-]+")


def shorter(question: dict[str, Any]) -> dict[str, str]:
    """The fields of a verdict that prefers the shorter answer; equally long ones are a tie."""
    lengths = {one["letter"]: len(one["text"]) for one in question["answers"]}
    a, b = lengths["A"], lengths["B"]
    return {"choice": "tie" if a == b else "A" if a < b else "B", "rationale": f"{min(a, b)} characters"}


class Caller:
    """Signed in by the link of ``accord serve --json``, with an API token for answering."""

    def __init__(self, url: str, link: str, name: str) -> None:
        code = link.partition("code=")[2]
        with httpx.Client(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}) as browser:
            entered = browser.post("/link", data={"code": code, "name": name})
            assert entered.status_code == 303, entered.text
            page = browser.post("/account/tokens", data={"scope": "label", "label": "a script"})
            found = _TOKEN.search(unescape(page.text))
            assert found is not None, page.text
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {found[0]}"})

    def answer_all(self, says: Callable[[dict[str, Any]], dict[str, str]]) -> list[str]:
        """Judge until nothing is left; the ids of the judgments."""
        said: list[str] = []
        while (turn := self._sent("/api/lease"))["lease"] is not None:
            question = turn["question"]
            fields = {"shown_at": repr(question["shown_at"]), **says(question)}
            body = {"lease": turn["lease"], "key": secrets.token_hex(8), "fields": fields}
            receipt = self._sent("/api/submit", body)
            assert receipt["state"] == "stored", receipt
            said.append(receipt["judgment"])
        return said

    def close(self) -> None:
        self._http.close()

    def _sent(self, path: str, body: object = None) -> dict[str, Any]:
        answer = self._http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()
