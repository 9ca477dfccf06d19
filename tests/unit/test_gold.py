"""Gold is judged beside the score, logged with d and the proxy, and never reaches what is learnt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.asks.each import Each
from accord.desk import FrontDesk
from accord.errors import PlanError
from accord.feedback import Asking, StageFeedback
from accord.pipeline import Outcome, run
from accord.plan import Plan
from accord.records import Reading, Record, StepEvent
from accord.reports import gather
from accord.stores.runlog import read_log
from accord.testing import ScriptedOverseer, a_group
from accord.worker import Worker

PEEKS = """
from accord.testing import PlainLikelihood


class Peeks(PlainLikelihood):
    def batch(self, window, memory, rng):
        found = {name for row in window.rows for name in row.columns}
        assert found == {"score", "cut"}, found
        return super().batch(window, memory, rng)
"""
SCORE = {"yes": 1.0, "no": 0.0, "so": 0.5}
AGAINST = {"yes": 0.0, "no": 1.0, "so": 0.5}  # 1 − the score
GUARD = {"probes": 2, "answers": 3, "max_tokens": 2, "indicator": [{"name": "reverse_kl"}]}


def each(column: str, grades: Mapping[str, float]) -> dict[str, Any]:
    overseer = {"name": "accord.testing:ScriptedOverseer", "grades": dict(grades)}
    return {"name": "each", "column": column, "collapse": "distribution", "overseer": overseer}


def tune(gold: Mapping[str, float] | None = None, **told: Any) -> dict[str, Any]:
    plain = {
        "name": "tune",
        "windows": 8,
        "source": {"name": "rollouts", "prompts": "ask.jsonl", "per_window": 3, "max_tokens": 2},
        "ask": [each("score", SCORE), *([each("gold", gold)] if gold else [])],
        "method": {"name": "grpo", "n": 6},
        "learner": {"name": "scripted", "words": ["yes", "no", "so"], "lr": 4.0},
        "guard": GUARD,
    }
    return plain | told


def done(here: Path, stage: dict[str, Any], runs: str = "runs") -> Outcome:
    table = {"name": "p", "purpose": "explore", "model": "scripted", "stage": [stage]}
    outcome = run(Plan.model_validate(table), runs=here / runs, store="none")
    assert outcome.action == "done", outcome
    return outcome


def windows(outcome: Outcome) -> list[dict[str, float]]:
    events = read_log(outcome.folder / "tune").records("event")
    return [one.scalars for one in events if isinstance(one, StepEvent) and one.name == "window"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "peeks.py").write_text(PEEKS, encoding="utf-8")
    rows(tmp_path / "ask.jsonl", [{"prompt": text} for text in ("Why?", "How?", "Who?")])
    rows(tmp_path / "say.jsonl", [{"prompt": "Why?", "completion": "yes"}])
    return tmp_path


def rows(file: Path, of: Sequence[Mapping[str, str]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in of), encoding="utf-8")


def test_every_window_says_how_far_the_reward_was_used(here: Path) -> None:
    """Kills: d of the policy after its updates (not 0 at first), gold and proxy exchanged, no root."""
    outcome = done(here, tune(AGAINST))
    told = windows(outcome)
    assert len(told) == 8
    assert (told[0]["d"], told[0]["kl_start"]) == (0.0, 0.0)
    assert told[-1]["d"] > 0.3
    assert [one["d"] ** 2 for one in told] == pytest.approx([max(0.0, one["kl_start"]) for one in told])
    assert [one["proxy"] for one in told] == [one["score"] for one in told]
    assert [one["gold"] + one["proxy"] for one in told] == pytest.approx([1.0] * 8)
    assert told[-1]["proxy"] > told[0]["proxy"] + 0.2
    assert {one["gold_missing"] for one in told} == {0.0}
    assert outcome.report is not None
    assert "How far the reward was used" in outcome.report.read_text("utf-8")
    use = gather(outcome.folder).stages[0].use
    assert use is not None
    assert (use.of, use.since, len(use.points)) == ("gold", "start", 8)


def test_gold_changes_nothing_that_is_learnt(here: Path) -> None:
    """The same weights to the bit without gold, with gold that says the opposite, and with gold that mostly
    abstains. Kills: gold joined into what is missing (that would pause), gold in place of the score.
    """
    golds = {"none": None, "against": AGAINST, "silent": {"so": 1.0}}
    outcomes = {name: done(here, tune(gold, windows=3), name) for name, gold in golds.items()}
    weights = {(o.folder / "tune" / "model" / "scripted.json").read_text("utf-8") for o in outcomes.values()}
    assert len(weights) == 1
    silent = windows(outcomes["silent"])
    assert max(one["gold_missing"] for one in silent) > 0.2 * silent[0]["rows"]
    assert {one["missing"] for one in silent} == {0.0}
    assert "gold" not in windows(outcomes["none"])[0]


def test_no_method_can_see_gold(here: Path) -> None:
    outcome = done(here, tune(AGAINST, method={"name": "peeks:Peeks"}, windows=1))
    assert "gold" in windows(outcome)[0]


def test_where_a_method_measures_nothing_d_is_what_the_guard_read_of_these_weights(here: Path) -> None:
    """The guard looks after every second window: the windows between know no d of theirs."""
    guard = GUARD | {"every": 2}
    outcome = done(here, tune(method={"name": "best_of_n", "n": 4}, windows=4, guard=guard))
    told = windows(outcome)
    read = [one for one in read_log(outcome.folder / "tune").records("reading") if isinstance(one, Reading)]
    assert [one.step for one in read] == [0, 2, 4]
    assert [told[0]["kl_base"], told[2]["kl_base"]] == [one.value for one in read[:2]]
    assert [told[0]["d"], told[2]["d"]] == [max(0.0, one.value) ** 0.5 for one in read[:2]]
    assert not {"d", "kl_base", "kl_start"} & (told[1].keys() | told[3].keys())
    use = gather(outcome.folder).stages[0].use
    assert use is not None
    assert (use.since, use.of, [point.window for point in use.points]) == ("base", "proxy", [1, 3])


@pytest.mark.parametrize(
    ("stage", "path", "words"),
    [
        (tune(ask=[each("gold", SCORE)]), "stage[0].ask", '"score" beside it'),
        (
            tune(AGAINST, source={"name": "offline", "data": "say.jsonl"}, method={"name": "sft"}),
            "stage[0].ask[1].column",
            "the policy's own answers",
        ),
    ],
)
def test_gold_stands_beside_a_score_of_own_answers(
    stage: dict[str, Any], path: str, words: str, here: Path
) -> None:
    with pytest.raises(PlanError) as caught:
        done(here, stage)
    assert caught.value.path == path
    assert words in str(caught.value)


def test_a_row_without_gold_is_not_missing() -> None:
    """And one without a score is, whatever gold says of it."""
    groups = [a_group("Why?", "yes", "no")]

    def write(records: Iterable[Record]) -> None:
        del records

    with Worker() as worker:
        asking = [
            Asking(Each(column=column, collapse="distribution"), ScriptedOverseer(grades=grades))
            for column, grades in (("gold", {"no": 5.0}), ("score", {"yes": 1.0}))
        ]
        table = StageFeedback(asking, FrontDesk(write, lambda: None), worker, write)(groups)
    assert table is not None
    assert table.missing.tolist() == [False, True]
    assert np.isnan(table.values["gold"]).tolist() == [True, False]
    assert [len(parents) for parents in table.parents] == [1, 1]
