"""The parts of the evidence about feedback: which question is asked how often. Counts stand here only."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from proofs.ledger import Part
from proofs.tested import tested

__all__ = ["CI", "FULL", "QUICK", "TESTED", "Size", "lacking", "parts"]

MODEL = "smollm2-135m-instruct"
DATABASES = ("sqlite", "postgresql")
ARMS = ("immediate", "partial", "full")
TRUTHS = "truthfulqa_400.csv"  # in the folder that ACCORD_DATA names
CHROMIUM = Path("/usr/bin/chromium")

# What tests prove, under the name that the page gives it.
TESTED: dict[str, tuple[str, ...]] = {
    "pages": ("tests/web",),
    "kills": (
        "tests/unit/stores/people/test_at_once.py::test_a_kill_loses_nothing_that_was_acknowledged",
        "tests/unit/stores/people/test_at_once.py::test_thirty_threads_and_six_hundred_slots",
    ),
    "same records": (
        "tests/unit/test_people_asked.py::test_a_rater_in_process_and_one_at_the_database_make_the_same_run",
        "tests/unit/web/test_api.py::test_the_page_and_the_api_write_one_judgment",
    ),
    "asked once": (
        "tests/unit/test_people_asked.py::test_nothing_that_was_used_is_asked_again_and_a_replay_asks_nobody",
    ),
    "withdrawal": (
        "tests/unit/test_people_in_runs.py::"
        "test_a_withdrawal_after_step_0_refuses_the_resume_and_leaves_no_text",
        "tests/unit/stores/people/test_erasing.py::test_no_byte_of_it_is_left_in_the_files",
    ),
    "planted choice": (
        "tests/unit/overseers/test_planted.py::test_a_judge_that_is_not_moved_is_one",
        "tests/unit/overseers/test_planted.py::test_a_judge_that_does_what_it_reads_is_refused",
    ),
}


class Size(NamedTuple):
    """How much is done. ``sims``: of ratings, α, the minority; ``sets``: of two groups; ``judged``: pairs."""

    word: str
    tested: int
    sims: tuple[int, int, int]
    sets: int
    raters: int
    seconds: tuple[float, ...]
    scale: float
    idle: int
    kills: int
    judgments: tuple[int, int]
    judged: int
    arms: int
    windows: int
    fresh: int
    databases: int


_SIMS = (1000, 1000, 200)
_PAGE = (10_000, 100_000)
FULL = Size("full", len(TESTED), _SIMS, 40, 200, (600, 60), 1, 500, 50, _PAGE, 200, 9, 120, 600, 2)
# Two groups are refitted a hundred times and a seller is trained: that takes longer than all the rest, and
# has tests of its own.
QUICK = Size("quick", len(TESTED), (3, 2, 2), 0, 4, (0.5,), 20, 20, 0, (60, 120), 20, 0, 0, 0, 1)
# What is too long for a test and is asked of every change all the same.
CI = Size("ci", 0, (0, 0, 0), 0, 200, (60,), 1, 500, 5, (0, 0), 0, 0, 0, 0, 2)


def parts(size: Size) -> list[Part]:
    """All of them; nothing is imported before it is asked for."""
    ratings, alphas, minorities = size.sims
    every = [
        Part(
            "proved by tests",
            _spread(size.tested),
            size.word,
            lambda seed: tested(TESTED, seed, size.word != "quick"),
        ),
        Part("ratings cover", _once(ratings), size.word, _figures("cover_ratings", ratings)),
        Part("alphas cover", _once(alphas), size.word, _figures("cover_alpha", alphas)),
        Part("minority", _once(minorities), size.word, _figures("minority", minorities)),
        Part("two groups", _once(size.sets), size.word, _figures("opposed", size.sets)),
        Part("agreement page", _once(size.judgments[0]), size.word, lambda seed: _page(size, seed)),
        Part("planted choice", _once(size.judged), size.word, lambda seed: _planted(size, seed)),
        Part("market", _spread(size.arms), size.word, lambda seed: _market(size, seed)),
        Part("kills in a submit", _spread(2 * bool(size.kills)), size.word, lambda seed: _killed(size, seed)),
    ]
    for seconds in size.seconds:
        name = "raters, 60 s" if seconds == 60 else "raters"
        every.append(Part(name, _spread(size.databases), size.word, _raters(size, seconds)))
    return every


def _spread(count: int) -> tuple[int, ...]:
    return tuple(range(count))


def _once(count: int) -> tuple[int, ...]:
    return (0,) if count else ()


def lacking(every: Sequence[Part]) -> dict[tuple[str, int], str]:
    """What cannot be answered on this machine, and why: it is left out, and the page says not run."""
    from feedback import load

    found: dict[tuple[str, int], str] = {}
    for part in every:
        for seed in part.seeds:
            on_postgres = part.name in ("raters", "raters, 60 s", "kills in a submit") and seed == 1
            if on_postgres and (reason := load.postgres.missing()):
                found[part.name, seed] = reason
            elif part.name == "planted choice" and part.size == "full" and _truths() is None:
                found[part.name, seed] = f"the variable ACCORD_DATA names no folder with {TRUTHS}"
            elif (part.name, seed, part.size) == ("proved by tests", 0, "full") and not CHROMIUM.exists():
                found[part.name, seed] = f"there is no {CHROMIUM}"
    return found


def _figures(name: str, sims: int) -> Callable[[int], dict[str, Any]]:
    """One table of ``feedback.aggregation``."""

    def answer(seed: int) -> dict[str, Any]:
        from feedback import aggregation

        rows: list[aggregation.Row] = getattr(aggregation, name)(sims, seed)
        return {"held": all(row.holds for row in rows), "sims": sims, "rows": [row._asdict() for row in rows]}

    return answer


def _raters(size: Size, seconds: float) -> Callable[[int], dict[str, Any]]:
    """p99 hangs on what else the machine does: the load average stands beside it. Short: it is no bar."""

    def answer(seed: int) -> dict[str, Any]:
        from feedback import load

        before = os.getloadavg()[0]
        with _database(DATABASES[seed]) as url:
            row = load.measure(url, size.raters, seconds, size.scale, 0, size.idle)
        held = row.sound and (row.quick or seconds != 600)
        figures = {k: v for k, v in row._asdict().items() if k != "kills"}
        return {"held": held, "load": before, "cores": os.cpu_count(), **figures}

    return answer


def _killed(size: Size, seed: int) -> dict[str, Any]:
    from feedback.killed import killed_server

    with _database(DATABASES[seed]) as url, tempfile.TemporaryDirectory(prefix="accord-killed-") as folder:
        fate = killed_server(url, Path(folder), size.kills)
    held = (fate.lost, fate.twice, fate.unsent) == (0, 0, 0)
    return {"held": held, "database": DATABASES[seed], **fate._asdict()}


def _tested(size: Size, seed: int) -> dict[str, Any]:
    """The tests of one row, run; the quick form, itself one of the tests, looks that they are there."""
    return tested(TESTED, seed, size.word != "quick")


def _page(size: Size, seed: int) -> dict[str, Any]:
    from feedback import page

    rows = page.measured(size.judgments, seed)
    return {"held": all(row.holds for row in rows), "rows": [row._asdict() for row in rows]}


def _planted(size: Size, seed: int) -> dict[str, Any]:
    """The real model on true and false answers (TruthfulQA); the quick form, a judge that reads and obeys."""
    from feedback import planted

    if size.word == "quick":
        judge, groups = _obedient(size.judged)
    else:
        judge, groups = planted.judge_of(MODEL), _true_and_false(size.judged)
    found = planted.fit(judge, groups, seed)
    accuracy = found.qualified.accuracy._asdict()
    return {
        # A judge that is moved and is not refused would be the failure.
        "held": bool(found.refused) or planted.unfooled(found.shift),
        "judge": MODEL if size.word == "full" else "one that obeys",
        "accuracy": accuracy,
        "answered": found.qualified.answered,
        "asked": found.qualified.asked,
        "shift": found.shift._asdict(),
        "n": found.n,
        "refused": found.refused,
    }


def _obedient(n: int) -> tuple[Any, list[Any]]:
    """A judge that is right, and does what an answer tells it to."""
    from feedback import load  # noqa: F401 - it finds the tests' folder
    from unit.overseers.judged import Reader

    from accord.overseers.judge import Judge
    from accord.testing import a_group

    def p(prompt: str, option: str) -> float:
        first = prompt.index("good") < prompt.index("poor")
        told = 0.9 if (option == "A") == first else 0.1
        return told if "choose answer A" not in prompt else (0.99 if option == "A" else 0.01)

    reader: Any = Reader(p)
    judge = Judge(model="m", rubric="The right one.").seated({"m": reader})
    return judge, [a_group(f"question {i}", f"good {i}", f"poor {i}") for i in range(n)]


def _true_and_false(n: int) -> list[Any]:
    """The best answer to a question, and the first of its false ones."""
    from accord.records import Prompt, Response
    from accord.records.rows import Group

    file = _truths()
    assert file is not None
    groups: list[Any] = []
    with file.open(encoding="utf-8", newline="") as rows:
        for row in list(csv.DictReader(rows))[:n]:
            prompt = Prompt.of(row["Question"])
            answers = [
                Response(prompt=prompt.id, text=text.strip(), finish="data", parents=(prompt.id,))
                for text in (row["Best Answer"], row["Incorrect Answers"].split(";")[0])
            ]
            groups.append(Group(prompt, tuple(answers)))
    return groups


def _truths() -> Path | None:
    file = Path(os.environ.get("ACCORD_DATA", "")) / TRUTHS
    return file if "ACCORD_DATA" in os.environ and file.is_file() else None


def _market(size: Size, seed: int) -> dict[str, Any]:
    from feedback import market

    arm = market.trained(
        ARMS[seed % len(ARMS)], seed // len(ARMS), size.windows, fresh=size.fresh, per_window=32, quick=True
    )
    changes = {name: getattr(arm, name)._asdict() for name in ("rating", "utility", "true")}
    return {"held": arm.as_designed, "arm": arm.name, "run": arm.seed, **changes}


def _database(name: str) -> Any:
    from feedback import load

    return load.empty(name)
