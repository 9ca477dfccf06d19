"""The page: sound HTML that reads, and nothing a model, a person or a file wrote can act in it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest
from unit.reports.written import AFTER, BEFORE, Script, finished, make_run

from accord.reports import gather, write_report
from accord.reports.words import visible

VOID = {"meta", "br", "hr", "line", "circle", "polygon", "polyline", "path"}
SHAPES = {"viewbox", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "points", "text-anchor"}
ATTRIBUTES = SHAPES | {
    *("lang", "charset", "name", "content", "http-equiv", "class", "id", "title", "href"),
    *("role", "aria-label", "scope", "tabindex", "dir"),
}
EVIL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><a href='javascript:alert(1)'>x</a>",
    "</style><style>*{display:none}</style>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;",
    "\u202egnp.exe\u2066",
    "zero\u200bwidth\u0000\u001b[31m",
    "\ud800 half",
    "z" + "\u0301" * 40,
]


class Page(HTMLParser):
    """Tags, attributes, ids, links and text of a page; raises where elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.said: list[str] = []
        self.labels: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            {"id": self.ids, "href": self.links, "aria-label": self.labels}.get(name, []).append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.said.append(data)


def page_of(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_the_page_is_sound(tmp_path: Path) -> None:
    page = page_of(finished(tmp_path / "brevity-1"))
    assert page.attributes <= ATTRIBUTES
    assert len(page.ids) == len(set(page.ids))
    assert page.links
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert {"h1", "h2", "figure", "figcaption", "details", "table", "svg", "main", "nav"} <= page.tags
    assert any(
        label.startswith("Share of sampled answers approved, by window: 50 %") for label in page.labels
    )
    assert any(label.startswith("paired change +25 points, 95 % interval +5 to +60") for label in page.labels)


@pytest.mark.parametrize("evil", EVIL)
def test_what_others_wrote_is_text(tmp_path: Path, evil: str) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        said = {f"{evil} {k}": [(f"{evil} before", 0.0)] for k in range(3)}
        script.held_out(said)
        script.audit(missing=evil)
        script.window(0, texts=(evil, evil + "!"))
        script.update(0)
        script.held_out({text: [(f"{evil} after", 1.0)] for text in said}, change=(0.5, 1.0))
        script.judge(script.said[next(iter(said))], None, by=evil)
        pause = script.decide("pause", evil, evil)
        script.accept(pause, evil, evil)
        script.indicator(evil)
    (run / "amplify" / "drift.txt").write_text(evil, encoding="utf-8", errors="surrogatepass")
    (run / "amplify" / "readings" / "broken.jsonl").write_text(evil + "\n", "utf-8", errors="surrogatepass")
    page = page_of(run)
    clean = page_of(finished(tmp_path / "brevity-1"))
    assert page.tags <= clean.tags | {"ul", "li"}
    assert page.attributes <= ATTRIBUTES
    assert all(link.startswith("#") for link in page.links)
    text = "".join(page.said)
    assert not set(text) & set("\u202e\u2066\u200b\x00\x1b\ufffd") - set(evil)
    assert text.count(visible(evil)) >= 5


def test_what_is_hidden_shows_in_a_transcript(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out({"Why\u200b?": [("So \u202ethere", 0.0)], "How?": [("<b>", 0.0)]})
        script.update(0)
        script.held_out({"Why\u200b?": [("So.", 1.0)], "How?": [("<i>", 0.0)]}, change=(0.1, 0.9))
    text = write_report(run).read_text(encoding="utf-8")
    assert "Why⟨U+200B⟩?" in text
    assert "So ⟨U+202E⟩there" in text
    assert "&lt;b&gt;" in text
    assert "\u202e" not in text
    # The JSON keeps what was said as it was said.
    assert gather(run).stages[0].transcripts.shown[0].before.text == "So \u202ethere"  # type: ignore[union-attr]


def test_a_very_long_answer_is_cut_and_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.held_out({"Why?": [("word " * 2000, 0.0)], "How?": [("So.", 0.0)]})
        script.update(0)
        script.held_out({"Why?": [("So.", 1.0)], "How?": [("So.", 0.0)]}, change=(0.1, 0.9))
    assert "(6,000 more characters in report.json)" in write_report(run).read_text(encoding="utf-8")


def test_three_transcripts_by_the_rule(tmp_path: Path) -> None:
    shown = gather(finished(tmp_path / "r")).stages[0].transcripts.shown
    assert [(one.why, one.prompt, one.gain) for one in shown] == [
        ("largest gain", "Why is the sky blue?", 1.0),
        ("median", "What is a lion?", 0.5),
        ("largest loss", "Is it so?", -0.5),
    ]
    assert [one.after.text for one in shown if one.after] == [
        "Air scatters light.",
        "A cat.",
        "It is and",
    ]
    assert set(AFTER) == set(BEFORE)


def test_every_figure_can_be_walked_back(tmp_path: Path) -> None:
    """The record of each figure stands at the place the report names, and so does each step of the walk."""
    run = finished(tmp_path / "r")
    stage = gather(run).stages[0]
    assert [step.kind for step in stage.trace] == ["reading", "judgment", "question", "response", "prompt"]
    placed = [(step.record, step.place) for step in stage.trace]
    figures = [
        stage.result.before,
        stage.result.after,
        stage.result.change,
        stage.spent.kl,
        stage.spent.price,
    ]
    placed += [(figure.record, figure.place) for figure in figures if figure]
    placed += [(one.record, one.place) for indicator in stage.guard.indicators for one in indicator.readings]
    placed += [(one.record, one.place) for one in stage.guard.decisions + stage.guard.acceptances]
    placed += [
        (said.record, said.place)
        for one in stage.transcripts.shown
        for said in (one.before, one.after)
        if said
    ]
    assert len(placed) >= 20
    for record, place in placed:
        file, _, line = place.rpartition(":")
        assert f'"id":"{record}"' in (run / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
