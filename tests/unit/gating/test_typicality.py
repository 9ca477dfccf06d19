"""α is found in comparisons and in scores, and refused where it alone would cost too much diversity.

Mutants these kill: β left out, the least α exchanged for its figure, the planned KL unread, length unmatched.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from unit.gating.conftest import table

from accord.gating.report import Figure, Finding
from accord.records import Prompt

Ask = Callable[..., Finding]


def varied(prompt: Prompt, rng: np.random.Generator) -> str:
    """Five words of a few hundred, whose digits say how likely the answer is."""
    del prompt
    return " ".join(f"w{x}" for x in rng.integers(100, 400, size=5))


def likely(text: str) -> float:
    """Low numbers are likely: the log-probability of a whole answer."""
    return -sum(int(word.lstrip("w")) for word in text.split() if word.lstrip("w").isdigit()) / 100


def figures(finding: Finding) -> dict[str, Figure]:
    return {one.name: one for one in finding.figures}


REWARD = """
def likely(prompts, answers):
    return [-sum(int(w[1:]) for w in a.split()) / 50 + (len(a) * 7919 + ord(a[-1])) % 3 for a in answers]


def chance(prompts, answers):
    return [float(sum(map(ord, a)) * 7919 % 11) for a in answers]
"""


def test_a_reward_of_what_is_likely_is_refused_unless_beta_holds_it(found: Ask, place: Path) -> None:
    (place / "paid.py").write_text(REWARD, "utf-8")
    asked: dict[str, Any] = {"reward": "paid.py:likely", "base": {"likes": likely}, "answers": 8}
    finding = found("typicality", varied, table(method={"name": "grpo", "beta": 0.1}), **asked)
    alpha, lost = (figures(finding)[name] for name in ("α", "fall of EAD"))
    assert alpha.low is not None and alpha.high is not None and alpha.low < 2 < alpha.high
    assert "length held equal, quality not" in alpha.note
    assert finding.status == "refused" and lost.limit == 0.5
    assert finding.remedy[0] == "accord gate PLAN --set stage.push.method.beta=0.2"
    held = found("typicality", varied, table(method={"name": "grpo", "beta": 50.0}), **asked)
    assert held.status == "passed"
    near = table(method={"name": "grpo", "beta": 0.1}, guard={"planned_kl": 0.01})
    assert found("typicality", varied, near, **asked).status == "passed", "the planned KL bounds how sharp"


def test_a_reward_of_chance_is_not_refused(found: Ask, place: Path) -> None:
    (place / "paid.py").write_text(REWARD, "utf-8")
    finding = found(
        "typicality",
        varied,
        table(method={"name": "grpo", "beta": 5.0}),
        reward="paid.py:chance",
        base={"likes": likely},
        gold="paid.py:chance",
        answers=8,
    )
    alpha = figures(finding)["α"]
    assert not finding.stops and alpha.low is not None and alpha.high is not None
    assert alpha.low <= 1e-9 and alpha.high >= -1e-9
    assert "length and gold held equal" in alpha.note


def test_alpha_of_comparisons_is_of_answers_of_like_length(found: Ask, place: Path) -> None:
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for i in range(400):
        one, other = (varied(Prompt.of("x"), rng) for _ in range(2))
        first = rng.random() < 1 / (1 + np.exp(-0.8 * (likely(one) - likely(other))))
        chosen, rejected = (one, other) if first else (other, one)
        rows.append({"prompt": f"{i}?", "chosen": chosen, "rejected": rejected})
    padded = [{**row, "prompt": f"long {row['prompt']}", "rejected": "and so on " * 9} for row in rows]
    (place / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows + padded)), "utf-8")
    plan = table(
        source={"name": "offline", "data": "pairs.jsonl"}, method={"name": "dpo", "beta": 0.1}, ask=[]
    )
    finding = found("typicality", varied, plan, base={"likes": likely})
    alpha = figures(finding)["α"]
    assert alpha.low is not None and alpha.high is not None and alpha.low < 0.8 < alpha.high
    assert alpha.note.startswith("per nat of log π₀; of 400 comparisons"), (
        "those of unlike length are left out"
    )


def test_without_log_probabilities_it_is_not_measured(found: Ask) -> None:
    finding = found("typicality", varied, base={"can": frozenset({"sample"})})
    assert finding.stops and finding.says == "the base gives no log-probabilities"
