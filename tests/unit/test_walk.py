"""The ports, walked: a stage on scripted parts from prompts to decisions, and a world into an Episode."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from accord.asks.each import Each
from accord.checkpoints import Progressing, latest, load_state
from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.feedback import Asking, StageFeedback
from accord.guard import Guard, Probing, Watch
from accord.loop import Loop, Pace
from accord.ports import Learner, Rule, Task
from accord.progress import Silent
from accord.records import Decision, Episode, Judgment, Prompt, Reading, Record, Response, StepEvent
from accord.rules import Fault, Fell, Missing, NonFinite
from accord.sources import Rollouts, Surroundings
from accord.stores.memory import MemoryStore
from accord.testing import PlainLikelihood, ScriptedIndicator, ScriptedOverseer, ScriptedWorld, walked
from accord.worker import Worker

ENGINE = Scripted(words=("yes", "no", "maybe"), p={"Why?": (0.2, 0.7, 0.1)}, lr=1.0, tensors="numpy")
GRADES = {"yes": 1.0, "no": 0.0, "maybe": 0.0}
RUN = "run/stage"


class Log:
    """What a run directory would hold: records in the order they were made durable."""

    def __init__(self) -> None:
        self.waiting: list[Record] = []
        self.durable: list[Record] = []

    def write(self, records: Iterable[Record]) -> None:
        self.waiting += list(records)

    def flush(self) -> None:
        self.durable += self.waiting
        self.waiting = []

    def commit(self, records: Iterable[Record], step: int) -> None:
        del step
        self.write(records)
        self.flush()

    def of(self, kind: type[Any]) -> list[Any]:
        return [record for record in self.durable if isinstance(record, kind)]


class Walk(NamedTuple):
    loop: Loop
    desk: FrontDesk
    overseer: ScriptedOverseer
    log: Log


RULES: tuple[Rule, ...] = (Fault(), NonFinite(), Missing(), Fell(indicator="scripted", by=0.5))


def a_walk(
    folder: Path,
    worker: Worker,
    *,
    log: Log | None = None,
    indicator: ScriptedIndicator | None = None,
    grades: dict[str, float] = GRADES,
    windows: int = 3,
    save_every: int = 1,
) -> Walk:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n')
    log = log or Log()
    method, overseer = PlainLikelihood(n=8, rows_per_step=4), ScriptedOverseer(grades=grades)
    learner: Learner = ENGINE.learner("scripted", Task(RUN, 0))
    newest = latest(folder / "checkpoints")
    state = load_state(newest, learner) if newest else Progressing()
    desk = FrontDesk(log.write, log.flush)
    desk.hold(log.durable)
    feedback = StageFeedback(
        [Asking(Each(column="score", collapse="distribution"), overseer)], desk, worker, log.write
    )
    source = Rollouts(prompts=str(folder / "prompts.jsonl"), per_window=2).open(
        Surroundings(RUN, 0, method.rows, worker)
    )
    probing = Probing(tuple(source.prompts()), 2, 2, 1.0, 4)
    indicators = (indicator or ScriptedIndicator(values=(0.5, 0.5)),)
    watch = Watch(RUN, indicators, RULES, probing, ENGINE.sampler("scripted", Silent()))
    guard = Guard(watch, log.commit, worker)
    if state.guard:
        guard.restore(state.guard)
    loop = Loop(
        run=RUN,
        seed=0,
        pace=Pace(windows, 1, save_every, 2),
        source=source,
        feedback=feedback,
        method=method,
        learner=learner,
        guard=guard,
        state=state,
        checkpoints=folder / "checkpoints",
        commit=log.commit,
        examine=None,
        progress=Silent(),
    )
    return Walk(loop, desk, overseer, log)


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def said_yes(learner: Learner, worker: Worker) -> float:
    """The exact probability of "yes" to the first prompt."""
    from accord.records.rows import Text

    sampler, prompt = learner.sampler(), Prompt.of("Why?")
    text = Text(prompt, sampler.encode(prompt, "yes"))
    (scored,) = worker.run(sampler.score([text], frozenset({"logp"})))
    return float(np.exp(scored.columns["logp"].sum()))


def test_a_whole_stage(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker)
    before = said_yes(walk.loop.learner, worker)
    decision = walk.loop.train()
    log = walk.log
    assert (decision.action, decision.rule) == ("continue", "end")
    assert before == pytest.approx(0.2)
    assert said_yes(walk.loop.learner, worker) > 0.4, "what was graded 1 became more probable"
    windows = [e for e in log.of(StepEvent) if e.name == "window"]
    updates = [e for e in log.of(StepEvent) if e.name == "update"]
    assert [e.window for e in windows] == [0, 1, 2]
    assert [e.step for e in updates] == list(range(1, len(updates) + 1))
    assert all(e.scalars["applied"] == 1 and e.scalars["pushed_down"] == 0 for e in updates)
    assert {e.scalars["rows"] for e in windows} == {16.0}
    assert len(log.of(Reading)) == 4, "before the first window and after each"
    assert walk.loop.state.memory == {"windows": 3}
    assert walk.loop.learner.version == f"{RUN}@{len(updates)}"
    assert len(log.of(Episode)) == 48
    assert walk.desk.asked == len(walk.overseer.asked) == len(log.of(Judgment))
    assert not log.waiting, "everything that was written is durable"


def test_every_record_of_a_stage_can_be_walked_back_to_its_prompt(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker)
    walk.loop.train()
    store = MemoryStore()
    store.put(*walk.log.durable)
    for record in walk.log.durable:
        lost = [parent for parent in record.parents if parent not in {r.id for r in store.lineage(record.id)}]
        assert not lost, f"{record.kind} names parents that nobody wrote down"
    event = next(e for e in walk.log.of(StepEvent) if e.name == "window")
    kinds = {record.kind for record in store.lineage(event.id)}
    assert kinds >= {"event", "judgment", "question", "response", "prompt"}


def test_an_interrupted_stage_goes_on_as_if_it_had_not_been(tmp_path: Path, worker: Worker) -> None:
    whole = a_walk(tmp_path / "whole", worker)
    whole.loop.train()
    updates = [e for e in whole.log.of(StepEvent) if e.name == "update"]
    for stop in range(len(updates)):
        folder, log = tmp_path / f"cut{stop}", Log()
        first = a_walk(folder, worker, log=log)
        calls: list[int] = []
        update = first.loop.learner.update

        def killed(*arguments: Any, calls: list[int] = calls, update: Any = update, stop: int = stop) -> Any:
            calls.append(1)
            if len(calls) > stop:
                raise KeyboardInterrupt
            return update(*arguments)

        first.loop.learner.update = killed
        with pytest.raises(KeyboardInterrupt):
            first.loop.train()
        second = a_walk(folder, worker, log=log)
        second.loop.train()
        assert said_yes(second.loop.learner, worker) == said_yes(whole.loop.learner, worker)
        assert {r.id for r in log.durable} == {r.id for r in whole.log.durable}
        assert second.loop.state.memory == whole.loop.state.memory
        again = {q.id for q in first.overseer.asked} & {q.id for q in second.overseer.asked}
        assert not again, "recorded judgments are not asked again"


def test_an_indicator_that_raises_pauses_with_its_evidence_written(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker, indicator=ScriptedIndicator(values=(0.5,), raises=(1,)))
    decision = walk.loop.train()
    assert (decision.action, decision.rule) == ("pause", "fault")
    assert "told to raise in audit 1" in decision.reason
    fault = next(e for e in walk.log.of(StepEvent) if e.name == "fault")
    assert decision.parents == (fault.id,)
    assert decision in walk.log.durable
    assert walk.loop.state.window == 1
    assert latest(tmp_path / "checkpoints") is not None
    assert decision in a_walk(tmp_path, worker).loop.guard.decisions, "a resume knows of it"


def test_a_measure_that_falls_pauses_before_the_loop_ends(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker, indicator=ScriptedIndicator(values=(0.8, 0.7, 0.1)))
    decision = walk.loop.train()
    assert (decision.action, decision.rule) == ("pause", "fell:scripted")
    assert walk.loop.state.window == 2
    assert [r.value for r in walk.log.of(Reading)] == [0.8, 0.7, 0.1]


def test_a_pause_that_is_accepted_lets_the_stage_finish(tmp_path: Path, worker: Worker) -> None:
    indicator = ScriptedIndicator(values=(0.8, 0.1))
    log = Log()
    decision = a_walk(tmp_path, worker, indicator=indicator, log=log).loop.train()
    assert decision.action == "pause"
    again = a_walk(tmp_path, worker, indicator=indicator, log=log)
    accepted = Decision(
        run=RUN, step=decision.step, action="continue", rule="acceptance", by="me", accepts=decision.id
    )
    again.loop.guard.accept(accepted)
    # The next audit reads anew, and what it reads is new evidence.
    assert again.loop.train().action == "pause"
    assert again.loop.state.window == 2


def test_missing_verdicts_pause_and_the_stage_can_be_taken_up(tmp_path: Path, worker: Worker) -> None:
    """Nothing was graded, so the batch that waits in the checkpoint is empty."""
    log = Log()
    decision = a_walk(tmp_path, worker, grades={}, log=log).loop.train()
    assert (decision.action, decision.rule) == ("pause", "missing")
    again = a_walk(tmp_path, worker, grades={}, log=log, windows=1)
    batch = again.loop.state.batch
    assert batch is not None
    assert (batch.steps, batch.sequences) == ((), ())
    accepted = Decision(
        run=RUN, step=decision.step, action="continue", rule="acceptance", by="me", accepts=decision.id
    )
    again.loop.guard.accept(accepted)
    assert again.loop.train().rule == "end"


def test_a_loss_that_is_not_finite_pauses_and_teaches_nothing(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker)

    class Broken(PlainLikelihood):
        def loss(self, out: Any, batch: Any) -> Any:
            return {"nll": super().loss(out, batch)["nll"] * float("nan")}

    walk.loop.method = Broken(n=8, rows_per_step=4)
    decision = walk.loop.train()
    assert (decision.action, decision.rule) == ("pause", "non_finite")
    assert said_yes(walk.loop.learner, worker) == pytest.approx(0.2)
    assert walk.loop.state.step == 1


PLAN = """
name = "scripted"
purpose = "explore"
model = "scripted"
[[stage]]
name = "amplify"
windows = 2
source = {{ name = "rollouts", prompts = "{prompts}", per_window = 2 }}
method = {{ name = "accord.testing:PlainLikelihood", n = 4 }}
learner = {{ name = "scripted", words = ["yes", "no", "so"], tensors = "numpy" }}
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = {{ name = "accord.testing:ScriptedOverseer", grades = {{ yes = 1.0, no = 0.0, so = 0.0 }} }}
[stage.guard]
indicator = []
probes = 2
"""
WITHOUT_TORCH = """
import sys
from pathlib import Path
from accord.plan import read_plan
from accord.pipeline import run
outcome = run(read_plan(Path("plan.toml")), runs=Path("runs"), store="none")
assert outcome.action == "done", outcome
assert not {"torch", "transformers"} & set(sys.modules)
"""


def test_a_whole_plan_runs_without_torch(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "Why?"}\n{"prompt": "How?"}\n')
    (tmp_path / "plan.toml").write_text(PLAN.format(prompts=tmp_path / "prompts.jsonl"))
    command = [sys.executable, "-c", WITHOUT_TORCH]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (model,) = (tmp_path / "runs").glob("*/amplify/model/scripted.json")
    assert model.is_file()


# A world


def test_a_world_is_walked_into_one_masked_sequence(worker: Worker) -> None:
    world = ScriptedWorld(("Say yes.", "Now say no."), ("yes", "no"))
    sampler = ENGINE.sampler("scripted", Silent())
    episode = walked(world, sampler, "seed", temperature=0.5)
    assert len(episode.responses) == 2
    assert episode.temperature == 0.5
    (sequence,) = episode.sequences()
    assert sequence.tokens == (*episode.prompt_tokens[1], *episode.tokens[1])
    first = len(episode.prompt_tokens[0])
    said = len(episode.tokens[0])
    assert sequence.answer[:first] == (False,) * first
    assert sequence.answer[first : first + said] == (True,) * said
    between = len(episode.prompt_tokens[1]) - first - said
    assert between > 0
    rest = len(episode.tokens[1])
    assert sequence.answer[first + said :] == (False,) * between + (True,) * rest
    assert len(episode.rewards) == len(episode.costs["wrong"]) == 2
    assert all(r + c == 1 for r, c in zip(episode.rewards, episode.costs["wrong"], strict=True))
    assert walked(world, sampler, "seed", temperature=0.5).id == episode.id


def test_the_end_that_a_cut_answer_never_said_is_not_learnt(worker: Worker) -> None:
    """The template writes an end behind the cut answer; the model did not choose it."""
    sampler = Scripted(words=("yes", "no"), shortest=2, longest=2, tensors="numpy").sampler(
        "scripted", Silent()
    )

    class Short:
        can, policy = sampler.can, sampler.policy

        async def sample(self, prompts: Any, n: int, how: Any) -> Any:
            return await sampler.sample(prompts, n, how._replace(max_tokens=1))

    short: Any = Short()
    episode = walked(ScriptedWorld(("a", "b"), ("yes", "no")), short, "seed")
    (sequence,) = episode.sequences()
    first = len(episode.prompt_tokens[0])
    assert sequence.tokens[first + 1] == 0
    assert sequence.answer[first : first + 2] == (True, False)
    assert sum(sequence.answer) == 2


def test_responses_of_a_walk_name_their_prompts(tmp_path: Path, worker: Worker) -> None:
    walk = a_walk(tmp_path, worker, windows=1)
    walk.loop.train()
    prompts = {p.id for p in walk.log.of(Prompt)}
    assert {r.prompt for r in walk.log.of(Response)} <= prompts
