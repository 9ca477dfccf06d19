"""The pages of a rater by axe, in both themes and on a narrow screen: nothing too small, nothing cut off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from web.seeded import EXAMPLE, hindsight, hostile, one_of_each, prompt_of

from accord.records import Instrument, Kind

_SMALL = """() => [...document.querySelectorAll("main button, main a, main summary, main label, main select")]
  .filter((e) => !e.closest(".visually-hidden") && e.checkVisibility() && !e.closest("p:not(.far), .field"))
  .map((e) => [e.textContent.trim(), e.getBoundingClientRect()])
  .filter(([, r]) => r.width < 24 || r.height < 24).map(([text]) => text)"""


# What a theme can change is contrast; what a narrow screen can, is the size of what is pressed.
_CONTRAST: dict[str, object] = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}
LOOKS: list[tuple[dict[str, str], tuple[int, int], dict[str, object]]] = [
    ({"color_scheme": "light"}, (1280, 800), {}),
    ({"color_scheme": "dark"}, (1280, 800), _CONTRAST),
    ({"color_scheme": "light"}, (320, 640), {**_CONTRAST, "runOnly": ["color-contrast", "target-size"]}),
]


def problems(page: Any) -> list[str]:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe looks at the pages")
    said: list[str] = []
    for media, (width, height), options in LOOKS:
        page.emulate_media(**media)
        page.set_viewport_size({"width": width, "height": height})
        if not options:
            found = axe.Axe().run(page).response["violations"]
        else:
            found = page.evaluate("async (o) => (await axe.run(document, o)).violations", options)
        said += [f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:160]}" for v in found]
        said += [f"smaller than 24 px: {text}" for text in page.evaluate(_SMALL)]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        said += [f"{wide} px wider than the screen"] if wide > 0 else []
    page.set_viewport_size({"width": 1280, "height": 800})
    return [f"{page.url}: {line}" for line in said]


def test_every_page_of_a_rater(serve: Callable[..., Any], visit: Callable[..., Any]) -> None:
    served = serve()
    people, rater = served.seeded.people, served.seeded.rater.pseudonym
    page = visit(served)
    found = problems(page)
    every = one_of_each()
    earlier = "0" * 64
    told = Instrument(wording="Which is safer?", examples=(EXAMPLE,), principles=("No harm first.",))
    from web.seeded import asked

    distressing = asked(Kind.COMPARE, ("x", "y"), prompt_of("How?", distressing=True), instrument=told)
    # A label is drawn as a grade is, a demonstration as a correction.
    tasks = [every[name] for name in ("pair", "ranking", "grade", "critique", "correct")]
    for question, records in [*tasks, hindsight(earlier), hostile(), distressing]:
        people.post([question], records)
        page.goto("/label")
        if "instructions" in page.url:
            found += problems(page)
            page.get_by_role("button", name="I have read this").click()
        found += problems(page)
        page.locator("form[data-ready]").wait_for()
        page.evaluate("document.querySelector('#skips button').click()")
        page.get_by_text("Nothing waits for you").wait_for()
    for path in ("/me", "/me/keys"):
        page.goto(path)
        found += problems(page)
    page.goto("/me")
    page.get_by_role("button", name="Withdraw everything").click()
    found += problems(page)
    page.get_by_label("Yes, erase all that I said").check()
    page.get_by_role("button", name="Withdraw everything").click()
    found += problems(page)
    assert people.rater(rater).votes == 0
    assert not found, "\n".join(found)
