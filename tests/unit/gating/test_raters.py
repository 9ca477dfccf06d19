"""Agreement of those who compared, by slice, and what is made of it.

Mutants these kill: slices pooled, rows of a turned pair read as another question, a share read as one label,
single labels that pass where they are collapsed, an α that is refused though shares are kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.gating.conftest import table

from accord.gating.report import Finding

Ask = Callable[..., Finding]


def plan(rows: list[dict[str, Any]], collapse: str = "") -> dict[str, Any]:
    """A stage that learns from these comparisons; with ``collapse`` also from verdicts of an ask."""
    Path("votes.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    ask = {"name": "pairs", "column": "p", "collapse": collapse}
    asks = [{**ask, "overseer": {"name": "program", "fn": "reward.py:longer"}}] if collapse else []
    source = {"name": "offline", "data": "votes.jsonl"}
    return table(source=source, method={"name": "dpo"}, ask=asks)


def rows(slice_: str, agree: int, differ: int) -> list[dict[str, Any]]:
    """Questions on which two annotators say the same, and such on which they differ, half of each way up."""
    found: list[dict[str, Any]] = []
    for i in range(agree + differ):
        one = {"prompt": f"{slice_} {i}?", "chosen": "aye", "rejected": "no", "slice": slice_}
        other = {**one, "chosen": "no", "rejected": "aye"}
        first = one if i % 2 else other
        second = first if i < agree else (other if i % 2 else one)
        found += [{**first, "annotator": "x"}, {**second, "annotator": "y"}]
    return found


def nobody(prompt: object, rng: object) -> str:
    raise AssertionError(f"{prompt} {rng}: no model is asked for agreement")


def test_each_slice_stands_for_itself(found: Ask) -> None:
    both = rows("clear", 30, 0) + rows("torn", 15, 15)
    finding = found("raters", nobody, plan(both, "majority"))
    clear, torn = finding.figures
    assert (clear.name, clear.value) == ("α of clear", 1.0)
    assert torn.value == pytest.approx(0.0, abs=0.05) and torn.low is not None and torn.low < 0
    assert (finding.status, finding.stops) == ("refused", True)
    assert "torn under 0.4" in finding.says and "clear" not in finding.says
    assert finding.remedy == ("accord gate PLAN --set stage.push.ask.0.collapse=distribution",)
    kept = found("raters", nobody, plan(both, "distribution"))
    assert (kept.status, kept.stops) == ("printed only", False), "shares keep what they disagree on"
    assert found("raters", nobody, plan(rows("clear", 30, 0), "majority")).status == "passed"


def test_shares_of_votes_are_labels(found: Ask) -> None:
    torn = [{"prompt": f"{i}?", "chosen": "aye", "rejected": "no", "p": 0.5, "weight": 4} for i in range(20)]
    finding = found("raters", nobody, plan(torn, "majority"))
    assert finding.status == "refused" and (finding.figures[0].value or 0) < 0
    assert "over 20 questions" in finding.figures[0].note


def test_single_labels_pass_where_nothing_is_collapsed(found: Ask) -> None:
    single = [{"prompt": f"{i}?", "chosen": "aye", "rejected": "no"} for i in range(9)]
    kept, averaged, plain = (
        found("raters", nobody, plan(single, c)) for c in ("distribution", "majority", "")
    )
    assert {one.status for one in (kept, averaged, plain)} == {"not measurable"}
    assert (kept.stops, averaged.stops, plain.stops) == (False, True, False)
    assert averaged.remedy and averaged.figures[0].value is None
    one_rated = rows("rated", 20, 0) + [{**row, "slice": "single"} for row in single]
    assert found("raters", nobody, plan(one_rated, "majority")).stops, "a slice of single labels is not known"
    assert found("raters", nobody, plan(one_rated, "distribution")).status == "passed"


def test_where_nobody_compares_there_is_nothing_to_agree_on(found: Ask) -> None:
    finding = found("raters", nobody)
    assert (finding.status, finding.stops) == ("not measurable", False)
    ask = {**table()["stage"][0]["ask"][0], "collapse": "majority"}
    assert found("raters", nobody, table(ask=[ask])).stops
