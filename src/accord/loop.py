"""The loop: windows from a source, updates by a learner, looks by the guard. It never names a method.

Everything that decides is handed in; everything that must survive a kill goes through ``Progressing`` and the
run log. A *window* is the rows of one batch, a *step* one optimizer update; audits come at window ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from accord.checkpoints import Progressing, keep_latest, save_state
from accord.guard import Guard
from accord.ports import Feedback, Learner, Method, Source
from accord.progress import Progress
from accord.records import Decision, NotMeasured, Reading, Record, StepEvent
from accord.records.rows import Window
from accord.sources import seeded

__all__ = ["Loop", "Pace"]


@dataclass(frozen=True)
class Pace:
    """How long the stage is, how often it looks and saves, and what a window is worth on the progress bar."""

    windows: int
    audit_every: int
    save_every: int
    keep: int
    window_worth: float = 1.0


@dataclass
class Loop:
    """One stage, ready to train. ``examine`` takes the held-out reading at a step, if the stage has one."""

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
    _saved: int = -1

    def train(self) -> Decision:
        """Go on from ``state`` to the end, or to the first Pause or Halt; the state is saved either way."""
        state = self.state
        if not state.guard:  # nothing was ever saved: this is the start
            decision = self._audit()
            self._save()
            if decision.action != "continue":
                return decision
        while state.window < self.pace.windows:
            decision = self._window()
            if decision.action != "continue":
                self._save()
                return decision
        return Decision(run=self.run, step=state.step, action="continue", rule="end")

    def _window(self) -> Decision:
        """One window: rows, batch, its steps, and a look at the end where one is due."""
        state = self.state
        if state.batch is None:
            decision = self._begin()
            if decision.action != "continue":
                return decision
        assert state.batch is not None
        while state.place < len(state.batch.steps):
            decision = self._step()
            if decision.action != "continue":
                return decision
            self._save(due=self.pace.save_every)
        state.window, state.place, state.batch = state.window + 1, 0, None
        last = state.window == self.pace.windows
        if last or state.window % self.pace.audit_every == 0:
            decision = self._audit(last)
            self._save(due=0 if last else self.pace.save_every)
            return decision
        return Decision(run=self.run, step=state.step, action="continue", rule="window")

    def _begin(self) -> Decision:
        """Ask the source for the window's rows and let the method decide what they teach."""
        state = self.state
        self.progress.advance(0, f"window {state.window + 1} of {self.pace.windows}: answers and judgments")
        window = self.source.window(state.window, self.learner.sampler(), self.feedback)
        needs = self.method.needs()
        if needs.columns:
            window = replace(window, measured=self.learner.measure(window.rows, needs))
        rng = seeded(self.run, self.seed, "batch", state.window)
        state.batch, state.memory = self.method.batch(window, state.memory, rng)
        state.place = 0
        self.commit((episode for row in window.rows for episode in row.episodes), state.step)
        if not state.batch.steps:
            self.progress.advance(self.pace.window_worth)
        return self.guard.note(self._window_event(window))

    def _window_event(self, window: Window) -> StepEvent:
        batch = self.state.batch
        assert batch is not None
        scalars = {
            "rows": float(len(window.rows)),
            "missing": float(sum(row.missing for row in window.rows)),
            "steps": float(len(batch.steps)),
            **{name: value for name, value in batch.scalars.items() if value == value},
        }
        return StepEvent(
            run=self.run,
            name="window",
            step=self.state.step,
            window=self.state.window,
            scalars=scalars,
            parents=tuple(dict.fromkeys(p for row in window.rows for p in row.parents)),
        )

    def _step(self) -> Decision:
        """One optimizer update, its event, and what the rules say of it."""
        state = self.state
        assert state.batch is not None
        total = len(state.batch.steps)
        self.progress.advance(
            0, f"window {state.window + 1} of {self.pace.windows}: update {state.place + 1} of {total}"
        )
        outcome = self.learner.update(state.batch, state.place, self.method.loss)
        state.step, state.place = state.step + 1, state.place + 1
        self.progress.advance(self.pace.window_worth / total)
        pushed = outcome.pressure_T > 0  # a positive ∂objective/∂log π lowers the token's probability
        scalars = {
            "objective": outcome.objective,
            "grad_norm": outcome.grad_norm,
            "applied": float(outcome.applied),
            "tokens": float(outcome.tokens),
            "answer_tokens": float(outcome.pressure_T.size),
            "pushed_down": float(pushed.mean()) if pushed.size else 0.0,
            **{f"loss/{name}": value for name, value in outcome.terms.items()},
        }
        event = StepEvent(run=self.run, name="update", step=state.step, window=state.window, scalars=scalars)
        return self.guard.note(event)

    def _audit(self, last: bool = False) -> Decision:
        """The guard's look; with it the held-out figure, before the first window and after the last."""
        step = self.state.step
        own: list[Reading | NotMeasured] = []
        if self.examine is not None and (last or step == 0):
            self.progress.advance(0, "held-out prompts")
            own.append(self.examine(step))
        self.progress.advance(0, "the guard looks")
        return self.guard.audit(step, self.learner.sampler(), own)

    def _save(self, due: int = 0) -> None:
        """Save the state if ``due`` updates have passed since the last time."""
        if due and self.state.step - max(self._saved, 0) < due:
            return
        self.state.guard = self.guard.state()
        save_state(self.checkpoints, self.state, self.learner)
        keep_latest(self.checkpoints, self.pace.keep)
        self._saved = self.state.step
