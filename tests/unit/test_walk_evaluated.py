"""A stage with evaluations, walked on scripted parts: when it looks, what it keeps, what a kill changes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.walks import LAST, RULES, RUN, Log, a_walk, losses

from accord.checkpoints import Progressing
from accord.errors import Unreadable
from accord.evaluation import Criterion
from accord.loop import Loop
from accord.ports import History
from accord.records import Decision, NotMeasured, Reading, StepEvent
from accord.testing import PlainLikelihood
from accord.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def standing(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def steps(names: Sequence[str]) -> list[int]:
    return [int(name.partition(".")[0]) for name in names]


def test_evaluations_come_before_every_n_updates_and_at_the_end(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    loop = a_walk(tmp_path, worker, log=log, every=5)
    assert loop.train().rule == "end"
    assert list(losses(log)) == [0, 5, 10, 12], "the last step too, though 12 is no multiple of 5"
    said = log.of(StepEvent, "stage")
    assert [event.step for event in said] == [0, 5, 10, 12]
    assert [event.scalars["eval.nll"] for event in said] == list(losses(log).values())
    assert loop.state.standing.count == 4
    order = [r for r, _ in log.durable if isinstance(r, Reading)]
    assert order[0].name == "eval.nll", "the base is read before anything else is"


def test_what_is_kept_is_the_best_and_the_guard_looks_at_it(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    loop = a_walk(tmp_path, worker, log=log, keep=1)
    loop.train()
    values = losses(log)
    best = min(values, key=lambda step: values[step])
    assert 0 < best < 12, values
    assert (loop.kept, loop.state.step, loop.state.over) == (best, 12, True)
    assert loop.learner.version == f"{RUN}@{best}"
    # Only the newest checkpoint is kept beside the best one; the newest holds the result.
    assert steps(standing(tmp_path)) == [best, 12]
    again = loop.evaluator
    assert again is not None
    (nll,) = again.read(99, {}, Progressing().standing, last=True).found
    assert isinstance(nll, Reading)
    assert nll.value == values[best]
    audits = [one.step for one in log.of(Reading, "scripted")]
    # After the windows of 4 and 8 updates, and of the result, but not of the weights that were left behind.
    assert audits == [0, 4, 8, *([best] if best not in (4, 8) else [])]
    assert log.of(Decision) == []


def test_the_last_weights_are_kept_where_the_plan_says_so(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    loop = a_walk(tmp_path, worker, log=log, keep=1, criterion=LAST)
    loop.train()
    assert (loop.kept, loop.learner.version) == (12, f"{RUN}@12")
    assert loop.state.standing.best < 12, "it is known all the same"
    assert steps(standing(tmp_path)) == [12]
    assert [one.step for one in log.of(Reading, "scripted")] == [0, 4, 8, 12]


def test_the_best_is_saved_when_it_comes_however_rarely_one_saves(tmp_path: Path, worker: Worker) -> None:
    loop = a_walk(tmp_path, worker, keep=1, save_every=1000)
    loop.train()
    assert loop.learner.version == f"{RUN}@{loop.kept}"
    assert 0 < loop.kept < 12


def test_a_checkpoint_of_the_best_that_is_gone_is_said(tmp_path: Path, worker: Worker) -> None:
    loop = a_walk(tmp_path, worker, keep=1)
    step = loop.learner.update

    def losing(*given: Any) -> Any:
        if loop.state.step == 11:
            for folder in (tmp_path / "checkpoints").glob(f"{loop.kept:08d}.*"):
                shutil.rmtree(folder)
        return step(*given)

    loop.learner.update = losing  # type: ignore[method-assign]
    with pytest.raises(Unreadable, match="whose weights are to be kept"):
        loop.train()


def test_patience_ends_the_stage_and_what_comes_after_is_done(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    loop = a_walk(tmp_path, worker, log=log, windows=9, criterion=Criterion("objective", "lower", 2, True))
    assert loop.train().rule == "end"
    values = losses(log)
    best = min(values, key=lambda step: values[step])
    assert list(values) == list(range(best + 3)), "two evaluations after the best one, and no more"
    assert log.of(StepEvent, "stage")[-1].text.endswith(
        "the stage ends early: nll has not improved in 2 evaluations"
    )
    assert (loop.kept, loop.state.over, loop.state.batch) == (best, True, None)
    assert [one.step for one in log.of(Reading, "scripted")][-1] in (best, best // 4 * 4)
    assert a_walk(tmp_path, worker, log=Log(), windows=9).train().rule == "end", "a resume adds nothing"


@pytest.mark.parametrize("criterion", [Criterion("objective", "lower", 2, True), LAST])
def test_a_kill_anywhere_changes_nothing(criterion: Criterion, tmp_path: Path, worker: Worker) -> None:
    """In an update, between two steps of one Batch, at an epoch's end, in an evaluation, while saving."""
    told: dict[str, Any] = {"windows": 2, "every": 2, "save_every": 3, "keep": 1, "criterion": criterion}
    whole = Log()
    loop = a_walk(tmp_path / "whole", worker, log=whole, **told)
    calls = counted(loop)
    loop.train()
    result = loop.learner.version
    assert result == f"{RUN}@{2 if criterion.keep_best else 8}"
    assert bool(loop.state.standing.ended) is criterion.keep_best
    dones = [done for done in calls if isinstance(done, float)]
    assert dones == sorted(dones)
    assert (dones[0], dones[-1] < 1) == (0.0, True)
    assert "evaluate" in calls
    assert "save" in calls
    for fatal in range(len(calls)):
        folder, log = tmp_path / f"at{fatal}", Log()
        first = a_walk(folder, worker, log=log, **told)
        counted(first, fatal)
        with pytest.raises(KeyboardInterrupt):
            first.train()
        second = a_walk(folder, worker, log=log, **told)
        again = counted(second)
        second.train()
        assert log.facts() == whole.facts(), f"killed at call {fatal}, {calls[fatal]}"
        assert second.learner.version == result
        assert second.state.standing == loop.state.standing
        assert [done for done in again if isinstance(done, float)] == dones[-sum(map(is_float, again)) :]
        assert second.kept == loop.kept


def is_float(value: object) -> bool:
    return isinstance(value, float)


def counted(loop: Loop, fatal: int | None = None) -> list[Any]:
    """What is asked of the learner, in order: an update by its share of the stage; the ``fatal``-th kills."""
    calls: list[Any] = []

    def watched(name: str) -> Callable[..., Any]:
        inner = getattr(loop.learner, name)

        def call(*given: Any) -> Any:
            if len(calls) == fatal:
                raise KeyboardInterrupt
            calls.append(given[3] if name == "update" else name)
            return inner(*given)

        return call

    for name in ("update", "evaluate", "save"):
        setattr(loop.learner, name, watched(name))
    return calls


class Failing(PlainLikelihood):
    """Its loss is no number at the updates that were named, counted in this process."""

    def loss(self, out: Any, batch: Any) -> Any:
        factor = float("nan") if "bad" in batch.scalars else 1.0
        return {name: total * factor for name, total in super().loss(out, batch).items()}


def test_an_evaluation_that_a_pause_came_before_is_made_up_for(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    loop = a_walk(tmp_path, worker, log=log, windows=1, method=Failing(by="data", rows_per_step=1))
    step = loop.learner.update

    def spoilt(batch: Any, at: int, loss: Any, done: float) -> Any:
        bad = replace(batch, scalars={**batch.scalars, "bad": 1.0}) if loop.state.step == 1 else batch
        return step(bad, at, loss, done)

    loop.learner.update = spoilt  # type: ignore[method-assign]
    decision = loop.train()
    assert (decision.action, decision.rule) == ("pause", "non_finite")
    assert list(losses(log)) == [0, 1]
    again = a_walk(tmp_path, worker, log=log, windows=1, method=Failing(by="data", rows_per_step=1))
    again.guard.accept(
        Decision(run=RUN, step=2, action="continue", rule="acceptance", by="me", accepts=decision.id)
    )
    assert again.train().rule == "end"
    assert list(losses(log)) == [0, 1, 2]


class Mute(PlainLikelihood):
    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        return super().batch(replace(window, rows=()), memory, rng)


def test_an_evaluation_that_cannot_be_made_pauses_and_is_not_waited_for(
    tmp_path: Path, worker: Worker
) -> None:
    """Missing evidence is no permission; once a person accepts it, the stage goes on to its next one."""
    log, mute = Log(), Mute(by="data")
    paused: list[int] = []
    for _ in range(9):
        loop = a_walk(tmp_path, worker, log=log, windows=1, every=3, evaluated=mute)
        for one in [one for one in loop.guard.decisions if one.action == "pause"]:
            accepted = {"rule": "acceptance", "by": "me", "accepts": one.id}
            loop.guard.accept(Decision(run=RUN, step=one.step, action="continue", **accepted))
        decision = loop.train()
        if decision.action == "continue":
            break
        assert decision.rule == "fault"
        assert "eval.objective was not measured" in decision.reason
        paused.append(decision.step)
    assert paused == [0, 3, 4]
    assert [one.step for one in log.of(NotMeasured)] == [0, 3, 4]
    assert [one.step for one in log.of(Reading, "scripted")] == [0, 4], "the base was read all the same"
    assert loop.kept == 4, "there is no best"


class Wary:
    """Stops at the second evaluation."""

    name = "wary"

    def __call__(self, history: History) -> Decision:
        second = len([one for one in history.readings if one.name == "eval.nll"]) == 2
        told: dict[str, Any] = {"run": history.run, "step": history.step, "rule": self.name}
        return Decision(**told, action="pause" if second else "continue", reason="two" if second else "")


def test_rules_see_an_evaluation_at_once(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    decision = a_walk(tmp_path, worker, log=log, every=2, rules=(*RULES, Wary())).train()
    assert (decision.action, decision.rule, decision.step) == ("pause", "wary", 2)
    assert len([e for e in log.of(StepEvent) if e.name == "update"]) == 2
