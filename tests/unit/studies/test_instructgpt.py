"""The study of InstructGPT: wins, the multiple, the bar, that sizes are what they say, and a small run.

Mutants: ties that count for the first, a win turned round, a multiple on a line in size instead of its log, a
multiple beyond the largest size, a bar without the largest base, a win against oneself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.engines.local.words import Size, save_words
from accord.studies import read_study
from accord.studies.arms import Cell, Measured
from accord.studies.bars import ruled
from accord.studies.instructgpt import InstructGPT, compared, multiple, win
from accord.studies.outcome import Series
from accord.studies.port import Setting
from accord.studies.replying import Course
from accord.worlds.helpdesk import Helpdesk


def test_wins_and_the_multiple() -> None:
    assert win([2.0], [1.0]) == 1 and win([1.0, 1.0], [1.0]) == 0.5 and win([0.0, 2.0], [1.0, 3.0]) == 0.25
    assert multiple({1: 0.9, 2: 0.8, 4: 0.7, 8: 0.6}) == 8.0
    assert multiple({1: 0.9, 4: 0.6, 8: 0.5}) == 8.0
    assert multiple({1: 0.5, 8: 0.9}) == 1.0, "it is where the win first falls to a half"
    assert multiple({2: 0.6, 8: 0.4}) == 4.0


def test_a_quick_course_is_a_tenth_of_its_windows_or_of_its_rows() -> None:
    quick = [Course(windows=w, rows=960, step=64, lr=1.0).hasty() for w in (40, 16, 2, 1)]
    assert [(one.windows, one.rows) for one in quick] == [(4, 960), (1, 960), (1, 960), (1, 96)]
    assert Course(rows=96, step=64, lr=1.0).hasty().rows == 64


def _cell(arm: str, worths: dict[str, list[float]]) -> Measured:
    answers = {f"answer.{k}": {task: values[k] for task, values in worths.items()} for k in range(2)}
    means = {"worth": {task: sum(values) / 2 for task, values in worths.items()}}
    return Measured(arm, 0, "measured", items={**answers, **means})


def test_wins_are_of_the_answers_to_one_question() -> None:
    cells = {
        "base_1": _cell("base_1", {"a": [1.0, 1.0], "b": [0.0, 2.0]}),
        "base_4": _cell("base_4", {"a": [2.0, 1.0], "b": [2.0, 2.0]}),
        "ppo": _cell("ppo", {"a": [1.5, 1.5], "b": [2.0, 1.0]}),
        "reward": Measured("reward", 0, "measured", items={"accuracy": {"a": 1.0}}),
    }
    found = compared(cells)
    assert found["ppo"]["win.1"] == {"a": 1.0, "b": (0.5 + 1 + 0 + 1) / 4}
    assert found["ppo"]["win.4"] == {"a": 0.5, "b": (0.5 + 0.5) / 4}
    # From .8125 at size 1 to .375 at size 4: 4 ** (.3125 / .4375).
    assert found["ppo"]["multiple"]["seed"] == pytest.approx(4 ** (0.3125 / 0.4375))
    assert "reward" not in found and set(found["base_4"]) == {"win.1"}


@pytest.mark.parametrize(
    ("wins", "outcome"),
    [((0.4, 0.7, 0.7), "met"), ((0.7, 0.4, 0.7), "not met"), ((0.7, 0.7, 0.4), "not met")],
)
def test_the_bar_is_about_bases_of_four_times_the_size_and_more(
    wins: tuple[float, ...], outcome: str
) -> None:
    study = read_study("instructgpt")
    found = {
        f"win.{size}": {"ppo": Series.of({s: {f"t{t}": value for t in range(30)} for s in range(5)})}
        for size, value in zip((2, 4, 8), wins, strict=True)
    }
    assert ruled(study.bar(None), found).outcome == outcome


def test_a_size_has_about_so_many_times_the_weights(tmp_path: Path) -> None:
    study = read_study("instructgpt")
    assert isinstance(study, InstructGPT) and list(study.sizes) == [1, 2, 4, 8]
    weights: dict[int, int] = {}
    for size, (layers, width, heads) in study.sizes.items():
        folder = save_words(tmp_path / str(size), Helpdesk().alphabet, size=Size(layers, width, heads, 32))
        weights[size] = (folder / "model.safetensors").stat().st_size
    for size, count in weights.items():
        assert size * 0.95 < count / weights[1] < size * 1.15


def test_the_arms_of_one_seed(tmp_path: Path) -> None:
    study = read_study("instructgpt")
    assert isinstance(study, InstructGPT)
    course = study.sft.model_copy(update={"windows": 1, "rows": 64})
    ppo = study.ppo.model_copy(update={"windows": 1, "rows": 16})
    counts = {"corpus": 64, "demonstrations": 64, "pairs": 8, "sealed": 6, "answers": 2}
    few = {"base": course, "sft": course, "reward": course, "ppo": ppo, "counts": counts}
    study = study.model_copy(update=few)
    at = Setting(tmp_path, 1, study.arms)
    with study.opened(at, 100) as do:
        cells = {arm: do(Cell(arm, 100, tmp_path / f"{arm}-100")) for arm in ("ppo", "base_2", "reward")}
    assert len({cell.base for cell in cells.values()}) == 1
    assert (tmp_path / "models" / "base_1-100").is_dir(), "an arm makes what it goes on from"
    wins = compared(cells)["ppo"]["win.2"]
    assert len(wins) == 6 and all(0 <= one <= 1 for one in wins.values())
    assert cells["reward"].figures["pairs"]
