"""Several asks for one score, juries taken for their members, base answers held, groups of raters joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from accord.asks.against import Against
from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.desk import FrontDesk
from accord.errors import PlanError, Refused
from accord.feedback import Asking, StageFeedback, joined, leaves, mixed
from accord.overseers.both_orders import BothOrders
from accord.overseers.jury import Jury
from accord.part import Part
from accord.ports import Desk
from accord.records import By, Judgment, Kind, Prompt, Question, Ranked, Record, Spread
from accord.records.rows import Columns, Group
from accord.testing import ScriptedOverseer, a_group, a_response
from accord.worker import Worker

WHY, HOW = a_group("Why?", "yes", "no"), a_group("How?", "so", "thus")
GROUPS = [WHY, HOW]
SCORE = Each(column="score", collapse="distribution")
OTHER = Each(column="score", collapse="distribution", wording="How kind is it?")
HARM = Each(column="cost:harm", collapse="distribution")


class Fixed(Part):
    """Prefers the answer of that text, whatever stands where; a seat tells equal raters apart."""

    likes: str
    seat: int = 0

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.COMPARE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        texts: dict[str, Any] = {r: desk.read(r) for r in question.responses}
        ahead = tuple(r for r, answer in texts.items() if answer.text == self.likes)
        rest = tuple(r for r in question.responses if r not in ahead)
        verdict = Ranked(tiers=tuple(tier for tier in (ahead, rest) if tier))
        by = By(type="program", name=f"likes {self.likes}", config=self.config)
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)


class Leaning(Fixed):
    """Gives six tenths to whichever answer stands first."""

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        one, two = question.responses
        judgment = await super().judge(question, desk)
        return judgment.model_copy(update={"verdict": Spread(p={one: 0.6, two: 0.4})})


class Stage:
    def __init__(self, worker: Worker) -> None:
        self.worker, self.written = worker, list[Record]()
        self.desk = FrontDesk(self.write, lambda: None)

    def write(self, records: Iterable[Record]) -> None:
        self.written += list(records)

    def feedback(self, *asking: Asking) -> StageFeedback:
        return StageFeedback(asking, self.desk, self.worker, self.write)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Worker() as worker:
        yield Stage(worker)


def graders(*grades: Mapping[str, float]) -> list[ScriptedOverseer]:
    return [ScriptedOverseer(grades=dict(own)) for own in grades]


def told(table: Columns | None) -> list[float]:
    assert table is not None
    return table.values["score"].tolist()


def test_a_score_of_several_asks_is_the_sum_of_their_shares(stage: Stage) -> None:
    """¾·1 + ¼·3 and ¾·0 + ¼·(−1). Kills: the plain mean (2), the sum (4), the last ask alone (3)."""
    one, two = graders({"yes": 1.0, "no": 0.0}, {"yes": 3.0, "no": -1.0})
    table = stage.feedback(Asking(SCORE, one, 0.75), Asking(OTHER, two, 0.25))([WHY])
    assert told(table) == [1.5, -0.25]
    assert table is not None
    assert set(table.values) == {"score"}
    assert [len(p) for p in table.parents] == [2, 2]


def test_who_is_silent_on_a_whole_prompt_is_left_out_there_and_else_its_rows_are_missing(
    stage: Stage,
) -> None:
    """Ask two knows nothing of "How?", where one counts whole; of "Why?" it knows one answer of two.
    Kills: a missing grade as 0 (.75), a share that stays ¾ of the only score."""
    one, two = graders({"yes": 1.0, "no": 1.0, "so": 2.0, "thus": 4.0}, {"yes": 3.0})
    table = stage.feedback(Asking(SCORE, one, 0.75), Asking(OTHER, two, 0.25))(GROUPS)
    assert table is not None
    assert table.missing.tolist() == [False, True, False, False]
    assert np.isnan(told(table)[1])
    assert [told(table)[0], *told(table)[2:]] == [1.5, 2.0, 4.0]


def test_a_prompt_on_which_every_ask_is_silent_is_missing(stage: Stage) -> None:
    one, two = graders({"so": 1.0, "thus": 1.0}, {"so": 0.0})
    table = stage.feedback(Asking(SCORE, one, 0.5), Asking(OTHER, two, 0.5))(GROUPS)
    assert table is not None
    assert table.missing.tolist() == [True, True, False, True]


def test_costs_stand_beside_a_shared_score(stage: Stage) -> None:
    one, two, harm = graders({"yes": 1.0, "no": 1.0}, {"yes": 0.0, "no": 0.0}, {"yes": 5.0})
    table = stage.feedback(Asking(SCORE, one, 0.5), Asking(HARM, harm), Asking(OTHER, two, 0.5))([WHY])
    assert table is not None
    assert told(table) == [0.5, 0.5]
    assert table.values["cost:harm"][0] == 5.0
    assert table.missing.tolist() == [False, True]
    assert [len(p) for p in table.parents] == [3, 2]


def test_shares_are_asked_for_where_two_asks_fill_the_score(stage: Stage) -> None:
    one, two = graders({"yes": 1.0}, {"yes": 1.0})
    for shares in ((0.5, None), (None, 0.5), (None, None)):
        asking = [Asking(ask, who, s) for ask, who, s in zip((SCORE, OTHER), (one, two), shares, strict=True)]
        with pytest.raises(PlanError, match="one ask for each column"):
            stage.feedback(*asking)([WHY])


def test_who_wants_one_ask_s_column_gets_the_whole_score(stage: Stage) -> None:
    """As held-out prompts do, which are judged by the first ask. Kills: the first share's own grades (1)."""
    one, two, harm = graders({"yes": 1.0}, {"yes": 0.0}, {"yes": 5.0})
    first, second = Asking(SCORE, one, 0.5), Asking(OTHER, two, 0.5)
    feedback = stage.feedback(first, Asking(HARM, harm), second)
    for asking in (first, second):
        assert told(feedback.one(asking, [WHY]))[0] == 0.5
        assert feedback.abstained.total() == 2, "both were silent on the other answer"
    assert feedback.one(feedback.asking[1], [WHY]).values.keys() == {"cost:harm"}
    alone = Asking(SCORE, one)
    assert told(feedback.one(alone, [WHY]))[0] == 1.0


def table(score: Sequence[float], groups: tuple[str, ...] = (), column: str = "score") -> Columns:
    """Rows of the two answers to "Why?", once, or once for each group."""
    members = tuple((r.id,) for r in WHY.responses) * max(1, len(groups))
    score_R = np.array(score, dtype=np.float64)
    code_R = np.repeat(np.arange(max(1, len(groups)), dtype=np.float64), 2)
    values = {column: score_R} | ({"group": code_R} if groups else {})
    return Columns(members, values, np.isnan(score_R), (("j",),) * len(members), groups)


def test_what_is_said_without_groups_is_said_for_every_group() -> None:
    apart, harm = table([1.0, 2.0, 3.0, np.nan], ("a", "b")), table([5.0, 6.0], column="cost:harm")
    for both in ([apart, harm], [harm, apart]):
        found = joined(both)
        assert found.groups == ("a", "b")
        assert found.values["cost:harm"].tolist() == [5.0, 6.0, 5.0, 6.0]
        assert found.values["group"].tolist() == [0.0, 0.0, 1.0, 1.0]
        assert found.missing.tolist() == [False, False, False, True]
    score = mixed([(0.5, apart), (0.5, table([0.0, 0.0]))], [WHY])
    assert score.values["score"][:3].tolist() == [0.5, 1.0, 1.5]
    assert score.values["group"].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert score.group_R.tolist() == [0, 0, 1, 1]
    with pytest.raises(PlanError, match="same groups of raters"):
        joined([apart, table([1.0, 2.0, 3.0, 4.0], ("a", "c"), "cost:harm")])


def test_a_jury_counts_as_its_members(stage: Stage) -> None:
    """Two of three prefer "yes": weight 3, and the members are the parents; a jury in a jury changes nothing.
    Kills: one vote of ⅔."""
    yes = [Fixed(likes="yes", seat=k) for k in range(2)]
    flat = Jury(members=(*yes, Fixed(likes="no")))
    deep = Jury(members=(Jury(members=tuple(yes)), Jury(members=(Fixed(likes="no"),))))
    ask = Pairs(column="p", collapse="distribution")
    for jury in (flat, deep):
        found = stage.feedback(Asking(ask, jury))([WHY])
        assert found is not None
        assert found.values["p"].tolist() == pytest.approx([2 / 3])
        assert found.values["weight"].tolist() == [3.0]
        names = [stage.desk.read(p) for p in found.parents[0]]
        assert sorted(j.by.name for j in names if isinstance(j, Judgment)) == ["likes no"] + ["likes yes"] * 2
    found = stage.feedback(Asking(Pairs(column="p", collapse="majority"), flat))([WHY])
    assert found is not None
    assert found.values["p"].tolist() == [1.0]


def test_both_orders_are_one_vote(stage: Stage) -> None:
    """Its parents are of two questions, so it is no jury. Kills: the vote of one order only, or two votes."""
    ask = Pairs(column="p", collapse="distribution")
    jury = Jury(members=(BothOrders(inner=Fixed(likes="yes")), Fixed(likes="no")))
    for overseer, weight in ((BothOrders(inner=Fixed(likes="yes")), 1.0), (jury, 2.0)):
        found = stage.feedback(Asking(ask, overseer))([WHY])
        assert found is not None
        assert found.values["weight"].tolist() == [weight]
        assert found.values["p"].tolist() == [1 / weight]
    leaning = stage.feedback(Asking(ask, BothOrders(inner=Leaning(likes="yes"))))([WHY])
    assert leaning is not None
    assert leaning.values["p"].tolist() == pytest.approx([0.5]), "the vote of one order alone is .6"


def test_a_jury_without_quorum_has_no_votes(stage: Stage) -> None:
    silent = ScriptedOverseer(grades={})
    jury = Jury(members=(Fixed(likes="yes"), silent), quorum=2)
    found = stage.feedback(Asking(Pairs(column="p", collapse="distribution"), jury))([WHY])
    assert found is not None
    assert found.missing.tolist() == [True]
    assert found.parents == ((),)


def test_votes_that_cannot_be_read_are_not_made_one_vote(stage: Stage) -> None:
    jury = Jury(members=(Fixed(likes="yes"), Fixed(likes="no")))
    question = Pairs(column="p", collapse="distribution").questions([WHY])[0]
    stage.feedback().take([WHY])

    async def ask() -> Judgment:
        return await stage.desk.ask(jury, question)

    said = stage.worker.run(ask())
    assert len(leaves([said, said], stage.desk.read)) == 2
    with pytest.raises(Refused, match="2 of the 2 votes"):
        leaves([said], {question.id: question}.__getitem__)


def test_base_answers_are_written_and_can_be_read(stage: Stage) -> None:
    prompt = Prompt.of("Why?", reference="no")
    group = Group(prompt, (a_response(prompt, "yes"), a_response(prompt, "hm", 1)))
    found = stage.feedback(Asking(Against(column="score", collapse="distribution"), Fixed(likes="no")))(
        [group]
    )
    assert told(found) == [-4.0, -4.0]
    assert "no" in [getattr(record, "text", "") for record in stage.written]


def test_groups_of_raters_are_needed_before_anyone_is_asked(stage: Stage) -> None:
    ask = Pairs(column="p", collapse="per_group")
    with pytest.raises(PlanError, match="nobody told of a group") as caught:
        stage.feedback(Asking(SCORE, graders({})[0]), Asking(ask, Fixed(likes="yes")))
    assert caught.value.path == "ask[1].collapse"
    likers = {"likes yes": "a", "likes no": "b"}
    jury = Jury(members=(Fixed(likes="yes"), Fixed(likes="no")))
    found = stage.feedback(Asking(ask.grouped(likers), jury))([WHY])
    assert found is not None
    assert found.values["p"].tolist() == [1.0, 0.0]
    assert found.groups == ("a", "b")
