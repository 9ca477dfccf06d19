"""The parts of the evidence about stewardship and keeping. Counts stand here and nowhere else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from proofs.ledger import ROOT, Part
from proofs.tested import tested

__all__ = ["CI", "FULL", "QUICK", "TESTED", "Size", "lacking", "parts"]

MODEL = "smollm2-135m-instruct"
TEN = 10.0  # gigabytes, and as much again while they are kept
SCRATCH = ROOT / "build" / "evidence-stewardship"
KILLED = (
    "a new object",
    "one that stands",
    "keep a base",
    "keep a descendant",
    "repair of files",
    "repair of a version",
    "repair of an object",
)
_KEEP, _STEWARD = "tests/unit/keep/test_", "tests/unit/steward/test_"

# What tests prove, under the name that the page gives it.
TESTED: dict[str, tuple[str, ...]] = {
    "five gaps": (
        f"{_STEWARD}requirements.py::test_a_plan_and_nothing_else_is_refused_with_five_named_gaps",
        f"{_STEWARD}requirements.py::test_after_what_it_names_it_runs",
        f"{_STEWARD}requirements.py::test_a_run_goes_on_only_under_its_decision_and_from_its_base",
    ),
    "a way out of a divergence": (
        f"{_STEWARD}dialogue.py::test_one_that_states_what_it_does_is_offered_ways_out_and_revises",
        f"{_STEWARD}dialogue.py::test_a_carved_slice_is_contested_and_the_rest_stays",
        f"{_STEWARD}constitution.py::test_a_contradicted_principle_is_learnt_from_approved_revisions",
    ),
    "disk and clock": (
        f"{_KEEP}archive_kills.py::test_a_full_disk_is_refused_and_shows_nothing_half",
        f"{_KEEP}repair.py::test_a_full_disk_is_refused_and_leaves_what_is_sound",
        f"{_KEEP}archive_kills.py::test_an_archive_on_a_closed_disk_that_a_kill_left_torn_is_read_as_it_was",
        f"{_KEEP}keeping.py::test_a_clock_set_back_or_a_closed_copy_is_told_and_shows_nothing_half",
    ),
    "states": (
        f"{_KEEP}retirement.py::test_only_the_transitions_there_are_and_none_skipped",
        f"{_KEEP}retirement.py::test_a_demonstration_key_stops_at_active",
        f"{_KEEP}retirement.py::test_a_draft_of_replies_says_what_it_lacks_and_round_trips",
        f"{_KEEP}made_by.py::test_the_result_of_an_explore_run_is_refused_under_any_path",
        "tests/unit/cli/test_keep.py::test_what_cannot_be_kept_ends_with_2_and_is_written_down",
    ),
    "light install": (
        "tests/unit/cli/test_keep.py::test_without_torch_a_model_is_kept_and_its_drill_waits",
        f"{_KEEP}keeping.py::test_without_an_engine_the_drill_waits_and_then_makes_its_own_reference",
    ),
    "interop": (f"{_KEEP}interop.py::test_the_reference_command_and_accord_read_each_other",),
}


class Size(NamedTuple):
    """How much is done. ``walks`` of so many ``windows``; ``unlearnt``: controls; ``rounds`` of flips in each
    of ``draws``; ``every``: of steps, fields and imports each so-manieth; ``gb`` to verify."""

    word: str
    tested: int
    walks: int
    windows: int
    unlearnt: int
    gate: int
    bytes: int
    draws: int
    rounds: int
    every: int
    killed: int
    model: bool
    gb: float


FULL = Size("full", len(TESTED), 20, 12, 3, 1, 12, 4, 63, 1, len(KILLED), True, 1.0)
# A planted base takes longer to teach than the rest takes; the path and the gate have tests of their own.
QUICK = Size("quick", len(TESTED), 0, 0, 0, 0, 0, 1, 1, 23, 2, False, 0.02)
CI = Size("ci", 0, 0, 0, 0, 0, 0, 1, 8, 5, len(KILLED), False, 0.25)


def parts(size: Size, scratch: Path = SCRATCH) -> list[Part]:
    """All of them; nothing is imported before it is asked for."""

    def part(name: str, count: int, answer: Callable[[Size, int], dict[str, Any]]) -> Part:
        return Part(name, tuple(range(count)), size.word, lambda seed: answer(size, seed))

    return [
        part("proved by tests", size.tested, lambda s, seed: tested(TESTED, seed, s.word != "quick")),
        part("bit flips", size.draws, _flips),
        part("kills in keeping", size.killed, _kills),
        part("forged statements", 1, _forged),
        part("refused imports", 1, _refusals),
        part("archive size", 1, _stored),
        part("verify rate", size.word == "full", lambda *_: _rate(TEN)),
        part("verify rate, small", 1, lambda s, _: _rate(s.gb)),
        part("the gate", size.gate, _gate),
        part("the path", size.walks, lambda s, seed: _path(s, seed, scratch)),
        part("unlearnt", size.unlearnt, lambda s, seed: _unlearnt(s, seed, scratch)),
    ]


def lacking(every: Sequence[Part]) -> dict[tuple[str, int], str]:
    """What cannot be answered on this machine, and why: it is left out, and the page says not run."""
    found: dict[tuple[str, int], str] = {}
    for part in every:
        for seed in part.seeds:
            if part.name == "kills in keeping" and find_spec("ocfl") is None:
                found[part.name, seed] = "ocfl-py is not installed: pip install 'accord[dev]'"
            elif part.name == "archive size" and part.size == "full" and _model() is None:
                found[part.name, seed] = f"{MODEL} is not here: accord pull {MODEL}"
            elif part.name == "verify rate" and (free := _free()) < 2.2e9 * TEN:
                found[part.name, seed] = (
                    f"{free / 1e9:.0f} GB are free in memory, and {2 * TEN:.0f} are needed"
                )
    return found


def _free() -> float:
    with _memory("free") as folder:
        return float(shutil.disk_usage(folder).free)


@contextmanager
def _memory(name: str) -> Generator[Path]:
    """A folder in memory where the system has one, gone afterwards."""
    shared = Path("/dev/shm")
    place = shared if os.access(shared, os.W_OK) else None
    with TemporaryDirectory(prefix=f"accord-{name}-", dir=place) as folder:
        yield Path(folder)


def _path(size: Size, seed: int, scratch: Path) -> dict[str, Any]:
    """One base, walked; its runs stay until it is answered, so that a kill loses nothing."""
    from stewardship.planted import base_of, effort_of, walked

    folder = scratch / f"path-{seed}"
    found = walked(base_of(scratch / "bases", seed), folder, effort_of(size.windows, 1))
    shutil.rmtree(folder)
    quiet = not found.pages and bool(found.slices)
    answered = set(found.told) == set(found.ends) and all(found.ends.values()) and not found.trained
    held = {"quiet": quiet, "kept": not found.lost, "answered": answered and bool(found.ends)}
    return {"held": all(held.values()), **held, **found._asdict()}


def _unlearnt(size: Size, seed: int, scratch: Path) -> dict[str, Any]:
    """The same guard over a run that takes away what was held."""
    from stewardship.planted import base_of, taken_away

    folder = scratch / f"unlearnt-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    reason, step, windows = taken_away(base_of(scratch / "bases", seed), folder, 2 * size.windows)
    shutil.rmtree(folder)
    return {"held": bool(reason), "reason": reason, "step": step, "windows": windows}


def _gate(size: Size, seed: int) -> dict[str, Any]:
    from stewardship.gated import gated

    with _memory("gate") as folder:
        found = gated(folder, size.bytes, seed)
    held = found.gaps == 5 and found.written == 1 and found.passed and not found.wrong
    return {"held": held, **found._asdict()}


def _flips(size: Size, seed: int) -> dict[str, Any]:
    from stewardship.damaged import flips

    with _memory("flips") as folder:
        found = flips(folder, size.rounds, seed)
    held = found.flipped == found.found == found.repaired and not found.wrong
    return {"held": held, **found._asdict()}


def _kills(size: Size, seed: int) -> dict[str, Any]:
    from stewardship.killed import CASES, killed

    if tuple(CASES) != KILLED:
        raise RuntimeError(f"cases are {', '.join(CASES)}")
    with _memory("kills") as folder:
        found = killed(CASES[KILLED[seed]](folder / "case"), folder, size.every)
    return {"held": found.well == found.places > 0, **found._asdict()}


def _forged(size: Size, seed: int) -> dict[str, Any]:
    del seed
    from stewardship.damaged import forged

    with _memory("forged") as folder:
        found = forged(folder, size.every)
    held = all(one.tried == one.refused > 0 for one in found)
    return {"held": held, "forgeries": [one._asdict() for one in found]}


def _refusals(size: Size, seed: int) -> dict[str, Any]:
    del seed
    from stewardship.refused import refusals

    with _memory("refused") as folder:
        found = refusals(folder, size.every)
    return {"held": found.refused == found.cases > 0 and found.sings and found.sound, **found._asdict()}


def _stored(size: Size, seed: int) -> dict[str, Any]:
    """Of a real model; the quick form of a small one, whose headers and inventories weigh more."""
    from archive import measure, small

    with _memory("stored") as folder:
        model = _model() if size.model else small(folder / "small", seed)
        assert model is not None, "lacking() left it out"
        found = measure(model, folder)
    held = found.share <= 1.05 and found.versions == 14
    name = MODEL if size.model else "a small one"
    return {"held": held, "model": name, "share": found.share, **found._asdict()}


def _model() -> Path | None:
    from accord.folders import cache_folder

    folder = cache_folder() / "models" / MODEL
    return folder if (folder / "model.safetensors").is_file() else None


def _rate(gb: float) -> dict[str, Any]:
    """It hangs on what else the machine does: the load average stands beside it. A small one is no bar."""
    from verify import rate

    before = os.getloadavg()[0]
    with _memory("verify") as folder:
        found = rate(gb, 2, 3, folder)
    held = found.share >= 0.85 or gb != TEN
    return {"held": held, "share": found.share, **found._asdict(), "load": before, "cores": os.cpu_count()}
