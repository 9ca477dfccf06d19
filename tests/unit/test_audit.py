"""An audit reads models on the same draws; a model against itself shows the noise floor, another a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.auditing import audit
from accord.engines.local.tiny import save_tiny
from accord.errors import PlanError
from accord.records import Reading


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(f'{{"prompt": "question {i}?"}}\n' for i in range(6)), "utf-8")
    return file


def test_another_model_differs_and_the_base_does_not(tmp_path: Path, prompts: Path) -> None:
    one, other = (str(save_tiny(tmp_path / name, seed=seed)) for name, seed in (("one", 0), ("other", 1)))
    table = audit([one, other], one, prompts=prompts, answers=3)
    found = {model: {r.name: r for r in readings} for model, readings in table.readings.items()}
    assert list(found) == [one, other]
    same, changed = found[one]["reverse_kl"], found[other]["reverse_kl"]
    assert isinstance(same, Reading)
    assert isinstance(changed, Reading)
    assert same.value == 0.0
    assert changed.low > 0.1
    rows = table.rows()
    assert {row["model"] for row in rows} == {one, other}
    assert len(rows) == 6
    assert audit([one, other], one, prompts=prompts, answers=3).json() == table.json()


def test_one_answer_a_prompt_cannot_be_read_for_diversity(tmp_path: Path, prompts: Path) -> None:
    with pytest.raises(PlanError, match="2 or more"):
        audit([str(tmp_path)], prompts=prompts, answers=1)
