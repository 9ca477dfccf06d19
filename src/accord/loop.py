"""The loop: windows from a source, updates by a learner, looks by the guard. It never names a method.

Everything that decides is handed in; everything that must survive a kill goes through ``Progressing`` and the
run log. A *window* is the rows of one batch, a *step* one optimizer update; audits come at window ends,
evaluations after updates. Once the stage is over, the learner holds the weights that are its result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from accord.checkpoints import Progressing, at_step, keep_latest, save_state
from accord.evaluation import Evaluator
from accord.guard import Guard
from accord.heeding import due
from accord.maths.canaries import canaries_of
from accord.maths.overuse import use_of, withheld
from accord.maths.pressure import felt
from accord.maths.surface import surface_of
from accord.measuring import Measuring
from accord.ports import Feedback, Learner, Method, Source
from accord.progress import Progress
from accord.records import Decision, ModelRef, NotMeasured, Reading, Record, StepEvent
from accord.records.rows import Window
from accord.sources import seeded

__all__ = ["Loop", "Pace"]


@dataclass(frozen=True)
class Pace:
    """How long the stage is, how often it looks and saves, and what a window is worth on the progress bar.

    ``examine_every`` windows the held-out prompts are asked (None: before and after), ``evaluate_every``
    updates there is an evaluation.
    """

    windows: int
    audit_every: int
    save_every: int
    keep: int
    window_worth: float = 1.0
    examine_every: int | None = None
    evaluate_every: int = 1


@dataclass
class Loop:
    """One stage, ready to train. ``examine`` takes the held-out reading, ``compare`` that of proxy and gold;
    ``snapshot`` keeps the policy."""

    run: str
    seed: int
    pace: Pace
    source: Source
    feedback: Feedback
    method: Method
    learner: Learner
    guard: Guard
    state: Progressing
    checkpoints: Path
    commit: Callable[[Iterable[Record], int], None]
    examine: Callable[[int], Reading | NotMeasured] | None
    progress: Progress
    evaluator: Evaluator | None = None
    measuring: Measuring = field(default_factory=Measuring)
    compare: Callable[[int], Reading | NotMeasured] | None = None
    snapshot: Callable[[], None] | None = None
    _saved: int = -1

    @property
    def kept(self) -> int:
        """The step whose weights are the result, as far as is known now."""
        return self.state.standing.best if self._keeps_best else self.state.step

    @property
    def _keeps_best(self) -> bool:
        evaluator = self.evaluator
        return evaluator is not None and evaluator.criterion.keep_best and self.state.standing.best >= 0

    def train(self) -> Decision:
        """Go on from ``state`` to the end, or to the first Pause or Halt; the state is saved either way."""
        state = self.state
        first = not state.guard  # nothing was ever saved: this is the start
        # Due at the start; and where a Pause came between an update and its evaluation.
        decision = self._evaluation()
        if first:
            looked = self._look(state.step, held_out=True)
            decision = looked if decision.action == "continue" else decision
        if first or decision.action != "continue":
            self._save()
        while decision.action == "continue" and not state.over:
            decision = self._finish() if self._trained else self._window()
            if decision.action != "continue":
                self._save()
        if decision.action != "continue":
            return decision
        return Decision(run=self.run, step=state.step, action="continue", rule="end")

    @property
    def _trained(self) -> bool:
        return self.state.window >= self.pace.windows or bool(self.state.standing.ended)

    def _window(self) -> Decision:
        """One window: rows, batch, its steps, and a look at the end where one is due."""
        state = self.state
        if state.batch is None:
            decision = self._begin()
            if decision.action != "continue":
                return decision
            if self.guard.heeds:
                self._keep()  # a warning about the window's rows is one about these weights
        assert state.batch is not None
        while state.place < len(state.batch.steps):
            decision = self._step()
            if decision.action == "continue":
                decision = self._evaluation()
            if decision.action != "continue" or state.standing.ended:
                return decision
            best = self._keeps_best and self.kept == state.step
            self._save(due=1 if best else self.pace.save_every)
        state.window, state.place, state.batch = state.window + 1, 0, None
        audit = not self._trained and due(state.window, self.pace.audit_every, self.guard.heeds)
        decision = self._look(state.step, audit=audit, held_out=self._examined(state.window))
        if audit:
            self._save(due=self.pace.save_every)
        return decision

    def _begin(self) -> Decision:
        """Ask the source for the window's rows and let the method decide what they teach."""
        state = self.state
        self.progress.advance(0, f"window {state.window + 1} of {self.pace.windows}: answers and judgments")
        drawn = self.source.window(state.window, self.learner.sampler(), self.feedback)
        window = self.measuring.of(withheld(drawn), self.method, self.learner, self.seed)
        rng = seeded(self.run, self.seed, "batch", state.window)
        state.batch, state.memory = self.method.batch(window, state.memory, rng)
        state.place = 0
        self.commit((episode for row in window.rows for episode in row.episodes), state.step)
        if not state.batch.steps:
            self.progress.advance(self.pace.window_worth)
        own = self.method.rows.by == "policy"
        used = use_of(window, drawn, self._kl_base()) | surface_of(window) if own else {}
        return self.guard.note(self._window_event(window, {**used, **canaries_of(window)}))

    def _window_event(self, window: Window, used: Mapping[str, float]) -> StepEvent:
        batch = self.state.batch
        assert batch is not None
        told = {name: value for name, value in batch.scalars.items() if value == value}
        missing = _lacking(window, told)
        counted = {"rows": float(len(window.rows)), "missing": missing, "steps": float(len(batch.steps))}
        return StepEvent(
            run=self.run,
            name="window",
            step=self.state.step,
            window=self.state.window,
            scalars={**told, **counted, **used},
            parents=tuple(dict.fromkeys((*(p for row in window.rows for p in row.parents), *batch.parents))),
        )

    def _kl_base(self) -> float | None:
        """What the guard last read of these very weights: their KL from the base, where it read that."""
        read = [one for one in self.guard.readings if isinstance(one, Reading) and one.name == "reverse_kl"]
        return read[-1].value if read and read[-1].step == self.state.step else None

    def _step(self) -> Decision:
        """One optimizer update, its event, and what the rules say of it."""
        state = self.state
        assert state.batch is not None
        total = len(state.batch.steps)
        self.progress.advance(
            0, f"window {state.window + 1} of {self.pace.windows}: update {state.place + 1} of {total}"
        )
        done = (state.window + state.place / total) / self.pace.windows
        outcome = self.learner.update(state.batch, state.place, self.method.loss, done)
        state.step, state.place = state.step + 1, state.place + 1
        self.progress.advance(self.pace.window_worth / total)
        lengths_S = state.batch.take(state.batch.steps[state.place - 1]).lengths_S()
        scalars = {
            "objective": outcome.objective,
            "grad_norm": outcome.grad_norm,
            "applied": float(outcome.applied),
            "tokens": float(outcome.tokens),
            "answer_tokens": float(outcome.pressure_T.size),
            **felt(outcome.pressure_T, outcome.logp_T, lengths_S),
            **{f"loss/{name}": value for name, value in outcome.terms.items()},
        }
        event = StepEvent(run=self.run, name="update", step=state.step, window=state.window, scalars=scalars)
        return self.guard.note(event)

    def _finish(self) -> Decision:
        """The last evaluation; then the result becomes the learner's weights, and the guard looks at them."""
        state = self.state
        decision = self._evaluation(last=True)
        if decision.action != "continue":
            return decision
        known: set[str] = set()
        if self.kept != state.step:
            self.progress.say(f"keeping step {self.kept}, the best of {state.standing.count} evaluations")
            checkpoint = at_step(self.checkpoints, self.kept)
            self.learner.restore(ModelRef(name=self.learner.version, path=str(checkpoint / "learner")))
            # What was read when training passed through this step was read of these very weights.
            known = {one.name.partition(".")[0] for one in self.guard.readings if one.step == self.kept}
        audited = bool(known - {"eval", "held_out"})
        decision = self._look(self.kept, audit=not audited, held_out="held_out" not in known)
        state.batch, state.over = None, True
        self._save()
        return decision

    def _evaluation(self, last: bool = False) -> Decision:
        """Read the held-out rows, if that is due and not done; the rules see what was read."""
        state, evaluator = self.state, self.evaluator
        due = last or state.step % self.pace.evaluate_every == 0
        if evaluator is None or not due or state.standing.step == state.step:
            return Decision(run=self.run, step=state.step, action="continue", rule="evaluation")
        batch = state.batch
        done = state.window + (batch is not None and state.place == len(batch.steps)) >= self.pace.windows
        evaluation = evaluator.read(state.step, state.memory, state.standing, last=done)
        self.guard.readings += evaluation.found
        self.commit(evaluation.found, state.step)
        return self.guard.note(evaluation.event)

    def _examined(self, window: int) -> bool:
        """Whether the held-out prompts are asked after so many windows; after the last they always are."""
        every = self.pace.examine_every
        return every is not None and not self._trained and window % every == 0

    def _look(self, step: int, audit: bool = True, held_out: bool = False) -> Decision:
        """The held-out figure and the guard's look, as far as each is due."""
        own: list[Reading | NotMeasured] = []
        if held_out and self.examine is not None:
            self.progress.advance(0, "held-out prompts")
            own.append(self.examine(step))
        if audit and self.guard.watch.probing.prompts:
            self.progress.advance(0, "the guard looks")
            own += [self.compare(step)] if self.compare is not None else []
            return self.guard.audit(step, self.learner.sampler(), own)
        self.guard.readings += own
        self.commit(own, step)
        decision = Decision(run=self.run, step=step, action="continue", rule="window")
        for one in own:
            if isinstance(one, NotMeasured):
                text = f"{one.name} was not measured: {one.reason}"
                decision = self.guard.note(StepEvent(run=self.run, name="fault", step=step, text=text))
        return decision

    def _keep(self) -> None:
        if self.snapshot is not None:
            self.snapshot()

    def _save(self, due: int = 0) -> None:
        """Save the state if ``due`` updates have passed since the last time. A snapshot is never later."""
        self._keep()
        if due and self.state.step - max(self._saved, 0) < due:
            return
        self.state.guard = self.guard.state()
        save_state(self.checkpoints, self.state, self.learner)
        keep_latest(self.checkpoints, self.pace.keep, self.kept)
        self._saved = self.state.step


def _lacking(window: Window, told: Mapping[str, float]) -> float:
    """Rows that teach nothing for want of verdicts: missing ones, and a lone one whose group was dropped.

    A method may say more (``missing``) than the rows themselves do, and never fewer.
    """
    missing = max(float(sum(row.missing for row in window.rows)), told.get("missing", 0.0))
    answered = Counter(row.group for row in window.rows if not row.missing)
    lone = sum(count == 1 for count in answered.values())
    return missing + min(float(lone), told.get("groups_dropped", 0.0))
