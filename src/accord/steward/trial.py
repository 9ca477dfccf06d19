"""Trial: a plan of the steward's, run by its name and gone on with, and what its result then does.

``runs/<name>/`` is the steward's own: what the base was asked, the files that plans name, portraits of the
results. Each variant is a run beside it, ``runs/<name>-<variant>``, like any other: ``accord report`` shows
it. Called again under its name, everything that stands is used: finished runs, answers, scores.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from accord.auditing import Engine
from accord.engines.local import Local
from accord.engines.openai_http import Reaching
from accord.errors import PlanError, Refused
from accord.indicators.forward_kl import SCALE
from accord.pipeline import resume, run, settled
from accord.plan import Plan
from accord.ports import How
from accord.progress import Progress, Silent
from accord.records import JSON, Decision, Entry, Prompt, Reading, StepEvent
from accord.records.portraits import Portrait, Standing
from accord.stage import finished
from accord.steward.drift import Answers, Gauge, gauge
from accord.steward.effort import Effort
from accord.steward.ledger import journal_of
from accord.steward.mixing import OPEN
from accord.steward.portrait import Extent, portrait
from accord.steward.variants import Files, Terms
from accord.stores.foreign.prompts import read_rows, write_rows
from accord.stores.runlog import LogView, read_log
from accord.values import Values
from accord.worker import Worker

__all__ = ["Bench", "Order", "Variant", "bench", "chosen", "questioned"]

_PRESSED = ("pushed_down", "pushed_answers", "negative_mass")
_ANCHOR = 64  # prompts whose answers anchor; a run passes more than once over them


class Variant(NamedTuple):
    """One plan and what it came to.

    ``forward_kl`` on the prompts that were to change, ``unrelated`` on others: readings whose change is
    KL(π₀‖π). ``pressure``: means over updates; ``unused``: the share of judged answers that were not
    amplified; ``withheld``: how many were not for lying beyond the base's nucleus. ``stopped``: why the run
    has no result that counts; ``lost``: what was held and is shown not to be any more.
    """

    name: str
    plan: str
    run: Path
    model: Path | None = None
    after: Portrait | None = None
    reached: bool = False
    forward_kl: Reading | None = None
    unrelated: Reading | None = None
    pressure: Mapping[str, float] = {}
    unused: float | None = None
    withheld: float = 0.0
    seconds: float = 0.0
    stopped: str = ""
    lost: tuple[str, ...] = ()

    @property
    def bits(self) -> float | None:
        """Forward KL on the task's prompts, in bits a byte."""
        return _bits(self.forward_kl)

    @property
    def drift(self) -> float | None:
        """Forward KL on unrelated prompts, in bits a byte."""
        return _bits(self.unrelated)

    @property
    def fault(self) -> str:
        """Why it is not to be chosen, where it came to its end."""
        lost = f"loses {', '.join(self.lost)}" if self.lost else ""
        return " and ".join(filter(None, ["" if self.reached else "falls short", lost]))

    def standings(self, within: Sequence[Standing]) -> tuple[Standing, ...]:
        """How those slices stand after it, in order."""
        known = {(s.principle, s.slice): s for s in self.after.standings} if self.after else {}
        return tuple(known[one.principle, one.slice] for one in within if known)

    def json(self) -> dict[str, JSON]:
        """Its figures, without the portrait's items."""
        shares: list[JSON] = [
            {"principle": s.principle, "slice": s.slice, "own": s.own.value if s.own else None}
            for s in (self.after.standings if self.after else ())
        ]
        return {
            "name": self.name,
            "plan": self.plan,
            "run": str(self.run),
            "reached": self.reached,
            "forward_kl_bits_a_byte": self.bits,
            "unrelated_bits_a_byte": self.drift,
            "pressure": dict(self.pressure),
            "unused": self.unused,
            "withheld": self.withheld,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "lost": list(self.lost),
            "own": shares,
        }


class Order(NamedTuple):
    """Under which name, where, how much and on which terms."""

    runs: Path
    name: str
    effort: Effort
    terms: Terms


@dataclass
class Bench:
    """The base opened, and what every variant is measured by."""

    model: str
    values: Values
    order: Order
    engine: Engine
    base: Answers
    show: Progress

    @property
    def effort(self) -> Effort:
        return self.order.effort

    @property
    def terms(self) -> Terms:
        return self.order.terms

    @property
    def folder(self) -> Path:
        """The steward's own folder."""
        return self.order.runs / self.order.name

    def how(self, key: str) -> How:
        return How(f"{self.order.name}/{key}", 1.0, self.effort.max_tokens)

    def write(self, rows: Sequence[Mapping[str, JSON]]) -> str:
        """A file of rows that training may read. Refused where a sealed half holds one of their prompts."""
        leaks = self.values.leaks(Prompt.of(str(row["prompt"])) for row in rows)
        if leaks:
            raise Refused(f"{len(leaks)} prompts of a sealed half would be trained on: {leaks[0].text!r}")
        return str(write_rows(rows, self.folder / "data"))

    def unrelated(self, part: str) -> list[Prompt]:
        """Prompts that no sealed half holds: ``train``, ``held_out`` or ``probe`` of the unrelated ones."""
        rows = read_rows(f"{self.terms.unrelated}:{part}")
        found = list({row.prompt.id: row.prompt for row in rows}.values())
        sealed = {one.id for one in self.values.leaks(found)}
        return [one for one in found if one.id not in sealed]

    def anchor(self, held: Sequence[Standing] = (), ended: bool = True) -> list[dict[str, JSON]]:
        """The base's own answers to unrelated prompts and to training halves of what it ``held``: those that
        came to their end, or all, the others marked ``open``. PlanError for none."""
        prompts = [*self.unrelated("train")[:_ANCHOR], *self._training(held)[:_ANCHOR]]
        groups = self.base.drawn(prompts, 1, self.how("anchor"))
        rows: list[dict[str, JSON]] = [
            {"prompt": g.prompt.text, "completion": r.text, **({} if ended else {OPEN: r.finish == "length"})}
            for g in groups
            for r in g.responses
            if r.text.strip() and not (ended and r.finish == "length")
        ]
        if not rows:
            allowed = "unrelated prompts whose answers end in time"
            raise PlanError("effort.max_tokens", self.effort.max_tokens, allowed, "more tokens, or others")
        return rows

    def _training(self, spots: Sequence[Standing]) -> list[Prompt]:
        named = {(one.principle, one.slice) for one in spots}
        return [
            case.prompt
            for name in dict.fromkeys(one.principle for one in spots)
            for part in self.values.slices(name)
            if (name, part.name) in named
            for case in part.training
        ]

    def files(self, prompts: Sequence[Mapping[str, JSON]], held: Sequence[Standing]) -> Files:
        """What a plan of a variant names."""
        return Files(
            self.write(prompts),
            self.write(self.anchor(held, ended=False)),
            f"{self.terms.unrelated}:probe",
            str(self.values.file),
        )

    def gauges(self, spots: Sequence[Standing]) -> tuple[Gauge, Gauge]:
        """What drift is read by: sealed prompts of what is to change, and unrelated ones."""
        named = {(one.principle, one.slice) for one in spots}
        task = [
            case.prompt
            for name in dict.fromkeys(one.principle for one in spots)
            for part in self.values.slices(name)
            if (name, part.name) in named
            for case in part.audit[: self.effort.items]
        ]
        once = list({prompt.id: prompt for prompt in task}.values())
        beside = self.unrelated("held_out")[: self.effort.items]
        return (
            gauge("task", self.base, once, self.effort.told, self.how("task")),
            gauge("unrelated", self.base, beside, self.effort.told, self.how("unrelated")),
        )

    def trained(self, name: str, plan: Plan) -> Variant:
        """The variant's run, begun or gone on with, and what its events say. Refused where its name is that
        of another plan's run, or of one from other weights or for other values."""
        folder = self.order.runs / f"{self.order.name}-{name}"
        ready = settled(plan, [Path.cwd()])
        stage = folder / plan.stage[-1].name
        # A plan names base and values by where they lie; the journal is of these weights and this document.
        journal, mine = self.base.journal, {"plan": ready.hash, "checks": self.values.checks}
        if (folder / "run.json").is_file():
            if journal.known("run", name) != mine:
                other = "a run of another plan, from other weights, or for other values or checks"
                raise Refused(f"{folder} is {other}\n  take another name, or remove it")
            if not finished(stage) and not _waits(stage):
                resume(folder, progress=self.show)
        else:
            store = self.terms.store
            journal.write("run", {name: mine})
            run(ready, runs=self.order.runs, name=folder.name, progress=self.show, store=store)
        log = read_log(stage)
        done = bool(log.records("entry"))
        told = Variant(name, ready.hash, folder, model=stage / "model" if done else None)
        return told._replace(**_figures(log), stopped="" if done else _stopped(log))

    def measured(
        self,
        told: Variant,
        within: Sequence[Standing],
        gauges: tuple[Gauge, Gauge],
        held: Sequence[Standing],
    ) -> Variant:
        """The same with its portrait and its drift; one without a result stays as it is."""
        if told.model is None:
            return told
        extent = Extent(
            samples=self.effort.samples,
            told=self.effort.told,
            prompts=self.effort.items,
            max_tokens=self.effort.max_tokens,
        )
        self.show.say(f"what {told.name} came to")
        after = portrait(
            str(told.model),
            self.values,
            extent=extent,
            judges=self.terms.judges,
            folder=self.folder / "portraits",
            engine=self.engine,
            progress=self.show,
        )
        answers = self.base.beside(self.engine.sampler(str(told.model), self.show))
        task, unrelated = (one.read(answers) for one in gauges)
        told = told._replace(after=after, forward_kl=task, unrelated=unrelated)
        return told._replace(reached=_reached(told.standings(within)), lost=_lost(told.standings(held)))


@contextmanager
def bench(
    model: str, values: Values, order: Order, engine: Engine | None, progress: Progress | None
) -> Generator[Bench]:
    """Open the base, and the journal of this name."""
    show, opener = progress or Silent(), engine or Reaching(Local())
    opener.check(model)
    sampler = opener.sampler(model, show)
    wish: dict[str, JSON] = {"steward": sampler.policy, "values": values.digest}
    with journal_of(order.runs / order.name / "asked", wish) as journal, Worker() as worker:
        yield Bench(model, values, order, opener, Answers(sampler, journal, worker, show), show)


def chosen(variants: Sequence[Variant]) -> tuple[int | None, str]:
    """The variant that reaches every target and came least far on the task's prompts, and why."""
    able = [
        (one.bits, place)
        for place, one in enumerate(variants)
        if one.reached and not one.lost and one.bits is not None
    ]
    if not able:
        what = "reaches every target and loses nothing that was held"
        return None, f"none of {len(variants)} variants {what}: {_short(variants)}"
    bits, place = min(able)
    others = [f"{variants[at].name} {kl:.4f}" for kl, at in sorted(able)[1:]]
    beside = f"; the others that reach it: {', '.join(others)}" if others else "; no other reaches it"
    # Whoever reads the share of the chosen one is to know that these prompts had a say in choosing it.
    among = f"; chosen among {len(variants)} on the prompts its share is read on" if len(variants) > 1 else ""
    return place, f"{variants[place].name} reaches every target at {bits:.4f} bits a byte{beside}{among}"


def _reached(standings: Sequence[Standing]) -> bool:
    """Whether the share itself is at or above each target; whether that is shown, the class says."""
    return bool(standings) and all(s.own is not None and s.own.value >= s.target for s in standings)


def _lost(standings: Sequence[Standing]) -> tuple[str, ...]:
    """What now is surely below its target."""
    fell = (s for s in standings if s.own is not None and s.own.high < s.target)
    return tuple(f"{s.principle}, {s.slice}" for s in fell)


def _short(variants: Sequence[Variant]) -> str:
    return ", ".join(f"{one.name} ({one.stopped or one.fault})" for one in variants)


def _waits(stage: Path) -> bool:
    """Whether the guard stopped this stage and nobody let it go on."""
    return stage.is_dir() and bool(_stopped(read_log(stage)))


def _stopped(log: LogView) -> str:
    """Why the guard stopped it, where it did."""
    decisions = cast("list[Decision]", log.records("decision"))
    answered = {one.accepts for one in decisions}
    waiting = [one for one in decisions if one.action != "continue" and one.id not in answered]
    return f"{waiting[0].action} at step {waiting[0].step}: {waiting[0].reason}" if waiting else ""


def questioned(model: Path) -> bool:
    """Whether the guard stopped the stage of this result on its way, whoever let it go on."""
    decisions = cast("list[Decision]", read_log(model.parent).records("decision"))
    return any(one.action != "continue" for one in decisions)


def _figures(log: LogView) -> dict[str, object]:
    """Pressure, what was not used and how long it took, of the events of a stage."""
    events = cast("list[StepEvent]", log.records("event"))
    updates = [one.scalars for one in events if one.name == "update"]
    windows = [one.scalars for one in events if one.name == "window"]
    pressure = {key: _mean([one[key] for one in updates if key in one]) for key in _PRESSED}
    unused = [one["unused"] for one in windows if "unused" in one]
    entries = cast("list[Entry]", log.records("entry"))
    return {
        "pressure": {key: value for key, value in pressure.items() if value is not None},
        "unused": _mean(unused),
        "withheld": sum(one.get("withheld", 0.0) for one in windows),
        "seconds": sum(one.seconds for one in entries),
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _bits(reading: Reading | None) -> float | None:
    return None if reading is None or reading.change is None else reading.change * SCALE
