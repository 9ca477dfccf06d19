"""What overseers will take, told before anybody is asked: equal to what they then take, call by call.

Mutants: one principle or one order counted for all, answers of one text (of which nobody debates), a program
that is asked in a rehearsal, half a protocol taken for the whole, the groups beyond those rehearsed left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from accord.catalog import build
from accord.desk import FrontDesk
from accord.feedback import Asking, StageFeedback
from accord.ports import How, Sampler, Scored
from accord.records import Cost, Judgment, Prompt, Record, Response
from accord.records.rows import Group, Text
from accord.rehearsal import rehearsed
from accord.worker import Worker

JUDGE = {"name": "judge", "model": "m", "rubric": "The right one.", "max_tokens": 9}
BOTH = {"name": "both_orders", "inner": JUDGE}
PRINCIPLED = {"name": "constitution", "inner": BOTH, "principles": ["Be kind.", "Be brief."]}
DEBATE = {"name": "debate", "speakers": ["a", "b"], "rounds": 3, "max_tokens": 7, "inner": PRINCIPLED}
CONSULT = {"name": "consult", "adviser": "a", "inner": JUDGE}
PROGRAM = {"name": "program", "fn": "accord.overseers.program:brief"}
JURY = {"name": "jury", "members": [BOTH, PROGRAM, {**JUDGE, "samples": 4}]}
HINDSIGHT = {"name": "hindsight", "reveal": "full", "model": "a", "max_tokens": 5, "inner": JUDGE}


class Voice:
    """Says a choice where it is asked for one; each word is a token."""

    can = frozenset({"sample"})
    policy = "voice@1"

    def __init__(self) -> None:
        self.said = 0

    def encode(self, prompt: Prompt, text: str) -> Response:
        read, said = (tuple(range(len(one.split()))) for one in (prompt.text, text))
        return Response(prompt=prompt.id, text=text, prompt_tokens=read, tokens=said, tokenizer="words")

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        del n
        self.said += 1
        key = "score" if '"score"' in prompts[0].text else "choice"
        text = f'{{"{key}": "{5 if key == "score" else "A"}"}}'
        told = self.encode(prompts[0], text).model_dump() | {"seed": how.key, "policy": self.policy}
        return [Group(prompts[0], (Response.model_validate(told),))]

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise AssertionError("it is asked, not read")


def groups(count: int, texts: Sequence[str] = ("", "")) -> list[Group]:
    """As they are foretold: answers of four tokens and no text."""
    found: list[Group] = []
    for number in range(count):
        prompt = Prompt.of(f"Is {number} even?")
        said = [
            Response(prompt=prompt.id, text=text, tokens=(1, 2, 3, index), index=index, seed=f"{index}")
            for index, text in enumerate(texts)
        ]
        found.append(Group(prompt, tuple(said)))
    return found


def asking(table: Mapping[str, Any], ask: str = "pairs") -> tuple[Asking, Voice]:
    overseer, voice = cast(Any, build("overseers", table)), Voice()
    voices = {name: cast(Sampler, voice) for name in overseer.models}
    told = {"column": "score", "collapse": "distribution" if ask == "each" else "bt"}
    return Asking(
        cast(Any, build("asks", {"name": ask, **told})), overseer.seated(voices), None, voices
    ), voice


def took(one: Asking, of: Sequence[Group]) -> Cost:
    written: list[Record] = []
    with Worker() as worker:
        desk = FrontDesk(written.extend, lambda: None)
        StageFeedback([one], desk, worker, lambda _: None)(of)
    said = [record for record in written if isinstance(record, Judgment)]
    assert not [one.note for one in said if one.abstention in ("error", "unparsable")]
    return sum((one.cost for one in said), Cost())


@pytest.mark.parametrize(
    ("table", "ask", "calls"),
    [
        (JUDGE, "pairs", 1),
        ({**JUDGE, "samples": 5}, "pairs", 5),
        (PRINCIPLED, "pairs", 2),
        (DEBATE, "pairs", 8),
        (CONSULT, "pairs", 2),
        (JURY, "pairs", 6),
        (HINDSIGHT, "each", 4),
        (HINDSIGHT, "pairs", 3),
    ],
)
@pytest.mark.parametrize("count", [1, 20])
def test_the_calls_are_those_that_are_made(
    table: Mapping[str, Any], ask: str, calls: int, count: int
) -> None:
    one, voice = asking(table, ask)
    with Worker() as worker:
        told = rehearsed(one, groups(count), worker)
    assert told is not None
    assert voice.said == 0, "no model runs"
    assert told.questions == (2 if ask == "each" else 1) * count
    assert told.cost.calls == calls * count
    real = took(one, groups(count, ["a b c d", "e f g h"]))
    assert voice.said == real.calls == told.cost.calls
    assert told.cost.tokens_out >= real.tokens_out
    assert told.cost.tokens_in >= 0.9 * real.tokens_in, "of the words that are read, hardly one is left out"


def test_what_is_read_of_probabilities_is_counted_too() -> None:
    class Read(Voice):
        can = frozenset({"sample", "logp"})

    overseer, voices = cast(Any, build("overseers", JUDGE)), {"m": cast(Sampler, Read())}
    ask = cast(Any, build("asks", {"name": "pairs", "column": "score", "collapse": "bt"}))
    with Worker() as worker:
        told = rehearsed(Asking(ask, overseer.seated(voices), None, voices), groups(1), worker)
    assert told is not None and told.cost.calls == 2, "one for each option"


def test_nobody_else_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: object, *_: object) -> object:
        raise AssertionError("a program was asked")

    monkeypatch.setattr("accord.overseers.program.Program.judge", never)
    with Worker() as worker:
        assert rehearsed(asking(JURY)[0], groups(2), worker) is not None
        overseer = cast(Any, build("overseers", PROGRAM))
        ask = cast(Any, build("asks", {"name": "each", "column": "score", "collapse": "distribution"}))
        assert rehearsed(Asking(ask, overseer), groups(2), worker) is None, "it takes no model"


def test_a_reward_model_beside_a_judge_is_not_asked() -> None:
    class Scores(Voice):
        can = frozenset({"score"})
        spread_limit = 1.0

    jury = {"name": "jury", "members": [JUDGE, {"name": "reward", "models": ["r"], "reduction": "mean"}]}
    overseer, judge = cast(Any, build("overseers", jury)), cast(Sampler, Voice())
    voices = {"m": judge, "r": cast(Sampler, Scores())}
    ask = cast(Any, build("asks", {"name": "pairs", "column": "score", "collapse": "bt"}))
    with Worker() as worker:
        told = rehearsed(Asking(ask, overseer.seated(voices), None, voices), groups(3), worker)
        alone = cast(Any, build("overseers", jury["members"][1])).seated(voices)  # type: ignore[index]
        assert rehearsed(Asking(ask, alone, None, voices), groups(3), worker) is None
    assert told is not None and told.cost.calls == 3


def test_who_shrugs_keeps_to_the_scale() -> None:
    jury = {"name": "jury", "members": [JUDGE, PROGRAM]}
    overseer, voices = cast(Any, build("overseers", jury)), {"m": cast(Sampler, Voice())}
    told = {"column": "score", "collapse": "distribution", "scale": [3, 9]}
    one = Asking(cast(Any, build("asks", {"name": "each", **told})), overseer.seated(voices), None, voices)
    with Worker() as worker:
        found = rehearsed(one, groups(2), worker)
    assert found is not None and found.cost.calls == 4


def test_half_a_protocol_is_not_taken_for_the_whole() -> None:
    spent = {"name": "budget", "n": 0, "unit": "calls", "most": 1, "inner": JUDGE}
    debate = {**DEBATE, "inner": spent}
    with Worker() as worker:
        assert rehearsed(asking(debate)[0], groups(2), worker) is None
        assert rehearsed(asking(JUDGE)[0], [], worker) is None
