"""The parts of the evidence: which question is asked how often. Counts stand here and nowhere else."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from proofs import overused, scripted
from proofs.answered import answered
from proofs.ledger import Part, code_digest

from accord.testing.organisms import ORGANISMS, TWIN, Exam, Planted, Rates, organism, twin
from accord.testing.organisms.small_world import TRAITS

__all__ = ["FULL", "NAMES", "QUICK", "Size", "parts"]

NAMES = tuple(ORGANISMS)
MODEL = "smollm2-135m-instruct"
PENALTIES = (0.0, 0.02, 0.1, 0.5, 2.0)


class Size(NamedTuple):
    """How much is done. ``items``: of each panel (None: all); ``block``: null runs that share a pool."""

    items: int | None
    blocks: int
    block: int
    audits: int
    turned: int
    strengths: tuple[float, ...]
    seeds: int
    trained_nulls: int
    worlds: int
    windows: int
    alarms: int

    @property
    def word(self) -> str:
        return "quick" if self == QUICK else "full"


FULL = Size(None, 8, 250, 40, 200, (0.3, 1.0), 5, 170, 30, 300, 2000)
QUICK = Size(40, 1, 20, 8, 10, (1.0,), 1, 1, 1, 100, 20)


def parts(size: Size, scratch: Path) -> list[Part]:
    """All of them; nothing is built before it is asked for."""

    @cache
    def world() -> scripted.World:
        return scripted.World(Exam.shipped(size.items))

    @cache
    def small() -> Any:
        from proofs.raised import Small

        return Small(scratch / f"base-{code_digest('small base')}")

    def block(name: str, answer: Callable[[scripted.World, Size, int], dict[str, Any]]) -> Part:
        return Part(name, tuple(range(size.blocks)), size.word, lambda seed: answer(world(), size, seed))

    def raised(sick: bool, short: bool) -> Callable[[int], dict[str, Any]]:
        return lambda seed: _raised(small(), seed, sick, short)

    models = len(NAMES) * len(size.strengths) + 2
    return [
        Part("planted", tuple(range(models)), size.word, lambda seed: _planted(world(), size, seed)),
        Part("answers", (0,), size.word, lambda _: {"rows": [list(one) for one in answered()]}),
        block("still", _still),
        block("edge", _edge),
        block("long", _long),
        block("names", _names),
        Part(
            "found",
            tuple(range(len(NAMES) * len(size.strengths))),
            size.word,
            lambda seed: _found(world(), size, seed),
        ),
        Part("twins", tuple(range(len(NAMES))), size.word, lambda seed: _twins(world(), size, seed)),
        Part("real", tuple(range(len(NAMES))), size.word, lambda seed: _real(world(), size, seed)),
        Part(
            "honeypots",
            _spread(size.seeds * len(size.strengths)),
            size.word,
            lambda seed: _honeypots(world(), size, seed),
        ),
        Part("trained", _spread(size.seeds * len(TRAITS)), size.word, raised(True, False)),
        Part("trained twins", _spread(size.seeds * len(TRAITS)), size.word, raised(False, False)),
        Part("trained nulls", _spread(size.trained_nulls, 1000), size.word, raised(False, True)),
        Part("turnover", tuple(range(size.worlds)), size.word, lambda seed: _turned(size, seed)),
        Part("diversity", tuple(range(max(1, size.worlds // 3))), size.word, lambda s: _diverse(size, s)),
        Part("alarms", (0,), size.word, lambda seed: _alarms(size, seed)),
        Part("crossings", (0,), size.word, lambda seed: _crossings(size, seed)),
        Part("leaks", (0, 8), size.word, _leaks),
        Part("judges", (0,), size.word, _judges),
        Part("kills", (0,), size.word, lambda _: _kills(size)),
        # Hours with a model of its own: the quick form has none of it.
        Part(
            "gamed", _spread(6 if size.word == "full" else 0), size.word, lambda seed: _gamed(scratch, seed)
        ),
    ]


def _spread(count: int, start: int = 0) -> tuple[int, ...]:
    return tuple(range(start, start + count))


def _model(world: scripted.World, size: Size, seed: int) -> tuple[str, Planted]:
    if seed == 0:
        return "base", world.base
    if seed == 1:
        return "clean twin", twin("twin", world.exam)
    name = NAMES[(seed - 2) // len(size.strengths)]
    strength = size.strengths[(seed - 2) % len(size.strengths)]
    return f"{name}, {strength}", organism(name, world.exam, strength)


def _planted(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    name, model = _model(world, size, seed)
    return {"model": name, "rows": [list(one) for one in scripted.recovered(world, model)]}


def _long(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    """Long runs of one model at the edge, which stays as it is."""
    pool = [scripted.edge(world, 100 * seed + k) for k in range(1, 9)]
    fewer = size._replace(block=size.block // 2, audits=5 * size.audits)
    return _nulls(world, fewer, seed, pool, fixed=True)


def _nulls(
    world: scripted.World, size: Size, seed: int, pool: Sequence[Planted], fixed: bool = False
) -> dict[str, Any]:
    runs = [f"evidence/null/{pool[0].policy}/{i}" for i in range(size.block)]
    found = scripted.nulls(world, pool, runs, size.audits, seed, fixed)
    alone = (found.e_RAK.max(axis=1) >= 1 / scripted.DELTA).sum(axis=0)
    return {
        "runs": size.block,
        "audits": size.audits,
        "pages": int((found.audit_R >= 0).sum()),
        "named": sum(bool(who) for who in scripted.ever_named(found)),
        "alone": dict(zip(found.indicators, alone.tolist(), strict=True)),
    }


def _still(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    pool = [Planted("still", world.exam, Rates(wanders=0.5, seed=100 * seed + k)) for k in range(1, 9)]
    return _nulls(world, size, seed, pool)


def _edge(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    pool = [scripted.edge(world, 100 * seed + k) for k in range(1, 9)]
    return _nulls(world, size, seed, pool)


def _names(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    """One indicator crosses at the fifth audit; all others stay at their edge: none may be named."""
    runs = [f"evidence/names/{seed}/{i}" for i in range(size.block)]
    found, right = scripted.crossing_among_edges(world, runs, size.audits, seed)
    ever = scripted.ever_named(found)
    return {
        "runs": size.block,
        "audits": size.audits,
        "crossed": right,
        "wrong": sum(bool(who - {right}) for who in ever),
        "right": sum(right in who for who in ever),
    }


def _found(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    name, strength = NAMES[seed // len(size.strengths)], size.strengths[seed % len(size.strengths)]
    runs = [f"evidence/found/{name}/{strength}/{i}" for i in range(size.turned)]
    found = scripted.found(world, organism(name, world.exam, strength), runs, size.audits, seed)
    return {
        "organism": name,
        "strength": strength,
        "crossed": sorted(found.crossed),
        "delays": found.delay_R,
        "wrong": sum(bool(who - found.crossed) for who in found.named_R),
        "named": sum(bool(who) for who in found.named_R),
    }


def _twins(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    name, runs = NAMES[seed], [f"evidence/twin/{NAMES[seed]}/{i}" for i in range(size.turned)]
    pool = [twin(name, world.exam, share, 10 * seed + k) for k in (1, 2, 3) for share in (0.3, 0.6, 1.0)]
    found = scripted.nulls(world, pool, runs, scripted.CLEAN + size.audits, seed)
    return {"organism": name, "runs": size.turned, "pages": int((found.audit_R >= 0).sum())}


def _real(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    name, run = NAMES[seed], f"evidence/real/{NAMES[seed]}"
    sick = organism(name, world.exam, max(size.strengths))
    delay, named = scripted.by_the_real_path(world, sick, run, size.audits)
    quick = scripted.found(world, sick, [run], size.audits, seed, well=1)
    same = delay == quick.delay_R[0] and named == quick.named_R[0]
    return {"organism": name, "delay": delay, "named": sorted(named), "same": same}


def _honeypots(world: scripted.World, size: Size, seed: int) -> dict[str, Any]:
    from proofs.honeypots import caught

    strength = size.strengths[seed % len(size.strengths)]
    return caught(world, strength, seed, size.audits // 4)._asdict()


def _raised(small: Any, seed: int, sick: bool, short: bool) -> dict[str, Any]:
    from proofs.raised import COURSE, SHORT, raised

    trait, course = TRAITS[seed % len(TRAITS)], SHORT if short else COURSE
    run = raised(small, trait, seed // len(TRAITS), sick, sick, course)
    if run.page is not None and not sick:  # had it crossed? The same run once more, with every item read
        run = raised(small, trait, seed // len(TRAITS), sick, True, course)
    return {
        "trait": trait,
        "audits": run.audits,
        "page": run.page,
        "named": sorted(run.named),
        "turned": run.turned,
        "crossed": sorted({who for one in run.crossed for who in one}),
    }


def _turned(size: Size, seed: int) -> dict[str, Any]:
    return overused.turned(seed, size.windows)._asdict()


def _diverse(size: Size, seed: int) -> dict[str, Any]:
    found = overused.diverse(seed, PENALTIES, size.windows)
    return {"penalties": PENALTIES} | {name: [list(one) for one in told] for name, told in found.items()}


def _alarms(size: Size, seed: int) -> dict[str, Any]:
    import sequential

    told = io.StringIO()
    with redirect_stdout(told):
        held = sequential.alarms(size.alarms, np.random.default_rng([seed, 3]))
    return {"told": told.getvalue().strip(), "held": held}


def _crossings(size: Size, seed: int) -> dict[str, Any]:
    import crossing

    runs = 300 if size.word == "full" else 2
    told = io.StringIO()
    with redirect_stdout(told):
        jumps = [case for case in crossing.CASES if case.over == 1]
        held = [crossing.measured(c, runs, np.random.default_rng([seed, k])) for k, c in enumerate(jumps)]
    return {"told": told.getvalue().rstrip(), "held": all(held)}


def _leaks(seed: int) -> dict[str, Any]:
    from proofs.faults import panel_leaks

    return {"leaked": seed} | panel_leaks(seed)._asdict()


def _judges(seed: int) -> dict[str, Any]:
    from proofs.faults import judge_dies

    del seed
    return judge_dies()._asdict()


def _kills(size: Size) -> dict[str, Any]:
    from proofs.faults import killed_in_audits

    audits = (0, 1, 2, 3) if size.word == "full" else (1,)
    return killed_in_audits(audits, windows=max(audits))._asdict()


def _gamed(scratch: Path, seed: int) -> dict[str, Any]:
    from gamed import MAIN, WINDOWS, gamed

    kind = MAIN[seed % len(MAIN)]
    return {"kind": kind} | gamed(kind, seed // len(MAIN), scratch / "gamed", MODEL, WINDOWS)


def told_twin() -> str:
    """What a scripted twin does, in words."""
    return f"learns {TWIN.learns:.0%} of what it did not know; {TWIN.wanders:.0%} of the items change places"
