"""check_method, check_source, check_world and check_store catch a part that breaks one promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.broken import ENGINE, SEEN, broken

from accord.ports import Needs, Shape, WorldStep
from accord.progress import Silent
from accord.records import Message, Prompt
from accord.records.rows import Row, Window
from accord.sources import Rollouts, Surroundings
from accord.stores.memory import MemoryStore
from accord.testing import (
    PlainLikelihood,
    ScriptedWorld,
    a_response,
    check_method,
    check_source,
    check_store,
    check_world,
    scored,
)
from accord.worker import Worker


class Remembers(PlainLikelihood):
    """State in the object instead of in the Memory."""

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        SEEN.append(1)
        return super().batch(window, {"seen": len(SEEN)}, rng)


class Global(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        own = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        return super().batch(window, memory, own)


class Writes(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        memory["seen"] = 1
        return super().batch(window, memory, rng)


class Fills(PlainLikelihood):
    """Takes a missing score for a 1."""

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        rows = tuple(
            replace(r, columns={"score": 1.0}, missing=False) if r.missing else r for r in window.rows
        )
        return super().batch(replace(window, rows=rows), memory, rng)


class Means(PlainLikelihood):
    """A mean for a sum: what depends on the split."""

    def loss(self, out: Any, batch: Any) -> Any:
        return {"nll": -out.logp_T.mean()}


class Squares(PlainLikelihood):
    """Not row-local: squares the sum over the micro-batch."""

    def loss(self, out: Any, batch: Any) -> Any:
        return {"nll": out.logp_T.sum() ** 2}


class Pushes(PlainLikelihood):
    def loss(self, out: Any, batch: Any) -> Any:
        return {"nll": out.logp_T.sum()}


class Misnames(PlainLikelihood):
    def loss(self, out: Any, batch: Any) -> Any:
        return {"loss": -out.logp_T.sum()}


class Uncounted(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        return replace(batch, counts=tuple({"nll": 0.0} for _ in batch.counts)), memory


class Ragged(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        return replace(batch, tokens={"weight": batch.tokens["weight"][1:]}), memory


class Restless(PlainLikelihood):
    """A step even where there is nothing to learn."""

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch, memory = super().batch(window, memory, rng)
        if not batch.steps:
            batch = replace(batch, steps=(np.zeros(0, np.int64),), counts=({"nll": 1.0},))
        return batch, memory


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Remembers, "pure"),
        (Global, "pure"),
        (Writes, "Memory it was given"),
        (Fills, "missing"),
        (Means, "row-local"),
        (Squares, "row-local"),
        (Pushes, "pushes_down is False"),
        (Misnames, "returns the terms"),
        (Uncounted, "counts are finite"),
        (Ragged, "per answer token"),
        (Restless, "at least one"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_methods(kind: type[PlainLikelihood], promise: str) -> None:
    assert promise in broken(lambda: check_method(kind(threshold=0.3, rows_per_step=9), tensors="numpy"))


def test_measured_columns_reach_a_method_that_needs_them() -> None:
    class Wants(PlainLikelihood):
        def needs(self) -> Needs:
            return Needs(frozenset({"old_logp"}))

        def batch(self, window: Any, memory: Any, rng: Any) -> Any:
            assert len(window.measured["old_logp"]) == len(window.rows)
            return super().batch(window, memory, rng)

    check_method(Wants(), tensors="numpy")


class Cursor:
    """Window k is whatever comes next."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._next = inner, 0
        self.prompts = inner.prompts

    def window(self, index: int, policy: Any, feedback: Any) -> Window:
        self._next += 1
        return replace(self._inner.window(self._next, policy, feedback), index=index)


class Filling:
    """Takes a missing score for a NaN that is not missing."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.prompts = inner.prompts

    def window(self, index: int, policy: Any, feedback: Any) -> Window:
        window = self._inner.window(index, policy, feedback)
        return replace(window, rows=tuple(replace(row, missing=False) for row in window.rows))


class Mixing(Filling):
    def window(self, index: int, policy: Any, feedback: Any) -> Window:
        window = self._inner.window(index, policy, feedback)
        return replace(window, rows=tuple(Row(r.episodes, r.columns, r.missing, 0) for r in window.rows))


class Secret(Filling):
    """Draws a prompt that it does not list."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.prompts = lambda: inner.prompts()[:1]

    def window(self, index: int, policy: Any, feedback: Any) -> Window:
        return self._inner.window(index, policy, feedback)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Cursor, "no hidden cursor"),
        (Filling, "marked missing"),
        (Mixing, "share their prompt"),
        (Secret, "among prompts()"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_sources(kind: Any, promise: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(f'{{"prompt": "{i}"}}' for i in range(7)))
    part, shape = Rollouts(prompts=f"{tmp_path}/p.jsonl", per_window=3), Shape("answer", 2, "policy")
    policy = ENGINE.sampler("scripted", Silent())
    with Worker() as worker:
        opened = lambda: kind(part.open(Surroundings("r/s", 0, shape, worker)))  # noqa: E731
        feedback = lambda groups: scored(groups, {"a": 1.0})  # noqa: E731
        assert promise in broken(lambda: check_source(opened, policy, feedback, shape=shape))


class Overwrites(MemoryStore):
    def put(self, *records: Any) -> None:
        for record in records:
            if record.id in self._records:
                self._of_kind[record.kind] = [r for r in self._of_kind[record.kind] if r.id != record.id]
                del self._records[record.id]
        super().put(*records)


class Backwards(MemoryStore):
    def find(self, kind: str, **told: Any) -> Any:
        return super().find(kind, **told)[::-1]


class NoneGet(MemoryStore):
    def get(self, record: str) -> Any:
        return self._records.get(record)


class Shallow(MemoryStore):
    def lineage(self, record: str) -> Any:
        return super().lineage(record)[:2]


class AnyRun(MemoryStore):
    def find(self, kind: str, *, parent: Any = None, run: Any = None) -> Any:
        return super().find(kind, parent=parent)


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Overwrites, "first record under an id"),
        (Backwards, "order they came"),
        (NoneGet, "KeyError"),
        (Shallow, "every ancestor"),
        (AnyRun, "filters by run"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_stores(kind: Any, promise: str) -> None:
    assert promise in broken(lambda: check_store(kind))


class Sticky(ScriptedWorld):
    """Remembers the last episode."""

    def reset(self, seed: str) -> Prompt:
        first = super().reset(seed)
        SEEN.append(1)
        self._messages = (*first.messages, Message(role="system", content=str(len(SEEN))))
        return Prompt(messages=self._messages)


class Endless(ScriptedWorld):
    def reset(self, seed: str) -> Prompt:
        self._prompt = super().reset(seed)
        return self._prompt

    def step(self, response: Any) -> WorldStep:
        self._prompt = self._prompt.then(response.text, Message(role="user", content="again"))
        return WorldStep(self._prompt, 0.0, {})


class Forgetful(ScriptedWorld):
    """Its second prompt no longer holds what was said."""

    def step(self, response: Any) -> WorldStep:
        led = super().step(response)
        return led._replace(prompt=Prompt.of("again")) if led.prompt is not None else led


class Mute(ScriptedWorld):
    """Waits for another answer without having said anything."""

    def step(self, response: Any) -> WorldStep:
        led = super().step(response)
        return led._replace(prompt=led.prompt and Prompt(messages=led.prompt.messages[:-1]))


class Unpriced(ScriptedWorld):
    def step(self, response: Any) -> WorldStep:
        led = super().step(response)
        return led._replace(costs={}) if led.prompt is None else led


class Infinite(ScriptedWorld):
    def step(self, response: Any) -> WorldStep:
        return super().step(response)._replace(reward=float("nan"))


class Shared(ScriptedWorld):
    """Two of them are one."""

    def step(self, response: Any) -> WorldStep:
        TURNS.append(1)
        return super().step(response)._replace(reward=float(len(TURNS) % 3))


TURNS: list[int] = []


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Sticky, "function of the seed"),
        (Endless, "ends within"),
        (Forgetful, "goes on from the one before"),
        (Mute, "goes on from the one before"),
        (Unpriced, "same costs"),
        (Infinite, "reward is finite"),
        (Shared, "function of the seed"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_worlds(kind: Any, promise: str) -> None:
    def fresh() -> Any:
        return kind(("one", "two"), ("a", "b"))

    assert promise in broken(lambda: check_world(fresh, lambda prompt: a_response(prompt, "a")))
