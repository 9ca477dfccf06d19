"""Amplify: what a model does already, now and then or when told, made what it does.

For slices that are within reach: variants of one plan (``variants.py``), each run, each measured on the
sealed halves and by forward KL; of those that reach every target the one that came least far from the base on
the prompts at hand is chosen (2509.04259: what is forgotten follows that figure). Nothing is pushed down.

1. *Reached* is the share itself at or above the target in every slice. Whether that is shown is the class of
   the standing: a slice with few prompts cannot be shown to be held, whatever was trained.
2. The figures of variants that were not chosen stay in the result. The chosen one is not that of the largest
   share: it is chosen by another figure among those that reach. But which reach is read on the prompts that
   say afterwards what it came to, so its share is a little too high rather than too low; ``why`` says so.
3. A variant that is shown to lose what the base ``held`` is not chosen. Training halves of what it held are
   among the anchor's prompts.
4. Every training prompt is of a training half; unrelated prompts that a sealed half holds are left out, and
   what would be written for training is refused if one is among it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from accord.auditing import Engine
from accord.errors import PlanError
from accord.progress import Progress
from accord.records import JSON
from accord.records.portraits import Standing
from accord.steward.effort import Effort
from accord.steward.trial import Bench, Order, Variant, bench, chosen
from accord.steward.variants import Form, Terms, forms, plan_of, rows_of
from accord.stores.files import write_aside
from accord.values import Values, read_values

__all__ = ["Amplified", "Terms", "Variant", "amplify", "chosen"]

FILE = "amplified.json"


class Amplified(NamedTuple):
    """What was tried for ``within``, and what was chosen. ``model``: the chosen result, None for none.

    ``left``: slices that no program judges, which are not amplified, and why; ``unfiltered``: hard principles
    that no program checks, so that no answer is held back for them.
    """

    within: tuple[Standing, ...]
    variants: tuple[Variant, ...]
    chosen: int | None
    why: str
    model: Path | None
    left: Mapping[str, str] = {}
    unfiltered: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, str]]:
        """One row for each variant, those not chosen too."""
        return [
            {
                "variant": f"{one.name}{' (chosen)' if place == self.chosen else ''}",
                "reached": "stopped" if one.stopped else "yes" if one.reached else "no",
                "lost": ", ".join(one.lost),
                **{f"{s.principle}, {s.slice}": _share(s) for s in one.standings(self.within)},
                "KL task": _figure(one.bits),
                "KL unrelated": _figure(one.drift),
                "pushed down": _figure(one.pressure.get("pushed_answers")),
                "unused": _figure(one.unused),
                "seconds": f"{one.seconds:.0f}",
            }
            for place, one in enumerate(self.variants)
        ]

    def lines(self, table_of: Callable[[Sequence[Mapping[str, object]]], list[str]]) -> Iterator[str]:
        """All of it for a terminal."""
        yield self.why
        yield from table_of(self.rows())
        yield from (f"{one.name} was stopped: {one.stopped}" for one in self.variants if one.stopped)
        yield from (f"not amplified: {what}: {why}" for what, why in self.left.items())
        yield from (f"hard, and no program checks it as it trains: {one}" for one in self.unfiltered)
        yield "shares: of the sealed half; KL: forward, from the base, bits a byte; pushed down: of answers"

    def json(self) -> dict[str, JSON]:
        """Every figure."""
        return {
            "within": [{"principle": s.principle, "slice": s.slice} for s in self.within],
            "variants": [one.json() for one in self.variants],
            "chosen": self.chosen,
            "why": self.why,
            "model": None if self.model is None else str(self.model),
            "left": dict(self.left),
            "unfiltered": list(self.unfiltered),
        }


def amplify(  # size: what a step of the steward is given
    model: str,
    values: Values | Path | str,
    within: Sequence[Standing],
    *,
    runs: Path,
    name: str,
    effort: Effort,
    engine: Engine | None = None,
    progress: Progress | None = None,
    terms: Terms | None = None,
    held: Sequence[Standing] = (),
) -> Amplified:
    """Train and measure the variants, and choose. Called again under its name it goes on where it was.

    PlanError where a standing is not within reach, or no program judges any of them.
    """
    values, terms = values if isinstance(values, Values) else read_values(values), terms or Terms()
    left = {
        f"{one.principle}, {one.slice}": "no program judges it, so there is no score to learn from"
        for one in within
        if values.program(one.principle) is None
    }
    within = tuple(one for one in within if values.program(one.principle) is not None)
    if not within:
        raise PlanError("within", list(left), "slices within reach that a program judges")
    found = forms(within, effort.variants)
    with bench(model, values, Order(runs, name, effort, terms), engine, progress) as here:
        gauges = here.gauges(within)
        variants = tuple(here.measured(_trained(here, form, held), within, gauges, held) for form in found)
        place, why = chosen(variants)
        result = None if place is None else variants[place].model
        open_ = tuple(one.id for one in values.principles if one.hard and not values.program(one.id))
        done = Amplified(within, variants, place, why, result, left, open_)
        write_aside(here.folder / FILE, json.dumps(done.json(), ensure_ascii=False, indent=1))
        here.show.say(why)
    return done


def _trained(here: Bench, form: Form, held: Sequence[Standing]) -> Variant:
    files = here.files(rows_of(form, here.values), held)
    title = f"{here.order.name}-{form.name}"
    return here.trained(form.name, plan_of(title, here.model, form, files, here.order.terms, here.effort))


def _share(one: Standing) -> str:
    return "" if one.own is None else f"{one.own.value:.2f} [{one.own.low:.2f}, {one.own.high:.2f}]"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
