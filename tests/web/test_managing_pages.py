"""Pages of managers and adjudicators in a browser: by axe in both themes and narrow, by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filled import LAZY, fill
from web.conftest import Served
from web.seeded import Seeded
from web.test_seen_by_all import problems


@pytest.fixture
def served(tmp_path: Path, browser: Any) -> Iterator[Served]:
    """A filled project, and a manager who is signed in."""
    filled = fill(tmp_path, 1.8e9, 9, 3, (12, 10, 8, 4, 2, 2, 18))
    manager = filled.identity.accounts.make("Mona", "manager")
    session = filled.identity.sessions.begin(manager.id)
    running = Served(Seeded(filled.people, filled.identity, manager, session, {})).start()
    yield running
    running.stop()


def test_every_page_of_figures(served: Served, visit: Callable[..., Any]) -> None:
    identity = served.seeded.identity
    page = visit(served, "/manage")
    found = problems(page)
    page.get_by_text("As a table").click()
    assert page.locator(".days tbody tr").count() >= 1
    page.locator(".plainly a").first.click()
    assert "/manage/questions/" in page.url
    found += problems(page)
    for path in ("/manage/raters", "/manage/export"):
        page.goto(path)
        found += problems(page)
    # By keyboard: to what waits for a person, and decided there.
    lazy = next(one.pseudonym for one in identity.accounts.every() if one.name == LAZY)
    page.goto("/manage")
    page.get_by_role("link", name=lazy).first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Flag {lazy}").focus()
    page.keyboard.press("Enter")
    page.get_by_text(f"{lazy} flagged").wait_for()
    assert '"flagged"' in served.seeded.people.notes("flag")[lazy]
    adjudicator = identity.accounts.make("Ute", "adjudicator")
    identity.consents.agree(adjudicator.id, "1")
    session = identity.sessions.begin(adjudicator.id)
    page.context.add_cookies([{"name": "accord", "value": session, "url": served.address}])
    page.goto("/manage/adjudicate")
    found += problems(page)
    page.get_by_role("button", name="A is better").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Saved.").wait_for()
    assert len(served.seeded.people.current(standing=("adjudicated",))) == 1
    page.goto("/me/checks")
    found += problems(page)
    assert not found, "\n".join(found)
