"""Reward: grades by reward models that are handed in.

Mutants: a reduction undone by the ask, sd with n for n − 1, limits compared with ≥ or of the wrong heads, an
abstention turned into a number, one call per answer, samplers in another order, a config that misses weights.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.asks.each import Each
from accord.catalog import build
from accord.desk import FrontDesk
from accord.errors import ContractError, PlanError
from accord.overseers.reward import Reward, spread
from accord.ports import How, Overseer, Sampler, Scored, Seated
from accord.records import Graded, Judgment, Kind, Prompt, Question, Ranked, Response
from accord.records.rows import Group, Text
from accord.testing import a_group, check_overseer
from accord.testing.checks_feedback import questions_about

GROUPS = [a_group("Why?", "yes", "no", "maybe", "so"), a_group("How?", "no", "thus")]
GRADE = questions_about(GROUPS, Kind.GRADE)
COMPARE = questions_about(GROUPS, Kind.COMPARE)
HEADS = {
    "yes": (1.0, 2.0, 3.0),
    "no": (0.0, 0.0, 0.0),
    "maybe": (-1.0, 5.0, 2.0),
    "so": (2.0, 2.0, 2.0),
    "thus": (0.5, 0.5, 0.5),
}


class Scorer:
    """A reward model that says what it was told of each text, and lists the calls that reached it."""

    can = frozenset({"score"})

    def __init__(self, heads: Mapping[str, Sequence[float]], policy: str = "rm@1") -> None:
        self.heads, self.policy = heads, policy
        self.calls: list[list[str]] = []

    def encode(self, prompt: Prompt, text: str) -> Response:
        raise AssertionError("an overseer scores answers as they are")

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        raise AssertionError("a reward model cannot answer")

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        assert want == {"score"}
        self.calls.append([f"{t.prompt.text} {t.response.text}" for t in texts])
        await asyncio.sleep(0)
        return [Scored({"score": np.array(self.heads[t.response.text], np.float64)}, "t") for t in texts]


class Carded(Scorer):
    """One whose card says how far its heads may be apart."""

    def __init__(self, heads: Mapping[str, Sequence[float]], limit: float | None) -> None:
        super().__init__(heads)
        self.spread_limit = limit


def seated(scorer: Sampler, **told: Any) -> Reward:
    return Reward.model_validate({"models": ("rm",), "reduction": "mean", "limit": "none", **told}).seated(
        {"rm": scorer}
    )


def ask(overseer: Overseer, questions: Sequence[Question]) -> list[Judgment]:
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in GROUPS for record in (group.prompt, *group.responses))

    async def whole() -> list[Judgment]:
        asked = asyncio.gather(*(desk.ask(overseer, question) for question in questions))
        return list(await asyncio.wait_for(asked, timeout=60))

    return asyncio.run(whole())


def scores(judgments: Sequence[Judgment]) -> list[float | None]:
    return [j.verdict.scores["score"] if isinstance(j.verdict, Graded) else None for j in judgments]


@pytest.mark.parametrize(
    ("told", "yes", "maybe"),
    [
        ({"reduction": "mean"}, 2.0, 2.0),
        ({"reduction": "min"}, 1.0, -1.0),
        ({"reduction": "mean_less_sd"}, 1.0, -1.0),  # sd with n − 1: of 1, 2, 3 it is 1; of −1, 5, 2 it is 3
        ({"reduction": "mean_less_sd", "k": 0.5}, 1.5, 0.5),
        ({"reduction": "quantile"}, 1.2, -0.4),  # a tenth of the way is a fifth from the first to the second
        ({"reduction": "quantile", "q": 0.5}, 2.0, 2.0),
    ],
)
def test_heads_become_one_grade_by_the_rule_that_is_named(
    told: dict[str, Any], yes: float, maybe: float
) -> None:
    found = ask(seated(Scorer(HEADS), **told), GRADE[:3])
    assert scores(found) == [pytest.approx(yes), pytest.approx(0.0), pytest.approx(maybe)]


def test_what_each_head_said_is_kept_and_the_ask_does_not_reduce_it_again() -> None:
    """Mutant: the heads among the scores, whose mean Each would take: 2 in place of 1."""
    found = ask(seated(Scorer(HEADS), reduction="min"), GRADE)
    assert found[0].verdict == Graded(scores={"score": 1.0}, heads={"rm:0": 1.0, "rm:1": 2.0, "rm:2": 3.0})
    asked = Each(column="score", collapse="distribution")
    judged = ask(seated(Scorer(HEADS), reduction="min"), asked.questions(GROUPS))
    assert asked.columns(GROUPS, judged).values["score"].tolist() == [1.0, 0.0, -1.0, 2.0, 0.0, 0.5]


def test_several_models_are_one_ensemble() -> None:
    lone = {text: (10.0 * heads[0],) for text, heads in HEADS.items()}
    reward = Reward(models=("a", "b"), reduction="mean", limit="none")
    # The samplers of other overseers may be among them, in any order.
    ready = reward.seated({"other": Scorer({}), "b": Scorer(lone), "a": Scorer(HEADS)})
    (found,) = ask(ready, GRADE[:1])
    assert found.verdict == Graded(
        scores={"score": 4.0}, heads={"a:0": 1.0, "a:1": 2.0, "a:2": 3.0, "b": 10.0}
    )
    assert (found.by.type, found.by.name) == ("model", "a, b")
    tokens = len(GROUPS[0].responses[0].prompt_tokens) + len(GROUPS[0].responses[0].tokens)
    assert (found.cost.calls, found.cost.tokens_in) == (2, 2 * tokens)


def test_all_pending_answers_reach_a_model_in_one_call() -> None:
    one, two = Scorer(HEADS), Scorer(HEADS, "rm@2")
    ready = Reward(models=("a", "b"), reduction="mean", limit="none").seated({"a": one, "b": two})
    ask(ready, [*GRADE, *COMPARE])
    told = [f"{g.prompt.text} {r.text}" for g in GROUPS for r in g.responses]
    assert one.calls == two.calls == [[*told, *told]]
    ask(ready, GRADE[:2])
    assert one.calls[1:] == [told[:2]], "a second round is another call"


def test_a_comparison_is_the_order_of_grades_and_equal_grades_are_a_tie() -> None:
    first, second, third = ask(seated(Scorer(HEADS)), COMPARE)
    assert first.verdict == Ranked(tiers=tuple((r,) for r in COMPARE[0].responses))
    assert second.verdict == Ranked(tiers=(COMPARE[1].responses,))
    assert third.verdict == Ranked(tiers=tuple((r,) for r in reversed(COMPARE[2].responses)))
    (worst,) = ask(seated(Scorer(HEADS), reduction="min"), COMPARE[1:2])
    assert worst.verdict == Ranked(tiers=tuple((r,) for r in reversed(COMPARE[1].responses)))


def test_over_an_explicit_limit_it_abstains_and_says_by_how_much() -> None:
    """Spreads: yes 1, maybe 3, the others 0. At the limit is not over it."""
    judged = ask(seated(Scorer(HEADS), limit=1.0), GRADE[:4])
    assert scores(judged) == [2.0, 0.0, None, 2.0]
    assert judged[2].abstention == "out_of_support"
    assert judged[2].note == "all heads: a spread of 3, over 1"
    assert scores(ask(seated(Scorer(HEADS), limit=0.999), GRADE[:1])) == [None]
    pair = ask(seated(Scorer(HEADS), limit=1.0), COMPARE[:2])
    assert [j.abstention for j in pair] == [None, "out_of_support"], "half a comparison is none"


def test_a_number_bounds_all_heads_together_and_a_card_those_of_its_own_model() -> None:
    """The heads of each model agree, the models do not: together (0, 0, 0, 9, 9, 9) spread 4.9."""
    near = {"yes": (0.0, 0.0, 0.0)}
    far = {"yes": (9.0, 9.0, 9.0)}
    told = {"models": ("a", "b"), "reduction": "mean"}
    given = {"a": Carded(near, 0.5), "b": Carded(far, 0.5)}
    assert scores(ask(Reward.model_validate(told).seated(given), GRADE[:1])) == [4.5]
    assert scores(ask(Reward.model_validate(told | {"limit": 4.0}).seated(given), GRADE[:1])) == [None]
    apart = given | {"b": Carded({"yes": (8.0, 9.0, 10.0)}, 0.5)}
    (found,) = ask(Reward.model_validate(told).seated(apart), GRADE[:1])
    assert (found.abstention, found.note) == ("out_of_support", "b: a spread of 1, over 0.5")


@pytest.mark.parametrize("scorer", [Scorer(HEADS), Carded(HEADS, None)])
def test_without_a_limit_on_the_card_one_must_be_chosen(scorer: Sampler) -> None:
    with pytest.raises(PlanError, match="the card of rm has no spread_limit") as caught:
        seated(scorer, limit="card")
    assert caught.value.path == "limit"
    assert scores(ask(seated(scorer, limit="none"), GRADE[:1])) == [2.0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("reduction", ["mean", "min", "quantile"])
def test_a_score_that_is_no_number_is_an_error_of_that_answer_alone(bad: float, reduction: str) -> None:
    judged = ask(seated(Scorer(HEADS | {"no": (0.0, bad, 0.0)}), reduction=reduction, limit=9.0), GRADE[:2])
    assert [j.abstention for j in judged] == [None, "error"]
    assert judged[1].note == f"rm:1 says {bad}"
    assert judged[1].by.config == judged[0].by.config


def test_a_model_that_fails_is_an_abstention_of_all_that_asked_and_can_be_asked_again() -> None:
    class Once(Scorer):
        async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
            found = await super().score(texts, want)
            if len(self.calls) == 1:
                raise OSError("gone")
            return found

    ready = seated(Once(HEADS))
    assert {(j.abstention, j.note[:13]) for j in ask(ready, GRADE)} == {("error", "OSError: gone")}
    assert scores(ask(ready, GRADE[:2])) == [2.0, 0.0]


@pytest.mark.parametrize("wrong", ["short", "column"])
def test_a_model_that_breaks_its_contract_is_named(wrong: str) -> None:
    class Broken(Scorer):
        async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
            found = await super().score(texts, want)
            return (
                found[1:] if wrong == "short" else [Scored({"logp": s.columns["score"]}, "t") for s in found]
            )

    judged = ask(seated(Broken(HEADS)), GRADE[:2])
    assert all(j.abstention == "error" and "rm broke its contract" in j.note for j in judged)


def test_one_head_has_no_spread() -> None:
    lone = Scorer({text: heads[:1] for text, heads in HEADS.items()})
    assert scores(ask(seated(lone), GRADE[:1])) == [1.0]
    for told in ({"limit": 1.0}, {"reduction": "mean_less_sd"}):
        (found,) = ask(seated(lone, **told), GRADE[:1])
        assert found.abstention == "error"
        assert "one head has no spread" in found.note
    with pytest.raises(ValueError, match="one head has no spread"):
        spread(np.array([1.0]))


def test_it_names_its_models_and_judges_nothing_before_it_is_seated() -> None:
    reward = Reward(models=("a",), reduction="mean")
    assert isinstance(reward, Seated)
    assert reward.models == ("a",)
    (found,) = ask(reward, GRADE[:1])
    assert found.abstention == "error"
    assert "seats it before it judges" in found.note


def test_a_sampler_that_is_missing_or_cannot_score_is_a_plan_error() -> None:
    reward = Reward(models=("a", "b"), reduction="mean", limit="none")
    with pytest.raises(PlanError, match="models that were opened: a") as caught:
        reward.seated({"a": Scorer(HEADS)})
    assert caught.value.path == "models[1]"
    speaker = Scorer(HEADS)
    speaker.can = frozenset({"sample", "logp"})
    with pytest.raises(PlanError, match="a reward model; this one can"):
        reward.seated({"a": speaker, "b": Scorer(HEADS)})


def test_other_weights_another_limit_and_other_settings_are_another_overseer() -> None:
    unseated = Reward(models=("rm",), reduction="mean", limit="none")
    told: list[tuple[Sampler, dict[str, Any]]] = [
        (Scorer(HEADS), {}),
        (Scorer(HEADS, "rm@2"), {}),
        (Carded(HEADS, 1.0), {"limit": "card"}),
        (Carded(HEADS, 2.0), {"limit": "card"}),
        (Scorer(HEADS), {"reduction": "min"}),
        (Scorer(HEADS), {"limit": 2.0}),
    ]
    configs = {unseated.config, *(seated(scorer, **settings).config for scorer, settings in told)}
    assert len(configs) == 1 + len(told)
    assert unseated.seated({"rm": Scorer(HEADS)}).config == seated(Scorer(HEADS)).config
    # A card that is not asked changes no answer.
    assert seated(Carded(HEADS, 1.0)).config == seated(Scorer(HEADS)).config


def test_it_judges_in_a_second_event_loop_after_one_was_broken_off() -> None:
    ready = seated(Scorer(HEADS))
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in GROUPS for record in (group.prompt, *group.responses))
    loop = asyncio.new_event_loop()
    broken_off = loop.create_task(desk.ask(ready, GRADE[0]))
    loop.call_soon(loop.stop)
    loop.run_forever()
    # Nothing of it runs any more: its round stays open for ever.
    assert scores(ask(ready, GRADE[:2])) == [2.0, 0.0]
    assert not broken_off.done()
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()


def test_who_stops_waiting_stops_nobody_else() -> None:
    ready = seated(Scorer(HEADS))
    desk = FrontDesk(lambda records: None, lambda: None)
    desk.hold(record for group in GROUPS for record in (group.prompt, *group.responses))

    async def whole() -> Judgment:
        first, second = (asyncio.create_task(desk.ask(ready, q)) for q in GRADE[:2])
        await asyncio.sleep(0)
        first.cancel()
        return await asyncio.wait_for(second, timeout=60)

    assert scores([asyncio.run(whole())]) == [0.0]


@pytest.mark.parametrize(
    "told",
    [
        {"models": ()},
        {"models": ("a", "a")},
        {"reduction": "median"},
        {"limit": 0.0},
        {"limit": -1.0},
        {"limit": math.inf},
        {"limit": math.nan},
        {"limit": "model"},
        {"k": -1.0},
        {"q": 1.0},
    ],
)
def test_settings_that_mean_nothing_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reward.model_validate({"models": ("rm",), "reduction": "mean", **told})


def test_the_reduction_has_no_default() -> None:
    with pytest.raises(PlanError, match="reduction"):
        build("overseers", {"name": "reward", "models": ["rm"]})
    with pytest.raises(ContractError, match="seats it"):
        asyncio.run(Reward(models=("a",), reduction="mean").judge(GRADE[0], FrontDesk(print, print)))  # type: ignore[arg-type]


@pytest.mark.parametrize("told", [{}, {"reduction": "min"}, {"limit": 1.0}, {"reduction": "quantile"}])
def test_it_keeps_the_promises_of_an_overseer(told: dict[str, Any]) -> None:
    check_overseer(seated(Scorer(HEADS), **told), GROUPS, order_free=True)
