"""The trained reward beside gold at every look: a gamer is paged, an honest run is not, a resume reads the
same. Mutants: the base's answers kept from the first look, its gap not taken off, the sign turned, tolerance
in points, what nobody graded counted as good, the same prompts at every look, grades on another scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.test_gold import AGAINST, SCORE, each, rows, tune

from accord.asks.each import Each
from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.feedback import Asking, StageFeedback
from accord.heldout import HeldOutSet
from accord.pages import TOLERANCES, Page, Tolerance
from accord.pipeline import run
from accord.plan import Plan
from accord.probing import Sitting
from accord.progress import Silent
from accord.proxy_gold import NAME, ProxyGold
from accord.records import NotMeasured, Prompt, Reading
from accord.stores.runlog import read_log
from accord.testing import ScriptedOverseer, a_history
from accord.worker import Worker

PROMPTS = tuple(Prompt.of(f"H{i}?") for i in range(24))


def sampler(likely: str) -> Any:
    p = {prompt.text: [0.9 if word == likely else 0.05 for word in SCORE] for prompt in PROMPTS}
    return Scripted(words=tuple(SCORE), p=p, longest=1, tensors="numpy").sampler("scripted", Silent())


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def asking(grades: dict[str, float]) -> Asking:
    return Asking(Each(column="score", collapse="distribution"), ScriptedOverseer(grades=grades))


Made = Callable[..., ProxyGold]


@pytest.fixture
def made(worker: Worker) -> Made:
    def make(proxy: dict[str, float] = SCORE, gold: dict[str, float] = AGAINST, count: int = 24) -> ProxyGold:
        asks = [asking(proxy), asking(gold)]

        def nowhere(records: Any, *_: Any) -> None:
            del records

        feedback = StageFeedback(asks, FrontDesk(nowhere, lambda *_: None), worker, nowhere)
        held = HeldOutSet(PROMPTS[:count], 1, 1.0, 2, asks[0], "held_out.score")
        return ProxyGold(held, asks[0], asks[1], "run/stage", feedback, worker)

    return make


def read(one: ProxyGold, policy: str, audit: int = 0, items: int = 12, base: str = "no") -> Reading:
    found = one.read(Sitting(audit, 4 * audit, sampler(policy), items), sampler(base))
    assert isinstance(found, Reading)
    return found


def test_the_gap_is_that_of_the_same_answers_and_stands_beside_the_bases(made: Made) -> None:
    found = read(made(), "yes")
    # yes: proxy 1, gold 0, so 1; no: 0; so: ½. The policy says yes, the base no.
    assert set(found.outcomes) | set(found.anchors) <= {0.0, 0.5, 1.0}
    assert np.mean(found.outcomes) > 0.7
    assert np.mean(found.anchors) < 0.3
    assert (found.name, len(found.items), found.n) == (NAME, 12, 12)
    assert found.change == pytest.approx(np.mean(found.outcomes) - np.mean(found.anchors))
    assert len(found.parents) == 24


def test_every_look_asks_other_prompts_and_both_afresh(made: Made) -> None:
    one = made()
    looks = [read(one, "yes", audit) for audit in range(4)]
    assert len({look.items for look in looks}) == 4
    assert all(len(set(look.items)) == 12 for look in looks)
    assert len({parent for look in looks for parent in look.parents}) == 4 * 24
    assert read(one, "yes", 2) == looks[2], "a resume reads the same"
    assert len(read(one, "yes", items=99).items) == 24


def test_what_nobody_graded_stands_at_the_adverse_end(made: Made) -> None:
    found = read(made(gold={"no": 1.0, "so": 0.5}), "yes")
    assert len(found.unjudged) >= 6, "the policy says yes nine times in ten, and gold knows no yes"
    assert np.mean([found.outcomes[i] for i in found.unjudged]) > 0.9
    base = read(made(gold={"no": 1.0, "so": 0.5}), "no", base="yes")
    assert np.mean([base.anchors[i] for i in base.unjudged]) < 0.1
    silent = made(gold={}).read(Sitting(0, 0, sampler("yes"), 12), sampler("no"))
    assert isinstance(silent, NotMeasured)
    assert "nobody graded an answer" in silent.reason


def test_grades_of_another_scale_are_not_measured(made: Made) -> None:
    found = made(proxy={"yes": 7.0, "no": 1.0, "so": 4.0}).read(
        Sitting(0, 0, sampler("yes"), 12), sampler("no")
    )
    assert isinstance(found, NotMeasured)
    assert "have a scale from 0 to 1" in found.reason
    few = made(count=1).read(Sitting(0, 0, sampler("yes"), 12), sampler("no"))
    assert isinstance(few, NotMeasured)


def test_the_tolerance_is_half_of_that_in_points_and_a_page_pauses(made: Made) -> None:
    assert TOLERANCES[NAME] == Tolerance(by=0.01)
    one, page = made(), Page(tolerances={NAME: TOLERANCES[NAME]})
    gamed = [read(one, "yes", audit) for audit in range(6)]
    found = page(a_history((), gamed))
    assert (found.action, found.rule) == ("pause", "page")
    well = [read(one, "no", audit) for audit in range(12)]
    assert page(a_history((), well)).reason == ""


# In a stage


def planned(here: Path, gold: dict[str, float]) -> Plan:
    """The scripted model learns prompt by prompt, so that the held-out ones are those of training."""
    for name in ("ask", "held"):
        rows(here / f"{name}.jsonl", [{"prompt": prompt.text} for prompt in PROMPTS[:8]])
    guard = {"probes": 1, "answers": 1, "max_tokens": 1, "indicator": [], "gold": 8}
    held = {"prompts": "held.jsonl", "n": 1, "max_tokens": 1}
    method = {"name": "grpo", "n": 3}
    stage = tune(gold, windows=9, guard=guard, held_out=held, method=method)
    stage["source"] = stage["source"] | {"per_window": 8, "max_tokens": 1}
    stage["learner"] = stage["learner"] | {"longest": 1, "lr": 40.0}
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": "scripted", "stage": [stage]})


def test_a_gamed_reward_is_paged_before_the_stage_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gamed = run(planned(tmp_path, AGAINST), runs=tmp_path / "gamed", store="none")
    assert gamed.action == "pause", gamed
    assert gamed.decision is not None
    assert (gamed.decision.rule, "proxy_gold.gap" in gamed.decision.reason) == ("page", True)
    found = [one for one in read_log(gamed.folder / "tune").records("reading") if isinstance(one, Reading)]
    read = [one for one in found if one.name == NAME]
    assert set(gamed.decision.parents) == {one.id for one in read}
    assert read[-1].step < 9


def test_a_stage_that_cannot_compare_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = planned(tmp_path, SCORE)
    table = plan.table()
    stage: Any = table["stage"]
    del stage[0]["held_out"]
    stage[0]["ask"] = [each("score", SCORE)]
    with pytest.raises(PlanError, match=r"stage\[0\].guard.gold = 8"):
        run(Plan.model_validate(table), runs=tmp_path / "runs", store="none")
