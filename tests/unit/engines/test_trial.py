"""The timed half of a trial: paces by token, of rows that share nothing. What is kept: test_estimate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accord.engines.local import Local, estimate
from accord.engines.local.learner import LocalLearner
from accord.engines.local.trial import Way, decoded, timed
from accord.ports import Task
from accord.testing import save_tiny

WORDS = [5 + i * 7 % 250 for i in range(300)]


@pytest.fixture
def made(tmp_path: Path) -> LocalLearner:
    found: Any = Local(decode="float32", precision="float32", device="cpu", rank=4).learner(
        str(save_tiny(tmp_path / "model", 1)), Task("run/stage", 0)
    )
    return found


def way(made: LocalLearner) -> Way:
    return Way(made._answers, False, False, (made._model,), tuple(made._trained.values()))


def test_paces_are_positive_and_by_token(made: LocalLearner) -> None:
    pace = timed(way(made), WORDS, 1024, 0.5)
    assert pace.learning(1024) > pace.learning(128) > pace.reading(128) > 0
    assert pace.update > 0
    assert decoded(made._decoder, made.version, [(5, 6), (7, 8, 9)], 3, frozenset({2})) > 0


def test_rows_side_by_side_share_no_prompt(made: LocalLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()
    answers = made._answers
    monkeypatch.setattr(
        made, "_answers", lambda rows: seen.append(estimate._Pass.of(rows, True).tokens) or answers(rows)
    )
    timed(way(made), [5, 6, 7], 1024, 0.5)
    assert set(seen) - {128}, "several rows were timed"
    assert all(count % 128 == 0 for count in seen)
