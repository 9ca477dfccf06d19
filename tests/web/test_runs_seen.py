"""A run's pages in a browser: by axe, while the run is written, and the report in its sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.reports.panelled import Script, paged
from unit.reports.written import finished, make_run, plan_of
from web.conftest import Served
from web.seeded import HOSTILE, seed
from web.test_seen_by_all import problems

from accord.records import Prompt
from accord.reports import write_report

_FAST = "self.setTimeout = ((later) => (done) => later(done, 100))(self.setTimeout);"  # not five seconds


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Any]:
    """A server that shows the runs in ``tmp_path / "runs"`` to a manager."""
    (tmp_path / "site").mkdir()
    seeded = seed(tmp_path / "site")
    manager = seeded.identity.accounts.make("Mia", "manager")
    session = seeded.identity.sessions.begin(manager.id)
    served = Served(seeded._replace(session=session), runs=tmp_path / "runs").start()
    yield served
    served.stop()


def test_a_run_while_it_is_written(shown: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    """What is new comes by itself; what the reader opened stays open, and the focus stays where it was."""
    run = make_run(tmp_path / "runs" / "live", plan_of(windows=4, held_out=False))
    with Script(run) as script:
        script.audit()
        script.panel("sycophancy.flips", 0)
        script.window(0)
        page = visit(shown, "/runs")
        page.add_init_script(_FAST)
        page.get_by_role("link", name="live").click()
        page.get_by_text("1 of 4", exact=True).wait_for()
        opened = page.locator("#top summary").first
        opened.focus()
        page.keyboard.press("Enter")
        script.window(1)
        script.decide("continue", "grew:reverse_kl", f"it grew {HOSTILE}")
        page.get_by_text("2 of 4", exact=True).wait_for()
        page.get_by_text("it grew").wait_for()
        assert page.locator("#news").inner_text().endswith("1 decision")
        assert page.locator("#top details").first.get_attribute("open") == ""
        assert page.evaluate("document.activeElement.matches('#top summary')")
        script.decide("halt", "page", "page: far from the base")
        page.locator("#now .state.bad").wait_for()
        page.get_by_text("Nothing more comes by itself").wait_for()
        assert "halted" in page.locator("#news").inner_text()


def test_every_page_of_a_run(shown: Any, visit: Callable[..., Any], tmp_path: Path) -> None:
    run = paged(tmp_path / "runs" / "paged")
    with Script(make_run(tmp_path / "runs" / "talk")) as script:
        prompt = Prompt.of(HOSTILE)
        script.put(prompt)
        for answer in script.answers(prompt, [f"{k} {HOSTILE}" for k in range(3)], "window/0"):
            script.judge(answer, 1.0)
    (run / "report.html").write_text("<p>so it shows the links to it</p>")
    page = visit(shown, "/runs")
    found = problems(page)
    for path in ("/runs/paged", "/runs/talk/amplify/transcripts"):
        page.goto(path)
        found += problems(page)
    assert not found, "\n".join(found)


def test_a_report_is_read_and_does_nothing(shown: Any, browser: Any, tmp_path: Path) -> None:
    """Kills: a report that runs a script, sends a form, takes another style, or has the origin of the app."""
    report = write_report(finished(tmp_path / "runs" / "done"))
    text = report.read_text(encoding="utf-8").replace('<meta http-equiv="Content-Security-Policy"', "<meta ")
    attack = "<script>document.title = 'owned'</script><form action='/signout' method='post'>"
    attack += "<button>Go</button></form><p id='red' style='color: rgb(255, 0, 0)'>red</p>"
    report.write_text(text.replace("<main>", f"<main>{attack}"), encoding="utf-8")
    context = browser.new_context(base_url=shown.address)
    context.add_cookies([{"name": "accord", "value": shown.seeded.session, "url": shown.address}])
    page = context.new_page()
    page.goto("/runs/done")
    page.get_by_role("link", name="Report", exact=True).click()
    page.wait_for_url("**/reports/done")
    assert page.title() == "done · Accord report"
    assert page.evaluate("self.origin") == "null"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(253, 252, 249)"
    assert page.evaluate("getComputedStyle(document.querySelector('#red')).color") != "rgb(255, 0, 0)"
    page.get_by_role("button", name="Go").click()
    page.goto("/runs")
    page.get_by_role("heading", name="Runs").wait_for()  # still signed in
    context.close()
