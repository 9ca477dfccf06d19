"""The guard: draws probes, has the indicators read, puts the rules to the history. It alone stops the loop.

It fails closed: an indicator that raises is a fault, and a fault is a Pause. Readings and decisions are on
disk before the loop hears of them. The rules shipped now compare intervals with tolerances; no false-alarm
rate is claimed for them. The panel of probes is drawn once; every audit asks it afresh, and the base's
answers to it are drawn in one piece, so that a resume draws the same ones to the bit.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, cast

from accord.heeding import ITEMS, heeded
from accord.ports import Draw, History, How, Indicator, Look, Panelled, Rule, Sampler
from accord.probing import OWN, Probed, Prober, Sitting
from accord.records import (
    JSON,
    Action,
    Decision,
    NotMeasured,
    Prompt,
    Reading,
    Record,
    StepEvent,
    read_record,
)
from accord.records.panels import Item, Panel
from accord.records.rows import Group
from accord.remembered import Remembered
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["Guard", "Probing", "Watch"]

_REMEMBERED = 500  # events the rules may look back on; the log keeps them all
_EARLY = 200  # and the first ones, which later ones are compared with
_SEVERITY: dict[Action, int] = {"continue": 0, "pause": 1, "halt": 2}


class Probing(NamedTuple):
    """How the guard asks the policy and the base: which prompts, how many a time, how many answers each."""

    prompts: tuple[Prompt, ...]
    probes: int
    answers: int
    temperature: float
    max_tokens: int


class Watch(NamedTuple):
    """What a guard consists of. ``faults``: what was wrong before the first look, as a panel that leaked.

    ``heed``: after a warning it looks closer (``accord.heeding``).
    """

    run: str
    indicators: tuple[Indicator, ...]
    rules: tuple[Rule, ...]
    probing: Probing
    base: Sampler
    panelled: tuple[Panelled, ...] = ()
    panels: Mapping[str, Panel] = MappingProxyType({})
    items: int = 32
    faults: tuple[str, ...] = ()
    heed: bool = True


@dataclass
class Guard:
    """Watches one stage. ``commit`` puts records on disk; it is called before a decision is returned."""

    watch: Watch
    commit: Callable[[Iterable[Record], int], None]
    worker: Worker
    audits: int = 0
    events: list[StepEvent] = field(default_factory=list[StepEvent])
    readings: list[Reading | NotMeasured] = field(default_factory=list[Reading | NotMeasured])
    decisions: list[Decision] = field(default_factory=list[Decision])
    _base: tuple[Group, ...] = ()
    _remembering: Remembered | None = None
    _prober: Prober | None = None

    def note(self, event: StepEvent) -> Decision:
        """Take an event into the history and let the rules look at it."""
        self.events = [*self.events[:_EARLY], *self.events[_EARLY:][-_REMEMBERED:], event]
        self.commit([event], event.step)
        return self._ruled(event.step)

    def audit(self, step: int, policy: Sampler, own: Sequence[Reading | NotMeasured] = ()) -> Decision:
        """One look at the policy against the base. ``own`` are readings made elsewhere (held-out figures)."""
        draw = Draw(self.audits, self._base_groups(step))
        groups = self._answers(policy, f"audit/{self.audits}")
        union = frozenset[str]().union(*(indicator.wants for indicator in self.watch.indicators))
        base = self._remembering = self._remembering or Remembered(self.watch.base, union)
        look = Look(self.watch.run, step, self._recent(), groups, Remembered(policy, union))
        self._record(groups, step)
        found: list[Reading | NotMeasured] = [*own]
        # What a plan asks to be measured and was not is missing evidence, whoever should have measured it.
        unread = [one for one in own if isinstance(one, NotMeasured)]
        faults = [self._fault(f"{one.name} was not measured: {one.reason}", step) for one in unread]
        if not self.audits:
            faults += [self._fault(text, step) for text in self.watch.faults]
        prober = self._asking(draw)
        # Settled before anything is drawn: no item of this look has a say in how many there are.
        sitting = Sitting(self.audits, step, policy, self.watch.items * (ITEMS if self.heeds else 1))
        work = [(one.name, partial(self._looked, one, look, base, draw)) for one in self.watch.indicators]
        work += [(one.name, partial(prober.read, one, sitting)) for one in self.watch.panelled]
        for name, read in work:
            probed = self._tried(name, read, step)
            if isinstance(probed, StepEvent):
                faults.append(probed)
                continue
            if probed.said:
                self.commit(probed.said, step)
            found += probed.readings
        base.keep(frozenset(r.id for group in draw.base_groups for r in group.responses))
        self.audits += 1
        self.readings += found
        self.events += faults
        self.commit([*found, *faults], step)
        return self._ruled(step)

    @property
    def heeds(self) -> bool:
        """Whether the look to come is one that a warning brings closer."""
        return self.watch.heed and heeded(self.decisions, self.readings)

    def accept(self, decision: Decision) -> None:
        """A person's acceptance of an earlier Pause."""
        self.decisions.append(decision)
        self.commit([decision], decision.step)

    def state(self) -> dict[str, JSON]:
        """Everything a resume needs; base answers are drawn again, which gives the same ones."""

        def written(records: Iterable[Record]) -> list[JSON]:
            return [{"kind": record.kind, "body": record.body()} for record in records]

        return {
            "audits": self.audits,
            "events": written(self.events),
            "readings": written(self.readings),
            "decisions": written(self.decisions),
        }

    def restore(self, state: dict[str, JSON]) -> None:
        """Become what ``state`` described."""

        def read(name: str) -> list[Record]:
            rows = cast("list[dict[str, dict[str, object]]]", state[name])
            return [read_record(cast(str, row["kind"]), row["body"]) for row in rows]

        self.audits = cast(int, state["audits"])
        self.events = cast("list[StepEvent]", read("events"))
        self.readings = cast("list[Reading | NotMeasured]", read("readings"))
        self.decisions = cast("list[Decision]", read("decisions"))

    def panel(self) -> tuple[Prompt, ...]:
        """The probes: a seeded choice from the prompts, the same at every audit."""
        probing = self.watch.probing
        count = min(probing.probes, len(probing.prompts))
        chosen = seeded(self.watch.run, "panel").choice(len(probing.prompts), size=count, replace=False)
        return tuple(probing.prompts[i] for i in sorted(int(i) for i in chosen))

    def _answers(self, sampler: Sampler, key: str) -> tuple[Group, ...]:
        probing = self.watch.probing
        how = How(f"{self.watch.run}/{key}", probing.temperature, probing.max_tokens)
        return tuple(self.worker.run(sampler.sample(self.panel(), probing.answers, how)))

    def _base_groups(self, step: int) -> tuple[Group, ...]:
        """The base's answers to the panel, drawn once and kept."""
        if not self._base:
            self._base = self._answers(self.watch.base, "base")
            self._record(self._base, step)
        return self._base

    def _record(self, groups: Sequence[Group], step: int) -> None:
        self.commit([record for group in groups for record in (group.prompt, *group.responses)], step)

    def _recent(self) -> tuple[StepEvent, ...]:
        """Events since the last look. A window stands at the step of the weights that answered it, which that
        look may have been of."""
        last = self._last_step()
        told = {parent for one in self.readings if one.step == last for parent in one.parents}
        windows = {e.id for e in self.events if e.name == "window" and e.step == last and e.id not in told}
        return tuple(event for event in self.events if event.step > last or event.id in windows)

    def _last_step(self) -> int:
        return max(
            (r.step for r in self.readings if not r.name.startswith(("eval.", "held_out."))), default=-1
        )

    def _asking(self, draw: Draw) -> Prober:
        """Reads panels; made once, with the anchors that an interrupted run had read."""
        if self._prober is None:
            own = (Item(g.prompt, answer=r.text) for g in draw.base_groups for r in g.responses if r.text)
            panels = {**self.watch.panels, OWN: Panel(OWN, tuple({item.id: item for item in own}.values()))}
            self._prober = Prober(self.watch.run, panels, self.watch.base, self.worker)
            self._prober.remember(self.readings)
        return self._prober

    def _looked(self, indicator: Indicator, look: Look, base: Sampler, draw: Draw) -> Probed:
        return Probed([self.worker.run(indicator.read(look, base, draw))], [])

    def _tried(self, name: str, read: Callable[[], Probed], step: int) -> Probed | StepEvent:
        """What an indicator found, or the fault that it raised."""
        try:
            return read()
        # The boundary guard → indicator: whatever it raises is a fault, which rules turn into a Pause.
        except Exception as error:  # noqa: BLE001
            return self._raised(name, error, step)

    def _raised(self, name: str, error: Exception, step: int) -> StepEvent:
        where = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return self._fault(f"indicator {name} raised {said}", step)

    def _fault(self, text: str, step: int) -> StepEvent:
        return StepEvent(run=self.watch.run, name="fault", step=step, text=text)

    def _ruled(self, step: int) -> Decision:
        """The gravest decision of all rules; those that are not a plain continue are written down."""
        history = History(
            self.watch.run, step, tuple(self.events), tuple(self.readings), tuple(self.decisions)
        )
        gravest = Decision(run=self.watch.run, step=step, action="continue", rule="none")
        known = {decision.id for decision in self.decisions}
        for rule in self.watch.rules:
            decision = rule(history)
            if decision.reason and decision.id not in known:
                self.decisions.append(decision)
                self.commit([decision], step)
            if _SEVERITY[decision.action] > _SEVERITY[gravest.action]:
                gravest = decision
        return gravest
