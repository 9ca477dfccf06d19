"""Covariance: what in the base's answers does the reward go with, and where would that push (2602.01002)?

The traits are those of the indicators that page on answers: longer ones (11), agreement with the asker (13),
refusals of what is harmless (14), the commonest answer where people disagree (9). The first is read on the
stage's own prompts, the others on the guard's panels, with the panel's questions put freely: each belief once
for either option, so that a reward for what is right does not count as one for agreement.

1. Both moments are those of the prompts a trait is read on; the planned KL is taken to be spent there too.
2. Length is in units of the base's mean, so its tolerance is the guard's growth by a half.
3. A panel whose answers the stage's overseer does not judge is not measured: no reward is paid there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from accord.gating.grounds import Grounds, Lacking
from accord.gating.report import Figure, Finding, Status
from accord.indicators import listed
from accord.maths.drifting import drift, moments, tilt
from accord.maths.refusals import refusal
from accord.maths.said import option_named, option_said
from accord.pages import TOLERANCES
from accord.panels import read_panel
from accord.records import Prompt
from accord.records.panels import Item
from accord.records.rows import Floats, Group
from accord.signs import Gaming
from accord.sources import seeded

__all__ = ["CHECK", "beta_of", "covariance", "modal"]

CHECK = "covariance"

Read = Callable[[Group], list[float | None]]


class Trait(NamedTuple):
    """A trait of answers: 1 the adverse end, or more of it. ``tolerance``: how much of it may be gained."""

    name: str
    tolerance: float
    prompts: tuple[Prompt, ...]
    read: Read


def covariance(grounds: Grounds) -> Finding:
    """The drift of each trait at the planned KL, and which would leave its tolerance."""
    stage = grounds.stage.name
    try:
        groups, rewards = grounds.drawn
    except Lacking as lack:
        return Finding(CHECK, "not measurable", lack.why, stage, remedy=lack.remedy)
    size = float(np.mean([len(r.tokens) for g in groups for r in g.responses])) or 1.0
    longer = Trait("length", Gaming().longer, grounds.prompts, partial(_lengths, size))
    figures, over = [_figure(grounds, longer, groups, rewards)], []
    for trait in _on_panels(grounds):
        try:
            said = grounds.answered(trait.prompts, f"answers to the panel of {trait.name}")
            figures.append(_figure(grounds, trait, said, grounds.judged(said)))
        except Lacking as lack:
            figures.append(Figure(trait.name, None, note=f"not measured, {lack.why}"))
    over = [one for one in figures if one.low is not None and one.limit is not None and one.low > one.limit]
    kl = grounds.stage.guard.planned_kl
    if over:
        worst = ", ".join(one.name for one in over)
        says = f"at {kl:g} nats the reward would push {worst} over what is tolerated"
        return Finding(CHECK, "refused", says, stage, tuple(figures), _nearer(grounds, over))
    if all(one.value is None for one in figures):
        return Finding(CHECK, "not measurable", figures[0].note, stage, tuple(figures))
    if too_few := grounds.too_few:
        wanted = f"{grounds.wishes.command} --prompts 200 --answers 16"
        return Finding(CHECK, "not measurable", too_few, stage, tuple(figures), (wanted,))
    says = f"at {kl:g} nats no trait is shown to be pushed over what is tolerated"
    return Finding(CHECK, _passed(figures), says, stage, tuple(figures))


def beta_of(grounds: Grounds) -> float | None:
    """The β of the stage's method, or of the one inside it: its optimum is π₀·e^{r/β}. None for none."""
    method: object = grounds.method
    while (inner := getattr(method, "inner", None)) is not None:
        method = inner
    beta: object = getattr(method, "beta", None)
    return float(beta) if isinstance(beta, int | float) and beta > 0 else None


def modal(taken_G: Sequence[int | None]) -> list[float | None]:
    """Whether each answer took what most of its group took: 1 or 0; None where it took nothing.

    Of equal ones the first of the options counts as the mode. Two of three took 1.

    >>> modal([1, None, 0, 1])
    [1.0, None, 0.0, 1.0]
    """
    counts = Counter(taken for taken in taken_G if taken is not None)
    if not counts:
        return [None] * len(taken_G)
    mode = min(counts, key=lambda option: (-counts[option], option))
    return [None if taken is None else float(taken == mode) for taken in taken_G]


def _passed(figures: Sequence[Figure]) -> Status:
    """Passed where no interval reaches beyond a tolerance; else it is printed, and nothing is shown."""
    wide = [one for one in figures if one.high is not None and one.limit is not None and one.high > one.limit]
    return "printed only" if wide else "passed"


def _nearer(grounds: Grounds, over: Sequence[Figure]) -> tuple[str, ...]:
    """The planned KL at which no trait would be pushed over: a drift grows with its root."""
    planned = grounds.stage.guard.planned_kl
    kl = min(planned * ((one.limit or 0.0) / (one.low or 1.0)) ** 2 for one in over)
    at = max(0.01, math.floor(kl * 100) / 100)
    nearer = f"{grounds.wishes.command} --set {grounds.path}.guard.planned_kl={at:g}"
    return nearer, "reward what these traits do not come with"


def _figure(grounds: Grounds, trait: Trait, groups: Sequence[Group], rewards: dict[str, float]) -> Figure:
    shown = [_array(trait.read(group)) for group in groups]
    paid = [_array([rewards.get(r.id) for r in group.responses]) for group in groups]
    kl, rng = grounds.stage.guard.planned_kl, seeded("gate", CHECK, trait.name)
    found = drift(moments(shown, paid), kl, rng)
    if not isinstance(found, str) and all(np.unique(x_G[np.isfinite(x_G)]).size < 2 for x_G in shown):
        # No resample varies either: a drift of 0 without an interval would be told as certainty.
        found = "no two answers to one prompt differ in it"
    if isinstance(found, str):
        return Figure(trait.name, None, note=f"not measured, {found}")
    beta = beta_of(grounds)
    whole = "" if beta is None else f"{tilt(shown, paid, beta):+.3g} at the optimum of β = {beta:g}"
    return Figure(trait.name, found.value, found.low, found.high, trait.tolerance, whole)


def _array(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if x is None else x for x in values], dtype=np.float64)


def _lengths(size: float, group: Group) -> list[float | None]:
    return [len(response.tokens) / size for response in group.responses]


def _on_panels(grounds: Grounds) -> list[Trait]:
    """The traits of panels, of the panels that the guard of this stage reads."""
    page, count = grounds.page, grounds.wishes.extent.prompts
    tolerances = TOLERANCES if page is None else page.tolerances
    makers = {
        "sycophancy.flips": ("agreement", _believing),
        "refusals.safe": ("refusal", _harmless),
        "contested.consensus": ("the commonest answer", _disputed),
    }
    found: list[Trait] = []
    for criterion, (name, make) in makers.items():
        tolerance = tolerances.get(criterion)
        if tolerance is not None and tolerance.by is not None:
            asked = make(count)
            prompts = tuple(prompt for prompt, _ in asked)
            readers = {prompt.id: read for prompt, read in asked}
            found.append(Trait(name, tolerance.by, prompts, _by_prompt(readers)))
    return found


def _by_prompt(readers: dict[str, Read]) -> Read:
    return lambda group: readers[group.prompt.id](group)


def _believing(count: int) -> list[tuple[Prompt, Read]]:
    """Questions put by one who believes the first option, and by one who believes the second."""
    found: list[tuple[Prompt, Read]] = []
    for item in _some("sycophancy", (count + 1) // 2, lambda item: "belief" in item.more):
        for place, option in enumerate(item.options):
            stated = str(item.more["belief"]).replace("{belief}", option)
            found.append((Prompt.of(f"{stated} {item.prompt.text}", item.slice), _agreeing(item, place)))
    return found[:count]


def _agreeing(item: Item, believed: int) -> Read:
    def read(group: Group) -> list[float | None]:
        taken = [option_named(response.text, item.options) for response in group.responses]
        return [None if one is None else float(one == believed) for one in taken]

    return read


def _harmless(count: int) -> list[tuple[Prompt, Read]]:
    items = _some("refusals", count, lambda item: item.more.get("unsafe") is False)
    return [(item.prompt, lambda g: [float(refusal(r.text).refuses) for r in g.responses]) for item in items]


def _disputed(count: int) -> list[tuple[Prompt, Read]]:
    items = _some("contested", count, lambda item: 2 <= len(item.options) <= 8)
    return [(listed(item.prompt, item.options), _commonest(item)) for item in items]


def _commonest(item: Item) -> Read:
    return lambda group: modal([option_said(response.text, item.options) for response in group.responses])


def _some(panel: str, count: int, fits: Callable[[Item], bool]) -> list[Item]:
    """Items of a panel in an order of their own, as many as wanted or as there are."""
    items = [item for item in read_panel(panel).items if fits(item)]
    order = seeded("gate", "items", panel).permutation(len(items))[:count]
    return [items[int(i)] for i in order]
