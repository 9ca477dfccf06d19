"""Where a server may stand, what it is called there, and how it ends: one real process of each command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from accord.errors import PlanError, Refused
from accord.records import Kind
from accord.stores.identity import Identity
from accord.stores.people import People
from accord.web.posting import questions_in
from accord.web.serving import bound, is_loopback, public_host

PAIR = '{"prompt": "Why?", "chosen": "Because.", "rejected": "No."}\n'
HOME = {"Sec-Fetch-Site": "same-origin"}


def test_elsewhere_it_needs_an_owner_and_https() -> None:
    for public_url, owned, lacking in [
        (None, False, ("an owner", "--public-url")),
        ("https://a.example", False, ("an owner",)),
        (None, True, ("--public-url",)),
    ]:
        with pytest.raises(Refused) as refused:
            bound("0.0.0.0", 0, public_url=public_url, owned=owned)
        assert [word in str(refused.value) for word in ("an owner", "--public-url")] == [
            word in lacking for word in ("an owner", "--public-url")
        ]
    listening, address = bound("0.0.0.0", 0, public_url="https://a.example", owned=True)
    with listening:
        assert address.url == "https://a.example"
        assert address.secure
        assert "a.example" in address.hosts
        assert not any(host.startswith("0.0.0.0") for host in address.hosts)


def test_on_loopback_it_answers_to_its_own_names_and_port() -> None:
    listening, address = bound("127.0.0.1", 0, public_url=None, owned=False)
    with listening:
        port = listening.getsockname()[1]
    assert address.port == port
    assert address.hosts == {f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"}
    assert address.url == f"http://127.0.0.1:{port}"
    assert not address.secure


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://A.Example", "a.example"),
        ("https://a.example/", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://a.example:8443", "a.example:8443"),
        ("http://a.example", None),
        ("https://a.example/app", None),
        ("https://me:secret@a.example", None),
        ("https://a.example?x=1", None),
        ("https://a.example:99999", None),
        ("https://", None),
        ("a.example", None),
    ],
)
def test_a_public_address_is_https_and_no_more(url: str, host: str | None) -> None:
    if host is not None:
        assert public_host(url) == host
        return
    with pytest.raises(PlanError, match="--public-url"):
        public_host(url)


@pytest.mark.parametrize(
    ("host", "only_here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("localhost", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_only_this_machine_reaches(host: str, only_here: bool) -> None:
    assert is_loopback(host) is only_here


def test_a_port_in_use_says_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Refused, match="--port 0 takes one that is free"):
            bound("127.0.0.1", other.getsockname()[1], public_url=None, owned=True)


def test_rows_become_the_questions_that_a_plan_asks(tmp_path: Path) -> None:
    for name, line, kind in [
        ("pairs", PAIR, Kind.COMPARE),
        ("answers", '{"prompt": "Why?", "completion": "So."}\n', Kind.GRADE),
        ("prompts", '{"prompt": "Why?"}\n', Kind.REVISE),
    ]:
        (tmp_path / f"{name}.jsonl").write_text(line * 2)
        posted = questions_in(str(tmp_path / f"{name}.jsonl"), "What is good?")
        (question,) = posted.questions
        assert (question.asks, question.instrument.wording) == (kind, "What is good?")
        ids = {record.id for record in posted.records}
        assert {question.prompt, *question.responses} == ids
        assert posted.file == tmp_path / f"{name}.jsonl"


class Running:
    """A command that serves, and where it stands."""

    def __init__(self, *words: str, cwd: Path) -> None:
        command = [sys.executable, "-c", "import sys; from accord.cli import main; sys.exit(main())"]
        self.process = subprocess.Popen(
            [*command, *words, "--json"], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        self.told: dict[str, Any] = json.loads(line)

    def stop(self, how: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    made: list[Running] = []

    def begin(*words: str) -> Running:
        made.append(Running(*words, cwd=tmp_path))
        return made[-1]

    yield begin
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def test_one_person_labels_a_file(start: Any, tmp_path: Path) -> None:
    """The printed link, a cookie, forged hosts, Ctrl-C while connections are kept alive."""
    (tmp_path / "pairs.jsonl").write_text(PAIR)
    server = start("label", "pairs.jsonl", "--port", "0")
    told = server.told
    assert told["url"] == f"http://127.0.0.1:{told['port']}"
    with httpx.Client(base_url=told["url"], headers=HOME) as browser:
        code = told["link"].partition("code=")[2]
        assert browser.post("/link", data={"code": code, "name": "Ann"}).headers["location"] == "/label"
        assert browser.get("/label").status_code == 200
        assert browser.get("/", headers={"Host": f"localhost:{told['port']}"}).status_code == 303
        assert browser.get("/", headers={"Host": "evil.example"}).status_code == 421
        with socket.create_connection(("127.0.0.1", told["port"])) as raw:
            raw.sendall(f"GET /static/../app.py HTTP/1.1\r\nHost: localhost:{told['port']}\r\n\r\n".encode())
            assert b" 404 " in raw.recv(100)
        before = time.monotonic()
        ended, said = server.stop()
    assert ended == 0, said
    assert time.monotonic() - before < 10
    assert "Traceback" not in said
    with People.open(tmp_path / "pairs.jsonl.labels.db") as people:
        assert len(people.questions()) == 1
    with Identity.open(tmp_path / "pairs.jsonl.labels.accounts.db") as identity:
        assert [(one.name, one.role) for one in identity.accounts.every()] == [("Ann", "owner")]


def test_serving_many_prints_no_link_once_somebody_owns_it(start: Any, tmp_path: Path) -> None:
    with Identity.open(tmp_path / "labels.accounts.db") as identity:
        identity.accounts.make("Ann", "owner")
    server = start("serve", "--store", "labels.db", "--port", "0")
    assert server.told["link"] == ""
    assert httpx.get(f"{server.told['url']}/healthz").json()["ok"] is True
    assert server.stop(signal.SIGTERM)[0] == 0
