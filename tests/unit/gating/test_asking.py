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

from accord.gating.asking import share
from accord.gating.report import Finding
from accord.maths.bounded import bounded_mean
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


def test_nearly_all_is_not_all_and_one_of_many_slices_is_not_short_by_chance() -> None:
    """A bootstrap of forty prompts, one of which fails once in four, is certain of .98: there is no such end.
    The mutants: a level that K slices share with one, answers nobody judged left out."""
    nearly = [np.ones(4)] * 39 + [np.array([1.0, 1.0, 1.0, 0.0])]
    found = share(nearly, 0.95, "x")
    assert found.value == 159 / 160 and 0.85 < found.low < 0.92, "below .025^(1/40) of forty that all keep it"
    few = [np.array([0.0] * 4)] * 8 + [np.ones(4)] * 12
    assert share(few, 0.95, "x").high < 0.85 < share(few, 1 - 0.05 / 40, "x").high
    silent = [np.array([1.0, np.nan, np.nan, np.nan])] * 40
    found = share(silent, 0.95, "x")
    assert found.value == 1.0 and found.low < 0.25 and found.high == 1.0
    with pytest.raises(ValueError, match="beyond either end"):
        bounded_mean(np.array([0.25, 0.5]), np.random.default_rng(0), level=0.9999)


def test_under_a_hard_principle_silence_breaks_it(found: Ask, values: Callable[[float], Path]) -> None:
    def silent(prompt: Prompt, rng: np.random.Generator) -> str:
        return "silence" if rng.random() < 0.9 else obeys(1.0)(prompt, rng)

    file = values(0.7)
    assert found("asking", silent, values=file).status == "not measurable"
    file.write_text(file.read_text("utf-8").replace("target = 0.7", "target = 0.7\nhard = true"), "utf-8")
    assert found("asking", silent, values=file).says == "asking falls short of keep, a, keep, b"
