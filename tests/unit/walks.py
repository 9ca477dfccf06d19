"""A stage on scripted parts that learns from data and is evaluated on other data. Used by the walks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accord.checkpoints import Progressing, latest, load_state
from accord.engines.scripted import Scripted
from accord.evaluation import Criterion, Evaluator
from accord.guard import Guard, Probing, Watch
from accord.loop import Loop, Pace
from accord.ports import Learner, Rule, Task
from accord.progress import Silent
from accord.records import Prompt, Reading, Record, Response
from accord.records.rows import Columns, Group
from accord.rules import Fault, Missing, NonFinite
from accord.sources import Offline, Surroundings
from accord.testing import PlainLikelihood, ScriptedIndicator
from accord.worker import Worker

__all__ = ["LAST", "RULES", "RUN", "Log", "a_walk", "losses"]

P = {"Why?": (0.2, 0.7, 0.1), "How?": (0.5, 0.3, 0.2)}
ENGINE = Scripted(words=("yes", "no", "maybe"), p=P, lr=2.0, tensors="numpy")
RUN = "run/stage"
# Training on yes helps on these at first, and then harms.
OTHER = (("Why?", "yes"), ("Why?", "no"), ("How?", "yes"), ("How?", "no"))
TAUGHT = (("Why?", "yes"), ("How?", "yes"))
LAST = Criterion("objective", "lower", 0, False)
RULES: tuple[Rule, ...] = (Fault(), NonFinite(), Missing())


class Log:
    """Records in the order they were made durable, each with the step it was written under."""

    def __init__(self) -> None:
        self.durable: list[tuple[Record, int]] = []

    def commit(self, records: Iterable[Record], step: int) -> None:
        self.durable += [(record, step) for record in records]

    def of(self, kind: type[Any], name: str = "") -> list[Any]:
        return [r for r, _ in self.durable if isinstance(r, kind) and getattr(r, "name", "").startswith(name)]

    def facts(self) -> set[tuple[str, int]]:
        """Texts by their id alone: a resume may need one at another step than the first time."""
        texts = (Prompt, Response)
        return {(record.id, -1 if isinstance(record, texts) else step) for record, step in self.durable}


def silent(groups: Sequence[Group]) -> Columns | None:
    return None


def rows(folder: Path, name: str, of: Sequence[tuple[str, str]]) -> str:
    file = folder / name
    file.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in of))
    return str(file)


def a_walk(
    folder: Path, worker: Worker, *, log: Log | None = None, every: int = 1, keep: int = 2, **told: Any
) -> Loop:
    """Windows of two rows, an epoch of two steps each, twice: four updates a window."""
    folder.mkdir(parents=True, exist_ok=True)
    log = log or Log()
    method = told.pop("method", PlainLikelihood(by="data", epochs=2, rows_per_step=1))
    learner: Learner = ENGINE.learner("scripted", Task(RUN, 0))
    newest = latest(folder / "checkpoints")
    state = load_state(newest, learner) if newest else Progressing()
    around = Surroundings(RUN, 0, method.rows, worker)
    source = Offline(data=rows(folder, "train.jsonl", TAUGHT), per_window=2).open(around)
    other = Offline(data=rows(folder, "eval.jsonl", OTHER), per_window=4).open(around)
    probing = Probing(tuple(source.prompts()), 2, 2, 1.0, 4)
    indicators = (ScriptedIndicator(values=(0.5,)),)
    watch = Watch(RUN, indicators, told.pop("rules", RULES), probing, ENGINE.sampler("scripted", Silent()))
    guard = Guard(watch, log.commit, worker)
    if state.guard:
        guard.restore(state.guard)
    pace = Pace(told.pop("windows", 3), 1, told.pop("save_every", 1), keep, evaluate_every=every)
    loop = Loop(
        run=RUN,
        seed=0,
        pace=replace(pace, examine_every=told.pop("examine_every", None)),
        source=source,
        feedback=silent,
        method=method,
        learner=learner,
        guard=guard,
        state=state,
        checkpoints=folder / "checkpoints",
        commit=log.commit,
        examine=told.pop("examine", None),
        progress=Silent(),
    )
    criterion = told.pop("criterion", Criterion("objective", "lower", 0, True))
    loop.evaluator = Evaluator(
        run=RUN,
        seed=0,
        source=other,
        windows=None,
        criterion=criterion,
        method=told.pop("evaluated", method),
        learner=learner,
        feedback=silent,
        progress=Silent(),
        described={},
        path="stage[0].eval",
    )
    assert not told, told
    return loop


def losses(log: Log) -> dict[int, float]:
    return {one.step: one.value for one in log.of(Reading, "eval.nll")}
