"""A run that grows, looked at again and again: only what is new is read, and what is shown is what is there.

Mutants that must be killed: the log read from its start at every look, an older fence's line kept beside a
newer one's, the first stage shown for the one at work, the base's answer in the policy's place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.reports.panelled import Script, paged
from unit.reports.written import FixedClock, finished, make_run, plan_of

from accord.errors import Unreadable
from accord.records import Decision, NotMeasured, Prompt, Reading, Response, StepEvent
from accord.reports import following, gather
from accord.reports.following import Following, find_texts
from accord.reports.watch import Watched, guarding, watched
from accord.stores.runlog import RunLog

NOW = 1.7e9 + 1000


def look(follower: Following, now: float = NOW) -> Watched:
    seen = follower.look()
    return watched(seen, guarding(seen).guard, now)


def asked(script: Script, prompts: int = 2) -> Reading:
    """The policy's and the base's answers to probes, and a reading that rests on them."""
    found: list[Response] = []
    for k in range(prompts):
        prompt = Prompt.of(f"Probe {k}?", slice="probe")
        script.put(prompt)
        for policy in ("base:abc", f"{script.run}@{script.step}"):
            for index in range(2):
                found.append(
                    Response(
                        prompt=prompt.id,
                        text=f"{policy} says {index} of {k}",
                        tokens=(1, 2),
                        finish="stop",
                        policy=policy,
                        seed=f"{policy}/{index}",
                        index=index,
                        parents=(prompt.id,),
                    )
                )
    script.put(*found)
    reading = Reading(
        run=script.run,
        name="diversity",
        step=script.step,
        instrument="i",
        value=0.5,
        low=0.4,
        high=0.6,
        base=0.8,
        change=-0.3,
        change_low=-0.4,
        change_high=-0.2,
        n=prompts,
        parents=tuple(one.id for one in found),
    )
    script.put(reading, name="diversity")
    return reading


def grown(script: Script) -> Iterator[None]:
    """A stage being written, one moment after another."""
    yield
    script.audit()
    script.panel("sycophancy.flips", 0)
    yield
    for k in range(3):
        script.window(k)
        yield
        script.update(k, pushed_down=0.5)
        script.update(k, pushed_down=0.25)
        yield
        script.panel("sycophancy.flips", 20)
        script.put(NotMeasured(run=script.run, name="unsaid.gap", step=script.step, reason="no logp"))
        yield
    script.decide("continue", "grew:reverse_kl", "it grew")
    yield


def test_every_look_shows_what_a_first_look_would(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    follower = Following(run)
    states: list[str] = []
    with Script(run) as script:
        for _ in grown(script):
            here, anew = look(follower), look(Following(run))
            assert here == anew
            states.append(here.state)
            before = here
    assert set(states) == {"running"}
    assert before.tier is not None
    # Another process goes on: it seals what was left, and its lines replace those of the first.
    with RunLog.open(run / "amplify", "r/amplify", clock=FixedClock(1.7e9 + 500), writer="2" * 32) as log:
        event = StepEvent(run="r/amplify", name="update", step=6, window=2, scalars={"objective": 9.0})
        log.write(event, step=6, name="update/2")
        again = script.readings[-1].model_copy(update={"value": 0.25})
        log.write(again, step=6, name=again.name)
        log.commit()
        here = look(follower)
        assert here == look(Following(run))
        assert here.figures["objective"] == 9.0
        assert here.pace.update == 6
        assert here.tier is not None
        assert here.tier.audits == before.tier.audits  # the same look, told anew
        assert next(one for one in here.indicators if one.name == again.name).value == 0.25
    assert look(follower).state == "interrupted"


def test_a_look_reads_only_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "r")
    taken: list[str] = []
    keep = following.log_line

    def counted(line: Any, record: Any) -> Any:
        taken.append(record.id)
        return keep(line, record)

    monkeypatch.setattr(following, "log_line", counted)
    with Script(run) as script:
        follower = Following(run)
        for _ in range(600):
            script.update(0, commit=False)
        script.log.commit()
        look(follower)
        assert len(taken) == 600
        script.update(1)
        here = look(follower)
        assert len(taken) == 601
        assert look(follower) == here
        assert len(taken) == 601
    assert here.pace.update == 601
    assert len(follower._lines["amplify"]) == 500  # of a long run only the newest updates are kept


def test_nothing_is_computed_again_for_an_update(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.panel("sycophancy.flips", 0)
        follower = Following(run)
        first = guarding(follower.look())
        script.update(0)
        assert guarding(follower.look(), first) is first
        script.panel("sycophancy.flips", 3)
        assert guarding(follower.look(), first) is not first


def test_e_values_are_those_of_the_report(tmp_path: Path) -> None:
    run = paged(tmp_path / "r")
    here, guard = look(Following(run)), gather(run).stages[0].guard
    assert here.tier is not None
    assert guard.paging is not None
    last = guard.paging.armings[-1]
    assert (here.tier.mean, here.tier.threshold, here.tier.arming) == (last.mean[-1], 800, 2)
    assert here.tier.indicators == {name: e[-1] for name, e in last.indicators.items()}
    assert here.tier.left == {"unsaid": "it gives no logp"}
    e = [one.e for one in here.indicators if one.e is not None]
    assert e == sorted(e, reverse=True)  # the worst first
    assert (here.state, here.over) == ("finished", True)
    assert here.decisions[-1].by == "B. Person"


def test_what_was_not_measured_says_why_until_it_is(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.panel("unsaid.gap", 3)
        script.update(0)
        script.put(
            NotMeasured(run=script.run, name="unsaid.gap", step=1, reason="no logp"), name="unsaid.gap"
        )
        follower = Following(run)
        (one,) = look(follower).indicators
        assert (one.why, one.step) == ("no logp", 1)
        script.update(0)
        script.panel("unsaid.gap", 4)
        (one,) = look(follower).indicators
        assert (one.why, one.step, one.value) == ("", 2, 0.125)
        assert one.beyond  # .125 above the base is more than .025


def test_the_policy_stands_beside_the_base_on_another_probe_every_time(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    prompts: list[str] = []
    with Script(run) as script:
        asked(script)
        follower = Following(run)
        for step in (0, 1, 2):
            here = look(follower).spoken
            assert here is not None
            assert here.step == step
            assert here.policy.startswith(f"r/amplify@{step} says 0")
            assert here.base.startswith("base:abc says 0")
            assert here.policy[-1] == here.base[-1] == here.prompt[6]
            prompts.append(here.prompt)
            script.update(0)
            asked(script)
    assert prompts[0] == prompts[2] != prompts[1]


def test_texts_are_found_at_either_end_of_what_was_written(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        old = script.answers_of("Old?", ["a", "b"])
    with Script(run, writer="1" * 32) as script:
        new = script.answers_of("New?", ["c", "d"])
        (file,) = (run / "amplify" / "episodes").glob("*.open")
        file.write_bytes(file.read_bytes()[:-1])  # the last line is not whole yet
        found = find_texts(run / "amplify", {old[0].id, *(one.id for one in new), "f" * 64})
    assert set(found) == {old[0].id, new[0].id}
    assert find_texts(run / "amplify", set()) == {}
    assert find_texts(run / "nowhere", {"f" * 64}) == {}


def test_times_and_pressure(tmp_path: Path) -> None:
    """The clock moves a quarter of a second with every line."""
    run = make_run(tmp_path / "r", plan_of(windows=10))
    with Script(run) as script:
        for k in range(3):
            script.window(k)
            script.update(k, pushed_down=0.5, pushed_answers=0.25, negative_mass=0.125)
            script.update(k, pushed_down=0.3)
        here = look(Following(run), now=script.log._clock.now)  # type: ignore[attr-defined]
    pace = here.pace
    assert (pace.window, pace.windows, pace.update) == (3, 10, 6)
    assert pace.update_seconds == 0.25
    assert pace.window_seconds is not None
    assert pace.left == pytest.approx(8 * pace.window_seconds - 0.5)
    assert pace.silent == 0.0
    told = {"answers pushed down": 0.25, "negative mass": 0.125, "answers left unused": 0.5}
    assert here.pressure == {"tokens pushed down": pytest.approx(0.4), **told}
    assert list(here.pressure)[:2] == ["tokens pushed down", "answers pushed down"]


def test_the_stage_at_work_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", plan_of(stages=("first", "second", "third"), held_out=False))
    follower = Following(run)
    here = look(follower)
    assert (here.stage, here.state, here.pace.window) == ("first", "not begun", 0)
    with Script(run, "first", "1" * 32) as script:
        script.panel("sycophancy.flips", 0)
        script.update(0)
        assert look(follower).stage == "first"
        script.finish()
    here = look(follower)
    assert (here.stage, here.state) == ("first", "interrupted")
    assert "second has not begun" in here.says
    assert not here.over
    with Script(run, "second", "2" * 32) as script:
        script.panel("sycophancy.flips", 1)
        here = look(follower)
        assert (here.stage, here.state) == ("second", "running")
        assert here.stages == {"first": "finished", "second": "running", "third": "not begun"}
        assert [one.value for one in here.indicators] == [1 / 32]
        assert here.tier is not None
        assert here.tier.threshold == 800  # δ/4 of three stages, half of it for the first arming
    assert [line.record.kind for line in follower._lines["first"]] == ["entry"]


@pytest.mark.parametrize("action", ["pause", "halt"])
def test_a_run_that_a_rule_stopped(action: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.panel("sycophancy.flips", 30)
        decision = script.decide(action, "page", "page: sycophancy.flips")
        here = look(Following(run))
    assert here.over
    assert here.state == f"{action}{'d' if action == 'pause' else 'ed'}"
    pause = f"accord resume {run} --accept {decision.id[:12]} --by NAME --reason TEXT"
    assert here.command == (pause if action == "pause" else "")


def test_as_json_it_keeps_what_was_said(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r")
    with Script(run) as script:
        script.audit(kl=float("nan"))
        script.put(Decision(run=script.run, step=0, action="continue", rule="x", reason="a\u202eb\ud800"))
        found = look(Following(run)).json()
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["kind"] == "watch"
    assert found["decisions"][0]["reason"] == "a\u202eb\\ud800"  # type: ignore[index, call-overload]
    assert "no evidence, for or against, about experience" in str(found["statement"])


def test_a_log_that_was_changed_says_so(tmp_path: Path) -> None:
    run = finished(tmp_path / "r")
    (segment,) = (run / "amplify" / "readings").glob("*.jsonl")
    segment.write_text(segment.read_text().replace('"value":0.8', '"value":0.1', 1))
    assert any("its id is" in problem for problem in look(Following(run)).problems)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"run\.json"):
        Following(tmp_path)
