"""Overseers made of others: what they name, seat and sign with; what a plan may not say; what each does.

The laws themselves: tests/unit/testing/test_laws.py. Mutants: weights of an inner judge left out of the hash,
an inner seat forgotten, an outcome drawn by the question, a gap over .3 without a flip taken for a conflict,
the discount begun at the wrong end, a strength kept that only one order gave.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from unit.overseers.judged import Reader

from accord.catalog import build
from accord.engines.scripted import Scripted
from accord.errors import AccordError, PlanError
from accord.overseers import Made, inside
from accord.overseers.both_orders import BothOrders
from accord.overseers.hindsight import Hindsight
from accord.overseers.judge import Judge
from accord.overseers.noisy import Noisy
from accord.part import Part
from accord.ports import Queue, Queued, Seated
from accord.progress import Silent
from accord.records import By, Graded, Judgment, Kind, Prompt, Question, Ranked, Record, Response, Spread
from accord.testing import a_group
from accord.testing.checks_feedback import questions_about
from accord.testing.leaves import Leaf, judged

GROUPS = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
COMPARE = questions_about(GROUPS, Kind.COMPARE)
GRADE = questions_about(GROUPS, Kind.GRADE)
JUDGE = {"name": "judge", "model": "m", "rubric": "The shorter one."}
ORDERS = {"name": "both_orders", "inner": JUDGE}
SOMETHING = "accord.testing.leaves:something"


def made(table: dict[str, Any]) -> Any:
    return build("overseers", table)


def sampler(words: tuple[str, ...] = ("rain", "sun"), **told: Any) -> Any:
    return Scripted(words=words, longest=2, tensors="numpy", **told).sampler("scripted", Silent())


class Says(Part):
    """Says of the question's answers what it is told to, by whether they stand as in ``straight``."""

    straight: tuple[str, ...]
    one: dict[str, Any]
    other: dict[str, Any]

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset(Kind)

    async def judge(self, question: Question, desk: Any) -> Judgment:
        told = self.one if question.responses == self.straight else self.other
        by = By(type="program", name="says", config=self.config)
        return Judgment.model_validate(
            {"question": question.id, "by": by, "shown": question.responses, **told}
        )


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> Judgment:
    question = COMPARE[0]
    inner: Any = Says(straight=question.responses, one=dict(one), other=dict(other))
    (said,) = judged(BothOrders(inner=inner), [question], GROUPS)
    return said


# Nesting


def test_a_chain_names_its_models_once_and_asks_the_judge_twice() -> None:
    chain = made({"name": "constitution", "inner": ORDERS, "principles": ["Be kind.", "Be brief."]})
    jury = made({"name": "jury", "members": [chain_table(), ORDERS]})
    assert chain.models == jury.models == ("m",)
    assert isinstance(chain, Seated)
    reader = Reader(lambda prompt, option: 0.8 if option == "A" else 0.1)
    seated: Any = chain.seated({"m": reader, "another": reader})
    (said,) = judged(seated, COMPARE[:1], GROUPS)
    assert said.abstention == "order_conflict", "a judge who takes the first one, whoever it is"
    written: list[Record] = []
    judged(seated, COMPARE[:1], GROUPS, written)
    asked = [r for r in written if isinstance(r, Judgment) and r.by.type == "model"]
    assert len(asked) == 2
    assert {j.shown for j in asked} == {COMPARE[0].responses, COMPARE[0].responses[::-1]}
    under = {q.instrument.principles for q in written if isinstance(q, Question) and q.id != COMPARE[0].id}
    assert len(under) == 1, "one principle, in both orders"


def chain_table() -> dict[str, Any]:
    return {"name": "constitution", "inner": ORDERS, "principles": ["Be kind."]}


def test_its_hash_is_that_of_the_weights_inside() -> None:
    chain = made(chain_table())
    one, two, again = (chain.seated({"m": Reader(lambda p, o: 0.4, policy)}) for policy in ("a", "b", "a"))
    assert one.config == again.config != two.config
    assert chain.config not in {one.config, two.config}
    assert made(chain_table() | {"principles": ["Be brief."]}).config != chain.config
    assert [type(part).__name__ for part, _ in inside(one)] == ["Constitution", "BothOrders", "Judge"]


def test_a_model_that_is_missing_is_named_with_the_way_to_it() -> None:
    jury = made(
        {"name": "jury", "members": [{"name": "program", "fn": "accord.overseers.program:brief"}, ORDERS]}
    )
    with pytest.raises(PlanError) as caught:
        jury.seated({})
    assert caught.value.path == "members[1].inner.model"


class Waits(Part):
    """Waits at a queue, as a person would."""

    queue: str = "people.db"
    open: bool = False

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    @property
    def queues(self) -> tuple[str, ...]:
        return (self.queue,)

    def queued(self, queues: Mapping[str, Queue]) -> Any:
        if self.queue not in queues:
            raise PlanError("queue", self.queue, "one that is open")
        return self.model_copy(update={"open": True})

    async def judge(self, question: Question, desk: Any) -> Judgment:
        raise AssertionError("nobody is asked")


def test_queues_inside_are_named_and_handed_on() -> None:
    inner: Any = Waits()
    orders = BothOrders(inner=inner)
    assert isinstance(orders, Queued)
    assert orders.queues == ("people.db",)
    queue: Any = object()
    ready: Any = orders.queued({"people.db": queue})
    assert ready.inner.open
    assert not inner.open
    with pytest.raises(PlanError, match=r"inner\.queue"):
        orders.queued({})


NESTED: dict[str, Any] = JUDGE
for _ in range(8):
    NESTED = {"name": "constitution", "inner": NESTED, "principles": ["Be kind."]}


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"name": "both_orders", "inner": chain_table()}, "overseers.inner"),
        ({"name": "both_orders", "inner": "judge"}, "overseers.inner"),
        ({"name": "noisy", "inner": ORDERS}, "overseers.inner"),
        ({"name": "noisy", "inner": JUDGE, "epsilon": 1.5}, "overseers.epsilon"),
        ({"name": "jury", "members": [ORDERS, ORDERS]}, "overseers.members[1]"),
        ({"name": "jury", "members": []}, "overseers.members"),
        ({"name": "jury", "members": [ORDERS], "quorum": 2}, "overseers.quorum"),
        ({"name": "constitution", "inner": JUDGE, "principles": []}, "overseers.principles"),
        ({"name": "constitution", "inner": JUDGE, "principles": ["a", "a"]}, "overseers.principles"),
        ({"name": "constitution", "inner": JUDGE, "principles": ["a", " "]}, "overseers.principles[1]"),
        ({"name": "constitution", "inner": JUDGE, "principles": {"values": "hh"}}, "overseers.principles"),
        ({"name": "hindsight", "inner": JUDGE, "reveal": "full"}, "overseers"),
        ({"name": "hindsight", "inner": JUDGE, "fn": "a:b"}, "overseers.reveal"),
        (NESTED, "overseers"),
    ],
)
def test_what_a_plan_may_not_say(table: dict[str, Any], path: str) -> None:
    with pytest.raises(PlanError) as caught:
        made(table)
    assert caught.value.path.startswith(path), caught.value


def test_principles_of_a_values_document() -> None:
    from accord.values import read_values

    chain = made({"name": "constitution", "inner": JUDGE, "principles": {"values": "minimal"}})
    assert chain.principles == tuple(one.text for one in read_values("minimal").principles)


# Both orders


def test_the_mean_of_both_orders_and_the_gap() -> None:
    one, two = COMPARE[0].responses

    def spread(p: float) -> dict[str, Any]:
        return {"verdict": {"type": "spread", "p": {one: p, two: 1 - p}}}

    said = both(spread(0.75), {"verdict": {"type": "ranked", "tiers": [[one, two]]}})
    assert said.verdict == Spread(p={one: 0.625, two: 0.375})
    assert "gap 0.25" in said.note
    assert both(spread(1.0), spread(0.5)).verdict == Spread(p={one: 0.75, two: 0.25}), "far apart, no flip"
    assert both(spread(0.625), spread(0.375)).verdict == Spread(p={one: 0.5, two: 0.5}), "a flip, and near"
    assert both(spread(0.75), spread(0.25)).abstention == "order_conflict"


def test_a_strength_is_kept_where_both_orders_give_it() -> None:
    one, two = COMPARE[0].responses
    ranked = {"type": "ranked", "tiers": [[one], [two]]}
    said = both({"verdict": {**ranked, "strength": 2}}, {"verdict": {**ranked, "strength": -2}})
    assert isinstance(said.verdict, Ranked)
    assert said.verdict.strength == 2
    said = both({"verdict": {**ranked, "strength": 2}}, {"verdict": {**ranked, "strength": -1}})
    assert said.verdict == Spread(p={one: 1.0, two: 0.0})


def test_silence_in_one_order_is_silence() -> None:
    one, two = COMPARE[0].responses
    sure = {"verdict": {"type": "ranked", "tiers": [[one], [two]]}}
    assert both(sure, {"abstention": "refused"}).abstention == "refused"
    assert both({"abstention": "unparsable"}, {"abstention": "refused"}).abstention == "refused"


def test_the_same_text_never_wins_and_nobody_is_asked() -> None:
    group = a_group("Why?", "yes", "yes")
    leaf: Any = Leaf(best=0)
    (said,) = judged(BothOrders(inner=leaf), questions_about([group], Kind.COMPARE), [group])
    assert isinstance(said.verdict, Ranked)
    assert len(said.verdict.tiers) == 1
    assert not leaf.asked


# Noisy


def test_a_rater_forgets_how_it_began() -> None:
    def rated(discount: float, one: dict[str, float], other: dict[str, float]) -> Judgment:
        grades = {COMPARE[0].responses[0]: one, COMPARE[0].responses[1]: other}

        class Steps(Leaf):
            async def judge(self, question: Question, desk: Any) -> Judgment:
                by = By(type="program", name="steps", config=self.config)
                verdict = Graded(scores=grades[question.responses[0]])
                return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)

        inner: Any = Steps(kinds=frozenset({Kind.GRADE}))
        (said,) = judged(Noisy(inner=inner, discount=discount, temperature=1e-6), COMPARE[:1], GROUPS)
        return said

    def first(said: Judgment) -> bool:
        return isinstance(said.verdict, Ranked) and said.verdict.tiers[0] == COMPARE[0].responses[:1]

    early = {"0": 3.0, "1": 0.0, "10": 0.0}
    late = {"0": 0.0, "10": 1.0, "1": 0.5}
    assert first(rated(1.0, early, late))
    assert not first(rated(0.5, early, late)), "3/4 is less than 1/4 + 1"
    assert rated(0.5, {"kind": 1.0, "brief": 2.0}, late).abstention == "error"


def test_a_repeat_that_is_wanted_is_drawn_anew() -> None:
    inner: Any = Leaf(kinds=frozenset({Kind.GRADE}))
    rater = Noisy(inner=inner, epsilon=1.0)
    repeats = [COMPARE[0].model_copy(update={"revisits": str(i)}) for i in range(40)]
    said = [j.verdict for j in judged(rater, repeats, GROUPS)]
    assert len({v.tiers for v in said if isinstance(v, Ranked)}) == 2
    assert {q.revisits for q in inner.asked} == {None}, "the grades stand"


# Hindsight


def test_a_model_tells_what_came_of_it_whatever_the_order() -> None:
    inner: Any = Leaf()
    hindsight = Hindsight(inner=inner, reveal="full", model="m", max_tokens=3).seated({"m": sampler()})
    assert hindsight.models == ("m",)
    question = COMPARE[0]
    turned = question.model_copy(update={"responses": question.responses[::-1]})
    seen: list[list[Record]] = [[], []]
    for asked, written in zip((question, turned), seen, strict=True):
        (said,) = judged(hindsight, [asked], GROUPS, written)
        assert said.by.type == "hindsight"
    told = [{r.prompt: r.text for r in written if isinstance(r, Response)} for written in seen]
    assert told[0] == told[1]
    assert len(told[0]) == 2
    prompts = [r.text for r in seen[0] if isinstance(r, Prompt)]
    assert all("each alternative" in text and "Judge nothing" in text for text in prompts)
    assert [q.evidence != () for q in inner.asked] == [True, True]
    assert all("piece 2 says what came of it" in q.instrument.wording for q in inner.asked)
    evidence = [r.id for r in seen[0] if isinstance(r, Response)]
    assert {*evidence, *question.responses} == set(inner.asked[0].evidence)
    assert judged(hindsight, GRADE[:1], GROUPS)[0].verdict is not None


def test_its_hash_holds_the_simulator() -> None:
    inner: Any = Leaf()
    plain = Hindsight(inner=inner, reveal="full", model="m")
    one, two = (plain.seated({"m": sampler(spread=spread)}) for spread in (0.1, 0.2))
    assert len({plain.config, one.config, two.config}) == 3
    assert plain.seated({"m": sampler(spread=0.1)}).config == one.config
    with pytest.raises(PlanError, match="model"):
        plain.seated({})
    (said,) = judged(plain, COMPARE[:1], GROUPS)
    assert (said.abstention, "seats it" in said.note) == ("error", True)


class Unreachable(AccordError):
    abstains = "unreachable"


def test_a_simulator_that_says_nothing_or_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    inner: Any = Leaf()
    mute = sampler(p={}, shortest=0)
    seated = Hindsight(inner=inner, reveal="partial", model="m").seated({"m": mute})

    async def silent(prompts: Any, n: int, how: Any) -> Any:
        return [a_group("x", "")._replace(prompt=p) for p in prompts]

    async def gone(prompts: Any, n: int, how: Any) -> Any:
        raise Unreachable("nobody answers")

    for said_by, reason in ((silent, "no_outcome"), (gone, "unreachable")):
        monkeypatch.setattr(mute, "sample", said_by)
        (said,) = judged(seated, COMPARE[:1], GROUPS)
        assert said.abstention == reason
    assert not inner.asked


def test_a_function_sees_the_columns_that_it_names(tmp_path: Path) -> None:
    file = tmp_path / "told.py"
    file.write_text("def tell(prompt, answer, reveal, truth):\n    return f'{reveal} {truth} {answer}'\n")
    prompt = Prompt.of("Why?", truth="so", other="no")
    group = a_group("Why?")._replace(prompt=prompt)
    group = group._replace(
        responses=tuple(r.model_copy(update={"prompt": prompt.id}) for r in group.responses)
    )
    inner: Any = Leaf()
    written: list[Record] = []
    overseer = Hindsight(inner=inner, reveal="partial", fn=f"{file}:tell")
    judged(overseer, questions_about([group], Kind.GRADE), [group], written)
    assert {r.text for r in written if isinstance(r, Response)} == {"partial so yes", "partial so no"}
    before = overseer.config
    file.write_text("def tell(prompt, answer, reveal):\n    return 3\n")
    again = Hindsight(inner=inner, reveal="partial", fn=f"{file}:tell")
    assert again.config != before


def test_no_sampler_is_needed_where_no_model_is_named() -> None:
    inner: Any = Leaf()
    plain: Made = Hindsight(inner=inner, reveal="full", fn=SOMETHING)
    assert plain.models == ()
    assert plain.seated({}).config == plain.config
    judge = Judge(model="m", rubric="Short.")
    assert Hindsight(inner=judge, reveal="full", fn=SOMETHING).models == ("m",)  # type: ignore[arg-type]
