"""compatible: what is withheld and why, by hand; which methods it goes around, and what a plan may say.

Mutants this kills: shares of rows that were left out or reordered given to others, tokens of the other answer
of a pair counted, p < ½ read as the first, the sum of nats for their mean, a far prompt's counts taken away,
the inner method's memory or columns lost, its class left out of the hash.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accord import catalog
from accord.errors import PlanError
from accord.methods.best_of_n import BestOfN
from accord.methods.compatible import Compatible
from accord.methods.dpo import DPO
from accord.methods.grpo import GRPO
from accord.methods.ipo import IPO
from accord.methods.ppo import PPO
from accord.methods.rloo import RLOO
from accord.methods.sft import SFT
from accord.plan_tables import PartTable
from accord.ports import Needs, Reads
from accord.records import Episode
from accord.records.rows import Batch, Row, Window
from accord.testing import PlainLikelihood


def said(prompt: int, tokens: tuple[int, ...], index: int = 0) -> Episode:
    told = {"prompt": f"p{prompt}", "responses": (f"{prompt}.{tokens}.{index}",), "tokens": (tokens,)}
    return Episode(prompt_tokens=((100 + prompt, 2),), **told)


def window(
    *rows: tuple[int, tuple[int, ...], float | None], **columns: dict[tuple[int, ...], list[float]]
) -> Window:
    """Rows of a prompt, an answer and its score; columns by the answer's tokens, 1 where left out."""
    made = tuple(
        Row(
            (said(g, tokens, i),), {"score": np.nan if score is None else score, "cut": 0.0}, score is None, g
        )
        for i, (g, tokens, score) in enumerate(rows)
    )
    columns = {"support": {}, **columns}
    measured = {
        name: tuple(np.array(by.get(tokens, [1.0] * len(tokens))) for _, tokens, _ in rows)
        for name, by in columns.items()
    }
    return Window(0, made, measured)


def batch_of(method: Compatible, given: Window) -> Batch:
    return method.batch(given, {}, np.random.default_rng(0))[0]


def answers(batch: Batch) -> list[tuple[int, ...]]:
    return [s.tokens[2:] for s in batch.sequences]


LONG = tuple(range(20, 30))  # ten tokens


def test_one_token_of_ten_beyond_is_let_through_and_two_are_not() -> None:
    """best_of_n takes rows 3, 0 and 4 in an order of its own, and leaves rows 1 and 2 out."""
    method = Compatible(inner=BestOfN(n=2))
    rows = [(0, LONG, 1.0), (0, (5,), 0.0), (1, (6,), 0.0), (1, (7, 8), 2.0), (2, (9,), 1.0)]
    for beyond, left in ((1, [LONG, (7, 8)]), (2, [(7, 8)])):
        support = {LONG: [0.0] * beyond + [1.0] * (10 - beyond), (9,): [0.0], (5,): [0.0]}
        batch = batch_of(method, window(*rows, support=support))
        assert sorted(answers(batch)) == sorted(left)
        assert batch.counts == ({"nll": 13.0},), "the denominator is that of all rows that were chosen"
        assert batch.scalars["withheld"] == 3 - len(left)
        assert batch.scalars["withheld_share"] == pytest.approx((3 - len(left)) / 3)
        assert batch.scalars["outside"] == pytest.approx((beyond / 10 + 0 + 1) / 3)
        assert batch.scalars["accepted"] == 3.0, "what the inner method says stays"
        assert "spared" not in batch.scalars


def test_the_episodes_that_are_withheld_are_named_with_those_that_say_the_same() -> None:
    given = window((0, (5,), 1.0), (0, (6,), 0.0), (1, (5,), 1.0), (1, (5,), 0.0), support={(5,): [0.0]})
    batch = batch_of(Compatible(inner=BestOfN(n=2)), given)
    assert batch.parents == tuple(given.rows[i].episodes[0].id for i in (0, 2, 3))
    assert batch.steps == ()
    assert batch_of(Compatible(inner=BestOfN(n=2), outside=1.0), given).parents == ()


def test_what_scores_under_its_group_is_not_computed_and_still_weighs() -> None:
    given = window((0, (5,), 1.0), (0, (6, 7), 0.0), (0, (8,), None))
    for inner in (GRPO(n=3, beta=0.0), RLOO(n=3, beta=0.0)):
        batch = batch_of(Compatible(inner=inner), given)
        assert answers(batch) == [(5,)]
        assert batch.counts == ({"policy": 3.0 if isinstance(inner, GRPO) else 2.0},)
        assert (batch.scalars["spared"], batch.scalars["withheld"]) == (1.0, 0.0)
        low = batch_of(Compatible(inner=inner), window((0, (5,), 1.0), (0, (6,), 0.0), support={(6,): [0.0]}))
        assert low.scalars["withheld"] == 0.0, "nobody raises it"
        assert low.scalars["outside"] == 0.5


def test_turns_are_counted_together() -> None:
    told = {"prompt": "p", "responses": ("a", "b"), "tokens": ((3,), (4, 5))}
    joined, broken = (Episode(prompt_tokens=((1, 2), second), **told) for second in ((1, 2, 3, 7), (9, 7)))
    for episode, cuts in ((joined, [[1.0, 0.0, 1.0]]), (broken, [[1.0], [0.0, 1.0]])):
        given = Window(0, (Row((episode,)),), {"support": tuple(map(np.array, cuts))})
        for outside, count in ((0.34, 0.0), (0.33, 1.0)):
            batch = batch_of(
                Compatible(inner=PlainLikelihood(by="data", threshold=-1.0), outside=outside), given
            )
            assert batch.scalars["withheld"] == count
            assert batch.scalars["outside"] == pytest.approx(1 / 3)


# Pairs


def pairs(*told: tuple[float, int, int]) -> Window:
    """Pairs of three tokens and two, with p and how many tokens of each lie beyond."""
    rows: list[Row] = []
    support: list[np.ndarray] = []
    for g, (p, first, second) in enumerate(told):
        rows.append(Row((said(g, (1, 2, 3)), said(g, (4, 5))), {"p": p, "weight": 1.0}, group=g))
        support += [np.arange(3) >= first, np.arange(2) >= second]
    measured = {"support": tuple(s.astype(np.float64) for s in support)}
    measured["ref_logp"] = tuple(np.full(len(s), -1.0) for s in support)
    return Window(0, tuple(rows), measured)


@pytest.mark.parametrize("inner", [DPO(), IPO()], ids=["dpo", "ipo"])
def test_a_pair_is_withheld_for_its_preferred_answer(inner: Any) -> None:
    given = pairs((1.0, 1, 0), (1.0, 0, 2), (0.0, 3, 0), (0.4, 0, 1), (0.5, 1, 0))
    method = Compatible(inner=inner)
    batch = batch_of(method, given)
    assert {s.tokens[0] - 100 for s in batch.sequences} == {1, 2}
    assert batch.counts[0] == dict.fromkeys(batch.weights, 5.0)
    assert [len(step) for step in batch.steps] == [2]
    assert batch.scalars["outside"] == pytest.approx((1 / 3 + 0 + 0 + 1 / 2 + 1 / 3) / 5)
    named = {given.rows[0].episodes[0].id, given.rows[3].episodes[1].id, given.rows[4].episodes[0].id}
    assert set(batch.parents) == named, "the preferred answers, not those they were preferred to"
    assert method.pushes_down
    assert "support" not in batch.tokens, "the inner method is handed what it asked for"


# Prompts that have gone far


def far(old: dict[tuple[int, ...], list[float]]) -> Window:
    rows = [(0, (5,), 1.0), (0, (6, 7), 0.0), (1, (8,), 1.0), (1, (9,), 0.0)]
    zeros = {tokens: [0.0] * len(tokens) for _, tokens, _ in rows}
    return window(*rows, old_logp={**zeros, **old}, base_logp=zeros)


@pytest.mark.parametrize(("nats", "left"), [(0.7, [(8,)]), (0.8, [(5,), (8,)])])
def test_a_prompt_is_left_out_once_its_answers_are_too_far_from_the_base(nats: float, left: Any) -> None:
    """Sums of 1 and of ½ + 0: ¾ on average. The row that scored low counts as well."""
    given = far({(5,): [1.0], (6, 7): [0.5, 0.0]})
    method = Compatible(inner=GRPO(n=2, beta=0.0), max_nats=nats)
    batch = batch_of(method, given)
    assert answers(batch) == left
    assert batch.counts == ({"policy": 5.0},)
    assert batch.scalars["prompts_left_out"] == 2 - len(left)
    assert batch.scalars["withheld"] == 0.0
    assert batch.parents == ()
    assert method.needs() == Needs(
        frozenset({"old_logp"}), reads=(Reads("support", "support"), Reads("base_logp", "logp"))
    )


def test_a_critic_goes_on_where_the_policy_stops() -> None:
    given = far({(5,): [1.0], (6, 7): [0.5, 0.0]})
    given = replace(given, measured={**given.measured, "value": given.measured["old_logp"]})
    batch = batch_of(Compatible(inner=PPO(n=2, beta=0.0), max_nats=0.7), given)
    assert len(batch.sequences) == 4
    assert batch.tokens["advantage"][:3].tolist() == [0.0, 0.0, 0.0]
    assert batch.tokens["advantage"][3] > 0
    assert batch.tokens["return"].tolist() == pytest.approx([1.0, 0.0, 0.0, 1.0, 0.0])


# Around which methods


def test_what_it_says_of_itself_is_its_inner_method_s() -> None:
    method = Compatible(inner=GRPO(n=5))
    assert method.rows == ("answer", 5, "policy")
    assert method.needs().columns == GRPO().needs().columns
    assert method.needs().reads == (Reads("support", "support"),)
    assert not method.pushes_down
    assert Compatible(inner=GRPO(), push_down=0.1).pushes_down
    assert Compatible(inner=PPO()).needs().critic
    twice = Compatible(inner=Compatible(inner=BestOfN()))
    assert twice.needs().reads == (Reads("support", "support"),), "a column is read once"


def test_the_inner_memory_is_kept_under_inner() -> None:
    given = window((0, (5,), 1.0), (0, (6,), 0.0))
    method = Compatible(inner=PlainLikelihood(n=2))
    _, memory = method.batch(given, {}, np.random.default_rng(0))
    assert memory == {"inner": {"windows": 1}}
    assert method.batch(given, memory, np.random.default_rng(0))[1] == {"inner": {"windows": 2}}


def failing(**table: Any) -> PlanError:
    with pytest.raises(PlanError) as caught:
        catalog.build("methods", {"name": "compatible", **table}, "stage[0].method")
    return caught.value


COSTS = {"name": "constrained", "inner": {"name": "grpo"}, "limits": {"harm": 0.1}}


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ({"name": "reward_model"}, "grpo, rloo"),
        ({"name": "kto"}, "grpo, rloo"),
        ({"name": "process_reward_model"}, "grpo, rloo"),
        ({"name": "conditional"}, "grpo, rloo"),
        ({"name": "distill", "teacher": "t"}, "grpo, rloo"),
        (COSTS, "grpo, rloo"),
        ({"name": "grpo", "kl": "loss"}, "kl = 'reward'"),
        ({"name": "rloo", "kl": "loss"}, "kl = 'reward'"),
        ("grpo", "a table that names a method"),
        ({"n": 4}, "a table that names a method"),
    ],
    ids=str,
)
def test_methods_that_do_not_say_what_they_raise_are_refused(inner: Any, says: str) -> None:
    error = failing(inner=inner)
    assert error.path == "stage[0].method.inner"
    assert says in str(error)


def test_settings_that_would_mean_nothing_are_refused() -> None:
    pair, answer, file = ({"name": name} for name in ("dpo", "best_of_n", "sft"))
    assert failing(inner=pair, push_down=0).path == "stage[0].method.push_down"
    assert failing(inner=answer, push_down=0.5).path == "stage[0].method.push_down"
    assert failing(inner=file, max_nats=1.0).path == "stage[0].method.max_nats"
    assert failing(inner=answer, nucleus=0.9).path == "stage[0].method.nucleus"
    assert "a table that names a method" in failing().allowed
    assert failing(inner={"name": "grpo", "m": 3}).path == "stage[0].method.inner.m"
    catalog.build("methods", {"name": "compatible", "inner": answer, "push_down": 0.0})


@pytest.mark.parametrize("method", [Compatible(inner=GRPO(n=3), max_nats=2.0), Compatible(inner=SFT())])
def test_a_plan_can_be_given_the_part_itself(method: Compatible) -> None:
    table = PartTable.model_validate(method)
    assert catalog.build("methods", table) == method
    assert catalog.build("methods", PartTable.model_validate(table.table())) == method


def test_its_hash_knows_the_class_and_the_settings_of_its_inner_method() -> None:
    made = [Compatible(inner=inner) for inner in (DPO(), IPO(), DPO(beta=0.2), DPO())]
    assert [made[0].config == other.config for other in made[1:]] == [False, False, True]
