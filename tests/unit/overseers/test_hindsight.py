"""What came of which answer, where an overseer inside turns the answers round."""

from __future__ import annotations

from typing import cast

from accord.overseers.both_orders import BothOrders
from accord.overseers.hindsight import Hindsight
from accord.records import Kind, Prompt, Question, Record, Response
from accord.records.rows import Group
from accord.testing import leaves
from accord.testing.leaves import Leaf, judged


def test_each_outcome_stands_behind_its_answer_in_either_order() -> None:
    prompt = Prompt.of("Which?")
    answers = tuple(
        Response(prompt=prompt.id, text=text, index=i) for i, text in enumerate(("left", "right"))
    )
    leaf, written = Leaf(kinds=frozenset({Kind.COMPARE})), list[Record]()
    both = BothOrders(inner=leaf)
    hindsight = Hindsight(inner=both, reveal="full", fn=f"{leaves.__name__}:something")
    question = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=tuple(a.id for a in answers))
    judged(hindsight, [question], [Group(prompt, answers)], written)
    texts = {one.id: one.text for one in (*answers, *(r for r in written if isinstance(r, Response)))}
    inner = cast(Leaf, both.inner)
    assert {one.responses for one in inner.asked} == {question.responses, question.responses[::-1]}
    for asked in inner.asked:
        shown = [texts[one] for one in asked.evidence]
        for answer, outcome in zip(shown[::2], shown[1::2], strict=True):
            assert f"of {answer!r} " in outcome, "an outcome was told of another answer"
        assert "piece 1 is one of the answers and piece 2 says what came of it" in asked.instrument.wording
