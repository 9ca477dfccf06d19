"""constrained: numbers by hand, what a plan may say, rows that leave, what is remembered.

Mutants: λ moved after it was mixed in, no division by 1 + λ, a division under ``hard``, a mean that counts
rows nobody judged, an indicator that keeps the size of the cost, Memory that forgets the inner's.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord import catalog
from accord.errors import PlanError
from accord.methods.constrained import Constrained
from accord.methods.dpo import DPO
from accord.methods.grpo import GRPO
from accord.methods.ppo import PPO
from accord.plan import PartTable
from accord.records import canonical
from accord.records.rows import Window
from accord.testing import a_window, check_method


def inner(**told: Any) -> GRPO:
    return GRPO(**{"n": 2, "beta": 0.0, "scale_std": False, **told})


def costed(scores: list[float | None], costs: list[float | None], name: str = "harm") -> Window:
    """One group; a cost of None: the ask of the cost abstained, so the row has no verdict on it."""
    window = a_window([scores])
    rows = [
        replace(
            row,
            columns={**row.columns, f"cost:{name}": np.nan if cost is None else cost},
            missing=row.missing or cost is None,
        )
        for row, cost in zip(window.rows, costs, strict=True)
    ]
    return replace(window, rows=tuple(rows))


def ran(method: Constrained, window: Window, memory: Any = None) -> tuple[Any, Any]:
    return method.batch(window, memory or {}, np.random.default_rng(0))


def advantages(batch: Any) -> list[float]:
    """Of each row, from its first token."""
    starts = np.cumsum([0, *batch.lengths_S()[:-1]])
    return [round(float(x), 9) for x in batch.tokens["advantage"][starts]]


def test_the_multiplier_moves_first_and_then_is_mixed_in() -> None:
    """Scores 1, 0; costs .6, .2 of limit .2: e = .2, I = .002, λ = .1·.2 + .002 = .022.

    A_r = ±½, A_c = ±.2: A = (.5 − .022·.2)/1.022.
    """
    batch, memory = ran(Constrained(inner=inner(), limits={"harm": 0.2}), costed([1.0, 0.0], [0.6, 0.2]))
    wanted = (0.5 - 0.022 * 0.2) / 1.022
    assert advantages(batch) == [round(wanted, 9), round(-wanted, 9)]
    told = {name: batch.scalars[name] for name in ("lambda/harm", "cost/harm", "violation/harm")}
    assert told == pytest.approx({"lambda/harm": 0.022, "cost/harm": 0.4, "violation/harm": 1.0})
    held = memory["multipliers"]["harm"]
    assert held.pop("costs") == pytest.approx([0.4])
    assert held == pytest.approx({"value": 0.022, "integral": 0.002, "error": 0.2})


def test_the_projected_gradient_and_the_fixed_weight() -> None:
    """naive: λ = .05·.2 = .01, A = (.5 − .01·.2)/1.01; hard: A = .5 − 100·.2, divided by nothing."""
    window = costed([1.0, 0.0], [0.6, 0.2])
    batch, _ = ran(Constrained(inner=inner(), limits={"harm": 0.2}, control="naive"), window)
    assert advantages(batch)[0] == pytest.approx(0.498 / 1.01)
    batch, memory = ran(Constrained(inner=inner(), limits={"harm": 0.0}, mode="hard"), window)
    assert advantages(batch) == [-19.5, 19.5]
    assert (batch.scalars["lambda/harm"], memory["multipliers"]["harm"]["value"]) == (100.0, 100.0)


def test_under_probability_any_cost_counts_as_one() -> None:
    """Costs 7 and 0: half of the answers violate, e = .5 − .05, λ = .045 + .0045; A_c = ±½."""
    method = Constrained(inner=inner(), limits={"harm": 0.0}, mode="probability", eps=0.1)
    batch, _ = ran(method, costed([1.0, 0.0], [7.0, 0.0]))
    assert advantages(batch)[0] == pytest.approx((0.5 - 0.0495 * 0.5) / 1.0495)
    assert batch.scalars["cost/harm"] == 3.5
    assert batch.scalars["violation/harm"] == 0.5


def test_several_costs_are_weighed_each_by_its_own() -> None:
    """λ = .022 of harm as above; waste costs 0 and 1 of limit .5, so e = 0 and λ = 0."""
    window = costed([1.0, 0.0], [0.6, 0.2])
    rows = tuple(
        replace(row, columns={**row.columns, "cost:waste": float(k)}) for k, row in enumerate(window.rows)
    )
    method = Constrained(inner=inner(), limits={"harm": 0.2, "waste": 0.5})
    batch, memory = ran(method, replace(window, rows=rows))
    assert advantages(batch)[0] == pytest.approx((0.5 - 0.022 * 0.2) / 1.022)
    assert {name: m["value"] for name, m in memory["multipliers"].items()} == pytest.approx(
        {"harm": 0.022, "waste": 0.0}
    )


def test_scaling_is_the_inner_s_and_comes_last() -> None:
    """Two answers over their deviation are ±.7071 whatever λ is; ppo's tokens are whitened together."""
    batch, _ = ran(
        Constrained(inner=inner(scale_std=True), limits={"harm": 0.2}), costed([1.0, 0.0], [0.6, 0.2])
    )
    assert advantages(batch) == pytest.approx([0.70696, -0.70696], abs=2e-4)
    window = costed([1.0, 0.0], [0.6, 0.2])
    flat = tuple(np.zeros(sum(s.answer)) for row in window.rows for s in row.episodes[0].sequences())
    window = replace(window, measured={"old_logp": flat, "value": flat})
    method = Constrained(inner=PPO(beta=0.0), limits={"harm": 0.2})
    batch, _ = ran(method, window)
    assert batch.tokens["advantage"].mean() == pytest.approx(0.0, abs=1e-12)
    assert batch.tokens["advantage"].std(ddof=1) == pytest.approx(1.0, abs=1e-3)
    assert batch.tokens["return"].tolist() == [1.0, 0.0, 0.0], "the critic learns the score, not the mixture"


def test_a_row_without_a_cost_leaves_as_one_without_a_score() -> None:
    """Kills a baseline, a mean cost or a loss that still counts it."""
    method = Constrained(inner=inner(n=3), limits={"harm": 0.2})
    without, kept = ran(method, costed([1.0, 0.0], [0.6, 0.2]))
    batch, memory = ran(method, costed([1.0, 0.0, 9.0], [0.6, 0.2, None]))
    assert advantages(batch) == advantages(without)
    assert memory == kept
    assert batch.scalars["missing"] == 1.0


def test_a_cost_that_is_not_a_number_in_a_row_that_is_judged_leaves_too() -> None:
    window = costed([1.0, 0.0, 9.0], [0.6, 0.2, None])
    window = replace(window, rows=tuple(replace(row, missing=False) for row in window.rows))
    method = Constrained(inner=inner(n=3), limits={"harm": 0.2})
    assert advantages(ran(method, window)[0]) == advantages(ran(method, costed([1.0, 0.0], [0.6, 0.2]))[0])


def test_what_nobody_judged_moves_no_multiplier() -> None:
    method = Constrained(inner=inner(), limits={"harm": 0.2})
    _, memory = ran(method, costed([1.0, 0.0], [0.6, 0.2]))
    batch, kept = ran(method, costed([1.0, 0.0], [None, None]), memory)
    assert kept == memory
    assert not batch.steps
    assert batch.scalars["lambda/harm"] == pytest.approx(0.022)
    assert "cost/harm" not in batch.scalars


def test_the_memory_is_json_and_keeps_the_inner_s() -> None:
    method = Constrained(inner=inner(), limits={"harm": 0.2})
    window = costed([1.0, 0.0], [0.6, 0.2])
    _, memory = ran(method, window, {"inner": {"seen": 3}})
    assert memory["inner"] == {"seen": 3}
    read = json.loads(json.dumps(memory))
    assert canonical(ran(method, window, read)[1]) == canonical(ran(method, window, memory)[1])


@pytest.mark.parametrize(
    ("told", "path", "allowed", "advice"),
    [
        ({"inner": DPO()}, "inner", "grpo, ppo, rloo or reinforce_pp", "advantages"),
        ({"inner": "grpo"}, "inner", "a table that names", "advantages"),
        ({"limits": {}}, "limits", "1 or more", ""),
        ({"limits": {"Harm!": 0.1}}, "limits.Harm!", "cost:<id>", ""),
        ({"limits": {"harm": 0.0}}, "limits.harm", "over 0", 'mode = "probability"'),
        ({"limits": {"harm": 0.0}}, "limits.harm", "over 0", 'mode = "hard"'),
        ({"limits": {"harm": 0.0}}, "limits.harm", "over 0", "λ would grow without end"),
        ({"limits": {"harm": -1.0}}, "limits.harm", "over 0", ""),
        ({"limits": {"harm": float("inf")}}, "limits.harm", "over 0", ""),
        ({"limits": {"harm": 0.1}, "mode": "hard"}, "limits.harm", "0 under", ""),
        ({"limits": {"harm": 0.1}, "mode": "probability"}, "limits.harm", "0 under", ""),
        ({"eps": 0.05}, "eps", "probability", ""),
        ({"mode": "hard", "limits": {"harm": 0.0}, "control": "pid"}, "control", "stays at 100", ""),
        ({"mode": "soft"}, "mode", '"expected", "probability" or "hard"', ""),
    ],
)
def test_a_plan_that_cannot_be_is_told(told: dict[str, Any], path: str, allowed: str, advice: str) -> None:
    settings = {"inner": {"name": "grpo"}, "limits": {"harm": 0.2}, **told}
    if isinstance(settings["inner"], DPO):
        settings["inner"] = {"name": "dpo"}
    with pytest.raises(PlanError) as caught:
        catalog.build("methods", {"name": "constrained", **settings}, "stage[0].method")
    assert caught.value.path == f"stage[0].method.{path}"
    assert allowed in caught.value.allowed
    assert advice in caught.value.advice


def test_a_cost_under_zero_is_no_cost() -> None:
    method = Constrained(inner=inner(), limits={"harm": 0.2})
    with pytest.raises(PlanError, match="comparisons leaves its zero unset"):
        ran(method, costed([1.0, 0.0], [0.6, -0.2]))


def test_a_column_that_no_ask_fills_is_named() -> None:
    with pytest.raises(PlanError, match='an ask whose column is "cost:harm"'):
        ran(Constrained(inner=inner(), limits={"harm": 0.2}), a_window([[1.0, 0.0]]))


def test_a_nested_table_and_the_part_itself_are_one() -> None:
    """By its name in a plan, or as a part in Python; the hash tells inner classes apart."""
    table = {"name": "constrained", "inner": {"name": "grpo", "n": 4}, "limits": {"harm": 0.2}}
    built = catalog.build("methods", table)
    part = Constrained(inner=GRPO(n=4), limits={"harm": 0.2})
    assert built == part
    assert catalog.build("methods", PartTable.model_validate(part)) == part
    other = Constrained(inner=PPO(n=4), limits={"harm": 0.2})
    assert len({part.config, other.config, Constrained(inner=GRPO(), limits={"harm": 0.2}).config}) == 3
    assert part.rows == GRPO(n=4).rows
    assert part.pushes_down
    assert other.needs() == PPO(n=4).needs()


@pytest.mark.parametrize("control", ["pid", "naive"])
def test_it_keeps_the_promises_of_a_method(control: Any) -> None:
    method = Constrained(inner=GRPO(n=3, epochs=2), limits={"harm": 0.3, "waste": 0.1}, control=control)
    check_method(method, columns=("score", "cost:harm", "cost:waste"))


def test_the_page_names_every_setting(request: pytest.FixtureRequest) -> None:
    page = Path(request.config.rootpath, "docs/methods/constrained.md").read_text(encoding="utf-8")
    assert all(f"`{name}" in page for name in Constrained.model_fields)
