"""The gate: what must be known before a model that is to be kept is pushed at all.

- ``base_audit.py``: would the guard see anything? ``promises.py``: sealed panels, qualified judges.
- ``covariance.py``, ``typicality.py``, ``best_of_n.py``: where would this reward push, told from the base?
- ``raters.py``: do those who compared agree? ``asking.py``: would asking do?
- ``grounds.py``: what the checks of a stage stand on, asked once and kept; ``data.py``: its comparisons;
  ``report.py``: findings and what they come to; ``signing.py``: who answers for going on without.

``covariance.py`` is the example to follow. Not here: the other four things that the evidence gate
asks for (``accord.steward.requirements``), whether a run may begin (``accord.permitted``), and anything that
asks a model for an audit unless it is told to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from accord import catalog
from accord.assembly import Engine, engine_of
from accord.auditing import audit as audit_models
from accord.auditing.journal import Journal
from accord.auditing.programme import Wish, programme
from accord.errors import AccordError, PlanError, beneath, nearest
from accord.gating import asking, base_audit, best_of_n, covariance, promises, raters, typicality
from accord.gating.grounds import ANSWERS, PROMPTS, Extent, Grounds, Wishes
from accord.gating.report import FIRM, Figure, Finding, GateReport
from accord.gating.signing import read_signed, sign, signed_file, with_signed
from accord.pipeline import settled
from accord.plan import Plan, Stage, read_plan
from accord.ports import Method
from accord.progress import Progress, Silent
from accord.records import JSON, digest, finite
from accord.records.signing import SignOff
from accord.stores.files import write_aside
from accord.values import Values, read_values
from accord.worker import Worker

__all__ = [
    "CHECKS",
    "FIRM",
    "Figure",
    "Finding",
    "GateReport",
    "Keeping",
    "SignOff",
    "gate",
    "read_signed",
    "sign",
    "signed_file",
    "with_signed",
]

CHECKS: Mapping[str, Callable[[Grounds], Finding]] = {
    "panels": promises.panels,
    "base_audit": base_audit.base_audit,
    "judges": promises.judges,
    "raters": raters.raters,
    "covariance": covariance.covariance,
    "typicality": typicality.typicality,
    "best_of_n": best_of_n.best_of_n,
    "asking": asking.asking,
}
"""By name, in the order they are made: what costs nothing comes first."""

_OF_PLAN = frozenset({"asking"})  # of no stage: asked once


class Keeping(NamedTuple):
    """Where a gate reads and writes. ``audits``: finished audits; ``gates``: what it asked, None for nowhere;
    ``signed``: the file of sign-offs, None for none; ``beside``: where files that the plan names are looked
    for, before the current folder."""

    audits: Path = Path("audits")
    gates: Path | None = Path("gates")
    signed: Path | None = None
    beside: Path | None = None


def gate(  # size: what a gate may be given, each with a default
    plan: Plan | Path | str,
    *,
    values: Values | Path | str | None = None,
    checks: Sequence[str] = (),
    prompts: int = PROMPTS,
    answers: int = ANSWERS,
    reward: str | None = None,
    gold: str | None = None,
    audit: bool = False,
    keeping: Keeping | None = None,
    command: str = "",
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> GateReport:
    """Make every check of every stage that pushes answers down; nothing is asked twice.

    ``checks``: only these, the others then count as missing. ``audit``: make the audit of the base where none
    stands. ``command``: how a person asks again, for remedies. PlanError where the plan cannot run.
    """
    if unknown := [name for name in checks if name not in CHECKS]:
        raise PlanError("--check", unknown[0], ", ".join(CHECKS), nearest(unknown[0], CHECKS))
    for name, number, least in (("--prompts", prompts, 2), ("--answers", answers, 2)):
        if number < least:
            raise PlanError(name, number, f"a number of {least} or more")
    keeping, show = keeping or Keeping(), progress or Silent()
    written = plan if isinstance(plan, Plan) else read_plan(plan)
    plan = settled(written, [*([keeping.beside] if keeping.beside else []), Path.cwd()])
    catalog.check(plan)
    values = read_values(values) if isinstance(values, str | Path) else values
    wishes = Wishes(
        command or "accord gate PLAN", Extent(prompts, answers), reward, gold, values, keeping.audits
    )
    pushing = [stage for stage in plan.stage if _method(plan, stage).pushes_down]
    if audit and pushing:
        _audited(plan, engine or engine_of(pushing[0]), keeping.audits, show)
    with _journal(plan, pushing, keeping.gates) as journal, Worker() as worker:
        findings: list[Finding] = []
        for stage in pushing:
            opener = engine or engine_of(stage)
            grounds = Grounds(plan, stage, wishes, opener, journal, worker, show)
            findings += _made(grounds, checks, first=stage is pushing[0])
        folder = str(journal.folder or "")
        hash_of = values.digest if values else ""
        policy = _policy(plan, engine or engine_of(pushing[0])) if pushing else ""
        report = GateReport(plan.name, plan.hash, hash_of, plan.purpose, tuple(findings), folder, policy)
        if keeping.signed is not None:
            report = with_signed(report, read_signed(keeping.signed))
        if journal.folder is not None:
            told = json.dumps(finite(report.json()), ensure_ascii=False, indent=2)
            write_aside(journal.folder / "gate.json", told)
    return report


def _made(grounds: Grounds, checks: Sequence[str], first: bool) -> list[Finding]:
    """The findings of one stage."""
    found: list[Finding] = []
    for name, check in CHECKS.items():
        if name in _OF_PLAN and not first:
            continue
        stage = "" if name in _OF_PLAN else grounds.stage.name
        if checks and name not in checks:
            remedy = (f"{grounds.wishes.command} --check {name}",)
            found.append(Finding(name, "not measurable", "it was not asked for", stage, remedy=remedy))
            continue
        grounds.progress.advance(0, f"{name} of {grounds.stage.name}")
        with beneath(_place(grounds.plan, grounds.stage)):
            found.append(check(grounds))
    return found


def _method(plan: Plan, stage: Stage) -> Method:
    return cast(Method, catalog.build("methods", stage.method, f"{_place(plan, stage)}.method"))


def _policy(plan: Plan, engine: Engine) -> str:
    try:
        return engine.sampler(plan.model, Silent()).policy
    except AccordError:
        return ""  # the checks that need it said so, and who asks for all five is told why


def _place(plan: Plan, stage: Stage) -> str:
    return f"stage[{[one.name for one in plan.stage].index(stage.name)}]"


def _audited(plan: Plan, engine: Engine, audits: Path, show: Progress) -> None:
    """An audit of the base at depth standard; one that was begun goes on, one that is finished stands."""
    standing = list(base_audit.finished_audits(audits, plan.model))
    if standing and engine.sampler(plan.model, Silent()).policy in {one.policy for one in standing}:
        show.say(f"an audit of {plan.model} stands in {audits}; no other one is made")
        return
    begun = audits.glob(f"{digest(programme(Wish((plan.model,))).written())[:12]}*")
    resume = any(not (folder / "audit.json").is_file() for folder in begun)
    audit_models([plan.model], depth="standard", folder=audits, resume=resume, engine=engine, progress=show)


def _journal(plan: Plan, pushing: Sequence[Stage], gates: Path | None) -> Journal:
    """What was asked of this base for these sources, here or nowhere. Whatever else is changed of a plan, its
    overseers or its guard, what the base answered holds for it too."""
    if gates is None:
        return Journal()
    sources: dict[str, JSON] = {stage.name: stage.source.table() for stage in pushing}
    wish: dict[str, JSON] = {"gate": plan.model, "sources": sources}
    return Journal.begin(gates, wish, resume=(gates / digest(wish)[:12]).is_dir())
