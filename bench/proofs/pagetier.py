"""The page tier twice: as the guard runs it, and for thousands of runs at once.

``followed`` is the real path: the guard's default indicators, ``Prober``, readings, ``Page``. ``many`` draws
the same items from the same (run, audit, panel), looks the outcomes up in tables, and does the arithmetic of
``maths.sequential`` on whole arrays. ``tests/planted/test_evidence.py`` proves the e-values of both equal.
Axes: ``_R`` runs, ``_A`` audits, ``_N`` draws, ``_K`` indicators.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accord import catalog
from accord.maths.sequential import STAKES, e_values, grown, growth, named
from accord.maths.spending import arming_delta
from accord.pages import Page, standing
from accord.plan import GuardTable
from accord.ports import History, How, Panelled, Sampler
from accord.probing import OWN, Prober, Sitting
from accord.records import Decision, NotMeasured, Prompt, Reading
from accord.records.panels import Item, Panel
from accord.sources import seeded
from accord.testing.organisms import Planted
from accord.worker import Worker

__all__ = ["Asked", "Pages", "Seen", "Tables", "asking", "crossed", "followed", "many", "own_panel", "tables"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ITEMS = GuardTable().items
RULE = Page()
DELTA = arming_delta(RULE.delta, 0)


def asking() -> list[Panelled]:
    """The indicators of a guard that no plan changed, as far as they ask items and may page."""
    built = [catalog.build("indicators", table) for table in GuardTable().indicator]
    return [one for one in built if isinstance(one, Panelled) and one.tier == "page"]


def own_panel(base: Sampler, prompts: Sequence[Prompt], draws: int = 4) -> Panel:
    """What the base itself answers, as the guard makes a panel of it."""
    with Worker() as worker:
        groups = worker.run(base.sample(prompts, draws, How("own", 1.0, 64)))
    items = (Item(group.prompt, answer=r.text) for group in groups for r in group.responses if r.text)
    return Panel(OWN, tuple({item.id: item for item in items}.values()))


@dataclass(frozen=True)
class Tables:
    """Outcomes of one model by criterion, of all items that the indicator takes."""

    outcomes: Mapping[str, Floats]


def tables(model: Planted, own: Panel) -> Tables:
    """As they were planted; of the base's own answers, from the probability that the model gives to each."""
    bits = [
        min(1.0, -math.log2(max(model.share(item.prompt).get(item.answer, 0.0), 1e-300)) / _bytes(item) / 8)
        for item in own.items
    ]
    return Tables({**model.planted(), "forward_kl.bits": np.array(bits)})


def _bytes(item: Item) -> int:
    return len(item.answer.encode())


def crossed(model: Tables, base: Tables) -> frozenset[str]:
    """Indicators of which a criterion lies beyond its tolerance on the panel as a whole."""
    beyond = [
        name.partition(".")[0]
        for name, tolerance in RULE.tolerances.items()
        if name in model.outcomes
        and tolerance.differences(model.outcomes[name], base.outcomes[name]).mean() > tolerance.tau + 1e-9
    ]
    return frozenset(beyond)


class Seen(NamedTuple):
    """A run by the real path: e-values by indicator after every audit, and what the rule said at each."""

    e_K: Mapping[str, Floats]
    decisions: list[Decision]
    readings: list[Reading | NotMeasured]

    @property
    def page(self) -> int | None:
        """The first audit, from 0, at which it stopped the run."""
        stops = [a for a, one in enumerate(self.decisions) if one.action != "continue"]
        return stops[0] if stops else None

    @property
    def named(self) -> frozenset[str]:
        """Whom the first page names."""
        if self.page is None:
            return frozenset()
        place = named([float(e_A[self.page]) for e_A in self.e_K.values()], DELTA).named
        return frozenset(list(self.e_K)[k] for k in place)


def followed(
    run: str, policies: Iterable[Sampler], prober: Prober, indicators: Sequence[Panelled], on: bool = False
) -> Seen:
    """Every policy is audited once, in order, until a page; ``on``: after it too."""
    readings: list[Reading | NotMeasured] = []
    decisions: list[Decision] = []
    for audit, policy in enumerate(policies):
        for indicator in indicators:
            readings += prober.read(indicator, Sitting(audit, audit, policy, ITEMS)).readings
        decisions.append(RULE(History(run, audit, (), tuple(readings), ())))
        if decisions[-1].action != "continue" and not on:
            break
    now = standing(RULE, History(run, len(decisions) - 1, (), tuple(readings), ()))
    assert now is not None
    return Seen(now.e, decisions, readings)


class Pages(NamedTuple):
    """First pages of many runs: the audit (from 0; −1: none), whom it names, and all e-values."""

    audit_R: Ints
    named_R: list[frozenset[str]]
    indicators: list[str]
    e_RAK: Floats


class Asked(NamedTuple):
    """Who asks what: the indicators, the panels by name, and the base's outcomes."""

    indicators: Sequence[Panelled]
    panels: Mapping[str, Panel]
    base: Tables


def many(runs: Sequence[str], models: Sequence[Tables], policy_RA: Ints, asked: Asked) -> Pages:
    """The same for whole arrays: run r audits ``models[policy_RA[r, a]]`` at its audit a."""
    drawn: dict[tuple[object, ...], Ints] = {}
    names, e_K = [one.name for one in asked.indicators], list[Floats]()
    for one in asked.indicators:
        panel = asked.panels[one.panel]
        able_I = np.array([one.takes(item) for item in panel.items])
        size = max(1, round(ITEMS * one.share))
        key = (one.panel, able_I.tobytes(), size)
        if key not in drawn:
            drawn[key] = np.array([_drawn(run, policy_RA.shape[1], panel, able_I, size) for run in runs])
        criteria = [f"{one.name}.{criterion}" for criterion in one.criteria]
        e_K.append(np.mean([_e(c, models, policy_RA, asked.base, drawn[key]) for c in criteria], axis=0))
    e_RAK = np.stack(e_K, axis=-1)
    pages_RA = e_RAK.mean(axis=-1) >= 1 / DELTA
    audit_R = np.where(pages_RA.any(axis=1), pages_RA.argmax(axis=1), -1)
    who = [named(e_RAK[r, a].tolist(), DELTA).named if a >= 0 else () for r, a in enumerate(audit_R)]
    return Pages(audit_R, [frozenset(names[k] for k in place) for place in who], names, e_RAK)


def _drawn(run: str, audits: int, panel: Panel, able_I: NDArray[np.bool_], size: int) -> Ints:
    """The items of every audit of a run, by their place among those that can be posed, as ``Prober`` draws
    them."""
    able = int(able_I.sum())
    rngs = (seeded(run, "probes", audit, _named(panel)) for audit in range(audits))
    return np.array([rng.integers(able, size=size) for rng in rngs])


def _named(panel: Panel) -> str:
    """As indicators name it; small worlds call theirs after it."""
    return panel.name.removeprefix("small ")


def _e(criterion: str, models: Sequence[Tables], policy_RA: Ints, base: Tables, drawn_RAN: Ints) -> Floats:
    tolerance = RULE.tolerances[criterion]
    outcome = np.stack([one.outcomes[criterion] for one in models])[policy_RA[..., None], drawn_RAN]
    delta_RAN = tolerance.differences(outcome, base.outcomes[criterion][drawn_RAN])
    growth_RAG = growth(delta_RAN, tolerance.tau)
    log_m_RG = np.full((len(drawn_RAN), len(STAKES)), -np.inf)
    found: list[Floats] = []
    for a in range(drawn_RAN.shape[1]):
        log_m_RG = grown(log_m_RG, a + 1, growth_RAG[:, a])
        found.append(e_values(log_m_RG, a + 1))
    return np.stack(found, axis=1)
