"""The guard looks, writes its evidence down, and alone stops the loop; what goes wrong in a look pauses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from accord.engines.scripted import Scripted
from accord.guard import Guard, Probing, Watch
from accord.ports import Draw, History, Look, Rule, Sampler
from accord.progress import Silent
from accord.records import Action, Decision, NotMeasured, Prompt, Reading, Record, StepEvent, canonical
from accord.rules import Fault, NonFinite
from accord.testing import ScriptedIndicator, a_reading, an_event
from accord.worker import Worker

BASE = Scripted(words=tuple("abcd"), longest=3, tensors="numpy").sampler("scripted", Silent())
POLICY = Scripted(words=tuple("abcd"), longest=3, spread=2.0, tensors="numpy").sampler("scripted", Silent())
PROMPTS = tuple(Prompt.of(f"probe {i}") for i in range(6))


class Says:
    """A rule that gives the next of its actions, and then the last."""

    def __init__(self, name: str, *actions: Action) -> None:
        self.name, self._actions, self.seen = name, list(actions), list[History]()

    def __call__(self, history: History) -> Decision:
        action = self._actions[min(len(self.seen), len(self._actions) - 1)]
        self.seen.append(history)
        reason = "" if action == "continue" else "told to"
        return Decision(run=history.run, step=history.step, action=action, rule=self.name, reason=reason)


class Kept:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def commit(self, records: Iterable[Record], step: int) -> None:
        del step
        self.records += list(records)


Make = Callable[..., Guard]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def make(kept: Kept) -> Iterator[Make]:
    with Worker() as worker:

        def guard(
            *rules: Rule, indicators: tuple[Any, ...] = (), base: Sampler = BASE, probes: int = 4
        ) -> Guard:
            probing = Probing(PROMPTS, probes, 2, 1.0, 5)
            return Guard(Watch("run/stage", indicators, rules, probing, base), kept.commit, worker)

        yield guard


class Watching(ScriptedIndicator):
    """Keeps what it was shown."""

    values: tuple[float | None, ...] = (0.5,)

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading | NotMeasured:
        SEEN.append((look, base, draw))
        return await super().read(look, base, draw)


SEEN: list[tuple[Look, Sampler, Draw]] = []


def test_a_look_shows_the_policy_and_the_base_on_the_same_probes(make: Make, kept: Kept) -> None:
    SEEN.clear()
    guard = make(indicators=(Watching(),))
    guard.note(an_event(1))
    guard.audit(1, POLICY)
    ((look, base, draw),) = SEEN
    assert [g.prompt.id for g in look.groups] == [g.prompt.id for g in draw.base_groups]
    assert len(look.groups) == 4
    assert {r.policy for g in look.groups for r in g.responses} == {POLICY.policy}
    assert {r.policy for g in draw.base_groups for r in g.responses} == {BASE.policy}
    assert (look.run, look.step, draw.audit) == ("run/stage", 1, 0)
    assert base.policy == BASE.policy
    assert [e.step for e in look.events] == [1]


def test_each_audit_asks_afresh_and_the_base_only_once(make: Make) -> None:
    SEEN.clear()
    guard = make(indicators=(Watching(),))
    for step in (0, 1):
        guard.audit(step, POLICY)
    (one, _, first), (two, _, second) = SEEN
    assert {r.seed for g in one.groups for r in g.responses}.isdisjoint(
        r.seed for g in two.groups for r in g.responses
    )
    assert first.base_groups == second.base_groups
    assert (first.audit, second.audit) == (0, 1)


def test_events_are_shown_once(make: Make) -> None:
    SEEN.clear()
    guard = make(indicators=(Watching(),))
    for step in (1, 2, 3):
        guard.note(an_event(step))
        guard.audit(step, POLICY)
    assert [[e.step for e in look.events] for look, _, _ in SEEN] == [[1], [2], [3]]


def test_all_that_a_reading_rests_on_is_written_down(make: Make, kept: Kept) -> None:
    """Every figure can be walked back: the base's answers and the policy's, with their prompts."""
    guard = make(indicators=(Watching(),))
    SEEN.clear()
    guard.audit(0, POLICY)
    ((look, _, draw),) = SEEN
    written = {record.id for record in kept.records}
    for groups in (look.groups, draw.base_groups):
        for group in groups:
            assert group.prompt.id in written
            assert {r.id for r in group.responses} <= written
    readings = [r for r in kept.records if isinstance(r, Reading)]
    assert readings == guard.readings
    assert set(readings[0].parents) <= written


def test_an_indicator_that_raises_is_a_fault_and_a_pause_and_the_others_are_read(
    make: Make, kept: Kept
) -> None:
    broken = ScriptedIndicator(values=(0.5,), raises=(0,), called="broken")
    guard = make(Fault(), NonFinite(), indicators=(broken, ScriptedIndicator(values=(0.7,))))
    decision = guard.audit(3, POLICY)
    assert (decision.action, decision.rule) == ("pause", "fault")
    (fault,) = [r for r in kept.records if isinstance(r, StepEvent)]
    assert "indicator broken raised RuntimeError: told to raise in audit 0" in fault.text
    assert decision.parents == (fault.id,)
    assert [r.name for r in guard.readings] == ["scripted"]
    order = [type(r).__name__ for r in kept.records]
    assert order[-1] == "Decision", "the evidence is on disk before the decision"
    assert guard.audit(4, POLICY).action == "continue", "the next audit is a new look"


def test_the_gravest_decision_wins(make: Make) -> None:
    pause, halt = Says("first", "pause"), Says("second", "halt")
    decision = make(pause, Says("third", "continue"), halt).note(an_event(1))
    assert (decision.action, decision.rule) == ("halt", "second")
    assert len(pause.seen) == len(halt.seen) == 1, "every rule is asked"


def test_nothing_wrong_is_written_down_nowhere(make: Make, kept: Kept) -> None:
    guard = make(Says("calm", "continue"))
    assert guard.note(an_event(1)).action == "continue"
    assert [type(r).__name__ for r in kept.records] == ["StepEvent"]
    assert not guard.decisions


def test_a_decision_is_written_once_for_one_fact(make: Make, kept: Kept) -> None:
    guard = make(Says("loud", "pause"))
    for _ in range(2):
        assert guard.note(an_event(1)).action == "pause"
    assert len([r for r in kept.records if isinstance(r, Decision)]) == 1


def test_readings_made_elsewhere_enter_the_history(make: Make, kept: Kept) -> None:
    rule = Says("looks", "continue")
    guard = make(rule)
    own = a_reading("held_out.score", 0)
    guard.audit(0, POLICY, [own])
    assert own in rule.seen[-1].readings
    assert own in kept.records


def test_state_is_json_and_restores_the_history(make: Make) -> None:
    guard = make(Says("loud", "pause"), indicators=(ScriptedIndicator(values=(0.5, None)),))
    guard.note(an_event(1, objective=float("nan"), grad_norm=float("inf"), large=1e17))
    guard.audit(1, POLICY)
    guard.audit(2, POLICY)
    guard.accept(
        Decision(run="run/stage", step=2, action="continue", rule="acceptance", by="me", accepts="x")
    )
    text = canonical(guard.state())
    again = make(Says("loud", "pause"), indicators=(ScriptedIndicator(values=(0.5, None)),))
    again.restore(json.loads(text))
    assert canonical(again.state()) == text
    assert again.audits == 2
    for name in ("events", "readings", "decisions"):
        assert [r.id for r in getattr(again, name)] == [r.id for r in getattr(guard, name)]
    assert str(again.events[0].scalars["objective"]) == "nan"


def test_a_resumed_guard_looks_as_the_uninterrupted_one(make: Make) -> None:
    whole = make(indicators=(Watching(),))
    SEEN.clear()
    for step in (0, 1):
        whole.audit(step, POLICY)
    first = make(indicators=(Watching(),))
    first.audit(0, POLICY)
    second = make(indicators=(Watching(),))
    second.restore(json.loads(canonical(first.state())))
    second.audit(1, POLICY)
    (_, uninterrupted, _, resumed) = SEEN
    assert resumed[0].groups == uninterrupted[0].groups
    assert resumed[2] == uninterrupted[2]


def test_more_probes_than_prompts_takes_all_of_them(make: Make) -> None:
    assert {p.id for p in make(probes=99).panel()} == {p.id for p in PROMPTS}
    assert make(probes=3).panel() == make(probes=3).panel()
