"""``explain``: each check finds what was planted, and nothing in a twin that stays within every limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from unit.reports.grouped import PLAN, Hasty, a_run
from unit.reports.written import make_run

from accord.errors import Unreadable
from accord.records import Reading, StepEvent
from accord.reports.explained import CHECKS, Explained, explain
from accord.reports.symptoms import LEVELS, LIMITS, Figure, Finding, Told, Unread

RUN = "r/s"


def windows(count: int, **figures: float | Sequence[float]) -> tuple[StepEvent, ...]:
    """One window per update; a figure is one number, or one for each window."""
    return tuple(
        StepEvent(run=RUN, name="window", step=k, window=k, scalars=at(figures, k)) for k in range(count)
    )


def updates(count: int, **figures: float | Sequence[float]) -> tuple[StepEvent, ...]:
    base: dict[str, float | Sequence[float]] = {"applied": 1.0, "grad_norm": 1.0, "objective": 0.5}
    figures = base | {name.replace("__", "/"): value for name, value in figures.items()}
    return tuple(
        StepEvent(run=RUN, name="update", step=k + 1, window=k, scalars=at(figures, k)) for k in range(count)
    )


def at(figures: dict[str, float | Sequence[float]], k: int) -> dict[str, float]:
    found = {name: value[k] if isinstance(value, Sequence) else value for name, value in figures.items()}
    return {"rows": 8.0, "missing": 0.0, "steps": 1.0} | found if "applied" not in found else found


def reading(
    name: str, step: int, value: float, half: float = 0.01, change: float | None = None, n: int = 16
) -> Reading:
    moved = {} if change is None else {"base": value - change, "change": change}
    moved |= {} if change is None else {"change_low": change - half, "change_high": change + half}
    low, high = value - half, value + half
    return Reading(
        run=RUN, name=name, step=step, instrument="i", value=value, low=low, high=high, n=n, **moved
    )


def rising(count: int, start: float, end: float) -> list[float]:
    """A line with a little noise of its own."""
    span = (end - start) / (count - 1)
    return [start + span * k + 0.02 * abs(end - start) * (-1) ** k for k in range(count)]


def answered(count: int, **told: float) -> Told:
    """A policy that answers and learns; figures are those of its windows."""
    return Told("grpo", windows(count, **told), updates(count), own=True)


PLANTED: dict[str, tuple[Told, Told]] = {
    "refused": (
        Told("sft", windows(6), updates(6, applied=[1, 1, 0, 1, 1, 1])),
        Told("sft", windows(6), updates(6)),
    ),
    "zero_gradient": (
        Told("grpo", windows(6), updates(6, grad_norm=[1, 0, 0, 0, 1, 1])),
        Told("grpo", windows(6), updates(6, grad_norm=[1, 1e-6, 0, 0, 1, 1])),
    ),
    "zero_loss": (
        Told("grpo", windows(6), updates(6, objective=[0, 1e-7, -1e-8, 0.1, 0, 0.2], loss__policy=0.0)),
        Told("grpo", windows(6), updates(6, objective=[0, 1e-7, 0.1, 0.1, 0.2, 0.2], loss__policy=0.0)),
    ),
    "equal_groups": (
        answered(4, groups=4.0, groups_equal=2.0, score_std=0.3, score=0.98),
        answered(4, groups=4.0, groups_equal=1.0, score_std=0.3),
    ),
    "nothing_accepted": (
        answered(4, groups=4.0, groups_without=2.0),
        answered(4, groups=4.0, groups_without=1.0),
    ),
    "clipped": (
        Told("ppo", windows(4), updates(4, loss__clipped=[0.31, 0.3, 0.0, 0.1])),
        Told("ppo", windows(4), updates(4, loss__clipped=[0.31, 0.29, 0.0, 0.1])),
    ),
    "both_fell": (
        Told("dpo", windows(6), updates(6, loss__both_fell=0.6, loss__chosen=-1.0, loss__rejected=-3.0)),
        Told("dpo", windows(6), updates(6, loss__both_fell=0.5, loss__chosen=-1.0, loss__rejected=-3.0)),
    ),
    "negative_kl": (
        answered(8, kl_start=[0, -0.5, -0.3, -0.5, -0.4, -0.6, -0.2, -0.4]),
        answered(8, kl_start=[0, -0.5, 0.4, -0.5, 0.4, -0.6, 0.2, -0.4]),
    ),
    "overused": (
        replace(
            answered(12, proxy=rising(12, 0.2, 0.9)),
            readings=(reading("held_out.score", 0, 0.6), reading("held_out.score", 12, 0.5, change=-0.1)),
        ),
        replace(
            answered(12, proxy=rising(12, 0.2, 0.9)),
            readings=(reading("held_out.score", 0, 0.6), reading("held_out.score", 12, 0.6, change=-0.005)),
        ),
    ),
    "missing": (
        replace(answered(4, missing=[0, 2, 1, 0]), abstained={"timeout": 3}),
        answered(4, missing=[0, 1, 1, 0]),
    ),
    "cut": (
        Told("grpo", windows(4), cut=[Figure(k, 0.5) for k in (1, 2, 3, 4)], own=True),
        Told("grpo", windows(4), cut=[Figure(k, v) for k, v in enumerate((0.9, 0.4, 0.4, 0.4), 1)], own=True),
    ),
    "longer": (
        Told("grpo", length=[Figure(k, v) for k, v in enumerate(rising(12, 20, 60))], own=True),
        Told("grpo", length=[Figure(k, v) for k, v in enumerate(rising(12, 20, 27))], own=True),
    ),
    "worsened": (
        Told(
            "dpo", readings=(reading("eval.dpo", 0, 0.69, change=0), reading("eval.dpo", 9, 0.8, change=0.11))
        ),
        Told(
            "dpo",
            readings=(reading("eval.dpo", 0, 0.69, change=0), reading("eval.dpo", 9, 0.6, change=-0.09)),
        ),
    ),
    "guessing": (
        Told(
            "reward_model", updates=updates(24, loss__preference=0.69, loss__accuracy=0.52, loss__margin=0.1)
        ),
        Told(
            "reward_model", updates=updates(24, loss__preference=0.65, loss__accuracy=0.6, loss__margin=0.1)
        ),
    ),
    "rate_high": (
        Told("sft", updates=updates(12, grad_norm=[1, 1, 1, 1, 11, 1, 1, 12, 1, 30, 1, 1])),
        Told("sft", updates=updates(12, grad_norm=[1, 1, 1, 1, 9, 1, 1, 12, 1, 30, 1, 1])),
    ),
    "rate_low": (
        Told("grpo", windows(24, k3=0.005, proxy=0.5), updates(24)),
        Told("grpo", windows(24, k3=0.02, proxy=0.5), updates(24)),
    ),
    "critic_blind": (
        answered(14, value_explains=[0.5] * 4 + [-0.1] * 10),
        answered(14, value_explains=[-0.5] * 4 + [0.1] * 10),
    ),
    "gap": (
        Told(
            "reward_model",
            updates=updates(24, loss__preference=0.3, loss__accuracy=0.9, loss__margin=2.0),
            readings=(reading("eval.accuracy", 24, 0.7),),
        ),
        Told(
            "reward_model",
            updates=updates(24, loss__preference=0.3, loss__accuracy=0.8, loss__margin=2.0),
            readings=(reading("eval.accuracy", 24, 0.7),),
        ),
    ),
    "one_sided": (
        Told("kto", windows(4, share_wanted=0.95)),
        Told("kto", windows(4, share_wanted=0.89)),
    ),
    "withheld": (
        answered(4, withheld_share=0.95),
        answered(4, withheld_share=0.85),
    ),
}


def test_every_check_has_its_planted_case() -> None:
    assert PLANTED.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_what_was_planted_is_found_alone(name: str) -> None:
    sick, _ = PLANTED[name]
    found = {other: one for other, check in CHECKS.items() if isinstance(one := check(sick), Finding)}
    assert list(found) == [name]
    one = found[name]
    assert one.check == name
    assert one.level in LEVELS
    assert one.do and all(text and not text.endswith(".") for text in one.do)
    for text in (one.title, one.seen, one.means, one.limit):
        assert text.strip() and "  " not in text and "nan" not in text and "not a number" not in text
    assert one.seen.endswith(".") and one.means.endswith(".")


@pytest.mark.parametrize("name", CHECKS)
def test_its_twin_within_the_limits_is_quiet(name: str) -> None:
    _, clean = PLANTED[name]
    assert {other: one for other, check in CHECKS.items() if isinstance(one := check(clean), Finding)} == {}
    assert CHECKS[name](clean) is None, "it looked"


@pytest.mark.parametrize("name", CHECKS)
def test_a_log_without_figures_is_not_called_clean(name: str) -> None:
    found = CHECKS[name](Told("sft"))
    assert isinstance(found, Unread)
    assert found.why


def test_limits_are_told_and_each_is_used() -> None:
    said = " ".join(
        one.limit for sick, _ in PLANTED.values() for c in CHECKS.values() if (one := found(c, sick))
    )
    unsaid = {name for name, limit in LIMITS.items() if limit.says not in said}
    assert unsaid <= {"updates"}, "how many are needed stands beside the checks that could not look"


def found(check: Callable[[Told], object], told: Told) -> Finding | None:
    one = check(told)
    return one if isinstance(one, Finding) else None


def look(name: str, told: Told) -> Finding:
    one = CHECKS[name](told)
    assert isinstance(one, Finding), one
    return one


# What the findings say, and what else makes them


def test_windows_without_an_update_are_told_from_a_loss_of_0() -> None:
    told = Told("grpo", windows(6, steps=[0, 0, 1, 0, 1, 1]), updates(3, loss__policy=0.0, objective=0.0))
    assert look("zero_gradient", told).seen.startswith("No update came of 3 windows, 1 to 4.")
    told = Told("grpo", windows(6), updates(6, loss__policy=0.0, objective=0.0, grad_norm=0.0))
    assert look("zero_gradient", told).seen.startswith("The gradient is 0 in 6 updates, 1 to 6.")
    assert CHECKS["zero_loss"](told) is None, "without a gradient a loss of 0 is not normal"


def test_equal_scores_are_seen_under_a_penalty_in_the_reward() -> None:
    """The KL makes equal scores differ a little, so no group counts as equal."""
    told = answered(4, groups=4.0, groups_equal=0.0, score_std=0.0, score=1.0)
    assert "The mean score there is 1." in look("equal_groups", told).seen


def test_one_clipped_update_makes_a_window_clipped() -> None:
    """Four updates a window, of which the last is cut off."""
    made = [StepEvent(run=RUN, name="update", step=k + 1, window=k // 4) for k in range(16)]
    shares = [0.0, 0.1, 0.2, 0.9] * 4
    told = [e.model_copy(update={"scalars": {"loss/clipped": s}}) for e, s in zip(made, shares, strict=True)]
    assert (
        "In 4 windows, 1 to 4, of 4, an update left up to 90 %"
        in look("clipped", Told("ppo", updates=told)).seen
    )


def test_a_negative_reading_of_the_guard_is_one() -> None:
    def read(*values: float, n: int = 16, half: float = 0.1) -> Told:
        made = (reading("reverse_kl", 4 * k, value, half=half, n=n) for k, value in enumerate(values))
        return Told("sft", readings=tuple(made))

    assert "at steps 4, 8." in look("negative_kl", read(-0.5, -0.5, -0.5, 0.5, 0.5)).seen
    assert CHECKS["negative_kl"](read(0.0, -0.5, -0.5, 0.5, 0.5, 0.5)) is None, "not in half of them"
    assert CHECKS["negative_kl"](read(0.0, -0.5, -0.5, half=0.6)) is None, "not with the whole interval"
    few = CHECKS["negative_kl"](read(0.0, -0.5, -0.5, n=2))
    assert isinstance(few, Unread), "an interval over two probes says little"


def test_a_gold_score_that_falls_is_overuse_too() -> None:
    told = answered(12, proxy=rising(12, 0.2, 0.9), gold=rising(12, 0.6, 0.3))
    assert "gold went from 0.5" in look("overused", told).seen
    assert CHECKS["overused"](answered(12, proxy=rising(12, 0.9, 0.2), gold=rising(12, 0.6, 0.3))) is None


def test_unpaired_figures_have_to_lie_apart() -> None:
    far = (reading("held_out.score", 0, 6.0, half=0.4), reading("held_out.score", 9, 5.0, half=0.4))
    near = (reading("held_out.score", 0, 6.0, half=0.6), reading("held_out.score", 9, 5.0, half=0.6))
    score = answered(12, proxy=rising(12, 0.2, 0.9))
    assert look("overused", replace(score, readings=far))
    assert CHECKS["overused"](replace(score, readings=near)) is None


def test_a_loss_that_rises_is_a_rate_too_high() -> None:
    told = Told("sft", updates=updates(12, loss__nll=rising(12, 2.0, 3.0)))
    assert "loss nll went up, from 2" in look("rate_high", told).seen
    assert CHECKS["rate_high"](replace(told, own=True)) is None, "of a policy's own answers it need not fall"


def test_a_rate_is_not_low_while_the_score_rises() -> None:
    told = Told("grpo", windows(24, k3=0.005, proxy=rising(24, 0.1, 0.9)), updates(24))
    assert CHECKS["rate_low"](told) is None
    pairs = Told("dpo", windows(24), updates(24, loss__margin=0.001))
    assert "the margin of pairs is 0.001" in look("rate_low", pairs).seen
    idle = Told("sft", updates=updates(24), readings=(reading("reverse_kl", 9, 0.001, half=0.002),))
    assert "the guard's reverse KL is 0.001" in look("rate_low", idle).seen


def test_an_evaluation_speaks_before_the_training_figure() -> None:
    guesses = updates(24, loss__preference=0.69, loss__accuracy=0.52, loss__margin=0.1)
    told = Told("reward_model", updates=guesses, readings=(reading("eval.accuracy", 20, 0.54, half=0.02),))
    assert CHECKS["guessing"](told) is None, "its interval excludes a coin"
    told = replace(told, readings=(reading("eval.accuracy", 20, 0.52, half=0.05),))
    assert "on unseen pairs at step 20" in look("guessing", told).seen


def test_higher_may_be_better() -> None:
    read = (reading("eval.accuracy", 0, 0.7, change=0), reading("eval.accuracy", 9, 0.6, change=-0.1))
    assert "best at step 0" in look("worsened", Told("dpo", readings=read, better="higher")).seen
    assert CHECKS["worsened"](Told("dpo", readings=read, better="lower")) is None


def test_few_wanted_answers_are_one_side_too() -> None:
    one = look("one_sided", Told("kto", windows(4, share_wanted=0.05)))
    assert "wanted_weight" in one.do[0] and "unwanted" not in one.do[0]


def test_refused_updates_have_no_say_in_other_figures() -> None:
    told = updates(12, applied=[1] * 8 + [0] * 4, grad_norm=[1] * 8 + [99, 99, 99, float("inf")])
    assert not isinstance(CHECKS["rate_high"](Told("sft", updates=told)), Finding)


# Run folders


def only(stages: list[Explained]) -> Explained:
    (one,) = stages
    return one


def test_a_clean_run_has_nothing_to_find(tmp_path: Path) -> None:
    one = only(explain(a_run(tmp_path)))
    assert one.findings == ()
    assert (one.stage, one.method, one.updates, one.windows) == ("amplify", "grpo", 12, 12)
    assert (one.state, one.says) == ("finished", "finished after 12 updates")
    assert {"refused", "zero_gradient", "equal_groups", "cut", "longer"} <= set(one.checked)
    assert set(one.unread) == set(CHECKS) - set(one.checked)
    assert "critic_blind" in one.unread


def test_findings_come_with_the_most_serious_first(tmp_path: Path) -> None:
    cut = ("It goes on and", "So it is and then it is and")
    one = only(explain(a_run(tmp_path, cut, groups_equal=2.0, missing=3.0)))
    assert [f.check for f in one.findings] == ["missing", "equal_groups", "cut"]
    assert [f.level for f in one.findings] == ["serious", "mend", "mend"]
    assert "100 % of the answers broke off in 12 windows, 1 to 12, of 12." in one.findings[2].seen


def test_answers_of_the_policy_are_measured_window_by_window(tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", PLAN)
    with Hasty(run) as script:
        for k in range(12):
            script.window(k, ("one " * (4 + 4 * k), "two"), groups=2.0, groups_equal=0.0)
            script.update(k)
    (longer,) = only(explain(run)).findings
    assert (longer.check, longer.seen[:20]) == ("longer", "From 5.5 to 21.5 tok")


def test_a_stage_s_folder_is_that_stage(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    assert explain(run / "amplify") == explain(run)
    (run / "plan.toml").rename(run / "amplify" / "plan.toml")
    (run / "run.json").unlink()
    assert only(explain(run / "amplify")).stage == "amplify", "a stage's folder holds the plan too"


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"no plan\.toml"):
        explain(tmp_path)
    assert explain(make_run(tmp_path / "r", PLAN)) == [], "no stage has begun"
    run = a_run(tmp_path)
    (run / "amplify").rename(run / "elsewhere")
    with pytest.raises(Unreadable, match="amplify, after"):
        explain(run / "elsewhere")


def test_nothing_is_written(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in run.rglob("*") if p.is_file()}
    explain(run)
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in run.rglob("*") if p.is_file()} == before


def test_a_damaged_log_is_said(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    segment = min((run / "amplify" / "events").glob("*.jsonl"))
    segment.write_text(segment.read_text().replace('"grad_norm":1.5', '"grad_norm":0.5', 1))
    assert any("its id is" in problem for problem in only(explain(run)).problems)


def test_machines_read_limits_too(tmp_path: Path) -> None:
    found = only(explain(a_run(tmp_path, missing=3.0))).json()
    assert found["limits"]["missing"]["value"] == 0.2  # type: ignore[index,call-overload]
    assert found["findings"][0]["check"] == "missing"  # type: ignore[index,call-overload]
