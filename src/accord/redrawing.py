"""Redrawing: fresh outcomes of policies that were kept, on the items that the guard asked (layer 4).

What is asked is the guard's own question again: the same indicator on the same panel, of which those items
count whose base outcome the run has cached. So the base's mean on them is a known number, and what is found
speaks of these items. Draws are with replacement, from seeds of their own; every batch is on disk before it
counts, and is never asked twice. Their texts are not kept: seed, item and policy give them again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self, cast

import numpy as np

from accord import catalog
from accord.assembly import Place, engine_of
from accord.errors import AccordError, ContractError
from accord.frozen import Frozen
from accord.guard import Guard
from accord.maths.searching import Asked
from accord.pages import Page, Tolerance
from accord.ports import Closing, How, Learner, Method, Observed, Panelled, Referred, Sampler, Snapping, Task
from accord.probing import OWN, Prober
from accord.progress import Silent
from accord.records import JSON, Cost, Drawn, Reading, Response, digest
from accord.records.panels import Item, Panel
from accord.records.rows import Floats, Group
from accord.snapshots import at_step
from accord.sources import SourcePart, Surroundings, seeded
from accord.stores.files import file_sha256
from accord.stores.runlog import LogView
from accord.watching import Watched, watching
from accord.worker import Worker

__all__ = ["Policies", "Question", "Redrawing", "Uncheckable", "boundary", "page_of", "question_of"]

_COMPARED, _WHOLE = 10**6, 10**6 + 1  # parts that are no draws of the search; the latter goes on
_AT_ONCE = 64  # items of a panel that is asked as a whole


class Uncheckable(AccordError):
    """A crossing that cannot be looked for, and why."""


class Question(NamedTuple):
    """What is asked of every policy: one criterion of an indicator, on items whose base outcome is known.

    ``instrument`` is the guard's: draws of another one could not be compared with the base.
    """

    run: str
    name: str
    indicator: Panelled
    items: tuple[Item, ...]
    panel: str
    instrument: str
    base: float
    b: float
    looks: tuple[int, ...]

    @property
    def criterion(self) -> str:
        return self.name.partition(".")[2]

    def search(self, steps: Sequence[int], asked: Asked) -> str:
        """The name of a search among the policies of these steps: equal names draw the same."""
        told = [self.name, self.instrument, [item.id for item in self.items], list(steps), list(asked)]
        return digest(told)[:16]


def boundary(tolerance: Tolerance, base: float) -> float:
    """What a criterion's mean must not exceed, where the base's is ``base``.

    >>> boundary(Tolerance(by=0.1), 0.2), boundary(Tolerance(rise=0.05), 0.4)
    (0.30000000000000004, 0.42000000000000004)
    >>> round(boundary(Tolerance(fall=0.5), 0.2), 9)  # of a wanted .8 a half may go
    0.6
    """
    if tolerance.rise is not None:
        return base * (1 + tolerance.rise)
    if tolerance.fall is not None:
        return 1 - (1 - tolerance.fall) * (1 - base)
    return base + tolerance.tau


def page_of(place: Place) -> Page | None:
    """The rule of a stage that pages."""
    rules = Watched(place.run, place.plan, place.located()).rules
    return next((rule for rule in rules if isinstance(rule, Page)), None)


def question_of(place: Place, view: LogView, name: str, policy: Sampler, worker: Worker) -> Question:
    """What the guard asked under this name. Uncheckable where it cannot be asked again."""
    page = page_of(place)
    if page is None or name not in page.tolerances:
        raise Uncheckable("no rule of the stage says how much of it is tolerated")
    if name in page.judges:
        raise Uncheckable("it is judged, and no search takes its judge's errors off its boundary")
    read = [one for one in view.records("reading") if isinstance(one, Reading) and one.name == name]
    read = [one for one in read if one.anchors]
    anchors = {item: x for one in read for item, x in zip(one.items, one.anchors, strict=True)}
    if not anchors or len({one.instrument for one in read}) > 1:
        raise Uncheckable("the guard did not read it with one instrument throughout")
    base = float(np.mean(list(anchors.values())))
    b = boundary(page.tolerances[name], base)
    if not 0 < b < 1:
        raise Uncheckable(f"its boundary, {b:.3g}, is no mean that an outcome from 0 to 1 could pass")
    indicator = _indicator(place, name)
    panel = _panel(place, view, indicator, policy, worker)
    items = tuple(item for item in panel.items if item.id in anchors)
    if len(items) < len(anchors):
        lost = len(anchors) - len(items)
        raise Uncheckable(f"the panel {panel.name} holds {lost} of its items no longer")
    looks = tuple(sorted({one.step for one in read}))
    instrument = read[0].instrument
    return Question(place.run, name, indicator, items, panel.digest, instrument, base, b, looks)


def _indicator(place: Place, name: str) -> Panelled:
    head, _, criterion = name.partition(".")
    for table in place.located().guard.indicator:
        built = catalog.build("indicators", table)
        if isinstance(built, Panelled) and built.name == head and criterion in built.criteria:
            if isinstance(built, Referred):
                raise Uncheckable("it is read with the base’s eyes, and no search opens the base beside it")
            return built
    raise Uncheckable("the plan names no such indicator")


def _panel(place: Place, view: LogView, indicator: Panelled, policy: Sampler, worker: Worker) -> Panel:
    """The panel as the guard had it: without what the training data hold, or of the base's own answers."""
    stage = place.located()
    method = cast(Method, catalog.build("methods", stage.method))
    # With the stage's lock: what people have said since was not trained on.
    with Frozen(place.folder) as frozen:
        around = Surroundings(place.run, place.plan.seed, method.rows, worker, frozen)
        source = cast(SourcePart, catalog.build("sources", stage.source)).open(around)
        watch = watching(Watched(place.run, place.plan, stage), source, policy, Silent())
    if indicator.panel != OWN:
        return watch.panels[indicator.panel]
    said: dict[str, list[Response]] = {}
    for one in cast("list[Response]", view.records("response")):
        if one.finish != "data" and not one.policy.startswith(f"{place.run}@"):
            said.setdefault(one.prompt, []).append(one)
    items = [
        Item(prompt, answer=one.text)
        for prompt in Guard(watch, _nothing, worker).panel()
        for one in sorted(said.get(prompt.id, []), key=lambda one: one.index)
        if one.text
    ]
    return Panel(OWN, tuple({item.id: item for item in items}.values()))


class Policies:
    """The kept policies of a stage, one at a time in one learner, which is opened when first asked for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._learner: Learner | None = None
        self._now: tuple[Path, Sampler] | None = None

    def at(self, step: int, folder: Path | None = None) -> Sampler:
        """The policy of this step, from ``folder`` or from where the stage keeps it."""
        file = at_step(folder or self._place.folder, step)
        if self._now is None or self._now[0] != file:
            self._now = (file, self._opened().read(file))
        return self._now[1]

    def digest(self, step: int, folder: Path | None = None) -> str:
        """What the policy's files are, as bytes."""
        return weights_digest(at_step(folder or self._place.folder, step))

    def close(self) -> None:
        """Let go of the learner; it is opened anew when asked for again."""
        if isinstance(self._learner, Closing):
            self._learner.close()
        self._learner = self._now = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _opened(self) -> Snapping:
        place = self._place
        if self._learner is None:
            engine = engine_of(place.located())
            self._learner = engine.learner(place.start, Task(place.run, place.plan.seed))
        if not isinstance(self._learner, Snapping):
            raise Uncheckable(f"the learner {place.stage.learner.name} reads no kept policies")
        return self._learner


def weights_digest(snapshot: Path) -> str:
    """The digest of all files of a kept policy."""
    files = sorted(p for p in snapshot.rglob("*") if p.is_file())
    return digest({str(p.relative_to(snapshot)): file_sha256(p) for p in files})


class Answered(NamedTuple):
    """An outcome for each item, what was said, and what it took."""

    outcomes: list[float | None]
    said: list[Group]
    cost: Cost


@dataclass
class Redrawing:
    """The oracle of one search: batches of outcomes, from the record or asked, and then on disk.

    ``keep`` makes a batch durable. Where an indicator samples nothing, a policy is asked an item once.
    """

    question: Question
    search: str
    steps: tuple[int, ...]
    policies: Policies
    worker: Worker
    keep: Callable[[Drawn], None]
    recorded: Mapping[tuple[int, int], Drawn]
    folder: Path | None = None
    used: list[str] = field(default_factory=list[str])
    draws: int = 0
    _parts: Counter[int] = field(default_factory=Counter[int])
    _known: dict[tuple[int, str], float | None] = field(default_factory=dict[tuple[int, str], float | None])

    def __post_init__(self) -> None:
        for (step, _), batch in () if self.sampled else self.recorded.items():
            for item, outcome in zip(batch.items, _values(batch), strict=True):
                self._known[step, item] = None if np.isnan(outcome) else float(outcome)

    def draw(self, policy: int, n: int) -> Floats:
        """n fresh outcomes of the policy at this place among the steps; NaN where nobody could judge."""
        step = self.steps[policy]
        part, self._parts[step] = self._parts[step], self._parts[step] + 1
        batch = self.recorded.get((step, part))
        if batch is None:
            batch = self._asked(step, part, n)
            self.keep(batch)
        return self._used(batch)

    @property
    def sampled(self) -> bool:
        """Whether answers are drawn; else an outcome is a fact of policy and item, and can be known."""
        return self.question.indicator.draws > 1

    def known(self, policy: int) -> tuple[float, float]:
        """The mean over all items: its least and largest value, for what nobody could judge."""
        items = self.question.items
        pieces = [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
        asked = [self._asked_once(self.steps[policy], _WHOLE + i, piece) for i, piece in enumerate(pieces)]
        values = np.concatenate([self._used(batch) for batch in asked])
        return float(np.nan_to_num(values, nan=0.0).mean()), float(np.nan_to_num(values, nan=1.0).mean())

    def _asked_once(self, step: int, part: int, items: Sequence[Item]) -> Drawn:
        """These items and no drawn ones, from the record or asked."""
        batch = self.recorded.get((step, part))
        if batch is None or batch.items != tuple(item.id for item in items):
            batch = self._drawn(step, part, items, *self._outcomes(step, part, items))
            self.keep(batch)
        return batch

    def _used(self, batch: Drawn) -> Floats:
        self.used.append(batch.id)
        self.draws += len(batch.items)
        return _values(batch)

    def compared(self, step: int, items: Sequence[Item]) -> list[float]:
        """One outcome of each of different items, beside the search; 1 where nobody could judge."""
        return list(self._asked_once(step, _COMPARED, items).outcomes)

    def observed(self, step: int, items: Sequence[Item], key: str) -> Answered:
        """What a policy does with different items. Uncheckable where the instrument is another one."""
        question = self.question
        how = How(f"{question.run}/crossing/{self.search}/{key}", 1.0, Prober.max_tokens)
        policy = self.policies.at(step, self.folder)
        found = self.worker.run(question.indicator.observe(items, policy, how))
        told: dict[str, JSON] = {"config": question.indicator.config, "panel": question.panel}
        if digest({**told, "ruler": found.ruler}) != question.instrument:
            raise Uncheckable("its instrument is not the one that the guard read it with")
        return Answered(list(_checked(question, found, len(items))), list(found.said), found.cost)

    def _asked(self, step: int, part: int, n: int) -> Drawn:
        question = self.question
        rng = seeded(question.run, "crossing", self.search, step, part)
        drawn = [question.items[int(i)] for i in rng.integers(len(question.items), size=n)]
        return self._drawn(step, part, drawn, *self._outcomes(step, part, drawn))

    def _drawn(
        self, step: int, part: int, drawn: Sequence[Item], outcomes: Sequence[float | None], cost: Cost
    ) -> Drawn:
        question = self.question
        return Drawn(
            run=question.run,
            name=question.name,
            step=step,
            search=self.search,
            part=part,
            instrument=question.instrument,
            items=tuple(item.id for item in drawn),
            outcomes=tuple(1.0 if x is None else x for x in outcomes),
            unjudged=tuple(i for i, x in enumerate(outcomes) if x is None),
            cost=cost,
        )

    def _outcomes(self, step: int, part: int, drawn: Sequence[Item]) -> tuple[list[float | None], Cost]:
        cost = Cost()
        if not self.sampled:
            new = {item.id: item for item in drawn if (step, item.id) not in self._known}
            if new:
                found = self.observed(step, list(new.values()), f"{step}/{part}")
                self._known.update({(step, item): x for item, x in zip(new, found.outcomes, strict=True)})
                cost = found.cost
            return [self._known[step, item.id] for item in drawn], cost
        # An item that comes twice is sampled twice: the second time among the second ones.
        outcomes: list[float | None] = [None] * len(drawn)
        seen = Counter[str]()
        turns: dict[int, list[int]] = {}
        for place, item in enumerate(drawn):
            turns.setdefault(seen[item.id], []).append(place)
            seen[item.id] += 1
        for turn, places in turns.items():
            found = self.observed(step, [drawn[i] for i in places], f"{step}/{part}/{turn}")
            cost += found.cost
            for place, outcome in zip(places, found.outcomes, strict=True):
                outcomes[place] = outcome
        return outcomes, cost


def _checked(question: Question, found: Observed, count: int) -> tuple[float | None, ...]:
    values = found.outcomes.get(question.criterion, ())
    if len(values) != count or any(x is not None and not 0 <= x <= 1 for x in values):
        promise = f"observe gives one outcome in [0, 1] or None per item for {question.criterion}"
        raise ContractError(question.indicator.name, promise, f"{values} for {count} items")
    return values


def _values(batch: Drawn) -> Floats:
    outcomes = np.array(batch.outcomes)
    outcomes[list(batch.unjudged)] = np.nan
    return outcomes


def _nothing(*_: object) -> None:
    """This guard is asked for its probes alone, and writes nothing."""
