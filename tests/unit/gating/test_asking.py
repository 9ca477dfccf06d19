"""Whether asking reaches the targets: it does, it falls short, or these prompts decide neither.

Mutants these kill: the training half asked, the instruction left out, a slice decided by the others, silence
counted as a failure or a success, a refusal where nothing was shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.gating.conftest import table
from unit.gating.saying import Base

from accord.gating.report import Finding
from accord.progress import Silent
from accord.records import Prompt
from accord.values import read_values

Ask = Callable[..., Finding]

TEXT = """\
name = "mine"

[[principle]]
id = "keep"
kind = "rule"
text = "Keep it."
check = "reward.py:kept"
target = {target}
prompts = "rows.jsonl"

[[principle]]
id = "heard"
kind = "virtue"
text = "Listen."
judge = "person"
target = 0.9
prompts = "rows.jsonl"
"""


@pytest.fixture
def values(place: Path) -> Callable[[float], Path]:
    rows = [{"prompt": f"Is {i} {'odd' if i % 2 else 'even'}?", "slice": "ab"[i % 2]} for i in range(160)]
    (place / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")

    def written(target: float) -> Path:
        (place / "mine.toml").write_text(TEXT.format(target=target), "utf-8")
        return place / "mine.toml"

    return written


def obeys(share: float, odd: float | None = None) -> Callable[[Prompt, np.random.Generator], str]:
    """Keeps it in so many answers, once it is told to; without being told never."""

    def says(prompt: Prompt, rng: np.random.Generator) -> str:
        told = prompt.messages[0].role == "system" and "Keep it." in prompt.messages[0].content
        chance = odd if odd is not None and "odd" in prompt.text else share
        return "kept" if told and rng.random() < chance else "not so"

    return says


def test_asking_that_reaches_every_target_refuses(found: Ask, values: Callable[[float], Path]) -> None:
    finding = found("asking", obeys(1.0), values=values(0.7))
    assert (finding.status, finding.stage) == ("refused", "")
    assert "asking already reaches every target" in finding.says
    keeps = [one for one in finding.figures if one.value is not None]
    assert [one.name for one in keeps] == ["keep, a", "keep, b"] and {one.value for one in keeps} == {1.0}
    assert finding.figures[-1].note == "not asked: no program checks it"


def test_one_slice_that_falls_short_is_enough_to_pass(found: Ask, values: Callable[[float], Path]) -> None:
    finding = found("asking", obeys(1.0, odd=0.2), values=values(0.7))
    assert (finding.status, finding.says) == ("passed", "asking falls short of keep, b")


def test_what_these_prompts_do_not_decide_stops(found: Ask, values: Callable[[float], Path]) -> None:
    finding = found("asking", obeys(0.7), values=values(0.7), prompts=10)
    assert (finding.status, finding.stops) == ("not measurable", True)
    half = max(len(one.audit) for one in read_values(values(0.7)).slices("keep"))
    assert finding.remedy[0] == f"accord gate PLAN --prompts {half}"


def test_only_the_sealed_half_is_asked(values: Callable[[float], Path], found: Ask) -> None:
    base = Base(obeys(1.0))
    found("asking", obeys(1.0), values=values(0.7), prompts=200, engine=base)
    sealed = {case.prompt.text for one in read_values(values(0.7)).slices("keep") for case in one.audit}
    assert set(base.asked) == sealed


def test_silence_is_neither(found: Ask, values: Callable[[float], Path]) -> None:
    def silent(prompt: Prompt, rng: np.random.Generator) -> str:
        return "silence" if "odd" in prompt.text else obeys(1.0)(prompt, rng)

    finding = found("asking", silent, values=values(0.7))
    assert (finding.status, finding.stops) == ("not measurable", True)
    assert "no answer was judged" in str(finding.figures[1])


def test_without_values_there_is_nothing_to_ask_for(found: Ask) -> None:
    finding = found("asking", obeys(1.0))
    assert finding.stops and finding.remedy == ("accord gate PLAN --values hhh",)


def test_asking_is_not_cut_off_by_a_stage_that_draws_short_answers(
    found: Ask, values: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    sample = Base(obeys(1.0)).sampler("m", Silent()).__class__.sample  # type: ignore[attr-defined]

    async def measured(self: Any, prompts: Any, n: int, how: Any) -> Any:
        lengths.append(how.max_tokens)
        return await sample(self, prompts, n, how)

    monkeypatch.setattr("unit.gating.saying._Sampler.sample", measured)
    short = table(source={"name": "rollouts", "prompts": "asked.jsonl", "max_tokens": 8})
    found("asking", obeys(1.0), short, values=values(0.7))
    assert set(lengths) == {128}
