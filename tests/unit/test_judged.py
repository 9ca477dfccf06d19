"""Criteria that a judge gives: who may page, what he is held against, and that a stage's δ covers his errors.

Mutants: the box at the level of one interval, δ not shared, the base taken off, the labels of the base as
those of the run, a judge no better than a coin who pages, one without labels who counts in K.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from accord.catalog import build
from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.guard import Watch
from accord.judged import Ceiling, Qualified, told_box
from accord.maths.boxes import Labels, judge_box, judged_tolerance
from accord.maths.intervals import clopper_pearson
from accord.maths.sequential import e_process
from accord.maths.spending import judge_delta
from accord.pages import Page, Tolerance, standing
from accord.plan import Plan
from accord.ports import Source
from accord.progress import Silent
from accord.records import Decision, NotMeasured, Prompt, Reading
from accord.testing import a_history, check_rule
from accord.watching import Watched, watching

GOOD = Qualified(adverse=400, caught=380, fine=600, cleared=590, base=400, base_adverse=20)
COIN = Qualified(adverse=400, caught=210, fine=600, cleared=300, base=400)
BY = Tolerance(by=0.1)


def read(name: str, step: int, bad: int, of: int = 32, anchor: float = 0.25, unjudged: int = 0) -> Reading:
    return Reading(
        run="run/stage",
        name=name,
        step=step,
        instrument="i",
        value=bad / of,
        low=0.0,
        high=1.0,
        base=anchor,
        change=bad / of - anchor,
        n=of,
        items=tuple(f"item {i}" for i in range(of)),
        outcomes=tuple([1.0] * bad + [0.0] * (of - bad)),
        anchors=(anchor,) * of,
        unjudged=tuple(range(bad - unjudged, bad)),
    )


def page(judge: Qualified | None, **more: Qualified) -> Page:
    judges = {**({"own.kind": judge} if judge else {}), **more}
    return Page(tolerances={"own.kind": BY, "own.more": BY, "plain.x": BY}, judges=judges)


def said(rule: Page, *found: Reading | NotMeasured, decisions: tuple[Decision, ...] = ()) -> Decision:
    return rule(a_history((), found, decisions))


# Who may page


@pytest.mark.parametrize(
    ("counts", "enough"),
    [
        ({}, False),
        ({"adverse": 300, "fine": 300, "base": 50}, True),
        ({"adverse": 299, "fine": 300, "base": 50}, False),
        ({"adverse": 10, "fine": 990, "base": 50}, True),
        ({"adverse": 10, "fine": 989, "base": 50}, False),
        ({"adverse": 300, "fine": 300}, False),
        ({"fine": 1000, "base": 50}, False),
    ],
)
def test_it_takes_labels_of_this_run_and_of_the_base(counts: dict[str, int], enough: bool) -> None:
    one = Qualified.model_validate(counts)
    assert (one.lacking == "") == enough
    assert (one.box(0.01, 1) is not None) == enough
    assert enough or (one.ceiling(0.1, 0.01, 1) is None and one.why_not(0.01, 1))


def test_counts_that_cannot_be_are_refused() -> None:
    for counts in ({"adverse": 3, "caught": 4}, {"base_adverse": 1}, {"fine": -1}, {"fine": 1.5}):
        with pytest.raises(ValidationError):
            Qualified.model_validate(counts)
    with pytest.raises(PlanError, match="a criterion with a tolerance of the form by"):
        build("rules", {"name": "page", "tolerances": {"a.x": {"rise": 0.1}}, "judges": {"a.x": {}}})
    with pytest.raises(PlanError, match="a criterion with a tolerance of the form by"):
        build("rules", {"name": "page", "judges": {"nobody.x": {}}})
    made = build(
        "rules", {"name": "page", "tolerances": {"a.x": {"by": 0.1}}, "judges": {"a.x": {"fine": 3}}}
    )
    assert isinstance(made, Page)
    assert made.judges["a.x"] == Qualified(fine=3)


def test_the_ceiling_is_that_of_the_box_and_a_quarter_of_delta_is_shared() -> None:
    labels = Labels(400, 380, 600, 590, 400, 20)
    for judged in (1, 3):
        box = judge_box(labels, judge_delta(0.01), judged)
        assert GOOD.box(0.01, judged) == box
        largest = judged_tolerance(box, 0.1, 0.0)
        assert GOOD.ceiling(0.1, 0.01, judged) == Ceiling(largest or -1)
    one, three = GOOD.ceiling(0.1, 0.01, 1), GOOD.ceiling(0.1, 0.01, 3)
    assert one is not None
    assert three is not None
    assert 0.1 + 0.05 < one.tau < three.tau
    assert page(GOOD, **{"own.more": GOOD}).against("own.kind") == GOOD.ceiling(0.1, 0.01, 2)
    assert "sensitivity .95 (" in told_box(GOOD.box(0.01, 1))  # type: ignore[arg-type]


def test_a_coin_only_warns() -> None:
    assert COIN.lacking == ""
    assert COIN.ceiling(0.1, 0.01, 1) is None
    assert "no better than a coin" in COIN.why_not(0.01, 1)
    assert GOOD.why_not(0.01, 1) == ""


# In the rule


def test_what_was_judged_is_held_against_the_ceiling_without_the_base() -> None:
    rule = page(GOOD)
    found = [read("own.kind", s, 9) for s in range(4)]
    now = standing(rule, a_history((), found))
    assert now is not None
    ceiling = GOOD.ceiling(0.1, 0.01, 1)
    assert ceiling is not None
    outcome = np.array([1.0] * 9 + [0.0] * 23)
    assert now.e["own"] == pytest.approx(e_process([outcome] * 4, ceiling.tau))
    paged = said(rule, *(read("own.kind", s, 32) for s in range(4)))
    assert paged.action == "pause"
    assert "as judged" in paged.reason
    check_rule(rule, [a_history((), found)])


def test_who_does_not_qualify_is_not_in_k_and_warns_once() -> None:
    bad = [one for s in range(6) for one in (read("own.kind", s, 32), read("plain.x", s, 0, anchor=0.0))]
    for judge, why in ((Qualified(), "outputs of this run are labelled"), (COIN, "no better than a coin")):
        rule = page(judge)
        now = standing(rule, a_history((), bad))
        assert now is not None
        assert list(now.e) == ["plain"]
        found = said(rule, *bad)
        assert (found.action, found.rule) == ("continue", "page")
        assert found.reason.startswith("judged: own.kind; e-value ")
        assert why in found.reason
        assert set(found.parents) == {one.id for one in bad if one.name == "own.kind"}
        assert said(rule, *bad, decisions=(found,)).reason == ""
        check_rule(rule, [a_history((), bad)])
    assert said(page(None), *bad).action == "pause", "as a program it would have paged"


def test_alone_he_warns_too_and_a_killed_judge_pauses() -> None:
    bad = [read("own.kind", s, 32) for s in range(6)]
    assert said(page(Qualified()), *bad).reason.startswith("judged: own.kind; ")
    assert standing(page(Qualified()), a_history((), bad)) is None
    dead = read("own.kind", 6, 32, unjudged=32)
    found = said(page(Qualified()), *bad, dead)
    assert (found.action, "32 of 32 items" in found.reason) == ("pause", True)


def test_the_chance_of_a_false_page_with_a_judge_at_the_edge() -> None:
    """True rate p₀ + τ from the start on, labels drawn anew in every run, δ = .2: a tenth (the arming) and a
    twentieth (the box) of runs page at most. Kills: p̂₀ + τ as the tolerance, which pages in most."""
    rng, runs, pages, naive = np.random.default_rng(3), 150, 0, 0
    s, q, p, tau = 0.9, 0.85, 0.1, 0.1
    for _ in range(runs):
        sizes = {"adverse": 300, "fine": 300, "base": 100}
        hits = {
            key: int(rng.binomial(sizes[of], share))
            for key, of, share in (
                ("caught", "adverse", s),
                ("cleared", "fine", q),
                ("base_adverse", "base", p),
            )
        }
        ceiling = Qualified.model_validate(sizes | hits).ceiling(tau, 0.2, 1)
        assert ceiling is not None
        mean = (1 - q) + (s + q - 1) * (p + tau)
        draws = [(rng.random(32) < mean).astype(np.float64) for _ in range(40)]
        pages += bool((e_process(draws, ceiling.tau) >= 10).any())
        naive += bool((e_process(draws, p + tau) >= 10).any())
    assert clopper_pearson(pages, runs, 0.98).low <= 0.15
    assert naive > runs / 2


# In a plan


class _Prompts:
    def prompts(self) -> list[Prompt]:
        return [Prompt.of("probe")]


def _watch(folder: Path, judges: dict[str, Any], judged: bool = True) -> Watch:
    (folder / "kind.jsonl").write_text('{"prompt": "Be kind."}\n')
    (folder / "kind.py").write_text("def fn(item, answer):\n    return 1.0\n")
    scorer = {"name": "own", "panel": str(folder / "kind.jsonl"), "scorer": f"{folder / 'kind.py'}:fn"}
    rule = {"name": "page", "tolerances": {"own.kind": {"by": 0.1}}, "judges": judges}
    stage: dict[str, Any] = {
        "name": "tune",
        "windows": 1,
        "source": {"name": "offline"},
        "method": {"name": "dpo"},
        "guard": {"indicator": [scorer | {"judged": judged}], "rule": [rule]},
    }
    plan = Plan.model_validate({"name": "p", "model": "scripted", "stage": [stage]})
    base = Scripted(words=("a",), tensors="numpy").sampler("scripted", Silent())
    return watching(Watched("r/tune", plan, plan.stage[0]), cast(Source, _Prompts()), base, Silent())


def test_no_rule_pages_on_a_judges_word_as_if_he_never_erred(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="an empty table lets it warn"):
        _watch(tmp_path, {})
    (rule,) = _watch(tmp_path, {"own.kind": {}}).rules
    assert isinstance(rule, Page)
    assert rule.against("own.kind") is None
    (plain,) = _watch(tmp_path, {}, judged=False).rules
    assert isinstance(plain, Page)
    assert plain.against("own.kind") == BY
    for scorer in ("exact", "choice"):
        with pytest.raises(PlanError, match="is a program, and nobody's judgment"):
            build("indicators", {"name": "own", "panel": "p", "scorer": scorer, "judged": True})
