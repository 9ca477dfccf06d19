"""Gentler: after a Halt, the next method that presses less, as a command a person may type. Nothing is begun.

    ppo grpo rloo …  →  dpo and its kin  →  constitution  →  compatible(best_of_n)  →  asking alone

A halted run is final; what it was for may still be reached with less. The order is by what a method may do to
answers it does not want: push each down as often as it is drawn, push down the worse of two, learn only what
was revised, raise only what the model says itself, change no weights at all. A step that the halted plan
cannot take, for its data or its asks, is passed over, and why is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shlex import join
from typing import Literal, NamedTuple, cast

from accord import catalog
from accord.errors import AccordError, PlanError, Refused
from accord.plan import Plan, Stage, read_plan
from accord.ports import Method
from accord.records import JSON, Decision
from accord.stores.chronicle import Chronicle, is_stewardship
from accord.stores.runlog import read_log

__all__ = ["FORCES", "Force", "Gentler", "force_of", "gentler"]

Force = Literal["every answer", "the worse of two", "constitution", "raises only", "asking alone"]
FORCES: tuple[Force, ...] = (
    "every answer",
    "the worse of two",
    "constitution",
    "raises only",
    "asking alone",
)
_WHAT: Mapping[Force, str] = {
    "every answer": "pushes down whatever it draws and does not want",
    "the worse of two": "pushes down the worse of two answers, and no other",
    "constitution": "learns answers that the model revised itself, and pushes nothing down",
    "raises only": "raises what the model says already and a check approves, and pushes nothing down",
    "asking alone": "changes no weights: the principle is stated in the prompt",
}


class Gentler(NamedTuple):
    """What was halted and why; ``to`` is the next less force, ``command`` does it; others were ``passed``.

    ``gated``: for a model to keep it still passes the evidence gate first.
    """

    run: Path
    method: str
    decision: Decision
    force: Force
    to: Force
    command: str
    why: str
    passed: tuple[str, ...] = ()
    gated: bool = False

    def json(self) -> dict[str, JSON]:
        """All of it, with the Decision."""
        decision = self.decision
        told: dict[str, JSON] = {
            "run": str(self.run),
            "method": self.method,
            "force": self.force,
            "to": self.to,
            "command": self.command,
            "why": self.why,
            "passed": list(self.passed),
            "gated": self.gated,
        }
        return {**told, "decision": {"kind": decision.kind, "id": decision.id, **decision.body()}}


def gentler(folder: Path, values: str | None = None) -> Gentler:
    """The next less forceful method for a halted run, or for the halted run of a stewardship.

    ``values``: what it was for, where the steps that follow need to know. Refused where nothing was halted.
    """
    run, stage, decision, plan = _halted(folder)
    name, force = _method(stage), force_of(stage)
    named = values or _values(folder)
    passed: list[str] = []
    for to in FORCES[FORCES.index(force) + 1 :]:
        try:
            command, gated = _command(to, run, (plan, stage), named)
        except AccordError as error:
            passed.append(f"{to}: {' '.join(str(error).split())}")
            continue
        why = f"{name} {_WHAT[force]}; {to}: it {_WHAT[to]}"
        return Gentler(run, name, decision, force, to, command, why, tuple(passed), gated)
    raise Refused(
        f"{run}: {name} changes no weights; nothing presses less\n  look at it: accord report {run}"
    )


def force_of(stage: Stage) -> Force:
    """How a stage's method presses."""
    method = cast(Method, catalog.build("methods", stage.method))
    if stage.name == "revised" or any(ask.overseer.name == "constitution" for ask in stage.ask):
        return "constitution" if not method.pushes_down else "the worse of two"
    if not method.pushes_down:
        return "raises only"
    pairs = method.rows.unit == "pair" or _method(stage) in ("online_dpo", "kto")
    return "the worse of two" if pairs else "every answer"


def _method(stage: Stage) -> str:
    """The method by its name, without those around it."""
    table = stage.method.table()
    while isinstance(inner := table.get("inner"), dict):
        table = inner
    return str(table["name"]).rpartition(":")[2]


def _halted(folder: Path) -> tuple[Path, Stage, Decision, Plan]:
    """The run, stage and Decision of a halt; of the run that began last, where a stewardship has several."""
    runs = [folder]
    if is_stewardship(folder):
        begun = sorted((file.stat().st_mtime_ns, file.parent) for file in folder.glob("*/run.json"))
        runs = [run for _, run in begun]
    found: list[tuple[Path, Stage, Decision, Plan]] = []
    for run in runs:
        if not (run / "plan.toml").is_file():
            raise Refused(f"{run} holds no run\n  the folder of one that was halted is asked for")
        plan = read_plan(run / "plan.toml")
        for stage in plan.stage:
            decisions = _decisions(run / stage.name)
            found += [(run, stage, one, plan) for one in decisions if one.action == "halt"]
    if not found:
        raise Refused(
            f"{folder} was not halted: there is nothing that less force would have to replace\n"
            f"  how it came out: accord report {folder}"
        )
    return found[-1]


def _values(folder: Path) -> str:
    """The values of a stewardship, or of that which a run lies in; of others a person has to name them."""
    found = next((one for one in (folder, folder.absolute().parent) if is_stewardship(one)), None)
    return "VALUES" if found is None else str(Chronicle.read(found).asked["values"])


def _decisions(stage: Path) -> list[Decision]:
    return cast("list[Decision]", read_log(stage).records("decision")) if stage.is_dir() else []


def _command(to: Force, run: Path, of: tuple[Plan, Stage], values: str) -> tuple[str, bool]:
    """The words of a command, and whether the gate stands before it. AccordError where it cannot be done."""
    plan, stage = of
    if to == "asking alone":
        return join(["accord", "targets", plan.model, "--values", values, "--examples"]), False
    if to == "constitution":
        return join(["accord", "run", "--model", plan.model, "--values", values]), False
    method = '{ name = "online_dpo", n = 2 }'
    if to == "raises only":
        method = '{ name = "compatible", inner = { name = "best_of_n", n = 4 } }'
    setting = f"stage.{stage.name}.method={method}"
    changed = plan.set([setting])
    catalog.check(changed)
    _fits(changed, stage.name)
    gated = to == "the worse of two" and plan.purpose == "model"
    return join(["accord", "run", str(run / "plan.toml"), "--set", setting]), gated


def _fits(plan: Plan, name: str) -> None:
    """PlanError where the source or the asks of the stage give no rows for its method."""
    (stage,) = (one for one in plan.stage if one.name == name)
    method = cast(Method, catalog.build("methods", stage.method))
    if method.rows.by == "policy" and stage.source.name in ("offline", "imported"):
        raise PlanError("source", stage.source.name, "a source whose answers are the model's own")
    columns = {ask.column for ask in stage.ask}
    if not columns & {"score", "p"}:
        raise PlanError("ask", sorted(columns), "an ask that scores answers")
