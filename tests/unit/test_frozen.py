"""The lock of what people said, and the wait for them: killed at any point, out of reach for a while."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from unit.raters import InMemory, said

from accord.desk import Used
from accord.errors import Away, ContractError, PlanError, Refused, Unreadable
from accord.frozen import Frozen, check_queue, read_lock
from accord.overseers.human import human_config
from accord.progress import Silent
from accord.records import Kind, Prompt, Question, Ranked, Response
from accord.waiting import Waiting

PROMPT = Prompt.of("Which?")
ANSWERS = tuple(Response(prompt=PROMPT.id, text=text, finish="data") for text in ("a", "bb"))
ASKED = Question(asks=Kind.COMPARE, prompt=PROMPT.id, responses=tuple(r.id for r in ANSWERS))


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InMemory:
    (tmp_path / "x.db").touch()
    found = InMemory()
    found.post([ASKED], [PROMPT, *ANSWERS], 2)
    monkeypatch.setattr("accord.frozen.opened", lambda _: found)
    return found


def used(queue: InMemory, slot: int) -> Used:
    judgment = queue.say(ASKED.id, slot, Ranked(tiers=((ANSWERS[0].id, ANSWERS[1].id),)))
    return Used(ASKED.id, judgment.by.config, judgment.id)


def test_a_torn_line_is_none_and_the_next_one_stands_whole(tmp_path: Path, queue: InMemory) -> None:
    frozen = Frozen(tmp_path)
    frozen.queue(str(tmp_path / "x.db"))
    frozen.use([used(queue, 0)])
    with frozen.file.open("ab") as file:
        file.write(b'{"question": "half')
    again = Frozen(tmp_path)
    again.queue(str(tmp_path / "x.db"))
    assert len(again.entries()) == 1
    again.use([used(queue, 1)])
    assert [line["config"] for line in read_lock(again.file)] == [human_config("q", n) for n in (0, 1)]


def test_the_same_again_is_no_second_line_and_a_damaged_one_is_named(tmp_path: Path, queue: InMemory) -> None:
    frozen = Frozen(tmp_path)
    frozen.queue(str(tmp_path / "x.db"))
    one = used(queue, 0)
    frozen.use([one])
    before = frozen.file.read_bytes()
    frozen.use([one])
    assert frozen.file.read_bytes() == before
    frozen.file.write_bytes(before + b"[]\n")
    with pytest.raises(Unreadable, match="lock:2"):
        Frozen(tmp_path)


def test_a_judgment_that_no_queue_keeps_is_not_used(tmp_path: Path, queue: InMemory) -> None:
    frozen = Frozen(tmp_path)
    frozen.queue(str(tmp_path / "x.db"))
    lost = said(ASKED, human_config("q", 0), Ranked(tiers=((ANSWERS[0].id,), (ANSWERS[1].id,))))
    with pytest.raises(ContractError, match="none of them keeps"):
        frozen.use([Used(ASKED.id, lost.by.config, lost.id)])
    assert not frozen.file.exists()


def test_what_was_made_of_a_dropped_judgment_abstains_too(tmp_path: Path, queue: InMemory) -> None:
    frozen = Frozen(tmp_path)
    frozen.queue(str(tmp_path / "x.db"))
    one, two = used(queue, 0), used(queue, 1)
    frozen.use([one, two, Used(ASKED.id, "jury", "verdict", (one.judgment, two.judgment))])
    assert frozen.known(ASKED.id, "jury") is None, "it is made again"
    assert frozen.made_again(ASKED.id, "jury")
    queue.given[two.judgment] = None
    assert frozen.withdrawn() == [two]
    with pytest.raises(Refused, match="evidence incomplete"):
        frozen.known(*two[:2])
    frozen.drop([two.judgment])
    for config in (two.config, "jury"):
        gone = frozen.known(ASKED.id, config)
        assert gone is not None
        assert gone.abstention == "no_outcome"
    kept = frozen.known(ASKED.id, one.config)
    assert kept is not None
    assert kept.id == one.judgment
    assert Frozen(tmp_path).rests_on_dropped(["verdict"])
    assert json.loads(frozen.file.read_text().splitlines()[-1]) == {"dropped": [two.judgment]}


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="accord serve"):
        check_queue(str(tmp_path / "labels.db"))
    assert not list(tmp_path.iterdir())


def test_a_database_out_of_reach_is_asked_again(queue: InMemory) -> None:
    queue.fails = 3
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    waiting = Waiting(queue, "x.db", Silent(), "accord resume r", sleep=sleep)
    judgment = asyncio.run(waiting.answer(ASKED.id, 0))
    assert judgment == queue.answers[ASKED.id, 0]
    assert slept == [0.5, 1.0, 2.0]


def test_a_question_that_could_not_be_posted_is_posted_later(
    queue: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.slots.clear()
    post, fails = queue.post, 2

    def down(*args: object) -> None:
        nonlocal fails
        fails -= 1
        if fails >= 0:
            raise Away("the server does not answer")
        post(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(queue, "post", down)

    async def sleep(_: float) -> None:
        return None

    waiting = Waiting(queue, "x.db", Silent(), "accord resume r", sleep=sleep)
    waiting.post([ASKED], [PROMPT, *ANSWERS], 1)
    assert asyncio.run(waiting.answer(ASKED.id, 0)) is not None
    assert queue.slots == {ASKED.id: 1}


def test_what_will_never_be_taken_is_not_tried_again(
    queue: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that its person withdrew. Kills: a wait of minutes for a database that has answered."""

    def refuses(*_: object) -> None:
        raise Refused("withdrawn by the person who wrote it")

    monkeypatch.setattr(queue, "post", refuses)
    with pytest.raises(Refused, match="withdrawn"):
        Waiting(queue, "x.db", Silent(), "accord resume r").post([ASKED], [PROMPT, *ANSWERS], 1)
