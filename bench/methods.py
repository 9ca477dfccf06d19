"""What each method costs per token it reads, beside grpo and dpo, and how many passes explain it.

Every method that a shipped plan names takes windows of that plan: its own rows, as many texts as grpo has,
answers of 48 tokens, verdicts made up. Timed are measuring, batch and updates on one learner (LoRA), not the
window's answers. Tokens are those that one pass reads, a prompt that texts share once. A forward pass counts
1 and a forward with its backward 3, so a method that measures one column and updates once has 4. `beyond` is
the time per token and pass over that of grpo. What a reference makes of data stands on disk from an earlier
run, so dpo, ipo and kto may make a pass less than is counted.

    python bench/methods.py [--model smollm2-135m-instruct] [--rounds 3] [--only grpo,rloo]
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from accord import catalog
from accord.ahead import Imagined, made_up
from accord.engines.local import Local
from accord.engines.local.layout import clustered, packed_size
from accord.measuring import Measuring, rendering
from accord.plan import Stage, read_plan, shipped_plans
from accord.ports import Method, Task
from accord.progress import Silent
from accord.records import Sequence as Masked
from accord.sources import Surroundings
from accord.worker import Worker

TOKENS, TEXTS = 48, 32


class Cost(NamedTuple):
    """Of one window: seconds, tokens of its rows (prompts and answers), passes over them."""

    seconds: float
    tokens: int
    passes: float


def stage_of(name: str, model: str) -> Stage:
    """The stage of the shipped plan of this name, with answers of TOKENS, read by ``model`` alone."""
    plan = read_plan(shipped_plans()[name])
    rows = cast(Method, catalog.build("methods", plan.stage[0].method)).rows
    settings = [f"stage.0.source.per_window={max(1, TEXTS // max(1, rows.n))}"]
    if plan.stage[0].source.name == "rollouts":
        settings.append(f"stage.0.source.max_tokens={TOKENS}")
    if name == "distill":
        settings = [*settings, f"stage.0.method.teacher={model}"]
    return plan.set(settings).stage[0]


def costs(name: str, model: str, rounds: int) -> list[Cost]:
    """One Cost per round, after one that warms up."""
    stage = stage_of(name, model)
    method: Any = catalog.build("methods", stage.method)
    task = Task(f"bench/{name}", 0, method.needs(), method.rows.by, Silent())
    engine = Local(adapter="lora")
    learner = engine.learner(model, task)
    with Worker() as worker:
        source = catalog.build("sources", stage.source)
        opened = source.open(Surroundings(f"bench/{name}", 0, method.rows, worker))  # type: ignore[attr-defined]
        asks: list[Any] = [catalog.build("asks", ask) for ask in stage.ask]
        readers = {one.model: engine.sampler(one.model or model, Silent()) for one in method.needs().reads}
        measuring = Measuring(readers, worker, rendering(learner, opened.prompts()))
        return [_window(k, (method, learner, opened, measuring), asks) for k in range(rounds + 1)][1:]


def read(texts: Sequence[Masked]) -> int:
    """Tokens of one pass over these."""
    return sum(packed_size([texts[i] for i in cluster]) for cluster in clustered(texts, True))


def _window(k: int, parts: tuple[Any, Any, Any, Any], asks: list[Any]) -> Cost:
    method, learner, source, measuring = parts
    window = source.window(k, Imagined(learner.sampler()), made_up(asks, f"bench/{k}"))
    began = time.perf_counter()
    measured = measuring.of(window, method, learner, 0)
    batch, _ = method.batch(measured, {}, np.random.default_rng(k))
    for place in range(len(batch.steps)):
        learner.update(batch, place, method.loss, 0.0)
    seconds = time.perf_counter() - began
    tokens = read([s for row in window.rows for e in row.episodes for s in e.sequences()])
    trained = sum(
        read([batch.sequences[s] for s in np.flatnonzero(np.isin(batch.row_S, rows))]) for rows in batch.steps
    )
    needs = method.needs()
    read_only = len(needs.columns) * (2 if needs.mismatched else 1) + len({one.model for one in needs.reads})
    return Cost(
        seconds, tokens, read_only + 3 * trained / tokens + (3 * trained / tokens if needs.critic else 0)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    named = [name for name in given.only.split(",") if name] or [
        n for n in catalog.METHODS if n in shipped_plans()
    ]
    found: dict[str, tuple[float, float]] = {}
    for name in dict.fromkeys(["grpo", "dpo", *named]):
        spent = costs(name, given.model, given.rounds)
        per_token = statistics.median(one.seconds / one.tokens for one in spent)
        found[name] = (per_token * 1e3, statistics.median(one.passes for one in spent))
        ms, passes = found[name]
        beyond = (ms / passes) / (found["grpo"][0] / found["grpo"][1])
        print(f"{name:22} {ms:8.3f} ms/token  {passes:5.2f} passes  beyond {beyond:5.2f}", flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
