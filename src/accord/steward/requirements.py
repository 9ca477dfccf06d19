"""Requirements: the five that must be there before a model that is to be kept is pushed, as one gate.

The checks before the first update (``accord.gating``) are one of them. Each requirement is passed, missing or
signed for, says what it found, and names the command that supplies what lacks. What it comes to is a Ruling:
a Decision with the Permit it stands on, bound to plan, values, base and files, which a run looks up.

1. What was tried on a divergent slice must be dialogue and constitution, each to its end. Amplifying is
   tried by the portrait itself: the best of sixteen own answers fell short, so there is nothing to amplify;
   where the dialogue gave a revised answer there is, and it is asked for too.
2. *No evidence* is missing only where somebody could ask or judge more; where all was asked it is a result.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from shlex import join
from typing import NamedTuple, Self, cast

from accord import catalog
from accord.assembly import Engine, engine_of
from accord.auditing.foresight import Foresight, Pace, Stand, foresee, pace
from accord.auditing.programme import Wish, programme
from accord.engines.openai_http import is_remote
from accord.errors import AccordError, PlanError
from accord.gating import Finding, GateReport, SignOff, with_signed
from accord.gating.grounds import ANSWERS, PROMPTS
from accord.permitted import bound, path_digest, pushing
from accord.plan import Plan
from accord.ports import Sampler
from accord.progress import Progress, Silent
from accord.records import JSON, Decision, Permit
from accord.records.permits import REQUIREMENTS, Requirement
from accord.records.portraits import Portrait, Standing
from accord.records.stewarding import Tried, Way
from accord.sources import Rollouts
from accord.steward.finished import found_portrait
from accord.steward.guarded import guarded
from accord.steward.portrait import Extent
from accord.steward.provenance import Clock, kept_entry, origin_of
from accord.steward.succession import NONE, lines, read_succession
from accord.steward.tried import tried_on
from accord.stores.gates import RULE, Ruling, of_plan
from accord.values import Values
from accord.worker import Worker

__all__ = ["BASE", "GUARD", "PREFLIGHT", "RETIREMENT", "TARGETS", "Five", "Shelves", "required"]

TARGETS, PREFLIGHT, GUARD, BASE, RETIREMENT = REQUIREMENTS
_ENOUGH = f"--prompts {PROMPTS} --answers {ANSWERS}"
_WAYS: tuple[Way, ...] = ("dialogue", "constitution")


@dataclass(frozen=True)
class Shelves:
    """Where Records lie, and how this gate is asked again: ``command``, on the plan's ``file``, for
    ``values``. ``retirement``: the file of the policy."""

    retirement: Path
    file: str = "PLAN.toml"
    command: str = "accord gate PLAN.toml"
    values: str = ""
    portraits: Path = Path("portraits")
    archive: Path = Path("archive")
    clock: Clock = field(default=time.time)


class Five(NamedTuple):
    """The whole gate of a plan: ``report`` has the findings of all five, ``permit`` what it is bound to."""

    report: GateReport
    permit: Permit

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The five, in their order."""
        return tuple(_folded(name, self._of(name)) for name in REQUIREMENTS)

    @property
    def missing(self) -> tuple[Requirement, ...]:
        """Those that stand in the way of a model that is to be kept."""
        return tuple(one for one in self.requirements if one.status == "missing")

    @property
    def refused(self) -> bool:
        """Whether the plan may not begin: one that explores may whatever is missing."""
        return self.report.purpose == "model" and bool(self.missing)

    @property
    def ruling(self) -> Ruling:
        """What is written down: the Decision, what it stands on, and who answers for what is missing."""
        signed = tuple(one.signed for one in self.report.findings if one.signed is not None)
        (targets,) = (one for one in self.report.findings if one.check == TARGETS)
        told = {"requirements": self.requirements, "parents": targets.evidence}
        permit = self.permit.model_copy(update=told)
        parents = (permit.id, *dict.fromkeys(one.id for one in signed))
        said = [f"missing: {', '.join(one.name for one in self.missing)}"] if self.missing else []
        said += [f"{one.check} signed by {one.by}: {one.reason}" for one in signed]
        decision = Decision(
            run=of_plan(self.report.hash),
            step=0,
            action="pause" if self.missing else "continue",
            rule=RULE,
            reason="; ".join(said) or "all five are there",
            parents=parents,
        )
        return Ruling(decision, permit, tuple({one.id: one for one in signed}.values()))

    @property
    def headline(self) -> str:
        count, all_of = len(self.missing), len(REQUIREMENTS)
        name = self.report.plan
        if self.report.purpose == "explore":
            left = f"; for a model to keep {count} of {all_of} are missing" if count else ""
            return f"{name}: purpose explore, which needs no gate{left}"
        names = ", ".join(one.name for one in self.missing)
        return f"{name}: " + (
            f"refused: {count} of {all_of} are missing: {names}" if count else "the gate is passed"
        )

    def with_signed(self, signed: Sequence[SignOff]) -> Self:
        """The same with whoever signed for a finding of this plan and these values."""
        return self._replace(report=with_signed(self.report, signed))

    def rows(self) -> list[dict[str, str]]:
        """One row per requirement."""
        return [
            {"requirement": one.name, "status": one.status, "is": REQUIREMENTS[one.name]}
            for one in self.requirements
        ]

    def json(self) -> dict[str, JSON]:
        """All of it, with the Decision and the Permit."""
        ruling = self.ruling
        told = {"kind": ruling.decision.kind, "id": ruling.decision.id, **ruling.decision.body()}
        five = cast("list[JSON]", [one.model_dump(mode="json") for one in self.requirements])
        permit: dict[str, JSON] = {"kind": Permit.kind, "id": ruling.permit.id, **ruling.permit.body()}
        said: dict[str, JSON] = {"passed": not self.missing, "refused": self.refused, "requirements": five}
        return {**self.report.json(), **said, "decision": told, "permit": permit}

    def _of(self, name: str) -> tuple[Finding, ...]:
        every = self.report.findings
        if name == PREFLIGHT:
            return tuple(one for one in every if one.check not in REQUIREMENTS)
        return tuple(one for one in every if one.check == name)


def required(
    plan: Plan,
    preflight: GateReport,
    values: Values | None,
    shelves: Shelves,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Five:
    """The five of a settled plan that pushes; ``preflight`` is what ``accord.gating.gate`` found of it.

    Only the base is opened, to tell its weights and how fast it is here; nothing is asked, written or hidden:
    what cannot be read is missing, and says why.
    """
    show = progress or Silent()
    stages = pushing(plan)
    opener = engine or engine_of(stages[0])
    around = _Around(plan, values, shelves, opener, show)
    guards = guarded(plan, stages)
    command = join(["accord", "gate", shelves.file, "--stated", f"{Path(shelves.file).stem}-stated.toml"])
    told = Finding(GUARD, "passed", guards.says)
    if guards.lacks:
        bare = any(one.guard.rule is None for one in stages)
        step = command if bare else f"state it in {shelves.file}, in the rules of the guard"
        told = Finding(GUARD, "missing", "; ".join(guards.lacks), remedy=(step,), seconds=(0.0,))
    asked = tuple(around.timed(one) for one in preflight.findings)
    findings = (around.targets(), *asked, told, around.base(), around.retirement())
    files = {str(shelves.retirement.absolute()): path_digest(shelves.retirement)}
    files = files if shelves.retirement.is_file() else {}
    hash_of = values.digest if values else ""
    report = preflight._replace(findings=findings, values=hash_of, policy=around.policy)
    return Five(report, bound(plan, values, around.policy, files))


@dataclass
class _Around:
    """A plan, the base it begins with, and where the Records about it lie."""

    plan: Plan
    values: Values | None
    shelves: Shelves
    engine: Engine
    show: Progress

    @property
    def policy(self) -> str:
        """Which weights the base has, "" where it cannot be opened."""
        return "" if isinstance(self._base, str) else self._base.policy

    def targets(self) -> Finding:
        """The targets table of this base under these values, and what was tried on what diverges."""
        values = self.values
        if values is None:
            says = "no values are named: what is it to be aligned to?"
            return Finding(TARGETS, "missing", says, remedy=(f"{self.shelves.command} --values NAME",))
        asks = ["accord", "targets", self.plan.model, "--values", self.shelves.values or str(values.file)]
        command = join([*asks, *_at("--folder", self.shelves.portraits, "portraits")])
        if isinstance(self._base, str):
            return Finding(TARGETS, "missing", self._base, remedy=(command,))
        try:
            found = found_portrait(self.shelves.portraits, self.policy, values.digest)
            done = tried_on(self.shelves.portraits, self.policy, values.digest)
        except AccordError as error:
            return Finding(TARGETS, "missing", _one_line(error), remedy=(command,))
        if found is None:
            says = f"no portrait of {self.plan.model} for {values.name} in {self.shelves.portraits}"
            return Finding(
                TARGETS, "missing", says, remedy=(command,), seconds=(self._portrait_takes(values),)
            )
        if found.checks != values.checks:
            says = f"the portrait {found.id[:12]} was judged by other checks than those of {values.name} now"
            return Finding(TARGETS, "missing", says, remedy=(command,), evidence=(found.id,))
        return self._tried(found, done, values)

    def timed(self, finding: Finding) -> Finding:
        """A check that stops, with the time that an audit, or enough answers of the base, take here."""
        if not finding.stops:
            return finding
        return finding._replace(seconds=tuple(self._takes(step, finding.stage) for step in finding.remedy))

    def _takes(self, step: str, name: str) -> float | None:
        if step.startswith("accord audit ") or step.endswith(" --audit"):
            return self._audit_takes
        stage = next((one for one in self.plan.stage if one.name == name), None)
        if stage is None or not step.endswith(_ENOUGH) or self._pace is None:
            return None
        source = catalog.build("sources", stage.source)
        most = source.max_tokens if isinstance(source, Rollouts) else stage.guard.max_tokens
        return PROMPTS * ANSWERS * most / self._pace.written

    def base(self) -> Finding:
        """The archive's entry of the base, or digests and source of one that anyone can fetch."""
        model, archive = self.plan.model, self.shelves.archive
        found = origin_of(model, archive, self.show, self.shelves.clock)
        if found.there:
            return Finding(BASE, "passed", found.says, evidence=(found.evidence,))
        place = _at("--archive", archive, "archive")
        command = join(["accord", "keep", str(found.folder or model), *place])
        return Finding(BASE, "missing", found.says, remedy=(command,))

    def retirement(self) -> Finding:
        """What the result will supersede, and who sees to that."""
        file = self.shelves.retirement
        if not file.is_file():
            return Finding(RETIREMENT, "missing", f"no {file}", remedy=(lines(file),), seconds=(0.0,))
        try:
            found = read_succession(file)
        except AccordError as error:
            return Finding(RETIREMENT, "missing", _one_line(error), remedy=(lines(file),), seconds=(0.0,))
        entry, archive = found.supersedes, self.shelves.archive
        if entry != NONE and not kept_entry(entry, archive, self.show, self.shelves.clock):
            says = f"{file} supersedes {entry}, which {archive} does not have"
            return Finding(RETIREMENT, "missing", says, remedy=(f"accord verify --all --archive {archive}",))
        what = "supersedes nothing" if entry == NONE else f"supersedes {entry}"
        says = f"{what}; {found.steward} answers for it, {found.notice_days} days of notice"
        return Finding(RETIREMENT, "passed", says)

    def _tried(self, found: Portrait, done: Sequence[Tried], values: Values) -> Finding:
        """Passed where nothing is left that could be asked or tried."""
        lacks: list[str] = []
        remedy: list[str] = []
        evidence = [found.id]
        counts: dict[str, int] = {}
        steward = join(
            ["accord", "run", "--model", self.plan.model, "--values", self.shelves.values or str(values.file)]
        )
        for one in found.standings:
            counts[one.verdict] = counts.get(one.verdict, 0) + 1
            if one.verdict == "no evidence" and one.remedy:
                lacks.append(f"{one.principle}, {one.slice}: no evidence, and more can be had: {one.why}")
                remedy += one.remedy
            if one.verdict == "divergent":
                own = [t for t in done if (t.principle, t.slice) == (one.principle, one.slice)]
                evidence += [t.id for t in own]
                if left := " and ".join(_left(one, own)):
                    lacks.append(f"{one.principle}, {one.slice}: divergent, {left} not tried")
                    remedy.append(steward)
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or "nothing has a target"
        told += f", by {found.samples} answers to a prompt of at most {found.max_tokens} tokens each"
        told += f" at temperature {found.temperature:g}"
        if lacks:
            says = f"{told}; {'; '.join(lacks)}"
            return Finding(
                TARGETS, "missing", says, remedy=tuple(dict.fromkeys(remedy)), evidence=tuple(evidence)
            )
        came = "; ".join(f"{t.principle}, {t.slice}: {t.way} {t.outcome}" for t in done if t.id in evidence)
        return Finding(TARGETS, "passed", f"{told}; {came}" if came else told, evidence=tuple(evidence))

    @cached_property
    def _base(self) -> Sampler | str:
        """The base, or why it cannot be opened."""
        try:
            self.engine.check(self.plan.model)
            return self.engine.sampler(self.plan.model, self.show)
        except AccordError as error:
            return _one_line(error)

    @cached_property
    def _pace(self) -> Pace | None:
        """How fast the base is here; None for one behind a server, or that cannot be timed."""
        base = self._base
        if isinstance(base, str) or is_remote(self.plan.model) or "sample" not in base.can:
            return None
        with Worker() as worker:
            try:
                return pace(worker, base)
            except PlanError:
                return None  # a base that has few words: no time is promised

    @cached_property
    def _audit_takes(self) -> float | None:
        """Seconds of an audit of the base at depth standard, at most."""
        name, base = self.plan.model, self._base
        if isinstance(base, str) or self._pace is None:
            return None
        try:
            costs = foresee(programme(Wish((name,))), None, [Stand(name, base, False)], {})
        except PlanError:
            return None  # likewise; the audit says it itself
        return Foresight(costs, frozenset(), self._pace, None).seconds

    def _portrait_takes(self, values: Values) -> float | None:
        """Seconds of the portrait at its full extent, at most: answers may end sooner."""
        base = self._base
        if isinstance(base, str) or self._pace is None:
            return None
        extent, wrote, read = Extent(), 0, 0
        for one in values.principles:
            for cases in (part.audit for part in values.slices(one.id) if one.target is not None):
                wrote += len(cases) * (extent.samples + extent.told) * extent.max_tokens
                read += sum(2 * len(base.encode(case.prompt, "").prompt_tokens) for case in cases)
        return wrote / self._pace.written + read / self._pace.read


def _left(standing: Standing, done: Sequence[Tried]) -> list[str]:
    """The ways that were not tried to their end on a divergent slice."""
    ways = {one.way for one in done}
    wanted = [way for way in _WAYS if way not in ways]
    revised = any(one.way == "dialogue" and one.outcome == "revised answer" for one in done)
    amplified = "amplify" in ways or (standing.best is not None and not revised)
    return [*wanted, *([] if amplified else ["amplify"])]


def _folded(name: str, findings: Sequence[Finding]) -> Requirement:
    """One requirement of the findings that belong to it."""
    stopping = [one for one in findings if one.stops]
    signed = [one.signed for one in findings if one.signed is not None]
    told_steps = [f"{took}: {step}" if took else step for one in stopping for took, step in one.steps]
    steps = tuple(dict.fromkeys(told_steps))
    says = [f"{one.name}: {one.says}" if name == PREFLIGHT else one.says for one in stopping or findings]
    if name == PREFLIGHT and not stopping:
        says = [f"{one.name}: {one.status}" for one in findings if one.signed is None]
    said = [f"{one.check} signed by {one.by}: {one.reason}" for one in signed]
    status = "missing" if stopping else "signed for" if signed else "passed"
    evidence = [name for one in findings for name in one.evidence] + [one.id for one in signed]
    told = {"says": "; ".join([*says, *said]), "steps": steps, "evidence": tuple(dict.fromkeys(evidence))}
    return Requirement.model_validate({"name": name, "status": status, **told})


def _at(option: str, place: Path, usual: str) -> list[str]:
    """The words that name a folder, where it is not the usual one."""
    return [] if str(place) == usual else [option, str(place)]


def _one_line(error: AccordError) -> str:
    return " ".join(str(error).split())
