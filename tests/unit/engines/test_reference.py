"""The reference cache: nothing is measured twice, any changed key misses, damage costs time only."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.engines.local.models import open_model
from accord.engines.local.reference import ReferenceCache
from accord.ports import Needs, Task
from accord.records import Episode, Prompt
from accord.records import Sequence as Masked
from accord.records.rows import Floats, Row
from accord.testing import save_tiny

PLAIN = Masked((1, 2, 3, 4), (False, False, True, True))
OTHERS = {
    "tokens": PLAIN._replace(tokens=(1, 2, 3, 5)),
    "prompt tokens": PLAIN._replace(tokens=(9, 2, 3, 4)),
    "answer mask": PLAIN._replace(answer=(False, True, False, True)),
    "temperature": PLAIN._replace(temperature=0.5),
    "allowed": PLAIN._replace(allowed=(3, 4)),
    "other allowed": PLAIN._replace(allowed=(3, 4, 5)),
}


class Measured:
    """Counts what it is asked; says for each token the number of the call."""

    def __init__(self) -> None:
        self.asked: list[Masked] = []

    def __call__(self, sequences: Sequence[Masked]) -> list[Floats]:
        self.asked += sequences
        return [-float(len(self.asked)) - np.arange(sum(s.answer)) for s in sequences]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    """Not in this run, not in the next, not twice in one call; and every number is the same to the bit."""
    measure = Measured()
    file = tmp_path / "deep" / "one.sqlite"
    first = ReferenceCache(file, "model")
    told = [PLAIN, *OTHERS.values(), PLAIN]
    found = first.fill(told, measure)
    assert len(measure.asked) == len(OTHERS) + 1
    assert [len(f) for f in found] == [sum(s.answer) for s in told]
    assert found[0].tolist() == found[-1].tolist()
    again = [*first.fill(told, measure), *ReferenceCache(file, "model").fill(told, measure)]
    assert len(measure.asked) == len(OTHERS) + 1
    assert [a.tolist() for a in again] == [f.tolist() for f in (*found, *found)]
    assert first.fill([], measure) == []


@pytest.mark.parametrize("what", OTHERS)
def test_any_change_of_a_row_misses(tmp_path: Path, what: str) -> None:
    measure = Measured()
    cache = ReferenceCache(tmp_path / "one.sqlite", "model")
    cache.fill([PLAIN], measure)
    cache.fill([OTHERS[what]], measure)
    assert measure.asked == [PLAIN, OTHERS[what]]
    ReferenceCache(tmp_path / "one.sqlite", "another model").fill([PLAIN], measure)
    assert len(measure.asked) == 3


def test_any_change_of_the_model_or_of_computing_is_another_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_tiny(tmp_path / "one", 1)
    opened = open_model(folder)

    def name(opened: Any = opened, dtype: torch.dtype = torch.float32) -> tuple[str, str]:
        cache = ReferenceCache.of(opened, dtype)
        return str(cache._file), cache._about

    plain = name()
    assert name() == plain
    seen = [plain, name(dtype=torch.bfloat16), name(open_model(save_tiny(tmp_path / "two", 2)))]
    seen.append(name(opened._replace(template_digest="another template")))
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    seen.append(name())
    monkeypatch.undo()
    weights = folder / "generation_config.json"
    weights.write_text(weights.read_text() + "\n")
    seen.append(name())
    assert len({file for file, _ in seen}) == len({about for _, about in seen}) == len(seen)


@pytest.mark.parametrize(
    "damage", ["not a database", "empty", "cut off", "other columns", "wrong lengths", "no blob"]
)
def test_a_damaged_file_is_done_without(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "one.sqlite"
    ReferenceCache(file, "model").fill([PLAIN, *OTHERS.values()], Measured())
    if damage in ("not a database", "empty", "cut off"):
        whole = file.read_bytes()
        file.write_bytes(
            {"not a database": b"x" * 5000, "empty": b"", "cut off": whole[: len(whole) // 2]}[damage]
        )
    else:
        with sqlite3.connect(file) as store:
            if damage == "other columns":
                store.execute("DROP TABLE reference")
                store.execute("CREATE TABLE reference (name TEXT)")
            elif damage == "wrong lengths":
                store.execute("UPDATE reference SET logp = substr(logp, 1, 8)")
            else:
                store.execute("UPDATE reference SET logp = 'abcde'")
        store.close()
    measure = Measured()
    cache = ReferenceCache(file, "model")
    (found,) = cache.fill([PLAIN], measure)
    assert found.tolist() == [-1.0, -2.0]
    assert cache.fill([PLAIN], measure)[0].tolist() == found.tolist()
    assert measure.asked == [PLAIN], "measured once, whatever the file is"


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder would be")
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    for file in (tmp_path / "taken" / "one.sqlite", closed / "one.sqlite"):
        measure = Measured()
        cache = ReferenceCache(file, "model")
        assert [cache.fill([PLAIN], measure)[0].tolist() for _ in range(2)] == [[-1.0, -2.0]] * 2
        assert measure.asked == [PLAIN]
    closed.chmod(0o700)


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    """Each writes its own rows and half of the other's; afterwards all are there, each with one number."""
    file = tmp_path / "one.sqlite"
    rows = [PLAIN._replace(temperature=1 + i / 8) for i in range(60)]
    failed: list[BaseException] = []

    def work(mine: list[Masked]) -> None:
        try:
            for row in mine:
                ReferenceCache(file, "model").fill([row], lambda s: [np.array([-1.0, -2.0]) for _ in s])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in (rows[:40], rows[20:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    measure = Measured()
    found = ReferenceCache(file, "model").fill(rows, measure)
    assert measure.asked == []
    assert {tuple(f) for f in found} == {(-1.0, -2.0)}


# In a learner


def learner(folder: Path, by: Any, adapter: str = "lora") -> LocalLearner:
    made: Any = Local(adapter=adapter, precision="float32", decode="float32", device="cpu").learner(
        str(folder), Task("run/stage", 0, Needs(frozenset({"ref_logp"})), by)
    )
    return made


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_a_learner_from_data_measures_its_reference_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adapter: str
) -> None:
    folder = save_tiny(tmp_path / "model", 1)
    counted: list[int] = []
    plain = LocalLearner._logp_of_reference

    def counting(self: LocalLearner, sequences: Sequence[Masked]) -> list[Floats]:
        counted.append(len(sequences))
        return plain(self, sequences)

    monkeypatch.setattr(LocalLearner, "_logp_of_reference", counting)

    def measured(by: str) -> list[list[float]]:
        made = learner(folder, by, adapter)
        told = [made.sampler().encode(Prompt.of("Why?"), text) for text in ("yes", "no", "so it is")]
        rows = [Row((Episode.single(r),)) for r in told]
        return [c.tolist() for c in made.measure(rows, Needs(frozenset({"ref_logp"})))["ref_logp"]]

    first = measured("data")
    assert measured("data") == first
    assert counted == [3]
    own = measured("policy")
    assert counted == [3, 3], "answers of a policy never come again, so they are not kept"
    assert own == first
