"""Tiny models in float32, learners over them, and batches of answers of very different lengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.ports import Task
from accord.testing import save_tiny

Learners = Callable[..., LocalLearner]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"), 5)


@pytest.fixture(scope="session")
def learner(tiny: Path) -> Learners:
    """A fresh learner of the same start each time."""

    def fresh(adapter: str = "lora", **told: Any) -> LocalLearner:
        settings = {
            "adapter": adapter,
            "lr": 5e-3,
            "decode": "float32",
            "precision": "float32",
            "device": "cpu",
            "rank": 4,
            **told,
        }
        made: Any = Local(**settings).learner(str(tiny), Task("run/stage", 0))
        return made

    return fresh


@pytest.fixture(scope="session")
def gap() -> Callable[[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor]], tuple[float, float]]:
    """The largest and the mean absolute difference of two sets of weights."""

    def between(one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> tuple[float, float]:
        assert one.keys() == two.keys()
        flat = torch.cat([(one[n] - two[n]).abs().flatten() for n in sorted(one)])
        return float(flat.max()), float(flat.mean())

    return between
