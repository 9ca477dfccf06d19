"""Watching a trainer that is not Accord's: its steps go in, evidence and decisions come out (layer 5).

What is watched is written into a run directory of ours, so that ``accord report`` and ``accord watch`` read
it. ``HostRun`` says what is watched and where (``accord.host_runs``), ``GuardSteps`` does it, and
``accord.callback`` calls it from transformers' trainers. Nothing here stops a trainer: whoever calls does, on
the decision that comes back, when its evidence is on disk.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from accord.errors import ContractError, PlanError
from accord.guard import Guard, Watch
from accord.host_runs import BEGUN, EVERY, STAGE, HostRun, accept, opened, started
from accord.ports import Feedback, History, How, Rule, Sampler, Scored
from accord.records import (
    JSON,
    Decision,
    Entry,
    ModelRef,
    NotMeasured,
    Prompt,
    Reading,
    Record,
    Response,
    StepEvent,
)
from accord.records.rows import Group, Text, Window
from accord.rules import Missing
from accord.stores.files import write_aside
from accord.stores.foreign.log_keys import NAMES, TERMS
from accord.stores.foreign.log_names import held_out, look_up, method_of
from accord.stores.runlog import RunLog, name_of
from accord.watching import Watched, looking, watching, watching_updates
from accord.worker import Worker

__all__ = ["EVERY", "GuardSteps", "HostRun", "accept"]

_MUTE = "the host gave no model to ask"


@dataclass
class GuardSteps:
    """The guard of a host's run. In this order: ``begin``, ``log_step`` after each update, ``close``.

    Begun without a model it only warns, with one it audits: at the start and every so many steps.
    """

    run: HostRun
    _guard: Guard | None = None
    _log: RunLog | None = None
    _worker: Worker | None = None
    _asks: bool = False
    _looked: int = -1
    _unmapped: set[str] = field(default_factory=set[str])

    def begin(
        self,
        step: int,
        policy: Sampler | None = None,
        base: Sampler | None = None,
        state: Mapping[str, JSON] | None = None,
    ) -> Decision:
        """Open the run at a step and look at the base. ``state``: what ``state()`` gave at this step.

        Refused while a Pause waits to be accepted, after a Halt, and where the folder holds another run.
        """
        if (policy is None) != (base is None):
            raise ContractError(
                "the caller of GuardSteps.begin", "gives a policy and its base, or neither", "one"
            )
        if policy is not None and not self.run.prompts and self.run.guard.prompts is None:
            advice = "texts or a file; they should not be trained on"
            raise PlanError("prompts", None, "prompts to ask the model and the base", advice)
        if self.run.guard.gold is not None:
            raise PlanError("guard.gold", self.run.guard.gold, "nothing: a host judges by itself")
        run, self._asks = self.run, policy is not None
        state = state if state is not None else started(run, step)
        self._log, view = opened(run, resumed=state is not None)
        self._worker = Worker()
        self._guard = Guard(self._watch(policy, base), self._commit, self._worker)
        if state is not None:
            self._guard.restore(dict(state))
            self._looked = step
            known = {one.id for one in self._guard.decisions}
            told = cast("list[Decision]", view.records("decision") if view else [])
            self._guard.decisions += [one for one in told if one.id not in known]
            return self._nothing(step)
        if policy is None:
            run.progress.say(f"accord: {_MUTE}: figures and rollouts are watched, nothing is audited")
            return self._nothing(step)
        watch = self._guard.watch
        run.progress.say(
            f"accord: a look reads at most {looking(watch):,} tokens, every {run.guard.every} steps"
        )
        decision = self.audit(step, policy)
        if run.writes:
            write_aside(run.stage / BEGUN, json.dumps({"step": step, "guard": self._guard.state()}))
        return decision

    def log_step(
        self,
        step: int,
        scalars: Mapping[str, float],
        rollouts: Sequence[Group] = (),
        sampler: Sampler | None = None,
    ) -> Decision:
        """What one update logged, by the host's own names, and what it sampled; a look where one is due.

        Look at what comes back: other than ``continue`` asks to save and stop, and has its evidence on disk.
        """
        decision = self.note(step, scalars, rollouts)
        due = step % self.run.guard.every == 0 and self._looked != step
        if decision.action != "continue" or sampler is None or not due:
            return decision
        return self.audit(step, sampler)

    def note(self, step: int, scalars: Mapping[str, float], rollouts: Sequence[Group] = ()) -> Decision:
        """Take figures and rollouts down, and let the rules see them."""
        guard, run = self._begun(), self.run
        self._commit((r for group in rollouts for r in (group.prompt, *group.responses)), step)
        windows, updates, apart = self._named(scalars)
        for name, value in apart.items():
            guard.readings.append(self._held_out(name, value, step))
            self._commit(guard.readings[-1:], step)
        parents = tuple(dict.fromkeys(r.id for group in rollouts for r in group.responses))
        if rollouts:
            windows |= _lengths(rollouts)
        decisions = [self._nothing(step)]
        told = {"run": run.name, "step": step, "window": step}
        if windows:
            event = {**told, "name": "window", "scalars": windows, "parents": parents}
            decisions.append(guard.note(StepEvent.model_validate(event)))
        if updates:
            event = {**told, "name": "update", "scalars": updates}
            decisions.append(guard.note(StepEvent.model_validate(event)))
        odd = [key for key in ("loss", "grad_norm") if not math.isfinite(scalars.get(key, 0.0))]
        if odd:
            # The host has applied the update: to say that it was refused would be untrue.
            text = f"step {step}: {' and '.join(odd)} not finite, and the host goes on from it"
            decisions.append(guard.note(StepEvent(run=run.name, name="fault", step=step, text=text)))
        return max(decisions, key=lambda one: ("continue", "pause", "halt").index(one.action))

    def audit(self, step: int, policy: Sampler) -> Decision:
        """One look at the policy against the base, now."""
        if not self._asks:
            raise ContractError("the caller of GuardSteps", "gives begin a model if it is to be asked", _MUTE)
        self._looked = step
        return self._begun().audit(step, policy)

    @property
    def begun(self) -> bool:
        """Whether it is between ``begin`` and ``close``."""
        return self._guard is not None

    @property
    def looked(self) -> int:
        """The step of the last look, −1 before the first."""
        return self._looked

    def state(self) -> dict[str, JSON]:
        """What ``begin`` needs to go on from here, for the host's checkpoint; plain JSON."""
        return self._begun().state()

    def finish(self, step: int, model: str = "") -> None:
        """The host has trained to its end: enter the stage, so that reports know it is over."""
        guard = self._begun()
        last = tuple(one.id for one in guard.readings if one.step == step)
        found = ModelRef(name=f"{self.run.name}@{step}", path=model, base=self.run.model)
        entry = Entry(
            run=self.run.name,
            stage=STAGE,
            step=step,
            purpose=self.run.purpose,
            model=found.id,
            parents=(found.id, *last),
        )
        self._commit([found, entry], step)

    def close(self) -> None:
        """Free the folder; a second close does nothing."""
        if self._log is not None:
            self._log.close()
        if self._worker is not None:
            self._worker.close()
        self._log = self._worker = self._guard = None

    def told(self, decision: Decision) -> str:
        """What a Pause or a Halt means to a person, and what they can do."""
        folder, what = self.run.folder, "PAUSED" if decision.action == "pause" else "HALTED"
        lines = [f"accord: {what} at step {decision.step} by rule {decision.rule}: {decision.reason}"]
        lines.append(f"  the evidence is on disk: accord report {folder}")
        if decision.action == "pause":
            lines.append(
                "  a person may let it go on from the host's checkpoint: "
                f'accept=("{decision.id[:12]}", "NAME", "REASON")'
            )
        else:
            lines.append("  a Halt ends a run; begin a new one in another folder")
        return "\n".join(lines)

    def _watch(self, policy: Sampler | None, base: Sampler | None) -> Watch:
        """The guard's parts, less what a host cannot tell."""
        plan = self.run.plan()
        watched = Watched(self.run.name, plan, plan.stage[0])
        if policy is None or base is None:
            watch = watching_updates(watched, _Mute())
            return watch._replace(rules=tuple(_OnlyWarns(rule) for rule in self._rules(watch.rules)))
        watch = watching(watched, _Source(self.run), base, self.run.progress)
        return watch._replace(rules=self._rules(watch.rules))

    def _rules(self, rules: Sequence[Rule]) -> tuple[Rule, ...]:
        """Hosts do not count missing verdicts, so the default rule that asks for the count is left out."""
        named = self.run.guard.rule is not None
        return tuple(rule for rule in rules if named or not isinstance(rule, Missing))

    # Writing

    def _begun(self) -> Guard:
        if self._guard is None:
            raise ContractError("the caller of GuardSteps", "calls begin before anything else", "not begun")
        return self._guard

    def _commit(self, records: Iterable[Record], step: int) -> None:
        if self._log is None:
            return
        for record in records:
            self._log.write(record, step=step, name=name_of(record))
        self._log.commit()

    def _named(
        self, scalars: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
        """Figures by our names: of windows, of updates, of held-out data; others are said once and left."""
        tool = self.run.tool
        method = method_of(scalars, tool)
        windows, updates, apart = dict[str, float](), dict[str, float](), dict[str, float]()
        for key, value in scalars.items():
            place = held_out(key, tool)
            names = look_up(place.key, tool, method).names
            if len(names) != 1:
                self._unmapped.add(key)
            elif place.held_out:
                apart[f"eval.{names[0].removeprefix('loss/')}"] = value
            else:
                (windows if NAMES[names[0]].event == "window" else updates)[names[0]] = value
        term = TERMS.get(method, "")
        if term and "objective" in updates:
            updates.setdefault(term, updates["objective"])
        # The host applies every update that it logs.
        return windows, ({**updates, "applied": 1.0} if updates else {}), apart

    def _held_out(self, name: str, value: float, step: int) -> Reading | NotMeasured:
        if not math.isfinite(value):
            return NotMeasured(run=self.run.name, name=name, step=step, reason=f"the host logged {value}")
        return Reading(
            run=self.run.name,
            name=name,
            step=step,
            instrument=f"the host's own, by {self.run.tool}",
            value=value,
            low=math.nan,
            high=math.nan,
            n=1,
        )

    def _nothing(self, step: int) -> Decision:
        return Decision(run=self.run.name, step=step, action="continue", rule="none")


def _lengths(rollouts: Sequence[Group]) -> dict[str, float]:
    """What the rollouts themselves tell: tokens an answer, and the share that was cut."""
    said = [response for group in rollouts for response in group.responses]
    counted = [len(one.tokens) for one in said if one.tokens]
    found = {"cut_share": sum(one.finish == "length" for one in said) / len(said)} if said else {}
    return found | ({"answer_length": sum(counted) / len(counted)} if counted else {})


class _OnlyWarns:
    """A rule whose Pauses and Halts become warnings, each once for the same evidence."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    @property
    def name(self) -> str:
        return self._rule.name

    def __call__(self, history: History) -> Decision:
        decision = self._rule(history)
        if decision.action == "continue":
            return decision
        told = {(one.rule, one.parents) for one in history.decisions}
        reason = "" if (decision.rule, decision.parents) in told else decision.reason
        return decision.model_copy(update={"action": "continue", "reason": reason})


class _Source:
    """Satisfies the port ``Source`` as far as a guard asks of it: prompts, and the texts that are taught."""

    def __init__(self, run: HostRun) -> None:
        self._run = run

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        del policy, feedback
        raise ContractError(
            "the caller of a host's source", "draws no window: the host does", f"window {index}"
        )

    def prompts(self) -> Sequence[Prompt]:
        return [Prompt.of(one) if isinstance(one, str) else one for one in self._run.prompts]

    def texts(self) -> Iterable[str]:
        return self._run.texts


class _Mute:
    """Satisfies the port ``Sampler`` where a host gives no model: it can nothing."""

    can = frozenset[str]()
    policy = "none"

    def encode(self, prompt: Prompt, text: str) -> Response:
        del prompt, text
        raise self._error()

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        del prompts, n, how
        raise self._error()

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        del texts, want
        raise self._error()

    def _error(self) -> ContractError:
        return ContractError("the caller of a host without a model", "asks it nothing", _MUTE)
