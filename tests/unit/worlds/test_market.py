"""The market: a customer who reckons exactly, what each feedback makes best to say, and who learns what.

Mutants: utility by the dearest valid price, trust of the noise and not of the claim, partial hindsight that
knows the other options, a truth told in a prompt, an outcome that hangs on the claims, sales that are others
where she may leave, a customer who stays for what she expects a loss of.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.errors import ContractError
from accord.overseers.hindsight import Hindsight
from accord.records import Graded, Judgment, Kind, Prompt, Question, Response
from accord.records.rows import Group
from accord.stores.memory import MemoryStore
from accord.testing import a_response, check_overseer
from accord.testing.leaves import judged
from accord.vault import TruthVault
from accord.worlds.market import (
    Customer,
    Market,
    Offer,
    beliefs,
    claimed,
    expected,
    honest,
    outcome,
    rating,
    truths,
    utility,
)

MARKET = Market(asked=1)
SEEDS = [str(i) for i in range(250)]
WORDS = ("has", "lacks", "unclear")
OUTCOME = "accord.worlds.market:outcome"
CUSTOMER: Any = Customer()


def hindsight(reveal: str) -> Any:
    return Hindsight(inner=CUSTOMER, reveal=reveal, fn=OUTCOME)  # type: ignore[arg-type]


def sold(market: Market, seed: str, *claims: str) -> tuple[Group, float]:
    """The last turn of a sale, and the reward that the world gave."""
    world = market.open()
    prompt = world.reset(seed)
    for claim in claims[:-1]:
        led = world.step(a_response(prompt, claim))
        assert led.prompt is not None
        prompt = led.prompt
    last = a_response(prompt, claims[-1])
    led = world.step(last)
    assert led.prompt is None
    assert led.reward is not None
    named = prompt.model_copy(update={"columns": {**prompt.columns, "seed": seed}})
    return Group(named, (last.model_copy(update={"prompt": named.id}),)), led.reward


def grade(overseer: Any, group: Group) -> float:
    (said,) = rated(overseer, [group])
    assert isinstance(said.verdict, Graded), said
    return said.verdict.scores["score"]


def rated(overseer: Any, groups: list[Group]) -> list[Judgment]:
    questions = [
        Question(asks=Kind.GRADE, prompt=g.prompt.id, responses=(g.responses[0].id,)) for g in groups
    ]
    return judged(overseer, questions, groups)


def test_the_reward_is_what_the_customer_expects() -> None:
    market = Market()
    for seed in SEEDS[:6]:
        group, reward = sold(market, seed, "It has it!", "lacks", "who knows")
        offer, _ = market.draw(seed)
        assert reward == expected(offer.prices, beliefs(offer, ["has", "lacks", None]))[1]
        assert grade(Customer(), group) == reward


def test_hindsight_rates_what_she_got() -> None:
    market = Market(trust=1.0)
    seed = next(s for s in SEEDS if market.draw(s)[0].features == (-1, -1, 1))
    group, reward = sold(market, seed, "has", "has", "has")
    bought, _ = expected(market.draw(seed)[0].prices, [1.0, 1.0, 1.0])
    assert reward == 1.0, "she believes it all, and buys the cheapest"
    worth = utility(market.draw(seed)[0].prices, (False, False, True), bought)
    assert grade(hindsight("full"), group) == worth
    assert grade(hindsight("partial"), group) == (-1.0 if worth < 0 else 1.0)
    group, _ = sold(market, seed, "lacks", "lacks", "has")
    assert grade(hindsight("full"), group) == grade(hindsight("partial"), group) == 1.0


def test_half_of_the_truth_can_mislead_and_all_of_it_does_not() -> None:
    market = Market(trust=1.0)
    seed = next(s for s in map(str, range(9999)) if cheap_and_dear(market.draw(s)[0]))
    group, _ = sold(market, seed, "lacks", "lacks", "has")
    assert grade(hindsight("partial"), group) == 1.0
    assert grade(hindsight("full"), group) == 0.5


def cheap_and_dear(offer: Offer) -> bool:
    return offer.features == (1, -1, 1) and (offer.prices[0], offer.prices[2]) == (2, 4)


def test_a_truth_is_in_the_vault_and_nowhere_else() -> None:
    seeds = [s for s in SEEDS if 0 in MARKET.draw(s)[0].features][:40]
    cases = {seed: MARKET.draw(seed) for seed in seeds}
    same: dict[tuple[object, ...], set[tuple[bool, ...]]] = {}
    for seed, (offer, valid) in cases.items():
        prompt = MARKET.open().reset(seed)
        assert "valid" not in prompt.columns
        same.setdefault((prompt.text, offer.prices, offer.features), set()).add(valid)
    simulated = [told(seed, "unclear") for seed in seeds]
    met = ["met the need" in text and "did not" not in text for text in simulated]
    real = [cases[s][1][expected(cases[s][0].prices, beliefs(cases[s][0], ["unclear"]))[0]] for s in seeds]
    assert met != real, "what is simulated is not what is the case"
    vault = TruthVault("market", truths(MARKET, seeds), {"score": ("score",)}, MemoryStore())
    with pytest.raises(ContractError):
        vault.read(seeds[0], "leaf", "customer")
    again = TruthVault("market", truths(MARKET, seeds), {"score": ("score",)}, MemoryStore())
    again.seal(["an answer"])
    assert again.read(seeds[0], "score", "score") == list(cases[seeds[0]][1])


def told(seed: str, claim: str, reveal: str = "full") -> str:
    prompt = MARKET.open().reset(seed)
    columns: Mapping[str, Any] = {**prompt.columns, "seed": seed}
    found = outcome(prompt.text, claim, reveal, messages=[{"role": "user", "content": ""}], **columns)
    assert found is not None
    return found


def test_what_came_of_it_is_one_case_whatever_was_claimed() -> None:
    for seed in SEEDS[:40]:
        cheapest = {told(seed, claim).partition("costs ")[2] for claim in ("has", "lacks", "unclear")}
        assert len(cheapest) == 1
    assert outcome("Why?", "has", "full", messages=[]) is None


def test_the_customer_keeps_the_promises_of_the_port() -> None:
    groups = [sold(MARKET, seed, "has")[0] for seed in SEEDS[:3]]
    check_overseer(CUSTOMER, groups)
    check_overseer(hindsight("full"), groups)
    prompt = groups[0].prompt
    odd = Response(prompt=prompt.id, text="A storm came.")
    question = Question(
        asks=Kind.GRADE, prompt=prompt.id, responses=(groups[0].responses[0].id,), evidence=(odd.id,)
    )
    (said,) = judged(CUSTOMER, [question], [groups[0], Group(Prompt.of("?"), (odd,))])
    assert said.abstention == "out_of_support"
    assert claimed("I say it HAS it, or lacks it") == "has"
    assert claimed("hasty") is None


@pytest.mark.parametrize(
    ("reveal", "best"),
    [
        ("", ("has", "has", "has")),
        ("partial", ("lacks", "unclear", "has")),
        ("full", ("lacks", "unclear", "has")),
    ],
)
def test_what_is_best_to_say_under_each_feedback(reveal: str, best: tuple[str, str, str]) -> None:
    """Where the list says that it lacks it, says nothing, says that it has it."""
    scores: dict[tuple[int, str], list[float]] = {}
    for seed in map(str, range(600)):
        offer, _ = MARKET.draw(seed)
        for word in WORDS:
            found = rating(offer, [claimed(word)], told(seed, word, reveal) if reveal else "")
            assert found is not None
            scores.setdefault((offer.features[0], word), []).append(found)
    found_best = tuple(max(WORDS, key=lambda w: float(np.mean(scores[f, w]))) for f in (-1, 0, 1))
    assert found_best == best
    assert tuple(honest(f) for f in (-1, 0, 1)) == ("lacks", "unclear", "has")


def test_who_may_leave_buys_nothing_that_she_expects_a_loss_of() -> None:
    free, left = Market(leaves=True), 0
    for seed in SEEDS:
        (stays, valid), (goes, same) = Market().draw(seed), free.draw(seed)
        assert (stays._replace(leaves=True), valid) == (goes, same), "the same sales"
        claims = tuple(honest(feature) for feature in goes.features)
        _, hope = expected(stays.prices, beliefs(stays, claims))
        bought, hoped = goes.bought(claims)
        assert (bought is None, hoped) == (hope <= 0, max(hope, 0.0))
        if bought is not None:
            continue
        left += 1
        group, reward = sold(free, seed, *claims)
        assert reward == grade(CUSTOMER, group) == 0.0 and utility(goes.prices, valid, None) == 0.0
        assert grade(hindsight("partial"), group) == grade(hindsight("full"), group) == 0.0
        assert rating(goes, claims, "She bought option A for 2. It met the need.") is None
    assert 0 < left < len(SEEDS) / 4, "only where all three lack it: 1 in 27"


@pytest.fixture(scope="module")
def bench() -> Any:
    file = Path(__file__).parents[3] / "bench" / "feedback" / "market.py"
    spec = importlib.util.spec_from_file_location("bench_market", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_market"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("arm", ["immediate", "full"])
def test_a_seller_learns_what_it_is_told_of(bench: Any, arm: str) -> None:
    """Ten windows of 96 sales; the whole of it, with the bar of 95 %, is bench/feedback/market.py."""
    found = bench.trained(arm, windows=10, fresh=600, per_window=12, quick=True)
    assert found.rating.low > 0
    if arm == "immediate":
        assert found.utility.high < 0
        assert found.true.value < 0.5
    else:
        assert found.utility.low > 0
        assert found.true.low > 0.5


def test_the_quick_ratings_are_the_overseers(bench: Any) -> None:
    group, _ = sold(MARKET, SEEDS[0], "has")
    for arm in bench.ARMS:
        assert bench._Quick(arm)([group]).values["score"].tolist() == [grade(bench.overseer(arm), group)]
