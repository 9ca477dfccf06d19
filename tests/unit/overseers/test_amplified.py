"""Amplified: who answers the parts, and what they are told. Laws: laws_helped.

Mutants: parts drawn by the question and so by the order, weights of who answers left out of the hash, S not
told what came of its parts, a half-answered question that is judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.overseers.judged import Failure, Speaker

from accord.catalog import build, check
from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.overseers.amplified import Amplified
from accord.plan import Plan
from accord.progress import Silent
from accord.records import Kind, Prompt, Question, Record, Response
from accord.testing import a_group
from accord.testing.leaves import Leaf, judged

GROUP = a_group("Why?", "yes", "no")
COMPARE = Question(asks=Kind.COMPARE, prompt=GROUP.prompt.id, responses=tuple(r.id for r in GROUP.responses))
TWOS = "accord.testing.laws_helped:twos"
BRIEF = {"name": "program", "fn": "accord.overseers.program:brief"}
LEAF = {"name": "accord.testing.leaves:Leaf"}


def over(inner: Any, sampler: Any = None, **told: Any) -> Any:
    settings = {"inner": inner, "split": TWOS, "depth": 1, "branching": 2, "model": "s", **told}
    made = Amplified(**settings)
    return made if sampler is None else made.seated({"s": sampler})


def table(spread: float = 1.0) -> Any:
    words = ("rain", "sun", "wind")
    return Scripted(words=words, longest=2, spread=spread, tensors="numpy").sampler("scripted", Silent())


def texts(written: list[Record]) -> list[str]:
    return sorted(r.text for r in written if isinstance(r, Response))


def test_a_model_answers_the_same_whatever_the_order() -> None:
    inner: Any = Leaf()
    made = over(inner, table())
    assert made.models == ("s",)
    seen: list[list[Record]] = [[], []]
    for responses, written in zip((COMPARE.responses, COMPARE.responses[::-1]), seen, strict=True):
        question = COMPARE.model_copy(update={"responses": responses})
        (said,) = judged(made, [question], [GROUP], written)
        own = [r for r in written if isinstance(r, Response)]
        assert all(question.id in one.parents for one in own)
        assert len(own) == 2
        assert said.cost.calls == 2, "those of the judge are in the judge's judgment"
    assert texts(seen[0]) == texts(seen[1])
    assert [q.evidence for q in inner.asked[:1]] != [()]
    one, two = inner.asked
    assert [type(r) for r in seen[0] if r.id in one.evidence] == [Prompt, Response] * 2
    assert one.evidence[::2] == two.evidence[::2]


def test_its_hash_holds_who_answers_and_how_it_is_split(tmp_path: Path) -> None:
    inner: Any = Leaf()
    plain, one, two = over(inner), over(inner, table(1.0)), over(inner, table(2.0))
    assert len({plain.config, one.config, two.config}) == 3
    assert over(inner, table(1.0)).config == one.config
    file = tmp_path / "parts.py"
    hashes = set[str]()
    for body in ("yield 'a'", "yield 'b'"):
        file.write_text(f"def parts(question):\n    {body}\n")
        hashes.add(over(inner, split=f"{file}:parts").config)
    assert len(hashes) == 2
    with pytest.raises(PlanError) as caught:
        plain.seated({})
    assert caught.value.path == "model"
    (said,) = judged(plain, [COMPARE], [GROUP])
    assert (said.abstention, "seats it" in said.note) == ("error", True)


def test_s_is_told_what_came_of_its_parts_and_asked_once() -> None:
    speaker = Speaker(lambda prompt: f"answer {len(prompt.text)}")
    inner: Any = Leaf()
    (said,) = judged(over(inner, speaker, depth=2), [COMPARE], [GROUP])
    assert said.verdict is not None
    assert len(speaker.prompts) == 6
    part, other, put = (prompt.text for prompt in speaker.prompts[:3])
    assert put.endswith("one part of Why?")
    assert all(text in put for text in (part, other, f"answer {len(part)}", f"answer {len(other)}"))
    assert len(inner.asked[-1].evidence) == 4
    again = Speaker(lambda prompt: "always")
    same = over(inner, again, split="accord.testing.laws_helped:chain", branching=9)
    assert judged(same, [COMPARE], [GROUP])[0].abstention == "budget"
    assert len(again.prompts) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("  ", "unparsable"), (Failure("unreachable"), "unreachable"), (KeyError(), "error")],
)
def test_a_part_without_an_answer_is_no_verdict(answer: Any, reason: str) -> None:
    inner: Any = Leaf()
    said = iter(["fine", answer])
    (judgment,) = judged(over(inner, Speaker(lambda prompt: next(said))), [COMPARE], [GROUP])
    assert judgment.abstention == reason
    assert not inner.asked


SPLITS = """from accord.records import Prompt

def asks(question, truth, messages, answers=("none",)):
    part = Prompt.of(f"{question} {truth} {len(messages)} {sorted(answers)}", truth="below", slice="s")
    said = yield part
    return f"it was {said}"

def number(question):
    yield 3

def empty(question):
    yield from ()

def plain(question):
    return ["a"]
"""


def test_a_split_gets_columns_by_name_and_may_put_prompts_and_parts_together(tmp_path: Path) -> None:
    (tmp_path / "splits.py").write_text(SPLITS)
    prompt = Prompt.of("Why?", truth="so", other="no")
    group = a_group("Why?", "yes", "no")._replace(prompt=prompt)
    group = group._replace(
        responses=tuple(r.model_copy(update={"prompt": prompt.id}) for r in group.responses)
    )
    ids = tuple(r.id for r in group.responses)
    question = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=ids)
    speaker, inner = Speaker(lambda prompt: "rain"), Leaf()
    written: list[Record] = []
    made = over(inner, speaker, split=f"{tmp_path}/splits.py:asks", depth=2, branching=1)
    (said,) = judged(made, [question], [group], written)
    assert said.verdict is not None, said.note
    (put,) = speaker.prompts
    assert put.text == "Why? so 1 ['no', 'yes'] below 1 []"
    assert put.slice == "s"
    assert {"rain", "it was rain", "it was it was rain"} == set(texts(written))
    for name, reason in (("number", "error"), ("empty", None)):
        made = over(inner, speaker, split=f"{tmp_path}/splits.py:{name}")
        assert judged(made, [COMPARE], [GROUP])[0].abstention == reason
    assert inner.asked[-1] == COMPARE, "what has no parts is judged as it stands"
    with pytest.raises(PlanError) as caught:
        str(over(inner, split=f"{tmp_path}/splits.py:plain").config)
    assert caught.value.path == "split"


WRONG = [
    ({"split": "twos"}, "overseers.split"),
    ({"depth": -1}, "overseers.depth"),
    ({"branching": 0}, "overseers.branching"),
    ({"branching": 10, "depth": 4}, "overseers.depth"),
    ({"answerer": LEAF}, "overseers"),
    ({"model": ""}, "overseers"),
    (
        {"model": "", "answerer": BRIEF},
        "overseers.answerer",
    ),
]


@pytest.mark.parametrize(("settings", "path"), WRONG)
def test_what_a_plan_may_not_say(settings: dict[str, Any], path: str) -> None:
    whole = {"inner": LEAF, "split": TWOS, "depth": 1, "branching": 2, "model": "s", **settings}
    with pytest.raises(PlanError) as caught:
        build("overseers", {"name": "amplified", **whole})
    assert caught.value.path == path


def test_a_plan_names_a_split_that_is_none() -> None:
    told = {"inner": BRIEF, "depth": 1, "branching": 2, "model": "m", "split": "accord.nowhere:split"}
    ask = {"name": "each", "column": "score", "collapse": "distribution"}
    stage = {
        "name": "s",
        "windows": 1,
        "source": {"name": "rollouts", "prompts": "short-questions:train"},
        "method": {"name": "grpo"},
        "ask": [{**ask, "overseer": {"name": "amplified", **told}}],
    }
    plan = Plan.model_validate({"name": "t", "purpose": "explore", "model": "m", "stage": [stage]})
    with pytest.raises(PlanError) as caught:
        check(plan)
    assert caught.value.path == "stage[0].ask[0].overseer.split"
