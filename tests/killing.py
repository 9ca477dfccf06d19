"""Raters whose process is killed with ``kill -9`` in the middle of a submission, again and again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from accord.stores.people import People

__all__ = ["Fate", "killed_in_submits"]

# One process after the other, to be killed; each is forked, for starting Python takes longer than all else.
_SUBMITS = """
import os, sys, secrets
from raters import pseudonym, said
from accord.stores.people import People

def submits(number):
    people = People.open(sys.argv[1])
    rater = pseudonym(number)
    while lease := people.lease(rater):
        judgment = said(people, lease)
        key = secrets.token_hex(8)
        print("sends", judgment.id, flush=True)
        people.submit(lease, judgment, key)
        print("kept", judgment.id, flush=True)

People.open(sys.argv[1]).close()
for line in sys.stdin:
    if (child := os.fork()) == 0:
        submits(int(line))
        os._exit(0)
    print("began", child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


class Fate(NamedTuple):
    """What became of judgments: acknowledged and not in the journal (``lost``), or there more than once, or
    there though nobody sent them. ``unacknowledged``: there, and killed before it was told."""

    kills: int
    acknowledged: int
    unacknowledged: int
    lost: int
    twice: int
    unsent: int


def killed_in_submits(url: str, kills: int, between: int) -> Fate:
    """Kill so many raters, each after ``between`` acknowledged judgments and a moment more each time."""
    tests = Path(__file__).resolve().parent
    with People.open(url) as people:
        before = max((event.seq for event in people.events()), default=0)
    nursery = subprocess.Popen(
        [sys.executable, "-c", _SUBMITS, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{tests}:{tests.parent / 'src'}"},
    )
    assert nursery.stdin and nursery.stdout
    told: dict[str, set[str]] = {"sends": set(), "kept": set()}
    killed = 0
    for kill in range(kills):
        nursery.stdin.write(f"{kill}\n")
        nursery.stdin.flush()
        pid = int(nursery.stdout.readline().split()[1])
        spared = len(told["kept"]) + between
        for line in nursery.stdout:
            if line == "ended\n":
                break
            word, judgment = line.split()
            told[word].add(judgment)
            if word == "sends" and len(told["kept"]) >= spared:
                # From the first statement of the transaction to behind its commit, a little later each time.
                time.sleep(0.0007 * (kill % 10))
                os.kill(pid, signal.SIGKILL)
                killed, spared = killed + 1, sys.maxsize
    nursery.stdin.close()
    if nursery.wait(300) != 0:
        raise RuntimeError(f"the raters' process ended with {nursery.returncode}")
    with People.open(url) as people:
        journal = Counter(event.id for event in people.events(before) if event.kind == "submit")
    sent, kept = told["sends"], told["kept"]
    return Fate(
        killed,
        len(kept),
        len(set(journal) - kept),
        len(kept - set(journal)),
        sum(times > 1 for times in journal.values()),
        len(set(journal) - sent),
    )
