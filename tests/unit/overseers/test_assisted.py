"""Assisted: what the judge is shown of a critique, and what becomes the critic's reward. Laws: laws_helped.

Mutants: an excerpt that stands in both answers, a reward for points that agree with nobody, a point without a
span that is lost, points told by place.
"""

from __future__ import annotations

from typing import Any

import pytest
from unit.overseers.judged import Reader

from accord.catalog import build
from accord.errors import PlanError
from accord.overseers.assisted import Assisted, agreed, excerpt
from accord.part import Part
from accord.records import (
    By,
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Mark,
    Point,
    Prompt,
    Question,
    Record,
    Response,
    Spread,
    Verdict,
)
from accord.testing import a_group
from accord.testing.leaves import Leaf, judged

GROUP = a_group("Is it so?", "It is so, surely.", "It is so, I think.")
ONE, TWO = GROUP.responses
COMPARE = Question(asks=Kind.COMPARE, prompt=GROUP.prompt.id, responses=(ONE.id, TWO.id))
LEAF = {"name": "accord.testing.leaves:Leaf"}


class Says(Part):
    """A critic that says the same of every answer that holds ``word``."""

    word: str
    marks: bool = True
    severity: int = 2

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE})

    async def judge(self, question: Question, desk: Any) -> Judgment:
        text, answer = desk.read(question.responses[0]).text, question.responses[0]
        start, points = text.find(self.word), ()
        if start >= 0:
            end = start + len(self.word)
            mark = Mark(response=answer, start=start, end=end) if self.marks else None
            points = (Point(mark=mark, severity=self.severity, text="nobody knows"),)
        by = By(type="program", name="says", config=self.config)
        return Judgment(question=question.id, by=by, verdict=Critiqued(points=points))


def shown(critic: Any, inner: Any) -> tuple[Judgment, list[Record]]:
    written: list[Record] = []
    (said,) = judged(Assisted(inner=inner, critic=critic), [COMPARE], [GROUP], written)
    return said, written


def test_a_judge_reads_the_span_in_its_answer_and_agrees_or_not() -> None:
    prompts: list[str] = []

    def doubts(prompt: str, option: str) -> float:
        prompts.append(prompt)
        first = prompt.index("surely") < prompt.rindex("I think")
        fair = "[[I think]]" not in prompt
        return 0.5 if fair else 0.8 if (option == "A") == first else 0.2

    inner = {"name": "both_orders", "inner": {"name": "judge", "model": "m", "rubric": "The surer one."}}
    made: Any = build("overseers", {"name": "assisted", "inner": inner, "critic": LEAF})
    assert made.models == ("m",)
    seated = made.seated({"m": Reader(doubts)})
    critic: Any = Says(word="I think")
    said, written = shown(critic, seated.inner)
    assert any("It is so, [[I think]].\nand says:\nnobody knows" in prompt for prompt in prompts)
    texts = {p.partition("BEGIN")[2].partition("evidence")[2].partition("END")[0] for p in prompts}
    assert len(texts) == 1, "both orders read the same"
    assert said.marks == (Mark(response=TWO.id, start=10, end=17, tag="critic 2"),)
    records = {r.id: r for r in written}
    critique = [r for p in said.parents if isinstance(r := records.get(p), Judgment)]
    assert [type(c.verdict) for c in critique].count(Critiqued) == 2, "who criticised is a parent"
    assert isinstance(said.verdict, Spread)
    assert agreed(COMPARE, said) == pytest.approx(said.verdict.p[ONE.id])


def test_a_point_without_a_span_is_about_the_whole_answer_and_a_program_can_read_it() -> None:
    critic: Any = Says(word="surely", marks=False, severity=4)
    inner: Any = Leaf()
    said, written = shown(critic, inner)
    assert [(m.start, m.end, m.tag) for m in said.marks] == [(0, len(ONE.text), "critic 4")]
    records = {r.id: r for r in written}
    (evidence,) = inner.asked[-1].evidence
    text: Any = records[evidence]
    assert isinstance(text, Response)
    assert COMPARE.id in text.parents
    assert f"[[{ONE.text}]]" in text.text
    prompt: Any = records[text.prompt]
    assert isinstance(prompt, Prompt)
    assert (prompt.columns["answer"], prompt.columns["said"]) == (ONE.id, "nobody knows")


def test_a_critic_judges_by_the_same_principle() -> None:
    critic: Any = Leaf(kinds=frozenset({Kind.CRITIQUE}))
    inner: Any = Leaf()
    under = COMPARE.model_copy(update={"instrument": Instrument(principles=("Be sure.",))})
    judged(Assisted(inner=inner, critic=critic), [under], [GROUP])
    assert {q.instrument.principles for q in critic.asked} == {("Be sure.",)}


def test_an_excerpt_tells_the_answers_apart() -> None:
    one, two = "so " * 40 + "yes", "so " * 40 + "no"
    assert excerpt(one, 0, 2, [two]).endswith("yes"), "what is nearer stands in both"
    assert excerpt(one, 0, 2, []) == "[[so]] " + "so " * 13 + "…"
    assert excerpt("no", 0, 2, ["no way"]) == "[[no]]"


def told(verdict: Verdict, *marks: Mark) -> Judgment:
    by = By(type="protocol", name="Assisted", config="c")
    return Judgment(question=COMPARE.id, by=by, verdict=verdict, marks=marks)


def test_what_a_critic_earns() -> None:
    mark = Mark(response=TWO.id, start=3, end=9, tag="critic 3")
    light = Mark(response=ONE.id, start=0, end=1, tag="critic 1")
    spread = Spread(p={ONE.id: 0.75, TWO.id: 0.25})
    assert agreed(COMPARE, told(spread, mark)) == 0.75
    assert agreed(COMPARE, told(spread, mark, light)) == pytest.approx(1 - (3 * 0.25 + 0.75) / 4)
    assert agreed(COMPARE, told(spread)) is None, "it pointed at nothing"
    assert agreed(COMPARE, told(spread, light.model_copy(update={"tag": "mine"}))) is None
    scaled = Instrument(scale=(1, 5))
    grade = Question(asks=Kind.GRADE, prompt="p", responses=(TWO.id,), instrument=scaled)
    assert agreed(grade, told(Graded(scores={"score": 2.0}), mark)) == 0.75
    assert (
        agreed(grade.model_copy(update={"instrument": Instrument()}), told(Graded(scores={"s": 2.0}), mark))
        is None
    )
    point = Point(mark=Mark(response=TWO.id, start=8, end=12), severity=1, text="x")
    critique = Question(asks=Kind.CRITIQUE, prompt="p", responses=(TWO.id,))
    apart = mark.model_copy(update={"start": 0, "end": 8})
    before = mark.model_copy(update={"start": 0, "end": 2})
    assert agreed(critique, told(Critiqued(points=(point,)), mark, apart, before)) == 1 / 3
    silent = Judgment(question="q", by=told(spread).by, abstention="refused", marks=(mark,))
    assert agreed(COMPARE, silent) is None


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"critic": {"name": "program", "fn": "accord.overseers.program:brief"}}, "overseers.critic"),
        ({"critic": LEAF, "spans": 0}, "overseers.spans"),
        ({"critic": "judge"}, "overseers.critic"),
    ],
)
def test_what_a_plan_may_not_say(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(PlanError) as caught:
        build("overseers", {"name": "assisted", "inner": LEAF, **settings})
    assert caught.value.path == path
