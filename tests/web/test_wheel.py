"""The pages as users get them: of the built wheel, in an environment that holds nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wheels

from accord.records import Judgment, Ranked
from accord.stores.people import People

ROWS = (
    '{"prompt": "Why is the sky blue?", "chosen": "Air scatters blue light.", "rejected": "It is paint."}\n'
    '{"prompt": "How long is an egg boiled?", "chosen": "Seven minutes.", "rejected": "An hour or two."}\n'
)
_ASKED = re.compile(
    r"""(?:href|src)="/static/([^"]+)"|["'(](?:/static|\.)/([\w./-]+\.(?:js|css|svg|png|woff2))"""
)
_NAMED = re.compile(r"""["']([\w/.-]+\.j2)["']""")


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheels.environment(wheel, tmp_path_factory.mktemp("clean") / "venv")


class Labelling:
    """``accord label`` of the wheel, in a folder with nothing but its file."""

    def __init__(self, programs: Path, folder: Path) -> None:
        (folder / "pairs.jsonl").write_text(ROWS)
        kept = {"HOME", "TMPDIR", "LANG", "LC_ALL"}
        environ = {k: v for k, v in os.environ.items() if k in kept} | {"PATH": f"{programs}:{os.defpath}"}
        self.process = subprocess.Popen(
            [programs / "accord", "label", "pairs.jsonl", "--port", "0", "--no-open", "--json"],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.told: dict[str, str] = json.loads(line)

    def stop(self) -> str:
        """Ctrl-C; what it said on its way."""
        self.process.send_signal(signal.SIGINT)
        _, said = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, said
        return said


@pytest.fixture
def label(browser: Any, programs: Path, tmp_path: Path) -> Iterator[Callable[[], Labelling]]:
    """``browser`` first: without one nothing is built."""
    made: list[Labelling] = []

    def start() -> Labelling:
        made.append(Labelling(programs, tmp_path))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_a_person_labels_a_file_by_keys(label: Any, browser: Any, programs: Path, tmp_path: Path) -> None:
    """From the printed link to the database; no request leaves the host, and all that is asked for comes."""
    begun = label()
    url, wrong, asked = begun.told["url"], list[str](), set[str]()
    page = browser.new_context().new_page()
    page.set_default_timeout(15000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith(f"{url}/") else asked.add(r.url))
    page.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.goto(begun.told["link"])
    page.locator("#name").focus()
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    for asks, key in (("Why is the sky blue?", "1"), ("How long is an egg boiled?", "2")):
        page.get_by_text(asks).wait_for()
        page.locator("form[data-ready]").wait_for()
        page.keyboard.press(key)
    page.get_by_text("Nothing waits for you").wait_for()
    for path in ("/me", "/me/keys", "/instructions", "/account"):
        page.goto(f"{url}{path}")
    page.context.close()
    assert "Traceback" not in begun.stop()
    assert not wrong, wrong
    assert {f"{url}/static/{name}" for name in ("base.css", "label.css", "label.js", "keys.js")} <= asked

    with People.open(tmp_path / "pairs.jsonl.labels.db") as people:
        said: list[Judgment] = [one.judgment for one in people.current()]
        (rater,) = {one.rater for one in people.current()}
    assert rater.startswith("r-")
    first, second = sorted(said, key=lambda one: one.times.submitted if one.times else 0.0)
    assert first.question != second.question
    assert isinstance(first.verdict, Ranked) and isinstance(second.verdict, Ranked)
    assert first.verdict.tiers == tuple((one,) for one in first.shown), "1: the first one shown is better"
    assert second.verdict.tiers == tuple((one,) for one in second.shown[::-1]), "2: the second one is"


def test_the_environment_is_clean(programs: Path, tmp_path: Path) -> None:
    """What runs there is the wheel, with what it says that it needs; there is no torch."""
    code = (
        "import importlib.util as u, sys, accord.web.app, accord.cli.serve\n"
        "names = ['torch', 'transformers', 'pytest', 'playwright', 'psycopg']\n"
        "print(accord.__file__, [n for n in names if u.find_spec(n)], 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [programs / "python", "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    file, *rest = done.stdout.split()
    assert Path(file).is_relative_to(programs.parent)
    assert rest == ["[]", "False"]


def test_what_pages_ask_for_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.removeprefix("accord/web/") for name in archive.namelist() if "accord/web/" in name}
        texts = {name: archive.read(f"accord/web/{name}").decode() for name in names}
    drawn = {name: text for name, text in texts.items() if name.endswith((".py", ".j2"))}
    asked = {f"templates/{named}" for text in drawn.values() for named in _NAMED.findall(text)}
    asked -= {"templates/name.html.j2"}  # an example in a docstring
    sent = {name: text for name, text in texts.items() if name.endswith((".j2", ".js", ".css"))}
    asked |= {f"static/{one or other}" for text in sent.values() for one, other in _ASKED.findall(text)}
    some = {"templates/label.html.j2", "templates/base.html.j2", "static/base.css", "static/drafts.js"}
    assert some <= asked
    assert asked <= names, asked - names
    assert {name for name in names if name.startswith(("templates/", "static/"))} <= asked, "asked by nobody"
