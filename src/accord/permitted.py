"""Whether a plan may begin: the loop's look-up of what the evidence gate decided, before step 0.

A plan whose purpose is ``model`` and whose method pushes answers down begins only under a passing Decision of
the gate, found by the plan's hash, and only while plan, values, base and the files that the plan names are
what they were when it passed. Not here: what the gate asks for (``accord.steward.requirements``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import cast

from accord import catalog
from accord.assembly import engine_of
from accord.errors import AccordError, Refused, beneath
from accord.part import Part
from accord.plan import Plan, Stage
from accord.ports import Method, Queued
from accord.progress import Progress
from accord.records import JSON, Decision, Permit, digest
from accord.records.permits import REQUIREMENTS, Requirement
from accord.stores.files import file_sha256
from accord.stores.gates import DECISIONS, KEPT, LOOP, Ruling, add_ruling, last_ruling, of_plan
from accord.values import Values, read_values

__all__ = ["EXPLORE", "bound", "files_of", "path_digest", "permitted", "pushing", "said", "still_permitted"]

EXPLORE = 'to explore without it: --set purpose="explore"'


def pushing(plan: Plan) -> list[Stage]:
    """The stages whose method pushes answers down."""
    found: list[Stage] = []
    for index, stage in enumerate(plan.stage):
        if cast(Method, catalog.build("methods", stage.method, f"stage[{index}].method")).pushes_down:
            found.append(stage)
    return found


def permitted(plan: Plan, gates: Path, progress: Progress) -> Ruling | None:
    """The Ruling under which a settled plan may begin; None for one that needs none.

    Refused, with the five and what supplies them, where it needs one and has none that holds. That refusal is
    written beside the Decisions of gates, and is all that is written.
    """
    stages = pushing(plan) if plan.purpose == "model" else []
    if not stages:
        return None
    file = gates / DECISIONS
    ruling = last_ruling(file, plan.hash)
    if ruling is not None and ruling.passed:
        changed = _changed(ruling.permit, plan, progress)
        if not changed:
            return ruling
        why = [f"the evidence gate was passed (Decision {ruling.decision.id[:12]}), and holds no more:"]
        why += [f"  {line}" for line in changed]
        why += ["  ask it again: accord gate PLAN.toml --values NAME", f"  {EXPLORE}"]
        _refuse(file, plan, ruling.permit, "; ".join(changed))
        raise Refused("\n".join(why))
    permit = ruling.permit if ruling is not None else Permit(plan=plan.hash, requirements=_unasked(plan))
    missing = [one for one in permit.requirements if one.status == "missing"]
    _refuse(file, plan, permit, f"missing: {', '.join(one.name for one in missing)}")
    names = " and ".join(f"{one.name} ({one.method.name})" for one in stages)
    head = f"{plan.name}: for a model to keep, {names} needs the evidence gate, and it is not passed"
    asked = "as accord gate found" if ruling is not None else "no gate was asked for this plan"
    lines = [f"{head}: {len(missing)} of {len(REQUIREMENTS)} are missing, {asked}"]
    lines += [line for one in missing for line in said(one)]
    raise Refused("\n".join([*lines, "  then: accord gate PLAN.toml --values NAME", f"  {EXPLORE}"]))


def still_permitted(folder: Path, plan: Plan, progress: Progress) -> None:
    """Refused where a run that needed the gate holds no passing Decision on its plan, or what that was bound
    to is another now: half of a run under another reward is no run that the gate passed."""
    stages = pushing(plan) if plan.purpose == "model" else []
    if not stages:
        return
    ruling = last_ruling(folder / KEPT, plan.hash)
    if ruling is None or not ruling.passed:
        raise Refused(
            f"{folder}: its plan needs the evidence gate, and {KEPT} there holds no passing Decision on it\n"
            "  begin again with the plan that the gate passed: accord run PLAN.toml"
        )
    if changed := _changed(ruling.permit, plan, progress):
        head = f"{folder}: what the evidence gate passed (Decision {ruling.decision.id[:12]}) is another now:"
        raise Refused("\n".join([head, *(f"  {line}" for line in changed), "  put it back, and go on"]))


def said(one: Requirement) -> Iterator[str]:
    """A requirement that is missing, in lines: what it is, what was found, what supplies it."""
    yield f"  {one.name}: {REQUIREMENTS[one.name]}"
    if one.says:
        yield f"    {one.says}"
    for step in one.steps:
        yield from (f"    {line}" for line in step.splitlines())


def bound(plan: Plan, values: Values | None, policy: str, files: Mapping[str, str]) -> Permit:
    """What a Decision on a settled plan is bound to; ``files`` beside those that the plan names."""
    return Permit(
        plan=plan.hash,
        base=plan.model,
        policy=policy,
        values=_said_and_checked(values) if values is not None else "",
        document=str(values.file) if values is not None else "",
        files={**files_of(plan), **files},
    )


def files_of(plan: Plan) -> dict[str, str]:
    """Digests of what a settled plan names on this disk but for its base, and of what its asks are put to:
    a program's own code with it. Not of a database in which people judge: they answer as the run goes on."""
    found: dict[str, str] = {}
    queues: set[str] = set()
    for index, stage in enumerate(plan.stage):
        for number, ask in enumerate(stage.ask):
            path = f"stage[{index}].ask[{number}].overseer"
            with beneath(path):
                overseer = catalog.build("overseers", ask.overseer)
                found[path] = cast(Part, overseer).config
            queues.update(overseer.queues if isinstance(overseer, Queued) else ())
    for text in texts_in(plan.table()):
        names = [name for name in (text, text.rpartition(":")[0]) if name.startswith("/")]
        # A settled plan names files whole, and folders only where a model lies.
        known = [one for one in names if _lies(one) or _lies(f"{one}/config.json")]
        if known and known[0] != plan.model and known[0] not in queues:
            found[known[0]] = path_digest(Path(known[0]))
    return found


def path_digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the digests of its files by name; "" where nothing is there."""
    if path.is_file():
        return file_sha256(path)
    if not path.is_dir():
        return ""
    inside = sorted(one for one in path.rglob("*") if one.is_file())
    return digest({one.relative_to(path).as_posix(): file_sha256(one) for one in inside})


def _changed(permit: Permit, plan: Plan, progress: Progress) -> list[str]:
    """What is not as it was when the gate passed."""
    found: list[str] = []
    now = engine_of(pushing(plan)[0]).sampler(plan.model, progress).policy
    if now != permit.policy:
        found.append(f"the base {plan.model} is another: {permit.policy} then, {now} now")
    if permit.values:
        try:
            values = _said_and_checked(read_values(Path(permit.document)))
            told = f"{permit.values[:12]} then, {values[:12]} now"
        except AccordError as error:
            values, told = "", str(error).splitlines()[0]
        if values != permit.values:
            found.append(f"the values {permit.document} are others: {told}")
    files = files_of(plan)
    for name, was in permit.files.items():
        is_now = files[name] if name in files else path_digest(Path(name))
        if is_now != was:
            found.append(f"{name} is another: {was[:12]} then, {is_now[:12] or 'gone'} now")
    return found


def _said_and_checked(values: Values) -> str:
    """What the values say, and what the programs that check them do."""
    return digest({"values": values.digest, "checks": values.checks})


def _unasked(plan: Plan) -> tuple[Requirement, ...]:
    """The five of a plan that no gate was asked for: of none of them there is a Record."""
    model = quote(plan.model)
    steps = {
        "targets": f"accord targets {model} --values NAME",
        "preflight": "accord gate PLAN.toml --values NAME --audit",
        "guard": "accord gate PLAN.toml --stated STATED.toml",
        "base": f"accord keep {model}",
        "retirement": "accord gate PLAN.toml --values NAME prints the lines to write",
    }
    says = "no Record says that it is there"
    return tuple(
        Requirement(name=name, status="missing", says=says, steps=(steps[name],)) for name in REQUIREMENTS
    )


def _refuse(file: Path, plan: Plan, permit: Permit, reason: str) -> None:
    decision = Decision(
        run=of_plan(plan.hash), step=0, action="pause", rule=LOOP, reason=reason, parents=(permit.id,)
    )
    add_ruling(file, Ruling(decision, permit))


def _lies(name: str) -> bool:
    return os.path.isfile(name)  # noqa: PTH113 - Path raises for a text too long to be a name


def texts_in(value: JSON) -> Iterator[str]:
    """Every text in a table, at whatever depth."""
    match value:
        case str():
            yield value
        case Mapping():
            yield from (text for inner in value.values() for text in texts_in(inner))
        case Sequence():
            yield from (text for inner in value for text in texts_in(inner))
        case _:
            pass
