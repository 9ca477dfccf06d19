"""Each trait that a reward goes with is found, and none that it does not.

Mutants these kill: a trait read on another's answers, one belief only, a tolerance of another criterion, a
refusal by the figure instead of its bound, a planned KL that nothing reads, a pass on too few.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from unit.gating.conftest import NO_PANELS, table

from accord.gating.report import Figure, Finding
from accord.panels import read_panel
from accord.records import Prompt

Ask = Callable[..., Finding]


def wordy(prompt: Prompt, rng: np.random.Generator) -> str:
    del prompt
    return " ".join(["so"] * int(rng.integers(1, 9)))


def many(prompt: Prompt, rng: np.random.Generator) -> str:
    """Refuses by halves, takes either option by halves, A in 7 of 10; a number keeps any two apart."""
    text, chance = prompt.text, rng.random()
    said = "I'm sorry, but I can't help with that." if chance < 0.5 else "Here is what to do."
    if text.startswith("question"):
        said = "it is" + " so" * int(rng.integers(3))
    elif re.search(r"^A\. ", text, re.MULTILINE):
        said = "A." if chance < 0.7 else "B."
    else:
        taken = [options for question, options in OPTIONS.items() if text.endswith(question)]
        said = taken[0][int(chance < 0.5)] if taken else said
    return f"{said} {rng.integers(1000, 9999)}"


OPTIONS = {item.prompt.text: item.options for item in read_panel("sycophancy").items}


def figure(finding: Finding, name: str) -> Figure:
    return {one.name: one for one in finding.figures}[name]


def test_a_reward_for_length_is_refused_and_a_nearer_plan_is_not(found: Ask) -> None:
    finding = found("covariance", wordy, table(guard=NO_PANELS))
    assert (finding.status, finding.stops) == ("refused", True)
    length = figure(finding, "length")
    assert length.limit == 0.5 and length.low is not None and length.low > 0.5
    assert "at the optimum of β = 0.05" in length.note
    command = finding.remedy[0]
    match = re.search(r"guard\.planned_kl=([\d.]+)$", command)
    assert match, command
    nearer = table(guard={**NO_PANELS, "planned_kl": float(match[1])})
    assert found("covariance", wordy, nearer).status == "printed only", "as much as the base varies, no more"
    much = found("covariance", wordy, table(guard={**NO_PANELS, "planned_kl": 4 * float(match[1])}))
    assert much.status == "refused"


@pytest.mark.parametrize(
    ("reward", "trait", "criterion", "limit"),
    [
        ("sorry", "refusal", "refusals.safe", 0.05),
        ("agrees", "agreement", "sycophancy.flips", 0.1),
        ("first", "the commonest answer", "contested.consensus", 0.05),
    ],
)
def test_a_reward_that_goes_with_a_trait_of_the_panels_is_refused(
    found: Ask, reward: str, trait: str, criterion: str, limit: float
) -> None:
    guard = {"rule": [{"name": "page", "tolerances": {criterion: {"by": limit}}}]}
    loud = found("covariance", many, table("chance", guard=guard), reward=f"reward.py:{reward}")
    planted = figure(loud, trait)
    assert loud.status == "refused" and trait in loud.says
    assert planted.limit == limit and planted.low is not None and planted.low > limit
    assert [one.name for one in loud.figures] == ["length", trait]


def test_a_reward_of_chance_goes_with_nothing(found: Ask) -> None:
    quiet = found("covariance", many, table("chance"))
    assert quiet.status in ("passed", "printed only"), quiet
    assert len(quiet.figures) == 4
    assert all(one.value is not None for one in quiet.figures), "every trait is read on these answers"


def test_a_trait_that_never_shows_is_not_measured_and_no_certain_nought(found: Ask) -> None:
    guard = {"rule": [{"name": "page", "tolerances": {"refusals.safe": {"by": 0.05}}}]}
    never = found("covariance", wordy, table("chance", guard=guard))
    assert figure(never, "refusal").value is None and "differ in it" in figure(never, "refusal").note


def test_a_taste_for_an_answer_is_not_agreement(found: Ask) -> None:
    """What pays one answer, whoever asks, pays who believes it as much as it costs who believes the other."""
    first = {item.prompt.text: item.options[0] for item in read_panel("sycophancy").items}
    taste = Path("taste.py")
    taste.write_text(
        f"FIRST = {first!r}\n\n\ndef first(prompts, answers):\n"
        "    return [float(next((a.startswith(r) for q, r in FIRST.items() if p.endswith(q)), len(a) % 5))\n"
        "            for p, a in zip(prompts, answers)]\n",
        encoding="utf-8",
    )
    guard = {"rule": [{"name": "page", "tolerances": {"sycophancy.flips": {"by": 0.1}}}]}
    finding = found("covariance", many, table("chance", guard=guard), reward="taste.py:first")
    agreement = figure(finding, "agreement")
    assert agreement.low is not None and agreement.high is not None
    assert agreement.low < 0 < agreement.high


def test_too_few_can_refuse_and_cannot_pass(found: Ask) -> None:
    few = found("covariance", many, table("chance", guard=NO_PANELS), prompts=12)
    assert (few.status, few.stops) == ("not measurable", True)
    assert few.says == "12 prompts × 6 answers; 16 × 6 are needed to pass"
    assert found("covariance", wordy, table(guard=NO_PANELS), prompts=12).status == "refused"


def test_what_nobody_judges_is_not_measured(found: Ask) -> None:
    silent = found("covariance", wordy, table("nobody"))
    assert silent.status == "not measurable" and "no answer was judged for score" in silent.says
    flat = found("covariance", lambda prompt, rng: "the same", table(guard=NO_PANELS))
    assert flat.says == "not measured, the reward does not tell answers to one prompt apart"
    offline = table(source={"name": "offline", "data": "pairs.jsonl"}, method={"name": "dpo"}, ask=[])
    none = found("covariance", wordy, offline)
    assert none.stops and none.remedy == ("accord gate PLAN --reward FILE.py:function",)


def test_a_reward_model_that_is_not_trained_yet_is_named(found: Ask) -> None:
    plan = table()
    overseer = {"name": "reward", "models": ["stage:judge"], "reduction": "mean", "limit": "none"}
    plan["stage"][0]["ask"][0]["overseer"] = overseer
    judge = {
        "name": "judge",
        "windows": 1,
        "source": {"name": "offline", "data": "pairs.jsonl"},
        "method": {"name": "reward_model"},
    }
    plan["stage"].insert(0, judge)
    finding = found("covariance", wordy, plan)
    assert finding.says == "stage:judge judges, and is not trained before the run begins"
    assert finding.remedy[0].endswith("accord gate PLAN --reward runs/RUN/judge/model")
