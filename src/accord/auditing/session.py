"""Session: one audit, from the first model that is opened to the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from accord.auditing.asking import Asking, Budget
from accord.auditing.figures import Beside, Slice, beside, floor_of, levels, read, sliced
from accord.auditing.foresight import Foresight, Price, Stand, foresee, pace
from accord.auditing.journal import Journal
from accord.auditing.looking import Base, Eye, Kept, name_of
from accord.auditing.programme import Course, Programme
from accord.auditing.table import AuditTable, Read
from accord.engines.openai_http import is_remote
from accord.errors import PlanError, Refused
from accord.ports import Sampler
from accord.progress import Progress, Silent
from accord.records import Cost, NotMeasured, Reading
from accord.worker import Worker

__all__ = ["Engine", "Session", "Terms"]


class Engine(Protocol):
    """What opens models to read them."""

    def check(self, model: str) -> None: ...

    def sampler(self, model: str, progress: Progress) -> Sampler: ...


class Terms(NamedTuple):
    """How an audit is done, beside what it is of. ``audits``: how many a guard on the base would have."""

    audits: int = 20
    price: Price | None = None
    max_tokens: int | None = None


@dataclass
class Session:
    """Opens models one at a time beside the base, since each may fill the memory; servers' at once."""

    planned: Programme
    terms: Terms
    engine: Engine
    journal: Journal
    show: Progress
    worker: Worker

    def table(self) -> AuditTable:
        """The whole audit; what the limit of tokens left out is not measured, and says so."""
        wish, budget = self.planned.wish, Budget(self.terms.max_tokens)
        first = wish.base or wish.models[0]
        opened = {first: self._opened(first)}
        opened |= {m: self._opened(m) for m in wish.models if is_remote(m) and m not in opened}
        foresight = self._foresight(opened, first)
        self.show.say(foresight.line)
        self.show.begin("audit", foresight.cost.tokens_in + foresight.cost.tokens_out)
        eye = Eye(self.planned, self.worker)
        base: Base | None = None
        shown: dict[str, dict[str, Beside]] = {}
        if wish.base is not None:
            base = eye.base(wish.base, self._asking(wish.base, opened[first], budget))
            shown[base.name] = self._beside(eye, base)
        models: dict[str, Read] = {}
        for model in wish.models:
            ready = opened.get(model) if model == wish.base else opened.pop(model, None)
            sampler = self._asking(model, ready or self._opened(model), budget)
            self.show.advance(0, model)
            if base is None:
                own = eye.base(model, sampler)
                models[model], shown[model] = self._alone(eye, own), self._beside(eye, own)
            else:
                models[model] = self._compared(eye, sampler, base)
        self.show.end()
        return AuditTable(
            models=models,
            base=wish.base,
            depth=wish.depth,
            prompts=len(self.planned.prompts),
            answers=wish.answers,
            beside=shown,
            foreseen=foresight.json(),
            spent=budget.spent,
            finished=not budget.over,
            folder=str(self.journal.folder or ""),
        )

    def _opened(self, model: str) -> Sampler:
        """The model, which must be the one that this audit began with."""
        self.show.advance(0, f"opening {model}")
        sampler = self.engine.sampler(model, Silent())
        if not sampler.can & {"sample", "logp"}:
            allowed = "a model that answers or tells log-probabilities"
            raise PlanError("MODEL", model, allowed, f"this one can {', '.join(sorted(sampler.can))}")
        known = self.journal.known("model", model)
        if known is None:
            self.journal.write("model", {model: {"policy": sampler.policy}})
        elif known["policy"] != sampler.policy:
            changed = f"{sampler.policy}, not {known['policy']}"
            raise Refused(
                f"{model} is not the model that this audit began with: {changed}\n"
                f"  remove {self.journal.folder} and begin anew, without --resume"
            )
        return sampler

    def _asking(self, model: str, sampler: Sampler, budget: Budget) -> Asking:
        return Asking(sampler, self.journal, budget, self.show, is_remote(model))

    def _foresight(self, opened: dict[str, Sampler], first: str) -> Foresight:
        wish = self.planned.wish
        here = next((m for m in (first, *wish.models) if not is_remote(m)), None)
        if here is not None and here not in opened:
            opened[here] = self._opened(here)
        # A model of this machine that is not opened yet is taken to be like the one that is.
        stands = [Stand(m, opened[m if m in opened else here or first], is_remote(m)) for m in wish.models]
        base = Stand(wish.base, opened[first], is_remote(wish.base)) if wish.base is not None else None
        costs = foresee(self.planned, base, stands, self._asked([one.name for one in stands]))
        left = any(cost.calls for name, cost in costs.items() if not is_remote(name))
        speed = pace(self.worker, opened[here]) if here is not None and left else None
        return Foresight(costs, frozenset(filter(is_remote, costs)), speed, self.terms.price)

    def _asked(self, models: list[str]) -> Mapping[str, Cost]:
        """What earlier tries of this audit asked, by the models' names."""
        asked, wish = self.journal.asked(), self.planned.wish
        found: dict[str, Cost] = {}
        for name in dict.fromkeys((*models, *((wish.base,) if wish.base is not None else ()))):
            known = self.journal.known("model", name)
            found[name] = asked.get(str(known["policy"]), Cost()) if known else Cost()
        return found

    def _compared(self, eye: Eye, sampler: Sampler, base: Base) -> Read:
        seen = eye.model(sampler, base)
        found: list[Reading | NotMeasured] = []
        slices: dict[str, Mapping[str, Slice]] = {}
        for course in self.planned.asking:
            at = name_of(course)
            readings = read(course, seen[at], base.kept[at])
            found += readings
            slices |= _slices(course, readings, seen[at])
        found += eye.compared(eye.answers(sampler, "model"), base, sampler)
        return Read(sampler.policy, tuple(found), slices)

    def _alone(self, eye: Eye, own: Base) -> Read:
        found: list[Reading | NotMeasured] = []
        slices: dict[str, Mapping[str, Slice]] = {}
        for course in self.planned.asking:
            kept = own.kept[name_of(course)]
            readings = read(course, kept, None)
            found += readings
            slices |= _slices(course, readings, kept)
        found += map(levels, eye.compared(own.groups, own, own.sampler, alone=True))
        return Read(own.sampler.policy, tuple(found), slices)

    def _beside(self, eye: Eye, base: Base) -> dict[str, Beside]:
        found: dict[str, Beside] = {}
        for course in self.planned.asking:
            found |= beside(course, base, self.terms.audits)
        readings, way = eye.again(base)
        for one in readings:
            if (floor := floor_of(one, way)) is not None:
                found[one.name] = Beside(floor)
        return found


def _slices(
    course: Course, readings: list[Reading | NotMeasured], kept: Kept | str
) -> dict[str, Mapping[str, Slice]]:
    if isinstance(kept, str):
        return {}
    cut = {one.name: sliced(course, one, kept) for one in readings if isinstance(one, Reading)}
    return {name: slices for name, slices in cut.items() if slices}
