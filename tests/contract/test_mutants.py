"""Each check of the kit catches a part that breaks one promise, and says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.engines.scripted import Scripted, ScriptedLearner, ScriptedSampler
from accord.errors import ContractError
from accord.ports import How, Needs, Scored, Shape, WorldStep
from accord.progress import Silent
from accord.records import Graded, Message, NotMeasured, Prompt, Question, Ranked, Reading, Response
from accord.records.rows import Columns, Group, Row, Window
from accord.rules import Fault, Fell
from accord.sources import Rollouts, Surroundings
from accord.stores.memory import MemoryStore
from accord.testing import (
    PlainLikelihood,
    ScriptedIndicator,
    ScriptedOverseer,
    ScriptedWorld,
    a_group,
    a_response,
    check_ask,
    check_indicator,
    check_learner,
    check_method,
    check_overseer,
    check_rule,
    check_sampler,
    check_source,
    check_store,
    check_world,
    scored,
)
from accord.testing.promises import promised, refuses
from accord.worker import Worker

ENGINE = Scripted(words=tuple("abcdef"), longest=6, spread=1.0, tensors="numpy")
PROMPTS = (Prompt.of("one"), Prompt.of("two"), Prompt.of("three"))


def broken(act: Callable[[], object]) -> str:
    with pytest.raises(ContractError) as error:
        act()
    return error.value.promise


def test_the_error_names_part_promise_and_finding() -> None:
    with pytest.raises(ContractError, match=r"(?s)int broke its contract: is kept.*found: seven"):
        promised(3, "is kept", False, "seven")
    promised(3, "is kept", True)
    refuses(3, "refuses", KeyError, lambda: {}["x"])
    with pytest.raises(ContractError, match="no KeyError, but None"):
        refuses(3, "refuses", KeyError, lambda: None)


# Samplers


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

    def update(self, batch: Any, step: int, loss: Any) -> Any:
        outcome = super().update(batch, step, loss)
        return outcome._replace(applied=True)


class Averaging(ScriptedLearner):
    """Divides by the rows it sees instead of by the counts."""

    def update(self, batch: Any, step: int, loss: Any) -> Any:
        counts = tuple({n: float(len(s)) for n in c} for s, c in zip(batch.steps, batch.counts, strict=True))
        return super().update(replace(batch, counts=counts), step, loss)


class Uphill(ScriptedLearner):
    def _gradient(self, part: Any, pressure_T: Any) -> Any:
        return super()._gradient(part, -pressure_T)


class Unweighted(ScriptedLearner):
    def update(self, batch: Any, step: int, loss: Any) -> Any:
        return super().update(replace(batch, weights=dict.fromkeys(batch.weights, 1.0)), step, loss)


class Drifting(ScriptedLearner):
    """Its reference moves along."""

    def update(self, batch: Any, step: int, loss: Any) -> Any:
        outcome = super().update(batch, step, loss)
        self._reference = self._table.copy()
        return outcome


class Silence(ScriptedLearner):
    """An update that is refused has no number."""

    def update(self, batch: Any, step: int, loss: Any) -> Any:
        outcome = super().update(batch, step, loss)
        self._step -= not outcome.applied
        return outcome


class Ambitious(ScriptedLearner):
    """Trains on every row of the batch, whatever the step says."""

    def update(self, batch: Any, step: int, loss: Any) -> Any:
        everything = np.concatenate(batch.steps)
        return super().update(replace(batch, steps=(everything,) * len(batch.steps)), step, loss)


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
        (Unweighted, "Batch.weights"),
        (Drifting, "ref_logp stays"),
        (Silence, "version changes also"),
        (Ambitious, "its own rows only"),
        (Rounding, "goes on to the bit"),
        (Sharing, "later update does not reach"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_learners(kind: type[ScriptedLearner], promise: str, tmp_path: Path) -> None:
    def fresh() -> ScriptedLearner:
        honest: Any = ENGINE.learner("scripted", "run/stage", 0, Silent())
        return kind(honest._table, "scripted", honest._pace, Silent())

    other = lambda: ENGINE.sampler("scripted", Silent())  # noqa: E731
    assert promise in broken(lambda: check_learner(fresh, PROMPTS, tmp_path, other=other))


# Methods


class Remembers(PlainLikelihood):
    """State in the object instead of in the Memory."""

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        SEEN.append(1)
        return super().batch(window, {"seen": len(SEEN)}, rng)


SEEN: list[int] = []


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


# Overseers and asks

GROUPS = [a_group("Why?", "yes", "no", "maybe", "so"), a_group("How?", "no", "yes")]
GRADES = {"yes": 1.0, "no": 0.0, "maybe": 0.5, "so": 0.7}


class Rude(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        raise RuntimeError("no")


class Anonymous(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        by = judgment.by.model_copy(update={"config": "another"})
        return type(judgment).model_validate(judgment.model_dump() | {"by": by.model_dump()})


class Blind(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        return type(judgment).model_validate(judgment.model_dump() | {"shown": ()})


class FirstWins(ScriptedOverseer):
    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        if isinstance(judgment.verdict, Ranked):
            verdict = Ranked(tiers=tuple((r,) for r in question.responses))
            return type(judgment).model_validate(judgment.model_dump() | {"verdict": verdict.model_dump()})
        return judgment


class Tired(ScriptedOverseer):
    """Grades by how much it was asked before."""

    async def judge(self, question: Any, desk: Any) -> Any:
        judgment = await super().judge(question, desk)
        verdict = Graded(scores={"score": float(len(self.asked))})
        if isinstance(judgment.verdict, Graded):
            return type(judgment).model_validate(judgment.model_dump() | {"verdict": verdict.model_dump()})
        return judgment


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (Rude, "raises nothing"),
        (Anonymous, "signed with config"),
        (Blind, "shown"),
        (FirstWins, "order in which"),
        (Tired, "as each one alone"),
    ],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_overseers(kind: type[ScriptedOverseer], promise: str) -> None:
    # A desk that refuses the signature turns it into an abstention: either way the check must object.
    found = broken(lambda: check_overseer(kind(grades=GRADES), GROUPS, order_free=True))
    assert promise in found or (kind is Anonymous and "raises nothing" in found)


class Zero(Each):
    """A missing grade is a 0."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        values = {n: np.nan_to_num(c) for n, c in table.values.items()}
        return replace(table, values=values, missing=np.zeros(len(table.missing), dtype=np.bool_))


class Tie(Pairs):
    """A pair that nobody judged is a tie."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        values = {n: np.nan_to_num(c, nan=0.5) for n, c in table.values.items()}
        return replace(table, values=values, missing=np.zeros(len(table.missing), dtype=np.bool_))


class Newest(Each):
    """Only the last judgment counts."""

    def columns(self, groups: Any, judgments: Any) -> Columns:
        return super().columns(groups, list({j.question: j for j in judgments}.values()))


class Orphans(Each):
    def columns(self, groups: Any, judgments: Any) -> Columns:
        table = super().columns(groups, judgments)
        return replace(table, parents=((),) * len(table.parents))


class Fickle(Each):
    def questions(self, groups: Any) -> Any:
        SEEN.append(1)
        asked = super().questions(groups)
        return [Question.model_validate(q.model_dump() | {"evidence": (str(len(SEEN)),)}) for q in asked]


class Parentless(Each):
    def questions(self, groups: Any) -> Any:
        return [Question.model_validate(q.model_dump() | {"parents": ()}) for q in super().questions(groups)]


@pytest.mark.parametrize(
    ("ask", "promise"),
    [
        (Zero(column="score", collapse="distribution"), "never a zero or a tie"),
        (Tie(column="p", collapse="majority"), "never a zero or a tie"),
        (Newest(column="score", collapse="distribution"), "abstention beside a verdict"),
        (Orphans(column="score", collapse="distribution"), "parents of a row"),
        (Fickle(column="score", collapse="distribution"), "questions is pure"),
        (Parentless(column="score", collapse="distribution"), "question's parents"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_asks(ask: Any, promise: str) -> None:
    assert promise in broken(lambda: check_ask(ask, GROUPS))


# Indicators and rules


class Constant(ScriptedIndicator):
    values: tuple[float | None, ...] = (0.5,)
    changed: dict[str, Any] = {}

    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        reading = await super().read(look, base, draw)
        return Reading.model_validate(reading.model_dump() | self.changed) if look.groups else reading


class Restive(Constant):
    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        SEEN.append(1)
        reading = await super().read(look, base, draw)
        return Reading.model_validate(reading.model_dump() | {"n": len(SEEN)}) if look.groups else reading


class Pretends(Constant):
    """A number where there is nothing to look at."""

    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        told = {"run": look.run, "name": self.name, "step": look.step, "instrument": "x", "n": 1}
        said = tuple(r.id for g in look.groups for r in g.responses)
        return Reading(value=0.5, low=0.5, high=0.5, parents=said, **told)


class Demanding(Constant):
    """Wants ranks, and does not notice that there are none."""

    @property
    def wants(self) -> frozenset[str]:
        return frozenset({"rank"})


class Mumbles(Constant):
    async def read(self, look: Any, base: Any, draw: Any) -> Any:
        return NotMeasured(run=look.run, name=self.name, step=look.step, reason=" ")


@pytest.mark.parametrize(
    ("indicator", "promise"),
    [
        (Constant(changed={"name": "another"}), "indicator's name"),
        (Constant(changed={"step": 99}), "run and step"),
        (Constant(changed={"low": 0.6}), "interval holds the value"),
        (Constant(changed={"change": 0.2, "change_low": 0.2, "change_high": 0.2}), "beside itself"),
        (Constant(changed={"change": None}), "interval, or there is none"),
        (Constant(changed={"value": float("inf"), "high": float("inf")}), "finite"),
        (Constant(changed={"parents": ("x",)}), "parents"),
        (Constant(changed={"parents": ()}), "parents"),
        (Constant(changed={"instrument": ""}), "instrument"),
        (Restive(), "function of look"),
        (Pretends(), "without probes"),
        (Demanding(), "cannot give what it wants"),
        (Mumbles(), "says why"),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, ScriptedIndicator) else x,
)
def test_indicators(indicator: Any, promise: str) -> None:
    base = ENGINE.sampler("scripted", Silent())
    assert promise in broken(lambda: check_indicator(indicator, base, base, PROMPTS))


class Nervous(Fault):
    def __call__(self, history: Any) -> Any:
        return super().__call__(history).model_copy(update={"action": "pause"})


class Baseless(Fault):
    def __call__(self, history: Any) -> Any:
        decision = super().__call__(history)
        return type(decision).model_validate(decision.model_dump() | {"parents": ()})


class Wordless(Fault):
    def __call__(self, history: Any) -> Any:
        decision = super().__call__(history)
        return type(decision).model_validate(decision.model_dump() | {"reason": ""})


class Stubborn(Fault):
    """Pauses again on what a person accepted."""

    def __call__(self, history: Any) -> Any:
        return super().__call__(history._replace(decisions=()))


class Impostor(Fell):
    def __call__(self, history: Any) -> Any:
        return super().__call__(history).model_copy(update={"rule": "fault"})


class Counting(Fault):
    def __call__(self, history: Any) -> Any:
        SEEN.append(1)
        decision = super().__call__(history)
        if decision.action == "continue":
            return decision
        return type(decision).model_validate(decision.model_dump() | {"reason": str(len(SEEN))})


@pytest.mark.parametrize(
    ("rule", "promise"),
    [
        (Nervous(), "nothing has happened"),
        (Baseless(), "evidence"),
        (Wordless(), "has a reason"),
        (Stubborn(), "does not come back"),
        (Impostor(indicator="measure", by=0.5), "rule's name"),
        (Counting(), "remembers nothing"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_rules(rule: Any, promise: str) -> None:
    assert promise in broken(lambda: check_rule(rule))


# Sources, stores, worlds


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
        messages = (*first.messages, Message(role="system", content=str(len(SEEN))))
        return Prompt(messages=messages)


class Endless(ScriptedWorld):
    def step(self, response: Any) -> WorldStep:
        return WorldStep(Prompt.of("again"), 0.0, {})


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


def test_measured_columns_reach_a_method_that_needs_them() -> None:
    class Wants(PlainLikelihood):
        def needs(self) -> Needs:
            return Needs(frozenset({"old_logp"}))

        def batch(self, window: Any, memory: Any, rng: Any) -> Any:
            assert len(window.measured["old_logp"]) == len(window.rows)
            return super().batch(window, memory, rng)

    check_method(Wants(), tensors="numpy")
