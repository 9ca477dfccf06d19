"""A checkpoint gives back everything to the bit, notices damage, and never stands half under its name."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.checkpoints import Progressing, at_step, keep_latest, latest, load_state, save_state
from accord.engines.scripted import Scripted
from accord.errors import AccordError, Unreadable
from accord.evaluation import Standing
from accord.ports import Learner, Task
from accord.records import ModelRef, Sequence
from accord.records.rows import Batch
from accord.stores.files import promote

ENGINE = Scripted(tensors="numpy")


def a_learner() -> Learner:
    return ENGINE.learner("scripted", Task("run/stage", 0))


def a_batch(**told: Any) -> Batch:
    whole: dict[str, Any] = {
        "sequences": (
            Sequence((9, 1, 0), (False, True, True)),
            Sequence((8, 2, 0), (False, True, False), (0, 2), 0.7),
        ),
        "row_S": np.array([0, 1], dtype=np.int64),
        "steps": (np.array([1, 0], dtype=np.int64), np.array([1], dtype=np.int64)),
        "counts": ({"nll": 3.0, "kl": 0.1}, {"nll": 1.0, "kl": 1e-300}),
        "weights": {"nll": 1.0, "kl": 0.05},
        "rows": {"advantage": np.array([0.1, -math.pi])},
        "tokens": {"old_logp": np.array([-1e-17, -2.5, -math.inf])},
        "scalars": {"score": 1 / 3, "rows": 2.0},
    }
    return Batch(**whole | told)


def same(one: Batch | None, two: Batch | None) -> None:
    assert one is not None
    assert two is not None
    for field in fields(Batch):
        a, b = getattr(one, field.name), getattr(two, field.name)
        if field.name in ("rows", "tokens"):
            assert a.keys() == b.keys()
            assert all(np.array_equal(a[n], b[n], equal_nan=True) and a[n].dtype == b[n].dtype for n in a)
        elif field.name == "row_S":
            assert np.array_equal(a, b)
        elif field.name == "steps":
            assert len(a) == len(b)
            assert all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a, b, strict=True))
        elif field.name == "scalars":
            assert {n: repr(float(v)) for n, v in a.items()} == {n: repr(float(v)) for n, v in b.items()}
            assert all(isinstance(v, float | int) for v in b.values()), b
        else:
            assert a == b


def back(folder: Path, state: Progressing) -> Progressing:
    return load_state(save_state(folder, state, a_learner()), a_learner())


def test_everything_comes_back(tmp_path: Path) -> None:
    guard = {"audits": 2, "events": [], "readings": [], "decisions": []}
    state = Progressing(7, 3, 1, a_batch(), {"multiplier": 0.1, "deep": {"list": [1, None, "x"]}}, guard)
    first = {"nll": [[0.1, 1e-300], [3.0, 1.0]]}
    state.standing, state.over = Standing(6, 3, 4, 0.1 + 0.2, 1, "why", "id", first), True
    found = back(tmp_path, state)
    assert (found.standing, found.over) == (state.standing, True)
    assert (found.step, found.window, found.place) == (7, 3, 1)
    assert (found.memory, found.guard) == (state.memory, guard)
    same(state.batch, found.batch)


def test_before_the_first_evaluation_there_is_no_best(tmp_path: Path) -> None:
    standing = back(tmp_path, Progressing()).standing
    assert (standing.step, standing.best) == (-1, -1)
    assert math.isnan(standing.value)


def test_between_windows_there_is_no_batch(tmp_path: Path) -> None:
    assert back(tmp_path, Progressing(step=1, window=1)).batch is None


@pytest.mark.parametrize(
    "told",
    [
        {
            "sequences": (),
            "row_S": np.zeros(0, np.int64),
            "steps": (),
            "counts": (),
            "rows": {},
            "tokens": {},
        },
        {"steps": (np.zeros(0, np.int64), np.array([0], np.int64))},
        {"steps": (), "counts": ()},
        {"sequences": a_batch().sequences[:1], "row_S": np.array([0]), "rows": {}, "tokens": {}},
        {"scalars": {"score": math.nan, "best": math.inf, "worst": -math.inf}},
        {"scalars": {"large": 1e17, "negative zero": -0.0, "tiny": 5e-324}},
        {"tokens": {"with/slash": np.array([1.0, 2.0, math.nan])}},
    ],
    ids=["nothing accepted", "an empty step", "no steps", "one sequence", "not finite", "large", "names"],
)
def test_a_batch_of_any_shape_comes_back(told: dict[str, Any], tmp_path: Path) -> None:
    batch = a_batch(**told)
    same(batch, back(tmp_path, Progressing(batch=batch)).batch)


@pytest.mark.parametrize("number", [0.1, 1e17, 1e22, 5e-324, -1.5, 2.0**53])
def test_numbers_in_the_memory_come_back_and_can_be_saved_again(number: float, tmp_path: Path) -> None:
    once = back(tmp_path / "a", Progressing(memory={"x": number, "many": [number]}))
    assert once.memory == {"x": number, "many": [number]}
    twice = back(tmp_path / "b", Progressing(memory=once.memory))
    assert twice.memory == once.memory


def test_a_number_of_the_memory_that_is_none_comes_back_as_a_number(tmp_path: Path) -> None:
    memory = back(tmp_path, Progressing(memory={"x": math.nan, "y": math.inf})).memory
    assert math.isnan(memory["x"])
    assert memory["y"] == math.inf


@settings(max_examples=15)
@given(st.lists(st.floats(allow_nan=False), max_size=6))
def test_measured_columns_come_back_to_the_bit(tmp_path_factory: Any, values: list[float]) -> None:
    sequence = Sequence((9, *range(len(values))), (False, *(True for _ in values)))
    column = np.array(values, dtype=np.float64)
    batch = a_batch(sequences=(sequence,), row_S=np.array([0]), rows={}, tokens={"x": column})
    found = back(tmp_path_factory.mktemp("columns"), Progressing(batch=batch)).batch
    assert found is not None
    assert found.tokens["x"].tobytes() == column.tobytes()


def test_the_newest_is_found_and_counted_up_at_one_step(tmp_path: Path) -> None:
    assert latest(tmp_path / "nowhere") is None
    made = [save_state(tmp_path, Progressing(step=step), a_learner()) for step in (0, 3, 3, 12)]
    assert [p.name for p in made] == ["00000000.000", "00000003.000", "00000003.001", "00000012.000"]
    assert latest(tmp_path) == made[-1]


def test_only_the_newest_are_kept_with_no_leftovers(tmp_path: Path) -> None:
    for step in range(4):
        save_state(tmp_path, Progressing(step=step), a_learner())
    (tmp_path / ".work-00000009.000").mkdir()
    keep_latest(tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000002.000", "00000003.000"]


def test_the_best_is_spared_and_found_whole(tmp_path: Path) -> None:
    """Kills: the best pruned, all checkpoints of its step kept, and one that is damaged taken."""
    for step in (0, 1, 1, 2, 3):
        save_state(tmp_path, Progressing(step=step), a_learner())
    keep_latest(tmp_path, 1, best=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000001.001", "00000003.000"]
    assert at_step(tmp_path, 1).name == "00000001.001"
    with pytest.raises(Unreadable, match="the checkpoint of step 2"):
        at_step(tmp_path, 2)
    (tmp_path / "00000001.001" / "state.json").write_text("{}")
    with pytest.raises(Unreadable, match="the bytes this checkpoint was saved with"):
        at_step(tmp_path, 1)
    keep_latest(tmp_path, 1, best=3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000003.000"]


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
@pytest.mark.parametrize("name", ["state.json", "batch.npz", "manifest.json", "learner/learner.json"])
def test_damage_is_an_unreadable(name: str, damage: str, tmp_path: Path) -> None:
    folder = save_state(tmp_path, Progressing(step=1, batch=a_batch()), a_learner())
    file = folder / name
    raw = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        middle = len(raw) // 2
        flipped = raw[:middle] + bytes([raw[middle] ^ 0x80]) + raw[middle + 1 :]
        file.write_bytes(raw[:middle] if damage == "truncate" else flipped)
    with pytest.raises(Unreadable) as error:
        latest(tmp_path)
    assert name in error.value.file


def test_a_kill_before_the_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save_state(tmp_path, Progressing(step=1), a_learner())

    def killed(work: Path, final: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("accord.checkpoints.promote", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, Progressing(step=2), a_learner())
    assert latest(tmp_path) == first
    monkeypatch.setattr("accord.checkpoints.promote", promote)
    second = save_state(tmp_path, Progressing(step=2), a_learner())
    assert latest(tmp_path) == second
    assert load_state(second, a_learner()).step == 2


def test_a_learner_that_cannot_read_it_says_so(tmp_path: Path) -> None:
    class Other:
        version = "x@0"

        def save(self, to: Path) -> ModelRef:
            to.mkdir(parents=True)
            (to / "learner.json").write_text("{}")
            return ModelRef(name="x@0", path=str(to))

    learner: Any = Other()
    folder = save_state(tmp_path, Progressing(), learner)
    with pytest.raises(AccordError):
        load_state(folder, a_learner())
