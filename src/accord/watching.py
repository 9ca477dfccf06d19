"""Watching: what the guard of a stage consists of, as its plan names it (layer 4, with ``assembly``).

Here: indicators, panels less what training data hold of them, rules with the part of δ that the stage may
spend, and what a look costs. Not here: when it looks (the loop) and what follows (the rules).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast

from accord import catalog
from accord.errors import PlanError, Refused
from accord.guard import Probing, Watch
from accord.maths.spending import stage_delta
from accord.pages import Page
from accord.panels import leaked, read_panel
from accord.plan import PartTable, Plan, Stage
from accord.ports import Indicator, Judged, Panelled, Rule, Sampler, Source, Telling
from accord.probing import OWN
from accord.progress import Progress
from accord.records import Prompt
from accord.records.panels import Panel
from accord.stores.foreign.prompts import read_rows
from accord.tiers import tiers

__all__ = ["Watched", "looking", "watching", "watching_updates"]

_LEAKED = 0.01  # a larger share of a panel in the training data is no accident


class Watched(NamedTuple):
    """The stage that is watched: its run, the plan it stands in, and where it stands there."""

    run: str
    plan: Plan
    stage: Stage

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Those that the plan names, else the default ones with this stage's part of δ."""
        named = self.stage.guard.rule
        if named is not None:
            return tuple(cast(Rule, catalog.build("rules", rule)) for rule in named)
        place = [stage.name for stage in self.plan.stage].index(self.stage.name)
        delta = stage_delta(self.plan.delta, place, len(self.plan.stage))
        return tiers(delta)


def watching(watched: Watched, source: Source, base: Sampler, progress: Progress) -> Watch:
    """The guard of a stage whose model answers. Refused where the base cannot be asked what is to be read."""
    table = watched.stage.guard
    prompts = tuple(source.prompts())
    if table.prompts is not None:
        prompts = tuple(row.prompt for row in read_rows(table.prompts))
    looking, asking = _parted(table.indicator)
    for indicator in looking:
        if not indicator.wants <= base.can:
            lacking = sorted(indicator.wants - base.can)
            raise Refused(
                f"the indicator {indicator.name} needs {lacking}, which {watched.plan.model} cannot give"
            )
    _check_judges(asking, watched.rules)
    distinct = tuple({prompt.id: prompt for prompt in prompts}.values())
    panels, faults = _panels(asking, source, progress)
    return Watch(
        run=watched.run,
        indicators=looking,
        rules=watched.rules,
        probing=Probing(distinct, table.probes, table.answers, table.temperature, table.max_tokens),
        base=base,
        panelled=asking,
        panels=panels,
        items=table.items,
        faults=faults,
        heed=table.heed,
    )


def watching_updates(watched: Watched, policy: Sampler) -> Watch:
    """The guard of a reward model: it answers no probes, so there are updates and windows to watch."""
    return Watch(watched.run, (), watched.rules, Probing((), 0, 0, 1.0, 1), policy)


def looking(watch: Watch) -> int:
    """Tokens that one audit reads if every answer is as long as it may be."""
    probing, count = watch.probing, min(watch.probing.probes, len(watch.probing.prompts))
    asked = max(len(watch.base.encode(prompt, "").prompt_tokens) for prompt in probing.prompts)
    costs = [i.cost(count, probing.answers, asked + probing.max_tokens) for i in watch.indicators]
    for indicator in watch.panelled:
        panel = watch.panels.get(indicator.panel)
        some = [item.prompt for item in panel.items[:_SOME]] if panel else probing.prompts[:_SOME]
        length = sum(len(watch.base.encode(prompt, "").prompt_tokens) for prompt in some) // len(some)
        costs.append(indicator.cost(round(watch.items * indicator.share), length + _OPTIONS))
    return sum(cost.tokens_in for cost in costs)


_SOME = 8  # items of a panel whose length is taken for the others'
_OPTIONS = 40  # tokens that a question's options take beside it


def _parted(tables: Sequence[PartTable]) -> tuple[tuple[Indicator, ...], tuple[Panelled, ...]]:
    """Indicators that look at fresh answers, and those that ask items of panels."""
    built = [catalog.build("indicators", table) for table in tables]
    asking = tuple(one for one in built if isinstance(one, Panelled))
    return tuple(cast(Indicator, one) for one in built if not isinstance(one, Panelled)), asking


def _check_judges(asking: Sequence[Panelled], rules: Sequence[Rule]) -> None:
    """PlanError where a rule would page on a judge's word as if he never erred."""
    judged = [
        f"{one.name}.{c}" for one in asking if isinstance(one, Judged) and one.judged for c in one.criteria
    ]
    for rule in rules:
        if isinstance(rule, Page):
            for name in (name for name in judged if name in rule.tolerances and name not in rule.judges):
                advice = "an empty table lets it warn; with what people counted it may page"
                raise PlanError(
                    f"guard.rule[page].judges.{name!r}", None, "counts of its judge's errors", advice
                )


def _panels(
    asking: Iterable[Panelled], source: Source, progress: Progress
) -> tuple[dict[str, Panel], tuple[str, ...]]:
    """The panels by name, without what the training data hold of them; faults where that is much."""
    texts = list(_taught(source))
    panels: dict[str, Panel] = {}
    faults: list[str] = []
    for name in dict.fromkeys(one.panel for one in asking if one.panel != OWN):
        leak = leaked(read_panel(name), texts)
        panels[name] = leak.panel
        if not leak.items:
            continue
        told = f"{len(leak.items)} items of the panel {name} stand in the training data"
        progress.say(f"{told} and are left out: {leak.items[0].prompt.text[:80]!r}")
        if leak.share > _LEAKED:
            faults.append(f"{told}, {leak.share:.1%} of it; tolerated: {_LEAKED:.0%}")
    return panels, tuple(faults)


def _taught(source: Source) -> Iterable[str]:
    """All that training will read, as far as the source tells: prompts, and the answers in a file."""
    for prompt in source.prompts():
        yield from _words_of(prompt)
    if isinstance(source, Telling):
        yield from source.texts()


def _words_of(prompt: Prompt) -> Iterable[str]:
    return (message.content for message in prompt.messages)
