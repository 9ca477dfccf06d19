"""Probing: items drawn from panels, the policy's outcomes beside the base's, and readings of both (layer 3).

Every audit draws anew, with replacement, from (run, audit, indicator); the base's mean outcome on an item is
read once and kept. What follows from the readings is not said here (``accord.pages``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from accord.errors import ContractError, Unsayable
from accord.maths.intervals import Interval, cluster_mean, share_of
from accord.maths.resampling import figured, figured_change
from accord.ports import How, Observed, Panelled, Pooled, Referred, Sampler
from accord.records import Cost, NotMeasured, Reading, Record, digest
from accord.records.panels import Item, Panel
from accord.records.rows import Floats
from accord.remembered import Remembered
from accord.sources import seeded
from accord.worker import Worker

__all__ = ["OWN", "Probed", "Prober", "Sitting"]

_SCORED = frozenset({"logp"})  # what is remembered of a text

OWN = "base"
"""The panel of what the base itself answered to the guard's probes."""


class Sitting(NamedTuple):
    """One audit: its number, the step it comes at, the model it is of, and how many items each reads."""

    audit: int
    step: int
    policy: Sampler
    items: int


class Probed(NamedTuple):
    """What an audit of panels found: readings, and the texts they rest on."""

    readings: list[Reading | NotMeasured]
    said: list[Record]


@dataclass
class Prober:
    """Reads the policy and the base on the same items. ``max_tokens`` bounds answers that are drawn.

    Several indicators put the same question to the same panel: within an audit each is put once.
    """

    run: str
    panels: Mapping[str, Panel]
    base: Sampler
    worker: Worker
    max_tokens: int = 64
    _anchors: dict[tuple[str, str, str], float] = field(default_factory=dict[tuple[str, str, str], float])
    _seen: tuple[tuple[int, str], Remembered, Remembered] | None = None

    def remember(self, readings: Iterable[Reading | NotMeasured]) -> None:
        """Take the anchors of earlier readings, so that a resumed run keeps them to the bit."""
        for one in readings:
            indicator, _, criterion = one.name.partition(".")
            if isinstance(one, Reading) and one.anchors:
                for item, anchor in zip(one.items, one.anchors, strict=True):
                    self._anchors[indicator, criterion, item] = anchor

    def read(self, indicator: Panelled, sitting: Sitting) -> Probed:
        """One reading for each criterion; ContractError where an outcome is none."""
        panel = self.panels[indicator.panel]
        able = [item for item in panel.items if indicator.takes(item)]
        lacking = sorted(indicator.wants - (sitting.policy.can & self.base.can))
        if isinstance(indicator, Referred):
            lacking += sorted(indicator.of_base - self.base.can)
        if lacking or not able:
            why = (
                f"the model gives no {', '.join(lacking)}" if lacking else f"no item of {panel.name} fits it"
            )
            return Probed([self._silent(indicator, c, sitting.step, why) for c in indicator.criteria], [])
        rng = seeded(self.run, "probes", sitting.audit, indicator.panel)
        drawn = [
            able[int(i)] for i in rng.integers(len(able), size=max(2, round(sitting.items * indicator.share)))
        ]
        asked = list({item.id: item for item in drawn}.values())
        policy, base = self._views(sitting)
        indicator = indicator.referred(base) if isinstance(indicator, Referred) else indicator
        try:
            found = self._answers(indicator, drawn, policy, sitting.audit)
            self._anchor(indicator, asked, base)
        except Unsayable as error:
            why = f"the model has no tokens for {str(error.value)[:40]!r}, which {panel.name} asks of it"
            return Probed([self._silent(indicator, c, sitting.step, why) for c in indicator.criteria], [])
        readings = [
            self._reading(indicator, criterion, sitting, _Draws(drawn, found, panel))
            for criterion in indicator.criteria
        ]
        said: list[Record] = [text for group in found.said for text in (group.prompt, *group.responses)]
        return Probed([*readings], said)

    def _answers(self, indicator: Panelled, drawn: Sequence[Item], policy: Sampler, audit: int) -> Observed:
        """One outcome for each draw. Where answers are drawn, a prompt that comes twice is answered twice.

        One answer for both would count its luck twice, and an e-value takes draws for independent ones.
        """
        turns: dict[int, list[int]] = {}
        seen = Counter[str]()
        first = {item.id: i for i, item in reversed([*enumerate(drawn)])}
        for i, item in enumerate(drawn):
            if indicator.draws > 1:
                turns.setdefault(seen[item.prompt.id], []).append(i)
                seen[item.prompt.id] += 1
            elif first[item.id] == i:
                turns.setdefault(0, []).append(i)
        found: dict[int, tuple[Observed, int]] = {}
        parts: list[Observed] = []
        for turn, places in turns.items():
            key = f"{self.run}/{indicator.name}/{audit}" + (f"/{turn}" if turn else "")
            part = self._observed(
                indicator, [drawn[i] for i in places], policy, How(key, 1.0, self.max_tokens)
            )
            parts.append(part)
            found.update({i: (part, at) for at, i in enumerate(places)})
        of = [found.get(i) or found[first[item.id]] for i, item in enumerate(drawn)]
        return Observed(
            {c: tuple(part.outcomes[c][at] for part, at in of) for c in indicator.criteria},
            tuple(group for part in parts for group in part.said),
            parts[0].ruler,
            sum((part.cost for part in parts), Cost()),
        )

    def _views(self, sitting: Sitting) -> tuple[Remembered, Remembered]:
        """The policy and the base of this audit, which score no text twice."""
        at = (sitting.audit, sitting.policy.policy)
        if self._seen is None or self._seen[0] != at:
            self._seen = (at, Remembered(sitting.policy, _SCORED), Remembered(self.base, _SCORED))
        return self._seen[1:]

    def _observed(self, indicator: Panelled, items: Sequence[Item], sampler: Sampler, how: How) -> Observed:
        found = self.worker.run(indicator.observe(items, sampler, how))
        for criterion in indicator.criteria:
            values = found.outcomes.get(criterion, ())
            promise = f"observe gives one outcome in [0, 1] or None per item for {criterion}"
            if len(values) != len(items):
                raise ContractError(indicator.name, promise, f"{len(values)} for {len(items)} items")
            if odd := [x for x in values if x is not None and not 0 <= x <= 1]:
                raise ContractError(indicator.name, promise, f"{odd[0]}")
        return found

    def _anchor(self, indicator: Panelled, items: Sequence[Item], base: Sampler) -> None:
        """The base's mean outcome on each item that has none yet. What it cannot judge counts as 0: the
        difference is then at its largest."""
        name, criteria = indicator.name, indicator.criteria
        new = [item for item in items if any((name, c, item.id) not in self._anchors for c in criteria)]
        if not new:
            return
        hows = [How(f"{self.run}/{name}/base/{k}", 1.0, self.max_tokens) for k in range(indicator.draws)]
        seen = [self._observed(indicator, new, base, how) for how in hows]
        for criterion in criteria:
            for i, item in enumerate(new):
                values = [one.outcomes[criterion][i] or 0.0 for one in seen]
                self._anchors.setdefault((name, criterion, item.id), float(np.mean(values)))

    def _reading(self, indicator: Panelled, criterion: str, sitting: Sitting, draws: _Draws) -> Reading:
        drawn, found, panel = draws
        given = found.outcomes[criterion]
        outcome = np.array([1.0 if x is None else x for x in given])
        anchor = np.array([self._anchors[indicator.name, criterion, item.id] for item in drawn])
        # An item drawn twice is one item: intervals are over items.
        different = dict.fromkeys(item.id for item in drawn)
        where = [np.array([i for i, one in enumerate(drawn) if one.id == item]) for item in different]
        ours, change = ([values[at] for at in where] for values in (outcome, outcome - anchor))
        rng = seeded(self.run, "interval", sitting.audit, indicator.name, criterion)
        level, moved, base = _spread(ours, 0.0, rng), _spread(change, -1.0, rng), float(anchor.mean())
        if isinstance(indicator, Pooled):
            figure = partial(indicator.pooled, criterion)
            level, moved = figured(figure, outcome, rng), figured_change(figure, outcome, anchor, rng)
            base = figure(anchor)
        return Reading(
            run=self.run,
            name=f"{indicator.name}.{criterion}",
            step=sitting.step,
            instrument=digest({"config": indicator.config, "panel": panel.digest, "ruler": found.ruler}),
            value=level.value,
            low=level.low,
            high=level.high,
            base=base,
            change=moved.value,
            change_low=moved.low,
            change_high=moved.high,
            unit="outcome, 1 adverse",
            n=len(ours),
            items=tuple(item.id for item in drawn),
            outcomes=tuple(outcome.tolist()),
            anchors=tuple(anchor.tolist()),
            unjudged=tuple(i for i, x in enumerate(given) if x is None),
            cost=found.cost,
            parents=tuple(dict.fromkeys(r.id for group in found.said for r in group.responses)),
        )

    def _silent(self, indicator: Panelled, criterion: str, step: int, reason: str) -> NotMeasured:
        return NotMeasured(run=self.run, name=f"{indicator.name}.{criterion}", step=step, reason=reason)


def _spread(values_P: list[Floats], least: float, rng: np.random.Generator) -> Interval:
    """The mean with its interval; one item drawn over and over says nothing of the others."""
    if len(values_P) < 2:
        return Interval(float(values_P[0].mean()), least, 1.0)
    return cluster_mean(values_P, rng) if least < 0 else share_of(values_P, rng)


class _Draws(NamedTuple):
    """What was drawn, what was seen at each draw, and the panel it is from."""

    drawn: list[Item]
    found: Observed
    panel: Panel
