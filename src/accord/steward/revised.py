"""Revised: training on answers that a model gave anew in a dialogue, and on nothing else of what was said.

sft on those answers, mixed with as many at most of the model's own to unrelated prompts and to what it holds,
measured like a variant (``trial.py``). The constitution learns what it revised by the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from accord.auditing import Engine
from accord.errors import PlanError
from accord.plan import Plan
from accord.progress import Progress
from accord.records import JSON
from accord.records.portraits import Standing
from accord.steward.effort import Effort
from accord.steward.trial import Bench, Order, Variant, bench
from accord.steward.variants import Terms, guard_of
from accord.values import Values

__all__ = ["learn", "plan_of"]

NAME = "agreed"
_ROWS = 16  # of one window


def learn(  # size: what a step of the steward is given
    model: str,
    values: Values,
    about: Sequence[Standing],
    rows: Sequence[Mapping[str, JSON]],
    *,
    runs: Path,
    name: str,
    effort: Effort,
    engine: Engine | None = None,
    progress: Progress | None = None,
    terms: Terms | None = None,
    held: Sequence[Standing] = (),
) -> Variant:
    """Train on ``rows`` of prompt and completion, and measure. Goes on where it was under its name."""
    if not rows:
        raise PlanError("rows", None, "one revised answer or more")
    with bench(model, values, Order(runs, name, effort, terms or Terms()), engine, progress) as here:
        gauges = here.gauges(about)
        return here.measured(here.trained(NAME, plan_of(here, NAME, rows, held)), about, gauges, held)


def plan_of(here: Bench, name: str, rows: Sequence[Mapping[str, JSON]], held: Sequence[Standing]) -> Plan:
    """sft on these rows and, as many at most, the base's own answers to unrelated prompts."""
    effort, terms = here.effort, here.terms
    every = [*rows, *here.anchor(held)[: len(rows)]]
    stage: dict[str, JSON] = {
        "name": name,
        "windows": effort.windows,
        "source": {"name": "offline", "data": here.write(every), "per_window": min(_ROWS, len(every))},
        "method": {"name": "sft"},
        "learner": terms.paced(1.0),
        "guard": guard_of(terms, effort, f"{terms.unrelated}:probe", max(1, effort.windows // 2)),
    }
    title = f"{here.order.name}-{name}"
    whole = {"name": title, "purpose": terms.purpose, "seed": terms.seed, "model": here.model}
    return Plan.model_validate({**whole, "stage": [stage]})
