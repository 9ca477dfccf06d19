"""The desk looks before it asks, records who said what, commits once, and makes no failure a verdict."""

# size: one fake protocol serves every case of one class

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.errors import Refused
from accord.ports import Desk, How
from accord.progress import Silent
from accord.records import By, Cost, Graded, Judgment, Kind, Prompt, Question, Ranked, Record, Response
from accord.stores.memory import MemoryStore
from accord.testing import ScriptedOverseer, a_group, a_judgment
from accord.testing.checks_feedback import questions_about

GROUP = a_group("Why?", "yes", "no")
GRADE_YES, GRADE_NO = questions_about([GROUP], Kind.GRADE)
(COMPARE,) = questions_about([GROUP], Kind.COMPARE)
YES = ScriptedOverseer(grades={"yes": 1.0, "no": 0.0})


class Ledger:
    """What a desk wrote, and when it was made durable."""

    def __init__(self) -> None:
        self.written: list[Record] = []
        self.durable: list[Record] = []
        self.commits = 0

    def write(self, records: Iterable[Record]) -> None:
        self.written += list(records)

    def commit(self) -> None:
        self.durable, self.written = [*self.durable, *self.written], []
        self.commits += 1

    def desk(self, earlier: MemoryStore | None = None) -> FrontDesk:
        desk = FrontDesk(self.write, self.commit, earlier)
        desk.hold([GROUP.prompt, *GROUP.responses])
        return desk


class Protocol:
    """An overseer made of a function; ``config`` tells it from others."""

    answers = frozenset(Kind)

    def __init__(
        self, act: Callable[[Question, Desk], Awaitable[Judgment]], config: str = "protocol"
    ) -> None:
        self._act, self.config, self.asked = act, config, 0

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        self.asked += 1
        return await self._act(question, desk)

    def says(self, question: Question, **told: Any) -> Judgment:
        by = By(type="protocol", name="p", config=self.config)
        return Judgment(**{"question": question.id, "by": by, "shown": question.responses, **told})


def grading(score: float = 1.0, config: str = "leaf", calls: int = 0) -> Protocol:
    async def act(question: Question, desk: Desk) -> Judgment:
        return protocol.says(question, verdict=Graded(scores={"score": score}), cost=Cost(calls=calls))

    protocol = Protocol(act, config)
    return protocol


def run(work: Awaitable[Any]) -> Any:
    async def whole() -> Any:
        return await asyncio.wait_for(work, timeout=60)

    return asyncio.run(whole())


def test_a_judgment_is_durable_before_it_is_returned() -> None:
    ledger = Ledger()
    judgment = run(ledger.desk().ask(YES, GRADE_YES))
    assert [r.kind for r in ledger.durable] == ["question", "judgment"]
    assert ledger.durable[-1] == judgment
    assert judgment.verdict == Graded(scores={"score": 1.0})
    assert judgment.parents == (GRADE_YES.id,)


def test_judgments_of_one_turn_share_one_commit() -> None:
    ledger = Ledger()
    desk = ledger.desk()

    async def both() -> None:
        await asyncio.gather(desk.ask(YES, GRADE_YES), desk.ask(YES, GRADE_NO), desk.ask(YES, COMPARE))

    run(both())
    assert ledger.commits == 1
    assert len(ledger.durable) == 6


def test_a_recorded_judgment_is_reused_and_counted() -> None:
    overseer = ScriptedOverseer(grades={"yes": 1.0})
    desk = Ledger().desk()
    first = run(desk.ask(overseer, GRADE_YES))
    assert run(desk.ask(overseer, GRADE_YES)) == first
    assert (desk.asked, desk.reused, len(overseer.asked)) == (1, 1, 1)


def test_a_judgment_held_from_an_interrupted_run_is_reused() -> None:
    overseer = ScriptedOverseer(grades={"yes": 1.0})
    first = run(Ledger().desk().ask(overseer, GRADE_YES))
    desk = Ledger().desk()
    desk.hold([first])
    assert run(desk.ask(overseer, GRADE_YES)) == first
    assert (desk.asked, desk.reused, len(overseer.asked)) == (0, 1, 1)


def test_a_judgment_of_an_earlier_run_is_reused_from_the_store() -> None:
    store = MemoryStore()
    first = run(Ledger().desk().ask(YES, GRADE_YES))
    store.put(GRADE_YES, first)
    overseer = ScriptedOverseer(grades={"yes": 1.0, "no": 0.0})
    desk = Ledger().desk(store)
    assert run(desk.ask(overseer, GRADE_YES)) == first
    assert not overseer.asked
    other = ScriptedOverseer(grades={"yes": 0.5})
    assert run(desk.ask(other, GRADE_YES)).verdict == Graded(scores={"score": 0.5}), "another config is asked"


@pytest.mark.parametrize(
    ("reason", "again"),
    [("timeout", True), ("unreachable", True), ("error", True), ("out_of_support", False)],
)
def test_an_abstention_that_a_second_try_may_mend_stays_in_its_own_run(reason: Any, again: bool) -> None:
    overseer = grading()
    told = overseer.says(GRADE_YES, abstention=reason, parents=(GRADE_YES.id,))
    store = MemoryStore()
    store.put(GRADE_YES, told)
    judgment = run(Ledger().desk(store).ask(overseer, GRADE_YES))
    assert (judgment.verdict is not None) == again
    assert overseer.asked == int(again)
    same_run = Ledger().desk()
    same_run.hold([told])
    assert run(same_run.ask(overseer, GRADE_YES)) == told


@pytest.mark.parametrize(("reason", "again"), [("timeout", True), ("out_of_support", False)])
def test_what_rests_on_such_an_abstention_stays_in_its_run_too(reason: Any, again: bool) -> None:
    """A jury without a quorum, because a server was out of reach. Kills: its silence on record for ever."""
    member = grading(config="member")
    silent = member.says(GRADE_YES, abstention=reason, parents=(GRADE_YES.id,))
    jury = grading()
    none = jury.says(GRADE_YES, abstention="no_quorum", parents=(GRADE_YES.id, silent.id))
    store = MemoryStore()
    store.put(GRADE_YES, silent, none)
    assert (run(Ledger().desk(store).ask(jury, GRADE_YES)).verdict is not None) == again
    vote = jury.says(GRADE_YES, verdict=Graded(scores={"score": 1.0}), parents=(GRADE_YES.id, silent.id))
    known = MemoryStore()
    known.put(GRADE_YES, silent, vote)
    assert run(Ledger().desk(known).ask(jury, GRADE_YES)) == vote, "a verdict stands, whoever was silent"


def test_the_same_question_asked_twice_at_once_is_judged_once() -> None:
    overseer = ScriptedOverseer(grades={"yes": 1.0})
    desk = Ledger().desk()

    async def twice() -> list[Judgment]:
        return list(await asyncio.gather(*(desk.ask(overseer, GRADE_YES) for _ in range(3))))

    one, two, three = run(twice())
    assert one is two is three
    assert len(overseer.asked) == desk.asked == 1


def test_a_cancelled_call_leaves_nothing() -> None:
    ledger = Ledger()
    desk = ledger.desk()

    async def waits(question: Question, desk: Desk) -> Judgment:
        await desk.ask(YES, GRADE_NO)
        await asyncio.Event().wait()
        raise AssertionError

    async def cancelled() -> None:
        task = asyncio.ensure_future(desk.ask(Protocol(waits), GRADE_YES))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled())
    assert not ledger.written
    assert not ledger.durable
    assert run(desk.ask(grading(), GRADE_YES)).verdict == Graded(scores={"score": 1.0})


def test_who_waits_for_a_cancelled_call_of_another_is_still_answered() -> None:
    desk, started = Ledger().desk(), asyncio.Event()
    calls: list[int] = []

    async def slow(question: Question, desk: Desk) -> Judgment:
        calls.append(1)
        started.set()
        if len(calls) == 1:
            await asyncio.Event().wait()
        return overseer.says(question, verdict=Graded(scores={"score": 0.5}))

    overseer = Protocol(slow)

    async def two() -> Judgment:
        first = asyncio.ensure_future(desk.ask(overseer, GRADE_YES))
        await started.wait()
        second = asyncio.ensure_future(desk.ask(overseer, GRADE_YES))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert run(two()).verdict == Graded(scores={"score": 0.5})


def test_an_overseer_that_raises_abstains_with_error() -> None:
    async def broken(question: Question, desk: Desk) -> Judgment:
        raise ZeroDivisionError("no such luck")

    judgment = run(Ledger().desk().ask(Protocol(broken), GRADE_YES))
    assert (judgment.verdict, judgment.abstention) == (None, "error")
    assert "ZeroDivisionError: no such luck" in judgment.note
    assert "traceback" in judgment.note


def test_a_kind_it_does_not_answer_never_reaches_the_overseer() -> None:
    overseer = ScriptedOverseer(grades={"yes": 1.0})
    (critique,) = questions_about([a_group("Why?", "yes")], Kind.CRITIQUE)
    judgment = run(Ledger().desk().ask(overseer, critique))
    assert judgment.abstention == "error"
    assert "does not answer critique questions" in judgment.note
    assert not overseer.asked


def wrong(told: Callable[[Question], dict[str, Any]]) -> Protocol:
    async def act(question: Question, desk: Desk) -> Judgment:
        return protocol.says(question, **told(question))

    protocol = Protocol(act)
    return protocol


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (COMPARE, lambda q: {"verdict": Ranked(tiers=(q.responses[:1],))}),
        (COMPARE, lambda q: {"verdict": Ranked(tiers=(q.responses, q.responses[:1]))}),
        (COMPARE, lambda q: {"verdict": Ranked(tiers=(("x",), ("y",)))}),
        (GRADE_YES, lambda q: {"verdict": Graded(scores={})}),
        (GRADE_YES, lambda q: {"question": COMPARE.id, "verdict": Graded(scores={"score": 1.0})}),
    ],
    ids=["one left out", "one twice", "strangers", "no score", "another question"],
)
def test_a_verdict_that_cannot_answer_the_question_is_refused(question: Question, told: Any) -> None:
    judgment = run(Ledger().desk().ask(wrong(told), question))
    assert judgment.question == question.id
    assert (judgment.verdict, judgment.abstention) == (None, "error")


@pytest.mark.parametrize(
    ("question", "verdict"),
    [(COMPARE, Graded(scores={"score": 1.0})), (GRADE_YES, Ranked(tiers=((GRADE_YES.responses[0],),)))],
    ids=["a grade for a comparison", "a ranking for a grade"],
)
def test_a_verdict_of_another_kind_is_refused(question: Question, verdict: Any) -> None:
    """Else the ask skips it, and a row is missing with nothing on record that says why."""
    judgment = run(Ledger().desk().ask(wrong(lambda q: {"verdict": verdict}), question))
    assert judgment.abstention == "error"


def test_a_judgment_signed_with_another_config_is_refused() -> None:
    """It would never be found again: the next run would ask, and bill, anew."""
    by = By(type="protocol", name="p", config="another")
    forged = wrong(lambda q: {"by": by, "verdict": Graded(scores={"score": 1.0})})
    judgment = run(Ledger().desk().ask(forged, GRADE_YES))
    assert judgment.by.config == forged.config


# An overseer in an overseer


def asking(inner: Any, question: Question | None = None, config: str = "outer") -> Protocol:
    """Passes its question (or ``question``) on, and repeats what it heard."""

    async def act(asked: Question, desk: Desk) -> Judgment:
        heard = await desk.ask(inner, question or asked)
        assert desk.read(heard.id) == heard
        score = {} if heard.verdict is None else {"verdict": Graded(scores={"score": 0.25})}
        return protocol.says(asked, **(score or {"abstention": heard.abstention}), cost=Cost(calls=1))

    protocol = Protocol(act, config)
    return protocol


def test_nested_judgments_commit_once_with_parents() -> None:
    ledger = Ledger()
    leaf = grading(calls=5)
    outer = asking(asking(leaf, config="middle"))
    judgment = run(ledger.desk().ask(outer, GRADE_YES))
    assert ledger.commits == 1
    said = {r.by.config: r for r in ledger.durable if isinstance(r, Judgment)}
    assert set(said) == {"leaf", "middle", "outer"}
    assert judgment == said["outer"]
    assert said["outer"].parents == (GRADE_YES.id, said["middle"].id)
    assert said["middle"].parents == (GRADE_YES.id, said["leaf"].id)
    assert [said[c].cost.calls for c in ("leaf", "middle", "outer")] == [5, 1, 1], "each names its own cost"
    assert ledger.durable[-1] == judgment
    ids = [r.id for r in ledger.durable]
    for record in said.values():
        assert all(ids.index(parent) < ids.index(record.id) for parent in record.parents)


def test_a_nested_judgment_is_reused_by_whoever_asks_next() -> None:
    leaf = grading()
    desk = Ledger().desk()
    first = run(desk.ask(asking(leaf), GRADE_YES))
    assert run(desk.ask(leaf, GRADE_YES)).id in first.parents
    run(desk.ask(asking(leaf, config="another"), GRADE_YES))
    assert leaf.asked == 1
    assert desk.reused == 2


def test_a_protocol_that_asks_the_same_twice_is_answered_once() -> None:
    leaf = grading()

    async def twice(question: Question, desk: Desk) -> Judgment:
        one, two = await desk.ask(leaf, question), await desk.ask(leaf, question)
        assert one == two
        return protocol.says(question, verdict=Graded(scores={"score": 1.0}))

    protocol = Protocol(twice)
    assert run(Ledger().desk().ask(protocol, GRADE_YES)).verdict is not None
    assert leaf.asked == 1


def test_two_protocols_that_ask_the_same_at_once_are_answered_once() -> None:
    leaf_asked: list[int] = []

    async def slow(question: Question, desk: Desk) -> Judgment:
        leaf_asked.append(1)
        await asyncio.sleep(0.01)
        return leaf.says(question, verdict=Graded(scores={"score": 1.0}))

    leaf = Protocol(slow, "leaf")
    ledger = Ledger()
    desk = ledger.desk()

    async def both() -> None:
        one, two = asking(leaf, GRADE_NO, "one"), asking(leaf, GRADE_NO, "two")
        await asyncio.gather(desk.ask(one, GRADE_YES), desk.ask(two, GRADE_YES))

    run(both())
    assert len(leaf_asked) == 1
    assert len({r.id for r in ledger.durable if isinstance(r, Judgment) and r.by.config == "leaf"}) == 1


@pytest.mark.parametrize("cancelled", [False, True])
def test_who_asks_what_an_open_question_has_asked_already_gets_that_answer(cancelled: bool) -> None:
    """The first is still open when the second asks: one call, and both rest on it; also where the first is
    given up before anything of it was written."""
    leaf, ledger = ScriptedOverseer(grades={"yes": 1.0}), Ledger()
    heard, told = asyncio.Event(), list[Judgment]()

    async def waits(question: Question, desk: Desk) -> Judgment:
        told.append(await desk.ask(leaf, GRADE_YES))
        if not heard.is_set():
            heard.set()
            await asyncio.sleep(0 if cancelled else 0.05)
            if cancelled:
                await asyncio.Event().wait()
        return Protocol(waits, "waits").says(question, verdict=Graded(scores={"score": 0.0}))

    async def both() -> None:
        desk = ledger.desk()
        first = asyncio.create_task(desk.ask(Protocol(waits, "waits"), GRADE_NO))
        await heard.wait()
        second = asyncio.create_task(desk.ask(asking(leaf, GRADE_YES, "two"), GRADE_NO))
        await asyncio.sleep(0)
        if cancelled:
            await second
            first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)

    run(both())
    assert len(leaf.asked) == 1
    (kept,) = {r.id for r in ledger.durable if isinstance(r, Judgment) and r.by.config == leaf.config}
    assert {one.id for one in told} == {kept}
    rests = [r for r in ledger.durable if isinstance(r, Judgment) and kept in r.parents]
    assert len(rests) == (1 if cancelled else 2)


def test_a_nested_failure_abstains_and_the_outer_one_goes_on() -> None:
    async def broken(question: Question, desk: Desk) -> Judgment:
        raise KeyError("x")

    ledger = Ledger()
    judgment = run(ledger.desk().ask(asking(Protocol(broken, "broken")), GRADE_YES))
    assert judgment.abstention == "error"
    assert judgment.by.config == "outer"
    assert len([r for r in ledger.durable if isinstance(r, Judgment)]) == 2


def test_more_than_eight_deep_is_an_abstention_not_a_crash() -> None:
    depth: list[int] = []

    async def forever(question: Question, desk: Desk) -> Judgment:
        depth.append(1)
        heard = await desk.ask(Protocol(forever, f"level {len(depth)}"), question)
        return Protocol(forever, f"level {len(depth)}").says(question, abstention=heard.abstention)

    judgment = run(Ledger().desk().ask(Protocol(forever, "level 0"), GRADE_YES))
    assert judgment.abstention == "error"
    assert len(depth) == 8


def test_a_disk_that_is_full_fails_every_waiting_judgment() -> None:
    def full() -> None:
        raise Refused("the disk is full")

    desk = FrontDesk(lambda records: None, full)
    desk.hold([GROUP.prompt, *GROUP.responses])

    async def both() -> list[object]:
        asked = (desk.ask(YES, q) for q in (GRADE_YES, GRADE_NO))
        return list(await asyncio.gather(*asked, return_exceptions=True))

    assert [str(e) for e in run(both())] == ["the disk is full"] * 2


def test_a_commit_that_breaks_in_any_way_never_leaves_a_judgment_waiting() -> None:
    def broken() -> None:
        raise ValueError("write to closed file")

    desk = FrontDesk(lambda records: None, broken)
    desk.hold([GROUP.prompt, *GROUP.responses])
    with pytest.raises(ValueError, match="closed file"):
        run(desk.ask(YES, GRADE_YES))


def test_a_judgment_that_was_not_made_durable_is_not_known() -> None:
    def full() -> None:
        raise Refused("the disk is full")

    overseer = ScriptedOverseer(grades={"yes": 1.0})
    desk = FrontDesk(lambda records: None, full)
    desk.hold([GROUP.prompt, *GROUP.responses])
    for _ in range(2):
        with pytest.raises(Refused):
            run(desk.ask(overseer, GRADE_YES))
    assert len(overseer.asked) == 2
    assert desk.reused == 0


# Turns that an overseer speaks

WORDS = Scripted(words=tuple("abcdefgh"), shortest=4, longest=8)
PROMPT = Prompt.of("speak")


def speaking(turns: int, together: bool) -> tuple[Protocol, list[Response]]:
    sampler = WORDS.sampler("scripted", Silent())
    said: list[Response] = []

    async def act(question: Question, desk: Desk) -> Judgment:
        if together:
            said.extend(await asyncio.gather(*(desk.say(sampler, PROMPT) for _ in range(turns))))
        else:
            for _ in range(turns):
                said.append(await desk.say(sampler, PROMPT, How("ignored", 2.0, 5)))
        return protocol.says(question, verdict=Graded(scores={"score": 1.0}), parents=())

    protocol = Protocol(act, f"speaker/{turns}/{together}")
    return protocol, said


def test_every_text_that_is_elicited_becomes_a_response_with_the_question_as_parent() -> None:
    ledger = Ledger()
    protocol, said = speaking(2, together=False)
    judgment = run(ledger.desk().ask(protocol, GRADE_YES))
    kept = [r for r in ledger.durable if isinstance(r, Response)]
    assert kept == said
    assert all(r.parents == (PROMPT.id, GRADE_YES.id) for r in kept)
    assert judgment.parents == (GRADE_YES.id, *(r.id for r in said))
    assert judgment.cost.calls == 2
    assert judgment.cost.tokens_out == sum(len(r.tokens) for r in said)
    assert judgment.cost.tokens_in == sum(len(r.prompt_tokens) for r in said)
    assert {r.temperature for r in said} == {2.0}
    assert all(len(r.tokens) <= 5 for r in said)
    assert PROMPT in ledger.durable


@pytest.mark.parametrize("together", [False, True])
def test_two_turns_on_one_prompt_are_two_draws_that_repeat(together: bool) -> None:
    protocol, said = speaking(3, together)
    run(Ledger().desk().ask(protocol, GRADE_YES))
    assert len({r.seed for r in said}) == 3, "two turns drew the same answer"
    protocol, again = speaking(3, together)
    run(Ledger().desk().ask(protocol, GRADE_YES))
    assert [r.id for r in again] == [r.id for r in said]


def test_what_nobody_knows_is_a_key_error() -> None:
    desk = Ledger().desk()
    with pytest.raises(KeyError):
        desk.read("0" * 64)
    store = MemoryStore()
    other = Prompt.of("elsewhere")
    store.put(other)
    assert Ledger().desk(store).read(other.id) == other


def test_the_fitting_judgment_of_the_kit_passes_the_desk() -> None:
    for question in (COMPARE, GRADE_YES):
        told = a_judgment(question)
        overseer = Protocol(lambda q, d, told=told: asyncio.sleep(0, told), "rater")
        assert run(Ledger().desk().ask(overseer, question)).verdict == told.verdict
