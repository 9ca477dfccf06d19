"""A browser and a server for tests that drive the pages. Both are started once; where there is no Chromium,
these tests are skipped and say so."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from web.seeded import Seeded, seed

CHROMIUM = Path("/usr/bin/chromium")
_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Served:
    """An app that answers on a port of its own until it is stopped."""

    def __init__(self, seeded: Seeded, **more: Any) -> None:
        import uvicorn

        from accord.web.app import build
        from accord.web.state import Limit, WebSettings

        self.seeded = seeded
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        hosts = frozenset({f"127.0.0.1:{self.port}"})
        settings = WebSettings(hosts=hosts, submits=Limit(1000, 60.0), **more)
        app = build(seeded.people, seeded.identity, settings)
        config = uvicorn.Config(app, "127.0.0.1", self.port, log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Served:
        self.thread.start()
        for _ in range(500):
            if self.server.started:
                return self
            time.sleep(0.02)
        raise RuntimeError("the server did not start")

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.seeded.people.close()
        self.seeded.identity.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serves questions by their names in ``seeded.one_of_each``."""
    running: list[Served] = []

    def start(*names: str) -> Served:
        folder = tmp_path / str(len(running))
        folder.mkdir()
        running.append(Served(seed(folder, *names)).start())
        return running[-1]

    yield start
    for one in running:
        one.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="the pages are driven by Playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} to drive the pages with")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        _loops.append(asyncio.get_running_loop())
        yield opened
        asyncio._set_running_loop(_loops.pop())
        opened.close()


_loops: list[asyncio.AbstractEventLoop] = []


@pytest.fixture(autouse=True)
def _loop() -> Iterator[None]:
    """Playwright leaves its event loop running in this thread; tests elsewhere have loops of their own."""
    asyncio._set_running_loop(_loops[-1] if _loops else None)
    yield
    asyncio._set_running_loop(None)


def _fault(line: Any) -> bool:
    """What a browser says of our page; that a request was refused or lost is for a test to expect."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """A page of the app, signed in. No request may leave the host, no script may fail."""
    contexts: list[Any] = []
    wrong: list[str] = []

    def opened(served: Served, path: str = "/label", **settings: Any) -> Any:
        context = browser.new_context(base_url=served.address, **settings)
        contexts.append(context)
        context.add_cookies([{"name": "accord", "value": served.seeded.session, "url": served.address}])
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda r: None if r.url.startswith(served.address) else wrong.append(r.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if _fault(line) else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong
