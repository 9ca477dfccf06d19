"""Accord beside TRL, transformers' ``generate`` and vLLM on this machine, in turns, parity first.

    python bench/environments.py --at .peers
    python bench/engine.py --peers .peers --data DIR [--cases dpo,grpo] [--rounds 3]

Every measurement is a process of its own; the sides of a case take turns, the first step of each process is
dropped. Before any figure of a training case, loss and gradients of one float32 step must agree with TRL's
within 1e-4, or the case has no figures. What makes a peer fast is found by trial and written down with the
rest. Finished processes are kept in ``bench/results``: a call that was interrupted is repeated and goes on.
``bench/table.py`` makes the table of ``docs/benchmarks.md`` from those files.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from compare import parity
from compare.cases import CASES, ENGINES, Case, Side, axes, sides, variant_name
from compare.jobs import Failed, Places, run
from compare.results import Results, begin, summary

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "src" / "accord"


class Model(NamedTuple):
    """What is trained: its name in results, its folder, and the prepared tokens."""

    name: str
    folder: Path
    work: Path


class Plan(NamedTuple):
    """How much is measured, and where results go."""

    rounds: int
    steps: int
    probe: int
    results: Path
    sides: frozenset[str] = frozenset()
    axes: frozenset[str] = frozenset()


def main(argv: list[str] | None = None) -> int:
    """Prepare once, then case by case. Exit 3 when a case has no figures (parity, a process), 0 otherwise."""
    given = _words().parse_args(argv)
    names = given.cases.split(",") if given.cases else list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        raise SystemExit(f"no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    if given.data is None:
        raise SystemExit("name the folder of the HH pairs: --data DIR, or the variable ACCORD_DATA")
    work = given.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    alone = (work / "lock").open("w")  # open, and so locked, until the process ends
    try:
        fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another bench is at work in {work}; two at once measure each other") from None
    pythons, missing = _pythons(given)
    places = Places(pythons, work, given.threads, given.limit)
    plan = Plan(
        given.rounds, given.steps, given.probe, given.results, _listed(given.sides), _listed(given.axes)
    )
    bad = False
    for wanted in given.model or ["smollm2-135m-instruct", "tiny"]:
        model = _prepared(wanted, given.data, places)
        for name in names:
            print(f"== {name}, {model.name}", flush=True)
            results = begin(plan.results, name, model.name, _identity(model, plan, places))
            results.document["missing"] |= missing
            try:
                bad |= not measured(results, CASES[name], model, plan, places)
            except Failed as failure:
                print(f"   {failure}", flush=True)
                bad = True
    return 3 if bad else 0


def measured(results: Results, case: Case, model: Model, plan: Plan, places: Places) -> bool:
    """All that is missing of one file; False where parity fails, and nothing was timed."""
    from accord.bench import machine

    document = results.document
    document.setdefault("environment", {**machine(), "threads": places.threads, "commit": _commit()})
    here = [side for side in sides(case) if side.environment in ("accord", *places.pythons)]
    here = [side for side in here if not plan.sides or side.name in ("accord", *plan.sides)]
    # What was not tried is told with the results: a peer may be faster yet.
    document["limited"] = {"sides": sorted(plan.sides), "axes": sorted(plan.axes)}
    if not _parity(results, case, model, places):
        return False
    if plan.rounds == 0:
        return True
    tuned = [_tuned(results, case, side, model, plan, places) for side in here]
    ready = [side for side in tuned if side is not None]
    for number in range(plan.rounds):
        # Each round begins with another side, so that none always follows the same neighbour.
        first = number % len(ready)
        for side in ready[first:] + ready[:first]:
            if results.rounds(side.name) > number:
                continue
            load = os.getloadavg()
            try:
                found = _once(case, side, model, plan.steps, places)
            except Failed as failure:
                raise Failed(f"{side.name}: {failure}") from None
            results.add(side.name, {**found, "variant": variant_name(side.variant)}, load)
            _tell(f"round {number + 1} of {plan.rounds}", side, found)
    for name, figures in summary(document).items():
        print(f"   {name:12} {figures['seconds']:8.3f} s  ± {figures['spread']:.3f}  ×{figures['ratio']:.2f}")
    return True


def _parity(results: Results, case: Case, model: Model, places: Places) -> bool:
    document = results.document
    if document["parity"]:
        return bool(document["parity"]["passed"])
    if case.method == "rollout":
        # Weights are the same files; that every side drew exactly the forced lengths is checked as it draws.
        document["parity"] = {"passed": True, "what": "exact lengths, checked in every process"}
        results.save()
        return True
    if "trl" not in places.pythons:
        document["missing"]["trl"] = document["missing"].get("trl", "no environment")
        document["parity"] = {}
        print("   TRL is not there, so there is no parity and no figure")
        results.save()
        return False
    files = {side: places.work / f"{side}.gradients" for side in ("ours", "theirs")}
    init = places.work / "init"
    shutil.rmtree(init, ignore_errors=True)
    job = _job(case, model) | {"steps": 0, "variant": {"precision": "float32", "engine": ENGINES["parity"]}}
    shared = run(places, "accord", "compare/ours.py", {**job, "do": "start", "init": str(init)})["shared"]
    ours = {**job, "do": "parity", "init": str(init), "gradients": str(files["ours"])}
    theirs = {**ours, "init": str(init / "peers") if shared else None, "gradients": str(files["theirs"])}
    found = [
        run(places, "accord", "compare/ours.py", ours),
        run(places, "trl", "peers/trl_train.py", theirs),
    ]
    gradients = [parity.read(files[side]) for side in ("ours", "theirs")]
    verdict = parity.compared((found[0]["loss"], found[1]["loss"]), gradients[0], gradients[1])
    verdict["tokens"] = [one["tokens"] for one in found]
    # One side reports its step as one number, the other by micro-batch.
    verdict["passed"] &= sum(found[0]["tokens"]) == sum(found[1]["tokens"])
    document["parity"] = verdict
    results.save()
    shutil.rmtree(init, ignore_errors=True)
    for file in files.values():
        file.unlink(missing_ok=True)
    word = "passed" if verdict["passed"] else "FAILED, so there are no figures"
    print(
        f"   parity: loss {verdict['loss_gap']:.1e}, gradients {verdict['gradient_gap']:.1e}: {word}",
        flush=True,
    )
    return bool(verdict["passed"])


def _tuned(results: Results, case: Case, side: Side, model: Model, plan: Plan, places: Places) -> Side | None:
    """The side with what made it fastest; None where nothing of it ran. Trials are kept like all else."""
    if not side.tuned:
        return side
    tries: list[dict[str, Any]] = results.document["explored"]
    best, known = dict(side.variant), _found(tries, side.name)
    for axis in axes(case, side):
        if plan.axes and axis.name not in plan.axes:
            continue
        times: dict[int, float] = {}
        for place, value in enumerate(axis.values):
            variant = {**best, axis.name: value}
            if (key := variant_name(_clean(variant))) not in known:
                tries.append(_trial(case, side, _clean(variant), model, plan, places))
                known = _found(tries, side.name)
                results.save()
            if (seconds := known[key]) is not None:
                times[place] = seconds
        if not times:
            results.document["missing"][side.name] = f"none of its variants ran: {tries[-1].get('error', '')}"
            results.save()
            return None
        best[axis.name] = axis.values[min(times, key=lambda place: times[place])]
    return side._replace(variant=_clean(best))


def _trial(
    case: Case, side: Side, variant: Mapping[str, Any], model: Model, plan: Plan, places: Places
) -> dict[str, Any]:
    tried: dict[str, Any] = {"side": side.name, "variant": variant_name(variant)}
    try:
        found = _once(case, side._replace(variant=variant), model, plan.probe, places)
    except Failed as failure:
        print(f"   {side.name}, {tried['variant']}: {failure}", flush=True)
        return {**tried, "error": str(failure)}
    _tell("trial", side._replace(variant=variant), found)
    return {**tried, "seconds": found["seconds"]}


def _found(tries: Sequence[Mapping[str, Any]], side: str) -> dict[str, float | None]:
    """Median seconds by variant; None where it failed."""
    return {
        tried["variant"]: statistics.median(tried["seconds"]) if "seconds" in tried else None
        for tried in tries
        if tried["side"] == side
    }


def _listed(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split(",") if word)


def _clean(variant: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in variant.items() if value is not None}


def _once(case: Case, side: Side, model: Model, steps: int, places: Places) -> dict[str, Any]:
    job = _job(case, model) | {"do": "time", "steps": steps, "variant": dict(side.variant), "init": None}
    return run(places, side.environment, side.script, job)


def _job(case: Case, model: Model) -> dict[str, Any]:
    return {
        "method": case.method,
        "adapter": case.adapter,
        "rows": case.rows,
        "lengths": case.lengths,
        "model": str(model.folder),
        "work": str(model.work),
    }


def _tell(when: str, side: Side, found: Mapping[str, Any]) -> None:
    middle = statistics.median(found["seconds"])
    speed = sum(found["tokens"]) / sum(found["seconds"])
    name = variant_name(side.variant)
    line = f"   {time.strftime('%H:%M:%S')} {when}: {side.name} {middle:.3f} s, {speed:,.0f} tok/s"
    print(f"{line}, {found['rss_mib']:,} MiB{f' ({name})' if name else ''}", flush=True)


def _prepared(wanted: str, data: Path, places: Places) -> Model:
    """The model's folder, and its tokens cut once for all sides."""
    if wanted == "tiny":
        from accord.engines.local.tiny import save_tiny

        folder, name = places.work / "tiny-model", "tiny"
        if not (folder / "config.json").exists():
            save_tiny(folder)
    else:
        from accord.engines.local.models import find_model
        from accord.errors import AccordError

        try:
            found = find_model(wanted)
        except AccordError as error:
            raise SystemExit(str(error)) from None
        if isinstance(found, str):
            raise SystemExit(f"{wanted} is no folder and no pulled model; save it into a folder first")
        folder, name = found, found.name
    work = places.work / f"{name}-{_digest([folder / 'tokenizer.json'])}.json"
    if not work.exists():
        print(f"cutting tokens for {name}", flush=True)
        part = work.with_suffix(".part")
        job = places.work / "prepare.json"
        job.write_text(json.dumps({"model": str(folder), "data": str(data), "out": str(part)}), "utf-8")
        _child([HERE / "compare" / "prepare.py", job])
        part.replace(work)
    return Model(name, folder, work)


def _commit() -> str:
    """The commit that is measured, with ``-dirty`` where files differ from it; nothing outside a clone."""
    words = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(words, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def _child(words: Sequence[str | Path]) -> None:
    if subprocess.run([sys.executable, *words]).returncode:
        raise SystemExit(f"{words[0]} failed")


def _identity(model: Model, plan: Plan, places: Places) -> dict[str, Any]:
    """What must be equal for rounds to stand side by side; other code or tokens begin another file."""
    peers = {name: _installed(python) for name, python in sorted(places.pythons.items())}
    scripts = [*HERE.glob("peers/*.py"), *HERE.glob("compare/*.py")]
    return {
        "accord": _digest(sorted(SOURCE.rglob("*.py"))),
        "bench": _digest(sorted(scripts)),
        "model": _digest([model.folder / "config.json"]),
        "work": _digest([model.work]),
        "steps": plan.steps,
        "threads": places.threads,
        "peers": peers,
    }


def _installed(python: Path) -> list[str]:
    """The packages of an environment by name and version, from the names of their folders."""
    wanted = ("torch-", "transformers-", "trl-", "peft-", "vllm", "accelerate-")
    found = python.parent.parent.glob("lib/python*/site-packages/*.dist-info")
    return sorted(path.name.removesuffix(".dist-info") for path in found if path.name.startswith(wanted))


def _digest(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def _pythons(given: argparse.Namespace) -> tuple[dict[str, Path], dict[str, str]]:
    found: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for name, folder in _environments(given):
        python = folder.absolute() / "bin" / "python"
        if python.exists():
            found[name] = python
        else:
            missing[name] = "its environment was not built (bench/environments.py)"
            print(f"no {name} in {folder}: python bench/environments.py --at {given.peers} {name}")
    return found, missing


def _environments(given: argparse.Namespace) -> Iterator[tuple[str, Path]]:
    yield "trl", given.trl or given.peers / "trl"
    yield "vllm", given.vllm or given.peers / "vllm"


def _words() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("ACCORD_DATA")
    words.add_argument("--cases", default="", metavar="A,B", help=f"of {', '.join(CASES)}; all")
    words.add_argument(
        "--model", action="append", metavar="MODEL", help="folder, known name, or tiny; repeatable"
    )
    words.add_argument("--data", type=Path, default=Path(data) if data else None, metavar="DIR")
    words.add_argument("--peers", type=Path, default=Path(".peers"), metavar="DIR", help="environments")
    words.add_argument("--trl", type=Path, metavar="DIR", help="TRL's environment [default: PEERS/trl]")
    words.add_argument("--vllm", type=Path, metavar="DIR", help="vLLM's environment [default: PEERS/vllm]")
    words.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="processes of each side; 0: parity alone"
    )
    words.add_argument("--steps", type=int, default=3, metavar="N", help="timed steps of each process")
    words.add_argument("--probe", type=int, default=2, metavar="N", help="timed steps of each trial")
    words.add_argument("--sides", default="", metavar="A,B", help="peers to measure; all")
    words.add_argument("--axes", default="", metavar="A,B", help="what to try on peers; everything")
    words.add_argument("--threads", type=int, default=2, metavar="N")
    words.add_argument("--limit", type=float, default=3600, metavar="S", help="for one process")
    words.add_argument("--work", type=Path, default=Path("build/bench"), metavar="DIR", help="scratch files")
    words.add_argument("--results", type=Path, default=HERE / "results", metavar="DIR")
    return words


if __name__ == "__main__":
    sys.exit(main())
