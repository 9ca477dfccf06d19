"""check_sampler and check_learner catch a part that breaks one promise, and say which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.broken import ENGINE, PROMPTS, broken

from accord.engines.scripted import ScriptedLearner, ScriptedSampler
from accord.engines.scripted.table import logp_T
from accord.errors import ContractError
from accord.ports import How, Scored, Task
from accord.progress import Silent
from accord.records import Prompt, Response
from accord.records.rows import Group
from accord.testing import (
    check_learner,
    check_sampler,
)
from accord.testing.promises import promised, refuses


def test_the_error_names_part_promise_and_finding() -> None:
    with pytest.raises(ContractError, match=r"(?s)int broke its contract: is kept.*found: seven"):
        promised(3, "is kept", False, "seven")
    promised(3, "is kept", True)
    refuses(3, "refuses", KeyError, lambda: {}["x"])
    with pytest.raises(ContractError, match="no KeyError, but None"):
        refuses(3, "refuses", KeyError, lambda: None)


def spoilt(change: Callable[[Response, int], Response], calls: list[int] | None = None) -> Any:
    """A sampler whose answers are changed by (answer, number of prompts in the call)."""
    table = ENGINE._open("scripted")

    class Spoilt(ScriptedSampler):
        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            groups = await super().sample(prompts, n, how)
            return [Group(g.prompt, tuple(change(r, len(prompts)) for r in g.responses)) for g in groups]

    return Spoilt(table, "base:x")


def told(response: Response, **changes: Any) -> Response:
    return Response.model_validate(response.model_dump() | changes)


@pytest.mark.parametrize(
    ("promise", "change"),
    [
        ("names its prompt", lambda r, n: told(r, prompt="other")),
        ("names the policy", lambda r, n: told(r, policy="other")),
        ("keeps its temperature", lambda r, n: told(r, temperature=0.5)),
        ("names the tokenizer", lambda r, n: told(r, tokenizer="")),
        ("index 0", lambda r, n: told(r, index=0)),
        ("a seed of its own", lambda r, n: told(r, seed="same")),
        ("max_tokens tokens", lambda r, n: told(r, tokens=(1,) * 40, logp=())),
        ("only an answer of max_tokens", lambda r, n: told(r, finish="length")),
        ("one log-probability per token", lambda r, n: told(r, logp=(-1.0, *r.logp))),
        ("what the model saw", lambda r, n: told(r, prompt_tokens=())),
        ("alone", lambda r, n: told(r, tokens=(1, *r.tokens[1:])) if n == 1 else r),
        ("drawn is log π when scored", lambda r, n: told(r, logp=tuple(x - 0.1 for x in r.logp))),
    ],
)
def test_samplers(promise: str, change: Any) -> None:
    assert promise in broken(lambda: check_sampler(spoilt(change), PROMPTS))


def test_a_sampler_that_forgets_what_is_allowed() -> None:
    class Free(ScriptedSampler):
        async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
            free = [Prompt(messages=p.messages) for p in prompts]
            groups = await super().sample(free, n, how)
            return [
                Group(p, tuple(told(r, prompt=p.id) for r in g.responses))
                for p, g in zip(prompts, groups, strict=True)
            ]

    assert "Prompt.allowed" in broken(lambda: check_sampler(Free(ENGINE._open("scripted"), "x"), PROMPTS))


def test_a_sampler_that_renders_a_conversation_anew() -> None:
    class Anew(ScriptedSampler):
        def encode(self, prompt: Prompt, text: str) -> Response:
            return super().encode(prompt.model_copy(update={"begun": None}), text)

    assert "its exact tokens" in broken(lambda: check_sampler(Anew(ENGINE._open("scripted"), "x"), PROMPTS))


@pytest.mark.parametrize(
    ("promise", "spoil"),
    [
        ("that were wanted", lambda c: {**c, "more": c["logp"]}),
        ("one logp per answer token", lambda c: {**c, "logp": c["logp"][1:]}),
        ("finite", lambda c: {**c, "entropy": c["entropy"] * np.nan}),
        ("lies where", lambda c: {**c, "logp": -c["logp"] + 1}),
        ("lies where", lambda c: {**c, "rank": c["rank"] + 0.5}),
        ("lies where", lambda c: {**c, "support": c["support"] * 0.5}),
        ("in the support", lambda c: {**c, "support": c["support"] * 0}),
    ],
)
def test_scores(promise: str, spoil: Any) -> None:
    class Spoilt(ScriptedSampler):
        async def score(self, texts: Any, want: frozenset[str]) -> list[Scored]:
            found = await super().score(texts, want)
            if want == frozenset({"logp"}):
                return found
            return [Scored(spoil(dict(s.columns)), s.tokenizer) for s in found]

    assert promise in broken(lambda: check_sampler(Spoilt(ENGINE._open("scripted"), "x"), PROMPTS))


def test_a_sampler_that_answers_to_anything() -> None:
    class Willing(ScriptedSampler):
        async def score(self, texts: Any, want: frozenset[str]) -> list[Scored]:
            return await super().score(texts, want & self.can)

    assert "not in can" in broken(lambda: check_sampler(Willing(ENGINE._open("scripted"), "x"), PROMPTS))


# Learners


class Forgetful(ScriptedLearner):
    """Does not save how far it was."""

    def restore(self, ref: Any) -> None:
        super().restore(ref)
        self._step = 0


class Loose(ScriptedLearner):
    """Its views never grow old."""

    def sampler(self) -> Any:
        return ScriptedSampler(self._table, self.version)


class Reckless(ScriptedLearner):
    """Applies what is not finite."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        outcome = super().update(batch, step, loss)
        return outcome._replace(applied=True)


class Averaging(ScriptedLearner):
    """Divides by the rows it sees instead of by the counts."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        counts = tuple({n: float(len(s)) for n in c} for s, c in zip(batch.steps, batch.counts, strict=True))
        return super().update(replace(batch, counts=counts), step, loss)


class Uphill(ScriptedLearner):
    def _gradient(self, part: Any, pressure_T: Any) -> Any:
        return super()._gradient(part, -pressure_T)


class Ahead(ScriptedLearner):
    """Tells what is likely once the step is done."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        outcome = super().update(batch, step, loss)
        part = batch.take(batch.steps[step])
        return outcome._replace(logp_T=np.concatenate([logp_T(self._table, s) for s in part.sequences]))


class Half(ScriptedLearner):
    """Tells log π of some answer tokens only."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        outcome = super().update(batch, step, loss)
        return outcome._replace(logp_T=outcome.logp_T[1:])


class Unweighted(ScriptedLearner):
    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        return super().update(replace(batch, weights=dict.fromkeys(batch.weights, 1.0)), step, loss)


class Drifting(ScriptedLearner):
    """Its reference moves along."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        outcome = super().update(batch, step, loss)
        self._reference = self._table.copy()
        return outcome


class Silence(ScriptedLearner):
    """An update that is refused has no number."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        outcome = super().update(batch, step, loss)
        self._step -= not outcome.applied
        return outcome


class Ambitious(ScriptedLearner):
    """Trains on every row of the batch, whatever the step says."""

    def update(self, batch: Any, step: int, loss: Any, done: float = 0.0) -> Any:
        everything = np.concatenate(batch.steps)
        return super().update(replace(batch, steps=(everything,) * len(batch.steps)), step, loss)


class Learning(ScriptedLearner):
    """Learns from what it is evaluated on."""

    def evaluate(self, batch: Any, step: int, loss: Any) -> Any:
        found = super().update(batch, step, loss)
        self._step -= 1
        return found.terms


class Summing(ScriptedLearner):
    """Its evaluations are totals."""

    def evaluate(self, batch: Any, step: int, loss: Any) -> Any:
        found = super().evaluate(batch, step, loss)
        return {name: value * batch.counts[step][name] for name, value in found.items()}


class Partial(ScriptedLearner):
    """Its evaluations leave out what is not trained."""

    def evaluate(self, batch: Any, step: int, loss: Any) -> Any:
        return {n: v for n, v in super().evaluate(batch, step, loss).items() if batch.weights[n]}


class Wholesale(ScriptedLearner):
    """Evaluates every row of the batch, whatever the step says."""

    def evaluate(self, batch: Any, step: int, loss: Any) -> Any:
        rows = np.arange(int(batch.row_S.max()) + 1)
        return super().evaluate(replace(batch, steps=(rows,) * len(batch.steps)), step, loss)


class Remembering(ScriptedLearner):
    """An evaluation makes the next update larger."""

    factor = 1.0

    def evaluate(self, batch: Any, step: int, loss: Any) -> Any:
        self.factor *= 1.5
        return super().evaluate(batch, step, loss)

    def _gradient(self, part: Any, pressure_T: Any) -> Any:
        return {at: self.factor * row for at, row in super()._gradient(part, pressure_T).items()}


class Clocked(ScriptedLearner):
    """Its rate falls with its own count of updates, not with the share of the stage."""

    def _gradient(self, part: Any, pressure_T: Any) -> Any:
        return {at: row / (1 + self._step) for at, row in super()._gradient(part, pressure_T).items()}


class Rounding(ScriptedLearner):
    """Saves in half precision."""

    def restore(self, ref: Any) -> None:
        super().restore(ref)
        self._table.rows = {
            at: row.astype(np.float16).astype(np.float64) for at, row in self._table.rows.items()
        }


class Sharing(ScriptedLearner):
    """Publishes its own table, which then trains on."""

    def publish(self, sampler: Any) -> str:
        version = super().publish(sampler)
        sampler._table = self._table
        return version


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Forgetful, "restore brings the version back"),
        (Loose, "used after an update"),
        (Reckless, "applied is False"),
        (Averaging, "total / count"),
        (Uphill, "down the gradient"),
        (Ahead, "before the step, or empty"),
        (Half, "before the step, or empty"),
        (Unweighted, "Batch.weights"),
        (Drifting, "ref_logp stays"),
        (Silence, "version changes also"),
        (Ambitious, "its own rows only"),
        (Rounding, "goes on to the bit"),
        (Learning, "evaluate changes neither"),
        (Summing, "terms that update reports"),
        (Partial, "evaluate gives the loss's terms"),
        (Wholesale, "rows of its step only"),
        (Remembering, "evaluated in between or not"),
        (Clocked, "leaves nothing behind"),
        (Sharing, "later update does not reach"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_learners(kind: type[ScriptedLearner], promise: str, tmp_path: Path) -> None:
    def fresh() -> ScriptedLearner:
        honest: Any = ENGINE.learner("scripted", Task("run/stage", 0))
        return kind(honest._table, "scripted", honest._pace, Silent())

    other = lambda: ENGINE.sampler("scripted", Silent())  # noqa: E731
    assert promise in broken(lambda: check_learner(fresh, PROMPTS, tmp_path, other=other))
