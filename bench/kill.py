"""How often does a killed run come out as if nothing had happened? ``python bench/kill.py --runs 20``

A tiny plan of two stages runs once to its end. Then it runs again and again and is killed with ``kill -9`` at
random moments, once to three times, resumed with ``accord resume`` each time, and compared: every byte of
every model, every event, reading, decision and judgment by its id, every figure of the report. Half of the
moments are drawn from the clock, half from the changes of files (a write, half a write, a sync, a rename), so
that the short phases in which something is half written are met too. The reward notes each answer it is asked
to grade: what was recorded before a kill may not be graded after it.

Exits 1 when any run differs, 0 otherwise. ``--seed`` repeats the same draws; the clock's moments still vary.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.processes import Blade, accord, start
from e2e.sameness import differences, stages
from e2e.tiny_runs import GRADED, folder_in_memory, graded, judged, tiny_plan, write_files, write_plan

RUN = "tiny"  # every run bears this name: it is part of what records are


class Whole(NamedTuple):
    """The run that nobody killed: where it lies, how long it took, how many files' changes it made."""

    folder: Path
    seconds: float
    changes: int
    asked: Counter[tuple[str, str]]


@dataclass
class Killed:
    """One run with its kills, and every way in which it came out different."""

    kills: list[str] = field(default_factory=list[str])
    asked: int = 0
    asked_again: int = 0
    recorded_asked_again: int = 0
    differences: list[str] = field(default_factory=list[str])


def main(argv: list[str] | None = None) -> int:
    """Kill, resume, compare, tell."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--runs", type=int, default=20, metavar="N")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    words.add_argument("--keep", type=Path, metavar="DIR", help="copy runs that differ here")
    given = words.parse_args(argv)
    began = time.monotonic()
    with folder_in_memory() as place:
        whole = uninterrupted(write_files(place))
        found: list[Killed] = []
        for number in range(given.runs):
            found.append(one(place, f"{number:02d}", whole, random.Random(f"{given.seed}/{number}")))
            if not given.json:
                print(row(number, found[-1]), flush=True)
            if given.keep and found[-1].differences:
                shutil.copytree(place, given.keep / str(number), dirs_exist_ok=True)
    tell(found, whole, time.monotonic() - began, given.json)
    return int(any(killed.differences for killed in found))


def uninterrupted(place: Path) -> Whole:
    """The run that all others are held against."""
    write_plan(place / "plan.toml", tiny_plan())
    own = place / "whole"
    own.mkdir()
    accord("--version", at=place)  # the server of processes is not part of how long a run takes
    began = time.monotonic()
    ended = accord(*_first(own), at=place, env=_noting(own), blade=Blade(own / "changes"))
    seconds = time.monotonic() - began
    if ended.code != 0:
        raise SystemExit(f"the uninterrupted run ended with {ended.code}\n{ended.err}")
    changes = int((own / "changes").read_text(encoding="utf-8").split()[0])
    asked = graded(own / "graded")
    if asked != judged(own / RUN):
        raise SystemExit("the uninterrupted run did not grade each judged answer exactly once")
    return Whole(own / RUN, seconds, changes, asked)


def one(place: Path, name: str, whole: Whole, draw: random.Random) -> Killed:
    """A run with one to three kills, resumed to its end."""
    own = place / name
    killed = Killed()
    recorded: Counter[tuple[str, str]] = Counter()
    for _ in range(draw.choice((1, 1, 2, 3))):
        while (moment := _kill(own, whole, draw)) is None and not killed.kills:
            shutil.rmtree(own)  # it had ended before it could be killed: once more
        if moment is None:
            break
        killed.kills.append(moment)
        before, recorded = recorded, judged(own / RUN)
        _count(killed, own / "graded", before, recorded)
    ended = accord(*_next(own), at=place, env=_noting(own))
    if ended.code != 0:
        killed.differences = [f"ended with {ended.code}: {ended.err.strip()}"]
        return killed
    _count(killed, own / "graded", recorded, judged(own / RUN))
    killed.differences = differences(whole.folder, own / RUN)
    if killed.recorded_asked_again:
        killed.differences.append(f"{killed.recorded_asked_again} recorded judgments were asked for again")
    if killed.asked - killed.asked_again != sum(whole.asked.values()):
        killed.differences.append(f"{killed.asked} answers were graded, {killed.asked_again} of them again")
    return killed


def _kill(own: Path, whole: Whole, draw: random.Random) -> str | None:
    """Begin or go on, and kill; says when, or None where the run had ended before."""
    own.mkdir(exist_ok=True)
    words = _next(own)
    if draw.random() < 0.5:
        blade = Blade(own / "changes", draw.randint(1, whole.changes), draw.random() < 0.5)
        ended = accord(*words, at=own.parent, env=_noting(own), blade=blade)
        if ended.code == 0:
            return None
        passed, _, what = (own / "changes").read_text(encoding="utf-8").partition(" ")
        when = f"change {passed} ({_short(what, own)})"
    else:
        wait = draw.uniform(0, whole.seconds)
        running = start([str(word) for word in words], own.parent, _noting(own))
        time.sleep(wait)
        running.kill()
        ended = running.end()
        if ended.code == 0:
            return None
        when = f"{wait:.2f} s"
    if ended.code != -9:
        raise SystemExit(f"accord {words} was not killed, it ended with {ended.code}\n{ended.err}")
    return f"{when}, {_standing(own / RUN)}"


def _count(
    killed: Killed, note: Path, before: Counter[tuple[str, str]], after: Counter[tuple[str, str]]
) -> None:
    """Take in what was graded since the last look: what is on disk now, and was not, is no repetition."""
    asked = graded(note)
    note.unlink(missing_ok=True)
    killed.asked += sum(asked.values())
    # Graded and not on disk: the kill came between. A later process grades it again, and may.
    killed.asked_again += sum((asked - (after - before)).values())
    if (after - before) - asked:
        raise SystemExit("a judgment is on disk that nobody made")
    killed.recorded_asked_again += sum((asked - (after - before) & before).values())


def _first(own: Path) -> list[str | Path]:
    return ["run", "plan.toml", "--runs", own, "--name", RUN, "--quiet"]


def _next(own: Path) -> list[str | Path]:
    # Killed before it had written what it is, a run is begun again under the same name.
    return ["resume", own / RUN, "--quiet"] if (own / RUN / "run.json").exists() else _first(own)


def _noting(own: Path) -> dict[str, str]:
    return {GRADED: str(own / "graded")}


def _standing(run: Path) -> str:
    """How far the run had come, told from its folders."""
    begun = stages(run) if run.is_dir() else []
    if not begun:
        return "before the first stage"
    newest = max(begun, key=lambda stage: (run / stage / "writer.lock").stat().st_ctime)
    saved = sorted(path.stem for path in (run / newest / "checkpoints").glob("[0-9]*"))
    return f"{newest} saved at step {int(saved[-1])}" if saved else f"{newest} not yet saved"


def _short(what: str, own: Path) -> str:
    return what.replace(f"{own}/{RUN}/", "").replace(str(own), "…")[:60].strip()


def row(number: int, killed: Killed) -> str:
    """One line of the table."""
    verdict = "same" if not killed.differences else f"DIFFERENT in {len(killed.differences)} ways"
    lines = [f"{number + 1:>4}  {len(killed.kills)} kills  {killed.asked_again:>3} asked again  {verdict}"]
    lines += [f"        {kill}" for kill in killed.kills]
    lines += [f"        ! {line[:300]}" for line in killed.differences[:10]]
    return "\n".join(lines)


def tell(found: list[Killed], whole: Whole, seconds: float, as_json: bool) -> None:
    """The sum of it."""
    same = sum(not killed.differences for killed in found)
    kills = sum(len(killed.kills) for killed in found)
    if as_json:
        table = {"runs": len(found), "same": same, "kills": kills, "seconds": seconds}
        print(json.dumps(table | {"killed": [asdict(killed) for killed in found]}, indent=1))
        return
    print(
        f"{same} of {len(found)} runs came out the same after {kills} kills; {seconds:.0f} s, one run "
        f"{whole.seconds:.1f} s. Recorded judgments asked for again: "
        f"{sum(killed.recorded_asked_again for killed in found)}."
    )


if __name__ == "__main__":
    raise SystemExit(main())
