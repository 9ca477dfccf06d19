"""A rater at work in a browser: by keys alone, without a script, over a line that is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from web.seeded import hindsight, hostile, one_of_each

from accord.records import Critiqued, Graded, Judgment, Labelled, Ranked, Revised

Serve = Callable[..., Any]
Visit = Callable[..., Any]
EVERY = one_of_each()


def votes(served: Any) -> list[Judgment]:
    return [said.judgment for said in served.seeded.people.current()]


def asks(page: Any, line: str, *, script: bool = True) -> None:
    """Wait for the page of a question, and until its script listens."""
    page.locator("h1", has_text=line).wait_for()
    if script:
        page.locator("form[data-ready]").wait_for()


def tab_to(page: Any, selector: str) -> None:
    """Tab until an element has the focus, as a person would."""
    for _ in range(60):
        if page.evaluate("s => !!document.activeElement?.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached with Tab")


def test_pair_skip_undo_and_hindsight_by_keys(serve: Serve, visit: Visit) -> None:
    served = serve("pair", "label")
    people, rater = served.seeded.people, served.seeded.rater.pseudonym
    page = visit(served)
    asks(page, "Which answer is better?")
    page.keyboard.press("1")
    asks(page, "What tone")
    (pair,) = votes(served)
    assert isinstance(pair.verdict, Ranked)
    assert pair.verdict.tiers[0] == (pair.shown[0],)
    assert pair.times is not None
    assert pair.times.first_input is not None

    page.keyboard.press("u")
    asks(page, "Which answer is better?")
    assert votes(served) == []
    page.get_by_text("taken back").wait_for()
    page.keyboard.press("9")
    asks(page, "What tone")
    (bad,) = votes(served)
    assert isinstance(bad.verdict, Ranked)
    assert bad.verdict.acceptable == ()

    page.keyboard.press("s")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing waits for you").wait_for()
    assert votes(served)[1].abstention == "not_my_field"

    again, records = hindsight(bad.id)
    people.post_to(rater, [again], records)
    page.goto("/label")
    page.get_by_text("You judged this before").wait_for()
    page.get_by_text("A week later the hob was scratched").wait_for()
    assert page.get_by_text("both bad", exact=True).count() == 0
    page.keyboard.press("2")
    page.get_by_text("Nothing waits for you").wait_for()
    later = votes(served)[2]
    assert later.question == again.id
    assert later.rendering is not None
    assert "first verdict" in later.rendering.hidden


def test_ranking_grade_and_label_by_keys(serve: Serve, visit: Visit) -> None:
    served = serve("ranking", "grade", "label")
    page = visit(served)
    asks(page, "Put the answers in order")
    tab_to(page, 'li[data-letter="C"] button')
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.closest('li').dataset.letter") == "C"
    tab_to(page, 'li[data-letter="B"] button')
    page.keyboard.press("=")
    page.get_by_text("Answer B: place 2, with A.").wait_for()
    tab_to(page, '[data-does="send"]')
    page.keyboard.press("Enter")
    asks(page, "How helpful")
    ranking = votes(served)[0]
    a, b, c = ranking.shown
    assert ranking.verdict == Ranked(tiers=((c,), (a, b)))

    page.keyboard.press("6")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    asks(page, "What tone")
    assert votes(served)[1].verdict == Graded(scores={"helpful": 6, "careful": 3})
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing waits for you").wait_for()
    assert votes(served)[2].verdict == Labelled(tags=("rude",))


def test_critique_and_correction_by_keys(serve: Serve, visit: Visit) -> None:
    served = serve("critique", "correct", "demonstrate")
    page = visit(served)
    asks(page, "Which passages")
    page.keyboard.press("m")
    page.keyboard.press("m")
    tab_to(page, 'select[name="point-0-tag"]')
    page.keyboard.press("d")
    tab_to(page, 'input[name="point-0-severity"]')
    page.keyboard.press("4")
    tab_to(page, "textarea")
    page.keyboard.type("It may burn: m, s and u are letters here.")
    page.keyboard.press("Control+Enter")
    asks(page, "Make this answer better.")
    critique = votes(served)[0].verdict
    assert isinstance(critique, Critiqued)
    (point,) = critique.points
    text = EVERY["critique"][1][1].text  # type: ignore[union-attr]
    assert point.mark is not None
    assert text[point.mark.start : point.mark.end] == "The crust softens, and a plastic card lifts it off."
    assert (point.mark.tag, point.severity) == ("dangerous", 4)
    assert point.text == "It may burn: m, s and u are letters here."

    tab_to(page, "textarea#text")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Not on glass.")
    page.keyboard.press("Control+Enter")
    page.get_by_role("heading", name="What changes").wait_for()
    assert "Not on glass" in page.locator("ins").inner_text()
    assert len(votes(served)) == 1
    tab_to(page, '[data-does="send"]')
    page.keyboard.press("Enter")
    asks(page, "Write the answer")
    corrected = votes(served)[1].verdict
    assert isinstance(corrected, Revised)
    assert corrected.text.endswith("press hard enough. Not on glass.")
    tab_to(page, "textarea#text")
    page.keyboard.type("Wait.")
    page.keyboard.press("Control+Enter")
    page.get_by_text("Nothing waits for you").wait_for()
    assert votes(served)[2].verdict == Revised(text="Wait.")


def test_a_selection_becomes_a_passage(serve: Serve, visit: Visit) -> None:
    """Kills: places counted in UTF-16 units, and in what is spelled out on the page."""
    from web.seeded import asked

    from accord.records import Kind

    served = serve()
    text = "😀 a\u200bb \x1b[1mwrong\x1b[0m end"
    question, records = asked(Kind.CRITIQUE, (text,))
    served.seeded.people.post([question], records)
    page = visit(served)
    page.evaluate(
        """() => {
          const runs = [...document.querySelectorAll("[data-answer] [data-start]")];
          const run = runs.find((one) => one.textContent.includes("wrong")).firstChild;
          getSelection().setBaseAndExtent(run, 0, run, 5);
          document.dispatchEvent(new MouseEvent("mouseup"));
        }"""
    )
    page.get_by_label("1 hardly").check()
    page.get_by_label("What is wrong").fill("x")
    page.get_by_role("button", name="Send", exact=True).click()
    page.get_by_text("Nothing waits for you").wait_for()
    verdict = votes(served)[0].verdict
    assert isinstance(verdict, Critiqued)
    mark = verdict.points[0].mark
    assert mark is not None
    assert text[mark.start : mark.end] == "wrong"


def test_every_task_without_a_script(serve: Serve, visit: Visit) -> None:
    served = serve(*EVERY)
    page = visit(served, java_script_enabled=False)
    page.get_by_label("clearly").check()
    page.get_by_role("button", name="B is better").click()
    asks(page, "Put the answers in order", script=False)
    page.get_by_role("group", name="Move answer C").get_by_role("button", name="Up").click()
    page.get_by_role("group", name="Move answer B").get_by_role("button", name="Same as above").click()
    page.get_by_role("button", name="Send").click()
    asks(page, "How helpful", script=False)
    page.get_by_role("group", name="Helpful").get_by_label("7").check()
    page.get_by_role("button", name="Send").click()
    page.get_by_text("This was not sent").wait_for()
    assert page.get_by_role("group", name="Helpful").get_by_label("7").is_checked()
    page.get_by_role("group", name="Careful").get_by_label("1").check()
    page.get_by_role("button", name="Send").click()
    asks(page, "What tone", script=False)
    page.locator("#skips summary").click()
    page.get_by_role("button", name="I have a stake in it").click()
    asks(page, "Which passages", script=False)
    page.get_by_label("What is wrong").fill("first")
    page.get_by_label("2 a little").check()
    page.get_by_role("button", name="Another point").click()
    second = page.get_by_role("group", name="Point 2")
    second.get_by_label("Which passage").select_option(index=1)
    second.get_by_label("4 ruins it").check()
    second.get_by_label("What is wrong").fill("second")
    page.get_by_role("button", name="Send").click()
    asks(page, "Make this answer better.", script=False)
    page.get_by_label("The answer, as it should be").fill("Soak it.")
    page.get_by_role("button", name="See what changes").click()
    page.get_by_role("button", name="Send", exact=True).click()
    asks(page, "Write the answer", script=False)
    page.get_by_label("Your answer").fill("Wait.\nWipe.")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Nothing waits for you").wait_for()
    page.get_by_role("button", name="Undo last").click()
    page.get_by_text("taken back").wait_for()
    assert page.get_by_label("Your answer").input_value() == "Wait.\nWipe."
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Nothing waits for you").wait_for()

    pair, ranking, grade, label, critique, correct, demonstrate = votes(served)
    assert isinstance(pair.verdict, Ranked)
    assert pair.verdict.tiers[0] == (pair.shown[1],)
    assert abs(pair.verdict.strength or 0) == 2
    a, b, c = ranking.shown
    assert ranking.verdict == Ranked(tiers=((a,), (b, c))) or ranking.verdict == Ranked(tiers=((a,), (c, b)))
    assert grade.verdict == Graded(scores={"helpful": 7, "careful": 1})
    assert label.abstention == "conflict"
    assert isinstance(critique.verdict, Critiqued)
    assert [(p.text, p.severity, p.mark is None) for p in critique.verdict.points] == [
        ("first", 2, True),
        ("second", 4, False),
    ]
    assert (correct.verdict, demonstrate.verdict) == (Revised(text="Soak it."), Revised(text="Wait.\nWipe."))


def test_an_answer_survives_a_lost_line(serve: Serve, visit: Visit) -> None:
    """Kept in the browser, sent again under one key, counted once; a draft comes back from the server."""
    served = serve("pair", "demonstrate")
    page = visit(served)
    asks(page, "Which answer is better?")
    lost = {"left": 1}

    def route(request: Any) -> None:
        if lost["left"]:
            lost["left"] -= 1
            request.fetch()  # the server has it, and its answer is lost
            request.abort()
        else:
            request.continue_()

    page.route("**/label/*", lambda r: route(r) if r.request.method == "POST" else r.continue_())
    page.evaluate("() => { const go = setTimeout; window.setTimeout = (f, ms) => go(f, Math.min(ms, 50)); }")
    page.keyboard.press("1")
    asks(page, "Write the answer")
    assert len(votes(served)) == 1
    assert page.evaluate("Object.keys(localStorage)") == []
    page.get_by_label("Your answer").fill("half a sen")
    page.get_by_text("Saved as a draft.").wait_for()
    page.reload()
    assert page.get_by_label("Your answer").input_value() == "half a sen"


def test_an_answer_waits_while_the_server_is_away(serve: Serve, visit: Visit) -> None:
    """Kills: an answer that is dropped because a proxy has no server behind it, and the page was left."""
    served = serve("pair", "demonstrate")
    page = visit(served)
    asks(page, "Which answer is better?")
    page.route("**/label/*", lambda r: r.fulfill(status=502) if r.request.method == "POST" else r.continue_())
    page.keyboard.press("1")
    page.get_by_text("The server cannot take it yet.").wait_for()
    assert votes(served) == []
    page.unroute("**/label/*")
    page.goto("/label")
    asks(page, "Write the answer")
    assert len(votes(served)) == 1
    assert page.evaluate("Object.keys(localStorage)") == []


def test_what_was_written_without_a_line_is_here_again(serve: Serve, visit: Visit) -> None:
    """Kills: an order and ticks that are kept in the browser and never brought back."""
    served = serve("ranking")
    page = visit(served)
    asks(page, "Put the answers in order")
    page.route("**/draft", lambda r: r.abort())
    page.get_by_role("group", name="Move answer C").get_by_role("button", name="Up").click()
    page.locator('[name="good"][value="B"]').check()
    page.locator('[name="good"][value="C"]').check()
    page.get_by_text("What you write is kept in this browser.").wait_for()
    page.reload()
    asks(page, "Put the answers in order")
    page.get_by_text("What you had written is here again.").wait_for()
    assert page.locator("#ranks > li").evaluate_all("all => all.map(one => one.dataset.letter)") == [*"ACB"]
    page.get_by_role("button", name="Send").click()
    page.get_by_text("Nothing waits for you").wait_for()
    (ranking,) = votes(served)
    a, b, c = ranking.shown
    assert isinstance(ranking.verdict, Ranked)
    assert ranking.verdict.tiers == ((a,), (c,), (b,))
    assert set(ranking.verdict.acceptable or ()) == {b, c}


def test_hostile_texts_stay_text(serve: Serve, visit: Visit) -> None:
    served = serve()
    question, records = hostile()
    served.seeded.people.post([question], records)
    page = visit(served)
    for layout in ("plain", "marked"):
        page.goto(f"/label?layout={layout}")
        page.on("dialog", lambda dialog: (_ for _ in ()).throw(AssertionError(dialog.message)))
        body = page.locator(".work")
        assert body.locator("script, img, a, h1").count() == 0
        assert "<script>alert(1)</script>" in body.inner_text()
        assert body.locator(".unseen[title='right-to-left override, U+202E']").count() == 3
        assert "\x1b" not in page.content()
        assert "evil.example" not in page.content()
