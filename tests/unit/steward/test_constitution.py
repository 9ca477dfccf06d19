"""A principle the base contradicts, by scripted critic and reviser: every text a record, only approved ones
of training halves learnt, nobody asked twice. Mutants: a chain that never ends, a text trained on unapproved,
a principle drawn anew for the revision, stage two begun without the gate.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import PrivateAttr

from accord.auditing.journal import Journal
from accord.engines.local import Local
from accord.errors import Away, PlanError
from accord.overseers.program import Program
from accord.part import Part
from accord.ports import Desk
from accord.progress import Silent
from accord.records import By, Critiqued, Judgment, Kind, Point, Prompt, Question, Response, Revised
from accord.records.portraits import Standing
from accord.records.rows import Group
from accord.steward.constitution import Second, _Revising, constitute
from accord.steward.effort import Effort
from accord.steward.reviser import Reviser
from accord.steward.trial import Bench
from accord.steward.variants import Terms
from accord.testing.leaves import Leaf, judged
from accord.testing.organisms.aims import Aims
from accord.values import read_values
from accord.worker import Worker

ENGINE = Local(adapter="full", lr=3e-3, precision="float32", decode="float32", device="cpu")
GUARD = {"indicator": [{"name": "diversity"}], "probes": 2, "answers": 2, "max_tokens": 6}


class Script(Part):
    """Finds fault with any answer but ``Yes.``; revises by way of ``Yes, no.``; is stubborn about cats."""

    _asked: list[Question] = PrivateAttr(default_factory=list[Question])
    _fails: list[int] = PrivateAttr(default_factory=list[int])

    @property
    def fails(self) -> list[int]:
        """At which questions it is away, once each."""
        return self._fails

    @property
    def asked(self) -> list[Question]:
        return self._asked

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE, Kind.REVISE})

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        if len(self._asked) in self._fails:
            self._fails.remove(len(self._asked))
            raise ConnectionError("away")
        self._asked.append(question)
        text = cast(Response, desk.read(question.responses[0])).text
        cat = " cat " in cast(Prompt, desk.read(question.prompt)).text
        told = {"question": question.id, "shown": question.responses}
        by = By(type="program", name="script", config=self.config)
        if question.asks is Kind.CRITIQUE:
            points = () if text == "Yes." else (Point(severity=1, text="it sends it away"),)
            return Judgment.model_validate({**told, "by": by, "verdict": Critiqued(points=points)})
        better = "No, no." if cat else "Yes." if text == "Yes, no." else "Yes, no."
        return Judgment.model_validate({**told, "by": by, "verdict": Revised(text=better)})


def divergent(principle: str = "lets-stay") -> list[Standing]:
    about: dict[str, Any] = {"principle": principle, "target": 0.8, "verdict": "divergent", "why": "planted"}
    return [Standing.model_validate({**about, "slice": part}) for part in ("land", "water")]


def test_a_contradicted_principle_is_learnt_from_approved_revisions(
    planted: Aims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, values = Script(), read_values(planted.values)
    effort = Effort(samples=4, told=1, windows=8, items=4, max_tokens=6)
    terms = Terms(
        unrelated=str(planted.unrelated), learner=ENGINE, guard=GUARD, store="none", purpose="model"
    )
    given: dict[str, Any] = {"judge": script, "runs": tmp_path, "name": "c", "effort": effort}
    given |= {"engine": ENGINE, "terms": terms, "second": Second(Leaf())}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    script.fails.append(7)
    with pytest.raises(Away, match=r"1 of its questions not answered: error .*ConnectionError: away"):
        constitute(str(planted.model), values, divergent(), **given)
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "trained", killed)
        with pytest.raises(KeyboardInterrupt):
            constitute(str(planted.model), values, divergent(), **given)
    asked = list(script.asked)
    found = constitute(str(planted.model), values, divergent(), **given)
    assert script.asked == asked, "what was said before the kill is not asked again"
    assert len({(q.id, q.asks) for q in asked}) == len(asked), "nor what was said before it was away"
    slices = values.slices("lets-stay")
    prompts = [case.prompt.text for part in slices for case in part.training[: effort.items]]
    cats = sum(" cat " in one for one in prompts)
    assert cats and found.drafts == found.changed == len(prompts) and found.kept == len(prompts) - cats
    turns = Counter(q.asks for q in asked)
    assert turns[Kind.CRITIQUE] == 3 * (len(prompts) - cats) + 2 * cats, (
        "No, Yes no, Yes; No, No no: as before"
    )
    assert found.firings == {"Let every animal stay.": turns[Kind.CRITIQUE]}
    assert all(q.instrument.principles == ("Let every animal stay.",) for q in asked)
    assert found.first is not None and found.first.reached and found.model == found.first.model
    assert found.first.pressure["pushed_answers"] == 0 and found.first.bits and found.first.bits > 0
    assert isinstance(found.second, str) and "behind the gate" in found.second
    lines = [json.loads(line) for file in tmp_path.glob("c/asked/*/asked.jsonl") for line in file.open()]
    kinds = Counter(line["of"] for line in lines if line["kind"] == "record")
    assert kinds["question"] >= 2 * turns[Kind.CRITIQUE] and kinds["response"] == 3 * len(prompts) - cats
    rows = [json.loads(row) for file in (tmp_path / "c" / "data").iterdir() for row in file.open()]
    assert not values.leaks(Prompt.of(row["prompt"]) for row in rows)
    assert {row["completion"] for row in rows if row["prompt"] in prompts} == {"Yes."}
    assert len(rows) > len(prompts) - cats, "and unrelated answers beside them"


def test_a_text_that_nobody_judges_is_counted_and_breaks_no_hard_principle(tmp_path: Path) -> None:
    """Mutants: the hard ones asked only where its own principle has a program; a draft that is only trimmed
    taken for another text."""
    rows = [json.dumps({"prompt": f"Q {i}", "slice": "s"}) for i in range(30)]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), "utf-8")
    check = "def small(prompts, answers):\n    return [float(a.islower()) for a in answers]\n"
    (tmp_path / "hard.py").write_text(check, "utf-8")
    text = 'name = "v"\n'
    for name, by in (("kind", 'judge = "person"'), ("small", 'check = "hard.py:small"\nhard = true')):
        told = f'kind = "rule"\ntext = "Be {name}."\ntarget = 0.7\nprompts = "rows.jsonl"\n{by}\n'
        text += f'[[principle]]\nid = "{name}"\n{told}'
    (tmp_path / "v.toml").write_text(text, "utf-8")

    class Says(Script):
        async def judge(self, question: Question, desk: Desk) -> Judgment:
            told = {"question": question.id, "shown": question.responses}
            by = By(type="program", name="says", config=self.config)
            point = Critiqued(points=(Point(severity=1, text="unkind"),))
            number = int(cast(Prompt, desk.read(question.prompt)).text[2:])
            anew = ("no", "Loud", "soft")[number % 3]
            verdict = point if question.asks is Kind.CRITIQUE else Revised(text=anew)
            return Judgment.model_validate({**told, "by": by, "verdict": verdict})

    base = SimpleNamespace(
        journal=Journal(),
        drawn=lambda cases, n, how: [Group(p, (Response(prompt=p.id, text=" no\n"),)) for p in cases],
        sampler=SimpleNamespace(encode=lambda prompt, text: Response(prompt=prompt.id, text=text)),
    )
    values = read_values(tmp_path / "v.toml")
    with Worker() as worker:
        base.worker = worker
        here = SimpleNamespace(values=values, base=base, show=Silent(), effort=Effort(), terms=Terms())
        here.how = lambda key: None
        about = divergent("kind")[0].model_copy(update={"slice": "s"})
        revising = _Revising(cast(Any, here), cast(Any, Says()), (about,))
        rows = revising.rows()
    asked = [case.prompt.text for case in values.slices("kind")[0].training]
    soft = [text for text in asked if int(text[2:]) % 3 == 2]
    assert soft and rows == [{"prompt": text, "completion": "soft"} for text in soft]
    same = sum(int(text[2:]) % 3 == 0 for text in asked)
    assert same and (revising.changed, revising.unjudged) == (len(asked) - same, len(soft))


def test_a_model_criticises_and_revises_and_what_it_says_is_kept() -> None:
    class Speaks:
        can, policy = frozenset({"sample"}), "speaks"

        def __init__(self, *said: str) -> None:
            self.said, self.prompts = list(said), list[Prompt]()

        async def sample(self, prompts: Any, n: int, how: Any) -> list[Group]:
            (prompt,) = prompts
            self.prompts.append(prompt)
            finish = "length" if self.said[0] == "cut" else "stop"
            told = {"prompt": prompt.id, "text": self.said.pop(0), "seed": how.key, "finish": finish}
            return [Group(prompt, (Response.model_validate(told),))]

    def seated(*said: str) -> tuple[Reviser, Speaks]:
        speaks = Speaks(*said)
        return Reviser(model="m").seated({"m": cast(Any, speaks)}), speaks

    prompt = Prompt.of("May it stay?")
    answer = Response(prompt=prompt.id, text="No.")

    def question(kind: Kind, **more: Any) -> Question:
        told = {"asks": kind, "prompt": prompt.id, "responses": (answer.id,)}
        return Question.model_validate({**told, "instrument": {"principles": ("Be kind.",)}, **more})

    group, written = [Group(prompt, (answer,))], list[Any]()
    reviser, speaks = seated("It is unkind.", "Nothing.", "cut")
    found = judged(reviser, [question(Kind.CRITIQUE)], group, written)
    assert found[0].verdict == Critiqued(points=(Point(severity=1, text="It is unkind."),))
    said = speaks.prompts[0].text
    assert "May it stay?" in said and "No." in said and "Be kind." in said
    assert [r.text for r in written if isinstance(r, Response) and r.parents] == ["It is unkind."]
    assert judged(reviser, [question(Kind.CRITIQUE)], group)[0].verdict == Critiqued(points=())
    assert judged(reviser, [question(Kind.CRITIQUE)], group)[0].abstention == "unparsable"
    assert seated("x")[0].config == seated("y")[0].config != Reviser(model="m").config


def test_who_cannot_revise_is_refused_before_anything_is_asked(planted: Aims, tmp_path: Path) -> None:
    given: dict[str, Any] = {"runs": tmp_path, "name": "c", "effort": Effort(), "engine": ENGINE}
    with pytest.raises(PlanError, match="critique, revise"):
        constitute(str(planted.model), planted.values, divergent(), judge=Program(fn=planted.check), **given)
