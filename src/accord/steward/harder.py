"""Harder: what a push would be for what the least override did not reach, and what evidence it would take.

A plan of the next method that pushes answers down, ``online_dpo`` on the policy's own answers scored by the
checks of the values, is written beside the stewardship, with the five requirements of the gate as they stand.
Nothing is asked for it but what costs nothing, and it is never begun here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import join
from typing import cast

from accord.gating import Keeping, gate
from accord.permitted import pushing
from accord.pipeline import settled
from accord.plan import Plan
from accord.records import JSON
from accord.records.permits import REQUIREMENTS, Requirement
from accord.records.portraits import Standing
from accord.steward.approved import PRINCIPLES
from accord.steward.guarded import stated
from accord.steward.requirements import PREFLIGHT, Five, Shelves, required
from accord.steward.steps import Came, Ground
from accord.steward.succession import succession_file
from accord.steward.variants import guard_of
from accord.stores.files import write_aside
from accord.stores.foreign.prompts import write_rows

__all__ = ["PLAN", "harder"]

PLAN = "harder.toml"
_METHOD = "online_dpo"
_FREE = ("panels", "judges")  # checks of the gate that ask nobody


def harder(ground: Ground, model: str, left: Sequence[Standing]) -> Came:
    """The plan for what is ``left`` below its target, and what of the gate is there already."""
    able = [one for one in left if ground.values.program(one.principle) is not None]
    about: list[JSON] = [{"principle": one.principle, "slice": one.slice} for one in left]
    if not able:
        why = "no program judges what is left" if left else "nothing is left below its target"
        return Came({"skipped": why, "left": about})
    file = ground.folder / PLAN
    plan = _plan(ground, model, able)
    write_aside(file, plan.toml())
    values = str(ground.values.file)
    command = join(["accord", "gate", str(file), "--values", values, *_place(ground.portraits)])
    keeping = Keeping(gates=None, beside=file.parent)
    preflight = gate(
        plan,
        values=ground.values,
        checks=_FREE,
        keeping=keeping,
        command=command,
        progress=ground.show,
    )
    shelves = Shelves(succession_file(file), str(file), command, values, ground.portraits)
    five = required(plan, preflight, ground.values, shelves, progress=ground.show)
    told: dict[str, JSON] = {
        "left": about,
        "method": _METHOD,
        "plan": file.name,
        "hash": plan.hash,
        "missing": [one.name for one in five.missing],
        "requirements": [_told(one, five, command) for one in five.requirements],
        "commands": [command, join(["accord", "run", str(file)])],
    }
    return Came(told)


def _told(one: Requirement, five: Five, command: str) -> JSON:
    """A requirement; checks that nobody asked for stand in one line with the one command that makes them."""
    told = cast("dict[str, JSON]", one.model_dump(mode="json"))
    if one.name == PREFLIGHT and one.status == "missing":
        checks = [
            found.check for found in five.report.findings if found.stops and found.check not in REQUIREMENTS
        ]
        told |= {"says": f"not asked yet: {', '.join(checks)}", "steps": [f"{command} --audit"]}
    return told


def _place(portraits: Path) -> list[str]:
    return [] if portraits == Path("portraits").absolute() else ["--portraits", str(portraits)]


def _plan(ground: Ground, model: str, left: Sequence[Standing]) -> Plan:
    effort, terms = ground.effort, ground.terms
    every = max(1, effort.windows // 2)
    rows: dict[str, dict[str, JSON]] = {}
    for one in left:
        (part,) = (part for part in ground.values.slices(one.principle) if part.name == one.slice)
        for case in part.training:
            row = rows.setdefault(
                case.prompt.text, {"prompt": case.prompt.text, "slice": one.slice, PRINCIPLES: []}
            )
            cast("list[JSON]", row[PRINCIPLES]).append(one.principle)
    prompts = str(write_rows(rows.values(), ground.folder / "data"))
    grade: dict[str, JSON] = {
        "name": "each",
        "column": "score",
        "collapse": "distribution",
        "overseer": {"name": "accord.steward.approved:Approved", "values": str(ground.values.file)},
    }
    stage: dict[str, JSON] = {
        "name": _METHOD,
        "windows": effort.windows,
        "source": {
            "name": "rollouts",
            "prompts": prompts,
            "per_window": terms.per_window,
            "max_tokens": effort.max_tokens,
        },
        "ask": [grade],
        "method": {"name": _METHOD, "n": terms.n, "soft": False},
        "learner": terms.paced(1.0),
        # All that a guard reads by default: settings that were for raising answers do not count here.
        "guard": guard_of(terms._replace(guard=None), effort, f"{terms.unrelated}:probe", every),
    }
    title = f"{ground.folder.name}-harder"
    whole = {"name": title, "purpose": "model", "seed": terms.seed, "model": model, "stage": [stage]}
    plan = settled(Plan.model_validate(whole), [Path.cwd()])
    return stated(plan, pushing(plan))
