"""The app is killed with ``kill -9`` while people submit over HTTP: does it lose what it said it had?

    python bench/feedback/killed.py [--kills 50] [--raters 4] [--database sqlite|postgresql]

Programs of several raters lease and submit without a pause, each answer under a key of its own. After some
answers, and a moment more each time, the process that serves them is killed; another takes its place on the
same socket. Who got no answer sends the same again, until there is one. At the end the journal is counted:
each acknowledged judgment stands in it exactly once, and nothing that nobody sent. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from raters import comparisons

from accord.stores.identity import Identity
from accord.stores.people import People

__all__ = ["Fate", "killed_server"]

_RATERS = 4
_BETWEEN = 5  # acknowledged answers before a kill
# Forked anew after each kill, for importing the app takes longer than all else.
_SERVES = """
import os, socket, sys
from accord.stores.identity import Identity
from accord.stores.people import People
from accord.web.app import build
from accord.web.serving import answer
from accord.web.state import Limit, WebSettings
import uvicorn, uvicorn.protocols.http.auto, uvicorn.loops.auto

url, accounts, port = sys.argv[1:4]
listening = socket.socket(fileno=int(sys.argv[4]))
settings = WebSettings(hosts=frozenset({f"127.0.0.1:{port}"}), submits=Limit(10**9, 1.0))
for line in sys.stdin:
    if (child := os.fork()) == 0:
        answer(build(People.open(url), Identity.open(accounts), settings), listening, behind_proxy=False)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


class Fate(NamedTuple):
    """What became of answers: acknowledged and not in the journal (``lost``), or there more than once, or
    there though nobody sent them. ``again``: how often one was sent again, for no answer had come."""

    kills: int
    acknowledged: int
    again: int
    lost: int
    twice: int
    unsent: int


@dataclass
class _Seen:
    """What all raters together sent and were told; many threads append."""

    kept: list[str] = field(default_factory=list[str])
    again: list[str] = field(default_factory=list[str])
    salts: set[str] = field(default_factory=set[str])
    broken: list[BaseException] = field(default_factory=list[BaseException])
    over: threading.Event = field(default_factory=threading.Event)


def killed_server(url: str, folder: Path, kills: int, raters: int = _RATERS) -> Fate:
    """Kill so many servers of the database at ``url``, which is empty. ``folder``: for the accounts."""
    accounts = f"sqlite:///{folder}/accounts.db"
    with Identity.open(accounts) as identity:
        made = [identity.accounts.make(f"rater {i}", "rater") for i in range(raters)]
        tokens = [identity.tokens.make(one.id, ("label",))[0] for one in made]
    with People.open(url) as people:
        asked = comparisons(kills * 40 + 100)
        people.post(asked.questions, asked.records)
    seen = _Seen()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = int(listening.getsockname()[1])
        threads = [threading.Thread(target=_works, args=[port, token, seen]) for token in tokens]
        with _Servers(url, accounts, port, listening) as servers:
            for thread in threads:
                thread.start()
            try:
                killed = sum(_killed(servers, seen, kill) for kill in range(kills))
                servers.begin()
            finally:
                seen.over.set()
            for thread in threads:
                thread.join()
    if seen.broken:
        raise seen.broken[0]
    with People.open(url) as people:
        events = [event for event in people.events() if event.kind == "submit"]
    journal = Counter(event.id for event in events)
    unsent = sum(event.judgment is None or event.judgment.salt not in seen.salts for event in events)
    lost = sum(journal[judgment] == 0 for judgment in seen.kept)
    twice = sum(times > 1 for times in journal.values())
    return Fate(killed, len(seen.kept), len(seen.again), lost, twice, unsent)


def _killed(servers: _Servers, seen: _Seen, kill: int) -> bool:
    """One server that is killed in the middle of its work."""
    pid = servers.begin()
    spared = len(seen.kept) + _BETWEEN
    while len(seen.kept) < spared and not seen.broken:
        time.sleep(0.0005)
    # From the first statement of a transaction to behind its commit, a little later each time.
    time.sleep(0.0011 * (kill % 10))
    os.kill(pid, signal.SIGKILL)
    servers.ended()
    return not seen.broken


class _Servers:
    """One process after the other on one socket, which stays open: who connects in between waits."""

    def __init__(self, url: str, accounts: str, port: int, listening: socket.socket) -> None:
        words = [url, accounts, str(port), str(listening.fileno())]
        self._nursery = subprocess.Popen(
            [sys.executable, "-c", _SERVES, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[listening.fileno()],
        )
        self._pid = 0

    def begin(self) -> int:
        assert self._nursery.stdin and self._nursery.stdout
        self._nursery.stdin.write("\n")
        self._nursery.stdin.flush()
        self._pid = int(self._nursery.stdout.readline())
        return self._pid

    def ended(self) -> None:
        assert self._nursery.stdout
        assert self._nursery.stdout.readline() == "ended\n"
        self._pid = 0

    def __enter__(self) -> _Servers:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
        assert self._nursery.stdin
        self._nursery.stdin.close()
        self._nursery.wait(300)


def _works(port: int, token: str, seen: _Seen) -> None:
    """A rater's program: the next question, the first answer, until it is over."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            while not seen.over.is_set():
                got = _told(lambda: client.post("/api/lease"), seen, "")
                if got["lease"] is None:
                    raise RuntimeError("the questions ran out before the kills did")
                salt, key = secrets.token_hex(16), secrets.token_hex(16)
                fields = {"choice": "A", "shown_at": repr(got["question"]["shown_at"])}
                body = {"lease": got["lease"], "key": key, "fields": fields, "salt": salt}
                seen.salts.add(salt)
                receipt = _told(lambda body=body: client.post("/api/submit", json=body), seen, key)
                seen.kept.append(str(receipt["judgment"]))
    except BaseException as error:  # noqa: BLE001 - raised again where all have ended
        seen.broken.append(error)


def _told(send: Callable[[], httpx.Response], seen: _Seen, key: str) -> dict[str, Any]:
    """The answer, asked for until it comes."""
    while True:
        try:
            answer = send()
        except httpx.TransportError:
            if key:
                seen.again.append(key)
            continue
        if answer.status_code != 200:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
        return dict(answer.json())


def main(argv: list[str] | None = None) -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--kills", type=int, default=50)
    words.add_argument("--raters", type=int, default=_RATERS)
    words.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = words.parse_args(argv)
    from load import empty

    with empty(given.database) as url, tempfile.TemporaryDirectory(prefix="accord-killed-") as folder:
        fate = killed_server(url, Path(folder), given.kills, given.raters)
    print(", ".join(f"{name} {value}" for name, value in fate._asdict().items()))
    return int((fate.lost, fate.twice, fate.unsent) != (0, 0, 0))


if __name__ == "__main__":
    raise SystemExit(main())
