"""What a warning changes: which looks come closer, how many items they draw, what is kept, and that a resume
changes none of it. Mutants: a counter that a resume loses, the base look enlarged, n settled after its draw,
a person's sign-off heeded, a fourth look at later steps, the step of a warning thinned out, ``heed`` unread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from unit.walks import LAST, RUN, Log, a_walk

from accord.engines.scripted import Scripted
from accord.guard import Guard, Probing, Watch
from accord.heeding import ITEMS, LOOKS, begun, due, heeded, looked, warned
from accord.indicators.own import Own
from accord.maths.intervals import clopper_pearson
from accord.maths.sequential import Wealth, audited, e_value
from accord.plan import Plan
from accord.ports import History, Rule, Source
from accord.progress import Silent
from accord.records import Decision, NotMeasured, Reading, canonical
from accord.records.panels import Item, Panel
from accord.records.texts import Prompt
from accord.rules import Fault, NonFinite
from accord.snapshots import Keeper, kept
from accord.testing import a_reading, an_event
from accord.watching import Watched, watching
from accord.worker import Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def said(step: int, reason: str = "it grew", action: str = "continue", by: str = "") -> Decision:
    told = {"run": RUN, "step": step, "action": action, "rule": "grew", "reason": reason, "by": by}
    return Decision.model_validate(told)


def looks(*steps: int) -> list[Reading | NotMeasured]:
    return [a_reading("diversity", step) for step in steps]


# Which looks


def test_a_warning_is_a_reason_to_go_on_that_no_person_gave() -> None:
    plain, pause = said(1, ""), said(2, action="pause")
    signed = said(3, by="a person")
    assert warned([plain, pause, signed, said(4)]) == [said(4)]


def test_looks_are_not_held_out_figures() -> None:
    readings = [a_reading("eval.nll", 1), a_reading("held_out.score", 2), a_reading("x", 3)]
    silent = NotMeasured(run=RUN, name="y", step=4, reason="it cannot")
    assert looked([*readings, silent]) == {3, 4}


@pytest.mark.parametrize(
    ("steps", "closer"),
    [
        ((), False),  # the base is looked at as it always is
        ((0,), True),
        ((0, 8), True),  # the warning's own step
        ((0, 8, 12, 16), True),
        ((0, 8, 12, 16, 20), False),
        ((0, 8, 12, 16, 20, 4), False),  # the result is an earlier step
    ],
)
def test_three_looks_at_later_steps_come_closer(steps: Sequence[int], closer: bool) -> None:
    assert heeded([said(8)], looks(*steps)) == closer
    assert not heeded([], looks(*steps))


def test_another_warning_begins_it_anew() -> None:
    before = looks(0, 8, 12, 16, 20)
    assert not heeded([said(8)], before)
    assert heeded([said(8), said(20)], before)
    assert heeded([said(20), said(8)], before)


def test_one_that_lasts_from_look_to_look_does_not() -> None:
    """Kills: a rule that repeats itself at every look, heeded for good."""
    lasting = [said(step) for step in (8, 12, 16, 20)]
    assert begun(lasting, looks(0, 8, 12, 16, 20)) == {8}
    assert not heeded(lasting, looks(0, 8, 12, 16, 20))
    again = [*lasting, said(28)]  # it was quiet at 24
    assert begun(again, looks(0, 8, 12, 16, 20, 24, 28)) == {8, 28}
    other = said(20).model_copy(update={"rule": "another"})
    assert begun([*lasting, other], looks(0, 8, 12, 16, 20)) == {8, 20}
    assert begun([said(9), said(10)], looks(0, 8)) == {9}, "twice between two looks is once"
    assert begun([said(1), said(2)], []) == {1}


@pytest.mark.parametrize("every", range(1, 12))
def test_twice_as_many_looks_and_never_more_than_windows(every: int) -> None:
    counts = range(1, 12 * every + 1)
    plain = [count for count in counts if due(count, every, heeds=False)]
    closer = [count for count in counts if due(count, every, heeds=True)]
    assert plain == [count for count in counts if count % every == 0]
    assert set(plain) <= set(closer)
    assert len(closer) == len(plain) * (1 if every == 1 else 2)


# In the guard


class Warns:
    """A rule that warns at these steps of events, and is quiet else."""

    name = "warns"

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def __call__(self, history: History) -> Decision:
        found = [e for e in history.events if e.name == "update" and e.step == history.step]
        told = {"run": history.run, "step": history.step, "action": "continue", "rule": self.name}
        if history.step in self.steps and found:
            told |= {"reason": "told to", "parents": (found[-1].id,)}
        return Decision.model_validate(told)


ENGINE = Scripted(words=tuple("abcd"), longest=3, tensors="numpy")
PANEL = Panel("p", tuple(Item(Prompt.of(f"Q{i}?"), answer="a") for i in range(40)))


def a_guard(worker: Worker, *, heed: bool = True, log: Log | None = None, rule: Rule | None = None) -> Guard:
    watch = Watch(
        RUN,
        (),
        (rule or Warns(4),),
        Probing((Prompt.of("probe"),), 1, 1, 1.0, 4),
        ENGINE.sampler("scripted", Silent()),
        (Own(panel="p", scorer="exact"),),
        {"p": PANEL},
        items=6,
        heed=heed,
    )
    return Guard(watch, (log or Log()).commit, worker)


def walked(guard: Guard, steps: Sequence[int]) -> None:
    for step in steps:
        guard.note(an_event(step))
        guard.audit(step, ENGINE.sampler("scripted", Silent()))


def sizes(guard: Guard) -> list[int]:
    return [len(one.items) for one in guard.readings if isinstance(one, Reading)]


def test_three_looks_and_one_at_its_own_step_draw_four_times_the_items(worker: Worker) -> None:
    guard = a_guard(worker)
    walked(guard, range(9))
    assert sizes(guard) == [6, 6, 6, 6, 24, 24, 24, 24, 6]
    assert (LOOKS, ITEMS) == (3, 4)
    deaf = a_guard(worker, heed=False)
    walked(deaf, range(9))
    assert sizes(deaf) == [6] * 9
    # What is not heeded is said all the same.
    assert [one.step for one in warned(deaf.decisions)] == [4]


@pytest.mark.parametrize("killed", [0, 4, 5, 8])
def test_a_resume_looks_as_closely_to_the_bit(killed: int, worker: Worker) -> None:
    whole = a_guard(worker)
    walked(whole, range(9))
    first = a_guard(worker)
    walked(first, range(killed))
    second = a_guard(worker)
    second.restore(json.loads(canonical(first.state())))
    walked(second, range(killed, 9))
    assert [one.id for one in second.readings] == [one.id for one in whole.readings]
    assert canonical(second.state()) == canonical(whole.state())


# In the loop


class AtStep(Warns):
    """Warns at an update."""


def a_loop(folder: Path, worker: Worker, log: Log, **told: Any) -> Any:
    """Four updates a window, six windows, a look after every fourth; the fifth update warns."""
    rules: tuple[Rule, ...] = (Fault(), NonFinite(), AtStep(5))
    loop = a_walk(
        folder,
        worker,
        log=log,
        windows=6,
        rules=rules,
        criterion=LAST,
        every=99,
        save_every=3,
        **told,
    )
    loop.pace = replace(loop.pace, audit_every=4)
    return loop


def test_the_loop_looks_twice_as_often_while_a_warning_is_heeded(tmp_path: Path, worker: Worker) -> None:
    log = Log()
    a_loop(tmp_path / "one", worker, log).train()
    # Windows end at 4, 8, 12, 16, 20, 24; of these the second and sixth come halfway.
    assert [one.step for one in log.of(Reading, "scripted")] == [0, 8, 16, 24]
    deaf = Log()
    loop = a_loop(tmp_path / "two", worker, deaf)
    loop.guard.watch = loop.guard.watch._replace(heed=False)
    loop.train()
    assert [one.step for one in deaf.of(Reading, "scripted")] == [0, 16, 24]


def test_a_killed_loop_looks_when_the_whole_one_did(tmp_path: Path, worker: Worker) -> None:
    whole = Log()
    a_loop(tmp_path / "whole", worker, whole).train()
    for killed in (7, 8):  # after the warning, and after the look that it brings
        log = Log()
        loop = a_loop(tmp_path / str(killed), worker, log)
        plain = loop.learner.update

        def dies(*given: Any, plain: Any = plain, loop: Any = loop, killed: int = killed) -> Any:
            if loop.state.step == killed:
                raise KeyboardInterrupt
            return plain(*given)

        loop.learner.update = dies
        with pytest.raises(KeyboardInterrupt):
            loop.train()
        a_loop(tmp_path / str(killed), worker, log).train()
        assert log.facts() == whole.facts()


def test_the_policy_of_a_warning_is_kept(tmp_path: Path, worker: Worker) -> None:
    """Where there is room for looks alone: their steps, and that of the warning."""
    for heed, steps in ((True, (0, 5, 8, 16, 24)), (False, (0, 16, 24))):
        loop = a_loop(tmp_path / str(heed), worker, Log())
        loop.guard.watch = loop.guard.watch._replace(heed=heed)
        folder = tmp_path / f"kept-{heed}"
        loop.snapshot = Keeper(folder, loop.learner, loop.guard, room=15, every=False).take
        loop.train()
        assert kept(folder) == steps


class Prompts:
    def prompts(self) -> list[Prompt]:
        return [Prompt.of("probe")]


@pytest.mark.parametrize("told", [{}, {"heed": False}])
def test_a_plan_can_switch_it_off(told: dict[str, bool]) -> None:
    guard = {"indicator": [], **told}
    stage = {
        "name": "s",
        "windows": 1,
        "source": {"name": "offline"},
        "method": {"name": "sft"},
        "guard": guard,
    }
    plan = Plan.model_validate({"name": "p", "model": "scripted", "stage": [stage]})
    base = ENGINE.sampler("scripted", Silent())
    watch = watching(Watched("r/s", plan, plan.stage[0]), cast(Source, Prompts()), base, Silent())
    assert watch.heed == (not told)


# That the stated rate holds


def false_pages(runs: int, cheat: bool) -> int:
    """Runs at the very edge of the null, τ = .2, whose warnings hang on what was drawn before; threshold 20.

    ``cheat``: the number is settled after the draw, as the one that says more.
    """
    rng, pages = np.random.default_rng(11), 0
    for _ in range(runs):
        wealth, decisions, readings = Wealth(), list[Decision](), list[Reading]()
        for step in range(40):
            n = 8 * (ITEMS if heeded(decisions, readings) else 1)
            delta_N = (rng.random(n) < 0.2).astype(np.float64)
            if cheat:
                again_N = (rng.random(n * ITEMS) < 0.2).astype(np.float64)
                delta_N = max(delta_N, again_N, key=np.mean)
            wealth = audited(wealth, delta_N, 0.2)
            readings.append(a_reading("x", step))
            if delta_N.mean() > 0.3 or e_value(wealth) > 2:
                decisions.append(said(step))
            if e_value(wealth) >= 20:
                pages += 1
                break
    return pages


def test_looking_closer_leaves_the_chance_of_a_false_page_as_it_was() -> None:
    """Against 1/20. Kills: items of a look chosen by what they say, which the same bound finds out."""
    pages = false_pages(150, cheat=False)
    assert clopper_pearson(pages, 150, 0.98).low <= 1 / 20
    assert clopper_pearson(false_pages(40, cheat=True), 40, 0.98).low > 1 / 20
