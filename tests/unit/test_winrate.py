"""Win rates: both orders, ties as one half, and nothing made of a silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

import pytest

from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.feedback import StageFeedback
from accord.ports import Desk, How, Overseer, Sampler
from accord.progress import Silent
from accord.records import (
    By,
    Judgment,
    Kind,
    NotMeasured,
    Prompt,
    Question,
    Ranked,
    Reading,
    Record,
    Response,
)
from accord.records.rows import Group
from accord.testing import ScriptedOverseer
from accord.winrate import Contest, Umpire, name_of, told
from accord.worker import Worker

WORDS = ("yes", "no", "so")
GRADES = {"yes": 1.0, "no": 0.0, "so": 0.0}
PROMPTS = tuple(Prompt.of(f"Question {k}?") for k in range(6))


def saying(*words: str) -> Sampler:
    """A model that says its words by turns, whatever it is asked."""
    return _Saying(words)


class _Saying:
    can = frozenset({"sample"})

    def __init__(self, words: Sequence[str]) -> None:
        self._words, self.policy = words, f"says {' '.join(words)}"
        self._base = Scripted(words=WORDS).sampler("scripted", Silent())

    def encode(self, prompt: Prompt, text: str) -> Response:
        return self._base.encode(prompt, text)

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        assert how.key.startswith("run/stage/versus/7/")
        said = iter(self._words * (len(prompts) * n))
        return [Group(p, tuple(self._answer(p, next(said), how, i) for i in range(n))) for p in prompts]

    async def score(self, texts: object, want: object) -> Any:
        raise AssertionError("nobody scores here")

    def _answer(self, prompt: Prompt, text: str, how: How, index: int) -> Response:
        plain = self.encode(prompt, text).model_dump()
        seed = f"{how.key}/{prompt.id}/{index}"
        return Response.model_validate(plain | {"policy": self.policy, "seed": seed, "index": index})


class First:
    """Prefers what it is shown first."""

    answers = frozenset({Kind.COMPARE})
    config = "first"

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        del desk
        by = By(type="program", name="first", config=self.config)
        tiers = tuple((r,) for r in question.responses)
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=Ranked(tiers=tiers))


class OneOrder(First):
    """Is silent where the answer "yes" stands first."""

    config = "one order"

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        first = desk.read(question.responses[0])
        if isinstance(first, Response) and first.text == "yes":
            by = By(type="program", name="one order", config=self.config)
            return Judgment(question=question.id, by=by, abstention="unclear")
        return await super().judge(question, desk)


Reads = Callable[..., Reading | NotMeasured]


@pytest.fixture
def read() -> Iterator[Reads]:
    def write(records: Iterable[Record]) -> None:
        del records

    with Worker() as worker:

        def reading(
            ours: Sampler,
            theirs: Sampler,
            overseer: Overseer,
            ask: Literal["compare", "grade"] = "compare",
            n: int = 1,
        ) -> Reading | NotMeasured:
            feedback = StageFeedback([], FrontDesk(write, lambda: None), worker, write)
            contest = Contest("stage:sft", PROMPTS, n, 1.0, 4, ask, overseer)
            return Umpire(contest, "run/stage", feedback, worker).read(7, ours, theirs)

        yield reading


def told_by(found: Reading | NotMeasured) -> Reading:
    assert isinstance(found, Reading), found
    return found


@pytest.mark.parametrize("ask", ["compare", "grade"])
def test_a_win_is_one_and_a_tie_one_half(ask: str, read: Reads) -> None:
    """Ours says yes, no, yes, no, …; theirs always no: three wins and three ties.

    Kills: ties as losses (.5), as left out (1), the sides exchanged (.25).
    """
    found = told_by(read(saying("yes", "no"), saying("no"), ScriptedOverseer(grades=GRADES), ask))
    assert (found.name, found.step, found.n, found.unit) == ("versus.sft", 7, 6, "share of pairs")
    assert found.value == 0.75
    assert found.outcomes == (1.0, 0.5) * 3
    assert 0.5 < found.low < 0.75 < found.high <= 1.0
    assert len(found.parents) == 12  # two orders, or two grades, of six pairs
    assert found.cost.tokens_out == 24


def test_whoever_likes_the_first_shown_prefers_nobody(read: Reads) -> None:
    """Kills: one order alone (1 or 0), the second order read as if it were the first."""
    found = told_by(read(saying("yes"), saying("no"), First()))
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_a_pair_counts_where_both_orders_were_answered(read: Reads) -> None:
    """Ours says yes and no by turns; what is silent about yes leaves the other three prompts, which tie."""
    found = told_by(read(saying("yes", "no"), saying("so"), OneOrder()))
    assert (found.n, found.value) == (3, 0.5)
    assert len(found.parents) == 6
    silent = read(saying("yes"), saying("so"), OneOrder())
    assert isinstance(silent, NotMeasured)
    assert silent.reason.startswith("0 of 6 prompts have a judged pair, an interval needs 2; ")
    assert silent.reason.endswith("6 judgments abstained: unclear")


def test_where_all_prompts_agree_the_interval_is_the_binomial_one(read: Reads) -> None:
    """Six of six: from (.025)^(1/6) on. Kills: a bootstrap that calls six wins certain."""
    found = told_by(read(saying("yes"), saying("no"), ScriptedOverseer(grades=GRADES), n=2))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 6))
    lost = told_by(read(saying("no"), saying("yes"), ScriptedOverseer(grades=GRADES)))
    assert (lost.value, lost.low, lost.high) == (0.0, 0.0, pytest.approx(1 - 0.025 ** (1 / 6)))


def test_another_judge_or_opponent_is_another_instrument(read: Reads) -> None:
    judge, other = ScriptedOverseer(grades=GRADES), ScriptedOverseer(grades=GRADES | {"so": 0.5})
    found = [
        told_by(read(saying("yes"), theirs, overseer, ask))
        for theirs, overseer, ask in (
            (saying("no"), judge, "compare"),
            (saying("so"), judge, "compare"),
            (saying("no"), other, "compare"),
            (saying("no"), judge, "grade"),
        )
    ]
    assert len({one.instrument for one in found}) == 4


def test_names_are_stable() -> None:
    assert [name_of(m) for m in ("stage:sft", "/a/b/sft/", "hub/sft", "sft")] == ["versus.sft"] * 4


def test_the_line_says_how_it_was_judged(read: Reads) -> None:
    overseer = ScriptedOverseer(grades=GRADES)
    found = told_by(read(saying("yes", "no"), saying("no"), overseer, "grade"))
    line = told(found, Contest("stage:sft", PROMPTS, 1, 1.0, 4, "grade", overseer))
    assert line.startswith("against stage:sft: 75.0% of pairs won (95 % interval ")
    assert line.endswith("; 6 prompts), judged by a grade for each answer, so in no order")
