"""What is measured before a method decides: by the learner, by models beside it, and of which rows.

Mutants this kills: columns of one turn given to another, an empty turn that shifts all after it, ``allowed``
or the temperature left out, two columns of one model read in two passes, a tokenizer that is not compared,
marks written after measuring, answers compared with answers to their own prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.engines.local import Local
from accord.engines.local.tiny import byte_tokenizer
from accord.errors import PlanError
from accord.measuring import Measuring, imagined, mismatched, rendering
from accord.ports import Needs, Reads, Task
from accord.progress import Silent
from accord.records import Episode, Message, Prompt
from accord.records.rows import Row, Window
from accord.testing import PlainLikelihood, Scripted, ScriptedSampler, save_tiny
from accord.worker import Worker

WORDS = ("a", "b", "c", "d", "e", "f")
OLD = Needs(frozenset({"old_logp"}))


def episode(*turns: tuple[tuple[int, ...], tuple[int, ...]], prompt: str = "p", **told: Any) -> Episode:
    asked, said = zip(*turns, strict=True)
    names = tuple(f"{prompt}{asked}{said}{k}" for k in range(len(turns)))
    return Episode(prompt=prompt, responses=names, prompt_tokens=asked, tokens=said, **told)


TURNS = (
    episode(((20, 21), (1, 0))),
    episode(((20, 21), (1, 0)), ((20, 21, 1, 0, 22), (2, 3, 0))),
    episode(((20, 21), (1, 2)), ((20, 23, 1, 0, 22), (3, 0))),
    episode(((20,), ()), ((20, 22), (4, 0))),
    episode(((20, 24), (1, 2, 0)), allowed=(0, 1, 2), temperature=0.7),
)
ROWS = (Row(TURNS[:2]), *(Row((e,), group=1 + i) for i, e in enumerate(TURNS[2:])))


class Asks(PlainLikelihood):
    """Needs these columns of other models."""

    reads: tuple[tuple[str, str, str], ...] = (("teacher_logp", "logp", "t"),)
    columns: tuple[str, ...] = ()
    crossed: bool = False

    def needs(self) -> Needs:
        reads = tuple(Reads(*one) for one in self.reads)
        return Needs(frozenset(self.columns), reads=reads, mismatched=self.crossed)


class Counting(ScriptedSampler):
    """Remembers what it was asked, and can be made to lack something."""

    def __init__(self, engine: Scripted) -> None:
        whole: Any = engine.sampler("scripted", Silent())
        super().__init__(whole._table, whole.policy)
        self.asked: list[tuple[int, frozenset[str]]] = []

    async def score(self, texts: Any, want: frozenset[str]) -> Any:
        self.asked.append((len(texts), want))
        return await super().score(texts, want)


def speaker(spread: float, words: Sequence[str] = WORDS) -> Scripted:
    return Scripted(words=tuple(words), shortest=1, longest=6, spread=spread, tensors="numpy")


def measured(method: Any, learner: Any, rows: Sequence[Row] = ROWS, **readers: Any) -> Window:
    with Worker() as worker:
        seen = {"" if name == "base" else name: reader for name, reader in readers.items()}
        return Measuring(seen, worker).of(Window(3, tuple(rows)), method, learner, 0)


def flat(columns: Sequence[np.ndarray]) -> list[list[float]]:
    return [column.tolist() for column in columns]


# What other models say


def test_a_column_holds_what_the_other_model_gives_each_token_in_its_place() -> None:
    policy, teacher = (speaker(s).learner("scripted", Task("run/stage", 0)) for s in (1.0, 0.4))
    found = measured(Asks(columns=("old_logp",)), policy, t=Counting(speaker(0.4))).measured
    theirs, own = (learner.measure(ROWS, OLD)["old_logp"] for learner in (teacher, policy))
    assert flat(found["teacher_logp"]) == flat(theirs)
    assert flat(found["old_logp"]) == flat(own)
    assert flat(theirs) != flat(own)
    assert [len(column) for column in theirs] == [2, 5, 2, 2, 2, 3], (
        "a broken prefix is a sequence of its own"
    )


def test_the_policy_as_its_own_teacher_says_what_it_said() -> None:
    """Turn by turn or as whole sequences, with allowed tokens and at the answers' temperature."""
    learner = speaker(1.3).learner("scripted", Task("run/stage", 0))
    found = measured(Asks(columns=("old_logp",)), learner, t=learner.sampler()).measured
    assert flat(found["teacher_logp"]) == flat(found["old_logp"])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        save_tiny(folder / str(seed), seed, layers=1, width=16)
    save_tiny(folder / "other", 1, layers=1, width=16)
    tokenizer: Any = byte_tokenizer()
    tokenizer.unk_token = "<pad>"
    tokenizer.save_pretrained(folder / "other")
    return folder


def local(**told: Any) -> Local:
    plain = {"decode": "float32", "precision": "float32", "device": "cpu", "rank": 2}
    return Local.model_validate({**plain, **told})


def test_language_models_read_the_same_tokens_in_the_same_places(tiny: Path) -> None:
    policy, teacher = (local().learner(str(tiny / name), Task("run/stage", 0)) for name in "01")
    found = measured(Asks(), policy, t=local().sampler(str(tiny / "1"), Silent())).measured["teacher_logp"]
    theirs, own = (learner.measure(ROWS, OLD)["old_logp"] for learner in (teacher, policy))
    for column, wanted, other in zip(found, theirs, own, strict=True):
        assert column == pytest.approx(wanted, abs=1e-5)
        assert np.abs(column - other).max() > 1e-2


def test_models_with_other_tokens_are_refused(tiny: Path) -> None:
    policy = speaker(1.0).learner("scripted", Task("run/stage", 0))
    with pytest.raises(PlanError, match="tokenizer") as caught:
        measured(Asks(), policy, t=Counting(speaker(1.0, WORDS[::-1])))
    assert (caught.value.path, caught.value.value) == ("method", "t")
    student = local().learner(str(tiny / "0"), Task("run/stage", 0))
    with pytest.raises(PlanError, match="tokenizer"):
        measured(Asks(), student, t=local().sampler(str(tiny / "other"), Silent()))


def test_each_model_is_read_once_for_all_that_is_wanted_of_it() -> None:
    one, two = Counting(speaker(0.4)), Counting(speaker(0.2))
    reads = (("l", "logp", "one"), ("s", "support", ""), ("e", "entropy", "one"))
    learner = speaker(1.0).learner("scripted", Task("run/stage", 0))
    found = measured(Asks(reads=reads), learner, one=one, base=two).measured
    turns = sum(bool(said) for e in TURNS for said in e.tokens)
    assert one.asked == [(turns, frozenset({"logp", "entropy"}))]
    assert two.asked == [(turns, frozenset({"support"}))]
    assert found.keys() == {"l", "s", "e"}
    assert {x for column in found["s"] for x in column.tolist()} <= {0.0, 1.0}
    assert all(x > 0 for x in found["e"][0].tolist()[:1])
    # Between words of nearly equal probability none lies beyond a nucleus; of sure ones most do.
    alone = Asks(reads=(("s", "support", ""),))
    assert all(column.all() for column in measured(alone, learner, base=Counting(speaker(0.0))).measured["s"])
    sure = measured(alone, learner, base=Counting(speaker(9.0))).measured["s"]
    assert not all(column.all() for column in sure)


def test_a_window_without_rows_and_a_method_that_needs_nothing_are_left_as_they_are() -> None:
    learner = speaker(1.0).learner("scripted", Task("run/stage", 0))
    found = measured(Asks(columns=("old_logp",)), learner, (), t=Counting(speaker(0.4)))
    assert found.measured == {"old_logp": (), "teacher_logp": ()}
    window = Window(0, ROWS)
    assert Measuring().of(window, PlainLikelihood(), learner, 0) is window


# Answers to other prompts


def rows_of(*groups: int) -> tuple[Row, ...]:
    """Row i asks (30 + group), and answers i + 1 words i + 1."""
    return tuple(
        Row((episode(((30 + g,), (*([i + 1] * (i + 1)), 0)), prompt=f"p{g}"),), group=g)
        for i, g in enumerate(groups)
    )


def test_answers_are_compared_with_the_next_answer_to_another_prompt() -> None:
    crossed = mismatched(rows_of(0, 0, 1, 0))
    asked = [row.episodes[0].prompt_tokens[0][0] - 30 for row in crossed]
    said = [row.episodes[0].tokens[0][0] for row in crossed]
    assert asked == [row.group for row in crossed] == [0, 0, 1, 0]
    assert said == [3, 3, 4, 3]
    assert [row.episodes[0].prompt for row in crossed] == ["p0", "p0", "p1", "p0"]
    with pytest.raises(PlanError, match="two prompts or more"):
        mismatched(rows_of(0, 0))
    turns = mismatched((Row((TURNS[1],), group=0), Row((TURNS[4],), group=1)))
    assert turns[0].episodes[0].prompt_tokens == ((20, 21, 1, 0, 22),)
    assert turns[0].episodes[0].tokens == ((1, 2, 0),)
    assert (turns[0].episodes[0].allowed, turns[1].episodes[0].temperature) == (None, 0.7)


def test_every_column_is_measured_of_them_too() -> None:
    rows, learner = rows_of(0, 1, 1), speaker(1.0).learner("scripted", Task("run/stage", 0))
    method = Asks(reads=(), columns=("old_logp", "ref_logp"), crossed=True)
    found = measured(method, learner, rows).measured
    assert found.keys() == {"old_logp", "ref_logp", "mismatched_old_logp", "mismatched_ref_logp"}
    assert [len(column) for column in found["mismatched_old_logp"]] == [3, 2, 2]
    assert flat(found["mismatched_old_logp"]) == flat(learner.measure(mismatched(rows), OLD)["old_logp"])
    made_up = imagined(rows, method.needs())
    assert {n: [len(c) for c in cs] for n, cs in made_up.items()} == {
        n: [len(c) for c in cs] for n, cs in found.items()
    }


def test_what_is_imagined_leaves_no_row_out() -> None:
    reads = (Reads("s", "support"), Reads("l", "logp", "t"))
    found = imagined(ROWS, Needs(frozenset({"old_logp"}), reads=reads))
    assert [len(c) for c in found["s"]] == [2, 5, 2, 2, 2, 3]
    assert all(column.all() for column in found["s"])
    assert not any(column.any() for name in ("l", "old_logp") for column in found[name])


# Marks


class Marks(PlainLikelihood):
    """Writes a mark before the prompt of every row that the generator picks."""

    by: Any = "data"
    share: float = 1.0

    def marked(self, window: Window, rendered: Any, rng: np.random.Generator) -> Window:
        def opened(e: Episode) -> Episode:
            return e.model_copy(update={"prompt_tokens": (rendered(e.prompt, "Well:"),)})

        picked = rng.random(len(window.rows)) < self.share
        rows = zip(window.rows, picked, strict=True)
        return replace(
            window,
            rows=tuple(replace(r, episodes=tuple(map(opened, r.episodes))) if p else r for r, p in rows),
        )

    def needs(self) -> Needs:
        return OLD


def test_marks_are_written_before_anything_is_measured() -> None:
    prompts = [Prompt.of("why"), Prompt.of("who")]
    learner = speaker(1.0).learner("scripted", Task("run/stage", 0))
    encoded = [learner.sampler().encode(prompt, "a b") for prompt in prompts]
    window = Window(0, tuple(Row((Episode.single(r),), group=g) for g, r in enumerate(encoded)))
    measuring = Measuring(rendered=rendering(learner, prompts))
    found = measuring.of(window, Marks(), learner, 0)
    assert all(
        row.episodes[0].prompt_tokens != old.episodes[0].prompt_tokens
        for row, old in zip(found.rows, window.rows, strict=True)
    )
    assert flat(found.measured["old_logp"]) == flat(learner.measure(found.rows, OLD)["old_logp"])
    assert flat(found.measured["old_logp"]) != flat(learner.measure(window.rows, OLD)["old_logp"])
    many = Window(5, window.rows * 8)
    draws = [
        measuring.of(replace(many, index=i), Marks(share=0.5), learner, s)
        for i, s in ((5, 0), (5, 0), (6, 0), (5, 1))
    ]
    texts = [[row.episodes[0].prompt_tokens for row in one.rows] for one in draws]
    assert texts[0] == texts[1]
    assert texts[0] not in texts[2:]
    with pytest.raises(PlanError, match="renders"):
        Measuring().of(window, Marks(), learner, 0)


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ((), "system: Well:\nuser: why\n"),
        (("Be brief.",), "system: Well:\nBe brief.\nuser: why\n"),
        (("",), "system: Well:\nuser: why\n"),
    ],
)
def test_a_mark_stands_before_what_the_system_message_says(before: tuple[str, ...], wanted: str) -> None:
    messages = (
        *(Message(role="system", content=text) for text in before),
        Message(role="user", content="why"),
    )
    prompt, learner = Prompt(messages=messages), speaker(1.0).learner("scripted", Task("run/stage", 0))
    tokens = rendering(learner, [prompt])(prompt.id, "Well:")
    assert bytes(token - len(WORDS) - 1 for token in tokens).decode() == wanted
