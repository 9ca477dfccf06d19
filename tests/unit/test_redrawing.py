"""What a crossing cannot ask again, and says so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from raters import answered, comparisons, pseudonym

from accord import redrawing
from accord.assembly import Place
from accord.errors import Unreadable
from accord.frozen import Frozen
from accord.plan import Plan
from accord.progress import Silent
from accord.redrawing import Uncheckable, _indicator
from accord.stores.people import People
from accord.worker import Worker


def place(*names: str) -> Any:
    guard = SimpleNamespace(indicator=[{"name": name} for name in names])
    return SimpleNamespace(located=lambda: SimpleNamespace(guard=guard))


def test_what_the_base_has_to_read_is_not_searched() -> None:
    with pytest.raises(Uncheckable, match="base’s eyes"):
        _indicator(place("sycophancy", "greedy_rank"), "greedy_rank.beyond")
    assert _indicator(place("greedy_rank", "wide_diversity"), "wide_diversity.alike").name == "wide_diversity"


@pytest.fixture
def labelled(tmp_path: Path) -> Place:
    """A stage that trained on two questions of three that are complete by now."""
    asked = comparisons(3)
    file = str(tmp_path / "labels.db")
    with People.open(file) as people:
        people.post(asked.questions, asked.records)
        for _ in range(3):
            answered(people, pseudonym(1))
    stage = {
        "name": "rm",
        "windows": 1,
        "source": {"name": "labelled", "queue": file},
        "ask": [
            {
                "name": "pairs",
                "column": "p",
                "collapse": "distribution",
                "overseer": {"name": "human", "queue": file},
            }
        ],
        "method": {"name": "reward_model"},
    }
    plan = Plan.model_validate({"name": "people", "model": "m", "stage": [stage]})
    place = Place(tmp_path / "run" / "rm", plan, plan.stage[0], "m", Silent(), None)
    with Frozen(place.folder) as frozen:
        frozen.freeze(place.run, [question.id for question in asked.questions[:2]])
    return place


def test_what_people_have_answered_since_is_no_training_data(
    labelled: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: a panel that lacks items which were asked later, and which the guard had."""
    seen: list[str] = []

    def watching(_: object, source: Any, *__: object) -> Any:
        seen.extend(prompt.text for prompt in source.prompts())
        return SimpleNamespace(panels={"x": "the panel"})

    monkeypatch.setattr(redrawing, "watching", watching)
    there: Any = SimpleNamespace(panel="x")
    nothing: Any = None
    with Worker() as worker:
        assert redrawing._panel(labelled, nothing, there, nothing, worker) == "the panel"
        assert seen == ["Why 0?", "Why 1?"]
        with Frozen(labelled.folder) as frozen:
            frozen.freeze(labelled.run, ["0" * 64])
        with pytest.raises(Unreadable, match="1 of them are not there"):
            redrawing._panel(labelled, nothing, there, nothing, worker)
